/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * top_screen.c - see top_screen.h: tables of top_text.c line by line, the last minute as
 * bars, and keys.
 */
#include "top_screen.h"

#include "top_spark.h"
#include "top_text.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_A_S      1e9
#define MS_A_S      1000
#define KEY_ESCAPE  27
#define KEY_REDRAW  12 /* control-L */
#define LABEL_WIDTH 12
/* For a key: a signal that comes just before the wait is seen after it. */
#define WAIT_MOST_MS 1000
/* Where memory is costs the more to ask for the more there is: not more often than this,
 * nor for more than a part of the time. */
#define RESIDENCE_SECONDS 5.0
#define RESIDENCE_PART    50

enum pane { PANE_NODES, PANE_CLASSES };

/* What is drawn as bars. */
enum series { IN_USE, CACHED, FREE, REMOTE, REFILLS, SERIES };
static const struct {
    const char *name;
    unsigned value;
    bool is_rate;
} series_rows[SERIES] = {
    [IN_USE] = {"in use", SHARE_NODE_in_use_bytes, false},
    [CACHED] = {"cached", SHARE_NODE_cached_bytes, false},
    [FREE] = {"free", SHARE_NODE_free_bytes, false}, /* less what is released */
    [REMOTE] = {"remote/s", SHARE_NODE_remote_frees, true},
    [REFILLS] = {"refills/s", SHARE_NODE_refills, true},
};

struct state {
    const struct top_screen *screen;
    enum pane pane;
    enum top_order order;
    bool totals; /* in the matrix, in place of rates */
    bool blocks; /* the terminal has characters for bars */
    int first;   /* line that is shown */
    struct spark spark[SERIES], node_spark[NH_HEAPS];
    uint64_t drawn_ns; /* of the figures that bars have last */
    struct residence residence;
    double residence_due;
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = true;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / NS_A_S;
}

/* ---- The last minute ---- */

static double series_value(const struct top_process *process, enum series i)
{
    uint64_t sums[SHARE_NODE_VALUES], before[SHARE_NODE_VALUES];
    top_sum_nodes(&process->now, sums);
    if (i == FREE)
        return (double)(sums[SHARE_NODE_free_bytes] - sums[SHARE_NODE_released_bytes]);
    if (!series_rows[i].is_rate)
        return (double)sums[series_rows[i].value];
    top_sum_nodes(&process->before, before);
    return top_rate(before[series_rows[i].value], sums[series_rows[i].value], top_seconds(process));
}

static void remember(struct state *state, const struct top_process *process)
{
    const struct share_figures *figures = &process->now;
    if (figures->taken_ns == state->drawn_ns)
        return;
    state->drawn_ns = figures->taken_ns;
    for (enum series i = 0; i < SERIES; i++)
        spark_add(&state->spark[i], series_value(process, i));
    for (unsigned slot = top_next_heap(figures, 0); slot < NH_HEAPS;
         slot = top_next_heap(figures, slot + 1))
        spark_add(&state->node_spark[slot],
                  (double)figures->node[slot].value[SHARE_NODE_in_use_bytes]);
}

static void print_spark(FILE *to, const struct state *state, const struct spark *spark,
                        const char *name, const char *value)
{
    char bars[SPARK_ROOM];
    spark_write(spark, state->blocks, bars);
    fprintf(to, "%-*s%s  %s\n", LABEL_WIDTH, name, bars, value);
}

static void print_sparks(FILE *to, const struct state *state, const struct top_process *process)
{
    const struct share_figures *figures = &process->now;
    char value[TOP_NUMBER_ROOM], name[TOP_NUMBER_ROOM];
    if (state->screen->interval <= SPARK_SECONDS)
        fprintf(to, "last minute\n");
    else
        fprintf(to, "last %d looks, %g s apart\n", SPARK_POINTS, state->screen->interval);
    for (enum series i = 0; i < SERIES; i++) {
        double newest = series_value(process, i);
        if (series_rows[i].is_rate)
            top_write_rate(newest, value);
        else
            /* A hostile number may be as large as there are. */
            top_write_bytes(newest < (double)INT64_MAX ? (uint64_t)newest : INT64_MAX, value);
        print_spark(to, state, &state->spark[i], series_rows[i].name, value);
    }
    for (unsigned slot = top_next_heap(figures, 0); figures->slots > 1 && slot < NH_HEAPS;
         slot = top_next_heap(figures, slot + 1)) {
        const struct share_node *node = &figures->node[slot];
        if (node->number == SHARE_INTERLEAVED)
            snprintf(name, sizeof name, TOP_INTERLEAVED);
        else
            snprintf(name, sizeof name, "node %d", (int)node->number);
        top_write_bytes(node->value[SHARE_NODE_in_use_bytes], value);
        print_spark(to, state, &state->node_spark[slot], name, value);
    }
    fputc('\n', to);
}

/* ---- What is shown ---- */

static void print_process(FILE *to, struct state *state)
{
    const struct top_process *process = state->screen->list->item[0];
    top_print_head(to, process);
    if (state->pane == PANE_CLASSES) {
        top_print_classes(to, process, state->order, NH_CLASSES);
        return;
    }
    top_print_nodes(to, process, state->screen->residence ? &state->residence : NULL);
    print_sparks(to, state, process);
    top_print_matrix(to, process, !state->totals);
    if (state->screen->residence)
        top_print_residence(to, process, &state->residence);
    top_print_classes(to, process, state->order, NH_CLASSES);
}

static void print_list(FILE *to, const struct top_list *list)
{
    fprintf(to, "%zu process%s sharing counters", list->count, list->count == 1 ? "" : "es");
    if (list->left_out != 0)
        fprintf(to, ", %zu left out: more than %d of one user", list->left_out, TOP_LIST_OF_USER);
    fputs("\n\n", to);
    top_print_list_head(to);
    for (size_t i = 0; i < list->count; i++)
        top_print_list_line(to, list->item[i]);
}

/* The bytes of the first `columns` characters: curses would go on in the next line. */
static int cut(const char *line, int columns)
{
    int at = 0;
    for (int seen = 0; line[at] != '\0'; at++) {
        bool begins = ((unsigned char)line[at] & 0xc0) != 0x80; /* a character in UTF-8 */
        if (begins && seen++ == columns)
            break;
    }
    return at;
}

/* No further than to the text's end. */
static void limit_scrolling(struct state *state, const char *text)
{
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    int last = lines > LINES - 1 ? lines - (LINES - 1) : 0;
    if (state->first > last)
        state->first = last;
}

/* A screenful of the text; a line after an empty one is a heading. */
static void draw_text(const struct state *state, char *text)
{
    int line = 0;
    bool heading = true;
    for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, line++) {
        *end = '\0';
        int row = line - state->first;
        if (row >= 0 && row < LINES - 1) {
            attrset(heading ? A_BOLD : A_NORMAL);
            mvaddnstr(row, 0, at, cut(at, COLS));
        }
        heading = *at == '\0';
    }
}

static void draw(struct state *state)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    if (to == NULL)
        return;
    if (state->screen->all)
        print_list(to, state->screen->list);
    else
        print_process(to, state);
    fclose(to);
    erase();
    limit_scrolling(state, text);
    draw_text(state, text);
    free(text);
    attrset(A_REVERSE);
    mvaddnstr(LINES - 1, 0,
              state->screen->all
                  ? " q quit  arrows scroll "
                  : " q quit  n nodes  c classes  s sort classes  t totals, rates  arrows scroll ",
              COLS - 1);
    attrset(A_NORMAL);
    refresh();
}

/* ---- Time and keys ---- */

/* The number of a process that has ended may be another's. */
static void look_for_residence(struct state *state, const struct top_process *process)
{
    if (top_has_ended(process)) {
        state->residence.known = false;
    } else if (now() >= state->residence_due) {
        residence_read((long)process->header.pid, &process->now, &state->residence);
        double pause = state->residence.seconds * RESIDENCE_PART;
        state->residence_due = now() + (pause > RESIDENCE_SECONDS ? pause : RESIDENCE_SECONDS);
    }
}

static void look(struct state *state)
{
    struct top_list *list = state->screen->list;
    if (state->screen->all)
        top_list_find(list);
    else if (top_is_replaced(list->item[0]) && top_follow(list->item[0]))
        state->residence_due = 0;
    top_list_refresh(list);
    if (state->screen->all)
        return;
    remember(state, list->item[0]);
    if (state->screen->residence)
        look_for_residence(state, list->item[0]);
}

/* False to end. */
static bool press(struct state *state, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
    case KEY_ESCAPE:
        return false;
    case 'n':
    case 'c':
        state->pane = key == 'n' ? PANE_NODES : PANE_CLASSES;
        state->first = 0;
        break;
    case 's':
        state->order = (state->order + 1) % TOP_ORDERS;
        break;
    case 't':
        state->totals = !state->totals;
        break;
    case KEY_REDRAW:
        (void)clearok(curscr, true);
        break;
    case KEY_DOWN:
        state->first++;
        break;
    case KEY_UP:
        state->first -= state->first > 0;
        break;
    case KEY_NPAGE:
        state->first += LINES - 1;
        break;
    case KEY_PPAGE:
        state->first = state->first > LINES - 1 ? state->first - (LINES - 1) : 0;
        break;
    default: /* KEY_RESIZE, too: it is drawn anew */
        break;
    }
    return true;
}

/* As q does: ncurses' own handlers end the program as one that failed. */
static void handle_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction action;
        if (sigaction(ending[i], NULL, &action) != 0 || action.sa_handler == SIG_IGN)
            continue;
        action = (struct sigaction){.sa_handler = interrupt};
        (void)sigaction(ending[i], &action, NULL);
    }
}

bool top_screen_run(const struct top_screen *screen)
{
    static struct state state;
    state.screen = screen;
    setlocale(LC_CTYPE, ""); /* numbers are as everywhere */
    state.blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    /* newterm tells of a terminal that it does not know; initscr ends the program. */
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return false;
    handle_signals();
    (void)cbreak();
    (void)noecho();
    (void)curs_set(0);
    (void)keypad(stdscr, true);
    bool going_on = true;
    for (double due = now(); going_on && !is_interrupted;) {
        if (now() >= due) {
            look(&state);
            due = now() + screen->interval;
        }
        draw(&state);
        double rest = (due - now()) * MS_A_S;
        timeout(rest > WAIT_MOST_MS ? WAIT_MOST_MS : rest > 1 ? (int)rest : 1);
        int key = getch();
        if (key != ERR)
            going_on = press(&state, key);
        else if (isatty(STDIN_FILENO) == 0)
            going_on = false; /* nobody can press q any more */
    }
    endwin();
    delscreen(terminal);
    return true;
}
