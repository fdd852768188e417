#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/units.h"
#include "net/known.h"

#define HEAD "ps-known 1\n"
#define NEW_FILE KNOWN_FILE ".new"
#define KEY_HEX (2 * sizeof(struct door_key))

/* A stream of a file in the cache, or NULL. */
static FILE *open_in(const char *cache, const char *name, int flags)
{
	int dirfd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	bool writing = (flags & O_WRONLY) != 0;
	FILE *f;

	if (dirfd < 0)
		return NULL;
	fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	close(dirfd);
	if (fd < 0)
		return NULL;
	f = fdopen(fd, writing ? "w" : "r");
	if (f == NULL)
		close(fd);
	return f;
}

static bool parse(char *line, struct door_past *ret)
{
	uint64_t s;
	char *end = strchr(line, '\n');

	if (end == NULL || (size_t)(end - line) < KEY_HEX + 2 ||
	    line[KEY_HEX] != ' ')
		return false;
	*end = line[KEY_HEX] = '\0';
	if (!hex_decode(line, ret->key.bytes, sizeof(ret->key.bytes)) ||
	    !parse_u64(line + KEY_HEX + 1, INT64_MAX, &s))
		return false;
	ret->seen_s = (int64_t)s;
	return true;
}

void known_load(struct door *d, const char *cache)
{
	int64_t now_s = time_now_ns() / NS_PER_S;
	FILE *f = open_in(cache, KNOWN_FILE, O_RDONLY);
	struct door_past past;
	char line[KEY_HEX + 32];
	unsigned n;

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) == NULL || strcmp(line, HEAD) != 0) {
		(void)fclose(f);
		return;
	}
	for (n = 0; n < DOOR_PAST_MAX; n++) {
		if (fgets(line, sizeof(line), f) == NULL || !parse(line, &past))
			break;
		/* A clock that went back makes nobody unknown. */
		if (now_s - past.seen_s < KNOWN_DAYS * 86400)
			door_remember(d, &past, mono_now_ns());
	}
	(void)fclose(f);
}

static bool write_all(FILE *f, const struct door_past *list, unsigned n)
{
	char hex[KEY_HEX + 1];
	unsigned i;
	bool ok = fputs(HEAD, f) >= 0;

	for (i = 0; i < n && ok; i++) {
		hex_encode(list[i].key.bytes, sizeof(list[i].key.bytes), hex);
		ok =
		    fprintf(f, "%s %lld\n", hex, (long long)list[i].seen_s) > 0;
	}
	return fclose(f) == 0 && ok;
}

/* What cannot be written is learnt again. */
void known_save(struct door *d, const char *cache)
{
	struct door_past *list;
	unsigned n;
	FILE *f;
	int dirfd;

	if (!door_has_news(d))
		return;
	list = malloc(DOOR_PAST_MAX * sizeof(*list));
	f = list != NULL
		? open_in(cache, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC)
		: NULL;
	if (f != NULL) {
		n = door_past(d, list);
		dirfd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (write_all(f, list, n) && dirfd >= 0)
			(void)renameat(dirfd, NEW_FILE, dirfd, KNOWN_FILE);
		if (dirfd >= 0)
			close(dirfd);
	}
	free(list);
}
