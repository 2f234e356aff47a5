#include "holder.h"
#include <stdarg.h>
#include <sys/file.h>

struct outbox outbox;

void write_all(int fd, const void *data, size_t size)
{
	const char *at = data;
	while (size > 0) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(70);
		at += n;
		size -= n;
	}
}

void read_all(int fd, void *data, size_t size)
{
	for (char *at = data; size > 0; ) {
		ssize_t n = read(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		at += n;
		size -= n;
	}
}

/* Then waits for the worker to close the stream: a close with something unread resets it (unix(7)), and so would a
 * write by the worker that comes too late; either loses the message. */
static void report(const char *text)
{
	char ignored[4096];
	ssize_t n;
	struct frame frame = { .type = 'E', .length = strlen(text) };
	int flags = fcntl(WORKER, F_GETFL);
	if (flags < 0) {
		dprintf(2, "holder: %s\n", text);
		_exit(70);
	}
	fcntl(WORKER, F_SETFL, flags & ~O_NONBLOCK);
	write_all(WORKER, outbox.data + outbox.start, outbox.end - outbox.start);
	write_all(WORKER, &frame, sizeof frame);
	write_all(WORKER, text, frame.length);
	while ((n = read(WORKER, ignored, sizeof ignored)) > 0 || (n < 0 && errno == EINTR))
		;
	_exit(70);
}

void fail(const char *format, ...)
{
	char text[4096];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	report(text);
	__builtin_unreachable();
}

void die(const char *format, ...)
{
	char text[4096];
	int code = errno;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text, sizeof text - 128, format, arguments);
	va_end(arguments);
	if (n > (int)sizeof text - 129)
		n = sizeof text - 129;
	snprintf(text + n, sizeof text - n, ": %s", strerror(code));
	report(text);
	__builtin_unreachable();
}

void hold_lock(const char *what, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB))
		die("the %s was removed a moment ago: %s", what, path);
}

struct message split(char *data, size_t size)
{
	struct message message = { .data = data };
	if (size == 0 || data[size - 1] != '\0')
		fail("malformed message");
	for (size_t i = 0; i < size; i++)
		message.count += data[i] == '\0';
	message.words = calloc(message.count + 1, sizeof *message.words);
	if (!message.words)
		die("message");
	char *at = data;
	for (int i = 0; i < message.count; i++, at += strlen(at) + 1)
		message.words[i] = at;
	return message;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	if (!strcmp(verb, "spawner"))
		return spawner_main();
	if (!strcmp(verb, "open"))
		return open_main(argc - 2, argv + 2);
	if (!strcmp(verb, "init"))
		return init_main();
	if (!strcmp(verb, "list"))
		return list_main(argc - 2, argv + 2);
	if (!strcmp(verb, "read"))
		return read_main(argc - 2, argv + 2);
	if (!strcmp(verb, "snapshot"))
		return snapshot_main(argc - 2, argv + 2);
	if (!strcmp(verb, "probe"))
		return probe_main(argc - 2, argv + 2);
	if (!strcmp(verb, "unpack"))
		return unpack_main(argc - 2, argv + 2);
	dprintf(2, "usage: holder spawner|open|init|list|read|snapshot|probe|unpack ...\n");
	return 64;
}
