/*
 * Programs that look into each file that is opened: fanotify(7) listeners,
 * found by their marks in /proc/PID/fdinfo (fanotify(7), proc(5)), and
 * scanners that are known by name. Those with permission events hold each
 * open(2) until they have answered.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor/steps.h"

/* FAN_OPEN_PERM, FAN_ACCESS_PERM, FAN_OPEN_EXEC_PERM of linux/fanotify.h */
#define PERMISSION_EVENTS 0x70000u

/* Names in /proc/PID/comm, which has 15 characters. */
static const struct {
	const char *comm, *product;
} scanners[] = {
    {"clamonacc", "ClamAV on-access"},
    {"wdavdaemon", "Microsoft Defender"},
    {"mdatp", "Microsoft Defender"},
    {"falcon-sensor", "CrowdStrike Falcon"},
    {"falcon-sensor-b", "CrowdStrike Falcon"},
    {"ds_agent", "Trend Micro Deep Security"},
    {"ds_am", "Trend Micro Deep Security"},
    {"savscand", "Sophos"},
    {"savd", "Sophos"},
    {"sophos_threat_d", "Sophos"},
    {"on_access_proce", "Sophos"},
    {"mfetpd", "Trellix"},
    {"mfeespd", "Trellix"},
    {"esets_daemon", "ESET"},
    {"oaeventd", "ESET"},
    {"kesl", "Kaspersky"},
    {"bdsecd", "Bitdefender"},
    {"cbagentd", "Carbon Black"},
    {"cbdaemon", "Carbon Black"},
    {"s1-agent", "SentinelOne"},
    {"rtvscand", "Symantec"},
    {"fsoasd", "WithSecure"},
    {"fsaua", "WithSecure"},
    {"drweb-spider", "Dr.Web"},
    {"cortex-xdr", "Cortex XDR"},
    {"pmd", "Cortex XDR"},
};

struct scan {
	struct finding *f;
	unsigned holding; /* listeners that hold an open(2) */
	unsigned told;	  /* those that are only told of it */
	unsigned known;	  /* scanners by name */
	unsigned unread;  /* processes that could not be looked at */
	char first[64];
};

static const char *product_of(const char *comm)
{
	unsigned i;

	for (i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++)
		if (strcmp(comm, scanners[i].comm) == 0)
			return scanners[i].product;
	return NULL;
}

/* Marks of one descriptor: how many hold an open, of how many. */
static bool read_marks(const char *path, unsigned *ret_marks,
		       unsigned *ret_holding)
{
	char *text = doctor_read(path, 1u << 20, NULL), *line, *rest = text;
	bool listener = false;

	*ret_marks = *ret_holding = 0;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		const char *mask;
		unsigned long bits;

		if (strncmp(line, "fanotify", 8) != 0)
			continue;
		listener = true;
		mask = strstr(line, " mask:");
		if (mask == NULL)
			continue;
		bits = strtoul(mask + 6, NULL, 16);
		(*ret_marks)++;
		*ret_holding += (bits & PERMISSION_EVENTS) != 0;
	}
	free(text);
	return listener;
}

static void note(struct scan *s, const char *comm)
{
	if (s->first[0] == '\0')
		snprintf(s->first, sizeof(s->first), "%s", comm);
}

static void look_at_fds(struct scan *s, const char *pid, const char *comm)
{
	char path[PATH_MAX];
	struct dirent *it;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	if (dir == NULL) {
		/* Else it has just ended. */
		s->unread += errno == EACCES || errno == EPERM;
		return;
	}
	while ((it = readdir(dir)) != NULL) {
		unsigned marks, holding;

		if (!isdigit((unsigned char)it->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid,
			 it->d_name);
		if (!read_marks(path, &marks, &holding))
			continue;
		if (holding == 0) {
			s->told++;
			find_shows(s->f,
				   "%s (pid %s) is told of files that are used "
				   "(fanotify), which holds nobody",
				   comm, pid);
			continue;
		}
		s->holding++;
		note(s, comm);
		find_shows(s->f,
			   "%s (pid %s) is asked before a file is opened "
			   "(fanotify, %u mark%s)",
			   comm, pid, marks, marks == 1 ? "" : "s");
	}
	closedir(dir);
}

static void look_at(struct scan *s, const char *pid)
{
	char path[PATH_MAX], *comm;
	const char *product;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	comm = doctor_read(path, 64, NULL);
	if (comm == NULL)
		return;
	comm[strcspn(comm, "\n")] = '\0';
	product = product_of(comm);
	if (product != NULL) {
		s->known++;
		note(s, comm);
		find_shows(s->f, "%s runs (%s, pid %s)", product, comm, pid);
	}
	look_at_fds(s, pid, comm);
	free(comm);
}

static void tell(const struct doctor *d, const struct scan *s,
		 struct finding *f)
{
	if (s->holding == 0 && s->known == 0) {
		if (s->unread > 0) {
			find_skipped(f,
				     "%u processes could not be looked at: "
				     "run as root",
				     s->unread);
			return;
		}
		find_passed(f, "%s",
			    s->told > 0 ? "nobody is asked before a file is "
					  "opened"
					: "no such program found");
		return;
	}
	find_warned(f, "%s looks into the files of this machine", s->first);
	if (d->source)
		find_next(f,
			  "exclude from it: %s, /etc/ps-toolkit, "
			  "/usr/bin/ps-*, /usr/bin/cxpsclient",
			  d->agent->state);
	else
		find_next(f,
			  "exclude from it: %s, %s%s%s, /etc/ps-toolkit, "
			  "/usr/bin/ps-*",
			  d->cache != NULL ? d->cache : "the cache", d->health,
			  d->vault != NULL && d->vault[0] == '/' ? ", " : "",
			  d->vault != NULL && d->vault[0] == '/' ? d->vault
								 : "");
}

void step_antivirus(const struct doctor *d, struct finding *f)
{
	struct scan s = {.f = f};
	struct dirent *it;
	DIR *dir = opendir("/proc");

	if (dir == NULL) {
		find_skipped(f, "/proc is not there");
		return;
	}
	while ((it = readdir(dir)) != NULL)
		if (isdigit((unsigned char)it->d_name[0]))
			look_at(&s, it->d_name);
	closedir(dir);
	tell(d, &s, f);
}
