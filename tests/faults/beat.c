/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * beat.c - see beat.h.
 */
#include "beat.h"

#include "inject.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POLLED_MAX 64
#define STACK      ((size_t)256 << 10) /* which libc keeps or not, as threads end */

/* Of the process that started it; the child of a fork has a new one. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pid_t process; /* the first thread's alone, as `bell` but for poll */
    int bell;      /* an eventfd */
    void *(*run)(void *);
    /* Guarded by the mutex. */
    bool waits, rung, ended;
} attendant = {.bell = -1};

static _Atomic uint64_t ahead_ms;
static _Thread_local bool is_attendant;

uint64_t beat_ahead_ms(void)
{
    return atomic_load(&ahead_ms);
}

bool beat_is_attendant(void)
{
    return is_attendant;
}

int beat_descriptor(void)
{
    return attendant.bell;
}

/* ---- The attendant ---- */

static void say(bool *what)
{
    pthread_mutex_lock(&attendant.mutex);
    *what = true;
    pthread_cond_broadcast(&attendant.changed);
    pthread_mutex_unlock(&attendant.mutex);
}

static void *attend(void *arg)
{
    is_attendant = true;
    void *result = attendant.run(arg);
    say(&attendant.ended);
    return result;
}

/* The engine starts no other thread. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    if (fault_strikes(CALL_pthread_create_LIBC))
        return EAGAIN;
    int before = attendant.bell;
    memset(&attendant, 0, sizeof(attendant));
    pthread_mutex_init(&attendant.mutex, NULL);
    pthread_cond_init(&attendant.changed, NULL);
    attendant.run = run;
    attendant.bell = eventfd(0, EFD_CLOEXEC);
    if (attendant.bell < 0)
        abort();
    if (before >= 0) { /* the parent's */
        fault_spare(true);
        close(before);
        fault_spare(false);
    }
    int error = __real_pthread_create(thread, attributes, attend, arg);
    attendant.process = error == 0 ? getpid() : 0;
    return error;
}

bool fault_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t small;
    fault_spare(true);
    bool ready = pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, STACK) == 0;
    fault_spare(false);
    return ready && __real_pthread_create(thread, &small, run, arg) == 0;
}

int __real_poll(struct pollfd *polled, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    struct pollfd with_bell[POLLED_MAX + 1];
    if (count > POLLED_MAX || timeout < 0)
        abort();
    if (fault_strikes(CALL_poll_LIBC))
        return -1;
    memcpy(with_bell, polled, count * sizeof(*polled));
    with_bell[count] = (struct pollfd){.fd = attendant.bell, .events = POLLIN};
    say(&attendant.waits);
    int ready = __real_poll(with_bell, count + 1, -1);
    pthread_mutex_lock(&attendant.mutex);
    attendant.waits = false;
    memcpy(polled, with_bell, count * sizeof(*polled));
    /* Descriptors come first: what was sent before a beat is seen before it. */
    if (ready == 1 && with_bell[count].revents != 0) {
        eventfd_t rings;
        eventfd_read(attendant.bell, &rings);
        attendant.rung = false;
        atomic_fetch_add(&ahead_ms, (uint64_t)timeout);
    }
    pthread_mutex_unlock(&attendant.mutex);
    return ready - (with_bell[count].revents != 0);
}

/* ---- The program ---- */

/* With the mutex: true when it waits, and has noticed all that it was told. */
static bool settle(void)
{
    while (!attendant.ended && (!attendant.waits || attendant.rung))
        pthread_cond_wait(&attendant.changed, &attendant.mutex);
    return !attendant.ended;
}

bool beat_settle(void)
{
    if (attendant.process != getpid())
        return false;
    pthread_mutex_lock(&attendant.mutex);
    bool lives = settle();
    pthread_mutex_unlock(&attendant.mutex);
    return lives;
}

bool beat(void)
{
    if (attendant.process != getpid())
        return false;
    pthread_mutex_lock(&attendant.mutex);
    if (settle()) {
        attendant.rung = true;
        eventfd_write(attendant.bell, 1);
    }
    bool lives = settle();
    pthread_mutex_unlock(&attendant.mutex);
    return lives;
}
