/* sqlite_db.c - connection, tables, token and transactions of an SQLite sink (sqlite_db.h). */
#include "sqlite_db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/buf.h"

enum { REJECTED = 3, ROW_SHOWN = 200, SQL_MAX = 8 * 1024 * 1024 };
static const char tokens_sql[] =
    "CREATE TABLE IF NOT EXISTS tidemill_tokens(sink TEXT PRIMARY KEY, run TEXT NOT NULL, rows INTEGER NOT NULL)";

/* ---- what went wrong ---- */

/* A failure that may pass: its errno, or 0. */
static int passing(struct tm_sqlite_db *d, int rc) {
  int sys = sqlite3_system_errno(d->db);
  switch (rc & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return EBUSY;
    case SQLITE_FULL: return ENOSPC;
    case SQLITE_READONLY: return rc == SQLITE_READONLY_DBMOVED ? 0 : EROFS;
    case SQLITE_CANTOPEN: return sys != 0 ? sys : EACCES;
    case SQLITE_IOERR: return sys == ENOSPC || sys == EDQUOT ? sys : rc == SQLITE_IOERR_SHMSIZE ? ENOSPC : 0;
    default: return 0;
  }
}

static const char moved_text[] = "the database was moved or deleted while it was written";

static const char *told(struct tm_sqlite_db *d, int rc) {
  int sys = sqlite3_system_errno(d->db);
  switch (rc & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return "the database is locked by another program";
    case SQLITE_FULL: return "no space left on the device, or the database has its largest size";
    case SQLITE_READONLY:
      return rc == SQLITE_READONLY_DBMOVED ? moved_text : "the database, or its folder, is read-only";
    case SQLITE_NOTADB: return "is no SQLite database; give another path";
    case SQLITE_CORRUPT: return "the database is damaged; put back a copy of it, see .recover of the program sqlite3";
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      if (sys == 0) sys = errno;  /* of a commit SQLite does not tell it */
      if (sys != 0) return strerror(sys);
      return sqlite3_errmsg(d->db);
    default: return sqlite3_errmsg(d->db);
  }
}

/* A call of SQLite's did not work. */
static enum tm_sqlite_did fault(struct tm_sqlite_db *d, int rc, struct tm_err *err) {
  const char *text = told(d, rc);
  int is_name = (rc & 0xFF) == SQLITE_NOTADB, is_disk = (rc & 0xFF) == SQLITE_IOERR;
  tm_err_set(err, 1, "sqlite", "%s%s %s%s%s", d->path, is_name ? "" : ":", is_disk ? "reading or writing it failed: " : "", text,
             is_disk ? "; look after the disk, then start again" : "");
  d->why = passing(d, rc);
  return d->why != 0 ? TM_SQLITE_AGAIN : TM_SQLITE_FAILED;
}

static enum tm_sqlite_did refuse(struct tm_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum tm_sqlite_did refuse(struct tm_err *err, const char *fmt, ...) {
  char text[sizeof err->detail];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  tm_err_set(err, REJECTED, "sqlite", "%s", text);
  return TM_SQLITE_FAILED;
}

static enum tm_sqlite_did run(struct tm_sqlite_db *d, const char *sql, struct tm_err *err) {
  errno = 0;
  int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? TM_SQLITE_DONE : fault(d, rc, err);
}

static void roll_back(struct tm_sqlite_db *d) {
  d->rows = -1;  /* a commit that failed may have taken place */
  if (d->db != NULL && !sqlite3_get_autocommit(d->db)) sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- texts of SQL ---- */

static int sql_put(struct tm_buf *sql, const char *text) { return tm_buf_put(sql, text, (int32_t)strlen(text)); }

/* A name in double quotes, with those in it twice. */
static int name_put(struct tm_buf *sql, const char *name, int32_t len) {
  int rc = sql_put(sql, "\"");
  for (int32_t i = 0; i < len && rc == 0; i++) rc = tm_buf_put(sql, name[i] == '"' ? "\"\"" : name + i, name[i] == '"' ? 2 : 1);
  return rc != 0 ? rc : sql_put(sql, "\"");
}

/* Is column i a part of the key? */
static int in_key(const struct tm_columns *c, int32_t i) {
  for (int32_t k = 0; c->keys != NULL && k < c->keys->n; k++)
    if (c->key_at[k] == i) return 1;
  return 0;
}

/* Columns, each between before and behind: which 0 all, 1 the key's, 2 the others. */
enum which { ALL, KEY, OTHERS };
static int32_t columns_put(struct tm_buf *sql, const struct tm_columns *c, enum which which, const char *before, const char *behind) {
  int32_t n = 0;
  for (int32_t k = 0; k < (which == KEY ? c->keys->n : c->names->n); k++) {
    int32_t i = which == KEY ? c->key_at[k] : k, len;
    if (which == OTHERS && in_key(c, i)) continue;
    const char *name = tm_csv_name(c->names, i, &len);
    if (n++ > 0) sql_put(sql, ",");
    sql_put(sql, before);
    name_put(sql, name, len);
    if (which == OTHERS) {
      sql_put(sql, "=excluded.");
      name_put(sql, name, len);
    }
    sql_put(sql, which == ALL && *behind != '\0' && !in_key(c, i) ? "" : behind);
  }
  return n;
}

static void table_put(struct tm_buf *sql, const struct tm_sqlite_db *d, const char *before, const char *behind) {
  sql_put(sql, before);
  name_put(sql, d->table, (int32_t)strlen(d->table));
  sql_put(sql, behind);
}

static void create_sql(struct tm_buf *sql, const struct tm_sqlite_db *d) {
  const struct tm_columns *c = d->columns;
  table_put(sql, d, "CREATE TABLE IF NOT EXISTS ", "(");
  columns_put(sql, c, ALL, "", " NOT NULL");
  if (c->keys != NULL) {
    sql_put(sql, ",PRIMARY KEY(");
    columns_put(sql, c, KEY, "", "");
    sql_put(sql, ")");
  }
  sql_put(sql, ")");
}

static void put_sql(struct tm_buf *sql, const struct tm_sqlite_db *d) {
  const struct tm_columns *c = d->columns;
  table_put(sql, d, "INSERT INTO ", "(");
  columns_put(sql, c, ALL, "", "");
  sql_put(sql, ") VALUES(");
  for (int32_t i = 0; i < c->names->n; i++) sql_put(sql, i > 0 ? ",?" : "?");
  sql_put(sql, ")");
  if (c->keys == NULL) return;
  sql_put(sql, " ON CONFLICT(");
  columns_put(sql, c, KEY, "", "");
  if (c->names->n == c->keys->n) {
    sql_put(sql, ") DO NOTHING");
    return;
  }
  sql_put(sql, ") DO UPDATE SET ");
  columns_put(sql, c, OTHERS, "", "");
}

static void take_sql(struct tm_buf *sql, const struct tm_sqlite_db *d) {
  table_put(sql, d, "DELETE FROM ", " WHERE ");
  for (int32_t k = 0; k < d->columns->keys->n; k++) {
    int32_t len;
    const char *name = tm_csv_name(d->columns->names, d->columns->key_at[k], &len);
    sql_put(sql, k > 0 ? " AND " : "");
    name_put(sql, name, len);
    sql_put(sql, "=?");
  }
}

static enum tm_sqlite_did prepare(struct tm_sqlite_db *d, void (*make)(struct tm_buf *, const struct tm_sqlite_db *), sqlite3_stmt **stmt,
                                  struct tm_err *err) {
  struct tm_buf sql;
  tm_buf_init(&sql, SQL_MAX);
  make(&sql, d);
  int rc = sqlite3_prepare_v3(d->db, sql.data, sql.len, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
  tm_buf_fini(&sql);
  if (rc == SQLITE_OK) return TM_SQLITE_DONE;
  if (rc == SQLITE_ERROR && strstr(sqlite3_errmsg(d->db), "ON CONFLICT") != NULL)
    return refuse(err, "%s: table '%s' has no primary key or unique index of exactly the fields of key; make one (CREATE UNIQUE "
                  "INDEX …), or give another key", d->path, d->table);
  if (passing(d, rc) != 0) return fault(d, rc, err);
  return refuse(err, "%s: table '%s': %s", d->path, d->table, sqlite3_errmsg(d->db));
}

/* The table, if it is not there, and the statements; within a transaction, columns known. */
static enum tm_sqlite_did prepare_all(struct tm_sqlite_db *d, struct tm_err *err) {
  sqlite3_stmt *create = NULL;
  enum tm_sqlite_did did = prepare(d, create_sql, &create, err);
  if (did == TM_SQLITE_DONE && sqlite3_step(create) != SQLITE_DONE) did = fault(d, sqlite3_errcode(d->db), err);
  sqlite3_finalize(create);
  if (did == TM_SQLITE_DONE) did = prepare(d, put_sql, &d->put, err);
  if (did == TM_SQLITE_DONE && d->columns->keys != NULL) did = prepare(d, take_sql, &d->take, err);
  return did;
}

static void statements_drop(struct tm_sqlite_db *d) {
  sqlite3_finalize(d->put);
  sqlite3_finalize(d->take);
  d->put = d->take = NULL;
}

/* ---- the token ---- */

static enum tm_sqlite_did token_bad(const struct tm_sqlite_db *d, struct tm_err *err) {
  return refuse(err, "%s: table 'tidemill_tokens' is not the one that sinks keep there: %s; rename it", d->path, sqlite3_errmsg(d->db));
}

/* What the token says: d->rows; -1 it is not this run's. */
static enum tm_sqlite_did token_read(struct tm_sqlite_db *d, struct tm_err *err) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(d->db, "SELECT run, rows FROM tidemill_tokens WHERE sink = ?", -1, &stmt, NULL);
  if (rc == SQLITE_ERROR) return token_bad(d, err);
  if (rc != SQLITE_OK) return fault(d, rc, err);
  sqlite3_bind_text(stmt, 1, d->sink, -1, SQLITE_STATIC);
  rc = sqlite3_step(stmt);
  d->rows = -1;
  if (rc == SQLITE_ROW) {
    const unsigned char *text = sqlite3_column_text(stmt, 0);
    if (text != NULL && strcmp((const char *)text, d->run) == 0) d->rows = sqlite3_column_int64(stmt, 1);
  }
  enum tm_sqlite_did did = rc == SQLITE_ROW || rc == SQLITE_DONE ? TM_SQLITE_DONE : fault(d, rc, err);
  sqlite3_finalize(stmt);
  return did;
}

static enum tm_sqlite_did token_lost(const struct tm_sqlite_db *d, struct tm_err *err) {
  return refuse(err, "%s: another run has written sink '%s' since, or the database was replaced: its table tidemill_tokens has no "
                "token of this run. Sinks that are written at a time have names of their own: name = '…'. Put back the database of this run, "
                "or begin anew", d->path, d->sink);
}

/* A run begins: 0 rows of it are there. */
static enum tm_sqlite_did token_begin(struct tm_sqlite_db *d, struct tm_err *err) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(d->db, "INSERT OR REPLACE INTO tidemill_tokens(sink, run, rows) VALUES(?, ?, 0)", -1, &stmt, NULL);
  if (rc == SQLITE_ERROR) return token_bad(d, err);
  if (rc != SQLITE_OK) return fault(d, rc, err);
  sqlite3_bind_text(stmt, 1, d->sink, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 2, d->run, -1, SQLITE_STATIC);
  rc = sqlite3_step(stmt);
  enum tm_sqlite_did did = rc == SQLITE_DONE ? TM_SQLITE_DONE : fault(d, rc, err);
  sqlite3_finalize(stmt);
  d->rows = 0;
  return did;
}

static enum tm_sqlite_did token_check(struct tm_sqlite_db *d, int64_t least, struct tm_err *err) {
  enum tm_sqlite_did did = token_read(d, err);
  if (did != TM_SQLITE_DONE) return did;
  if (d->rows < 0) return token_lost(d, err);
  if (d->rows >= least) return TM_SQLITE_DONE;
  return refuse(err, "%s: the database is older than the run that goes on: sink '%s' has %lld rows in it, and %lld are expected; %lld are "
                "missing. Put back the newer database, or begin anew", d->path, d->sink, (long long)d->rows, (long long)least,
                (long long)(least - d->rows));
}

/* Of a run that goes on rows were written, so the table was there. */
static enum tm_sqlite_did table_check(struct tm_sqlite_db *d, struct tm_err *err) {
  sqlite3_stmt *stmt;
  if (d->rows == 0) return TM_SQLITE_DONE;
  int rc = sqlite3_prepare_v2(d->db, "SELECT count(*) FROM pragma_table_info(?)", -1, &stmt, NULL);
  if (rc != SQLITE_OK) return fault(d, rc, err);
  sqlite3_bind_text(stmt, 1, d->table, -1, SQLITE_STATIC);
  rc = sqlite3_step(stmt);
  int has = rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) > 0;
  enum tm_sqlite_did did = rc == SQLITE_ROW ? TM_SQLITE_DONE : fault(d, rc, err);
  sqlite3_finalize(stmt);
  if (did != TM_SQLITE_DONE || has) return did;
  return refuse(err, "%s: table '%s' is gone, and %lld rows of this run with it. Put back the database, or begin anew", d->path, d->table,
                (long long)d->rows);
}

/* So many rows are there now; part of the transaction. */
static enum tm_sqlite_did token_move(struct tm_sqlite_db *d, int64_t rows, struct tm_err *err) {
  static const char sql[] = "UPDATE tidemill_tokens SET rows = ? WHERE sink = ? AND run = ? AND rows = ?";
  int rc = d->token != NULL ? SQLITE_OK : sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->token, NULL);
  if (rc == SQLITE_ERROR) return token_bad(d, err);
  if (rc != SQLITE_OK) return fault(d, rc, err);
  sqlite3_bind_int64(d->token, 1, rows);
  sqlite3_bind_text(d->token, 2, d->sink, -1, SQLITE_STATIC);
  sqlite3_bind_text(d->token, 3, d->run, -1, SQLITE_STATIC);
  sqlite3_bind_int64(d->token, 4, d->rows);
  rc = sqlite3_step(d->token);
  sqlite3_reset(d->token);
  if (rc != SQLITE_DONE) return fault(d, rc, err);
  return sqlite3_changes(d->db) == 1 ? TM_SQLITE_DONE : token_lost(d, err);
}

/* ---- opening ---- */

/* The table's columns into `names`, none if there is no such table. */
static enum tm_sqlite_did table_columns(struct tm_sqlite_db *d, struct tm_csv_names *names, struct tm_err *err) {
  sqlite3_stmt *stmt;
  int rc = sqlite3_prepare_v2(d->db, "SELECT name FROM pragma_table_info(?)", -1, &stmt, NULL);
  if (rc != SQLITE_OK) return fault(d, rc, err);
  sqlite3_bind_text(stmt, 1, d->table, -1, SQLITE_STATIC);
  names->n = 0;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    if (name != NULL) tm_csv_names_add(names, name, sqlite3_column_bytes(stmt, 0));
  }
  enum tm_sqlite_did did = rc == SQLITE_DONE ? TM_SQLITE_DONE : fault(d, rc, err);
  sqlite3_finalize(stmt);
  return did;
}

static int32_t find_alike(const struct tm_csv_names *names, const char *name, int32_t len) {
  for (int32_t i = 0; i < names->n; i++) {
    int32_t has;
    const char *other = tm_csv_name(names, i, &has);
    if (has == len && sqlite3_strnicmp(name, other, len) == 0) return i;
  }
  return -1;
}

/* Adds the columns wished for to `names`; has: the table's, of which they must be. */
static enum tm_sqlite_did wish_put(const struct tm_sqlite_db *d, const struct tm_sqlite_wish *wish, const struct tm_csv_names *has,
                                   struct tm_csv_names *names, struct tm_err *err) {
  for (int32_t i = 0; i < wish->columns->n; i++) {
    int32_t len;
    const char *name = tm_csv_name(wish->columns, i, &len);
    /* select named it for what the row is to its key */
    int is_op = !wish->named && d->columns->keys != NULL && len == 2 && memcmp(name, "op", 2) == 0;
    if (has->n > 0 && find_alike(has, name, len) < 0) {
      if (is_op) continue;
      char all[256] = "";
      for (int32_t k = 0, at = 0; k < has->n && at < (int32_t)sizeof all - 80; k++) {
        int32_t n;
        const char *other = tm_csv_name(has, k, &n);
        at += snprintf(all + at, sizeof all - (size_t)at, "%s%.*s", k > 0 ? ", " : "", n < 60 ? n : 60, other);
      }
      return refuse(err, "%s: table '%s' has no column '%.*s'; it has %s", d->path, d->table, len, name, all);
    }
    if (!is_op && names != NULL) tm_csv_names_add(names, name, len);
  }
  return TM_SQLITE_DONE;
}

/* Which columns rows have. */
static enum tm_sqlite_did columns_find(struct tm_sqlite_db *d, const struct tm_sqlite_wish *wish, struct tm_err *err) {
  struct tm_columns *c = d->columns;
  struct tm_csv_names *has = calloc(1, sizeof *has);
  int32_t missing = 0, len;
  if (has == NULL) return refuse(err, "%s: no memory for columns", d->path);
  enum tm_sqlite_did did = table_columns(d, has, err);
  c->names->n = 0;
  if (did == TM_SQLITE_DONE && wish->columns != NULL)
    did = wish_put(d, wish, has, wish->named || has->n == 0 ? c->names : NULL, err);
  if (did == TM_SQLITE_DONE && c->names->n == 0) memcpy(c->names, has, sizeof *has);
  free(has);
  if (did != TM_SQLITE_DONE) return did;
  c->given = c->names->n > 0;
  if (!c->given || tm_columns_set(c, &missing) == 0) return TM_SQLITE_DONE;
  const char *key = tm_csv_name(c->keys, missing, &len);
  return refuse(err, "%s: table '%s': the key's field '%.*s' is none of its columns", d->path, d->table, len, key);
}

static int has_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char *dir = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
  int has = dir != NULL && access(dir, X_OK) == 0;
  free(dir);
  return has;
}

static enum tm_sqlite_did connect_to(struct tm_sqlite_db *d, int busy_ms, struct tm_err *err) {
  int rc = sqlite3_open_v2(d->path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (d->db == NULL) return refuse(err, "%s: no memory to open it", d->path);
  if (rc != SQLITE_OK) {
    int sys = sqlite3_system_errno(d->db);
    enum tm_sqlite_did did = fault(d, rc, err);
    if (sys == ENOENT && !has_folder(d->path)) refuse(err, "%s: cannot be opened: %s; make its folder first", d->path, strerror(sys));
    else if (sys == ENOENT) refuse(err, "%s: is not there, and cannot be made; look after the disk", d->path);
    else if (sys == EISDIR) refuse(err, "%s: is a folder; give the path of a database", d->path);
    return did;
  }
  sqlite3_extended_result_codes(d->db, 1);
  sqlite3_busy_timeout(d->db, busy_ms);
  if (sqlite3_db_readonly(d->db, "main") == 1) return refuse(err, "%s: cannot be written: %s", d->path, strerror(EACCES));
  return run(d, "PRAGMA synchronous = EXTRA", err);
}

/* A database that this run makes lets others read while it writes; one that is there stays as it was made. */
static enum tm_sqlite_did mode_set(struct tm_sqlite_db *d, struct tm_err *err) {
  sqlite3_stmt *stmt;
  int64_t pages = 1;
  int rc = sqlite3_prepare_v2(d->db, "PRAGMA page_count", -1, &stmt, NULL);
  if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) pages = sqlite3_column_int64(stmt, 0);
  enum tm_sqlite_did did = rc == SQLITE_ROW ? TM_SQLITE_DONE : fault(d, rc, err);
  sqlite3_finalize(stmt);
  if (did != TM_SQLITE_DONE || pages > 0) return did;
  return run(d, "PRAGMA journal_mode = WAL", err);
}

enum tm_sqlite_did tm_sqlite_db_open(struct tm_sqlite_db *d, const struct tm_sqlite_wish *wish, int64_t least, int busy_ms,
                                     struct tm_err *err) {
  enum tm_sqlite_did did = connect_to(d, busy_ms, err);
  if (did == TM_SQLITE_DONE) did = mode_set(d, err);
  if (did == TM_SQLITE_DONE) did = run(d, "BEGIN IMMEDIATE", err);
  if (did == TM_SQLITE_DONE) did = run(d, tokens_sql, err);
  if (did == TM_SQLITE_DONE) did = least < 0 ? token_begin(d, err) : token_check(d, least, err);
  if (did == TM_SQLITE_DONE && least >= 0) did = table_check(d, err);
  if (did == TM_SQLITE_DONE && wish != NULL) did = columns_find(d, wish, err);
  if (did == TM_SQLITE_DONE && d->columns->given) did = prepare_all(d, err);
  if (did == TM_SQLITE_DONE) did = run(d, "COMMIT", err);
  if (did != TM_SQLITE_DONE) tm_sqlite_db_close(d);
  else sqlite3_busy_timeout(d->db, TM_SQLITE_BUSY_MS);
  return did;
}

void tm_sqlite_db_close(struct tm_sqlite_db *d) {
  roll_back(d);
  statements_drop(d);
  sqlite3_finalize(d->token);
  sqlite3_close(d->db);
  tm_sqlite_row_fini(&d->row);
  d->token = NULL;
  d->db = NULL;
}

/* ---- rows ---- */

static enum tm_sqlite_did row_bad(struct tm_sqlite_db *d, int rc, int64_t number, const char *text, int32_t len, struct tm_err *err) {
  if (passing(d, rc) != 0 || (rc & 0xFF) == SQLITE_IOERR || (rc & 0xFF) == SQLITE_CORRUPT) return fault(d, rc, err);
  tm_err_set(err, 1, "sqlite-row", "%s: table '%s' does not take row %lld of this run: %s; the row: %.*s%s. The rows before it are written "
             "up to row %lld", d->path, d->table, (long long)number + 1, sqlite3_errmsg(d->db), len < ROW_SHOWN ? len : ROW_SHOWN, text,
             len > ROW_SHOWN ? "…" : "", (long long)d->rows);
  return TM_SQLITE_FAILED;
}

static enum tm_sqlite_did apply_row(struct tm_sqlite_db *d, const char *text, int32_t len, int64_t number, struct tm_err *err) {
  const struct tm_columns *c = d->columns;
  int op = tm_sqlite_row_read(&d->row, c, text, len), rc = op < 0 ? SQLITE_NOMEM : SQLITE_OK;
  sqlite3_stmt *stmt = op == TM_COLUMNS_TAKE ? d->take : d->put;
  int32_t n = stmt == d->put ? c->names->n : c->keys->n;
  for (int32_t i = 0; i < n && rc == SQLITE_OK; i++)
    rc = tm_sqlite_row_bind(&d->row, stmt, i + 1, text, stmt == d->put ? i : c->key_at[i]);
  if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
  if (rc == SQLITE_DONE) {
    sqlite3_reset(stmt);
    return TM_SQLITE_DONE;
  }
  enum tm_sqlite_did did = row_bad(d, rc, number, text, len, err);
  sqlite3_reset(stmt);
  return did;
}

/* The rows of a transaction that is begun. */
static enum tm_sqlite_did apply_rows(struct tm_sqlite_db *d, const char *text, int32_t len, int64_t first, int64_t upto, int64_t *now,
                                     struct tm_err *err) {
  const char *end = text + len;
  int64_t number = first;
  enum tm_sqlite_did did = TM_SQLITE_DONE;
  if (d->rows < 0) {
    if ((did = token_read(d, err)) != TM_SQLITE_DONE) return did;
    if (d->rows < 0) return token_lost(d, err);
  }
  if (d->put == NULL && (did = prepare_all(d, err)) != TM_SQLITE_DONE) return did;
  for (; text < end && number < upto && did == TM_SQLITE_DONE; number++) {
    const char *next = memchr(text, '\n', (size_t)(end - text));
    if (number >= d->rows) did = apply_row(d, text, (int32_t)(next - text), number, err);
    text = next + 1;
  }
  *now = number > d->rows ? number : d->rows;
  return did != TM_SQLITE_DONE || *now == d->rows ? did : token_move(d, number, err);
}

enum tm_sqlite_did tm_sqlite_db_apply(struct tm_sqlite_db *d, const char *text, int32_t len, int64_t first, int64_t upto,
                                      struct tm_err *err) {
  int64_t now = 0;
  if (d->rows >= upto) return TM_SQLITE_DONE;  /* all of them are there */
  enum tm_sqlite_did did = run(d, "BEGIN IMMEDIATE", err);
  int moved = 0;
  if (did == TM_SQLITE_DONE && sqlite3_file_control(d->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
    did = refuse(err, "%s: %s", d->path, moved_text);  /* with a log beside it SQLite would go on */
  if (did == TM_SQLITE_DONE) did = apply_rows(d, text, len, first, upto, &now, err);
  if (did == TM_SQLITE_DONE) did = run(d, "COMMIT", err);
  if (did == TM_SQLITE_DONE) {
    d->rows = now;
    return did;
  }
  roll_back(d);
  statements_drop(d);  /* of a table that was made in what has been taken back */
  return did;
}
