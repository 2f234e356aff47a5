/* The pod's side of the stream to the worker: frames out, messages in. */
#include "holder.h"

enum { CHUNK = 256 << 10, MAX_MESSAGE = 64 << 20 };

void leave(void)
{
	abandon_disk();
	_exit(0);
}

void open_stream(void)
{
	outbox.data = malloc(CHUNK * 2);
	if (!outbox.data || fcntl(WORKER, F_SETFL, fcntl(WORKER, F_GETFL) | O_NONBLOCK))
		die("the stream to the worker");
}

int backlog(void)
{
	return outbox.end > outbox.start;
}

void flush_frames(void)
{
	while (backlog()) {
		ssize_t n = write(WORKER, outbox.data + outbox.start, outbox.end - outbox.start);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			leave();
		outbox.start += n;
	}
	outbox.start = outbox.end = 0;
}

void send_frame(uint32_t type, uint32_t id, const void *data, size_t size)
{
	struct frame frame = { type, id, size };
	if (outbox.end + sizeof frame + size > CHUNK * 2)
		fail("too much at once for the worker");
	memcpy(outbox.data + outbox.end, &frame, sizeof frame);
	memcpy(outbox.data + outbox.end + sizeof frame, data, size);
	outbox.end += sizeof frame + size;
	flush_frames();
}

ssize_t pass_output(uint32_t id, int from, size_t size)
{
	/* Straight behind a frame header in the outbox: one copy, no more. */
	struct frame *frame = (struct frame *)outbox.data;
	ssize_t n = read(from, outbox.data + sizeof *frame, size < CHUNK ? size : CHUNK);
	if (n <= 0)
		return n;
	*frame = (struct frame){ 'L', id, n };
	outbox.start = 0;
	outbox.end = sizeof *frame + n;
	flush_frames();
	return n;
}

void receive(void (*obey)(char *message, size_t size))
{
	static char *buffer;
	static size_t have, capacity;
	for (;;) {
		if (capacity - have < (64 << 10)) {
			capacity = capacity ? capacity * 2 : 256 << 10;
			if (capacity > 2 * (size_t)MAX_MESSAGE || !(buffer = realloc(buffer, capacity)))
				fail("message too long");
		}
		ssize_t n = read(WORKER, buffer + have, capacity - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			leave();
		have += n;
	}
	size_t at = 0;
	uint32_t size;
	while (have - at >= sizeof size) {
		memcpy(&size, buffer + at, sizeof size);
		if (size == 0 || size > MAX_MESSAGE)
			fail("malformed message");
		if (have - at < sizeof size + size)
			break;
		obey(buffer + at + sizeof size, size);
		at += sizeof size + size;
	}
	memmove(buffer, buffer + at, have - at);
	have -= at;
}
