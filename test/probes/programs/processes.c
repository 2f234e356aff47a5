/* What a process of a build is, what it may use, and which others it sees. */
#include "probe.h"
#include <dirent.h>
#include <ftw.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

static void status_field(const char *name)
{
	const char *line = strstr(contents("/proc/self/status"), name);
	if (line)
		found("%.*s", (int)strcspn(line + strlen(name) + 1, "\n"), line + strlen(name) + 1);
}

static void capabilities(void)
{
	status_field("CapEff:");
	status_field("CapPrm:");
	status_field("CapBnd:");
	status_field("CapInh:");
	status_field("CapAmb:");
}

static void no_new_privileges(void) { status_field("NoNewPrivs:"); }
static void filtered(void) { status_field("Seccomp:"); }

static int copy_self(const char *to)
{
	char block[65536];
	ssize_t n;
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700), bad = in < 0 || out < 0;
	while (!bad && (n = read(in, block, sizeof block)) > 0)
		bad = write(out, block, n) != n;
	close(in);
	close(out);
	return bad;
}

/* A set-user-id copy of this program that belongs to root of the container, run by somebody else: exits with its effective
 * uid. */
static void set_user_id(void)
{
	int status;
	if (copy_self("/tmp/probe.suid") || chmod("/tmp/probe.suid", 04755))
		return found("no copy");
	pid_t child = fork();
	if (child == 0) {
		if (setgid(100) || setuid(100))
			_exit(255);
		execl("/tmp/probe.suid", "probe", "uid", NULL);
		_exit(254);
	}
	waitpid(child, &status, 0);
	unlink("/tmp/probe.suid");
	found("%d", WEXITSTATUS(status));
}

static void id_maps(void)
{
	const char *files[] = { "/proc/self/uid_map", "/proc/self/gid_map" };
	unsigned inside, outside, count;
	for (int i = 0; i < 2; i++) {
		const char *map = contents(files[i]), *second = strchr(map, '\n');
		if (sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 || (second && second[1]))
			found("not one range");
		else if (inside != 0 || count != 65536 || outside < 0x70000000)
			found("%u is %u outside, %u ids;", inside, outside, count);
		else
			found("own range;");
	}
}

/* /dev/null is an inode of the host. */
static void host_inode(void)
{
	struct stat st;
	TRY("chmod", stat("/dev/null", &st) ? -1 : chmod("/dev/null", st.st_mode & 07777));
	TRY("chown", chown("/dev/null", -1, 1));
	TRY("utime", utimensat(AT_FDCWD, "/dev/null", (struct timespec[]){ { 0, UTIME_OMIT }, { 1, 0 } }, 0));
}

static void namespaces(void)
{
	const char *names[] = { "cgroup", "ipc", "mnt", "net", "pid", "user", "uts" };
	char path[64], link[64], name[32];
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
		snprintf(name, sizeof name, "ns.%s", names[i]);
		ssize_t n = readlink(path, link, sizeof link - 1);
		link[n < 0 ? 0 : n] = '\0';
		if (n < 0 || !*fact(name) || !strcmp(link, fact(name)))
			found("%s", names[i]);
	}
}

static void host_name(void)
{
	char name[256] = "";
	gethostname(name, sizeof name - 1);
	found("%s", name);
}

/* Those that are not as the suite says they were asked for. */
static void limits(void)
{
	const struct { const char *name; int resource; } all[] = {
		{ "RLIMIT_CORE", RLIMIT_CORE }, { "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK }, { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
		{ "RLIMIT_NOFILE", RLIMIT_NOFILE }, { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	};
	struct rlimit limit;
	char text[128];
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		getrlimit(all[i].resource, &limit);
		snprintf(text, sizeof text, "%llu %llu", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
		if (strcmp(text, fact(all[i].name)))
			found("%s is %s;", all[i].name, text);
	}
}

static void raised_limits(void)
{
	const int all[] = { RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NOFILE, RLIMIT_SIGPENDING };
	struct rlimit limit;
	char name[16];
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		snprintf(name, sizeof name, "%d", all[i]);
		TRY(name, ({ getrlimit(all[i], &limit); limit.rlim_cur = ++limit.rlim_max; setrlimit(all[i], &limit); }));
	}
}

static long queue_of(long messages)
{
	struct mq_attr attributes = { .mq_maxmsg = messages, .mq_msgsize = 8192 };
	mqd_t queue = mq_open("/probe", O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
	mq_unlink("/probe");
	return queue;
}

/* As many queues as go: what they may hold together is bounded for the user. */
static long many_queues(void)
{
	char name[32];
	long failed = 0;
	for (int i = 0; i < 64 && !failed; i++) {
		struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
		snprintf(name, sizeof name, "/probe.%d", i);
		failed = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes) < 0 ? errno : 0;
	}
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof name, "/probe.%d", i);
		mq_unlink(name);
	}
	errno = failed;
	return failed ? -1 : 0;
}

static void bounded(void)
{
	TRY("mlock", mlock(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 20));
	TRY("message queues", many_queues());
	TRY("one message queue", queue_of(1));
	TRY("signals", ({ sigset_t set; sigemptyset(&set); sigaddset(&set, SIGRTMIN); sigprocmask(SIG_BLOCK, &set, NULL);
		long bad = 0; for (int i = 0; i < 20000 && !bad; i++) bad = sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 }); bad; }));
	TRY("priority", nice(-1) == -1 && errno ? -1 : 0);
	TRY("oom score", ({ int fd = open("/proc/self/oom_score_adj", O_WRONLY); write(fd, "-1000", 5) < 0 ? -1 : 0; }));
	TRY("real time", ({ struct sched_param p = { 1 }; sched_setscheduler(0, SCHED_FIFO, &p); }));
}

static void oom_score(void) { found("%d", atoi(contents("/proc/self/oom_score_adj"))); }

static void mask_of_files(void)
{
	mode_t mask = umask(0);
	umask(mask);
	found("%03o", mask);
}

static void session(void)
{
	pid_t leader = getsid(0);
	found(leader > 1 ? "own" : "of %d", leader);
}

static void descriptors(void)
{
	struct stat st;
	char link[256];
	for (int fd = 0; fd < 1024; fd++) {
		char path[32];
		if (fstat(fd, &st))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, link, sizeof link - 1);
		link[n < 0 ? 0 : n] = '\0';
		if (S_ISFIFO(st.st_mode) && (fd == 1 || fd == 2))
			continue;
		/* Our own stderr is there too. */
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) && (fd == 0 || fd == 2))
			continue;
		found("%d is %s", fd, link);
	}
}

/* The init shares our uid; that it is not dumpable keeps us out. */
static void init_is_closed(void)
{
	const char *files[] = { "environ", "mem", "maps", "auxv", "stack", "pagemap" };
	const char *links[] = { "cwd", "root", "exe", "fd/3", "ns/mnt" };
	char path[64], target[256];
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "/proc/1/%s", files[i]);
		TRY(files[i], ({ int fd = open(path, O_RDONLY); fd < 0 ? -1 : read(fd, target, 1) < 0 ? -1 : 0; }));
	}
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(path, sizeof path, "/proc/1/%s", links[i]);
		TRY(links[i], readlink(path, target, sizeof target));
	}
}

static void init_is_untraceable(void)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };
	/* Unlike PTRACE_ATTACH, it does not stop what it seizes. */
	TRY("ptrace", ptrace(PTRACE_SEIZE, 1, 0, 0));
	TRY("process_vm_readv", process_vm_readv(1, &local, 1, &remote, 1, 0));
	TRY("pidfd_getfd", ({ int fd = syscall(434, 1, 0); fd < 0 ? -1 : syscall(438, fd, 3, 0); }));
}

static void outside_process(void)
{
	char byte, path[64];
	pid_t pid = atoi(fact("pid"));
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };
	if (pid <= 0)
		return found("no process to look for");
	TRY("kill", kill(pid, 0));
	TRY("ptrace", ptrace(PTRACE_SEIZE, pid, 0, 0));
	TRY("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0));
	TRY("pidfd_open", syscall(434, pid, 0));
	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	TRY("environ", open(path, O_RDONLY) < 0 ? (errno = errno == ENOENT ? ESRCH : errno, -1) : 0);
}

/* Nothing that we see has a parent that we do not, but the init. */
static void visible_processes(void)
{
	DIR *processes = opendir("/proc");
	for (struct dirent *entry; processes && (entry = readdir(processes)); ) {
		char path[300];
		int pid = atoi(entry->d_name), parent = -1;
		if (pid <= 1)
			continue;
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		const char *stat = contents(path), *end = strrchr(stat, ')');
		if (end && sscanf(end + 2, "%*c %d", &parent) == 1 && parent == 0)
			found("%d is %.*s", pid, (int)strcspn(stat, ")"), stat);
	}
	if (processes)
		closedir(processes);
}

static const char *canary;

static int note_canary(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_F && S_ISREG(st->st_mode) && st->st_size < 65536 && holds(path, canary))
		found("%s", path);
	return 0;
}

/* A secret of the platform, in whatever a process can read of itself and others; not in the facts, and not in what has them
 * in its memory: us. */
static void secret_search(void)
{
	const char *trees[] = { "/etc", "/run", "/tmp", "/root", "/home", "/var/tmp" };
	char path[300];
	canary = strdup(fact("canary"));
	if (!*canary)
		return found("no canary to look for");
	if (holds("/proc/cmdline", canary))
		found("/proc/cmdline");
	for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++)
		nftw(trees[i], note_canary, 64, FTW_PHYS | FTW_MOUNT);
	DIR *processes = opendir("/proc");
	for (struct dirent *entry; processes && (entry = readdir(processes)); )
		if (atoi(entry->d_name) > 0) {
			snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
			if (holds(path, canary))
				found("%s", path);
			snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
			if (holds(path, canary))
				found("%s", path);
		}
	if (processes)
		closedir(processes);
}

const struct probe process_probes[] = {
	{ "6-capabilities", capabilities },
	{ "6-no-new-privileges", no_new_privileges },
	{ "6-filtered", filtered },
	{ "6-set-user-id", set_user_id },
	{ "7-ids", id_maps },
	{ "7-host-inode", host_inode },
	{ "7-namespaces", namespaces },
	{ "7-host-name", host_name },
	{ "15-descriptors", descriptors },
	{ "15-init", init_is_closed },
	{ "15-init-memory", init_is_untraceable },
	{ "26-oom-score", oom_score },
	{ "28-limits", limits },
	{ "28-raised-limits", raised_limits },
	{ "28-bounded", bounded },
	{ "28-umask", mask_of_files },
	{ "30-session", session },
	{ "48-secrets", secret_search },
	{ "50-outside", outside_process },
	{ "50-visible", visible_processes },
	{ 0 },
};
