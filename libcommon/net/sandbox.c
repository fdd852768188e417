#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "net/sandbox.h"

/* ---- user ---- */

int sandbox_user(struct sandbox_user *ret, const char *name, struct err *e)
{
	struct sandbox_user u = {.is_root = geteuid() == 0};
	const char *want = name != NULL ? name : SANDBOX_USER;
	const struct passwd *p = NULL;

	errno = 0;
	if (u.is_root || name != NULL)
		p = getpwnam(want);
	if (name != NULL && p == NULL)
		return err_set(e, PS_CONFIG, "no user '%s'", name);
	if (name != NULL && !u.is_root && p->pw_uid != geteuid())
		return err_set(e, PS_NOPERM,
			       "only root can become the user '%s'", name);
	u.stay_root = u.is_root && (p == NULL || p->pw_uid == 0);
	if (p != NULL) {
		u.uid = p->pw_uid;
		u.gid = p->pw_gid;
		snprintf(u.name, sizeof(u.name), "%s", want);
	}
	*ret = u;
	return 0;
}

void sandbox_serve_parent(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
}

/* What no program of ours gets; `kept`: what is left, as bits. */
static int drop_bounds(uint32_t kept, struct err *e)
{
	unsigned long cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if ((cap > 31 || (kept >> cap & 1) == 0) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_sys(e, PS_NOPERM, "capabilities");
	return 0;
}

static int set_capabilities(uint32_t kept, struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct left[2] = {{kept, kept, kept}, {0}};

	if (syscall(SYS_capset, &head, left) < 0)
		return err_sys(e, PS_NOPERM, "capabilities");
	return 0;
}

/* Root without capabilities is an owner of files like any other. */
static int drop_capabilities(struct err *e)
{
	int rc = drop_bounds(0, e);

	return rc < 0 ? rc : set_capabilities(0, e);
}

int sandbox_drop(const struct sandbox_user *u, struct err *e)
{
	int rc = 0;

	if (u->is_root && !u->stay_root &&
	    (setgroups(1, &u->gid) < 0 ||
	     setresgid(u->gid, u->gid, u->gid) < 0 ||
	     setresuid(u->uid, u->uid, u->uid) < 0 || setuid(0) == 0))
		rc = err_sys(e, PS_NOPERM, "cannot become '%s'", u->name);
	else if (u->stay_root)
		rc = drop_capabilities(e);
	if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = err_sys(e, PS_NOPERM, "no new privileges");
	/* A change of user makes a process readable again. */
	secret_harden_process();
	return rc;
}

int sandbox_drop_but_ports(const struct sandbox_user *u, struct err *e)
{
	const uint32_t ports = 1u << CAP_NET_BIND_SERVICE;
	int rc;

	if (!u->is_root || u->stay_root)
		return sandbox_drop(u, e);
	/* A change of user takes away who may do this, and what is kept. */
	rc = drop_bounds(ports, e);
	if (rc == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		rc = err_sys(e, PS_NOPERM, "capabilities");
	if (rc == 0)
		rc = sandbox_drop(u, e);
	if (rc == 0)
		rc = set_capabilities(ports, e);
	if (rc == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
			     CAP_NET_BIND_SERVICE, 0, 0) < 0)
		rc = err_sys(e, PS_NOPERM, "capabilities");
	return rc;
}

/* ---- Landlock; own figures, for kernels newer than the headers ---- */

#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_DIR (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR (UINT64_C(1) << 7)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_ABI_1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)	 /* ABI 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)	 /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_ALL UINT64_C(3)		 /* ABI 4: bind and connect by TCP */
#define SCOPE_ALL UINT64_C(3)		 /* ABI 6: abstract sockets, signals */
#define NET_CONNECT UINT64_C(2)
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2
#define PORT_DNS 53

#define FS_READ (FS_READ_FILE | FS_READ_DIR)
#define FS_WRITE                                                               \
	(FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |            \
	 FS_MAKE_DIR | FS_MAKE_REG | FS_TRUNCATE)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct port_rule {
	uint64_t allowed, port;
};

struct beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return abi < 0 ? 0 : (int)abi;
}

static int allow(int set, int dirfd, uint64_t rights, struct err *e)
{
	struct beneath rule = {.allowed = rights, .fd = dirfd};

	if (syscall(SYS_landlock_add_rule, set, RULE_PATH_BENEATH, &rule, 0) <
	    0)
		return err_sys(e, PS_SOFTWARE, "Landlock");
	return 0;
}

/* A folder, or a file by itself. */
static int allow_reading(int set, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, PS_SOFTWARE, "Landlock");
	return allow(set, fd, S_ISDIR(st.st_mode) ? FS_READ : FS_READ_FILE, e);
}

static int allow_port(int set, unsigned port, struct err *e)
{
	struct port_rule rule = {NET_CONNECT, port};

	if (syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0) < 0)
		return err_sys(e, PS_SOFTWARE, "Landlock");
	return 0;
}

/* What is left of files and network. */
struct allowed {
	const int *dirs;
	size_t n;
	uint64_t rights;     /* in the folders */
	const int *readable; /* besides */
	size_t nreadable;
	unsigned port; /* to connect to, and that of DNS; 0: none */
	uint64_t scoped;
};

/* A set of rules that handles all that this kernel knows; -CODE. */
static int make_set(int abi, const struct allowed *a, uint64_t *ret_fs,
		    struct err *e)
{
	struct ruleset r = {.fs = FS_ABI_1};
	size_t size = sizeof(r.fs);
	int set;

	if (abi >= 2)
		r.fs |= FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4) {
		r.net = NET_ALL;
		size += sizeof(r.net);
	}
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6) {
		r.scoped = a->scoped;
		size += sizeof(r.scoped);
	}
	*ret_fs = r.fs;
	set = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	return set < 0 ? err_sys(e, PS_SOFTWARE, "Landlock") : set;
}

static int restrict_to(const struct allowed *a, struct err *e)
{
	int abi = landlock_abi(), set, rc = 0;
	uint64_t fs = 0;
	size_t i;

	if (abi == 0)
		return 0; /* told at the start */
	set = make_set(abi, a, &fs, e);
	if (set < 0)
		return set;
	for (i = 0; i < a->n && rc == 0; i++)
		rc = allow(set, a->dirs[i], a->rights & fs, e);
	for (i = 0; i < a->nreadable && rc == 0; i++)
		if (a->readable[i] >= 0)
			rc = allow_reading(set, a->readable[i], e);
	if (rc == 0 && a->port != 0 && abi >= 4) {
		rc = allow_port(set, a->port, e);
		if (rc == 0)
			rc = allow_port(set, PORT_DNS, e);
	}
	if (rc == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			syscall(SYS_landlock_restrict_self, set, 0) < 0))
		rc = err_sys(e, PS_SOFTWARE, "Landlock");
	close(set);
	return rc;
}

int sandbox_listener(const int *dirs, size_t n, int readable, struct err *e)
{
	/* A lease may be held by a ps-cache, which it has to end. */
	return restrict_to(&(struct allowed){.dirs = dirs,
					     .n = n,
					     .rights = FS_WRITE,
					     .readable = &readable,
					     .nreadable = 1},
			   e);
}

int sandbox_landlock(enum sandbox_role role, int dirfd, struct err *e)
{
	struct allowed a = {.dirs = &dirfd, .scoped = SCOPE_ALL};

	if (role == SANDBOX_WORKER)
		a.rights = FS_WRITE;
	else if (role == SANDBOX_OPERATOR)
		a.rights = FS_READ;
	a.n = a.rights != 0;
	return restrict_to(&a, e);
}

int sandbox_desk(int dirfd, const struct sandbox_far *far, struct err *e)
{
	struct allowed a = {
	    .dirs = &dirfd, .n = 1, .rights = FS_WRITE, .scoped = SCOPE_ALL};
	int rc;

	if (far != NULL) {
		a.readable = far->files;
		a.nreadable = far->n;
		a.port = far->port;
	}
	rc = restrict_to(&a, e);
	return rc < 0 ? rc
		      : sandbox_seccomp(
			    far != NULL ? SANDBOX_DESK_FAR : SANDBOX_DESK, e);
}

void sandbox_words(char *out, size_t size)
{
	int abi = landlock_abi();
	char lock[64];

	if (abi == 0)
		snprintf(lock, sizeof(lock), "no Landlock in this kernel");
	else
		snprintf(lock, sizeof(lock), "Landlock ABI %d%s", abi,
			 abi < 4   ? " (files)"
			 : abi < 6 ? " (files, TCP)"
				   : "");
#ifdef PS_SANITIZE
	snprintf(out, size, "%s, no seccomp: built with sanitizers", lock);
#else
	snprintf(out, size, "%s, seccomp", lock);
#endif
}

/* ---- limits ---- */

#ifndef PS_SANITIZE
static void limit(int what, rlim_t n)
{
	struct rlimit have, want = {n, n};

	if (getrlimit((__rlimit_resource_t)what, &have) == 0 &&
	    have.rlim_max < n)
		want = (struct rlimit){have.rlim_max, have.rlim_max};
	(void)setrlimit((__rlimit_resource_t)what, &want);
}
#endif

void sandbox_limits(enum sandbox_role role)
{
	secret_harden_process();
#ifndef PS_SANITIZE
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_AS, 512 * 1024 * 1024u);
	if (role == SANDBOX_GATE || role == SANDBOX_KEEPER)
		limit(RLIMIT_FSIZE, 0);
	if (role == SANDBOX_GATE)
		limit(RLIMIT_NOFILE, 16);
	else if (role != SANDBOX_KEEPER)
		limit(RLIMIT_NOFILE, 512); /* cache leases: 64, of 3 each */
#else
	(void)role;
#endif
}

int sandbox_enter(enum sandbox_role role, int dirfd, struct err *e)
{
	int rc;

	sandbox_limits(role);
	rc = sandbox_landlock(role, dirfd, e);
	return rc < 0 ? rc : sandbox_seccomp(role, e);
}

/* ---- descriptors ---- */

int sandbox_descriptors(int *fds, size_t n, int null, struct err *e)
{
	int first = 3 + (int)n, i;

	/* Out of the way of each other first. */
	for (i = 0; i < (int)n; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, first);

		if (fd < 0)
			return err_sys(e, PS_TEMPFAIL, "descriptors");
		fds[i] = fd;
	}
	for (i = 0; i < (int)n; i++) {
		if (dup3(fds[i], 3 + i, O_CLOEXEC) < 0)
			return err_sys(e, PS_TEMPFAIL, "descriptors");
		fds[i] = 3 + i;
	}
	for (i = 0; i < 3 && null >= 0; i++)
		if (dup2(null, i) < 0)
			return err_sys(e, PS_TEMPFAIL, "descriptors");
	if (syscall(SYS_close_range, first, ~0U, 0) < 0)
		for (i = first; i < 65536; i++)
			close(i);
	return 0;
}
