/* A range of ids for this build alone, and the namespaces that belong to it. */
#include "holder.h"
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The lock stays with outer and pod, so a range is free again when no process of the build is left. */
int take_slot(const struct plan *plan, unsigned *base)
{
	char path[4096];
	for (unsigned long i = 0; i < plan->slot_count; i++) {
		snprintf(path, sizeof path, "%s/%lu", plan->slots, i);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			die("id range %s", path);
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			*base = plan->first_id + i * IDS;
			return 0;
		}
		close(fd);
	}
	return -1;
}

static int open_space(pid_t child, const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%s", child, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int write_map(pid_t child, const char *file, const char *map)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", child, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int bad = fd < 0 || write(fd, map, strlen(map)) < 0;
	close(fd);
	return bad;
}

/* What a fresh network and UTS namespace needs; the child owns both through its user namespace. */
static void furnish(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &lo) || sethostname("cofferdam", 9))
		_exit(1);
}

/* A user namespace (and others that it owns) as descriptors; no process stays. */
static pid_t begin(int flags, int gate[2])
{
	if (pipe2(gate, O_CLOEXEC))
		return -1;
	pid_t child = syscall(SYS_clone, CLONE_NEWUSER | flags | SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		char byte;
		close(gate[1]);
		if (flags & CLONE_NEWNET)
			furnish();
		if (read(gate[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(gate[0]);
	return child;
}

static int finish(pid_t child, int gate[2])
{
	int status;
	close(gate[1]);
	if (waitpid(child, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The owner of the source becomes root inside; root's files take the owner's place. One to one, as the kernel
 * demands (user_namespaces(7)). */
static void owner_map(char *map, size_t size, unsigned owner, unsigned base)
{
	if (owner == 0)
		snprintf(map, size, "0 %u %u\n", base, IDS);
	else if (owner >= IDS)
		snprintf(map, size, "%u %u 1\n1 %u %u\n", owner, base, base + 1, IDS - 1);
	else {
		int n = snprintf(map, size, "0 %u 1\n%u %u 1\n", base + owner, owner, base);
		if (owner > 1)
			n += snprintf(map + n, size - n, "1 %u %u\n", base + 1, owner - 1);
		if (owner < IDS - 1)
			snprintf(map + n, size - n, "%u %u %u\n", owner + 1, base + owner + 1, IDS - 1 - owner);
	}
}

static int source_space(const struct list *sources, unsigned base)
{
	struct stat st, other;
	char uids[256], gids[256];
	int gate[2];
	for (int i = 0; i < sources->count; i++) {
		if (stat(sources->item[i], i ? &other : &st))
			die("source %s", sources->item[i]);
		if (i && (other.st_uid != st.st_uid || other.st_gid != st.st_gid))
			fail("sources of several owners: %s and %s", sources->item[0], sources->item[i]);
	}
	owner_map(uids, sizeof uids, st.st_uid, base);
	owner_map(gids, sizeof gids, st.st_gid, base);
	pid_t child = begin(0, gate);
	if (child < 0 || write_map(child, "uid_map", uids) || write_map(child, "gid_map", gids))
		return -1;
	int fd = open_space(child, "user");
	return finish(child, gate) ? -1 : fd;
}

int make_spaces(struct spaces *spaces, const struct list *sources)
{
	int gate[2];
	char map[64];
	snprintf(map, sizeof map, "0 %u %u\n", spaces->base, IDS);
	pid_t child = begin(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, gate);
	if (child < 0 || write_map(child, "uid_map", map) || write_map(child, "gid_map", map))
		return -1;
	spaces->user = open_space(child, "user");
	spaces->net = open_space(child, "net");
	spaces->ipc = open_space(child, "ipc");
	spaces->uts = open_space(child, "uts");
	spaces->source_user = sources->count ? source_space(sources, spaces->base) : -1;
	if (spaces->user < 0 || spaces->net < 0 || spaces->ipc < 0 || spaces->uts < 0)
		return -1;
	if (sources->count && spaces->source_user < 0)
		return -1;
	return finish(child, gate);
}
