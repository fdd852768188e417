/* A program with an option of each kind, for opt.bats: prints what it got. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/opt.h"
#include "base/tool.h"

static bool flag;
static int level = 1, loud;
static const char *text = "none", *file = "none", *mode = "fast";
static uint64_t number = 5, bytes = 4096, seconds = 60, rate;
static struct opt_list list;

static const struct opt opts[] = {
    {'f', "flag", OPT_FLAG, NULL, &flag, "a flag", .env = "SAMPLE_FLAG",
     .conf = "sample.flag"},
    {'1', "fast", OPT_VALUE, NULL, &level, "level one", .min = 1},
    {'9', "best", OPT_VALUE, NULL, &level, "level nine", .min = 9},
    {'L', "loud", OPT_COUNT, NULL, &loud, "louder", .env = NULL},
    {'t', "text", OPT_TEXT, "TEXT", &text, "a text", .env = "SAMPLE_TEXT",
     .conf = "sample.text"},
    {0, "file", OPT_FILE, "FILE", &file, "a file", .env = NULL},
    {'m', "mode", OPT_CHOICE, "MODE", &mode, "how", .conf = "sample.mode",
     .choices = "fast|good|fastest"},
    {'n', "number", OPT_NUMBER, "N", &number, "a number",
     .env = "SAMPLE_NUMBER", .conf = "sample.number", .min = 1, .max = 100},
    {'s', "size", OPT_SIZE, "BYTES", &bytes, "a size", .min = 512,
     .max = 1048576},
    {'w', "wait", OPT_DURATION, "TIME", &seconds, "a time", .max = 0},
    {'r', "rate", OPT_RATE, "RATE", &rate, "a rate", .conf = "sample.rate"},
    {'l', "list", OPT_LIST, "ITEM", &list, "an item", .conf = "sample.list"},
    {0}};

static const struct opt_cmd cmds[] = {{"go", "go on"}, {"stop", "stop"}, {0}};

/* A table of so many flags. */
static const struct opt *many(unsigned n)
{
	static char names[128][8];
	static struct opt table[129];
	unsigned i;

	for (i = 0; i < n && i < 128; i++) {
		snprintf(names[i], sizeof(names[i]), "o%u", i + 1);
		table[i] = (struct opt){.name = names[i],
					.kind = OPT_FLAG,
					.to = &flag,
					.help = "one of many"};
	}
	return table;
}

static const struct opt_tool tool = {.name = "opt-sample",
				     .about = "Shows what it was given.",
				     .synopsis = "[OPTIONS] [OPERAND...]",
				     .opts = opts,
				     .operands = "file"};

int main(int argc, char **argv)
{
	const char *count = getenv("SAMPLE_MANY");
	struct opt_tool mine = tool;
	unsigned i;
	int at;

	tool_init("opt-sample");
	if (count != NULL)
		mine.opts = many((unsigned)atoi(count));
	if (getenv("SAMPLE_COMMANDS") != NULL)
		mine.cmds = cmds;
	at = opt_parse(&mine, argc, argv);
	printf("flag=%d level=%d loud=%d text=%s file=%s mode=%s number=%llu "
	       "size=%llu wait=%llu rate=%llu given=%d quiet=%d verbose=%d",
	       flag, level, loud, text, file, mode, (unsigned long long)number,
	       (unsigned long long)bytes, (unsigned long long)seconds,
	       (unsigned long long)rate, opt_given(opts, "text"), opt_quiet,
	       opt_verbose);
	for (i = 0; i < list.n; i++)
		printf(" item=%s", list.items[i]);
	for (; at < argc; at++)
		printf(" operand=%s", argv[at]);
	putchar('\n');
	free(list.items);
	return tool_finish(PS_OK);
}
