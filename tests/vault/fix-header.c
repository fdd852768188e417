/* fix-header FILE: makes the CRC of a segment's header right again. */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/io.h"
#include "segment/format.h"

int main(int argc, char **argv)
{
	uint8_t raw[SEG_HEADER_LEN];
	int fd = argc == 2 ? open(argv[1], O_RDWR) : -1;

	if (io_pread_full(fd, raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return PS_NOINPUT;
	put_le32(raw + sizeof(raw) - 4, crc32c(0, raw, sizeof(raw) - 4));
	return io_pwrite_full(fd, raw, sizeof(raw), 0) < 0 || close(fd) < 0;
}
