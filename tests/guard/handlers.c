/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * handlers.c MODE - a program with a SIGSEGV handler of its own, installed before nearheap's (by
 * a function that runs before any library's constructor) or after it, or without one.
 * handlers.py knows how each mode ends and whether there is a report.  Run with NEARHEAP_GUARD=1.
 */
#include "server/check.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 100 /* of a class of 112 bytes, so guarded objects are known by their size */
#define MOST 1000

/* What a report may take of a signal stack beyond the kernel's own frame. */
#define ROOM   4096
#define FILLED 0x5a

static sigjmp_buf back;
static volatile sig_atomic_t calls;
static void *volatile fault_address;
static volatile int fault_code;
static sigset_t mask_inside;
static struct sigaction found; /* by who installed after nearheap */

static void note(siginfo_t *info)
{
    calls++;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    sigprocmask(SIG_SETMASK, NULL, &mask_inside);
}

static void jump_back(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    note(info);
    siglongjmp(back, 1);
}

/* By the old kind of handler. */
static void jump_back_plain(int number)
{
    (void)number;
    calls++;
    siglongjmp(back, 1);
}

static void only_return(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    note(info);
}

static void call_next(int number, siginfo_t *info, void *context)
{
    note(info);
    CHECK((found.sa_flags & SA_SIGINFO) != 0);
    found.sa_sigaction(number, info, context);
}

/* A signal stack, of which this tells how much was used, after the report. */
static char *stack, *stack_end;

static void tell_use(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    char *used = stack;
    while (*used == FILLED)
        used++;
    dprintf(2, "nearheap: used %zu of %zu\n", (size_t)(stack_end - used),
            (size_t)(stack_end - stack));
    _exit(used == stack);
}

/* ---- Faults ---- */

static char *own_page;

/* One of the program's own. */
static void fault_of_its_own(void)
{
    own_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(own_page != MAP_FAILED);
    *(volatile char *)own_page = 1;
}

static char *guarded(void)
{
    for (int i = 0; i < MOST; i++) {
        char *object = malloc(SIZE);
        CHECK(object != NULL);
        if (malloc_usable_size(object) == SIZE)
            return object;
    }
    bool some_object_has_guard_pages = false;
    CHECK(some_object_has_guard_pages);
    return NULL;
}

static char *object;

static void fault_of_a_slot(void)
{
    object = guarded();
    free(object);
    *(volatile char *)object = 1;
}

/* Comes back from the fault by the handler's jump. */
static void survive(void (*fault)(void))
{
    int before = calls;
    if (sigsetjmp(back, 1) == 0) {
        fault();
        bool it_is_a_fault = false;
        CHECK(it_is_a_fault);
    }
    CHECK(calls == before + 1);
}

/* ---- Handlers ---- */

static void install(void (*handler)(int number, siginfo_t *info, void *context), int flags,
                    struct sigaction *old)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaddset(&action.sa_mask, SIGUSR1);
    CHECK(sigaction(SIGSEGV, &action, old) == 0);
}

static void install_plain(void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

/* Before any library's constructor, so before nearheap takes SIGSEGV. */
static void early(int argc, char **argv, char **environment)
{
    (void)environment;
    const char *mode = argc == 2 ? argv[1] : "";
    if (strcmp(mode, "before") == 0)
        install(jump_back, 0, NULL);
    else if (strcmp(mode, "before_plain") == 0)
        install_plain(jump_back_plain);
    else if (strcmp(mode, "before_nodefer") == 0)
        install(jump_back, SA_NODEFER, NULL);
    else if (strcmp(mode, "before_once") == 0)
        install(only_return, (int)SA_RESETHAND, NULL);
    else if (strcmp(mode, "small_stack") == 0)
        install(tell_use, SA_ONSTACK, NULL);
    else if (strcmp(mode, "before_ignored") == 0)
        install_plain(SIG_IGN);
}
__attribute__((section(".preinit_array"), used)) static void (*early_too)(int, char **,
                                                                          char **) = early;

static void is_called_as_asked(bool deferred)
{
    CHECK(sigismember(&mask_inside, SIGUSR1) == 1);
    CHECK(sigismember(&mask_inside, SIGSEGV) == deferred);
    CHECK(fault_code == SEGV_ACCERR);
}

/* ---- Modes ---- */

static void survive_both(bool deferred)
{
    for (int i = 0; i < 2; i++) {
        survive(fault_of_its_own);
        CHECK(fault_address == own_page);
        is_called_as_asked(deferred);
        survive(fault_of_a_slot);
        CHECK(fault_address == object);
        is_called_as_asked(deferred);
    }
}

static void before(void)
{
    survive_both(true);
}

static void before_plain(void)
{
    survive(fault_of_its_own);
    survive(fault_of_a_slot);
}

static void before_nodefer(void)
{
    survive_both(false);
}

static void before_once(void)
{
    fault_of_a_slot(); /* again when the handler, which is no more, has returned */
}

static void before_ignored(void)
{
    CHECK(raise(SIGSEGV) == 0);
    fault_of_a_slot();
}

static void after(void)
{
    install(jump_back, 0, NULL);
    survive_both(true);
}

static void after_calls_it(void)
{
    install(call_next, 0, &found);
    fault_of_a_slot();
}

static void none_sent(void)
{
    raise(SIGSEGV);
}

/* On one with little more room than the kernel needs for itself. */
static void small_stack(void)
{
    size_t bytes = getauxval(AT_MINSIGSTKSZ) + ROOM;
    stack = malloc(bytes);
    CHECK(stack != NULL);
    stack_end = stack + bytes;
    memset(stack, FILLED, bytes);
    stack_t alternate = {.ss_sp = stack, .ss_size = bytes};
    CHECK(sigaltstack(&alternate, NULL) == 0);
    fault_of_a_slot();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"before", before},
                 {"before_plain", before_plain},
                 {"before_nodefer", before_nodefer},
                 {"before_once", before_once},
                 {"before_ignored", before_ignored},
                 {"after", after},
                 {"after_calls_it", after_calls_it},
                 {"none_slot", fault_of_a_slot},
                 {"none_own", fault_of_its_own},
                 {"none_sent", none_sent},
                 {"small_stack", small_stack}};
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    return 1;
}
