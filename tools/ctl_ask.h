/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_ask.h - nearheap-ctl's connection to the process that it asks (src/control_path.h).
 * What fails ends the program.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include "control_path.h"

struct ctl_asked {
    long pid;
    long wait_s;    /* from connecting to the answer's end */
    int64_t end_us; /* when that is over */
    int fd;         /* the connection */
    bool ours;      /* it has our user's rights, and had them when it began */
};

void ctl_ask_connect(struct ctl_asked *asked);
/* A file is what the process is to write to; negative: none. */
void ctl_ask_send(const struct ctl_asked *asked, char *command, int file);
/* All of the answer behind its first line. */
char *ctl_ask_receive(const struct ctl_asked *asked, char answer[CONTROL_ANSWER_ROOM]);

#endif
