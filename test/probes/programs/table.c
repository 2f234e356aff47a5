/* probe syscalls: calls every number with arguments of 0, each in a child; prints `TABLE NUMBER OUTCOME`. */
#include "probe.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>

enum { LAST = 600, X32 = 0x40000000, BLOCKED_US = 200000 };

/* Without the C library: vfork returns twice, and what returns from a function of it would find another's stack. */
static inline long native(long number)
{
#if defined(__x86_64__)
	long result = number;
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
	__asm__ volatile("syscall" : "+a"(result) : "D"(0), "S"(0), "d"(0), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = 0, x1 __asm__("x1") = 0, x2 __asm__("x2") = 0, x3 __asm__("x3") = 0,
		      x4 __asm__("x4") = 0, x5 __asm__("x5") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#endif
}

#ifdef __x86_64__
static inline long i386(long number)
{
	long result = number;
	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}
#endif

/* What a call answered, through memory that both share: a child in strict mode can do little more than exit. */
static volatile long *answer;

enum table { NATIVE, I386, X32_TABLE };

static void call(const char *name, enum table table, long number)
{
	int status;
	*answer = 1;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		/* A call that waits for nothing in particular waits for ever. */
		struct itimerval soon = { .it_value.tv_usec = BLOCKED_US };
		signal(SIGALRM, SIG_DFL);
		setitimer(ITIMER_REAL, &soon, NULL);
#ifdef __x86_64__
		*answer = table == I386 ? i386(number) : native(number);
#else
		*answer = native(number);
#endif
		syscall(SYS_exit, 0);
	}
	waitpid(child, &status, 0);
	if (table == X32_TABLE)
		number &= ~X32;
	if (WIFSIGNALED(status) && *answer == 1)
		printf("%s %ld %s\n", name, number, WTERMSIG(status) == SIGALRM ? "blocks" : sigdescr_np(WTERMSIG(status)));
	else if (*answer < 0 && *answer >= -4095)
		printf("%s %ld %s\n", name, number, strerrorname_np(-*answer) ? strerrorname_np(-*answer) : "another error");
	else
		printf("%s %ld allowed\n", name, number);
}

int syscall_table(volatile long *shared)
{
	answer = shared;
	/* A process that a call made may outlive it for a moment. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (long number = 0; number <= LAST; number++)
		/* Writes out all disks of the machine, which may take long and tells nothing. */
		if (number != SYS_sync)
			call("native", NATIVE, number);
#ifdef __x86_64__
	for (long number = 0; number <= LAST; number++)
		call("i386", I386, number);
	for (long number = 0; number <= LAST; number++)
		call("x32", X32_TABLE, X32 | number);
#endif
	return 0;
}
