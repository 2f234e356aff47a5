/* snapshot UPPER VOLUME TARGET BYTES ENTRIES: copies a volume into an empty directory of the host, unless UPPER, all that
 * this build changed of it, is empty. Runs like the reader of artifacts, as a command in a container with nothing else,
 * and trusts no name either. Files keep their holes, hard links, owners, modes and times; extended attributes, devices,
 * sockets and FIFOs are left out.
 *
 * Making a file costs more than filling it, most of it in the kernel, so several threads do it, each in another directory.
 *
 * Writes a line for each entry of the copy, ended by NUL, as find(1) does by -printf '%y %s %U %G %m %T@ %P\0'; then, after
 * '=', what it counted: files, bytes (with holes), entries. Exits with 3 if nothing was changed, with 4 if there is more
 * than BYTES or ENTRIES; what else goes wrong is told in words after '!'. */
#include "holder.h"
#include <dirent.h>
#include <pthread.h>

enum { UNCHANGED = 3, TOO_MUCH = 4, THREADS = 4, BUFFER = 256 << 10 };

/* What is left for the end: a directory's mode and times, and to list another name of a file. */
struct entry { struct entry *next; struct stat st; char path[]; };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Under the mutex: directories to be copied, entries that were, and how many threads are at a directory. */
static struct entry *queue, *done;
static int busy;
static unsigned long long files, bytes, entries, most_bytes, most_entries;
static int volume, target;

static __thread char path[PATH_MAX];
static __thread char *buffer;

static void stop(void)
{
	int code = errno;
	pthread_mutex_lock(&mutex);
	printf("!%s: %s", *path ? path : ".", strerror(code));
	fflush(stdout);
	_exit(1);
}

static void *some(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		stop();
	return memory;
}

/* Counts an entry; its size, if it is a file. */
static void count(const struct stat *st)
{
	size_t size = S_ISREG(st->st_mode) ? st->st_size : 0;
	if (S_ISREG(st->st_mode))
		__atomic_add_fetch(&files, 1, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&entries, 1, __ATOMIC_RELAXED) > most_entries ||
	    __atomic_add_fetch(&bytes, size, __ATOMIC_RELAXED) > most_bytes)
		_exit(TOO_MUCH);
}

/* Puts path on a list. */
static void put(struct entry **list, const struct stat *st)
{
	struct entry *entry = some(sizeof *entry + strlen(path) + 1);
	entry->st = *st;
	strcpy(entry->path, path);
	pthread_mutex_lock(&mutex);
	entry->next = *list;
	*list = entry;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&mutex);
}

/* path, as it is in the copy. */
static void list(const struct stat *st)
{
	char line[PATH_MAX + 128];
	int n = snprintf(line, sizeof line, "%c %lld %u %u %o %lld.%09ld0 %s",
			 S_ISREG(st->st_mode) ? 'f' : S_ISDIR(st->st_mode) ? 'd' : 'l', (long long)st->st_size,
			 st->st_uid, st->st_gid, st->st_mode & 07777u, (long long)st->st_mtim.tv_sec,
			 st->st_mtim.tv_nsec, path);
	fwrite(line, n + 1, 1, stdout);
}

/* Files of several names, by inode: where the first one was made. */
static struct link { ino_t inode; char *path; } *links;
static size_t link_count, link_room;
static pthread_mutex_t links_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct link *link_of(ino_t inode)
{
	size_t at = inode * 0x9e3779b97f4a7c15ULL & (link_room - 1);
	while (links[at].path && links[at].inode != inode)
		at = (at + 1) & (link_room - 1);
	return &links[at];
}

static void make_room(void)
{
	struct link *before = links;
	size_t room = link_room;
	if (link_count * 2 < link_room)
		return;
	link_room = room ? room * 2 : 1024;
	links = some(link_room * sizeof *links);
	for (size_t i = 0; i < room; i++)
		if (before[i].path)
			*link_of(before[i].inode) = before[i];
	free(before);
}

static int make_file(int to, const char *name, mode_t mode)
{
	int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (copy < 0)
		stop();
	return copy;
}

/* A new file; or -1, if it was there already by another name and has this one now too. */
static int make_or_link(int to, const char *name, const struct stat *st)
{
	int copy = -1;
	pthread_mutex_lock(&links_mutex);
	make_room();
	struct link *link = link_of(st->st_ino);
	if (!link->path || linkat(target, link->path, to, name, 0)) {
		copy = make_file(to, name, st->st_mode & 0777);
		if (!link->path) {
			*link = (struct link){ st->st_ino, some(strlen(path) + 1) };
			strcpy(link->path, path);
			link_count++;
		}
	}
	pthread_mutex_unlock(&links_mutex);
	return copy;
}

static void copy_range(int from, int to, off_t at, off_t end)
{
	while (at < end) {
		ssize_t n = pread(from, buffer, end - at < BUFFER ? end - at : BUFFER, at);
		if (n <= 0 || pwrite(to, buffer, n, at) != n)
			stop();
		at += n;
	}
}

static void copy_content(int from, int to, const struct stat *st)
{
	if (st->st_blocks * 512 >= st->st_size)
		return copy_range(from, to, 0, st->st_size);
	for (off_t data = 0, hole; (data = lseek(from, data, SEEK_DATA)) >= 0 && data < st->st_size; data = hole) {
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			stop();
		copy_range(from, to, data, hole < st->st_size ? hole : st->st_size);
	}
	if (ftruncate(to, st->st_size))
		stop();
}

/* What open and mkdir did not settle. */
static void finish(int fd, const struct stat *st, mode_t made)
{
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	if (((st->st_uid || st->st_gid) && fchown(fd, st->st_uid, st->st_gid)) ||
	    ((st->st_mode & 07777) != made && fchmod(fd, st->st_mode & 07777)) || futimens(fd, times))
		stop();
	/* A file system may keep less of a time than it was given. */
	struct stat made_st;
	if (fstat(fd, &made_st))
		stop();
	list(&made_st);
	close(fd);
}

/* Looks a file up only once. */
static void copy_file(int from, int to, const char *name)
{
	struct stat st;
	int source = open_beneath(from, name, O_RDONLY);
	if (source < 0 || fstat(source, &st))
		stop();
	count(&st);
	int copy = st.st_nlink > 1 ? make_or_link(to, name, &st) : make_file(to, name, st.st_mode & 0777);
	if (copy >= 0) {
		copy_content(source, copy, &st);
		finish(copy, &st, st.st_mode & 0777);
	} else
		put(&done, &st);
	close(source);
}

static void copy_symlink(int from, int to, const char *name, const struct stat *st)
{
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	struct stat made;
	ssize_t n = readlinkat(from, name, buffer, PATH_MAX - 1);
	if (n < 0)
		stop();
	buffer[n] = '\0';
	if (symlinkat(buffer, to, name) || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) || fstatat(to, name, &made, AT_SYMLINK_NOFOLLOW))
		stop();
	list(&made);
}

static int open_copy(const char *name)
{
	return open_beneath(target, *name ? name : ".", O_RDONLY | O_DIRECTORY);
}

/* By their paths, as deep as one may be long: no thread keeps directories open above its own. */
static void copy_directory(const char *name)
{
	struct dirent *item;
	struct stat st;
	size_t length = strlen(strcpy(path, name));
	int from = open_beneath(volume, *name ? name : ".", O_RDONLY | O_DIRECTORY), to = open_copy(name);
	DIR *directory = from < 0 || to < 0 ? NULL : fdopendir(from);
	if (!directory)
		stop();
	while ((errno = 0, item = readdir(directory))) {
		if (!strcmp(item->d_name, ".") || !strcmp(item->d_name, ".."))
			continue;
		int n = snprintf(path + length, sizeof path - length, "%s%s", length ? "/" : "", item->d_name);
		errno = ENAMETOOLONG;
		st.st_mode = DTTOIF(item->d_type);
		if (n >= (int)(sizeof path - length) ||
		    (!S_ISREG(st.st_mode) && fstatat(from, item->d_name, &st, AT_SYMLINK_NOFOLLOW)))
			stop();
		if (S_ISREG(st.st_mode))
			copy_file(from, to, item->d_name);
		else if (S_ISLNK(st.st_mode))
			count(&st), copy_symlink(from, to, item->d_name, &st);
		else if (S_ISDIR(st.st_mode)) {
			count(&st);
			if (mkdirat(to, item->d_name, 0700))
				stop();
			put(&queue, &st);
		}
		path[length] = '\0';
	}
	if (errno)
		stop();
	closedir(directory);
	close(to);
}

/* Takes directories until there are none, and nobody is at one who could find more. */
static void *work(void *unused)
{
	buffer = some(BUFFER);
	pthread_mutex_lock(&mutex);
	for (;;) {
		while (!queue && busy)
			pthread_cond_wait(&changed, &mutex);
		struct entry *directory = queue;
		if (!directory)
			break;
		queue = directory->next;
		busy++;
		pthread_mutex_unlock(&mutex);
		copy_directory(directory->path);
		pthread_mutex_lock(&mutex);
		busy--;
		directory->next = done;
		done = directory;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static int is_empty(const char *name)
{
	DIR *directory = opendir(name);
	struct dirent *item;
	int found = 0;
	if (!directory)
		stop();
	while (!found && (item = readdir(directory)))
		found = strcmp(item->d_name, ".") && strcmp(item->d_name, "..");
	closedir(directory);
	return !found;
}

int snapshot_main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	struct stat st;
	if (argc != 5)
		return 64;
	most_bytes = strtoull(argv[3], NULL, 10);
	most_entries = strtoull(argv[4], NULL, 10);
	umask(0);
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	if (is_empty(argv[0]))
		return UNCHANGED;
	volume = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	target = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (volume < 0 || target < 0 || fstat(volume, &st))
		stop();
	put(&queue, &st);
	for (int i = 0; i < THREADS; i++)
		if ((errno = pthread_create(&threads[i], NULL, work, NULL)))
			stop();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (struct entry *entry = done; entry; entry = entry->next) {
		strcpy(path, entry->path);
		if (S_ISDIR(entry->st.st_mode)) {
			int copy = open_copy(path);
			if (copy < 0)
				stop();
			finish(copy, &entry->st, 0700);
		} else if (fstatat(target, path, &st, AT_SYMLINK_NOFOLLOW))
			stop();
		else
			list(&st);
	}
	printf("=%llu %llu %llu", files, bytes, entries);
	return fflush(stdout) || ferror(stdout);
}
