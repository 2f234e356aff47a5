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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_CONTAINERS = 256 };

static const struct plan *plan;
static const struct spaces *spaces;
static struct container containers[MAX_CONTAINERS];
static int container_count;

static struct container *find(const char *name)
{
	for (int i = 0; i < container_count; i++)
		if (!strcmp(containers[i].name, name) && containers[i].pid > 0)
			return &containers[i];
	return NULL;
}

static void add_container(char **words, int count)
{
	if (container_count == MAX_CONTAINERS || strlen(words[0]) >= sizeof containers->name)
		fail("container %s: too many containers, or too long a name", words[0]);
	start_container(&containers[container_count], plan, spaces, words, count);
	container_count++;
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

	if (!strcmp(words[0], "hide"))
		for (int i = 1; i < count; i++)
			hide(words[i]);
	else if (!strcmp(words[0], "volume") && count >= 3)
		add_volume(plan, spaces, words + 1, count - 1);
	else if (!strcmp(words[0], "target") && count == 3)
		add_target(spaces, words + 1);
	else if (!strcmp(words[0], "container") && count >= 6)
		add_container(words + 1, count - 1);
	else if (!strcmp(words[0], "run") && count >= 7)
		start_run(find(words[2]), &message, spaces->base);
	else if (!strcmp(words[0], "signal") && count == 4)
		signal_container(words[1], atoi(words[2]), strtoul(words[3], NULL, 10));
	else if (!strcmp(words[0], "kill") && count == 2) {
		struct container *container = find(words[1]);
		if (container)
			kill(container->pid, SIGKILL);
	} else if (!strcmp(words[0], "usage")) {
		struct disk_state disk = disk_state();
		send_frame('U', 0, &disk.peak, sizeof disk.peak);
	} else
		fail("malformed message: %s", words[0]);
	free(words);
}

/* An init says: command id ended with status. */
static void listen_container(struct container *container)
{
	struct { uint32_t id; int32_t status; } end;
	ssize_t n = recv(container->control, &end, sizeof end, MSG_WAITALL);
	if (n == sizeof end) {
		end_run(container, end.id, end.status);
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
				end_runs(&containers[i], SIGKILL);
			}
}

/* Once all output of a container is through, the worker hears that it is gone. */
static void settle(void)
{
	report_runs();
	for (struct container *each = containers; each < containers + container_count && !backlog(); each++) {
		if (each->pid || !*each->name || has_runs(each))
			continue;
		send_frame('G', 0, each->name, strlen(each->name));
		each->name[0] = '\0';
		if (each->control >= 0)
			close(each->control);
		each->control = -1;
	}
}

/* How long poll(2) may wait, in ms. Samples the disk often only while it is nearly full: that is when it matters whether
 * it got there. */
static int pace(int runs)
{
	if (runs == 0)
		return -1;
	struct disk_state disk = disk_state();
	return disk.free_bytes < disk.peak / 8 || disk.free_inodes < 256 ? 20 : 500;
}

static void loop(int signals)
{
	struct pollfd polled[2 + MAX_CONTAINERS + MAX_RUNS];
	for (;;) {
		int n = 2;
		settle();
		polled[0] = (struct pollfd){ WORKER, POLLIN | (backlog() ? POLLOUT : 0), 0 };
		polled[1] = (struct pollfd){ signals, POLLIN, 0 };
		for (int i = 0; i < container_count; i++)
			polled[n++] = (struct pollfd){ containers[i].control, POLLIN, 0 };
		struct pollfd *outputs = polled + n;
		int containers_polled = container_count, runs = poll_runs(outputs);
		if (poll(polled, n + runs, pace(runs)) < 0 && errno != EINTR)
			die("poll");
		flush_frames();
		drain_runs(outputs, runs);
		if (polled[1].revents)
			reap(signals);
		for (int i = 0; i < containers_polled; i++)
			if (containers[i].control >= 0 && polled[2 + i].revents)
				listen_container(&containers[i]);
		if (polled[0].revents & (POLLIN | POLLHUP))
			receive(obey);
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
	if (signals < 0)
		die("pod");
	mount_private(plan, spaces);
	open_stream();
	send_frame('R', spaces->base, "", 0);
	loop(signals);
	return 0;
}
