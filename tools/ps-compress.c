#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/tool.h"
#include "segment/codec.h"
#include "filter.h"

static bool expand;
static const char *codec = "deflate";
static uint64_t level = 1, jobs;
static int level_digit;

static const struct opt opts[] = {
    {'d', "decompress", OPT_FLAG, NULL, &expand, "expand what was compressed",
     0, 0, 0, 0, 0},
    {0, "codec", OPT_CHOICE, "CODEC", &codec, "how to compress", 0,
     "compress.codec", "deflate|zstd|none", 0, 0},
    {'l', "level", OPT_NUMBER, "LEVEL", &level,
     "1 (fastest) to 9 (densest), default 1", 0, "compress.level", 0, 1, 9},
    {'1', "fast", OPT_VALUE, NULL, &level_digit, "level 1", 0, 0, 0, 1, 0},
    {'2', "level-2", OPT_VALUE, NULL, &level_digit, "level 2", 0, 0, 0, 2, 0},
    {'3', "level-3", OPT_VALUE, NULL, &level_digit, "level 3", 0, 0, 0, 3, 0},
    {'4', "level-4", OPT_VALUE, NULL, &level_digit, "level 4", 0, 0, 0, 4, 0},
    {'5', "level-5", OPT_VALUE, NULL, &level_digit, "level 5", 0, 0, 0, 5, 0},
    {'6', "level-6", OPT_VALUE, NULL, &level_digit, "level 6", 0, 0, 0, 6, 0},
    {'7', "level-7", OPT_VALUE, NULL, &level_digit, "level 7", 0, 0, 0, 7, 0},
    {'8', "level-8", OPT_VALUE, NULL, &level_digit, "level 8", 0, 0, 0, 8, 0},
    {'9', "best", OPT_VALUE, NULL, &level_digit, "level 9", 0, 0, 0, 9, 0},
    {'j', "jobs", OPT_NUMBER, "N", &jobs,
     "threads (default: one for each processor, at most 8)", 0, "compress.jobs",
     0, 1, 64},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-compress",
    .about = "Compress a stream of segments, or expand it with -d.",
    .synopsis = "[-1..-9] [--codec deflate|zstd|none] [-j N] [FILE|-]\n"
		"-d [-j N] [FILE|-]",
    .opts = opts,
    .operands = "file",
};

static uint8_t codec_number(void)
{
	uint8_t c = SEG_STORE;

	if (strcmp(codec, "deflate") == 0)
		c = SEG_DEFLATE;
	else if (strcmp(codec, "zstd") == 0)
		c = SEG_ZSTD;
	if (!codec_available(c))
		opt_misuse("this build has no %s", codec);
	return c;
}

int main(int argc, char **argv)
{
	struct transform t = {0};
	int first;

	tool_init("ps-compress");
	first = opt_parse(&tool, argc, argv);
	t.kind = expand ? TRANSFORM_EXPAND : TRANSFORM_COMPRESS;
	t.codec = expand ? SEG_STORE : codec_number();
	t.level = level_digit != 0 ? level_digit : (int)level;
	t.threads = (unsigned)jobs;
	return tool_finish(filter_run(&t, argc - first, argv + first));
}
