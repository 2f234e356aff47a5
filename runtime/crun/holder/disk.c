/* The ephemeral layer of hard size: a tmpfs, or ext4 on a file without a name. */
#include "holder.h"
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* Copies the template's data, not its holes; the copy never has a name, so nothing is left to sweep. */
static int copy_template(const char *template)
{
	char directory[4096];
	struct stat st;
	snprintf(directory, sizeof directory, "%s", template);
	char *slash = strrchr(directory, '/');
	if (!slash)
		fail("the disk's template is no path: %s", template);
	*slash = '\0';
	int from = open(template, O_RDONLY | O_CLOEXEC);
	int to = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st) || ftruncate(to, st.st_size))
		die("disk %s", template);
	for (off_t at = 0, end; (at = lseek(from, at, SEEK_DATA)) >= 0; at = end) {
		end = lseek(from, at, SEEK_HOLE);
		for (off_t in = at, out = at; in < end; )
			if (copy_file_range(from, &in, to, &out, end - in, 0) <= 0)
				die("disk %s", template);
	}
	close(from);
	return to;
}

static void mount_ext4(const char *template)
{
	char device[64];
	struct loop_config config = { .fd = copy_template(template), .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop;
	if (control < 0)
		die("/dev/loop-control");
	for (int tries = 0; ; tries++) {
		int free = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(device, sizeof device, "/dev/loop%d", free);
		loop = free < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
		if (loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config))
			break;
		if (tries == 1000 || (loop >= 0 && errno != EBUSY))
			die("loop device");
		close(loop);
		usleep(500);
	}
	if (mount(device, "disk", "ext4", MS_NODEV | MS_NOATIME, "noinit_itable,nobarrier,noauto_da_alloc"))
		die("mount %s", device);
	close(loop);
	close(control);
	close(config.fd);
}

enum { RESERVE_FILES = 24, RESERVE_BYTES = 128 << 10 };

/* Room for the directories of further containers, which must start on a full disk too (the reader of artifacts, a
 * step that runs after a failure). The filesystem's own reserve does not do: overlayfs writes as its mounter. */
void reserve(int keep)
{
	char path[64];
	if (!keep) {
		for (int i = 0; i < RESERVE_FILES; i++) {
			snprintf(path, sizeof path, "disk/reserve/%d", i);
			unlink(path);
		}
		return;
	}
	mkdir("disk/reserve", 0700);
	for (int i = 0; i < RESERVE_FILES; i++) {
		snprintf(path, sizeof path, "disk/reserve/%d", i);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0 && i == 0 && fallocate(fd, 0, 0, RESERVE_BYTES))
			errno = 0;
		close(fd);
	}
}

static void mount_tmpfs(const struct plan *plan)
{
	char options[128];
	snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0755", plan->disk_bytes + RESERVE_BYTES,
		 plan->disk_inodes + RESERVE_FILES + 16);
	if (mount("cofferdam", "disk", "tmpfs", MS_NODEV | MS_NOATIME, options))
		die("tmpfs");
}

void mount_disk(const struct plan *plan)
{
	if (!strcmp(plan->disk, "tmpfs"))
		mount_tmpfs(plan);
	else
		mount_ext4(plan->template);
}

/* EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH of the kernel's fs/ext4/ext4.h. */
#define SHUTDOWN _IOR('X', 125, uint32_t)
enum { WITHOUT_FLUSH = 2, WORTH_IT = 16 << 20 };

/* What was written is dropped where it is. Else the kernel would write it out before it unmounts what nobody will read:
 * seconds, for a gigabyte. Each time is a line in the kernel's log, so it must be worth it. */
void abandon_disk(void)
{
	uint32_t how = WITHOUT_FLUSH;
	struct statvfs st;
	int disk = open("disk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk >= 0 && !fstatvfs(disk, &st) && (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize > WORTH_IT)
		ioctl(disk, SHUTDOWN, &how); /* A tmpfs knows no such thing and needs none. */
	if (disk >= 0)
		close(disk);
}

struct disk_state disk_state(void)
{
	static uint64_t peak;
	struct statvfs st;
	if (statvfs("disk", &st))
		return (struct disk_state){ .peak = peak };
	uint64_t used = (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
	if (used > peak)
		peak = used;
	return (struct disk_state){ peak, (uint64_t)st.f_bavail * st.f_frsize, st.f_favail };
}
