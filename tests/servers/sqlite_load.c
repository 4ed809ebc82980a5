/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * sqlite_load.c - load on SQLite: threads with a connection each write accounts and
 * what happened to them, all in one database file, and query it; at the end sums,
 * values and SQLite's own check must be right.
 *
 *     sqlite_load FOLDER THREADS TRANSACTIONS
 */
#include "load.h"
#include <sqlite3.h>

#define ACCOUNTS     2000
#define BUSY_MS      60000 /* wait so long for other writers */
#define CACHE_KIB    "-4096"
#define NOTE_RANGE   800 /* bytes of a note, at most */
#define AMOUNT_RANGE 1000
#define QUERY_ROWS   50
#define PATH_ROOM    512

static char path[PATH_ROOM];

static const char schema[] =
    "PRAGMA journal_mode=WAL;"
    "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, name TEXT);"
    "CREATE TABLE entry(id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER, note BLOB);"
    "CREATE INDEX entry_account ON entry(account, amount);"
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1)"
    " INSERT INTO account SELECT i, 0, printf('account number %%d', i) FROM n;";

static void must(sqlite3 *link, bool good, const char *what)
{
    if (!good)
        load_fail(what, link != NULL ? sqlite3_errmsg(link) : "no memory");
}

static void run(sqlite3 *link, const char *sql)
{
    must(link, sqlite3_exec(link, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static sqlite3 *open_link(void)
{
    sqlite3 *link = NULL;
    int status = sqlite3_open_v2(
        path, &link, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    must(link, status == SQLITE_OK, path);
    sqlite3_busy_timeout(link, BUSY_MS);
    run(link, "PRAGMA synchronous=OFF; PRAGMA cache_size=" CACHE_KIB);
    return link;
}

static sqlite3_stmt *prepare(sqlite3 *link, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    must(link, sqlite3_prepare_v2(link, sql, -1, &statement, NULL) == SQLITE_OK, sql);
    return statement;
}

static void step(sqlite3 *link, sqlite3_stmt *statement)
{
    must(link, sqlite3_step(statement) == SQLITE_DONE, sqlite3_sql(statement));
    sqlite3_reset(statement);
}

static size_t note_of(sqlite3_int64 account, sqlite3_int64 amount, char *note)
{
    uint64_t random = load_seed((uint64_t)(account * AMOUNT_RANGE + amount));
    size_t size = 1 + random_next(&random) % NOTE_RANGE;
    load_fill(note, size, (uint64_t)account, (uint64_t)amount);
    return size;
}

static void write_entries(struct load_worker *worker)
{
    sqlite3 *link = open_link();
    sqlite3_stmt *change = prepare(link, "UPDATE account SET balance = balance + ? WHERE id = ?");
    sqlite3_stmt *insert =
        prepare(link, "INSERT INTO entry(account, amount, note) VALUES (?, ?, ?)");
    char note[NOTE_RANGE];
    for (unsigned long i = 0; i < worker->operations; i++) {
        sqlite3_int64 account = (sqlite3_int64)(random_next(&worker->random) % ACCOUNTS);
        sqlite3_int64 amount = (sqlite3_int64)(random_next(&worker->random) % AMOUNT_RANGE);
        size_t size = note_of(account, amount, note);
        uint64_t begun = load_now();
        run(link, "BEGIN IMMEDIATE");
        sqlite3_bind_int64(change, 1, amount);
        sqlite3_bind_int64(change, 2, account);
        step(link, change);
        sqlite3_bind_int64(insert, 1, account);
        sqlite3_bind_int64(insert, 2, amount);
        sqlite3_bind_blob(insert, 3, note, (int)size, SQLITE_TRANSIENT);
        step(link, insert);
        run(link, "COMMIT");
        load_took(worker, i, begun);
    }
    sqlite3_finalize(change);
    sqlite3_finalize(insert);
    sqlite3_close(link);
}

static void verify_note(sqlite3_stmt *row)
{
    char right[NOTE_RANGE];
    size_t size = note_of(sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), right);
    if ((size_t)sqlite3_column_bytes(row, 2) != size ||
        memcmp(sqlite3_column_blob(row, 2), right, size) != 0)
        load_fail("entry", "its note is not what was written");
}

/* Joins and sorts; each statement is prepared anew, as programs do. */
static void query(struct load_worker *worker)
{
    sqlite3 *link = open_link();
    for (unsigned long i = 0; i < worker->operations; i++) {
        uint64_t begun = load_now();
        sqlite3_stmt *rows =
            prepare(link, "SELECT e.account, e.amount, e.note, a.name FROM entry e JOIN account a"
                          " ON a.id = e.account WHERE e.account BETWEEN ?1 AND ?1 + 20"
                          " ORDER BY e.amount DESC, a.name LIMIT ?2");
        sqlite3_bind_int64(rows, 1, (sqlite3_int64)(random_next(&worker->random) % ACCOUNTS));
        sqlite3_bind_int(rows, 2, QUERY_ROWS);
        int status;
        while ((status = sqlite3_step(rows)) == SQLITE_ROW)
            verify_note(rows);
        must(link, status == SQLITE_DONE, "query");
        sqlite3_finalize(rows);
        load_took(worker, i, begun);
    }
    sqlite3_close(link);
}

static sqlite3_int64 number(sqlite3 *link, const char *sql)
{
    sqlite3_stmt *row = prepare(link, sql);
    must(link, sqlite3_step(row) == SQLITE_ROW, sql);
    sqlite3_int64 value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}

static void count_accounts(void *shared)
{
    if (number(shared, "SELECT count(*) FROM account") != ACCOUNTS)
        load_fail("account", "there are more or fewer than there were");
}

static void verify(unsigned long entries)
{
    sqlite3 *link = open_link();
    if (number(link, "SELECT count(*) FROM entry") != (sqlite3_int64)entries)
        load_fail("entry", "there are more or fewer than were inserted");
    if (number(link, "SELECT count(*) FROM account a WHERE balance != (SELECT"
                     " coalesce(sum(amount), 0) FROM entry e WHERE e.account = a.id)") != 0)
        load_fail("account", "a balance is not the sum of its entries");
    sqlite3_stmt *rows = prepare(link, "SELECT account, amount, note FROM entry");
    while (sqlite3_step(rows) == SQLITE_ROW)
        verify_note(rows);
    sqlite3_finalize(rows);
    rows = prepare(link, "PRAGMA integrity_check");
    must(link, sqlite3_step(rows) == SQLITE_ROW, "integrity_check");
    const char *said = (const char *)sqlite3_column_text(rows, 0);
    if (strcmp(said, "ok") != 0)
        load_fail("integrity_check", said);
    sqlite3_finalize(rows);
    sqlite3_close(link);
}

int main(int argc, char **argv)
{
    load_program = argv[0];
    if (argc != 4) {
        fputs("usage: sqlite_load FOLDER THREADS TRANSACTIONS\n", stderr);
        return 2;
    }
    unsigned threads = (unsigned)load_number(argv[2], LOAD_THREADS_MAX);
    unsigned long transactions = load_number(argv[3], LOAD_WORK_MAX) / threads * threads;
    snprintf(path, sizeof path, "%s/database", argv[1]);
    char sql[sizeof schema + PATH_ROOM];
    snprintf(sql, sizeof sql, schema, ACCOUNTS);
    sqlite3 *link = open_link(); /* stays, and has the schema in memory */
    run(link, sql);
    load_phase("write", threads, transactions, write_entries, NULL);
    load_phase("query", threads, transactions / 2, query, NULL);
    verify(transactions);
    load_done(count_accounts, link);
    sqlite3_close(link);
    sqlite3_shutdown();
    return 0;
}
