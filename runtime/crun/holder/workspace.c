/* The workspace: the sources below, the ephemeral layer above, and what of the sources stays unseen. */
#include "holder.h"
#include <sys/mount.h>
#include <linux/mount.h>

static char *sources[MAX_LIST];
static struct stack stack = { "", sources, 0 };

void mount_workspace(const struct plan *plan, const struct spaces *spaces)
{
	static char names[MAX_LIST][24];
	int count = stack.count = plan->sources.count;
	make_dir("workspace", 0755, 0);
	make_dir("disk/workspace", 0755, spaces->base);
	make_dir("disk/workspace.work", 0755, spaces->base);
	make_dir("source", 0755, spaces->base);
	for (int i = 0; i < count; i++) {
		snprintf(names[i], sizeof names[i], "source/%d", i);
		mount_mapped(plan->sources.item[i], names[i], spaces->source_user, MOUNT_ATTR_RDONLY);
		sources[i] = names[i];
	}
	if (count == 0)
		sources[0] = "source";
	mount_overlay(plan, sources, count ? count : 1, "", "disk/workspace", "disk/workspace.work",
		      "workspace", MOUNT_ATTR_NOSUID);
}

const struct stack *source_stack(void)
{
	return &stack;
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
		if (!merged_directory(&stack, path + strlen(upper), &lowest, &st))
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
