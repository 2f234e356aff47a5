/* probe tcp PORT, probe http PORT PATH: asks on localhost until something answers, then exits with 0. Runs as a command in
 * a container of its own, in the network of the sandbox; it believes nothing of what a service says but a status. */
#include "holder.h"
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

enum { PAUSE_MS = 20, ANSWER_MS = 5000, REST_MS = 100, REST_BYTES = 1 << 20 };

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Waits for an event, but no longer than until the deadline. */
static int ready(int fd, short events, long deadline)
{
	struct pollfd polled = { fd, events, 0 };
	long left = deadline - now_ms();
	return left > 0 && poll(&polled, 1, left) == 1;
}

static int connect_to(int family, int port, long deadline)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int error = 0, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof error;
	if (fd < 0)
		return -1;
	int done = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
				     : connect(fd, (struct sockaddr *)&v6, sizeof v6);
	if (done == 0 || (errno == EINPROGRESS && ready(fd, POLLOUT, deadline) &&
			  !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && error == 0))
		return fd;
	close(fd);
	return -1;
}

/* Whether the answer begins with a status of 2xx or 3xx (RFC 9112, 4). */
static int is_well(int fd, const char *path, long deadline)
{
	char text[4096], status[13];
	size_t have = 0;
	ssize_t n;
	int length = snprintf(text, sizeof text,
			      "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cofferdam\r\nConnection: close\r\n\r\n", path);
	if (length >= (int)sizeof text || send(fd, text, length, MSG_NOSIGNAL) != length)
		return 0;
	while (have < sizeof status - 1) {
		if (!ready(fd, POLLIN, deadline) || (n = read(fd, status + have, sizeof status - 1 - have)) <= 0)
			return 0;
		have += n;
	}
	return !memcmp(status, "HTTP/1.", 7) && status[8] == ' ' && (status[9] == '2' || status[9] == '3');
}

/* Takes the rest of an answer: closing before it has come resets the connection, which servers complain of in their log. */
static void take_rest(int fd)
{
	static char rest[65536];
	long deadline = now_ms() + REST_MS;
	ssize_t n;
	for (size_t have = 0; have < REST_BYTES && ready(fd, POLLIN, deadline) && (n = read(fd, rest, sizeof rest)) > 0;)
		have += n;
}

static int answers(int port, const char *path)
{
	static const int families[] = { AF_INET, AF_INET6 };
	for (int i = 0; i < 2; i++) {
		long deadline = now_ms() + ANSWER_MS;
		int fd = connect_to(families[i], port, deadline);
		int well = fd >= 0 && (!path || is_well(fd, path, deadline));
		if (well && path)
			take_rest(fd);
		if (fd >= 0)
			close(fd);
		if (well)
			return 1;
	}
	return 0;
}

int probe_main(int argc, char **argv)
{
	int http = argc == 3 && !strcmp(argv[0], "http");
	if (!http && (argc != 2 || strcmp(argv[0], "tcp")))
		return 64;
	while (!answers(atoi(argv[1]), http ? argv[2] : NULL))
		usleep(PAUSE_MS * 1000);
	return 0;
}
