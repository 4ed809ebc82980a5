/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * api_profile.c - the public functions about profiles.
 */
#include "nearheap.h"
#include "options.h"
#include "process.h"
#include "profile.h"
#include "profile_write.h"

#include <errno.h>

int nh_profile_start(size_t rate)
{
    process_start();
    if (rate > (size_t)options_row(OPT_PROFILE_RATE)->most) {
        errno = EINVAL;
        return -1;
    }
    if (profile_start(rate != 0 ? rate : (uint64_t)options_get(OPT_PROFILE_RATE)))
        return 0;
    errno = ENOSYS;
    return -1;
}

void nh_profile_stop(void)
{
    process_start();
    profile_stop();
}

int nh_profile_write(const char *path)
{
    process_start();
    int error = profile_write(path);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}
