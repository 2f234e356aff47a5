/* Files of the kernel, of the host and of devices. */
#include "probe.h"
#include <sys/mman.h>
#include <dirent.h>
#include <ftw.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static int note_writable(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)where;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		found("%s", path);
		close(fd);
	}
	return 0;
}

static void writable(void)
{
	const char *trees[] = { "/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/sysrq-trigger", "/proc/acpi",
				"/proc/scsi", "/proc/asound", "/proc/mtrr", "/proc/latency_stats", "/proc/tty", "/sys" };
	for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++)
		nftw(trees[i], note_writable, 64, FTW_PHYS);
}

/* What a masked path shows: an empty directory, or an empty file. */
static int empty(const char *path)
{
	char byte;
	struct stat st;
	int entries = 0;
	if (stat(path, &st))
		return errno == ENOENT;
	if (S_ISDIR(st.st_mode)) {
		DIR *directory = opendir(path);
		for (struct dirent *entry; directory && (entry = readdir(directory)); )
			entries += entry->d_name[0] != '.';
		if (directory)
			closedir(directory);
		return directory && entries == 0;
	}
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, &byte, 1);
	if (fd >= 0)
		close(fd);
	return n == 0;
}

static void masked(void)
{
	char path[128];
	for (const char *const *each = masked_paths; *each; each++)
		if (!empty(*each))
			found("%s", *each);
	for (int i = 0; i < 1024; i++) {
		snprintf(path, sizeof path, THROTTLE, i);
		if (!empty(path))
			found("%s", path);
	}
}

static int opens(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	int got = read(fd, &byte, 1) >= 0;
	close(fd);
	return got;
}

static void kernel_log(void)
{
	const char *symbols = contents("/proc/kallsyms");
	for (const char *line = symbols; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, "0000000000000000", 16) && strchr(line, '\n')) {
			found("an address in /proc/kallsyms");
			break;
		}
	if (opens("/proc/kmsg"))
		found("/proc/kmsg");
	if (opens("/dev/kmsg"))
		found("/dev/kmsg");
	if (opens("/proc/vmallocinfo"))
		found("/proc/vmallocinfo");
	if (opens("/proc/kpageflags"))
		found("/proc/kpageflags");
	if (opens("/proc/slabinfo"))
		found("/proc/slabinfo");
}

/* A file of the host, by every way that leads up or through /proc. */
static void host_file(void)
{
	const char *ways[] = { "", "..", "../..", "../../../../../../..", "/proc/1/root", "/proc/1/cwd", "/proc/self/root",
			       "/proc/self/cwd/../../..", "/dev/fd/3", "/proc/1/fd/3", "/proc/self/fd/4", "/proc/thread-self/root" };
	const char *canary = fact("file");
	char path[4096];
	if (!*canary)
		return found("no file to look for");
	for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
		snprintf(path, sizeof path, "%s%s", ways[i], canary);
		if (!access(path, F_OK))
			found("%s", path);
	}
	for (int fd = 0; fd < 256; fd++)
		if (!faccessat(fd, canary[0] == '/' ? canary + 1 : canary, F_OK, 0) || !faccessat(fd, "../facts", F_OK, 0))
			found("by descriptor %d", fd);
	/* From a root of our own, which chroot(2) gives: a directory outside it stays open. */
	int up = open("/", O_PATH | O_DIRECTORY);
	mkdir("/tmp/probe.root", 0700);
	if (!chroot("/tmp/probe.root") && !fchdir(up)) {
		for (int i = 0; i < 64; i++)
			if (chdir(".."))
				break;
		snprintf(path, sizeof path, ".%s", canary);
		if (!access(path, F_OK))
			found("above the root");
	}
}

static void device_nodes(void)
{
	TRY("zero", mknod("/tmp/probe.zero", S_IFCHR | 0666, makedev(1, 5)));
	TRY("kmem", mknod("/tmp/probe.kmem", S_IFCHR | 0666, makedev(1, 2)));
	TRY("disk", mknod("/tmp/probe.disk", S_IFBLK | 0666, makedev(254, 0)));
	TRY("in the workspace", mknod("probe.disk", S_IFBLK | 0666, makedev(7, 0)));
	TRY("in /dev", mknod("/dev/probe.disk", S_IFBLK | 0666, makedev(7, 0)));
	/* Overlayfs has whiteouts as 0/0 nodes, which anybody may make; opening one must do nothing. */
}

/* Nodes that the image, or the source, came with. */
static void planted_nodes(void)
{
	const char *planted[] = { "/planted.zero", "/workspace/planted.zero", "planted.zero" };
	struct stat st;
	for (unsigned i = 0; i < sizeof planted / sizeof *planted; i++)
		if (!lstat(planted[i], &st) && S_ISCHR(st.st_mode))
			TRY(planted[i], open(planted[i], O_RDONLY));
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static void devices(void)
{
	struct dirent **entries;
	int count = scandir("/dev", &entries, visible, by_name);
	for (int i = 0; i < count; i++)
		found("%s", entries[i]->d_name);
}

/* mode owner:group of what we mount. */
static void modes(void)
{
	const char *paths[] = { "/dev", "/dev/shm", "/dev/pts", "/dev/pts/ptmx", "/run/secrets", "/tmp" };
	struct stat st;
	for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
		if (!stat(paths[i], &st))
			found("%s %o %u:%u;", paths[i], st.st_mode & 07777, st.st_uid, st.st_gid);
}

/* A terminal of the build gets the mode and the group that the mount says, so that none of its other users can read it. */
static void terminal_mode(void)
{
	struct stat st;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	const char *name = master < 0 ? NULL : ptsname(master);
	if (!name || stat(name, &st))
		return found("no terminal: %s", strerrorname_np(errno));
	found("%s %o %u:%u", name, st.st_mode & 07777, st.st_uid, st.st_gid);
}

static void sizes(void)
{
	const struct { const char *path; unsigned long long bytes, inodes; } most[] = {
		{ "/", 0, 0 }, { "/workspace", 0, 0 }, { "/tmp", 0, 0 },
		{ "/dev", 1 << 20, 0 }, { "/dev/shm", 256 << 20, 0 }, { "/run/secrets", 1 << 20, 1024 },
	};
	unsigned long long disk = strtoull(fact("disk"), NULL, 10), inodes = strtoull(fact("inodes"), NULL, 10);
	struct statfs st;
	for (unsigned i = 0; i < sizeof most / sizeof *most; i++) {
		if (statfs(most[i].path, &st)) {
			found("no %s", most[i].path);
			continue;
		}
		unsigned long long size = (unsigned long long)st.f_blocks * st.f_bsize;
		unsigned long long bound = most[i].bytes ? most[i].bytes : disk + (1 << 20);
		unsigned long long files = most[i].inodes ? most[i].inodes : most[i].bytes ? 0 : inodes + 100;
		if (size == 0 || size > bound)
			found("%s has %llu bytes", most[i].path, size);
		if (files && (st.f_files == 0 || st.f_files > files))
			found("%s has %llu inodes", most[i].path, (unsigned long long)st.f_files);
	}
}

static void cgroups(void)
{
	const char *own = contents("/proc/self/cgroup");
	for (const char *line = own; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *path = strchr(strchr(line, ':') + 1, ':') + 1;
		if (strncmp(path, "/\n", 2))
			found("%.*s", (int)strcspn(line, "\n"), line);
	}
	if (!empty("/sys/fs/cgroup"))
		found("/sys/fs/cgroup");
}

/* A file of a lower layer, which others share: written in every way, its lower copy must stay as it was (the suite looks
 * at it from outside). Reports what could not even be tried. */
static void lower_layer(void)
{
	int fd = open("/probe.lower", O_RDWR), pipes[2];
	if (fd < 0)
		return found("no /probe.lower: %s", strerrorname_np(errno));
	if (pwrite(fd, "written", 7, 0) != 7 || ftruncate(fd, 100))
		found("write: %s", strerrorname_np(errno));
	if (pipe(pipes) || write(pipes[1], "spliced", 7) != 7 || splice(pipes[0], NULL, fd, NULL, 7, 0) != 7)
		found("splice: %s", strerrorname_np(errno));
	char *page = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		found("mmap: %s", strerrorname_np(errno));
	else
		memcpy(page, "mapped", 6), msync(page, 100, MS_SYNC);
	close(fd);
	/* From the page cache of the file into a pipe, whose pages must not be written to afterwards (CVE-2022-0847). */
	fd = open("/etc/passwd", O_RDONLY);
	if (splice(fd, NULL, pipes[1], NULL, 1, 0) != 1 || write(pipes[1], "x", 1) != 1)
		found("splice out: %s", strerrorname_np(errno));
	if (contents("/etc/passwd")[1] == 'x')
		found("wrote to a page of the cache");
}

const struct probe file_probes[] = {
	{ "8-writable", writable },
	{ "10-masked", masked },
	{ "12-kernel-log", kernel_log },
	{ "14-host-file", host_file },
	{ "16-device-nodes", device_nodes },
	{ "16-planted-nodes", planted_nodes },
	{ "16-devices", devices },
	{ "16-modes", modes },
	{ "16-terminal", terminal_mode },
	{ "18-lower-layer", lower_layer },
	{ "19-cgroups", cgroups },
	{ "27-sizes", sizes },
	{ 0 },
};
