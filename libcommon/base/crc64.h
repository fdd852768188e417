/*
 * The CRC-64 of the large stores: CRC-64/NVME (NVM Command Set Specification
 * 1.0, figure 91), which Azure Blob takes as x-ms-content-crc64 and S3 as
 * x-amz-checksum-crc64nvme.
 */
#ifndef PS_BASE_CRC64_H
#define PS_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* CRC of n bytes, going on from `crc` (0 to begin). */
uint64_t crc64(uint64_t crc, const void *p, size_t n);

#endif
