/* outer: takes what must outlive the pod (locks, cgroups), starts the pod, waits for it, cleans up. */
#include "holder.h"
#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void add(struct list *list, const char *item)
{
	if (list->count == MAX_LIST)
		fail("too many options");
	list->item[list->count++] = item;
}

static unsigned long long number(const char *text)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		fail("not a number: %s", text);
	return value;
}

static struct plan parse(int argc, char **argv)
{
	struct plan plan = { 0 };
	for (int i = 0; i < argc; ) {
		const char *option = argv[i++];
#define NEXT (i < argc ? argv[i++] : (fail("%s needs a value", option), ""))
		if (!strcmp(option, "--mount"))
			plan.mount = NEXT;
		else if (!strcmp(option, "--crun"))
			plan.crun = NEXT;
		else if (!strcmp(option, "--layers"))
			plan.layers = NEXT;
		else if (!strcmp(option, "--slots"))
			plan.slots = NEXT, plan.first_id = number(NEXT), plan.slot_count = number(NEXT);
		else if (!strcmp(option, "--tmpfs"))
			plan.disk = "tmpfs", plan.disk_bytes = number(NEXT), plan.disk_inodes = number(NEXT);
		else if (!strcmp(option, "--ext4"))
			plan.disk = "ext4", plan.template = NEXT;
		else if (!strcmp(option, "--source"))
			add(&plan.sources, NEXT);
		else if (!strcmp(option, "--workspace"))
			plan.inside = NEXT;
		else if (!strcmp(option, "--lock"))
			add(&plan.locks, NEXT);
		else if (!strcmp(option, "--classic-overlay"))
			plan.classic = 1;
		else if (!strcmp(option, "--link"))
			plan.link = NEXT, plan.ipv4 = NEXT, plan.ipv6 = NEXT;
		else if (!strcmp(option, "--lead"))
			plan.lead = NEXT;
		else if (!strcmp(option, "--cgroup"))
			add(&plan.cgroups, NEXT);
		else if (!strcmp(option, "--set"))
			add(&plan.set_file, NEXT), add(&plan.set_value, NEXT);
		else if (!strcmp(option, "--join"))
			add(&plan.join, NEXT);
		else if (!strcmp(option, "--each"))
			add(&plan.each, NEXT), plan.each_file = NEXT;
		else
			fail("unknown option: %s", option);
#undef NEXT
	}
	if (!plan.mount || !plan.crun || !plan.layers || !plan.slots || !plan.inside || !plan.disk)
		fail("open needs --mount, --crun, --layers, --slots, --workspace and --tmpfs or --ext4");
	if (*plan.inside != '/')
		fail("--workspace '%s' must begin with /", plan.inside);
	if (!plan.slot_count || plan.first_id < IDS || plan.first_id + plan.slot_count * IDS > UINT_MAX)
		fail("the id ranges do not fit");
	return plan;
}

static void remove_cgroup(const char *path)
{
	for (int tries = 0; rmdir(path) && errno == EBUSY && tries < 2000; tries++)
		usleep(1000);
}

static void remove_cgroups(const struct plan *plan)
{
	char path[PATH_MAX];
	struct dirent *entry;
	for (int i = plan->each.count - 1; i >= 0; i--) {
		DIR *containers = opendir(plan->each.item[i]);
		while (containers && (entry = readdir(containers)))
			if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
				snprintf(path, sizeof path, "%s/%s", plan->each.item[i], entry->d_name);
				remove_cgroup(path);
			}
		if (containers)
			closedir(containers);
	}
	for (int i = plan->cgroups.count - 1; i >= 0; i--)
		remove_cgroup(plan->cgroups.item[i]);
}

/* What went wrong, once the cgroups made so far are removed again. */
static void give_up(struct plan *plan, int made, const char *what, const char *where)
{
	int code = errno;
	plan->cgroups.count = made;
	remove_cgroups(plan);
	errno = code;
	die("%s %s", what, where);
}

static void make_cgroups(struct plan *plan)
{
	int count = plan->cgroups.count;
	for (int i = 0; i < count; i++)
		if (mkdir(plan->cgroups.item[i], 0755))
			give_up(plan, i, "cgroup", plan->cgroups.item[i]);
	for (int i = 0; i < plan->set_file.count; i++) {
		const char *value = plan->set_value.item[i];
		int fd = open(plan->set_file.item[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, value, strlen(value)) < 0)
			give_up(plan, count, "cannot set", plan->set_file.item[i]);
		close(fd);
	}
}

int open_main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	struct spaces spaces = { 0 };

	/* Outer ends by itself, after the pod: whoever stops the worker's process group must not leave cgroups. */
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGCHLD)
			signal(sig, SIG_IGN);
	fcntl(WORKER, F_SETFD, FD_CLOEXEC);
	/* Else ps shows what the spawner executed, "exe". */
	prctl(PR_SET_NAME, "holder");

	for (int i = 0; i < plan.locks.count; i++)
		hold_lock("source", plan.locks.item[i]);
	if (take_slot(&plan, &spaces.base))
		fail("all %lu id ranges are in use", plan.slot_count);
	if (make_spaces(&spaces, &plan.sources))
		die("namespaces");
	if (plan.link) {
		struct frame frame = { .type = 'N', .id = make_link(&plan, &spaces) };
		write_all(WORKER, &frame, sizeof frame);
	}
	make_cgroups(&plan);

	pid_t pod = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
	if (pod < 0)
		give_up(&plan, plan.cgroups.count, "cannot start", "the pod");
	if (pod == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(pod_main(&plan, &spaces));
	}
	int status;
	while (waitpid(pod, &status, 0) < 0 && errno == EINTR)
		;
	remove_cgroups(&plan);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
