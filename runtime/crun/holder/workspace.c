/* The workspace: the sources below, the ephemeral layer above, and what of the sources stays unseen. */
#include "holder.h"
#include <sys/mount.h>
#include <linux/mount.h>

static int source_count;

void mount_workspace(const struct plan *plan, const struct spaces *spaces)
{
	static char names[MAX_LIST][24];
	char *sources[MAX_LIST];
	source_count = plan->sources.count;
	make_dir("workspace", 0755, 0);
	make_dir("disk/workspace", 0755, spaces->base);
	make_dir("disk/workspace.work", 0755, spaces->base);
	make_dir("source", 0755, spaces->base);
	for (int i = 0; i < source_count; i++) {
		snprintf(names[i], sizeof names[i], "source/%d", i);
		mount_mapped(plan->sources.item[i], names[i], spaces->source_user);
		sources[i] = names[i];
	}
	if (source_count == 0)
		sources[0] = "source";
	mount_overlay(plan, sources, source_count ? source_count : 1, "", "disk/workspace", "disk/workspace.work",
		      "workspace", MOUNT_ATTR_NOSUID);
}

/* Whether a path is a directory of the merged sources, whose ancestors are; then st is that of the topmost one, and
 * lowest becomes the source below which nothing of it is seen: what is no directory covers those under it. */
static int merged_directory(const char *path, int *lowest, struct stat *st)
{
	char below[4200];
	struct stat found;
	int seen = 0;
	for (int i = source_count - 1; i >= *lowest; i--) {
		snprintf(below, sizeof below, "source/%d/%s", i, path);
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

/* Makes a path of the sources invisible: a whiteout in the upper layer, below copies of its directories. */
void hide(const char *hidden)
{
	static const char upper[] = "disk/workspace/";
	char path[4096];
	struct stat st;
	int lowest = 0;
	snprintf(path, sizeof path, "%s%s", upper, hidden);
	for (char *slash = path + strlen(upper); (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (!merged_directory(path + strlen(upper), &lowest, &st))
			return;
		if (!mkdir(path, 0755)) {
			if (lchown(path, st.st_uid, st.st_gid) || chmod(path, st.st_mode & 07777))
				die("hide %s", hidden);
		} else if (errno != EEXIST)
			die("hide %s", hidden);
		*slash = '/';
	}
	if (mknod(path, S_IFCHR, 0) && errno != EEXIST)
		die("hide %s", hidden);
}
