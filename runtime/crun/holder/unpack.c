/* unpack DIR -- COMMAND...: runs COMMAND in DIR, where it can write, and nowhere else; without network. */
#include "holder.h"
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <signal.h>

static int broken(const char *what)
{
	fprintf(stderr, "holder: unpack: %s: %s\n", what, strerror(errno));
	return 70;
}

int unpack_main(int argc, char **argv)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	if (argc < 3 || strcmp(argv[1], "--"))
		return fprintf(stderr, "usage: holder unpack DIR -- COMMAND...\n"), 64;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC))
		return broken("namespaces");
	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return broken("private mounts");
	int tree = syscall(SYS_open_tree, AT_FDCWD, argv[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return broken(argv[0]);
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &readonly, sizeof readonly))
		return broken("read-only mounts");
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, argv[0], MOVE_MOUNT_F_EMPTY_PATH) || chdir(argv[0]))
		return broken(argv[0]);
	close(tree);
	execvp(argv[2], argv + 2);
	return broken(argv[2]);
}
