/* Volumes: directories beside or in the workspace that all containers of the build share; each is an overlay of its own.
 *
 *   MOUNT/volume/N/layer/K/  its layers, from 0 at the bottom, seen through the build's id map
 *   MOUNT/volume/N/merged/   overlay: the layers below, disk above
 *   MOUNT/volume/N/target/   a directory of the host that is to take a copy, seen through the same map */
#include "holder.h"
#include <sys/mount.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

enum { MAX_VOLUMES = 64 };

static struct { char inside[PATH_MAX]; } *volumes[MAX_VOLUMES];
static int volume_count;

/* The part of a path below a directory; NULL if it is not there. */
static const char *below(const char *path, const char *directory)
{
	size_t length = strlen(directory);
	return !strncmp(path, directory, length) && path[length] == '/' ? path + length + 1 : NULL;
}

/* Makes a directory to mount on in an upper layer: with its parents, which look as in the layers below. No path of an
 * image or a source is resolved: a link there is hidden (see shadow in mounts.c). */
static void make_mount_point(const char *upper, const char *inside, const struct stack *lower, unsigned base)
{
	char made[PATH_MAX + 128];
	struct stat st, there;
	int lowest = 0, root = snprintf(made, sizeof made, "%s/", upper);
	snprintf(made + root, sizeof made - root, "%s/", inside);
	for (char *slash = made + root; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		st = (struct stat){ .st_mode = 0755, .st_uid = base, .st_gid = base };
		merged_directory(lower, made + root, &lowest, &st);
		int covered = !lstat(made, &there) && !S_ISDIR(there.st_mode);
		/* Only a whiteout: what is below it in the source stays hidden. */
		if (covered && unlink(made))
			die("mount point %s", inside);
		if (mkdir(made, 0700)) {
			if (errno != EEXIST)
				die("mount point %s", inside);
			continue;
		}
		if (lchown(made, st.st_uid, st.st_gid) || chmod(made, st.st_mode & 07777) ||
		    (covered && setxattr(made, "trusted.overlay.opaque", "y", 1, 0)))
			die("mount point %s", inside);
		if (covered)
			lowest = lower->count;
	}
}

/* Mounts a directory of ours, with all that is mounted in it, at one below another, whose every part we made: no link is
 * followed. crun is not asked to: it would look for the way in what a build has written (CVE-2025-31133 and its kind). */
static void mount_tree(const char *from, const char *root, const char *below, unsigned attributes)
{
	struct mount_attr attr = { .attr_set = attributes };
	int base = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int at = open_beneath(base, below, O_RDONLY | O_DIRECTORY);
	int tree = syscall(SYS_open_tree, AT_FDCWD, from, OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC);
	if (at < 0 || tree < 0 ||
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) ||
	    syscall(SYS_move_mount, tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		die("mount /%s", below);
	close(tree);
	close(at);
	close(base);
}

/* volume PATH LOCK LAYER... */
void add_volume(const struct plan *plan, const struct spaces *spaces, char **words, int count)
{
	static char names[MAX_LIST][48];
	char *layers[MAX_LIST], upper[64], work[64], merged[64], path[64];
	struct stat st = { .st_mode = 0777, .st_uid = spaces->base, .st_gid = spaces->base };
	const char *inside = words[0], *in_workspace = below(inside, plan->inside);
	int n = volume_count, layer_count = count - 2;

	if (*inside != '/')
		fail("volume '%s': its path must begin with /", inside);
	if (n == MAX_VOLUMES || layer_count > MAX_LIST || strlen(inside) >= sizeof *volumes[0])
		fail("too many volumes, or too many layers in one");
	if (!(volumes[n] = malloc(sizeof *volumes[0])))
		die("volume %s", inside);
	strcpy(volumes[n]->inside, inside);
	if (*words[1])
		hold_lock("volume", words[1]);
	make_dir("volume", 0755, 0);
	snprintf(path, sizeof path, "volume/%d", n);
	make_dir(path, 0755, 0);
	snprintf(path, sizeof path, "volume/%d/layer", n);
	make_dir(path, 0755, 0);
	for (int i = 0; i < layer_count; i++) {
		snprintf(names[i], sizeof names[i], "volume/%d/layer/%d", n, i);
		mount_mapped(words[2 + i], names[i], spaces->user, MOUNT_ATTR_RDONLY);
		layers[i] = names[i];
		if (stat(names[i], &st))
			die("volume %s", inside);
	}
	if (layer_count == 0)
		layers[layer_count++] = path;
	snprintf(upper, sizeof upper, "disk/v.%d", n);
	snprintf(work, sizeof work, "disk/v.%d.work", n);
	snprintf(merged, sizeof merged, "volume/%d/merged", n);
	/* Whoever runs in the build may fill an empty one: images run as other users too. */
	make_dir(upper, 0777, spaces->base);
	if (lchown(upper, st.st_uid, st.st_gid) || chmod(upper, st.st_mode & 07777))
		die("volume %s", inside);
	make_dir(work, 0755, spaces->base);
	make_dir(merged, 0755, 0);
	mount_overlay(plan, layers, layer_count, "", upper, work, merged, MOUNT_ATTR_NOSUID);
	if (in_workspace) {
		make_mount_point("disk/workspace", in_workspace, source_stack(), spaces->base);
		/* Before anything of the build runs, which could make another of the way to it. */
		mount_tree(merged, "workspace", in_workspace, 0);
	}
	volume_count++;
}

void add_volume_mount_points(const struct plan *plan, const char *upper, const struct stack *image, unsigned base)
{
	for (int i = 0; i < volume_count; i++)
		if (!below(volumes[i]->inside, plan->inside))
			make_mount_point(upper, volumes[i]->inside + 1, image, base);
}

void look_at_volume_mount_points(const struct plan *plan, int root)
{
	struct stat st;
	for (int i = 0; i < volume_count; i++)
		if (!below(volumes[i]->inside, plan->inside))
			fstatat(root, volumes[i]->inside + 1, &st, AT_SYMLINK_NOFOLLOW);
}

/* What all containers of the build share, in the root of one of them. */
void mount_shared(const struct plan *plan, const char *container)
{
	char root[128], merged[64];
	snprintf(root, sizeof root, "c/%s/rootfs", container);
	mount_tree("workspace", root, plan->inside + 1, 0);
	for (int i = 0; i < volume_count; i++)
		if (!below(volumes[i]->inside, plan->inside)) {
			snprintf(merged, sizeof merged, "volume/%d/merged", i);
			mount_tree(merged, root, volumes[i]->inside + 1, 0);
		}
}

/* For the reader of files, which has no image: the workspace with the volumes in it. */
void mount_workspace_to_read(const char *container)
{
	char root[128], workspace[160];
	snprintf(root, sizeof root, "c/%s/rootfs", container);
	snprintf(workspace, sizeof workspace, "%s/workspace", root);
	make_dir(workspace, 0755, 0);
	mount_tree("workspace", root, "workspace", MOUNT_ATTR_RDONLY);
}

/* target N DIRECTORY */
void add_target(const struct spaces *spaces, char **words)
{
	char to[64];
	int n = atoi(words[0]);
	if (n < 0 || n >= volume_count)
		fail("no volume %s", words[0]);
	snprintf(to, sizeof to, "volume/%d/target", n);
	mount_mapped(words[1], to, spaces->user, 0);
}
