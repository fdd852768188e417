/* What an installation leaves to be done by hand: commands as they are. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "setup/install.h"

/* A word of a shell. */
static void put_word(FILE *f, const char *word)
{
	if (word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "abcdefghijklmnopqrstuvwxyz"
			      "0123456789/._:-")] == '\0') {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputc('\'', f);
}

static void say_kit(const struct choices *c, FILE *f)
{
	char yaml[PLACE_SIZE + 16];

	place_etc(c, yaml);
	snprintf(yaml + strlen(yaml), 16, "/ps.yaml");
	fputs("- the recovery kit, a page to print and to keep elsewhere: "
	      "without the key nothing can be restored\n"
	      "    ps-vault kit --config ",
	      f);
	put_word(f, yaml);
	fputs(" -o kit.html\n", f);
}

/* Below a folder it has to be told where. */
static void say_config(const struct choices *c, const char *words, FILE *f)
{
	char yaml[PLACE_SIZE + 16];

	fputs("    ps-config", f);
	if (c->cs && c->root != NULL) {
		place_etc(c, yaml);
		snprintf(yaml + strlen(yaml), 16, "/ps.yaml");
		fputs(" --config ", f);
		put_word(f, yaml);
	}
	fprintf(f, " %s", words);
}

static void say_source(const struct choices *c, FILE *f)
{
	const char *cs = c->cs ? c->address : c->csip;
	char pass[PLACE_SIZE] =
	    LOCALSTATEDIR "/lib/ps-toolkit/config/connection.passphrase";

	if (c->cs)
		place_state(c, "config/connection.passphrase", pass);
	fprintf(f,
		"- on the configuration server (%s), once: what machines are "
		"promised ('ps-config policy list')\n",
		cs);
	say_config(c, "policy add daily --rpo 1h --retention 7d", f);
	fputs("\n- there, for each machine\n", f);
	say_config(c, "machine add MACHINE --policy daily --server ", f);
	put_word(f, c->here);
	if (c->vault.url[0] != '\0') {
		fputs(" --vault ", f);
		put_word(f, c->vault.url);
	}
	fputc('\n', f);
	say_config(c, "machine disk MACHINE root --size SIZE", f);
	fputc('\n', f);
	say_config(c, "machine enable MACHINE", f);
	fputs("\n    scp ", f);
	put_word(f, pass);
	fprintf(f,
		" root@MACHINE:/root/connection.passphrase\n"
		"- on that machine, as root, in the folder of the unpacked "
		"agent (ps-agent-install(8))\n"
		"    ./install -r MS -v %s -q\n"
		"    cxpsclient -i %s -l %u -P /root/connection.passphrase "
		"-y 60\n"
		"    /usr/local/ASR/Vx/bin/UnifiedAgentConfigurator.sh -i %s "
		"-p %u -P /root/connection.passphrase\n"
		"    rm /root/connection.passphrase\n",
		c->env != NULL && (*c->env == 'V' || *c->env == 'v')
		    ? "VmWare"
		    : "Physical",
		c->address, (unsigned)c->port, cs, (unsigned)c->cs_port);
}

char *setup_next(const struct choices *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	if (c->cs) {
		char path[PLACE_SIZE];

		place_state(c, "config/connection.passphrase", path);
		fprintf(f,
			"- the passphrase for process servers and machines is "
			"in %s\n",
			path);
	}
	if (c->vault.url[0] != '\0')
		say_kit(c, f);
	fputs("- what has to pass firewalls\n"
	      "    unifiedsetup --show-firewall, with the same flags\n",
	      f);
	say_source(c, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
