/* What the kernel says of our mounts (proc_pid_mountinfo(5)). */
#include "probe.h"

struct line { char root[4096], point[4096], flags[256], optional[256], type[64], source[4096]; };

static const char *parse(const char *text, struct line *line)
{
	const char *end = strchr(text, '\n'), *separator = strstr(text, " - ");
	*line->optional = '\0';
	if (!end || !separator || separator > end)
		return NULL;
	sscanf(text, "%*d %*d %*s %4095s %4095s %255s", line->root, line->point, line->flags);
	const char *after = strstr(text, line->flags) + strlen(line->flags);
	if (after < separator)
		snprintf(line->optional, sizeof line->optional, "%.*s", (int)(separator - after - 1), after + 1);
	sscanf(separator + 3, "%63s %4095s", line->type, line->source);
	return end + 1;
}

static int has(const char *flags, const char *wanted)
{
	size_t length = strlen(wanted);
	for (const char *at = flags; (at = strstr(at, wanted)); at += length)
		if ((at == flags || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
			return 1;
	return 0;
}

#define EACH_MOUNT(line)                                                     \
	struct line line;                                                    \
	for (const char *next_ = contents("/proc/self/mountinfo"); next_ && *next_ && (next_ = parse(next_, &line)); )

/* Mount points and the flags that they must have. What is below /proc or /sys is a mask, or a part made read-only. */
static const struct { const char *point, *flags; } wanted[] = {
	{ "/", "nodev" },
	{ "/workspace", "nosuid nodev" },
	{ "/proc", "nosuid nodev noexec" },
	{ "/sys", "ro nosuid nodev noexec" },
	{ "/dev", "nosuid noexec" },
	{ "/dev/pts", "nosuid noexec" },
	{ "/dev/shm", "nosuid nodev noexec" },
	{ "/dev/mqueue", "nosuid nodev noexec" },
	{ "/run/secrets", "nosuid nodev noexec" },
	{ "/run/.cofferdam/init", "ro nosuid nodev" },
	{ "/etc/hosts", "ro nosuid nodev noexec" },
	{ "/etc/resolv.conf", "ro nosuid nodev noexec" },
	{ "/dev/null", "nosuid noexec" }, { "/dev/zero", "nosuid noexec" }, { "/dev/full", "nosuid noexec" },
	{ "/dev/tty", "nosuid noexec" }, { "/dev/random", "nosuid noexec" }, { "/dev/urandom", "nosuid noexec" },
};

static void lacking(const struct line *line, const char *flags)
{
	char list[128], *flag, *rest = list;
	snprintf(list, sizeof list, "%s", flags);
	while ((flag = strsep(&rest, " ")))
		if (!has(line->flags, flag))
			found("%s without %s", line->point, flag);
}

static void flags(void)
{
	unsigned seen = 0;
	EACH_MOUNT(line) {
		unsigned i = 0, count = sizeof wanted / sizeof *wanted;
		while (i < count && strcmp(wanted[i].point, line.point))
			i++;
		if (i < count) {
			lacking(&line, wanted[i].flags);
			seen |= 1u << i;
		} else if (!strcmp(line.point, fact("volume")))
			lacking(&line, "nosuid nodev");
		else if (!strncmp(line.point, "/proc/", 6) || !strncmp(line.point, "/sys/", 5))
			/* The device that stands for an empty file is the host's, writable and harmless. */
			strcmp(line.root, "/null") ? lacking(&line, "ro") : (void)0;
		else
			found("%s is mounted", line.point);
	}
	for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!(seen & 1u << i))
			found("%s is not mounted", wanted[i].point);
}

static void read_only(void)
{
	const char *parts[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		int fine = access(parts[i], F_OK) != 0;
		EACH_MOUNT(line)
			fine |= !strcmp(line.point, parts[i]) && has(line.flags, "ro");
		if (!fine)
			found("%s", parts[i]);
	}
}

const char *const masked_paths[] = {
	"/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block",
	"/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux", NULL,
};

static int covered(const char *path)
{
	int covered = access(path, F_OK) != 0;
	EACH_MOUNT(line)
		covered |= !strcmp(line.point, path);
	return covered;
}

/* Each mask is /dev/null of the host's devtmpfs, or an empty read-only tmpfs, and not a file that something put in the place
 * of one while the container started (CVE-2025-31133). A part that is read-only shows itself, not another. */
static void masks(void)
{
	char path[128];
	for (const char *const *each = masked_paths; *each; each++)
		if (!covered(*each))
			found("%s is not covered", *each);
	for (int i = 0; i < 1024; i++) {
		snprintf(path, sizeof path, THROTTLE, i);
		if (!covered(path))
			found("%s is not covered", path);
	}
	EACH_MOUNT(line) {
		const char *point = line.point;
		if (strncmp(point, "/proc/", 6) && strncmp(point, "/sys/", 5))
			continue;
		int null = !strcmp(line.type, "devtmpfs") && !strcmp(line.root, "/null");
		int tmpfs = !strcmp(line.type, "tmpfs") && has(line.flags, "ro");
		int part = (!strcmp(line.type, "proc") || !strcmp(line.type, "sysfs")) && has(line.flags, "ro");
		if (!null && !tmpfs && !part)
			found("%s is %s of %s", point, line.root, line.type);
		if (part && strcmp(line.root, point + (point[1] == 'p' ? 5 : 4)))
			found("%s shows %s", point, line.root);
	}
}

static void shared(void)
{
	EACH_MOUNT(line)
		if (*line.optional)
			found("%s is %s", line.point, line.optional);
}

static void host_paths(void)
{
	const char *data = fact("data");
	if (!*data)
		return found("no path to look for");
	if (strstr(contents("/proc/self/mountinfo"), data))
		found("mountinfo");
	if (strstr(contents("/proc/mounts"), data))
		found("mounts");
}

/* /dev is ours, and so is what it has: the nodes are the host's, bound one by one. */
static void kinds(void)
{
	const struct { const char *point, *type; } all[] = {
		{ "/", "overlay" }, { "/workspace", "overlay" }, { "/proc", "proc" }, { "/sys", "sysfs" }, { "/dev", "tmpfs" },
		{ "/dev/pts", "devpts" }, { "/dev/shm", "tmpfs" }, { "/dev/mqueue", "mqueue" }, { "/run/secrets", "tmpfs" },
	};
	EACH_MOUNT(line)
		for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
			if (!strcmp(all[i].point, line.point) && (strcmp(all[i].type, line.type) || strcmp(line.root, "/")))
				found("%s is %s of %s", line.point, line.root, line.type);
}

const struct probe mount_probes[] = {
	{ "8-read-only", read_only },
	{ "10-masks", masks },
	{ "17-flags", flags },
	{ "17-shared", shared },
	{ "17-kinds", kinds },
	{ "17-host-paths", host_paths },
	{ 0 },
};
