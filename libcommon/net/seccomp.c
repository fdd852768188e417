/*
 * The system calls that each role may use; any other ends the process. Own
 * filter instead of libseccomp: a list of numbers and two comparisons of
 * arguments do not ask for a library.
 *
 * Not in any list: open of files for those who have none, execve, clone, kill,
 * ptrace, process_vm_*, prctl, mount, bpf, and memory that can be executed;
 * socket, connect and ioctl only for who has a database elsewhere.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "net/sandbox.h"

#ifdef PS_SANITIZE
int sandbox_seccomp(enum sandbox_role role, struct err *e)
{
	(void)role;
	(void)e;
	return 0;
}
#else

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "seccomp filter: no numbers for this architecture"
#endif

/* Everybody: descriptors that are open, memory, time, random, the end. */
static const int for_all[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_ppoll,
    SYS_sendto,
    SYS_recvfrom,
    SYS_fcntl,
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_futex,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_shutdown,
    SYS_exit,
    SYS_exit_group,
#ifdef SYS_poll
    SYS_poll,
#endif
};

static const int for_keeper[] = {
    SYS_recvmsg,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
};

/* Files below folders that Landlock allows. */
static const int for_files[] = {
    SYS_openat,	    SYS_newfstatat, SYS_fstat,	 SYS_statx,
    SYS_getdents64, SYS_lseek,	    SYS_pread64, SYS_pwrite64,
    SYS_faccessat,  SYS_fstatfs,    SYS_flock,
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
    SYS_fsync,
};

static const int for_writing[] = {
    SYS_fdatasync,	 SYS_ftruncate, SYS_fallocate,
    SYS_sync_file_range, SYS_linkat,	SYS_unlinkat,
    SYS_mkdirat,	 SYS_renameat2, SYS_fchmod,
#ifdef SYS_renameat
    SYS_renameat,
#endif
};

/* SQLite's way with files, many lines at once, and our own certificate. */
static const int for_desk[] = {
    SYS_recvmsg,    SYS_epoll_ctl,  SYS_epoll_pwait, SYS_uname,
    SYS_sysinfo,    SYS_getuid,	    SYS_geteuid,     SYS_getcwd,
    SYS_fchown,	    SYS_readlinkat, SYS_fchmodat,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_open
    SYS_open,	    SYS_stat,	    SYS_lstat,	     SYS_access,
    SYS_unlink,	    SYS_mkdir,	    SYS_rename,	     SYS_readlink,
#endif
};

/* A database elsewhere, and finding its host. */
static const int for_far[] = {
    SYS_connect,    SYS_bind,	     SYS_getsockopt,
    SYS_setsockopt, SYS_getpeername, SYS_getsockname,
    SYS_sendmsg,    SYS_sendmmsg,    SYS_recvmmsg,
};

#define FILTER_MAX 320

struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned n;
};

static void add(struct program *p, struct sock_filter one)
{
	p->code[p->n++] = one;
}

static void load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    (uint32_t)offset));
}

static void verdict(struct program *p, uint32_t what)
{
	add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void allow_all(struct program *p, const int *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    (uint32_t)list[i], 0, 1));
		verdict(p, SECCOMP_RET_ALLOW);
	}
}

/* Else the verdict `otherwise`, when the third argument has such bits. */
static void allow_without(struct program *p, int call, uint32_t bits,
			  uint32_t otherwise)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					    (uint32_t)call, 0, 4));
	load(p, offsetof(struct seccomp_data, args[2]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0,
					    1));
	verdict(p, otherwise);
	verdict(p, SECCOMP_RET_ALLOW);
}

/* With one of these n values as its argument `at`; kept from it otherwise. */
static void allow_with(struct program *p, int call, unsigned at,
		       const uint32_t *values, unsigned n)
{
	unsigned i;

	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					    (uint32_t)call, 0,
					    (uint8_t)(2 + 2 * n)));
	load(p, offsetof(struct seccomp_data, args) + at * sizeof(uint64_t));
	for (i = 0; i < n; i++) {
		add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    values[i], 0, 1));
		verdict(p, SECCOMP_RET_ALLOW);
	}
	verdict(p, SECCOMP_RET_KILL_PROCESS);
}

#define ALLOW(p, list) allow_all(p, list, sizeof(list) / sizeof((list)[0]))

static void allow_desk(struct program *p, enum sandbox_role role)
{
	/* The network, names of hosts (netlink: what addresses we have). */
	static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6,
					    AF_NETLINK},
			      requests[] = {FIONREAD, FIONBIO};

	ALLOW(p, for_desk);
	if (role != SANDBOX_DESK_FAR)
		return;
	ALLOW(p, for_far);
	allow_with(p, SYS_socket, 0, families, 4);
	allow_with(p, SYS_ioctl, 1, requests, 2);
}

int sandbox_seccomp(enum sandbox_role role, struct err *e)
{
	struct program p = {.n = 0};
	bool desk = role == SANDBOX_DESK || role == SANDBOX_DESK_FAR;
	/* A client's library may want to load another: it must do without. */
	uint32_t no_code =
	    desk ? SECCOMP_RET_ERRNO | EACCES : SECCOMP_RET_KILL_PROCESS;
	struct sock_fprog prog;

	load(&p, offsetof(struct seccomp_data, arch));
	add(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1,
					     0));
	verdict(&p, SECCOMP_RET_KILL_PROCESS);
	load(&p, offsetof(struct seccomp_data, nr));
	/* The calls of x32 have numbers above all of ours. */
	ALLOW(&p, for_all);
	allow_without(&p, SYS_mmap, PROT_EXEC, no_code);
	allow_without(&p, SYS_mprotect, PROT_EXEC, no_code);
	if (role == SANDBOX_KEEPER)
		ALLOW(&p, for_keeper);
	if (role == SANDBOX_WORKER || role == SANDBOX_OPERATOR || desk)
		ALLOW(&p, for_files);
	if (role == SANDBOX_WORKER || desk)
		ALLOW(&p, for_writing);
	if (desk)
		allow_desk(&p, role);
	verdict(&p, SECCOMP_RET_KILL_PROCESS);
	prog =
	    (struct sock_fprog){.len = (unsigned short)p.n, .filter = p.code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return err_sys(e, PS_SOFTWARE, "seccomp");
	return 0;
}
#endif
