#include "config.h"

#include <string.h>

#include "fleet/tables.h"

#define KIB 1024.0
#define MIB (1024.0 * 1024)
#define GB ((double)GIB)
#define MBIT 1000000u

/* ---- 2019 ---- */

static const char *const sources_2019[] = {
    "Plan capacity and scaling for VMware disaster recovery to Azure",
    "Scale with additional process servers",
    "Deployment Planner report of Azure Site Recovery: replication limits",
    "Azure Site Recovery, prepare and plan (2015): retention volume", NULL};

static const struct disk_limit disks_2019[] = {
    {"standard", 0, 2 * MIB, 168 * GB, 840},
    {"P10", 0, 2 * MIB, 168 * GB, 7500}, /* P15, too */
    {"P10", 16 * KIB, 4 * MIB, 336 * GB, 7500},
    {"P10", 32 * KIB, 8 * MIB, 672 * GB, 7500},
    {"P20", 0, 5 * MIB, 421 * GB, 7500}, /* to P50 */
    {"P20", 16 * KIB, 20 * MIB, 1684 * GB, 7500}};

/* ---- 2015 ---- */

static const char *const sources_2015[] = {
    "Set up protection between on-premises VMware virtual machines or "
    "physical servers and Azure (2015): capacity planning, tables 1 to 3",
    NULL};

/* "Cache disk throughput": the upper end; "ingress/egress". */
static const struct server_size process_2015[SIZES] = {
    {4, 4 * GIB, 600 * GIB, 300 * GIB, 0, 10 << 20, 30 * MBIT, 21 * MBIT},
    {8, 6 * GIB, 600 * GIB, 600 * GIB, 0, 15 << 20, 60 * MBIT, 42 * MBIT},
    {12, 8 * GIB, 600 * GIB, 1024 * GIB, 0, 20 << 20, 100 * MBIT, 70 * MBIT}};

/* 500 a second of the target's disk, two for each write of the source. */
static const struct disk_limit disks_2015[] = {
    {"standard", 0, 0, 144 * GB, 250}};

const struct tables tables[TABLES] = {
    {.name = "2019",
     .sources = sources_2019,
     .process = sizes_process,
     .config = sizes_config,
     .config_alone = {8, 16 * GIB, 600 * GIB, 0, 550, 0, 0, 0},
     .disks = disks_2019,
     .ndisks = sizeof(disks_2019) / sizeof(disks_2019[0]),
     .machine_disks = 31,
     .machine_rate = 54 * MIB,
     .machine_writes = 80000,
     .machine_day = 2048 * GB,
     .account_requests = 20000,
     .requests_per_write = 1,
     .retention_writes = 500,
     .retention_day = 287 * GB},
    {.name = "2015",
     .sources = sources_2015,
     .process = process_2015,
     /* Standard A3, up to 100 sources with 3 or 4 volumes */
     .config_alone = {4, 7 * GIB, 0, 0, 100, 0, 0, 0},
     .disks = disks_2015,
     .ndisks = sizeof(disks_2015) / sizeof(disks_2015[0]),
     .by_write = true,
     .disk_size = 1023 * GIB, /* "1 TB" above, 1023 GB in its tables */
     .machine_disks = 31,
     .machine_writes = 10000,
     .machine_day = 1024 * GB,
     .account_requests = 20000,
     .requests_per_write = 2,
     .retention_writes = 500,
     .retention_day = 287 * GB}};

const struct tables *tables_find(const char *name)
{
	for (unsigned i = 0; i < TABLES; i++)
		if (strcmp(tables[i].name, name) == 0)
			return &tables[i];
	return NULL;
}
