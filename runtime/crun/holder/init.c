/* PID 1 of a container: starts the build's commands, reaps everything, says how they ended.
 *
 * It shares uid and namespaces with hostile code. It is not dumpable, so that nobody traces it, takes orders from
 * descriptor 3 alone, and could at worst lie about the exit code of a command, which that command can do itself. */
#include "holder.h"
#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { CONTROL = 3, MAX_ORDER = 64 << 20, MAX_COMMANDS = 1024 };

static struct { pid_t pid; uint32_t id; } commands[MAX_COMMANDS];

static void complain(int code, const char *what)
{
	dprintf(2, "cofferdam: %s: %s\n", what, errno == ENOENT ? "not found" : strerror(errno));
	_exit(code);
}

static void become(char *user)
{
	uid_t uid;
	gid_t gid;
	if (find_user(user, &uid, &gid))
		complain(126, "the image's user");
	if (setgroups(0, NULL) || setgid(gid) || setuid(uid))
		complain(126, "user");
}

/* Pairs of a name and a content: files in memory, of this container alone, that only its root reads. */
static void write_secrets(char **words)
{
	for (; words[0] && words[1]; words += 2) {
		char path[256];
		snprintf(path, sizeof path, "/run/secrets/%s", words[0]);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
		if (fd < 0)
			complain(126, path);
		write_all(fd, words[1], strlen(words[1]));
		close(fd);
	}
}

static void exec_command(struct message *message, int output)
{
	char **words = message->words;
	int argc = atoi(words[5]);
	sigset_t none;
	if (argc < 1 || argc > message->count - 6)
		_exit(126);
	char **argv = calloc(argc + 1, sizeof *argv);
	int null = open("/dev/null", O_RDONLY);
	if (!argv || null < 0)
		_exit(126);
	memcpy(argv, words + 6, argc * sizeof *argv);
	setsid();
	dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	close_range(3, ~0U, 0);
	/* The kernel picks its victim among the build's processes before it picks init. */
	int score = open("/proc/self/oom_score_adj", O_WRONLY);
	if (score >= 0 && write(score, "500", 3) == 3)
		close(score);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	environ = words + 6 + argc;
	/* An empty word, which no variable is, ends the environment. */
	for (char **word = environ; *word; word++)
		if (!**word) {
			*word = NULL;
			write_secrets(word + 1);
			break;
		}
	if (*words[4])
		become(words[4]);
	if (chdir(words[3]))
		complain(126, words[3]);
	execvp(argv[0], argv);
	complain(errno == ENOENT || errno == ENOTDIR ? 127 : 126, argv[0]);
}

static void start_command(uint32_t size, int output)
{
	char *data = malloc(size);
	if (!data)
		_exit(1);
	read_all(CONTROL, data, size);
	struct message message = split(data, size);
	uint32_t id = strtoul(message.words[1], NULL, 10);
	int slot = 0;
	while (slot < MAX_COMMANDS && commands[slot].pid)
		slot++;
	pid_t pid = slot < MAX_COMMANDS ? fork() : (errno = EAGAIN, -1);
	if (pid == 0)
		exec_command(&message, output);
	if (pid < 0) {
		struct { uint32_t id; int32_t status; } end = { id, 126 << 8 };
		dprintf(output, "cofferdam: cannot start a process: %s\n", strerror(errno));
		write_all(CONTROL, &end, sizeof end);
	} else {
		commands[slot].pid = pid;
		commands[slot].id = id;
	}
	close(output);
	free(message.words);
	free(data);
}

/* To the processes of one command: those of its session, which they share unless they made one of their own. */
static void signal_command(uint32_t id, int sig)
{
	int slot = 0;
	while (slot < MAX_COMMANDS && !(commands[slot].pid && commands[slot].id == id))
		slot++;
	if (slot == MAX_COMMANDS)
		return;
	/* It may not have come to its setsid() yet. */
	kill(commands[slot].pid, sig);
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	while (processes && (entry = readdir(processes))) {
		pid_t pid = atoi(entry->d_name);
		if (pid > 1 && pid != commands[slot].pid && getsid(pid) == commands[slot].pid)
			kill(pid, sig);
	}
	if (processes)
		closedir(processes);
}

/* An order: 32 bits of size, with the output pipe attached, and the message; or 0, the number of a signal, and the id of the
 * command it is for, or 0 for all. */
static void obey(void)
{
	uint32_t size, signal[2];
	union { char data[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } ancillary;
	struct iovec iov = { &size, sizeof size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ancillary.data,
				 .msg_controllen = sizeof ancillary.data };
	int output;
	if (recvmsg(CONTROL, &header, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof size)
		_exit(0);
	if (size == 0) {
		read_all(CONTROL, signal, sizeof signal);
		if (signal[1])
			signal_command(signal[1], signal[0]);
		else
			kill(-1, signal[0]);
		return;
	}
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	if (!cmsg || size > MAX_ORDER)
		_exit(1);
	memcpy(&output, CMSG_DATA(cmsg), sizeof output);
	start_command(size, output);
}

static void reap(int signals)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	if (read(signals, &info, sizeof info) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_COMMANDS; i++)
			if (commands[i].pid == pid) {
				struct { uint32_t id; int32_t status; } end = { commands[i].id, status };
				commands[i].pid = 0;
				write_all(CONTROL, &end, sizeof end);
			}
}

int init_main(void)
{
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	int signals = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
	int null = open("/dev/null", O_RDWR);
	if (signals < 0 || null < 0 || prctl(PR_SET_DUMPABLE, 0))
		return 1;
	/* crun's error pipe ends here. */
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 3)
		close(null);
	fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
	struct pollfd polled[] = { { CONTROL, POLLIN, 0 }, { signals, POLLIN, 0 } };
	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return 1;
		if (polled[1].revents)
			reap(signals);
		if (polled[0].revents)
			obey();
	}
}
