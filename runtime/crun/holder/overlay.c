/* Overlays: read-only layers below, an ephemeral one above. */
#include "holder.h"
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>

static void configure(int fs, const char *key, const char *value)
{
	if (syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0))
		die("overlay %s %s", key, value ? value : "");
}

/* Before Linux 6.5 all layers go into one page of options (mount(2)): each gets a name of a few bytes, so that as many
 * fit as overlayfs takes. */
static void mount_classic(char **layers, int count, const char *prefix, const char *upper, const char *work,
			  const char *to, unsigned long flags)
{
	static int links;
	char path[4096], link[32], *options = NULL;
	struct stat st;
	size_t size;
	FILE *out = open_memstream(&options, &size);
	if (!out)
		die("overlay on %s", to);
	fprintf(out, "volatile,upperdir=%s,workdir=%s,lowerdir=", upper, work);
	for (int i = count - 1; i >= 0; i--) {
		snprintf(path, sizeof path, "%s%s", prefix, layers[i]);
		/* mount(2) would not say which one it is. */
		if (stat(path, &st))
			die("overlay lowerdir %s", path);
		snprintf(link, sizeof link, "l%x", links++);
		if (symlink(path, link))
			die("overlay on %s", to);
		fprintf(out, "%s%s", link, i ? ":" : "");
	}
	if (fclose(out) || mount("overlay", to, "overlay", flags, options))
		die("overlay on %s", to);
	free(options);
}

/* Whether a path is a directory of the merged layers, whose ancestors are; then st is that of the topmost one, and lowest
 * becomes the layer below which nothing of it is seen: what is no directory covers those under it. */
int merged_directory(const struct stack *stack, const char *path, int *lowest, struct stat *st)
{
	char below[4200];
	struct stat found;
	int seen = 0;
	for (int i = stack->count - 1; i >= *lowest; i--) {
		snprintf(below, sizeof below, "%s%s/%s", stack->prefix, stack->layers[i], path);
		if (lstat(below, &found))
			continue;
		if (!S_ISDIR(found.st_mode)) {
			*lowest = i + 1;
			break;
		}
		if (!seen++)
			*st = found;
	}
	return seen > 0;
}

/* fsconfig takes one layer at a time, so their number is not bound by the page that mount(2) has for options.
 * volatile: nothing of the upper layer is ever synced, for nothing of it is kept. */
void mount_overlay(const struct plan *plan, char **layers, int count, const char *prefix, const char *upper,
		   const char *work, const char *to, unsigned attributes)
{
	char path[4096];
	if (plan->classic) {
		unsigned long nosuid = attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0;
		mount_classic(layers, count, prefix, upper, work, to, MS_NODEV | nosuid);
		return;
	}
	int fs = syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		die("overlay");
	for (int i = count - 1; i >= 0; i--) {
		snprintf(path, sizeof path, "%s%s", prefix, layers[i]);
		configure(fs, "lowerdir+", path);
	}
	configure(fs, "upperdir", upper);
	configure(fs, "workdir", work);
	configure(fs, "volatile", NULL);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		die("overlay on %s", to);
	int mount = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | attributes);
	if (mount < 0 || syscall(SYS_move_mount, mount, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH))
		die("overlay on %s", to);
	close(mount);
	close(fs);
}
