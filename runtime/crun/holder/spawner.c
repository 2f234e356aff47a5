/* spawner: starts holders for one worker. A fork of the worker itself would copy the page tables of its whole heap.
 *
 * It writes the name of an abstract unix socket to descriptor 3, and ends when that is closed. Each connection of the
 * worker to that socket becomes descriptor 3 of a new holder, whose arguments are the first message on it. */
#include "holder.h"
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MAX_ARGUMENTS = 1 << 20 };

static void become_holder(int connection)
{
	char *nothing[] = { NULL }, *data;
	uint32_t size;
	dup2(connection, WORKER);
	setsid();
	signal(SIGCHLD, SIG_DFL);
	read_all(WORKER, &size, sizeof size);
	if (size > MAX_ARGUMENTS || !(data = malloc(size)))
		fail("too many arguments");
	read_all(WORKER, data, size);
	execve("/proc/self/exe", split(data, size).words, nothing);
	die("cannot start the holder");
}

/* Anybody on the host can connect to an abstract socket. */
static int is_from(pid_t worker, int connection)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return !getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.pid == worker;
}

int spawner_main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof address;
	pid_t worker = getppid();
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Whoever stops the worker's process group must let it drain. SIGCHLD ignored: the kernel reaps. */
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_IGN);
	fcntl(WORKER, F_SETFD, FD_CLOEXEC);
	/* Without a name the kernel finds a free one (unix(7), autobind). */
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path)) ||
	    listen(listener, SOMAXCONN) || getsockname(listener, (struct sockaddr *)&address, &size))
		die("socket");
	write_all(WORKER, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));

	struct pollfd polled[] = { { listener, POLLIN, 0 }, { WORKER, POLLIN, 0 } };
	while (poll(polled, 2, -1) >= 0 && !polled[1].revents) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0)
			continue;
		if (is_from(worker, connection) && fork() == 0)
			become_holder(connection);
		close(connection);
	}
	return 0;
}
