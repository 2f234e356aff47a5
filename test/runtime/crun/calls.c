/* Makes calls that a build must not succeed with; prints `name errno` for each, 0 for success. Each runs in a child,
 * so that one that succeeds does not change what the others see. The argument is an abstract socket of the host. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, ...)                                                            \
	do {                                                                      \
		fflush(stdout);                                                   \
		if (!fork()) {                                                    \
			errno = 0;                                                \
			long got = (long)(__VA_ARGS__);                           \
			printf("%s %d\n", name, got < 0 ? errno : 0);             \
			fflush(stdout);                                           \
			_exit(0);                                                 \
		}                                                                 \
		wait(NULL);                                                       \
	} while (0)

static long reach(const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(to.sun_path + 1, name, strlen(name));
	return connect(s, (struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

#ifdef __x86_64__
/* getpid of the 32-bit table */
static long int80(void)
{
	long result = 20;
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	errno = -result;
	return result < 0 ? -1 : result;
}
#endif

int main(int argc, char **argv)
{
	char byte = 'x';
	int flags[] = { CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET };
	char name[64];
	for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
		snprintf(name, sizeof name, "unshare-%x", flags[i]);
		TRY(name, unshare(flags[i]));
		snprintf(name, sizeof name, "clone-%x", flags[i]);
		TRY(name, syscall(SYS_clone, flags[i] | 17, 0, 0, 0, 0));
	}
	TRY("clone3", syscall(SYS_clone3, 0, 0));
	TRY("setns", setns(open("/proc/self/ns/net", O_RDONLY), 0));
	TRY("mount", syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, 0));
	TRY("umount2", syscall(SYS_umount2, "/proc", 2));
	TRY("pivot_root", syscall(SYS_pivot_root, ".", "."));
	TRY("open_tree", syscall(428, -100, "/", 1));
	TRY("move_mount", syscall(429, -100, "", -100, "", 0));
	TRY("fsopen", syscall(430, "tmpfs", 0));
	TRY("mount_setattr", syscall(442, -100, "/", 0, 0, 0));
	TRY("bpf", syscall(SYS_bpf, 0, 0, 0));
	TRY("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
	TRY("io_uring_setup", syscall(425, 1, 0));
	TRY("io_uring_register", syscall(427, 0, 0, 0, 0));
	TRY("keyctl", syscall(SYS_keyctl, 0, 0));
	TRY("add_key", syscall(SYS_add_key, 0, 0, 0, 0, 0));
	TRY("request_key", syscall(SYS_request_key, 0, 0, 0, 0));
	TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, 0, 0));
	TRY("process_madvise", syscall(440, -1, 0, 0, 0, 0));
	TRY("vmsplice", syscall(SYS_vmsplice, 1, 0, 0, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
	TRY("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
	TRY("init_module", syscall(SYS_init_module, 0, 0, 0));
	TRY("syslog", syscall(SYS_syslog, 3, 0, 0));
	TRY("clock_settime", syscall(SYS_clock_settime, 0, 0));
	TRY("settimeofday", syscall(SYS_settimeofday, 0, 0));
	TRY("sethostname", sethostname("other", 5));
	TRY("swapon", syscall(SYS_swapon, "/x", 0));
	TRY("mbind", syscall(SYS_mbind, 0, 0, 0, 0, 0, 0));
	TRY("personality", syscall(SYS_personality, 0x0400000));
	TRY("TIOCSTI", syscall(SYS_ioctl, 0, 0x5412, &byte));
	TRY("mknod-char", mknod("/tmp/zero", S_IFCHR | 0666, 1 << 8 | 5));
	TRY("mknod-block", mknod("/tmp/disk", S_IFBLK | 0666, 254 << 8));
	TRY("socket-alg", socket(38, SOCK_SEQPACKET, 0));
	TRY("socket-vsock", socket(40, SOCK_STREAM, 0));
	TRY("socket-packet", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("socket-raw", socket(AF_INET, SOCK_RAW, 1));
	TRY("socket-xdp", socket(44, SOCK_RAW, 0));
	TRY("setuid-beyond", setuid(65536));
	TRY("unknown", syscall(599));
#ifdef __x86_64__
	TRY("x32", syscall(0x40000000 | 39));
	TRY("int80", int80());
#endif
	if (argc > 1)
		TRY("abstract-socket", reach(argv[1]));
	TRY("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
	TRY("chroot", chroot("/"));
	TRY("mkfifo", mkfifo("/tmp/fifo", 0666));
	TRY("socket-tcp", socket(AF_INET, SOCK_STREAM, 0));
	TRY("socket-route", socket(AF_NETLINK, SOCK_RAW, 0));
	return 0;
}
