/* The pod: PID 1 of the sandbox. Starts containers, passes commands to them and their output to the worker.
 *
 * From the worker, each message a 32-bit length and that many bytes of NUL-terminated strings:
 *   hide PATH...                      paths of the source that stay unseen; before the first container
 *   volume PATH LOCK LAYER...         seen by all containers that start later; after hide
 *   target N DIRECTORY                of the host, to take a copy of volume N, from 0
 *   container NAME PLACE CONFIG HOSTS LOCK LAYER...
 *                                     PLACE: limited (in the build's cgroups, with all that its containers share),
 *                                     reader (not in them; sees the workspace) or trusted (not in them; sees nothing);
 *                                     HOSTS: the text of /etc/hosts
 *   run ID NAME CWD USER ARGC ARG... ENV...   and, if there are secrets, an empty string and NAME CONTENT...
 *   signal NAME NUMBER ID             to every process of the container but its init; or, ID not 0, of that command
 *   kill NAME
 *   usage
 * To the worker, frames: N the network is there (id: its number; from outer), R ready (id: first id of the range),
 * L output of command id, X end of command id, G container gone (payload: name), U usage, E fatal error (payload: text).
 */
#include "holder.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { MAX_CONTAINERS = 256, MAX_RUNS = 1024, CHUNK = 256 << 10, MAX_MESSAGE = 64 << 20 };

struct container { char name[64]; pid_t pid; int control; };
/* left: bytes in the pipe that were written before the command ended. */
struct run {
	uint32_t id;
	int container, output;
	enum { RUNNING, ENDED, REPORTED } state;
	int32_t status;
	size_t left;
};

static const struct plan *plan;
static const struct spaces *spaces;
static struct container containers[MAX_CONTAINERS];
static struct run runs[MAX_RUNS];
static int container_count, run_count;
static uint64_t peak;

static int backlog(void) { return outbox.end > outbox.start; }

/* The worker reads slowly, or not at all: what it does not take waits here, and output is not read meanwhile. */
static void flush(void)
{
	while (backlog()) {
		ssize_t n = write(WORKER, outbox.data + outbox.start, outbox.end - outbox.start);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			_exit(0);
		outbox.start += n;
	}
	outbox.start = outbox.end = 0;
}

static void send_frame(uint32_t type, uint32_t id, const void *data, size_t size)
{
	struct frame frame = { type, id, size };
	if (outbox.end + sizeof frame + size > CHUNK * 2)
		fail("too much at once for the worker");
	memcpy(outbox.data + outbox.end, &frame, sizeof frame);
	memcpy(outbox.data + outbox.end + sizeof frame, data, size);
	outbox.end += sizeof frame + size;
	flush();
}

static uint64_t sample(uint64_t *free_bytes, uint64_t *free_inodes)
{
	uint64_t used;
	disk_state(&used, free_bytes, free_inodes);
	if (used > peak)
		peak = used;
	return *free_bytes;
}

static void send_end(struct run *run)
{
	struct { int64_t status; uint64_t peak, free_bytes, free_inodes; } end = { .status = run->status };
	sample(&end.free_bytes, &end.free_inodes);
	end.peak = peak;
	send_frame('X', run->id, &end, sizeof end);
	run->state = REPORTED;
}

/* Reads at most size bytes of output straight behind a frame header in the outbox: one copy, no more. */
static ssize_t pump(struct run *run, size_t size)
{
	struct frame *frame = (struct frame *)outbox.data;
	ssize_t n = read(run->output, outbox.data + sizeof *frame, size);
	if (n <= 0)
		return n;
	*frame = (struct frame){ 'L', run->id, n };
	outbox.start = 0;
	outbox.end = sizeof *frame + n;
	flush();
	return n;
}

static struct container *find(const char *name)
{
	for (int i = 0; i < container_count; i++)
		if (!strcmp(containers[i].name, name) && containers[i].pid > 0)
			return &containers[i];
	return NULL;
}

static void write_config(const char *name, const char *config)
{
	char path[128];
	snprintf(path, sizeof path, "c/%s", name);
	if (mkdir(path, 0755))
		die("container %s", name);
	snprintf(path, sizeof path, "c/%s/rootfs", name);
	if (mkdir(path, 0755) || chown(path, spaces->base, spaces->base))
		die("container %s", name);
	snprintf(path, sizeof path, "c/%s/config.json", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("container %s", name);
	write_all(fd, config, strlen(config));
	close(fd);
}

/* crun and what it starts inherit the cgroups. Writing 0, the writer itself, takes no global lock
 * (cgroup_procs_write_start in the kernel), which a move by number would. */
static void join_cgroup(const char *file)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1) {
		dprintf(2, "join %s: %s\n", file, strerror(errno));
		_exit(70);
	}
	close(fd);
}

static void join_cgroups(const char *container)
{
	char path[PATH_MAX];
	for (int i = 0; i < plan->join.count; i++)
		join_cgroup(plan->join.item[i]);
	for (int i = 0; i < plan->each.count; i++) {
		snprintf(path, sizeof path, "%s/%s", plan->each.item[i], container);
		if (mkdir(path, 0755)) {
			dprintf(2, "cgroup %s: %s\n", path, strerror(errno));
			_exit(70);
		}
		snprintf(path, sizeof path, "%s/%s/%s", plan->each.item[i], container, plan->each_file);
		join_cgroup(path);
	}
}

static pid_t read_pid(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		die("crun left no %s", path);
	close(fd);
	return atoi(text);
}

static void exec_crun(const char *name, int limited, int control, int errors)
{
	char bundle[4096], pid_file[4200], root[4096], program[4096];
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	dup2(errors, 1);
	dup2(errors, 2);
	if (limited)
		join_cgroups(name);
	dup2(control, 3);
	snprintf(bundle, sizeof bundle, "%s/c/%s", plan->mount, name);
	snprintf(pid_file, sizeof pid_file, "%s/pid", bundle);
	snprintf(root, sizeof root, "%s/run", plan->mount);
	snprintf(program, sizeof program, "%s/crun", plan->mount);
	char *environment[] = { "_LIBCONTAINER_CLONED_BINARY=1", NULL };
	execle(program, "crun", "--root", root, "--cgroup-manager=disabled", "run", "--detach", "--preserve-fds=1",
	       "--bundle", bundle, "--pid-file", pid_file, name, NULL, environment);
	dprintf(2, "%s: %s\n", plan->crun, strerror(errno));
	_exit(70);
}

/* Waits for crun. No message is read meanwhile, so the end of the stream, which ends the sandbox, is watched here. */
static int await_crun(pid_t crun)
{
	int status, watch = syscall(SYS_pidfd_open, crun, 0);
	struct pollfd polled[] = { { watch, POLLIN, 0 }, { WORKER, POLLRDHUP, 0 } };
	if (watch < 0)
		die("crun");
	while (poll(polled, 2, -1) < 0)
		if (errno != EINTR)
			die("poll");
	if (!polled[0].revents)
		_exit(0);
	close(watch);
	while (waitpid(crun, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Starts a container and waits until its init runs. */
static void start_container(char **words, int count)
{
	const char *name = words[0];
	int control[2], errors[2];
	char text[2048], path[128];
	size_t have = 0;
	ssize_t n;

	if (container_count == MAX_CONTAINERS || strlen(name) >= sizeof containers->name)
		fail("container %s: too many containers, or too long a name", name);
	if (*words[4])
		hold_lock("image", words[4]);
	write_config(name, words[2]);
	mount_root(name, words + 5, count - 5, spaces->base, plan);
	if (count > 5)
		mount_names(name, words[3], spaces->resolver);
	if (!strcmp(words[1], "limited"))
		mount_shared(plan, name);
	else if (!strcmp(words[1], "reader"))
		mount_workspace_to_read(name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) || pipe2(errors, O_CLOEXEC))
		die("container %s", name);
	pid_t crun = fork();
	if (crun < 0)
		die("crun");
	if (crun == 0)
		exec_crun(name, !strcmp(words[1], "limited"), control[1], errors[1]);
	close(control[1]);
	close(errors[1]);
	int status = await_crun(crun);
	if (status != 0) {
		fcntl(errors[0], F_SETFL, O_NONBLOCK);
		while (have < sizeof text - 1 && (n = read(errors[0], text + have, sizeof text - 1 - have)) > 0)
			have += n;
		text[have] = '\0';
		text[strcspn(text, "\n")] = '\0';
		fail("crun could not start the container: %s (status %#x)", *text ? text : "no message", status);
	}
	close(errors[0]);
	struct container *container = &containers[container_count++];
	snprintf(path, sizeof path, "c/%s/pid", name);
	snprintf(container->name, sizeof container->name, "%s", name);
	container->pid = read_pid(path);
	container->control = control[0];
}

/* Passes the message on to the container's init, with the write end of a new pipe for its output. */
static void start_run(struct message *message)
{
	struct container *container = find(message->words[2]);
	uint32_t id = strtoul(message->words[1], NULL, 10);
	int ends[2];
	if (run_count == MAX_RUNS)
		fail("too many commands at once");
	struct run *run = &runs[run_count++];
	*run = (struct run){ .id = id, .output = -1 };
	if (!container) {
		run->state = ENDED;
		run->status = SIGKILL;
		return;
	}
	run->container = container - containers;
	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	/* Builds open /dev/stdout and /dev/stderr by name. */
	if (fchown(ends[1], spaces->base, spaces->base) || fchmod(ends[1], 0622))
		die("pipe");
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	run->output = ends[0];

	const char *last = message->words[message->count - 1];
	uint32_t size = last + strlen(last) + 1 - message->data;
	union { char data[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ancillary = { 0 };
	struct iovec iov = { &size, sizeof size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary.data,
				 .msg_controllen = sizeof ancillary.data };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	*cmsg = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(cmsg), &ends[1], sizeof(int));
	if (sendmsg(container->control, &header, MSG_NOSIGNAL) == (ssize_t)sizeof size) {
		/* An init that died shows as the end of its socket. */
		for (size_t sent = 0; sent < size; ) {
			ssize_t n = send(container->control, message->data + sent, size - sent, MSG_NOSIGNAL);
			if (n <= 0)
				break;
			sent += n;
		}
	}
	close(ends[1]);
}

static void signal_container(const char *name, int sig, uint32_t id)
{
	struct container *container = find(name);
	uint32_t order[3] = { 0, sig, id };
	if (container)
		send(container->control, order, sizeof order, MSG_NOSIGNAL);
}

static void obey(char *data, size_t size)
{
	struct message message = split(data, size);
	char **words = message.words;
	int count = message.count;
	uint64_t free_bytes, free_inodes;

	if (!strcmp(words[0], "hide"))
		for (int i = 1; i < count; i++)
			hide(words[i]);
	else if (!strcmp(words[0], "volume") && count >= 3)
		add_volume(plan, spaces, words + 1, count - 1);
	else if (!strcmp(words[0], "target") && count == 3)
		add_target(spaces, words + 1);
	else if (!strcmp(words[0], "container") && count >= 6)
		start_container(words + 1, count - 1);
	else if (!strcmp(words[0], "run") && count >= 7)
		start_run(&message);
	else if (!strcmp(words[0], "signal") && count == 4)
		signal_container(words[1], atoi(words[2]), strtoul(words[3], NULL, 10));
	else if (!strcmp(words[0], "kill") && count == 2) {
		struct container *container = find(words[1]);
		if (container)
			kill(container->pid, SIGKILL);
	} else if (!strcmp(words[0], "usage")) {
		sample(&free_bytes, &free_inodes);
		send_frame('U', 0, &peak, sizeof peak);
	} else
		fail("malformed message: %s", words[0]);
	free(words);
}

/* Reads what the worker sent; its end of stream is the end of the sandbox. */
static void listen_worker(void)
{
	static char *buffer;
	static size_t have, capacity;
	for (;;) {
		if (capacity - have < (64 << 10)) {
			capacity = capacity ? capacity * 2 : 256 << 10;
			if (capacity > 2 * (size_t)MAX_MESSAGE || !(buffer = realloc(buffer, capacity)))
				fail("message too long");
		}
		ssize_t n = read(WORKER, buffer + have, capacity - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			_exit(0);
		have += n;
	}
	size_t at = 0;
	uint32_t size;
	while (have - at >= sizeof size) {
		memcpy(&size, buffer + at, sizeof size);
		if (size == 0 || size > MAX_MESSAGE)
			fail("malformed message");
		if (have - at < sizeof size + size)
			break;
		obey(buffer + at + sizeof size, size);
		at += sizeof size + size;
	}
	memmove(buffer, buffer + at, have - at);
	have -= at;
}

static void end_run(struct run *run, int32_t status)
{
	int pending = 0;
	run->state = ENDED;
	run->status = status;
	/* What is in the pipe now was written before the end; what comes later is of some other process. */
	if (run->output >= 0)
		ioctl(run->output, FIONREAD, &pending);
	run->left = pending;
}

/* An init says: command id ended with status. */
static void listen_container(struct container *container)
{
	struct { uint32_t id; int32_t status; } end;
	ssize_t n = recv(container->control, &end, sizeof end, MSG_WAITALL);
	if (n == sizeof end) {
		for (int i = 0; i < run_count; i++)
			if (runs[i].id == end.id && runs[i].state == RUNNING && &containers[runs[i].container] == container)
				end_run(&runs[i], end.status);
		return;
	}
	/* It is dying; the kernel kills the rest of the container first, then it can be reaped. If it was already, its
	 * number is 0, which would be the pod and outer. */
	if (container->pid > 0)
		kill(container->pid, SIGKILL);
	close(container->control);
	container->control = -1;
}

static void reap(int signals)
{
	struct signalfd_siginfo info;
	pid_t pid;
	if (read(signals, &info, sizeof info) < 0)
		return;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (int i = 0; i < container_count; i++)
			if (containers[i].pid == pid) {
				containers[i].pid = 0;
				for (int j = 0; j < run_count; j++)
					if (runs[j].container == i && runs[j].state == RUNNING)
						end_run(&runs[j], SIGKILL);
			}
}

/* Once all output of a container is through, the worker hears that it is gone. */
static void settle(void)
{
	for (int i = 0; i < run_count && !backlog(); i++)
		if (runs[i].state == ENDED && runs[i].left == 0)
			send_end(&runs[i]);
	for (int i = 0; i < run_count; i++)
		if (runs[i].state == REPORTED && runs[i].output < 0)
			runs[i--] = runs[--run_count];
	for (int i = 0; i < container_count && !backlog(); i++) {
		int busy = containers[i].pid != 0 || containers[i].name[0] == '\0';
		for (int j = 0; j < run_count; j++)
			busy |= runs[j].container == i;
		if (!busy) {
			send_frame('G', 0, containers[i].name, strlen(containers[i].name));
			containers[i].name[0] = '\0';
			if (containers[i].control >= 0)
				close(containers[i].control);
			containers[i].control = -1;
		}
	}
}

static void drain(struct run *run)
{
	size_t size = run->state == ENDED && run->left < CHUNK ? run->left : CHUNK;
	ssize_t n = pump(run, size);
	if (n > 0) {
		if (run->state == ENDED)
			run->left -= n;
		return;
	}
	if (n < 0 && errno == EAGAIN) {
		run->left = 0;
		return;
	}
	close(run->output);
	run->output = -1;
	run->left = 0;
}

/* Samples the disk often only while it is nearly full: that is when it matters whether it got there. */
static int pace(void)
{
	uint64_t free_bytes, free_inodes;
	if (run_count == 0)
		return -1;
	sample(&free_bytes, &free_inodes);
	return free_bytes < peak / 8 || free_inodes < 256 ? 20 : 500;
}

static void loop(int signals)
{
	struct pollfd polled[2 + MAX_CONTAINERS + MAX_RUNS];
	for (;;) {
		int n = 2, first_run;
		settle();
		polled[0] = (struct pollfd){ WORKER, POLLIN | (backlog() ? POLLOUT : 0), 0 };
		polled[1] = (struct pollfd){ signals, POLLIN, 0 };
		for (int i = 0; i < container_count; i++)
			polled[n++] = (struct pollfd){ containers[i].control, POLLIN, 0 };
		first_run = n;
		for (int i = 0; i < run_count; i++)
			polled[n++] = (struct pollfd){ backlog() ? -1 : runs[i].output, POLLIN, 0 };
		int containers_polled = container_count, runs_polled = run_count;
		if (poll(polled, n, pace()) < 0 && errno != EINTR)
			die("poll");
		flush();
		for (int i = 0; i < runs_polled && !backlog(); i++)
			if (polled[first_run + i].fd >= 0 && polled[first_run + i].revents)
				drain(&runs[i]);
		if (polled[1].revents)
			reap(signals);
		for (int i = 0; i < containers_polled; i++)
			if (containers[i].control >= 0 && polled[2 + i].revents)
				listen_container(&containers[i]);
		if (polled[0].revents & (POLLIN | POLLHUP))
			listen_worker();
	}
}

int pod_main(const struct plan *given, const struct spaces *given_spaces)
{
	sigset_t blocked;
	plan = given;
	spaces = given_spaces;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	int signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	outbox.data = malloc(CHUNK * 2);
	if (signals < 0 || !outbox.data)
		die("pod");
	mount_private(plan, spaces);
	fcntl(WORKER, F_SETFL, fcntl(WORKER, F_GETFL) | O_NONBLOCK);
	send_frame('R', spaces->base, "", 0);
	loop(signals);
	return 0;
}
