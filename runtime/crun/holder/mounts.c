/* The mounts of a sandbox. All live in the pod's own mount namespace and go with it.
 *
 *   MOUNT/            tmpfs of ours: configs, crun's state, mount points
 *   MOUNT/disk/       the ephemeral layer of hard size: everything the build writes
 *   MOUNT/layers/     the layer store, seen through the build's id map
 *   MOUNT/source/     the source, seen through a map that makes its owner root
 *   MOUNT/workspace/  overlay: source below, disk above
 *   MOUNT/c/NAME/     one container: config.json, pid, rootfs (overlay: layers below, disk above)
 */
#include "holder.h"
#include <linux/loop.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

static void make_dir(const char *path, mode_t mode, uid_t owner)
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

/* A read-only clone of a directory of the host, its ids mapped (mount_setattr(2)). */
static void mount_mapped(const char *from, const char *to, int userns)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
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

/* fsconfig takes one layer at a time, so their number is not bound by the page that mount(2) has for options.
 * volatile: nothing of the upper layer is ever synced, for nothing of it is kept. */
static void mount_overlay(const struct plan *plan, char **layers, int count, const char *prefix, const char *upper,
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

/* Copies the template's data, not its holes; the copy never has a name, so nothing is left to sweep. */
static int copy_template(const char *template)
{
	char directory[4096];
	struct stat st;
	snprintf(directory, sizeof directory, "%s", template);
	*strrchr(directory, '/') = '\0';
	int from = open(template, O_RDONLY | O_CLOEXEC);
	int to = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st) || ftruncate(to, st.st_size))
		die("disk %s", template);
	for (off_t at = 0, end; (at = lseek(from, at, SEEK_DATA)) >= 0; at = end) {
		end = lseek(from, at, SEEK_HOLE);
		for (off_t in = at, out = at; in < end; )
			if (copy_file_range(from, &in, to, &out, end - in, 0) <= 0)
				die("disk %s", template);
	}
	close(from);
	return to;
}

static void mount_ext4(const char *template)
{
	char device[64];
	struct loop_config config = { .fd = copy_template(template), .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop;
	if (control < 0)
		die("/dev/loop-control");
	for (int tries = 0; ; tries++) {
		int free = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(device, sizeof device, "/dev/loop%d", free);
		loop = free < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
		if (loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config))
			break;
		if (tries == 1000 || (loop >= 0 && errno != EBUSY))
			die("loop device");
		close(loop);
		usleep(500);
	}
	if (mount(device, "disk", "ext4", MS_NODEV | MS_NOATIME, "noinit_itable,nobarrier"))
		die("mount %s", device);
	close(loop);
	close(control);
	close(config.fd);
}

enum { RESERVE_FILES = 24, RESERVE_BYTES = 128 << 10 };

/* Room for the directories of further containers, which must start on a full disk too (the reader of artifacts, a
 * step that runs after a failure). The filesystem's own reserve does not do: overlayfs writes as its mounter. */
static void reserve(int keep)
{
	char path[64];
	if (!keep) {
		for (int i = 0; i < RESERVE_FILES; i++) {
			snprintf(path, sizeof path, "disk/reserve/%d", i);
			unlink(path);
		}
		return;
	}
	mkdir("disk/reserve", 0700);
	for (int i = 0; i < RESERVE_FILES; i++) {
		snprintf(path, sizeof path, "disk/reserve/%d", i);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0 && i == 0 && fallocate(fd, 0, 0, RESERVE_BYTES))
			errno = 0;
		close(fd);
	}
}

static void mount_tmpfs(const struct plan *plan)
{
	char options[128];
	snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0755", plan->disk_bytes + RESERVE_BYTES,
		 plan->disk_inodes + RESERVE_FILES + 16);
	if (mount("cofferdam", "disk", "tmpfs", MS_NODEV | MS_NOATIME, options))
		die("tmpfs");
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
	char *nothing[] = { "empty" }, *source[] = { "source" };

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
	make_dir("empty", 0755, spaces->base);
	make_dir("disk", 0755, 0);
	if (!strcmp(plan->disk, "tmpfs"))
		mount_tmpfs(plan);
	else
		mount_ext4(plan->template);
	mount_mapped(plan->layers, "layers", spaces->user);

	make_dir("workspace", 0755, 0);
	make_dir("disk/workspace", 0755, spaces->base);
	make_dir("disk/workspace.work", 0755, spaces->base);
	if (plan->source)
		mount_mapped(plan->source, "source", spaces->source_user);
	mount_overlay(plan, plan->source ? source : nothing, 1, "", "disk/workspace", "disk/workspace.work", "workspace",
		      MOUNT_ATTR_NOSUID);
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
	static const char *plain[] = { "/dev", "/proc", "/sys", "/etc", "/run/.cofferdam" };
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
	snprintf(path, sizeof path, "%s/run/.cofferdam/init", upper);
	write_file(path, "", base);
	snprintf(path, sizeof path, "%s/etc/hosts", upper);
	write_file(path, "127.0.0.1 localhost cofferdam\n::1 localhost ip6-localhost\n", base);
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
	close(fd);
	reserve(1);
}

/* Makes a path of the source invisible: a whiteout in the upper layer, below copies of its directories. */
void hide(const char *hidden)
{
	char path[4096], below[4096];
	struct stat st;
	snprintf(path, sizeof path, "disk/workspace/%s", hidden);
	for (char *slash = path + strlen("disk/workspace/"); (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		snprintf(below, sizeof below, "source/%s", path + strlen("disk/workspace/"));
		if (lstat(below, &st) || !S_ISDIR(st.st_mode))
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

void disk_state(uint64_t *used, uint64_t *free_bytes, uint64_t *free_inodes)
{
	struct statvfs st;
	*used = *free_bytes = *free_inodes = 0;
	if (statvfs("disk", &st))
		return;
	*used = (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
	*free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	*free_inodes = st.f_favail;
}
