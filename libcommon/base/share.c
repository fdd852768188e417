#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/share.h"
#include "base/units.h"

#define MAGIC "psshare1"
#define BURST_NS (NS_PER_S / 10)     /* what a late one may make up for */
#define URGENT_NS (NS_PER_S / 2)     /* how long one question counts */
#define BEHIND_NS (5 * NS_PER_S)     /* then also the others get a turn */
#define ASK_AGAIN_NS (NS_PER_S / 20) /* while others go first */
#define AHEAD_MAX_NS (5 * NS_PER_S)  /* more is not from this clock */
#define LOCK_WAIT_NS (NS_PER_S / 5)  /* for a holder that was stopped */
#define PIECE_MIN 1024

struct content {
	char magic[8];
	int64_t free_ns, urgent_ns;
	uint32_t crc, zero;
};

static int open_file(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int share_open(struct share *s, const char *path, uint64_t per_second,
	       struct err *e)
{
	struct stat st;

	*s = (struct share){.path = path, .per_second = per_second, .fd = -1};
	if (path == NULL)
		return 0;
	s->fd = open_file(path);
	if (s->fd < 0)
		return err_sys(e, 0, "%s", path);
	if (fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		share_close(s);
		return err_set(e, PS_CONFIG, "%s: not a plain file", path);
	}
	return 0;
}

void share_close(struct share *s)
{
	if (s->path != NULL && s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

bool share_matters(const struct share *s)
{
	return s->path != NULL || s->per_second != 0;
}

size_t share_piece(const struct share *s)
{
	uint64_t n = s->per_second / 8;

	if (s->per_second == 0 || n > SHARE_PIECE_MAX)
		return SHARE_PIECE_MAX;
	return n < PIECE_MIN ? PIECE_MIN : (size_t)n;
}

/* ---- the file ---- */

/* False when somebody keeps it for too long: then it is not asked. */
static bool lock(struct share *s)
{
	int64_t end = mono_now_ns() + LOCK_WAIT_NS;
	struct timespec pause = {0, 1000000};
	struct stat st;
	int fd;

	/* Removed: those who start now have another one. */
	if (fstat(s->fd, &st) == 0 && st.st_nlink == 0) {
		fd = open_file(s->path);
		if (fd >= 0) {
			close(s->fd);
			s->fd = fd;
		}
	}
	while (flock(s->fd, LOCK_EX | LOCK_NB) < 0) {
		if (mono_now_ns() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static uint32_t crc_of(const struct content *c)
{
	return crc32c(0, c, offsetof(struct content, crc));
}

static void load(struct share *s)
{
	struct content c;

	if (io_pread_full(s->fd, &c, sizeof(c), 0) != sizeof(c) ||
	    memcmp(c.magic, MAGIC, sizeof(c.magic)) != 0 || c.crc != crc_of(&c))
		return; /* what we saw last is the better guess */
	s->free_ns = c.free_ns;
	s->urgent_ns = c.urgent_ns;
}

/* A failure costs only that others do not hear of it. */
static void store(const struct share *s)
{
	struct content c = {.free_ns = s->free_ns, .urgent_ns = s->urgent_ns};

	memcpy(c.magic, MAGIC, sizeof(c.magic));
	c.crc = crc_of(&c);
	(void)io_pwrite_full(s->fd, &c, sizeof(c), 0);
}

/* ---- turns ---- */

static int64_t decide(struct share *s, bool urgent, size_t n, int64_t now)
{
	if (s->free_ns > now + AHEAD_MAX_NS)
		s->free_ns = now;
	if (s->urgent_ns > now + URGENT_NS)
		s->urgent_ns = now;
	if (urgent) {
		s->urgent_ns = now + URGENT_NS;
	} else if (s->urgent_ns > now) {
		if (s->behind_ns == 0)
			s->behind_ns = now;
		if (now - s->behind_ns < BEHIND_NS)
			return ASK_AGAIN_NS;
	}
	if (s->per_second != 0) {
		if (s->free_ns > now)
			return s->free_ns - now;
		if (s->free_ns < now - BURST_NS)
			s->free_ns = now - BURST_NS;
		s->free_ns +=
		    (int64_t)((double)n * NS_PER_S / (double)s->per_second);
	}
	s->behind_ns = 0;
	return 0;
}

int64_t share_take(struct share *s, bool urgent, size_t n)
{
	bool shared = s->path != NULL && lock(s);
	int64_t wait;

	if (shared)
		load(s);
	wait = decide(s, urgent, n, mono_now_ns());
	if (shared) {
		store(s);
		(void)flock(s->fd, LOCK_UN);
	}
	return wait;
}
