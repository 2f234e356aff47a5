/* The holder: one small static program with a few verbs.
 *
 *   spawner starts the others for a worker (spawner.c): on the host, as root
 *   open    makes a sandbox and holds it (open.c, pod.c, crun.c, runs.c): on the host, as root
 *   init    PID 1 of a container (init.c): inside, unprivileged
 *   list, read   hand out files of the workspace (files.c): inside a container without anything else
 *   snapshot  copies a volume to the host (snapshot.c): likewise
 *   probe   waits for something to listen (probe.c): likewise, in the network of the sandbox
 *   unpack  runs a command that can write to one directory only (unpack.c): on the host, as root
 *
 * Process tree of a sandbox:
 *
 *   worker ── spawner ── outer (host namespaces: waits, then removes the cgroups)
 *                          └─ pod (PID 1 of private PID and mount namespaces; owns every mount of the sandbox)
 *                               ├─ crun, while a container starts
 *                               └─ init (PID 1 of a container) ── the build's commands
 *
 * Descriptor 3 of outer and pod is the stream to the worker. That the worker ends its side is the end of the sandbox;
 * that both are gone, and the stream with them, is how the worker learns that nothing is left.
 */
#ifndef HOLDER_H
#define HOLDER_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { WORKER = 3 };                   /* the stream to the worker */
enum { MAX_LIST = 64, IDS = 65536 };   /* repeated options; ids of one build */

struct list { const char *item[MAX_LIST]; int count; };

/* What `open` was asked for; all strings live in argv. */
struct plan {
	const char *mount;             /* a directory; everything private is mounted on it */
	const char *crun;
	const char *layers;            /* the layer store */
	const char *slots;             /* one lock file for each range of ids */
	unsigned long first_id, slot_count;
	const char *disk;              /* tmpfs, or ext4 on a copy of the file template */
	unsigned long long disk_bytes, disk_inodes;
	const char *template;
	struct list sources;           /* lower layers of the workspace, bottom first, all of one owner */
	struct list locks;             /* files whose shared locks keep the sources where they are */
	const char *inside;            /* where containers see the workspace */
	int classic;                   /* overlayfs of before Linux 6.5 */
	const char *link;              /* what names of the host's network interfaces begin with; NULL: no network */
	const char *ipv4, *ipv6;       /* the first pair of addresses; ipv6 may be empty */
	const char *lead;              /* elements of an nft map: ports of anywhere to ports of the gateway; NULL: none */
	struct list cgroups, set_file, set_value, join;
	struct list each;              /* cgroups in which each container has one of its own */
	const char *each_file;         /* the file of these by which a process joins */
};

/* What outer makes for the pod: kernel objects, and what /etc/resolv.conf says. */
struct spaces { unsigned base; int user, source_user, net, ipc, uts; char resolver[64]; };

/* Sends an error frame to the worker and ends this process. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The same, with errno's text appended. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* All or nothing: these end the process where a stream ends (read) or fails. */
void read_all(int fd, void *data, size_t size);
void write_all(int fd, const void *data, size_t size);

/* Frames to the worker: type, id, length, payload (native byte order, 32 bits each). */
struct frame { uint32_t type, id, length; };

/* What was not sent yet when the stream to the worker was full; an error frame goes after it. */
extern struct outbox { char *data; size_t start, end; } outbox;

/* A message of strings: argument vector of a verb. Ends the process on a malformed one. */
struct message { char *data; char **words; int count; };
struct message split(char *data, size_t size);

/* Takes a lock shared; it goes with the last process of the sandbox, however that ends. */
void hold_lock(const char *what, const char *path);

/* stream.c: between the pod and the worker. No call waits. */
void open_stream(void);
/* The worker wants no more, or is dead: ends the pod, of which the kernel kills and removes the rest. */
void leave(void) __attribute__((noreturn));
/* Whether there are frames that the worker did not take yet. Then no output is read, and little else is sent. */
int backlog(void);
void flush_frames(void);
void send_frame(uint32_t type, uint32_t id, const void *data, size_t size);
/* Sends what can be read, at most size bytes of it; gives what read(2) gave. Only without a backlog. */
ssize_t pass_output(uint32_t id, int from, size_t size);
/* Hands out all messages that are there whole. The end of the stream ends the sandbox. */
void receive(void (*obey)(char *message, size_t size));

/* pid: of its init; 0 once that is reaped. control: a socket to it; -1 once that is closed. An empty name: it is gone. */
struct container { char name[64]; pid_t pid; int control; };

/* crun.c */
/* Waits until its init runs. words: NAME PLACE CONFIG HOSTS LOCK LAYER..., as pod.c has them. */
void start_container(struct container *container, const struct plan *plan, const struct spaces *spaces, char **words,
		     int count);

/* runs.c: commands of containers, from the message `run` to the frame X. */
enum { MAX_RUNS = 1024 };
struct pollfd;
/* owner: of its output's pipe. A container that is gone, NULL, is as good as one killed at once. */
void start_run(struct container *container, const struct message *message, unsigned owner);
void end_run(const struct container *container, uint32_t id, int32_t status);
void end_runs(const struct container *container, int32_t status);
int has_runs(const struct container *container);
/* Puts all outputs at polled, at most MAX_RUNS; gives how many. Then, after poll(2), passes on what there is. */
int poll_runs(struct pollfd *polled);
void drain_runs(const struct pollfd *polled, int count);
/* Tells the worker of commands that ended and whose output is through. */
void report_runs(void);

/* ids.c */
int make_spaces(struct spaces *spaces, const struct list *sources);
int take_slot(const struct plan *plan, unsigned *base);

/* link.c */
unsigned make_link(const struct plan *plan, struct spaces *spaces);

/* mounts.c */
void mount_private(const struct plan *plan, const struct spaces *spaces);
void mount_root(const char *container, char **layers, int count, unsigned base, const struct plan *plan);
void mount_names(const char *container, const char *hosts, const char *resolver);
void make_dir(const char *path, mode_t mode, uid_t owner);
/* attributes: MOUNT_ATTR_RDONLY, or none. */
void mount_mapped(const char *from, const char *to, int userns, unsigned attributes);

/* overlay.c */
void mount_overlay(const struct plan *plan, char **layers, int count, const char *prefix, const char *upper,
		   const char *work, const char *to, unsigned attributes);
/* Layers, bottom first; each name has the prefix before it. */
struct stack { const char *prefix; char *const *layers; int count; };
int merged_directory(const struct stack *stack, const char *path, int *lowest, struct stat *st);

/* disk.c */
void mount_disk(const struct plan *plan);
void reserve(int keep);
/* As it is now; peak: the most bytes that any call saw used. */
struct disk_state { uint64_t peak, free_bytes, free_inodes; };
struct disk_state disk_state(void);
void abandon_disk(void);

/* workspace.c */
void mount_workspace(const struct plan *plan, const struct spaces *spaces);
void hide(const char *path);
const struct stack *source_stack(void);

/* volume.c */
void add_volume(const struct plan *plan, const struct spaces *spaces, char **words, int count);
void add_target(const struct spaces *spaces, char **words);
void add_volume_mount_points(const struct plan *plan, const char *upper, const struct stack *image, unsigned base);
void mount_shared(const struct plan *plan, const char *container);
void mount_workspace_to_read(const char *container);
void look_at_volume_mount_points(const struct plan *plan, int root);

/* user.c */
/* USER of an image: name, uid, name:group, uid:gid; numbers need no entry. -1 and ENOENT if the image has no such. */
int find_user(char *user, uid_t *uid, gid_t *gid);

/* files.c */
int open_beneath(int directory, const char *path, int flags);

/* copy.c: what goes wrong is in errno, and the result is -1. */
enum { COPY_BUFFER = 256 << 10 };
int make_file(int directory, const char *name, mode_t mode);
/* By way of a buffer of COPY_BUFFER bytes. */
int copy_content(int from, int to, const struct stat *st, char *buffer);
/* made: the mode it was made with. st becomes that of the copy: a file system may keep less of a time than it was given. */
int copy_attributes(int to, struct stat *st, mode_t made);
int copy_symlink(int from, int to, const char *name, struct stat *st);

/* hardlinks.c */
/* A name in a directory of the copy; path: the whole of it, below root. */
struct copy { int root; const char *path; int directory; const char *name; };
/* NOTHING: see errno. */
enum made { NOTHING, NEW_FILE, ANOTHER_NAME };
/* For a file of several names: a new file, at fd, the first time, and another name of that from then on. */
enum made make_or_link(const struct copy *copy, const struct stat *st, int *fd);

/* The verbs. */
int spawner_main(void);
int open_main(int argc, char **argv);
int pod_main(const struct plan *plan, const struct spaces *spaces);
int init_main(void);
int list_main(int argc, char **argv);
int read_main(int argc, char **argv);
int snapshot_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int unpack_main(int argc, char **argv);

#endif
