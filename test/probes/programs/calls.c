/* System calls that could lead out of the sandbox. Their arguments are such that a kernel without our filter would do them,
 * or answer with another error, wherever there are such arguments. */
#include "probe.h"
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>

static const struct { const char *name; int flag; } spaces[] = {
	{ "mount", CLONE_NEWNS }, { "cgroup", CLONE_NEWCGROUP }, { "uts", CLONE_NEWUTS }, { "ipc", CLONE_NEWIPC },
	{ "user", CLONE_NEWUSER }, { "pid", CLONE_NEWPID }, { "net", CLONE_NEWNET }, { "time", 0x80 },
};

static void unshare_each(void)
{
	for (unsigned i = 0; i < sizeof spaces / sizeof *spaces; i++)
		TRY(spaces[i].name, unshare(spaces[i].flag));
}

/* The new process ends at once; clone has no NEWTIME. */
static long clone_with(int flags)
{
	long pid = syscall(SYS_clone, flags | 17, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return pid;
}

static void clone_each(void)
{
	for (unsigned i = 0; i < 7; i++)
		TRY(spaces[i].name, clone_with(spaces[i].flag));
}

static void clone3(void)
{
	TRY("nothing", syscall(SYS_clone3, 0, 0));
	struct { unsigned long long flags, pidfd, child, parent, signal, stack, size, tls; } args = { .flags = CLONE_NEWUSER };
	TRY("user", ({ long pid = syscall(SYS_clone3, &args, sizeof args); if (pid == 0) _exit(0); pid; }));
}

static void join_space(void)
{
	TRY("net", setns(open("/proc/self/ns/net", O_RDONLY), 0));
	TRY("user", setns(open("/proc/self/ns/user", O_RDONLY), CLONE_NEWUSER));
}

static void mounts(void)
{
	TRY("mount", syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, 0));
	TRY("remount", syscall(SYS_mount, "", "/sys", 0, 32 | 4096, 0));
	TRY("umount2", syscall(SYS_umount2, "/nowhere", 2));
	TRY("pivot_root", syscall(SYS_pivot_root, "/nowhere", "."));
	TRY("open_tree", syscall(428, AT_FDCWD, "/", 0));
	TRY("move_mount", syscall(429, -1, "", -1, "", 0));
	TRY("fsopen", syscall(430, "tmpfs", 0));
	TRY("fsconfig", syscall(431, -1, 0, 0, 0, 0));
	TRY("fsmount", syscall(432, -1, 0, 0));
	TRY("fspick", syscall(433, AT_FDCWD, "/", 0));
	TRY("mount_setattr", syscall(442, AT_FDCWD, "/", 0, 0, 0));
}

static void kernel_parts(void)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .exclude_kernel = 1 };
	pid_t self = getpid();
	TRY("bpf", syscall(SYS_bpf, 9999, 0, 0));
	TRY("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, 0, 0));
	TRY("process_madvise", syscall(440, -1, 0, 0, 0, 0));
	TRY("vmsplice", syscall(SYS_vmsplice, -1, 0, 0, 0));
	TRY("kcmp", syscall(SYS_kcmp, self, self, 1, 0, 0));
	TRY("fanotify_init", syscall(SYS_fanotify_init, 0x200, 0));
	TRY("mbind", syscall(SYS_mbind, 0, 0, 0, 0, 0, 0));
	TRY("set_mempolicy", syscall(SYS_set_mempolicy, 0, 0, 0));
	TRY("move_pages", syscall(SYS_move_pages, 0, 0, 0, 0, 0, 0));
	TRY("migrate_pages", syscall(SYS_migrate_pages, 0, 0, 0, 0));
}

static void keyrings(void)
{
	TRY("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
	TRY("add_key", syscall(SYS_add_key, "user", "probe", "x", 1, KEY_SPEC_PROCESS_KEYRING));
	TRY("request_key", syscall(SYS_request_key, "user", "probe", 0, 0));
}

static void host_calls(void)
{
	char byte;
	TRY("init_module", syscall(SYS_init_module, 0, 0, 0));
	TRY("finit_module", syscall(SYS_finit_module, -1, "", 0));
	TRY("delete_module", syscall(SYS_delete_module, "nothing", 0));
	TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	TRY("swapon", syscall(SYS_swapon, "/nowhere", 0));
	TRY("swapoff", syscall(SYS_swapoff, "/nowhere"));
	TRY("acct", syscall(SYS_acct, "/nowhere"));
	TRY("quotactl", syscall(SYS_quotactl, 0, 0, 0, 0));
	TRY("syslog", syscall(SYS_syslog, 3, &byte, 1));
	TRY("vhangup", syscall(SYS_vhangup));
	TRY("sethostname", sethostname("cofferdam", 9));
	TRY("setdomainname", setdomainname("(none)", 6));
#ifdef __x86_64__
	TRY("iopl", syscall(SYS_iopl, 3));
	TRY("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
	TRY("ustat", syscall(SYS_ustat, 0, 0));
	TRY("uselib", syscall(SYS_uselib, 0));
#endif
}

static void io_uring(void)
{
	char parameters[120] = "";
	TRY("setup", syscall(425, 1, parameters));
	TRY("enter", syscall(426, -1, 0, 0, 0, 0, 0));
	TRY("register", syscall(427, -1, 0, 0, 0));
}

static void clocks(void)
{
	struct timespec now;
	struct timex query = { 0 };
	clock_gettime(CLOCK_REALTIME, &now);
	TRY("clock_settime", syscall(SYS_clock_settime, CLOCK_MONOTONIC, &now));
	TRY("settimeofday", syscall(SYS_settimeofday, 0, 0));
	TRY("adjtimex", syscall(SYS_adjtimex, &query));
	TRY("clock_adjtime", syscall(SYS_clock_adjtime, CLOCK_REALTIME, &query));
}

static void terminals(void)
{
	char byte = 'x';
	TRY("TIOCSTI", syscall(SYS_ioctl, 0, 0x5412, &byte));
	TRY("TIOCLINUX", syscall(SYS_ioctl, 0, 0x541c, &byte));
	/* The kernel takes the lower half of the word. */
	TRY("TIOCSTI with more bits", syscall(SYS_ioctl, 0, 0x100005412, &byte));
}

static void personality(void)
{
	TRY("READ_IMPLIES_EXEC", syscall(SYS_personality, 0x0400000));
	TRY("MMAP_PAGE_ZERO", syscall(SYS_personality, 0x0100000));
	TRY("ADDR_COMPAT_LAYOUT", syscall(SYS_personality, 0x0200000));
}

/* Each family with every type: a family passes when the kernel would make any socket of it. */
static void families(void)
{
	const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM };
	for (int family = 0; family <= 45; family++) {
		int passes = 0;
		for (unsigned i = 0; i < sizeof types / sizeof *types; i++)
			passes |= socket(family, types[i], 0) >= 0;
		if (passes)
			found("%d", family);
	}
}

static void refused_families(void)
{
	const int families[] = { 38, 40, 17, 44, 0, 3, 15, 21, 29, 30, 31, 35, 39, 41, 43, 45, 46, 255 };
	char name[16];
	for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
		snprintf(name, sizeof name, "%d", families[i]);
		TRY(name, socket(families[i], SOCK_RAW, 0));
	}
}

static void unknown_calls(void)
{
	TRY("599", syscall(599));
	TRY("the last number", syscall(0x3fffffff));
	TRY("a negative number", syscall(-2));
	/* Not listed, and in every kernel. */
#ifdef __x86_64__
	TRY("modify_ldt", syscall(SYS_modify_ldt, 0, 0, 0));
	TRY("sysfs", syscall(SYS_sysfs, 3));
#endif
}

#ifdef __x86_64__
static long int80(long number, long first, const void *second)
{
	long result = number;
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(first), "c"(second) : "memory", "r8", "r9", "r10", "r11");
	errno = -result;
	return result < 0 ? -1 : result;
}

/* socketcall of the 32-bit table reaches families that a filter of socket(2) cannot see. */
static void i386_calls(void)
{
	static unsigned alg[] = { 38, SOCK_SEQPACKET, 0 };
	TRY("getpid", int80(20, 0, NULL));
	TRY("socketcall", int80(102, 1, alg));
	TRY("mount", int80(21, 0, NULL));
	TRY("unshare", int80(310, 0, NULL));
}

static void x32_calls(void)
{
	TRY("getpid", syscall(0x40000000 | 39));
	TRY("unshare", syscall(0x40000000 | SYS_unshare, 0));
	TRY("execve", syscall(0x40000000 | 520, 0, 0, 0));
}
#endif

/* What builds need: a filter that refused it would hide behind the probes above. */
static void needed(void)
{
	TRY("fork", clone_with(0));
	TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
	TRY("chroot", chroot("/"));
	TRY("mkfifo", ({ unlink("/tmp/probe.fifo"); mkfifo("/tmp/probe.fifo", 0600); }));
	TRY("tcp", socket(AF_INET, SOCK_STREAM, 0));
	TRY("route", socket(AF_NETLINK, SOCK_RAW, 0));
	TRY("gdb", syscall(SYS_personality, 0x0040000));
}

const struct probe call_probes[] = {
	{ "2-unshare", unshare_each },
	{ "2-clone", clone_each },
	{ "2-clone3", clone3 },
	{ "2-setns", join_space },
	{ "3-mounts", mounts },
	{ "4-kernel-parts", kernel_parts },
	{ "4-keyrings", keyrings },
	{ "4-host", host_calls },
	{ "4-io-uring", io_uring },
	{ "4-unknown", unknown_calls },
#ifdef __x86_64__
	{ "5-i386", i386_calls },
	{ "5-x32", x32_calls },
#endif
	{ "9-families", families },
	{ "9-refused-families", refused_families },
	{ "13-clocks", clocks },
	{ "4-terminals", terminals },
	{ "4-personality", personality },
	{ "0-needed", needed },
	{ 0 },
};
