/* Files of several names, while they are copied: where the first name of each was made. */
#include "holder.h"
#include <pthread.h>

/* By inode; an empty slot has no path. */
static struct name { ino_t inode; char *path; } *names;
static size_t count, room;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct name *name_of(ino_t inode)
{
	size_t at = inode * 0x9e3779b97f4a7c15ULL & (room - 1);
	while (names[at].path && names[at].inode != inode)
		at = (at + 1) & (room - 1);
	return &names[at];
}

static int make_room(void)
{
	struct name *before = names;
	size_t had = room, wanted = had ? had * 2 : 1024;
	if (count * 2 < had)
		return 0;
	struct name *more = calloc(wanted, sizeof *more);
	if (!more)
		return -1;
	names = more;
	room = wanted;
	for (size_t i = 0; i < had; i++)
		if (before[i].path)
			*name_of(before[i].inode) = before[i];
	free(before);
	return 0;
}

static enum made make(const struct copy *copy, ino_t inode, mode_t mode, int *fd)
{
	struct name *known = make_room() ? NULL : name_of(inode);
	if (!known)
		return NOTHING;
	if (known->path && !linkat(copy->root, known->path, copy->directory, copy->name, 0))
		return ANOTHER_NAME;
	*fd = make_file(copy->directory, copy->name, mode);
	if (*fd < 0)
		return NOTHING;
	if (!known->path) {
		*known = (struct name){ inode, strdup(copy->path) };
		if (!known->path)
			return NOTHING;
		count++;
	}
	return NEW_FILE;
}

enum made make_or_link(const struct copy *copy, const struct stat *st, int *fd)
{
	pthread_mutex_lock(&mutex);
	enum made made = make(copy, st->st_ino, st->st_mode & 0777, fd);
	pthread_mutex_unlock(&mutex);
	return made;
}
