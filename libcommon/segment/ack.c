#include "config.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "segment/ack.h"

#define HEAD_WORD "head"

static const char *const levels[] = {"durable", "stored", "refused"};

const char *ack_level_name(enum ack_level level)
{
	return levels[level];
}

void ack_format(const struct ack *a, char out[ACK_LINE_SIZE])
{
	char hex[SHA256_HEX];
	const char *words = a->head ? HEAD_WORD : a->reason;
	int n;

	hex_encode(a->digest, SHA256_LEN, hex);
	n = snprintf(out, ACK_LINE_SIZE, "%s\t%s\t%s\t%llu\t%s",
		     levels[a->level], a->machine, a->disk,
		     (unsigned long long)a->seq, hex);
	if (words[0] != '\0') {
		char *p = out + n;

		snprintf(p, ACK_LINE_SIZE - (size_t)n - 1, "\t%s", words);
		for (p++; *p != '\0'; p++)
			if (iscntrl((unsigned char)*p))
				*p = ' ';
	}
	strncat(out, "\n", 2);
}

/* What is quoted came from outside: it must not break our line. */
static int bad(struct err *e, const char *line)
{
	char quoted[61];
	size_t i, n = strcspn(line, "\r\n");

	for (i = 0; i < n && i < sizeof(quoted) - 1; i++)
		quoted[i] = iscntrl((unsigned char)line[i]) ? ' ' : line[i];
	quoted[i] = '\0';
	return err_set(e, PS_DATA, "not an acknowledgement: '%s'", quoted);
}

int ack_parse(struct ack *a, const char *line, struct err *e)
{
	char copy[ACK_LINE_SIZE], *field[6] = {0}, *p = copy;
	struct ack r = {0};
	unsigned n = 0, level;
	size_t len = strcspn(line, "\r\n");

	if (len >= sizeof(copy))
		return bad(e, line);
	memcpy(copy, line, len);
	copy[len] = '\0';
	while (n < 6 && p != NULL) {
		field[n++] = p;
		p = n < 6 ? strchr(p, '\t') : NULL;
		if (p != NULL)
			*p++ = '\0';
	}
	if (n < 5)
		return bad(e, line);
	for (level = 0; level < 3; level++)
		if (strcmp(field[0], levels[level]) == 0)
			break;
	if (level == 3 || !name_ok(field[1]) || !name_ok(field[2]) ||
	    !parse_u64(field[3], UINT64_MAX, &r.seq) ||
	    !hex_decode(field[4], r.digest, SHA256_LEN))
		return bad(e, line);
	r.level = (enum ack_level)level;
	memcpy(r.machine, field[1], strlen(field[1]) + 1);
	memcpy(r.disk, field[2], strlen(field[2]) + 1);
	if (level != ACK_REFUSED && field[5] != NULL &&
	    strcmp(field[5], HEAD_WORD) == 0)
		r.head = true;
	else if (field[5] != NULL)
		snprintf(r.reason, sizeof(r.reason), "%s", field[5]);
	*a = r;
	return 0;
}

int ack_print(FILE *f, const struct ack *a, struct err *e)
{
	char line[ACK_LINE_SIZE];

	ack_format(a, line);
	if (fputs(line, f) == EOF || fflush(f) == EOF)
		return err_sys(e, 0, "acknowledgement output");
	return 0;
}

int ack_read(FILE *f, struct ack *a, struct err *e)
{
	char line[ACK_LINE_SIZE];
	int rc;

	if (fgets(line, sizeof(line), f) == NULL) {
		if (ferror(f))
			return err_sys(e, 0, "acknowledgement input");
		return 0;
	}
	if (strchr(line, '\n') == NULL)
		return bad(e, line);
	rc = ack_parse(a, line, e);
	return rc < 0 ? rc : 1;
}
