/* The holder: one small static program with a few verbs.
 *
 *   spawner starts the others for a worker (spawner.c): on the host, as root
 *   open    makes a sandbox and holds it (open.c, pod.c): on the host, as root
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

/* Frames to the worker: type, id, length, payload (native byte order, 32 bits each). */
struct frame { uint32_t type, id, length; };
void write_all(int fd, const void *data, size_t size);

/* What was not sent yet when the stream to the worker was full; an error frame goes after it. */
extern struct outbox { char *data; size_t start, end; } outbox;

/* A message of strings: argument vector of a verb. Ends the process on a malformed one. */
struct message { char *data; char **words; int count; };
struct message split(char *data, size_t size);

/* Takes a lock shared; it goes with the last process of the sandbox, however that ends. */
void hold_lock(const char *what, const char *path);

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
void disk_state(uint64_t *used, uint64_t *free_bytes, uint64_t *free_inodes);

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

/* files.c */
int open_beneath(int directory, const char *path, int flags);

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
