/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * control_path.c - see control_path.h.
 */
#include "control_path.h"

#include "log.h"
#include "share_file.h"

#include <string.h>

#define SUFFIX ".sock"

void control_path(const char *place, uid_t uid, long pid, bool unfinished,
                  char path[CONTROL_PATH_ROOM])
{
    char folder[SHARE_PATH_ROOM];
    share_file_folder_path(place, uid, folder);
    struct text text = {.at = path, .room = CONTROL_PATH_ROOM};
    const char mark[] = {unfinished ? SHARE_UNFINISHED : '\0', '\0'};
    *path = '\0';
    if (*folder != '\0')
        text_add(&text, "%s/%s%ld" SUFFIX, folder, mark, pid);
}

long control_path_pid(const char *name, bool *unfinished)
{
    char number[SHARE_NAME_ROOM] = "";
    size_t length = strlen(name), suffix = sizeof SUFFIX - 1;
    if (length <= suffix || length - suffix >= sizeof number ||
        strcmp(name + length - suffix, SUFFIX) != 0)
        return 0;
    memcpy(number, name, length - suffix);
    return share_file_pid(number, unfinished);
}
