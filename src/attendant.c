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
#include <sys/stat.h>
#include <unistd.h>

#define NAME "nearheap"
/* Enough for the deepest of its calls, several times, and thread-local data of the program;
 * where that takes more, the stack is as the program's are. */
#define STACK_BYTES ((size_t)256 << 10)
#define WATCHED_MAX 16

/* What it does, for whom.  A row's functions run only where its option is set. */
static const struct duty {
    enum option_id option;
    void (*begin)(void); /* by the attendant, once; NULL: nothing */
    void (*beat)(void);  /* by the attendant, from then on; NULL: nothing */
    void (*end)(void);   /* by the thread that ends the process, whatever the attendant does */
    /* Closes and forgets what there is: the parent's, in fork's child, or what nobody will
     * attend to any more. */
    void (*fork_child)(void);
} duties[] = {
    {OPT_SHARE, share_begin, share_beat, share_end, share_fork_child},
    {OPT_SHARE, control_begin, control_beat, control_end, control_fork_child},
};
#define DUTIES (sizeof duties / sizeof duties[0])

/* Of the attendant alone, but in fork's child, where there is none yet. */
static struct watched {
    void (*ready)(int fd);
    dev_t device; /* which file it was */
    ino_t inode;
} watched[WATCHED_MAX];
static struct pollfd polled[WATCHED_MAX]; /* fd is negative in what is not used */

static _Atomic bool wanted; /* the constructor has run; relaxed */

static bool is_wanted(const struct duty *duty)
{
    return options_get(duty->option) != 0 || *options_text(duty->option) != '\0';
}

static bool any_is_wanted(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        if (is_wanted(&duties[i]))
            return true;
    return false;
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

bool attendant_watch(int fd, void (*ready)(int fd))
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return false;
    for (unsigned i = 0; i < WATCHED_MAX; i++)
        if (polled[i].fd < 0) {
            watched[i] =
                (struct watched){.ready = ready, .device = stat.st_dev, .inode = stat.st_ino};
            polled[i] = (struct pollfd){.fd = fd, .events = POLLIN};
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

/* One that is open and cannot be looked at is taken for what it was. */
static bool is_the_same(unsigned i)
{
    struct stat stat;
    if ((polled[i].revents & POLLNVAL) != 0)
        return false;
    if (fstat(polled[i].fd, &stat) != 0)
        return errno != EBADF;
    return stat.st_dev == watched[i].device && stat.st_ino == watched[i].inode;
}

static void serve(unsigned i)
{
    if (polled[i].fd < 0 || polled[i].revents == 0)
        return;
    if (is_the_same(i))
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
        if (is_wanted(&duties[i]) && duties[i].begin != NULL)
            duties[i].begin();
}

static void beat(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        if (is_wanted(&duties[i]) && duties[i].beat != NULL)
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
        if (is_wanted(&duties[i]))
            duties[i].fork_child();
}

static void *attend(void *arg)
{
    (void)prctl(PR_SET_NAME, NAME);
    if (!do_duties()) {
        log_line(LOG_ERROR, "a thread cannot wait (error %d); options that need it end", errno);
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
    if (error != 0)
        log_line(LOG_ERROR, "cannot start a thread (error %d); options that need it have no effect",
                 error);
}

void attendant_begin(void)
{
    if (!any_is_wanted())
        return;
    atomic_store_explicit(&wanted, true, memory_order_relaxed);
    start();
}

void attendant_end(void)
{
    for (size_t i = 0; i < DUTIES; i++)
        if (is_wanted(&duties[i]))
            duties[i].end();
}

void attendant_fork_child(void)
{
    if (!atomic_load_explicit(&wanted, memory_order_relaxed))
        return;
    forget();
    start();
}
