#include "probe.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>

enum { SECONDS = 20, OUTCOMES = 64 };

static char list[8192];
static struct { char outcome[24], names[2048]; } outcomes[OUTCOMES];
static int outcome_count;

static void add(char *to, size_t size, const char *text)
{
	snprintf(to + strlen(to), size - strlen(to), "%s%s", *to ? " " : "", text);
}

void found(const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	add(list, sizeof list, text);
}

void tried(const char *name, int status)
{
	char outcome[24];
	int code = WEXITSTATUS(status), i = 0;
	if (WIFSIGNALED(status))
		snprintf(outcome, sizeof outcome, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(outcome, sizeof outcome, "%s", code ? strerrorname_np(code) : "allowed");
	while (i < outcome_count && strcmp(outcomes[i].outcome, outcome))
		i++;
	if (i == OUTCOMES)
		return;
	if (i == outcome_count)
		strcpy(outcomes[outcome_count++].outcome, outcome);
	add(outcomes[i].names, sizeof outcomes[i].names, name);
}

static char text[65536];
static size_t have;

const char *contents(const char *path)
{
	have = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && have < sizeof text - 1 && (n = read(fd, text + have, sizeof text - 1 - have)) > 0)
		have += n;
	if (fd >= 0)
		close(fd);
	text[have] = '\0';
	return text;
}

int holds(const char *path, const char *wanted)
{
	contents(path);
	return memmem(text, have, wanted, strlen(wanted)) != NULL;
}

const char *fact(const char *name)
{
	static char facts[16384], value[4096];
	size_t length = strlen(name);
	if (!*facts)
		snprintf(facts, sizeof facts, "\n%s", contents("facts"));
	for (const char *line = facts; (line = strchr(line, '\n')); ) {
		line++;
		if (strncmp(line, name, length) || line[length] != ' ')
			continue;
		snprintf(value, sizeof value, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
		return value;
	}
	return "";
}

static void quote(const char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
}

static void report(const char *id)
{
	for (int i = 0; i < outcome_count; i++)
		if (outcome_count == 1 && !*list)
			found("%s", outcomes[i].outcome);
		else
			found("%s: %s;", outcomes[i].outcome, outcomes[i].names);
	printf("{\"id\":\"%s\",\"got\":\"", id);
	quote(*list ? list : "none");
	puts("\"}");
	fflush(stdout);
}

/* In a child, so that no probe can change what others see or keep them from being run. */
static void run(const struct probe *probe)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		alarm(SECONDS);
		probe->run();
		report(probe->id);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status)) {
		found("the probe ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
		report(probe->id);
		*list = '\0';
	}
}

int main(int argc, char **argv)
{
	const struct probe *lists[] = { call_probes, process_probes, file_probes, mount_probes, network_probes };
	const char *wanted = argc > 1 ? argv[1] : "";
	int done = 0;
	/* As a set-user-id program. */
	if (!strcmp(wanted, "uid"))
		return geteuid();
	if (!strcmp(wanted, "bomb"))
		return bomb(argc > 2 ? argv[2] : "");
	if (!strcmp(wanted, "neighbour"))
		return neighbour();
	if (!strcmp(wanted, "syscalls"))
		return syscall_table(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	/* What probes complain about is in what they report. */
	if (!getenv("PROBE_DEBUG"))
		freopen("/dev/null", "w", stderr);
	for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const struct probe *probe = lists[i]; probe->id; probe++)
			if (!strcmp(wanted, "all") || !strcmp(wanted, probe->id))
				run(probe), done++;
	return done ? 0 : 64;
}
