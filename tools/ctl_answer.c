/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * ctl_answer.c - see ctl_answer.h.
 */
#include "ctl_answer.h"

#include "control_path.h"
#include "json_text.h"
#include "printable.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS       "0123456789"
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz_"

char *ctl_answer_read(char *answer, const char **why)
{
    *why = NULL;
    size_t line = strcspn(answer, "\n");
    if (answer[line] == '\n' && strncmp(answer, CONTROL_OK "\n", line + 1) == 0)
        return answer + line + 1;
    answer[line] = '\0';
    if (strncmp(answer, CONTROL_ERROR, strlen(CONTROL_ERROR)) != 0)
        return NULL;
    char *said = answer + strlen(CONTROL_ERROR);
    make_printable(said);
    *why = strncmp(said, CONTROL_ERRNO, strlen(CONTROL_ERRNO)) == 0
               ? strerror((int)strtol(said + strlen(CONTROL_ERRNO), NULL, 10))
               : said;
    return NULL;
}

/* The next line, which ends with a zero then; NULL at the end. */
static char *take_line(char **lines)
{
    char *line = *lines;
    if (*line == '\0')
        return NULL;
    *lines += strcspn(line, "\n");
    if (**lines != '\0')
        *(*lines)++ = '\0';
    make_printable(line);
    return line;
}

/* The next word of a line, whose end becomes a zero. */
static char *take_word(char **line)
{
    char *word = *line;
    *line += strcspn(*line, " ");
    if (**line != '\0')
        *(*line)++ = '\0';
    return word;
}

static size_t longest_word(const char *lines)
{
    size_t longest = 0;
    for (const char *at = lines; *at != '\0';) {
        size_t word = strcspn(at, " \n");
        longest = word > longest ? word : longest;
        at += strcspn(at, "\n");
        at += *at != '\0';
    }
    return longest;
}

/* Lines of VARIABLE WHEN VALUE. */
void ctl_answer_options(FILE *to, char *lines, bool json)
{
    bool first = true;
    int width = (int)longest_word(lines);
    if (json)
        fputc('[', to);
    for (char *rest; (rest = take_line(&lines)) != NULL; first = false) {
        const char *name = take_word(&rest), *when = take_word(&rest);
        if (!json) {
            fprintf(to, "%-*s %-6s %s\n", width, name, when, rest);
            continue;
        }
        fprintf(to, "%s\n  {\"option\": ", first ? "" : ",");
        json_text(to, name);
        fprintf(to, ", \"live\": %s, \"value\": ", strcmp(when, "live") == 0 ? "true" : "false");
        json_text(to, rest);
        fputc('}', to);
    }
    if (json)
        fputs("\n]\n", to);
}

/* Whether all are NAME NUMBER, which is one for JSON, too: without zeros before it. */
static bool are_values(const char *lines)
{
    while (*lines != '\0') {
        size_t name = strspn(lines, NAME_LETTERS);
        if (name == 0 || lines[name] != ' ')
            return false;
        const char *number = lines + name + 1;
        size_t digits = strspn(number, DIGITS);
        if (digits == 0 || (digits > 1 && *number == '0') || number[digits] != '\n')
            return false;
        lines = number + digits + 1;
    }
    return true;
}

bool ctl_answer_values(FILE *to, char *lines, bool json)
{
    bool first = true;
    if (!are_values(lines))
        return false;
    if (json)
        fputc('{', to);
    for (char *rest; (rest = take_line(&lines)) != NULL; first = false) {
        const char *name = take_word(&rest);
        if (json)
            fprintf(to, "%s\"%s\": %s", first ? "" : ", ", name, rest);
        else
            fprintf(to, "%s %s\n", name, rest);
    }
    if (json)
        fputs("}\n", to);
    return true;
}
