# SPDX-License-Identifier: LGPL-2.1-or-later
#
# api.awk - awk -f api.awk include/nearheap.h TEMPLATE >PAGE: the manual page of the public
# functions.  The header's declarations and comments take the place of the template's line
# .\" @api@, its conventions that of .\" @conventions@.

# What roff would take for itself.
function text(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    return line ~ /^[.']/ ? "\\&" line : line
}

# The same of prose, where a sentence begins on a new line.
function prose(line) {
    line = text(line)
    gsub(/[.] +/, ".\n", line)
    return line
}

# A new paragraph, unless one has just begun.
function paragraph() {
    if (!fresh)
        page = page ".Pp\n"
    fresh = 1
}

function put_line(line) {
    page = page prose(line) "\n"
    fresh = 0
}

# A comment's lines: those that begin with "- " are items, empty ones part paragraphs.
# A paragraph on the tables of counters is for readers of the header only.
function put_comment(    i, n, paragraphs, lines, m, j, in_item) {
    n = split(comment, paragraphs, /\n\n+/)
    for (i = 1; i <= n; i++) {
        if (paragraphs[i] ~ /X\(field, unit, meaning\)/ || paragraphs[i] ~ /^[ \n]*$/)
            continue
        paragraph()
        m = split(paragraphs[i], lines, "\n")
        in_item = 0
        for (j = 1; j <= m; j++) {
            if (lines[j] ~ /^ *- / || (in_item && lines[j] ~ /^ [^ ]/)) {
                paragraph()
                in_item = lines[j] ~ /^ *- /
                sub(/^ *- /, "• ", lines[j])
            }
            sub(/^ +/, "", lines[j])
            if (lines[j] != "")
                put_line(lines[j])
        }
    }
    comment = ""
}

# Declarations, then what the comment before them says.
function put_block() {
    if (code != "") {
        page = page ".Bd -literal\n" code ".Ed\n"
        fresh = 0
    }
    code = ""
    put_comment()
}

FNR == NR && /^ \* Conventions/ { top = 1; next }
FNR == NR && top && !begun {
    if (/\*\//) {
        top = 0
        put_comment()
        conventions = page
        page = ""
    } else {
        sub(/^ \*/, "")
        comment = comment $0 "\n"
    }
    next
}

# A section: its title, then perhaps text to the comment's end.
FNR == NR && /^\/\* ---- / {
    put_block()
    begun = 1
    title = $0
    sub(/^\/\* -+ /, "", title)
    in_comment = title !~ /\*\//
    sub(/ -+( \*\/)?$/, "", title)
    page = page ".Ss " text(title) "\n"
    fresh = 1
    next
}
FNR == NR && !begun { next }
FNR == NR && /^#ifdef __cplusplus/ { put_block(); begun = 0; next }
FNR == NR && in_comment {
    in_comment = !/\*\//
    sub(/ *\*\/ *$/, "")
    sub(/^ \*/, "")
    comment = comment $0 "\n"
    next
}
FNR == NR && /^\/\*/ {
    put_block()
    in_comment = !/\*\//
    sub(/^\/\*/, "")
    sub(/ *\*\/ *$/, "")
    comment = $0 "\n"
    next
}
FNR == NR && /^$/ { put_block(); next }
# The tables of counters, line by line.
FNR == NR && (/\\$/ || in_table) { in_table = /\\$/; next }
FNR == NR && /^#define NH_STATS_FIELD_/ { next }
FNR == NR {
    sub(/NH_API /, "")
    sub(/NH_[A-Z]+_STATS\(NH_STATS_FIELD_\)/, "uint64_t ...; /* counters, see nearheap(7) */")
    code = code text($0) "\n"
    next
}

/^\.\\" @api@/ { printf "%s", page; next }
/^\.\\" @conventions@/ { printf "%s", conventions; next }
{ print }
