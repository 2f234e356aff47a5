/* Starts containers: what crun is told, the cgroups it starts in, its end. */
#include "holder.h"
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void write_config(const char *name, const char *config, unsigned owner)
{
	char path[128];
	snprintf(path, sizeof path, "c/%s", name);
	if (mkdir(path, 0755))
		die("container %s", name);
	snprintf(path, sizeof path, "c/%s/rootfs", name);
	if (mkdir(path, 0755) || chown(path, owner, owner))
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

static void join_cgroups(const struct plan *plan, const char *container)
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

static void exec_crun(const struct plan *plan, const char *name, int limited, int control, int errors)
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
		join_cgroups(plan, name);
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
		leave();
	close(watch);
	while (waitpid(crun, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void start_container(struct container *container, const struct plan *plan, const struct spaces *spaces, char **words,
		     int count)
{
	const char *name = words[0];
	int limited = !strcmp(words[1], "limited"), control[2], errors[2];
	char text[2048], path[128];
	size_t have = 0;
	ssize_t n;

	if (*words[4])
		hold_lock("image", words[4]);
	write_config(name, words[2], spaces->base);
	mount_root(name, words + 5, count - 5, spaces->base, plan);
	if (count > 5)
		mount_names(name, words[3], spaces->resolver);
	if (limited)
		mount_shared(plan, name);
	else if (!strcmp(words[1], "reader"))
		mount_workspace_to_read(name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) || pipe2(errors, O_CLOEXEC))
		die("container %s", name);
	pid_t crun = fork();
	if (crun < 0)
		die("crun");
	if (crun == 0)
		exec_crun(plan, name, limited, control[1], errors[1]);
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
	snprintf(path, sizeof path, "c/%s/pid", name);
	snprintf(container->name, sizeof container->name, "%s", name);
	container->pid = read_pid(path);
	container->control = control[0];
}
