#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "push/look.h"

#define CLOCK_S (15 * 60)
/* Unpacked it has three times the size, and is there twice for a moment. */
#define ROOM_TIMES 8
#define ROOM_KIB (100 * 1024u) /* what the original asks for, error 95524 */

/* ---- lines ---- */

static void take(char *to, size_t size, const char *value)
{
	snprintf(to, size, "%s", value);
}

static void take_number(uint64_t *to, const char *value)
{
	if (!parse_u64(value, INT64_MAX, to))
		*to = 0;
}

static void take_missing(struct push_look *l, const char *value)
{
	size_t n = strlen(l->missing);

	snprintf(l->missing + n, sizeof(l->missing) - n, "%s%s",
		 n > 0 ? ", " : "", value);
}

static bool take_text(struct push_look *l, const char *key, const char *value)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} texts[] = {
	    {"os", l->os, sizeof(l->os)},
	    {"arch", l->arch, sizeof(l->arch)},
	    {"libc", l->libc, sizeof(l->libc)},
	    {"name", l->name, sizeof(l->name)},
	    {"sudo", l->sudo, sizeof(l->sudo)},
	    {"noexec", l->noexec, sizeof(l->noexec)},
	    {"version", l->version, sizeof(l->version)},
	    {"dir", l->dir, sizeof(l->dir)},
	    {"role", l->role, sizeof(l->role)},
	    {"known-as", l->known_as, sizeof(l->known_as)},
	    {"known-cs", l->known_cs, sizeof(l->known_cs)},
	    {"known-port", l->known_port, sizeof(l->known_port)},
	    {"disks-root", l->disks_root, sizeof(l->disks_root)},
	    {"disks-boot", l->disks_boot, sizeof(l->disks_boot)},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].key) == 0) {
			take(texts[i].to, texts[i].size, value);
			return true;
		}
	return false;
}

void look_line(struct push_look *l, const char *line)
{
	const char *space = strchr(line, ' ');
	const char *value = space != NULL ? space + 1 : "";
	char key[16];

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(line, " "), line);
	if (take_text(l, key, value)) {
		l->name[strcspn(l->name, ".")] = '\0';
		return;
	}
	if (strcmp(key, "uid") == 0)
		l->root = l->root || strcmp(value, "0") == 0;
	else if (strcmp(key, "root") == 0)
		l->root = l->root || *value == '/';
	else if (strcmp(key, "time") == 0)
		take_number(&l->time_s, value);
	else if (strcmp(key, "room") == 0)
		take_number(&l->room_kib, value);
	else if (strcmp(key, "stage") == 0)
		take_number(&l->stage_kib, value);
	else if (strcmp(key, "missing") == 0)
		take_missing(l, value);
	else if (strcmp(key, "package") == 0)
		l->package = true;
	else if (strcmp(key, "grub") == 0)
		l->grub_device = true;
	else if (strcmp(key, "cs") == 0) {
		l->cs_asked = true;
		l->cs_answers = strcmp(value, "yes") == 0;
	}
}

/* ---- warnings: the machine can be protected, but look ---- */

void push_warn(struct push_result *r, enum push_reason reason)
{
	for (unsigned i = 0; i < r->nwarnings; i++)
		if (r->warnings[i] == reason)
			return;
	if (r->nwarnings < PUSH_WARNINGS)
		r->warnings[r->nwarnings++] = reason;
}

static void look_warn(const struct push_look *l, uint64_t now_s,
		      struct push_result *r)
{
	uint64_t off =
	    l->time_s > now_s ? l->time_s - now_s : now_s - l->time_s;
	const char *second = strchr(l->disks_root, ' ');

	if (off > CLOCK_S)
		push_warn(r, REASON_CLOCK);
	if (l->grub_device)
		push_warn(r, REASON_GRUB_DEVICE);
	if (l->disks_root[0] == '\0')
		push_warn(r, REASON_NO_BOOT_DISK);
	else if (second != NULL && second[1] != '\0')
		push_warn(r, REASON_ROOT_DISKS);
	else if (l->disks_boot[0] != '\0' &&
		 strcmp(l->disks_boot, l->disks_root) != 0)
		push_warn(r, REASON_BOOT_DISK);
}

/* ---- what stands in the way ---- */

static bool room_for(const struct push_look *l, const struct package *p,
		     char *words, size_t size)
{
	uint64_t need = p->size / 1024 * ROOM_TIMES;
	uint64_t have = l->room_kib < l->stage_kib ? l->room_kib : l->stage_kib;
	char h[32], n[32];

	if (need < ROOM_KIB)
		need = ROOM_KIB;
	if (have >= need)
		return true;
	format_size(have * 1024, h, sizeof(h));
	format_size(need * 1024, n, sizeof(n));
	snprintf(words, size,
		 "%s free, %s needed (in /var/lib and where it "
		 "is installed)",
		 h, n);
	return false;
}

static enum push_reason system_reason(const struct push_look *l,
				      const struct package *p, char *words,
				      size_t size)
{
	if (strcmp(l->os, "Linux") != 0) {
		snprintf(words, size, "%s", l->os);
		return REASON_UNSUPPORTED;
	}
	if (strncmp(l->libc, "glibc ", 6) != 0) {
		snprintf(words, size, "no GNU C library");
		return REASON_UNSUPPORTED;
	}
	if (p == NULL) {
		snprintf(words, size, "processor %s", l->arch);
		return REASON_UNSUPPORTED;
	}
	if (l->missing[0] != '\0') {
		snprintf(words, size, "%s", l->missing);
		return REASON_TOOLS;
	}
	return REASON_NONE;
}

/* What `getconf GNU_LIBC_VERSION` said: "glibc 2.36". */
static bool libc_too_old(const struct push_look *l, const struct push_wish *w,
			 const struct package *p, char *words, size_t size)
{
	const char *have = l->libc + strlen("glibc ");
	const char *need =
	    strcmp(w->role, "MT") == 0 ? p->libc_target : p->libc;

	if (*need == '\0' || strverscmp(have, need) >= 0)
		return false;
	snprintf(words, size, "%s is there, %s is needed", have, need);
	return true;
}

static enum push_reason installed_reason(const struct push_look *l,
					 const struct push_wish *w,
					 const struct package *p, char *words,
					 size_t size)
{
	if (l->package)
		return REASON_PACKAGE;
	if (l->version[0] == '\0')
		return REASON_NONE;
	if (strverscmp(l->version, p->version) > 0) {
		snprintf(words, size, "%s is there, %s was to be pushed",
			 l->version, p->version);
		return REASON_NEWER;
	}
	if (w->dir != NULL && strcmp(w->dir, l->dir) != 0) {
		snprintf(words, size, "in %s", l->dir);
		return REASON_ELSEWHERE;
	}
	return REASON_NONE;
}

static bool registered(const struct push_look *l, const struct push_wish *w)
{
	const char *name = w->name[0] != '\0' ? w->name : l->name;

	/* What a master target knows lies elsewhere: it is asked again. */
	return strcmp(w->role, "MS") == 0 && strcmp(l->known_cs, w->cs) == 0 &&
	       strcmp(l->known_port, w->cs_port) == 0 &&
	       strcmp(l->known_as, name) == 0;
}

enum push_reason look_judge(const struct push_look *l,
			    const struct push_wish *w, const struct packages *p,
			    uint64_t now_s, struct push_plan *ret,
			    struct push_result *r, char *words, size_t size)
{
	enum push_reason why;

	*words = '\0';
	snprintf(r->arch, sizeof(r->arch), "%s", l->arch);
	snprintf(r->was, sizeof(r->was), "%s", l->version);
	snprintf(r->version, sizeof(r->version), "%s", l->version);
	look_warn(l, now_s, r);
	ret->package = package_for(p, l->arch);
	why = system_reason(l, ret->package, words, size);
	if (why == REASON_NONE)
		why = installed_reason(l, w, ret->package, words, size);
	if (why != REASON_NONE)
		return why;
	ret->install = w->again || strcmp(l->role, w->role) != 0 ||
		       strcmp(l->version, ret->package->version) != 0;
	ret->enrol = w->cs != NULL && !registered(l, w);
	if (ret->install && libc_too_old(l, w, ret->package, words, size))
		return REASON_LIBC;
	if (ret->install && l->noexec[0] != '\0') {
		snprintf(words, size, "%s is mounted noexec", l->noexec);
		return REASON_NOEXEC;
	}
	if (ret->install && !room_for(l, ret->package, words, size))
		return REASON_SPACE;
	if (ret->install && ret->package->refused[0] != '\0') {
		snprintf(words, size, "%s", ret->package->refused);
		return REASON_SIGNATURE;
	}
	if (ret->enrol && l->cs_asked && !l->cs_answers) {
		snprintf(words, size, "%s port %s", w->cs, w->cs_port);
		return REASON_CS_UNREACHABLE;
	}
	return REASON_NONE;
}
