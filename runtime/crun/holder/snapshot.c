/* snapshot UPPER VOLUME TARGET BYTES ENTRIES: copies a volume into an empty directory of the host, unless UPPER, all that
 * this build changed of it, is empty. Runs like the reader of artifacts, as a command in a container with nothing else,
 * and trusts no name either. Files keep their holes, hard links, owners, modes and times; extended attributes, devices,
 * sockets and FIFOs are left out.
 *
 * Writes what it counted: files, bytes (with holes), entries. Exits with 3 if nothing was changed, with 4 if there is more
 * than BYTES or ENTRIES; what else goes wrong is told in words. */
#include "holder.h"
#include <dirent.h>

enum { UNCHANGED = 3, TOO_MUCH = 4 };

static unsigned long long files, bytes, entries, most_bytes, most_entries;
static int target;
static char path[PATH_MAX];

static void stop(const char *what)
{
	printf("%s: %s", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

/* Files of several names, by inode: where the first one was written. */
static struct link { ino_t inode; char *path; } *links;
static size_t link_count, link_room;

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
	if (!(links = calloc(link_room, sizeof *links)))
		stop("memory");
	for (size_t i = 0; i < room; i++)
		if (before[i].path)
			*link_of(before[i].inode) = before[i];
	free(before);
}

/* Whether a file of several names was there already; then it has got this one too. */
static int linked(const struct stat *st, int to, const char *name)
{
	make_room();
	struct link *link = link_of(st->st_ino);
	if (link->path)
		return !linkat(target, link->path, to, name, 0);
	*link = (struct link){ st->st_ino, strdup(path) };
	if (!link->path)
		stop("memory");
	link_count++;
	return 0;
}

static void copy_range(int from, int to, off_t at, off_t end)
{
	static char buffer[256 << 10];
	while (at < end) {
		size_t size = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
		ssize_t n = pread(from, buffer, size, at);
		if (n <= 0 || pwrite(to, buffer, n, at) != n)
			stop(path);
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
			stop(path);
		copy_range(from, to, data, hole < st->st_size ? hole : st->st_size);
	}
	if (ftruncate(to, st->st_size))
		stop(path);
}

/* What open and mkdir did not settle. */
static void finish(int fd, const struct stat *st, mode_t made)
{
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	if (((st->st_uid || st->st_gid) && fchown(fd, st->st_uid, st->st_gid)) ||
	    ((st->st_mode & 07777) != made && fchmod(fd, st->st_mode & 07777)) || futimens(fd, times))
		stop(path);
	close(fd);
}

static void copy_file(int from, int to, const char *name, const struct stat *st)
{
	files++;
	bytes += st->st_size;
	if (bytes > most_bytes)
		_exit(TOO_MUCH);
	if (st->st_nlink > 1 && linked(st, to, name))
		return;
	mode_t mode = st->st_mode & 0777;
	int source = open_beneath(from, name, O_RDONLY);
	int copy = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (source < 0 || copy < 0)
		stop(path);
	copy_content(source, copy, st);
	close(source);
	finish(copy, st, mode);
}

static void copy_symlink(int from, int to, const char *name, const struct stat *st)
{
	static char text[PATH_MAX];
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	ssize_t n = readlinkat(from, name, text, sizeof text - 1);
	if (n < 0)
		stop(path);
	text[n] = '\0';
	if (symlinkat(text, to, name) || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW))
		stop(path);
}

/* Two descriptors are open for each level of directories. */
static void copy_directory(int from, int to, size_t length)
{
	DIR *directory = fdopendir(from);
	struct dirent *item;
	struct stat st;
	if (!directory)
		stop(path);
	while ((errno = 0, item = readdir(directory))) {
		const char *name = item->d_name;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		int n = snprintf(path + length, sizeof path - length, "%s%s", length ? "/" : "", name);
		if (++entries > most_entries)
			_exit(TOO_MUCH);
		errno = ENAMETOOLONG;
		if (n >= (int)(sizeof path - length) || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW))
			stop(path);
		if (S_ISREG(st.st_mode))
			copy_file(from, to, name, &st);
		else if (S_ISLNK(st.st_mode))
			copy_symlink(from, to, name, &st);
		else if (S_ISDIR(st.st_mode)) {
			int below = open_beneath(from, name, O_RDONLY | O_DIRECTORY), copy = -1;
			if (below < 0 || mkdirat(to, name, 0700) ||
			    (copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
				stop(path);
			copy_directory(below, copy, length + n);
			finish(copy, &st, 0700);
		}
		path[length] = '\0';
	}
	if (errno)
		stop(path);
	closedir(directory);
}

static int is_empty(const char *name)
{
	DIR *directory = opendir(name);
	struct dirent *item;
	int found = 0;
	if (!directory)
		stop(name);
	while (!found && (item = readdir(directory)))
		found = strcmp(item->d_name, ".") && strcmp(item->d_name, "..");
	closedir(directory);
	return !found;
}

int snapshot_main(int argc, char **argv)
{
	struct stat st;
	if (argc != 5)
		return 64;
	most_bytes = strtoull(argv[3], NULL, 10);
	most_entries = strtoull(argv[4], NULL, 10);
	umask(0);
	if (is_empty(argv[0]))
		return UNCHANGED;
	int volume = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	target = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (volume < 0 || target < 0 || fstat(volume, &st))
		stop("the volume");
	copy_directory(volume, target, 0);
	finish(target, &st, 0700);
	printf("%llu %llu %llu", files, bytes, entries);
	return fflush(stdout) || ferror(stdout);
}
