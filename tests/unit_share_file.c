/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The folder of a user's pages and sockets: whose it has to be, and who may make one.
 */
#include "share_file.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 65534

static char place[] = "/tmp/nearheap_share_XXXXXX";

static int make_place(void **state)
{
    (void)state;
    /* Others may make their folders there, too. */
    return mkdtemp(place) != NULL && chmod(place, 01777) == 0 ? 0 : -1;
}

static void path_of(uid_t uid, char path[SHARE_PATH_ROOM])
{
    share_file_folder_path(place, uid, path);
}

static int remove_place(void **state)
{
    (void)state;
    char path[SHARE_PATH_ROOM];
    const uid_t users[] = {geteuid(), STRANGER};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        path_of(users[i], path);
        (void)rmdir(path);
    }
    return rmdir(place);
}

static void the_users_own_is_made_and_found(void **state)
{
    (void)state;
    char path[SHARE_PATH_ROOM];
    struct stat status;
    assert_int_equal(share_file_folder(place, geteuid(), false), -1);
    int folder = share_file_folder(place, geteuid(), true);
    assert_true(folder >= 0);
    close(folder);
    path_of(geteuid(), path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0755), 0);
    errno = 0;
    assert_int_equal(share_file_folder(place, geteuid(), false), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(chmod(path, 0700), 0);
}

/* 0 when none is made for a process with these numbers that is then asked for one. */
static int status_of(uid_t real, uid_t effective, uid_t saved)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        if (setresuid(real, effective, saved) != 0)
            _exit(2);
        errno = 0;
        _exit(share_file_folder(place, geteuid(), true) == -1 && errno == EPERM ? 0 : 1);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Its files would be that user's, who may cut short what the process has mapped. */
static void none_is_made_while_acting_for_another(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(status_of(0, STRANGER, 0), 0);
    assert_int_equal(status_of(STRANGER, STRANGER, 0), 0);
    assert_int_equal(status_of(STRANGER, 0, 0), 0);
    assert_int_equal(status_of(STRANGER, STRANGER, STRANGER), 1); /* its own */
}

/* ---- Names ---- */

#define FILES      100
#define AT_A_TIME  7
#define FIRST_FILE 1000

static unsigned seen[FILES];

static void see(int folder, const char *name, void *arg)
{
    bool unfinished;
    long number = share_file_pid(name, &unfinished);
    (void)folder;
    ++*(unsigned *)arg;
    if (number >= FIRST_FILE && number < FIRST_FILE + FILES)
        seen[number - FIRST_FILE]++;
}

static void names_are_read_some_at_a_time(void **state)
{
    (void)state;
    char name[SHARE_NAME_ROOM];
    int folder = share_file_folder(place, geteuid(), true);
    assert_true(folder >= 0);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%d", FIRST_FILE + i);
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    off_t at = 0;
    unsigned times = 0;
    do {
        unsigned names = 0;
        at = share_file_each(folder, at, AT_A_TIME, see, &names);
        assert_true(at == 0 ? names <= AT_A_TIME : names == AT_A_TIME);
        times++;
    } while (at != 0);
    assert_true(times >= FILES / AT_A_TIME);
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(seen[i], 1);
        snprintf(name, sizeof name, "%d", FIRST_FILE + i);
        assert_int_equal(unlinkat(folder, name, 0), 0);
    }
    close(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_users_own_is_made_and_found),
        cmocka_unit_test(none_is_made_while_acting_for_another),
        cmocka_unit_test(names_are_read_some_at_a_time),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
