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

enum { UNCHANGED = 3, TOO_MUCH = 4, THREADS = 4 };

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

/* What open and mkdir did not settle. */
static void finish(int fd, struct stat *st, mode_t made)
{
	if (copy_attributes(fd, st, made))
		stop();
	list(st);
	close(fd);
}

/* Looks a file up only once. */
static void copy_file(int from, int to, const char *name)
{
	struct stat st;
	int source = open_beneath(from, name, O_RDONLY), copy = -1;
	if (source < 0 || fstat(source, &st))
		stop();
	count(&st);
	enum made made = NEW_FILE;
	if (st.st_nlink > 1)
		made = make_or_link(&(struct copy){ target, path, to, name }, &st, &copy);
	else
		copy = make_file(to, name, st.st_mode & 0777);
	if (made == ANOTHER_NAME)
		put(&done, &st);
	else if (copy < 0 || made == NOTHING || copy_content(source, copy, &st, buffer))
		stop();
	else
		finish(copy, &st, st.st_mode & 0777);
	close(source);
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
		else if (S_ISLNK(st.st_mode)) {
			count(&st);
			if (copy_symlink(from, to, item->d_name, &st))
				stop();
			list(&st);
		} else if (S_ISDIR(st.st_mode)) {
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
	buffer = some(COPY_BUFFER);
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
