/* Probes: each looks whether one property of the sandbox holds, from within, and says what it found.
 *
 *   probe all           runs every probe, each in a process of its own; prints one JSON line for each
 *   probe ID            that one alone
 *   probe syscalls      the table of table.c
 *   probe bomb NAME     one of bombs.c
 *   probe neighbour     work to measure beside it
 *
 * A line is {"id": ..., "got": ...}; what was expected is in test/probes/catalog.ts. Probes exploit nothing: they ask
 * for something and undo it if they got it. What they must know of the machine outside is in `facts`, beside the
 * program: lines of a name and a value. */
#ifndef PROBE_H
#define PROBE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct probe { const char *id; void (*run)(void); };

/* One list for each subject; the last has no id. */
extern const struct probe call_probes[], process_probes[], file_probes[], mount_probes[], network_probes[];

/* Adds to what was found; nothing found is "none". */
void found(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Notes how an attempt ended: "allowed", the name of an error, or the signal that ended it. If all ended alike, that is
 * what was found, else all are, by outcome. */
void tried(const char *name, int status);

/* Attempts something in a child, so that one that succeeds changes nothing for those that follow. */
#define TRY(name, ...)                                                     \
	do {                                                               \
		int status_;                                               \
		pid_t child_ = fork();                                     \
		if (child_ == 0) {                                         \
			errno = 0;                                         \
			long result_ = (long)(__VA_ARGS__);                \
			_exit(result_ < 0 ? errno : 0);                    \
		}                                                          \
		waitpid(child_, &status_, 0);                              \
		tried(name, status_);                                      \
	} while (0)

/* A fact about the machine outside; "" if there is none of that name. */
const char *fact(const char *name);

/* Reads a whole small file; "" when it cannot be read. The buffer is overwritten by the next call. */
const char *contents(const char *path);

/* Whether a small file has a text in it. */
int holds(const char *path, const char *text);

/* table.c; what children write their answers to. */
int syscall_table(volatile long *shared);

/* bombs.c */
int bomb(const char *name);
int neighbour(void);

/* What is masked where the kernel has it; ends with NULL. And for each processor, by number. */
extern const char *const masked_paths[];
#define THROTTLE "/sys/devices/system/cpu/cpu%d/thermal_throttle"

#endif
