/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * leak.c - a server that leaks, for leak.sh: each request opens a session, and a session
 * that is cancelled, one of eight, is never closed.  With -DCLOSE_CANCELLED it is.
 *
 * Reads numbers from its standard input, serves so many requests, and says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANCELLED_EVERY 8

struct session {
    unsigned long number;
    char user[64];
    char buffer[600];
};

struct session *open_session(unsigned long number)
{
    struct session *session = malloc(sizeof *session);
    if (session == NULL)
        abort();
    session->number = number;
    memset(session->user, 'u', sizeof session->user);
    return session;
}

static void close_session(struct session *session)
{
    free(session);
}

static void serve(unsigned long number)
{
    char *answer = malloc(2000);
    struct session *session = open_session(number);
    if (answer == NULL)
        abort();
    snprintf(answer, 2000, "%lu: %.10s", session->number, session->user);
    free(answer);
    if (number % CANCELLED_EVERY == 0) {
#ifdef CLOSE_CANCELLED
        close_session(session);
#endif
        return;
    }
    close_session(session);
}

int main(void)
{
    char line[64];
    unsigned long served = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        for (long left = strtol(line, NULL, 10); left > 0; left--)
            serve(++served);
        printf("served %lu\n", served);
        fflush(stdout);
    }
    return 0;
}
