/*
 * The system calls that each role may use; any other ends the process. Own
 * filter instead of libseccomp: a list of numbers and two comparisons of
 * arguments do not ask for a library.
 *
 * Not in any list: open of files for those who have none, socket, connect,
 * execve, clone, kill, ptrace, process_vm_*, prctl, ioctl, mount, bpf, and
 * memory that can be executed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

#define FILTER_MAX 160

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

/* Allowed unless the third argument has one of these bits. */
static void allow_without(struct program *p, int call, uint32_t bits)
{
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					    (uint32_t)call, 0, 4));
	load(p, offsetof(struct seccomp_data, args[2]));
	add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0,
					    1));
	verdict(p, SECCOMP_RET_KILL_PROCESS);
	verdict(p, SECCOMP_RET_ALLOW);
}

#define ALLOW(p, list) allow_all(p, list, sizeof(list) / sizeof((list)[0]))

int sandbox_seccomp(enum sandbox_role role, struct err *e)
{
	struct program p = {.n = 0};
	struct sock_fprog prog;

	load(&p, offsetof(struct seccomp_data, arch));
	add(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1,
					     0));
	verdict(&p, SECCOMP_RET_KILL_PROCESS);
	load(&p, offsetof(struct seccomp_data, nr));
	/* The calls of x32 have numbers above all of ours. */
	ALLOW(&p, for_all);
	allow_without(&p, SYS_mmap, PROT_EXEC);
	allow_without(&p, SYS_mprotect, PROT_EXEC);
	if (role == SANDBOX_KEEPER)
		ALLOW(&p, for_keeper);
	if (role == SANDBOX_WORKER || role == SANDBOX_OPERATOR)
		ALLOW(&p, for_files);
	if (role == SANDBOX_WORKER)
		ALLOW(&p, for_writing);
	verdict(&p, SECCOMP_RET_KILL_PROCESS);
	prog =
	    (struct sock_fprog){.len = (unsigned short)p.n, .filter = p.code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return err_sys(e, PS_SOFTWARE, "seccomp");
	return 0;
}
#endif
