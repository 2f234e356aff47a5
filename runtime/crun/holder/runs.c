/* The commands of containers: their way to an init, their output, their end. */
#include "holder.h"
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* left: bytes in the pipe that were written before the command ended. */
static struct run {
	uint32_t id;
	struct container *container;    /* NULL: it was gone before */
	int output;
	enum { RUNNING, ENDED, REPORTED } state;
	int32_t status;
	size_t left;
} runs[MAX_RUNS];
static int run_count;

/* Passes the message on to an init, with the write end of a pipe. An init that died shows as the end of its socket. */
static void pass_on(int control, const struct message *message, int output)
{
	const char *last = message->words[message->count - 1];
	uint32_t size = last + strlen(last) + 1 - message->data;
	union { char data[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ancillary = { 0 };
	struct iovec iov = { &size, sizeof size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary.data,
				 .msg_controllen = sizeof ancillary.data };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	*cmsg = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(cmsg), &output, sizeof(int));
	if (sendmsg(control, &header, MSG_NOSIGNAL) != (ssize_t)sizeof size)
		return;
	for (size_t sent = 0; sent < size; ) {
		ssize_t n = send(control, message->data + sent, size - sent, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		sent += n;
	}
}

void start_run(struct container *container, const struct message *message, unsigned owner)
{
	uint32_t id = strtoul(message->words[1], NULL, 10);
	int ends[2];
	if (run_count == MAX_RUNS)
		fail("too many commands at once");
	struct run *run = &runs[run_count++];
	*run = (struct run){ .id = id, .container = container, .output = -1 };
	if (!container) {
		run->state = ENDED;
		run->status = SIGKILL;
		return;
	}
	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	/* Builds open /dev/stdout and /dev/stderr by name. */
	if (fchown(ends[1], owner, owner) || fchmod(ends[1], 0622))
		die("pipe");
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	run->output = ends[0];
	pass_on(container->control, message, ends[1]);
	close(ends[1]);
}

static void mark_end(struct run *run, int32_t status)
{
	int pending = 0;
	run->state = ENDED;
	run->status = status;
	/* What is in the pipe now was written before the end; what comes later is of some other process. */
	if (run->output >= 0)
		ioctl(run->output, FIONREAD, &pending);
	run->left = pending;
}

void end_run(const struct container *container, uint32_t id, int32_t status)
{
	for (int i = 0; i < run_count; i++)
		if (runs[i].id == id && runs[i].state == RUNNING && runs[i].container == container)
			mark_end(&runs[i], status);
}

void end_runs(const struct container *container, int32_t status)
{
	for (int i = 0; i < run_count; i++)
		if (runs[i].container == container && runs[i].state == RUNNING)
			mark_end(&runs[i], status);
}

int has_runs(const struct container *container)
{
	for (int i = 0; i < run_count; i++)
		if (runs[i].container == container)
			return 1;
	return 0;
}

int poll_runs(struct pollfd *polled)
{
	for (int i = 0; i < run_count; i++)
		polled[i] = (struct pollfd){ backlog() ? -1 : runs[i].output, POLLIN, 0 };
	return run_count;
}

static void drain(struct run *run)
{
	ssize_t n = pass_output(run->id, run->output, run->state == ENDED ? run->left : SIZE_MAX);
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

void drain_runs(const struct pollfd *polled, int count)
{
	for (int i = 0; i < count && !backlog(); i++)
		if (polled[i].fd >= 0 && polled[i].revents)
			drain(&runs[i]);
}

static void send_end(struct run *run)
{
	struct { int64_t status; struct disk_state disk; } end = { run->status, disk_state() };
	send_frame('X', run->id, &end, sizeof end);
	run->state = REPORTED;
}

void report_runs(void)
{
	for (int i = 0; i < run_count && !backlog(); i++)
		if (runs[i].state == ENDED && runs[i].left == 0)
			send_end(&runs[i]);
	for (int i = 0; i < run_count; i++)
		if (runs[i].state == REPORTED && runs[i].output < 0)
			runs[i--] = runs[--run_count];
}
