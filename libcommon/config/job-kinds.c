#include "config.h"

#include <stddef.h>

#include "config/job-kinds.h"
#include "config/leaving.h"
#include "config/rotation.h"

const struct job_kind job_kinds[] = {
    {JOB_LEAVE, leave_undo},
    {JOB_ROTATE, rotation_undo},
    {NULL, NULL},
};
