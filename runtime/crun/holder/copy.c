/* Copies what a file, a directory or a symlink is: content with its holes, owner, mode and times. */
#include "holder.h"

int make_file(int directory, const char *name, mode_t mode)
{
	return openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

static int copy_range(int from, int to, off_t at, off_t end, char *buffer)
{
	while (at < end) {
		ssize_t n = pread(from, buffer, end - at < COPY_BUFFER ? end - at : COPY_BUFFER, at);
		if (n <= 0 || pwrite(to, buffer, n, at) != n)
			return -1;
		at += n;
	}
	return 0;
}

int copy_content(int from, int to, const struct stat *st, char *buffer)
{
	if (st->st_blocks * 512 >= st->st_size)
		return copy_range(from, to, 0, st->st_size, buffer);
	for (off_t data = 0, hole; (data = lseek(from, data, SEEK_DATA)) >= 0 && data < st->st_size; data = hole) {
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || copy_range(from, to, data, hole < st->st_size ? hole : st->st_size, buffer))
			return -1;
	}
	return ftruncate(to, st->st_size);
}

int copy_attributes(int to, struct stat *st, mode_t made)
{
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	if (((st->st_uid || st->st_gid) && fchown(to, st->st_uid, st->st_gid)) ||
	    ((st->st_mode & 07777) != made && fchmod(to, st->st_mode & 07777)) || futimens(to, times))
		return -1;
	return fstat(to, st);
}

int copy_symlink(int from, int to, const char *name, struct stat *st)
{
	char text[PATH_MAX];
	struct timespec times[] = { st->st_mtim, st->st_mtim };
	ssize_t n = readlinkat(from, name, text, sizeof text - 1);
	if (n < 0)
		return -1;
	text[n] = '\0';
	if (symlinkat(text, to, name) || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW))
		return -1;
	return fstatat(to, name, st, AT_SYMLINK_NOFOLLOW);
}
