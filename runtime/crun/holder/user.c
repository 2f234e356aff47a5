/* Users as images name them, looked up in the files of the image. */
#include "holder.h"

/* It may be a FIFO, or lead to a device. */
static FILE *open_regular(const char *file)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ? NULL : fdopen(fd, "r");
}

/* Field `want` (from 0) of the line of /etc/passwd or /etc/group whose first field is name; NULL if none. */
static char *look_up(const char *file, const char *name, int want)
{
	static char line[4096];
	FILE *f = open_regular(file);
	char *found = NULL;
	while (f && !found && fgets(line, sizeof line, f)) {
		char *rest = line, *field = strsep(&rest, ":\n");
		if (strcmp(field, name))
			continue;
		for (int i = 0; i < want && rest; i++)
			field = strsep(&rest, ":\n");
		found = field;
	}
	if (f)
		fclose(f);
	return found;
}

static long id_of(const char *text)
{
	char *end;
	long id = text && *text ? strtol(text, &end, 10) : -1;
	return id < 0 || id >= IDS || *end ? -1 : id;
}

int find_user(char *user, uid_t *uid, gid_t *gid)
{
	char *group = strchr(user, ':');
	if (group)
		*group++ = '\0';
	long number = id_of(user), primary = 0;
	if (number < 0) {
		number = id_of(look_up("/etc/passwd", user, 2));
		primary = group ? 0 : id_of(look_up("/etc/passwd", user, 3));
	}
	if (group && (primary = id_of(group)) < 0)
		primary = id_of(look_up("/etc/group", group, 2));
	*uid = number;
	*gid = primary;
	errno = ENOENT;
	return number < 0 || primary < 0 ? -1 : 0;
}
