/* list DIRECTORY... and read PATH...: the reader of artifacts. Runs as a command in a container of its own, with the
 * workspace read-only and nothing else; still it trusts no name: no symlink is followed, only regular files count.
 *
 * list writes, for each file: size, mode (decimal), path, each ended by NUL. Missing directories are skipped.
 * read writes, for each path: a 64-bit size and the content, or ~0 and nothing for what is no regular file.
 * openat2(2): RESOLVE_BENEATH keeps every lookup below the workspace, and the volumes that are mounted in it. */
#include "holder.h"
#include <dirent.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

static int workspace;
static long left;

int open_beneath(int directory, const char *path, int flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	return syscall(SYS_openat2, directory, path, &how, sizeof how);
}

static void entry(const char *path, const struct stat *st)
{
	printf("%lld", (long long)st->st_size);
	putchar('\0');
	printf("%u", st->st_mode & 07777u);
	putchar('\0');
	fputs(path, stdout);
	putchar('\0');
	left--;
}

/* Depth is bound by PATH_MAX, as every path here is one that open() could take. */
static void walk(int directory, char *path, size_t length)
{
	DIR *open_directory = fdopendir(directory);
	struct dirent *item;
	struct stat st;
	if (!open_directory) {
		close(directory);
		return;
	}
	while (left > 0 && (item = readdir(open_directory))) {
		if (!strcmp(item->d_name, ".") || !strcmp(item->d_name, ".."))
			continue;
		int n = snprintf(path + length, PATH_MAX - length, "%s%s", length ? "/" : "", item->d_name);
		if (n >= (int)(PATH_MAX - length) || fstatat(directory, item->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISREG(st.st_mode))
			entry(path, &st);
		else if (S_ISDIR(st.st_mode)) {
			int below = open_beneath(directory, item->d_name, O_RDONLY | O_DIRECTORY);
			if (below >= 0)
				walk(below, path, length + n);
		}
	}
	closedir(open_directory);
}

static int open_workspace(const char *path)
{
	workspace = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return workspace < 0;
}

int list_main(int argc, char **argv)
{
	static char path[PATH_MAX];
	struct stat st;
	if (argc < 3 || open_workspace(argv[0]))
		return 64;
	left = atol(argv[1]);
	for (int i = 2; i < argc && left > 0; i++) {
		int fd = open_beneath(workspace, *argv[i] ? argv[i] : ".", O_RDONLY);
		if (fd < 0 || fstat(fd, &st))
			continue;
		snprintf(path, sizeof path, "%s", argv[i]);
		if (S_ISREG(st.st_mode))
			entry(path, &st), close(fd);
		else if (S_ISDIR(st.st_mode))
			walk(fd, path, strlen(path));
		else
			close(fd);
	}
	return fflush(stdout) || ferror(stdout);
}

int read_main(int argc, char **argv)
{
	static char buffer[256 << 10];
	if (argc < 2 || open_workspace(argv[0]))
		return 64;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		uint64_t size = ~0ULL;
		int fd = open_beneath(workspace, argv[i], O_RDONLY);
		if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
			size = st.st_size;
		write_all(1, &size, sizeof size);
		while (fd >= 0 && size != ~0ULL && size > 0) {
			ssize_t n = read(fd, buffer, size < sizeof buffer ? size : sizeof buffer);
			if (n <= 0)
				return 1;
			write_all(1, buffer, n);
			size -= n;
		}
		if (fd >= 0)
			close(fd);
	}
	return 0;
}
