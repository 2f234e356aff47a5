/* probe bomb NAME: takes as much of one thing as it gets, holds it for a moment, and says how much that was. */
#include "probe.h"
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <time.h>

enum { MiB = 1 << 20, HOLD_US = 300000, MOST = 1 << 20 };

static char block[MiB];
static long count;
/* What the command exits with: a build that meets a full disk fails, so the verdict can say why. */
static int code;

static _Noreturn void *sleeper(void *nothing)
{
	(void)nothing;
	for (;;)
		pause();
}

/* Writes until nothing more goes in, and keeps the descriptor. */
static void fill(int fd)
{
	while (fd >= 0 && write(fd, block, sizeof block) > 0)
		count++;
}

static void bomb_fork(void)
{
	for (; count < MOST; count++) {
		pid_t child = fork();
		if (child == 0)
			sleeper(NULL);
		if (child < 0)
			break;
	}
}

/* Each child makes more of them, until none can. */
static void bomb_tree_of_forks(void)
{
	for (int i = 0; i < 200; i++) {
		if (fork() == 0) {
			setsid();
			for (int k = 0; k < 200; k++)
				if (fork() < 0)
					usleep(1000);
		}
		count++;
	}
}

static void bomb_vfork(void)
{
	for (; count < 20000; count++) {
		pid_t child = vfork();
		if (child == 0)
			_exit(0);
		if (child < 0)
			break;
		waitpid(child, NULL, 0);
	}
}

static void bomb_threads(void)
{
	pthread_t thread;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	while (count < MOST && !pthread_create(&thread, &small, sleeper, NULL))
		count++;
}

static void bomb_memory(void)
{
	for (; count < 4096; count++) {
		char *at = mmap(NULL, MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			break;
		memset(at, 1, MiB);
	}
}

static void bomb_locked(void)
{
	for (; count < 4096; count++)
		if (mlock(mmap(NULL, MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MiB))
			break;
}

static void bomb_shm(void) { fill(open("/dev/shm/bomb", O_WRONLY | O_CREAT, 0600)); }
static void bomb_memfd(void) { fill(memfd_create("bomb", 0)); }

static void bomb_sysv(void)
{
	for (; count < 4096; count++) {
		int id = shmget(IPC_PRIVATE, MiB, IPC_CREAT | 0600);
		char *at = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
		if (at == (void *)-1)
			break;
		memset(at, 1, MiB);
		shmdt(at);
	}
}

/* A file twice as large as the memory, written and read: cached pages are taken back. */
static void bomb_cache(void)
{
	int fd = open("bomb.cache", O_RDWR | O_CREAT, 0600);
	fill(fd);
	ftruncate(fd, 24 * MiB);
	for (int times = 0; times < 10; times++) {
		lseek(fd, 0, SEEK_SET);
		while (read(fd, block, sizeof block) > 0)
			;
	}
}

static void bomb_pipes(void)
{
	for (int ends[2]; count < MOST && !pipe2(ends, O_NONBLOCK); count++) {
		fcntl(ends[1], F_SETPIPE_SZ, MiB);
		while (write(ends[1], block, 4096) > 0)
			;
	}
}

static void bomb_sockets(void)
{
	for (int ends[2]; count < MOST && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends); count++)
		while (send(ends[0], block, 65536, MSG_NOSIGNAL) > 0)
			;
}

static void bomb_inotify(void)
{
	int fd = inotify_init();
	char path[64];
	for (; count < 20000; count++) {
		snprintf(path, sizeof path, "/tmp/watched.%ld", count);
		close(open(path, O_WRONLY | O_CREAT, 0600));
		if (inotify_add_watch(fd, path, IN_ALL_EVENTS) < 0)
			break;
	}
	while (inotify_init() >= 0)
		count++;
}

static void bomb_fds(void)
{
	while (open("/dev/null", O_RDONLY) >= 0)
		count++;
}

static void bomb_epoll(void)
{
	for (int fd; (fd = epoll_create1(0)) >= 0; count++) {
		struct epoll_event event = { .events = EPOLLIN };
		epoll_ctl(fd, EPOLL_CTL_ADD, count ? fd - 1 : 0, &event);
	}
}

static void bomb_timers(void)
{
	timer_t timer;
	struct sigevent quiet = { .sigev_notify = SIGEV_NONE };
	struct itimerspec often = { { 0, 1000000 }, { 0, 1000000 } };
	for (; count < 100000 && !timer_create(CLOCK_MONOTONIC, &quiet, &timer); count++)
		timer_settime(timer, 0, &often, NULL);
}

static void bomb_locks(void)
{
	int fd = open("bomb.locked", O_RDWR | O_CREAT, 0600);
	/* The kernel looks through all of them for each. */
	for (; count < 10000; count++) {
		struct flock lock = { .l_type = F_WRLCK, .l_start = count * 2, .l_len = 1 };
		if (fcntl(fd, F_SETLK, &lock))
			break;
	}
}

static void bomb_disk(void)
{
	fill(open("bomb.disk", O_WRONLY | O_CREAT, 0600));
	code = errno == ENOSPC;
}

static void bomb_inodes(void)
{
	char path[64];
	int fd;
	mkdir("many", 0700);
	for (; count < MOST; count++) {
		snprintf(path, sizeof path, "many/%ld", count);
		if ((fd = open(path, O_WRONLY | O_CREAT, 0600)) < 0)
			break;
		close(fd);
	}
	code = errno == ENOSPC;
}

/* Names as long as they may be, one directory in another. */
static void bomb_deep(void)
{
	char name[256];
	memset(name, 'd', 255);
	name[255] = '\0';
	while (count < 10000 && !mkdir(name, 0700) && !chdir(name))
		count++;
	code = errno == ENOSPC;
}

static void bomb_sparse(void)
{
	char path[64];
	for (; count < 64; count++) {
		snprintf(path, sizeof path, "sparse.%ld", count);
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0 || (ftruncate(fd, 1LL << 40) && ftruncate(fd, 1LL << 30)))
			break;
		pwrite(fd, "x", 1, 1 << 29);
		close(fd);
	}
}

static void bomb_links(void)
{
	char path[64];
	close(open("linked", O_WRONLY | O_CREAT, 0600));
	for (; count < 70000; count++) {
		snprintf(path, sizeof path, "link.%ld", count);
		if (link("linked", path))
			break;
	}
}

static void bomb_log(void)
{
	memset(block, 'x', sizeof block);
	for (size_t i = 80; i < sizeof block; i += 81)
		block[i] = '\n';
	while (count < 64)
		count += write(1, block, sizeof block) == (ssize_t)sizeof block;
}

static void bomb_line(void)
{
	memset(block, '\0', sizeof block / 2);
	memset(block + sizeof block / 2, 0xff, sizeof block / 2);
	while (count < 64)
		count += write(1, block, sizeof block) == (ssize_t)sizeof block;
}

/* Daemons that hold the output and end for no signal that they can catch; one has stopped itself. */
static void bomb_sleepers(void)
{
	for (; count < 20; count++)
		if (fork() == 0) {
			setsid();
			if (fork())
				_exit(0);
			for (int sig = 1; sig < 65; sig++)
				signal(sig, SIG_IGN);
			if (count == 0)
				raise(SIGSTOP);
			sleeper(NULL);
		}
	while (wait(NULL) > 0)
		;
}

static void bomb_spin(void)
{
	for (; count < 3; count++)
		if (fork() == 0)
			for (;;)
				;
	usleep(HOLD_US);
}

static const struct probe bombs[] = {
	{ "fork", bomb_fork }, { "forks", bomb_tree_of_forks }, { "vfork", bomb_vfork }, { "threads", bomb_threads },
	{ "memory", bomb_memory }, { "locked", bomb_locked }, { "shm", bomb_shm }, { "memfd", bomb_memfd },
	{ "sysv", bomb_sysv }, { "cache", bomb_cache }, { "pipes", bomb_pipes }, { "sockets", bomb_sockets },
	{ "inotify", bomb_inotify }, { "fds", bomb_fds }, { "epoll", bomb_epoll }, { "timers", bomb_timers },
	{ "locks", bomb_locks }, { "disk", bomb_disk }, { "inodes", bomb_inodes }, { "deep", bomb_deep },
	{ "sparse", bomb_sparse }, { "links", bomb_links }, { "log", bomb_log }, { "line", bomb_line },
	{ "sleepers", bomb_sleepers }, { "spin", bomb_spin }, { 0 },
};

/* How long this process was ready to run and waited for a processor (sched-stats in the kernel's documentation). */
static long long queued_ns(void)
{
	long long ran, queued = 0;
	sscanf(contents("/proc/self/schedstat"), "%lld %lld", &ran, &queued);
	return queued;
}

/* What a neighbour does: computes, starts processes, writes and reads. Prints how many milliseconds that took, without those in
 * which others had the processors: shares of these are bound by a limit of their own. */
int neighbour(void)
{
	struct timespec began, ended;
	long long delay_before = queued_ns(), delay;
	volatile unsigned long sum = 0;
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int part = 0; part < 10; part++) {
		for (unsigned long i = 0; i < 15000000; i++)
			sum += i * i;
		for (int i = 0; i < 10; i++) {
			if (fork() == 0)
				_exit(0);
			wait(NULL);
		}
		int fd = open("neighbour", O_RDWR | O_CREAT | O_TRUNC, 0600);
		for (int i = 0; i < 4; i++)
			write(fd, block, sizeof block);
		lseek(fd, 0, SEEK_SET);
		while (read(fd, block, sizeof block) > 0)
			;
		close(fd);
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	delay = queued_ns() - delay_before;
	printf("%lld\n", ((ended.tv_sec - began.tv_sec) * 1000000000LL + ended.tv_nsec - began.tv_nsec - delay) / 1000000);
	return 0;
}

int bomb(const char *name)
{
	for (const struct probe *each = bombs; each->id; each++)
		if (!strcmp(each->id, name)) {
			each->run();
			usleep(HOLD_US);
			printf("%s: %ld\n", name, count);
			fflush(stdout);
			/* Children go with the container. */
			_exit(code);
		}
	return 64;
}
