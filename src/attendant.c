/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * attendant.c - see attendant.h.
 */
#include "attendant.h"

#include "control.h"
#include "log.h"
#include "options.h"
#include "os.h"
#include "proc_stat.h"
#include "share.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NAME "nearheap"
/* Enough for the deepest of its calls, several times, and thread-local data of the program;
 * where that takes more, the stack is as the program's are. */
#define STACK_BYTES ((size_t)256 << 10)
#define WATCHED_MAX 16

/* What it does where NEARHEAP_SHARE is set. */
static const struct duty {
    void (*begin)(void); /* by the attendant, once */
    void (*beat)(void);  /* by the attendant, from then on */
    void (*end)(void);   /* by the thread that ends the process, whatever the attendant does */
    /* Closes and forgets what there is: the parent's, in fork's child, or what nobody will
     * attend to any more. */
    void (*fork_child)(void);
} duties[] = {
    {share_begin, share_beat, share_end, share_fork_child},
    {control_begin, control_beat, control_end, control_fork_child},
};
#define DUTIES (sizeof duties / sizeof duties[0])

/* Of the attendant alone, but in fork's child, where there is none yet. */
static struct watched {
    struct own_fd own;
    void (*ready)(int fd);
} watched[WATCHED_MAX];
static struct pollfd polled[WATCHED_MAX]; /* fd is negative in what is not used */

static _Atomic bool wanted; /* the constructor has run; relaxed */

static bool is_wanted(void)
{
    return options_get(OPT_SHARE) != 0;
}

/* ---- Descriptors ---- */

static void drop_at(unsigned i)
{
    polled[i] = (struct pollfd){.fd = -1};
}

static void drop_all(void)
{
    for (unsigned i = 0; i < WATCHED_MAX; i++)
        drop_at(i);
}

bool attendant_watch(const struct own_fd *own, void (*ready)(int fd))
{
    for (unsigned i = 0; i < WATCHED_MAX; i++)
        if (polled[i].fd < 0) {
            watched[i] = (struct watched){.own = *own, .ready = ready};
            polled[i] = (struct pollfd){.fd = own->fd, .events = POLLIN};
            return true;
        }
    return false;
}

void attendant_drop(int fd)
{
    for (unsigned i = 0; i < WATCHED_MAX; i++)
        if (polled[i].fd == fd)
            drop_at(i);
}

static void serve(unsigned i)
{
    if (polled[i].fd < 0 || polled[i].revents == 0)
        return;
    if ((polled[i].revents & POLLNVAL) == 0 && own_fd_is(&watched[i].own))
        watched[i].ready(polled[i].fd);
    else
        drop_at(i);
}

/* How many of `polled` the kernel has to look at: more than the process may have open are
 * refused. */
static nfds_t polled_count(void)
{
    nfds_t count = WATCHED_MAX;
    while (count > 0 && polled[count - 1].fd < 0)
        count--;
    return count;
}

/* Until `due`, by os_now_ms.  False when it cannot wait: who goes on then spins. */
static bool serve_until(uint64_t due)
{
    for (uint64_t now; (now = os_now_ms()) < due;) {
        /* A clock that is refused reads 0. */
        uint64_t left = due - now < ATTENDANT_BEAT_MS ? due - now : ATTENDANT_BEAT_MS;
        int ready = poll(polled, polled_count(), (int)left);
        if (ready < 0 && errno != EINTR)
            return false;
        for (unsigned i = 0; ready > 0 && i < WATCHED_MAX; i++)
            serve(i);
    }
    return true;
}

/* ---- The thread ---- */

/* The first thread has ended without the process, and so have all others but this one. */
static bool is_left_alone(void)
{
    struct proc_stat stat;
    return proc_stat_read((long)getpid(), &stat) && stat.state == 'Z' && stat.threads == 2;
}

static void begin(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        duties[i].begin();
}

static void beat(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        duties[i].beat();
}

/* Until it is alone; false when it cannot wait. */
static bool do_duties(void)
{
    uint64_t due = os_now_ms() + ATTENDANT_AFTER_MS;
    if (!serve_until(due))
        return false;
    begin();
    while (!is_left_alone()) {
        beat();
        due += ATTENDANT_BEAT_MS;
        uint64_t now = os_now_ms();
        if (due < now) /* it was stopped: what was missed is not made up for */
            due = now;
        if (!serve_until(due))
            return false;
    }
    return true;
}

static void forget(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        duties[i].fork_child();
}

static void *attend(void *arg)
{
    char room[LOG_ERROR_ROOM];
    (void)prctl(PR_SET_NAME, NAME);
    if (!do_duties()) {
        log_line(LOG_ERROR, "a thread cannot wait (%s); options that need it end",
                 log_error(errno, room));
        attendant_end();
        forget();
    }
    return arg;
}

static int start_thread(size_t stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack != 0)
        (void)pthread_attr_setstacksize(&attributes, stack);
    error = pthread_create(&thread, &attributes, attend, NULL);
    (void)pthread_attr_destroy(&attributes);
    return error;
}

static void start(void)
{
    drop_all();
    /* The thread inherits the mask. */
    sigset_t all, before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_BLOCK, &all, &before);
    if (error == 0) {
        error = start_thread(STACK_BYTES);
        if (error == EINVAL)
            error = start_thread(0);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    char room[LOG_ERROR_ROOM];
    if (error != 0)
        log_line(LOG_ERROR, "cannot start a thread (%s); options that need it have no effect",
                 log_error(error, room));
}

void attendant_begin(void)
{
    if (!is_wanted())
        return;
    atomic_store_explicit(&wanted, true, memory_order_relaxed);
    start();
}

void attendant_end(void)
{
    for (size_t i = 0; is_wanted() && i < DUTIES; i++)
        duties[i].end();
}

void attendant_fork_child(bool anew)
{
    if (!atomic_load_explicit(&wanted, memory_order_relaxed))
        return;
    forget();
    if (anew)
        start();
}
