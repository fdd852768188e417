#include "config.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/counters.h"
#include "cache/folder.h"

#define COUNTERS_FILE ".counters"
#define COUNTERS_LEN (CACHE_COUNTERS * sizeof(_Atomic uint64_t))

void counters_open(struct cache *c, bool look)
{
	int prot = PROT_READ | PROT_WRITE;
	int fd = look ? -1
		      : openat(c->dirfd, COUNTERS_FILE,
			       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0) {
		prot = PROT_READ;
		fd = openat(c->dirfd, COUNTERS_FILE,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return;
	/* A file that is too short, or cannot be extended, would be a SIGBUS
	 * later: its blocks must be there. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_size >= (off_t)COUNTERS_LEN ||
	     ((prot & PROT_WRITE) != 0 &&
	      posix_fallocate(fd, 0, (off_t)COUNTERS_LEN) == 0)))
		p = mmap(NULL, COUNTERS_LEN, prot, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	c->counters = p;
	c->counting = (prot & PROT_WRITE) != 0;
}

void counters_close(struct cache *c)
{
	if (c->counters != NULL)
		munmap(c->counters, COUNTERS_LEN);
	c->counters = NULL;
}

void counter_add(struct cache *c, enum cache_counter which, uint64_t n)
{
	if (c->counters != NULL && c->counting)
		atomic_fetch_add_explicit(&c->counters[which], n,
					  memory_order_relaxed);
}

uint64_t counter_get(const struct cache *c, enum cache_counter which)
{
	return c->counters == NULL ? 0
				   : atomic_load_explicit(&c->counters[which],
							  memory_order_relaxed);
}
