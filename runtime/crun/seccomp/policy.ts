import numbers from './numbers.json' with { type: 'json' };

/**
 * Which system calls a build may make. An allow-list: what is not named here does not exist inside (ENOSYS), so that
 * a call that a newer kernel adds is refused, and libraries fall back as they do on an older kernel.
 */
export type Architecture = 'x64' | 'arm64';

const allowed = {
  files: `access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat lchown lgetxattr
    link linkat listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat
    newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
    readv removexattr removexattrat rename renameat renameat2 rmdir sendfile setxattr setxattrat splice stat statfs
    statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes write
    writev file_getattr file_setattr cachestat name_to_handle_at`,
  events: `epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 inotify_add_watch
    inotify_init inotify_init1 inotify_rm_watch poll ppoll pselect6 select signalfd signalfd4 timerfd_create
    timerfd_gettime timerfd_settime`,
  memory: `brk get_mempolicy madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect
    mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages map_shadow_stack`,
  processes: `alarm arch_prctl capget capset chroot execve execveat exit exit_group fork getcpu getegid geteuid getgid
    getgroups getitimer getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage
    getsid gettid gettimeofday getuid kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
    lsm_get_self_attr lsm_list_modules nanosleep pause pidfd_getfd pidfd_open pidfd_send_signal prctl prlimit64
    process_mrelease process_vm_readv process_vm_writev ptrace restart_syscall rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo seccomp setfsgid
    setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid
    setuid sigaltstack sysinfo tgkill time times tkill uname uretprobe vfork wait4 waitid`,
  threads: `futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list get_thread_area ioprio_get ioprio_set
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    set_robust_list set_thread_area set_tid_address`,
  timers: `clock_getres clock_gettime clock_nanosleep timer_create timer_delete timer_getoverrun timer_gettime
    timer_settime`,
  ipc: `mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2
    semctl semget semop semtimedop shmat shmctl shmdt shmget`,
  sockets: `accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
    sendmsg sendto setsockopt shutdown socketpair`,
  aio: 'io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit',
};

/** Known and refused: EPERM tells a program "not allowed", which it handles better than "no such call". */
const refused = `acct add_key adjtimex bpf clock_adjtime clock_settime delete_module fanotify_init fanotify_mark
  finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl
  lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree
  open_tree_attr perf_event_open pivot_root process_madvise quotactl quotactl_fd reboot request_key set_mempolicy
  set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 unshare uselib
  userfaultfd ustat vhangup vmsplice`;

/** Decided by an argument; see filter.ts. */
const conditional = ['clone', 'ioctl', 'personality', 'socket'] as const;
type Conditional = (typeof conditional)[number];

export type Rule = 'allow' | 'eperm' | Conditional;

const words = (text: string) => text.trim().split(/\s+/);

/** Rules by system call number; a number that is absent is ENOSYS. */
export function rules(architecture: Architecture): ReadonlyMap<number, Rule> {
  const table: Record<string, number> = numbers[architecture];
  const result = new Map<number, Rule>();
  const add = (names: readonly string[], rule: (name: string) => Rule) => {
    for (const name of names) {
      const number = table[name];
      if (number !== undefined) result.set(number, rule(name));
    }
  };
  add(Object.values(allowed).flatMap(words), () => 'allow');
  add(words(refused), () => 'eperm');
  for (const name of conditional) add([name], () => name);
  return result;
}
