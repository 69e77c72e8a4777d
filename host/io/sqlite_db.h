/* sqlite_db.h - one connection to an SQLite database: the table that rows go to, and the token that says how many are in it.
 *
 *   tidemill_tokens   sink TEXT PRIMARY KEY | run TEXT | rows INTEGER
 *                     'alerts'              | '9f2c…'  | 17          rows 0..16 of that run are in the table
 *
 * Rows and their token change in one transaction, so whatever is killed when, the token says exactly what is there. A token that is
 * not as this run left it is another run's: nothing is written then.
 *
 * Values: an integer of 64 bits is INTEGER; another number is REAL if a double says all of its digits, else TEXT with its digits;
 * true and false are 1 and 0; null and what is absent NULL; objects and arrays their JSON text. What a column's declared type makes
 * of them is SQLite's. Every call may wait for the disk or for other programs: a helper thread's, but for the first opening. */
#ifndef TM_IO_SQLITE_DB_H
#define TM_IO_SQLITE_DB_H

#include <stdint.h>

#include "../base/err.h"
#include "../codec/columns.h"

struct sqlite3;
struct sqlite3_stmt;

enum { TM_SQLITE_BUSY_MS = 250 };  /* a transaction waits so long for other programs before it ends in AGAIN */

/* How a call ended: AGAIN nothing was changed, and it may work later (*why is an errno); FAILED it never will. err says more. */
enum tm_sqlite_did { TM_SQLITE_FAILED = -1, TM_SQLITE_DONE = 0, TM_SQLITE_AGAIN = 1 };

/* A row being bound. */
struct tm_sqlite_row {
  struct tm_cell *cells;           /* by column */
  int32_t cap;
  struct tm_buf scratch;
};

struct tm_sqlite_db {
  /* what for; borrowed, set by the owner */
  const char *path;
  const char *table;
  const char *sink;                /* the token's key */
  const char *run;
  struct tm_columns *columns;
  /* its own */
  struct sqlite3 *db;
  struct sqlite3_stmt *put, *take, *token;
  int64_t rows;                    /* what the token says; -1: to be read again */
  int why;                         /* errno of the last AGAIN */
  struct tm_sqlite_row row;
};

/* Which columns rows have, found out once in a run: *columns (the script's, or those of select, may be NULL) are checked against
 * the table if there is one; named: the script said them. Fills columns->names and sets columns->given, unless the first row is to
 * say them. */
struct tm_sqlite_wish {
  const struct tm_csv_names *columns;
  int named;
};

/* Opens, or waits for busy_ms and fails. wish: NULL, columns are known. least < 0: a run begins, and its token is written; else the
 * token must be this run's and say `least` rows or more. */
enum tm_sqlite_did tm_sqlite_db_open(struct tm_sqlite_db *d, const struct tm_sqlite_wish *wish, int64_t least, int busy_ms,
                                     struct tm_err *err);
/* One transaction: of the rows in text, lines of which the first has the number `first`, those that the token does not count yet, and
 * that lie before `upto`. */
enum tm_sqlite_did tm_sqlite_db_apply(struct tm_sqlite_db *d, const char *text, int32_t len, int64_t first, int64_t upto,
                                      struct tm_err *err);
void tm_sqlite_db_close(struct tm_sqlite_db *d);

/* sqlite_row.c */

/* Reads a row, JSON text with TM_PAD readable bytes behind: enum tm_columns_op, or -1 no memory. */
int tm_sqlite_row_read(struct tm_sqlite_row *r, const struct tm_columns *c, const char *text, int32_t len);
/* Binds a column's value: SQLite's result. text: of the row read last; it must stay until the statement ran. */
int tm_sqlite_row_bind(struct tm_sqlite_row *r, struct sqlite3_stmt *stmt, int at, const char *text, int32_t column);
void tm_sqlite_row_fini(struct tm_sqlite_row *r);
/* A number of JSON: 'i' in *i, 'r' in *r, or 't' neither holds all of its digits. */
int tm_sqlite_number(const char *text, int32_t len, int64_t *i, double *r);

#endif
