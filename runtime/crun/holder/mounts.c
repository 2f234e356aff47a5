/* The mounts of a sandbox. All live in the pod's own mount namespace and go with it.
 *
 *   MOUNT/            tmpfs of ours: configs, crun's state, mount points
 *   MOUNT/disk/       the ephemeral layer of hard size: everything the build writes
 *   MOUNT/layers/     the layer store, seen through the build's id map
 *   MOUNT/source/N/   the sources, from 0 at the bottom, seen through a map that makes their owner root
 *   MOUNT/workspace/  overlay: sources below, disk above
 *   MOUNT/volume/N/   a volume (volume.c)
 *   MOUNT/c/NAME/     one container: config.json, pid, hosts, resolv.conf, rootfs (overlay: layers below, disk above)
 */
#include "holder.h"
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

void make_dir(const char *path, mode_t mode, uid_t owner)
{
	if (mkdir(path, mode) && errno != EEXIST)
		die("mkdir %s", path);
	if (chmod(path, mode) || chown(path, owner, owner))
		die("mkdir %s", path);
}

static void write_file(const char *path, const char *text, uid_t owner)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchown(fd, owner, owner))
		die("write %s", path);
	close(fd);
}

/* A clone of a directory of the host, its ids mapped (mount_setattr(2)). */
void mount_mapped(const char *from, const char *to, int userns, unsigned attributes)
{
	struct mount_attr attr = {
		.attr_set = attributes | MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
		.userns_fd = userns,
	};
	make_dir(to, 0755, 0);
	int tree = syscall(SYS_open_tree, AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		die("%s", from);
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr))
		die("%s is on a filesystem without idmapped mounts; use a directory on ext4, xfs, btrfs or tmpfs", from);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH))
		die("mount %s", to);
	close(tree);
}

static void join(int fd, int type)
{
	if (setns(fd, type))
		die("namespace");
	close(fd);
}

void mount_private(const struct plan *plan, const struct spaces *spaces)
{
	char path[64];

	join(spaces->net, CLONE_NEWNET);
	join(spaces->ipc, CLONE_NEWIPC);
	join(spaces->uts, CLONE_NEWUTS);
	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("private mounts");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		die("proc");
	/* crun refuses to start while a controller sits in the cgroup2 part of a hybrid machine, needed or not. */
	umount2("/sys/fs/cgroup/unified", MNT_DETACH);
	if (mount("cofferdam", plan->mount, "tmpfs", MS_NODEV | MS_NOSUID, "size=64m,mode=0755") || chdir(plan->mount))
		die("mount %s", plan->mount);

	/* crun joins the user namespace by this path. */
	write_file("userns", "", 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", spaces->user);
	if (mount(path, "userns", NULL, MS_BIND, NULL))
		die("user namespace");

	/* On a read-only mount crun trusts that nothing can overwrite it (CVE-2019-5736) and does not copy itself. */
	write_file("crun", "", 0);
	if (mount(plan->crun, "crun", NULL, MS_BIND, NULL) ||
	    mount("", "crun", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL))
		die("%s", plan->crun);

	make_dir("run", 0700, 0);
	make_dir("c", 0755, 0);
	make_dir("disk", 0755, 0);
	mount_disk(plan);
	mount_mapped(plan->layers, "layers", spaces->user, MOUNT_ATTR_RDONLY);

	mount_workspace(plan, spaces);
}

/* What a container mounts on, or reads as a file, is made in the upper layer: a directory there hides a symlink
 * of the image, so no path of the image is ever resolved by the host (CVE-2026-47766 and its kind). */
static void shadow(const char *upper, const char *inside, mode_t mode, unsigned base)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s%s", upper, inside);
	if (n >= (int)sizeof path)
		fail("path too long: %s", inside);
	for (char *slash = path + strlen(upper) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		make_dir(path, 0755, base);
		*slash = '/';
	}
	make_dir(path, mode, base);
}

void mount_root(const char *container, char **layers, int count, unsigned base, const struct plan *plan)
{
	static const char *plain[] = { "/dev", "/proc", "/sys", "/etc", "/run/.cofferdam", "/run/secrets" };
	char upper[128], work[128], root[128], path[256];
	struct stat st;
	if (count == 0)
		return;
	reserve(0);
	/* The prefix keeps a container's name from being that of another directory here. */
	snprintf(upper, sizeof upper, "disk/c.%s", container);
	snprintf(work, sizeof work, "disk/c.%s.work", container);
	snprintf(root, sizeof root, "c/%s/rootfs", container);
	make_dir(upper, 0755, base);
	make_dir(work, 0755, base);
	for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++)
		shadow(upper, plain[i], 0755, base);
	shadow(upper, "/tmp", 01777, base);
	shadow(upper, plan->inside, 0755, base);
	add_volume_mount_points(plan, upper, &(struct stack){ "layers/", layers, count }, base);
	snprintf(path, sizeof path, "%s/run/.cofferdam/init", upper);
	write_file(path, "", base);
	snprintf(path, sizeof path, "%s/etc/hosts", upper);
	write_file(path, "", base);
	snprintf(path, sizeof path, "%s/etc/hostname", upper);
	write_file(path, "cofferdam\n", base);
	snprintf(path, sizeof path, "%s/etc/resolv.conf", upper);
	write_file(path, "", base);
	mount_overlay(plan, layers, count, "layers/", upper, work, root, 0);
	/* The first look at a directory of both sides writes its origin to the upper one (ovl_lookup in the kernel). */
	int fd = open(root, O_PATH | O_CLOEXEC);
	for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++)
		fstatat(fd, plain[i] + 1, &st, AT_SYMLINK_NOFOLLOW);
	fstatat(fd, "tmp", &st, AT_SYMLINK_NOFOLLOW);
	fstatat(fd, plan->inside + 1, &st, AT_SYMLINK_NOFOLLOW);
	look_at_volume_mount_points(plan, fd);
	close(fd);
	reserve(1);
}

/* A file of ours over one that mount_root() made in the upper layer, which no image can have made a link of. */
static void cover(const char *container, const char *name, const char *text)
{
	char from[128], to[160];
	snprintf(from, sizeof from, "c/%s/%s", container, name);
	snprintf(to, sizeof to, "c/%s/rootfs/etc/%s", container, name);
	write_file(from, text, 0);
	if (mount(from, to, NULL, MS_BIND, NULL) ||
	    mount("", to, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL))
		die("mount %s", to);
}

/* How the container finds the addresses of names. */
void mount_names(const char *container, const char *hosts, const char *resolver)
{
	cover(container, "hosts", hosts);
	cover(container, "resolv.conf", resolver);
}
