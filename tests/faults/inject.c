/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * inject.c - see inject.h.  The linker leads the engine here (--wrap): what it calls `mmap`
 * is __wrap_mmap, and the system's is __real_mmap.
 */
#include "inject.h"

#include "beat.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- The plan ---- */

static const struct {
    const char *name, *how, *error_name;
    int error;
} lines[CALLS] = {
#define CALL(name, how, error) {#name, #how, #error, error},
#include "calls.def"
#undef CALL
};

static struct {
    bool read;
    bool strikes[CALLS];
    enum fault_phase phase;
    uint64_t every; /* 0: the first */
    unsigned nodes; /* 0: as they are */
    bool attendant; /* its calls only */
} plan;

void (*fault_when_waiting)(void);

static _Atomic enum fault_phase phase_now;
/* Of this process and the children that it forks. */
static struct counts {
    _Atomic uint64_t calls[CALLS][PHASE_NONE + 1], attendants[CALLS][PHASE_NONE + 1];
    _Atomic uint64_t planned_calls, injected[CALLS];
} * counts;
static _Thread_local bool spared;

static _Noreturn void reject(const char *what, const char *value)
{
    dprintf(2, "faults: %s: '%s'\n", what, value);
    abort();
}

/* The text up to the next colon, cut off. */
static char *part(char **at)
{
    char *begun = *at, *end = strchr(begun, ':');
    if (end == NULL)
        return *at = begun + strlen(begun), begun;
    *end = '\0';
    *at = end + 1;
    return begun;
}

static void read_plan(char *text)
{
    static const char *const phases[] = {"start", "load", "exit"};
    char *name = part(&text);
    char *when = part(&text), *phase = part(&text);
    bool found = false;
    for (int i = 0; i < CALLS; i++)
        if (strcmp(name, "all") == 0 || strcmp(name, lines[i].name) == 0)
            found = plan.strikes[i] = true;
    if (!found)
        reject("no such call", name);
    plan.every = strcmp(when, "first") == 0  ? 0
                 : strcmp(when, "each") == 0 ? 1
                                             : strtoull(when, NULL, 10);
    while (plan.phase < PHASE_NONE && strcmp(phase, phases[plan.phase]) != 0)
        plan.phase++;
    if (plan.phase == PHASE_NONE)
        reject("no such phase", phase);
    const char *whose = part(&text);
    plan.attendant = strcmp(whose, "attendant") == 0;
    if (*whose != '\0' && !plan.attendant)
        reject("nobody", whose);
}

void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);

/* By the first call, when there is one thread. */
static void read_environment(void)
{
    static char copy[256];
    plan.read = true;
    counts = __real_mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                         -1, 0);
    if (counts == MAP_FAILED)
        abort();
    const char *text = getenv("FAULT"), *nodes = getenv("FAULT_NODES");
    if (text != NULL) {
        strncpy(copy, text, sizeof(copy) - 1);
        read_plan(copy);
    }
    if (nodes != NULL)
        plan.nodes = (unsigned)atoi(nodes);
}

bool fault_strikes(enum fault_call call)
{
    if (!plan.read)
        read_environment();
    if (spared)
        return false;
    enum fault_phase phase = atomic_load(&phase_now);
    atomic_fetch_add(&counts->calls[call][phase], 1);
    if (beat_is_attendant())
        atomic_fetch_add(&counts->attendants[call][phase], 1);
    else if (plan.attendant)
        return false;
    if (!plan.strikes[call] || phase != plan.phase)
        return false;
    uint64_t n = atomic_fetch_add(&counts->planned_calls, 1) + 1;
    if (plan.every == 0 ? n != 1 : n % plan.every != 0)
        return false;
    atomic_fetch_add(&counts->injected[call], 1);
    errno = lines[call].error;
    return true;
}

#define STRIKES(name, how) fault_strikes(CALL_##name##_##how)

void fault_phase(enum fault_phase phase)
{
    atomic_store(&phase_now, phase);
}

uint64_t fault_calls(void)
{
    return atomic_load(&counts->planned_calls);
}

uint64_t fault_injected(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < CALLS; i++)
        sum += atomic_load(&counts->injected[i]);
    return sum;
}

void fault_print_struck(int fd)
{
    const char *separator = "";
    for (int i = 0; i < CALLS; i++)
        if (atomic_load(&counts->injected[i]) != 0) {
            dprintf(fd, "%s\"%s %s\"", separator, lines[i].name, lines[i].how);
            separator = ", ";
        }
}

void fault_print(int fd)
{
    for (int i = 0; i < CALLS; i++) {
        dprintf(fd, "%s %s", lines[i].name, lines[i].error_name);
        for (enum fault_phase phase = PHASE_START; phase < PHASE_NONE; phase++)
            dprintf(fd, " %llu", (unsigned long long)atomic_load(&counts->calls[i][phase]));
        for (enum fault_phase phase = PHASE_START; phase < PHASE_NONE; phase++)
            dprintf(fd, " %llu", (unsigned long long)atomic_load(&counts->attendants[i][phase]));
        dprintf(fd, "\n");
    }
}

void fault_spare(bool spare)
{
    spared = spare;
}

/* ---- What the engine calls by name ---- */

/* WRAP(result, name, failure, parameters, arguments) */
#define WRAP(result, name, failure, parameters, arguments)                                         \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        return STRIKES(name, LIBC) ? failure : __real_##name arguments;                            \
    }

WRAP(void *, mmap, MAP_FAILED,
     (void *at, size_t bytes, int protection, int flags, int fd, off_t offset),
     (at, bytes, protection, flags, fd, offset))
WRAP(int, munmap, -1, (void *at, size_t bytes), (at, bytes))
WRAP(int, mprotect, -1, (void *at, size_t bytes, int protection), (at, bytes, protection))
WRAP(int, madvise, -1, (void *at, size_t bytes, int advice), (at, bytes, advice))
WRAP(int, getcpu, -1, (unsigned *cpu, unsigned *node), (cpu, node))
WRAP(int, sched_getaffinity, -1, (pid_t pid, size_t bytes, cpu_set_t *set), (pid, bytes, set))
WRAP(unsigned long, getauxval, 0, (unsigned long type), (type))
WRAP(ssize_t, getrandom, -1, (void *to, size_t bytes, unsigned flags), (to, bytes, flags))
WRAP(int, sigaction, -1, (int number, const struct sigaction *action, struct sigaction *before),
     (number, action, before))
WRAP(int, vsnprintf, -1, (char *to, size_t room, const char *format, va_list arguments),
     (to, room, format, arguments))
WRAP(int, pthread_key_create, EAGAIN, (pthread_key_t * key, void (*end)(void *)), (key, end))
WRAP(int, pthread_setspecific, ENOMEM, (pthread_key_t key, const void *value), (key, value))
WRAP(int, pthread_atfork, ENOMEM,
     (void (*prepare)(void), void (*parent)(void), void (*child)(void)), (prepare, parent, child))
WRAP(void *, dlopen, NULL, (const char *path, int flags), (path, flags))

WRAP(int, pthread_attr_init, ENOMEM, (pthread_attr_t * attributes), (attributes))
WRAP(int, pthread_attr_setdetachstate, EINVAL, (pthread_attr_t * attributes, int state),
     (attributes, state))
WRAP(int, pthread_attr_setstacksize, EINVAL, (pthread_attr_t * attributes, size_t bytes),
     (attributes, bytes))
WRAP(int, pthread_sigmask, EINVAL, (int how, const sigset_t *mask, sigset_t *before),
     (how, mask, before))
WRAP(int, sigpending, -1, (sigset_t * out), (out))
WRAP(int, mincore, -1, (void *at, size_t bytes, unsigned char *out), (at, bytes, out))
WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, fstat, -1, (int fd, struct stat *out), (fd, out))
WRAP(int, stat, -1, (const char *path, struct stat *out), (path, out))
WRAP(off_t, lseek, -1, (int fd, off_t offset, int from), (fd, offset, from))
WRAP(ssize_t, getdents64, -1, (int fd, void *out, size_t bytes), (fd, out, bytes))
WRAP(ssize_t, pread, -1, (int fd, void *out, size_t bytes, off_t at), (fd, out, bytes, at))
WRAP(int, ftruncate, -1, (int fd, off_t bytes), (fd, bytes))
WRAP(int, posix_fallocate, ENOSPC, (int fd, off_t at, off_t bytes), (fd, at, bytes))
WRAP(int, renameat, -1, (int in, const char *from, int to_in, const char *to),
     (in, from, to_in, to))
WRAP(int, unlinkat, -1, (int in, const char *path, int flags), (in, path, flags))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(int, chmod, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, kill, -1, (pid_t pid, int number), (pid, number))
WRAP(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, -1, (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length))
WRAP(int, listen, -1, (int fd, int backlog), (fd, backlog))
WRAP(int, connect, -1, (int fd, const struct sockaddr *address, socklen_t length),
     (fd, address, length))
WRAP(int, accept4, -1, (int fd, struct sockaddr *address, socklen_t *length, int flags),
     (fd, address, length, flags))
WRAP(int, shutdown, -1, (int fd, int how), (fd, how))
WRAP(int, getsockopt, -1, (int fd, int level, int name, void *out, socklen_t *length),
     (fd, level, name, out, length))
WRAP(ssize_t, recvmsg, -1, (int fd, struct msghdr *out, int flags), (fd, out, flags))
WRAP(ssize_t, send, -1, (int fd, const void *from, size_t bytes, int flags),
     (fd, from, bytes, flags))

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (STRIKES(clock_gettime, LIBC))
        return -1;
    int done = __real_clock_gettime(clock, out);
    uint64_t ns = beat_ahead_ms() * 1000000 + (uint64_t)out->tv_nsec;
    out->tv_sec += (time_t)(ns / 1000000000);
    out->tv_nsec = (long)(ns % 1000000000);
    return done;
}

/* The number of CPUs, for which files are read.  glibc guesses 2 where it cannot, POSIX allows
 * -1; the size of a page is known. */
long __real_sysconf(int what);
long __wrap_sysconf(int what);
long __wrap_sysconf(int what)
{
    return what == _SC_NPROCESSORS_CONF && STRIKES(sysconf, LIBC) ? -1 : __real_sysconf(what);
}

int __real_prctl(int what, ...);
int __wrap_prctl(int what, const char *name);
int __wrap_prctl(int what, const char *name)
{
    return STRIKES(prctl, LIBC) ? -1 : __real_prctl(what, name);
}

int __real_openat(int in, const char *path, int flags, mode_t mode);
int __wrap_openat(int in, const char *path, int flags, mode_t mode);
int __wrap_openat(int in, const char *path, int flags, mode_t mode)
{
    return STRIKES(openat, LIBC) ? -1 : __real_openat(in, path, flags, mode);
}

void *__real_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to);
void *__wrap_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to);
void *__wrap_mremap(void *at, size_t bytes, size_t to_bytes, int flags, void *to)
{
    return STRIKES(mremap, LIBC) ? MAP_FAILED : __real_mremap(at, bytes, to_bytes, flags, to);
}

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode)
{
    return STRIKES(open, LIBC) ? -1 : __real_open(path, flags, mode);
}

/* Linux closes the file whatever it returns. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int done = __real_close(fd);
    return STRIKES(close, LIBC) ? -1 : done;
}

void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name)
{
    if (STRIKES(dlsym, LIBC))
        return NULL;
    void *found = __real_dlsym(library, name);
    return found != NULL ? fault_found(name, found) : NULL;
}

/* ---- System calls ---- */

static bool call_strikes(long number, const long *with)
{
    switch (number) {
    case SYS_msync:
        return STRIKES(msync, SYSTEM);
    case SYS_mbind:
        return STRIKES(mbind, SYSTEM) || STRIKES(mbind_refused, SYSTEM);
    case SYS_move_pages:
        return STRIKES(move_pages, SYSTEM);
    case SYS_get_mempolicy:
        return STRIKES(get_mempolicy, SYSTEM);
    case SYS_membarrier:
        return STRIKES(membarrier, SYSTEM);
    case SYS_openat:
        return STRIKES(openat, SYSTEM);
    case SYS_read:
        return STRIKES(read, SYSTEM);
    case SYS_pread64:
        return STRIKES(pread64, SYSTEM);
    case SYS_write:
        return STRIKES(write, SYSTEM);
    case SYS_fcntl:
        return STRIKES(fcntl, SYSTEM);
    case SYS_futex: /* only waiting fails */
        switch ((int)with[1]) {
        case FUTEX_WAIT_PRIVATE:
            return STRIKES(futex, SYSTEM);
        case FUTEX_WAIT_BITSET_PRIVATE:
            if (fault_when_waiting != NULL)
                fault_when_waiting();
            return STRIKES(futex_until, SYSTEM);
        default:
            return false;
        }
    default:
        dprintf(2, "faults: system call %ld is not in calls.def\n", number);
        abort();
    }
}

/* The kernel of a machine with plan.nodes nodes, as far as a process can tell; all memory is
 * on node 0. */
static bool pretend(long number, const long *with)
{
    switch (number) {
    case SYS_get_mempolicy:
        *(unsigned long *)with[1] = (1UL << plan.nodes) - 1;
        return true;
    case SYS_move_pages:
        memset((void *)with[4], 0, (size_t)with[1] * sizeof(int));
        return true;
    default:
        return number == SYS_mbind;
    }
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    /* As many as are there: further ones would be read from the caller's frame. */
    int count = number == SYS_mbind || number == SYS_move_pages || number == SYS_futex ? 6 : 4;
    long with[6] = {0};
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < count; i++)
        with[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_close) {
        long done = __real_syscall(number, with[0]);
        return STRIKES(close, SYSTEM) ? -1 : done;
    }
    if (number == SYS_rt_sigtimedwait) { /* a signal that waits would end the program */
        long done = __real_syscall(number, with[0], with[1], with[2], with[3]);
        return STRIKES(rt_sigtimedwait, SYSTEM) ? -1 : done;
    }
    if (call_strikes(number, with))
        return -1;
    if (plan.nodes != 0 && pretend(number, with))
        return 0;
    return __real_syscall(number, with[0], with[1], with[2], with[3], with[4], with[5]);
}
