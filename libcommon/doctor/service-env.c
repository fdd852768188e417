/*
 * What the service ps-pipeline has in its environment, which is not that of
 * the shell in which somebody examines it: a proxy of a drop-in, credentials of
 * an EnvironmentFile.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor/command.h"
#include "doctor/steps.h"

#define UNIT "ps-pipeline.service"
#define ENVIRON_MAX (256u * 1024)

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Does "NAME=VALUE" say where a store is and how it is reached? */
static bool matters(const char *pair)
{
	static const char *const names[] = {
	    "http_proxy=", "https_proxy=", "HTTPS_PROXY=",
	    "all_proxy=",  "ALL_PROXY=",   "no_proxy=",
	    "NO_PROXY=",   "AZURE_",	   "AWS_"};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (begins(pair, names[i]))
			return true;
	return false;
}

/* Out of our environment goes what the shell has. */
static void forget(void)
{
	extern char **environ;
	char name[128];
	unsigned i = 0;

	while (environ[i] != NULL) {
		size_t n = strcspn(environ[i], "=");

		if (!matters(environ[i]) || n >= sizeof(name)) {
			i++;
			continue;
		}
		memcpy(name, environ[i], n);
		name[n] = '\0';
		unsetenv(name);
	}
}

static void take(char *pair)
{
	char *is = strchr(pair, '=');

	if (is == NULL || !matters(pair))
		return;
	*is = '\0';
	setenv(pair, is + 1, 1);
}

/* Of the process itself; false: it does not run, or is not to be read. */
static bool from_process(const char *pid)
{
	char path[64], *text, *at;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	text = doctor_read(path, ENVIRON_MAX, &n);
	if (text == NULL || n == 0) {
		free(text);
		return false;
	}
	forget();
	for (at = text; at < text + n; at += strlen(at) + 1) {
		char *next = at + strlen(at);
		char *pair = strndup(at, (size_t)(next - at));

		if (pair != NULL)
			take(pair);
		free(pair);
	}
	explicit_bzero(text, n);
	free(text);
	return true;
}

/* "A=b \"C=d e\"": what the unit names when it does not run. */
static void from_unit(char *line)
{
	forget();
	while (*line != '\0') {
		char end = *line == '"' ? '"' : ' ';
		char *word = line + (end == '"'), *stop = strchr(word, end);

		if (stop != NULL)
			*stop = '\0';
		take(word);
		line = stop != NULL ? stop + 1 : word + strlen(word);
		line += strspn(line, " ");
	}
}

static char *value_of(char *text, const char *name)
{
	char *at = strstr(text, name);

	if (at == NULL)
		return NULL;
	at += strlen(name);
	return at;
}

void doctor_take_environment(struct doctor *d)
{
	const char *const argv[] = {
	    "systemctl", "show", "-p", "LoadState,MainPID,Environment",
	    UNIT,	 NULL};
	struct command c = {.argv = argv, .seconds = 5, .max = ENVIRON_MAX};
	char *text, *pid, *words;
	int status;

	if (access("/run/systemd/system", F_OK) < 0 ||
	    command_run(&c, &text, &status, NULL) < 0)
		return;
	if (status == 0 && strstr(text, "LoadState=loaded") != NULL) {
		pid = value_of(text, "MainPID=");
		words = value_of(text, "Environment=");
		if (words != NULL)
			words[strcspn(words, "\n")] = '\0';
		if (pid != NULL)
			pid[strcspn(pid, "\n")] = '\0';
		d->service_env = true;
		if (pid == NULL || strcmp(pid, "0") == 0 || !from_process(pid))
			from_unit(words != NULL ? words : text + strlen(text));
	}
	explicit_bzero(text, strlen(text));
	free(text);
}
