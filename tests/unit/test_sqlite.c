/* test_sqlite.c - the parts of an SQLite sink that no run of the program shows alone: which numbers are INTEGER, REAL and TEXT; which
 * rows fit columns; taking rows, killed at every instruction; a run that goes on in a later process, at, before and behind its
 * token; rows that wait for an epoch. SQLite itself, through a connection of the test's own, says what is in a database. */
#include "../../host/io/sqlite.h"

#include <math.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdint.h>
#include <unistd.h>

#include "../../host/base/buf.h"
#include "../../host/io/sqlite_db.h"
#include "step.h"
#include "unit.h"

static char folder[] = "/tmp/tidemill-sqlite.XXXXXX";

/* ---- numbers ---- */

static void number_is(const char *text, int kind) {
  char padded[2048] = "";
  int64_t i = 0;
  double r = 0;
  snprintf(padded, sizeof padded, "%s", text);
  int got = tm_sqlite_number(padded, (int32_t)strlen(text), &i, &r);
  CHECK(got == kind, "%s: %c, expected %c", text, got, kind);
  if (got == 'i') CHECK(strtoll(text, NULL, 10) == i, "%s: %lld", text, (long long)i);
  if (got == 'r') CHECK(memcmp(&r, &(double){strtod(text, NULL)}, sizeof r) == 0, "%s: %.17g", text, r);
}

static uint64_t lot_state = 88172645463325252u;
static uint64_t lot(void) {
  lot_state ^= lot_state << 13;
  lot_state ^= lot_state >> 7;
  lot_state ^= lot_state << 17;
  return lot_state;
}

static void numbers(void) {
  static const struct { const char *text; int kind; } list[] = {
      {"0", 'i'}, {"-0", 'i'}, {"1", 'i'}, {"-1", 'i'}, {"9223372036854775807", 'i'}, {"-9223372036854775808", 'i'},
      {"9223372036854775808", 't'}, {"-9223372036854775809", 't'}, {"18446744073709551615", 't'}, {"10000000000000000000", 'r'},
      {"100000000000000000000000", 'r'}, {"0.0", 'r'}, {"-0.0", 'r'}, {"1.5", 'r'}, {"1e5", 'r'}, {"1E-5", 'r'}, {"2.5e+3", 'r'},
      {"0.1", 'r'}, {"0.10000000000000000000", 'r'}, {"0.30000000000000004", 'r'}, {"12345678901234567.89", 't'},
      {"1.7976931348623157e308", 'r'}, {"1e309", 't'}, {"-1e309", 't'}, {"5e-324", 'r'}, {"4.9406564584124654e-324", 'r'},
      {"1e-400", 't'}, {"0e-400", 'r'}, {"0.000", 'r'}, {"123456789.123456789123", 't'}, {"9007199254740993.0", 't'},
      {"9007199254740992.0", 'r'}, {"0.1000000000000000055511151231257827", 't'}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) number_is(list[i].text, list[i].kind);
  char text[600];
  for (int i = 0; i < 20000; i++) {
    /* 17 digits name each double, and 15 digits or fewer are named by one */
    uint64_t bits = lot();
    double r;
    memcpy(&r, &bits, sizeof r);
    if (!isfinite(r)) continue;
    snprintf(text, sizeof text, "%.16e", r);
    number_is(text, 'r');
    snprintf(text, sizeof text, "%.*e", (int)(lot() % 14), fabs(r) < 1e-290 ? 1 / 3.0 : r);
    number_is(text, 'r');
    /* an eighteenth digit that is not 0 is none of a double's shorter names */
    snprintf(text, sizeof text, "%.16e", r);
    char *e = strchr(text, 'e');
    char more[64];
    snprintf(more, sizeof more, "%.*s%c%s", (int)(e - text), text, (char)('1' + lot() % 9), e);
    number_is(more, 't');
  }
  memset(text, '7', 500);
  text[500] = '\0';
  number_is(text, 't');
}

/* ---- columns ---- */

static struct tm_csv_names *names_new(const char *list) {
  struct tm_csv_names *n = calloc(1, sizeof *n);
  for (const char *p = list; *p != '\0'; p += strcspn(p, ","), p += *p == ',') tm_csv_names_add(n, p, (int32_t)strcspn(p, ","));
  return n;
}

static void fits(struct tm_columns *c, const char *row, int first, const char *why) {
  char padded[256 + TM_PAD] = "";
  struct tm_buf said;
  snprintf(padded, 256, "%s", row);
  tm_buf_init(&said, 4096);
  int32_t rc = tm_columns_check(c, padded, (int32_t)strlen(row), first);
  if (rc != 0) tm_columns_why(c, &said);
  tm_buf_put(&said, "", 1);
  CHECK(rc == (why == NULL ? 0 : -3), "%s: %d %s", row, rc, said.data);
  if (why != NULL) CHECK(strstr(said.data, why) != NULL, "%s: %s", row, said.data);
  tm_buf_fini(&said);
}

static void columns(void) {
  struct tm_csv_names *names = names_new(""), *keys = names_new("id");
  struct tm_columns *c = tm_columns_new(names, NULL, 0);
  fits(c, "{}", 1, "has no field");
  fits(c, "{\"a\":1,\"B\":2,\"\\u0061\":3}", 1, NULL);
  CHECK(names->n == 2, "%d columns", names->n);
  fits(c, "{\"B\":[1]}", 0, NULL);
  fits(c, "{}", 0, NULL);
  fits(c, "{\"b\":1}", 0, "field 'b' is none of the columns a,B");
  fits(c, "{\"op\":\"-\"}", 0, "field 'op' is none of the columns a,B");
  fits(c, "{\"x\":1,\"X\":1}", 1, "field 'X' differs");
  tm_columns_free(c);
  c = tm_columns_new(names, keys, 0);
  fits(c, "{\"n\":1}", 1, "field 'id' belongs to the key");
  fits(c, "{\"n\":1,\"op\":\"+\",\"id\":1}", 1, NULL);
  CHECK(names->n == 2 && c->key_at[0] == 1, "%d columns, the key in %d", names->n, c->key_at[0]);
  fits(c, "{\"id\":1,\"op\":\"-\"}", 0, NULL);
  fits(c, "{\"id\":1,\"op\":\"*\"}", 0, "field 'op' is none of the columns n,id");
  fits(c, "{\"id\":1,\"id\":null}", 0, "is absent or null");
  fits(c, "{\"id\":null,\"id\":1}", 0, NULL);
  fits(c, "{\"id\":{}}", 0, "is an object or an array");
  tm_columns_free(c);
  names->n = 0;
  char text[32];
  for (int i = 0; i < TM_COLUMNS_MAX; i++) tm_csv_names_add(names, text, snprintf(text, sizeof text, "c%d", i));
  c = tm_columns_new(names, NULL, 1);
  fits(c, "{\"c1999\":1,\"c0\":1}", 0, NULL);
  tm_columns_free(c);
  free(names);
  free(keys);
}

/* ---- a sink, and the worker after it ---- */

enum { ROW_MAX = 4096 };
static struct tm_sqlite_memory mem;
static struct tm_undo *undo;
static int32_t *sent;

static void memory_new(void) {
  mem.state = step_memory(sizeof *mem.state);
  mem.names = step_memory(sizeof *mem.names);
  for (int i = 0; i < 2; i++) mem.texts[i] = step_memory(tm_sqlite_text_size(ROW_MAX));
  undo = step_memory(sizeof *undo);
  sent = step_memory(sizeof *sent);
}

/* A sink lives as long as its process, as its thread does. */
static struct tm_sqlite *sink_new(const char *path, int32_t batch) {
  static struct tm_sqlite *sinks[16];
  static int n;
  struct tm_sqlite_how how = {.table = "rows", .sink = "s", .columns = names_new("i"), .named = 1, .batch = batch};
  struct tm_err err = {0};
  struct tm_sqlite *q = tm_sqlite_new(path, &how, &mem, &tm_io_real, undo, &err);
  if (q == NULL || n == 16 || sinks[n] != NULL) abort();
  sinks[n++] = q;
  return q;
}

/* Rows {"i":from} .. {"i":to - 1}. */
static char *rows_new(int from, int to, int32_t *len) {
  char *text = calloc(1, (size_t)(to - from) * 24 + TM_PAD);
  *len = 0;
  for (int i = from; i < to; i++) *len += sprintf(text + *len, "{\"i\":%d}\n", i);
  return text;
}

static void wait_a_while(const struct tm_sqlite *q) {
  struct pollfd p = {.fd = tm_sqlite_fd(q), .events = POLLIN};
  poll(&p, 1, 100);
}

/* Hands over all; ends: waits until it is in the database, which is closed. 0, or -1 err. */
static int hand_over(struct tm_sqlite *q, int from, int to, int ends, struct tm_err *err) {
  int32_t len;
  int refused, rc = 0;
  char *text = rows_new(from, to, &len);
  *sent = 0;
  while (rc >= 0 && *sent < len) {
    if (tm_sqlite_take(q, text + *sent, len - *sent, sent) == 0) wait_a_while(q);
    rc = tm_sqlite_poll(q, 0, &refused, err);
  }
  for (int i = 0; i < 200 && rc >= 0 && ends && tm_sqlite_busy(q, 1); i++) {
    rc = tm_sqlite_poll(q, 1, &refused, err);
    if (rc == 0) wait_a_while(q);
  }
  free(text);
  return rc < 0 ? -1 : 0;
}

static int64_t ask(const char *path, const char *sql) {
  sqlite3 *db = NULL;
  sqlite3_stmt *stmt = NULL;
  int64_t v = -1;
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK && sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW)
    v = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return v;
}

static void path_of(char *path, const char *name) { sprintf(path, "%s/%s", folder, name); }

/* The rows 0..n-1 are there, each once. */
static void has(const char *path, int64_t n, const char *what) {
  CHECK(ask(path, "SELECT count(*) FROM rows") == n, "%s: %lld rows", what, (long long)ask(path, "SELECT count(*) FROM rows"));
  CHECK(ask(path, "SELECT count(DISTINCT i) FROM rows WHERE i >= 0") == n, "%s: rows twice", what);
  CHECK(ask(path, "SELECT rows FROM tidemill_tokens WHERE sink = 's'") == n, "%s: the token", what);
}

static void workers(void) {
  struct tm_err err = {0};
  char path[64];
  path_of(path, "workers.db");
  memory_new();
  struct tm_sqlite *q = sink_new(path, 7);
  CHECK(tm_sqlite_open(q, &err) == 0, "%s", err.detail);
  CHECK(hand_over(q, 0, 1000, 1, &err) == 0, "%s", err.detail);
  has(path, 1000, "one worker");
  CHECK(tm_sqlite_sink_position(q) == 1000 && tm_sqlite_sink_committed(q) == 1000, "position");
  /* one that died when the rows were in the database, and its blocks did not say so */
  mem.state->blocks[0] = (struct tm_sqlite_block){.first = 990, .rows = 10};
  int32_t len;
  char *text = rows_new(990, 1000, &len);
  memcpy(mem.texts[0] + TM_PAD, text, (size_t)len);
  free(text);
  mem.state->blocks[0].len = len;
  mem.state->committed = 985;
  q = sink_new(path, 7);
  CHECK(tm_sqlite_open(q, &err) == 0, "%s", err.detail);
  CHECK(hand_over(q, 1000, 1500, 1, &err) == 0, "%s", err.detail);
  has(path, 1500, "the worker after it");
}

/* A run that goes on at a position, in memory of its own. */
static struct tm_sqlite *later(const char *path, const char *run, int64_t position) {
  memory_new();
  snprintf(mem.state->run, sizeof mem.state->run, "%s", run);
  mem.state->taken = mem.state->committed = position;
  mem.state->opened = 1;
  struct tm_sqlite *q = sink_new(path, 100);
  tm_sqlite_sink_resume(q);
  return q;
}

static void processes(void) {
  struct tm_err err = {0};
  char path[64], run[TM_SQLITE_RUN + 1];
  path_of(path, "processes.db");
  memory_new();
  struct tm_sqlite *q = sink_new(path, 100);
  CHECK(tm_sqlite_open(q, &err) == 0, "%s", err.detail);
  snprintf(run, sizeof run, "%s", mem.state->run);
  CHECK(hand_over(q, 0, 500, 1, &err) == 0, "%s", err.detail);
  q = later(path, run, 300);
  CHECK(tm_sqlite_open(q, &err) == 0, "%s", err.detail);
  CHECK(tm_sqlite_sink_position(q) == 300, "position %lld", (long long)tm_sqlite_sink_position(q));
  CHECK(hand_over(q, 300, 800, 1, &err) == 0, "%s", err.detail);
  has(path, 800, "rows that come again are passed over");
  q = later(path, run, 800);
  CHECK(tm_sqlite_open(q, &err) == 0 && hand_over(q, 800, 900, 1, &err) == 0, "%s", err.detail);
  has(path, 900, "at the token");
  q = later(path, run, 950);
  CHECK(tm_sqlite_open(q, &err) == -1, "a token behind the position");
  CHECK(strstr(err.detail, "older than the run that goes on: sink 's' has 900 rows in it, and 950 are expected; 50 are missing") != NULL,
        "%s", err.detail);
  q = later(path, "00000000000000000000000000000000", 10);
  CHECK(tm_sqlite_open(q, &err) == -1 && strstr(err.detail, "another run has written sink 's' since") != NULL, "%s", err.detail);
  path_of(path, "new.db");
  q = later(path, run, 10);
  CHECK(tm_sqlite_open(q, &err) == -1 && strstr(err.detail, "or the database was replaced") != NULL, "%s", err.detail);
}

static void epochs(void) {
  struct tm_err err = {0};
  char path[64];
  int refused;
  path_of(path, "epochs.db");
  memory_new();
  struct tm_sqlite *q = sink_new(path, 10);
  tm_sqlite_sink_allow(q, 0);
  CHECK(tm_sqlite_open(q, &err) == 0, "%s", err.detail);
  CHECK(hand_over(q, 0, 15, 0, &err) == 0, "%s", err.detail);
  CHECK(tm_sqlite_busy(q, 0), "rows wait");
  for (int upto = 3; upto <= 15; upto += 3) {
    tm_sqlite_sink_allow(q, upto);
    for (int i = 0; i < 200 && tm_sqlite_sink_committed(q) < upto; i++) {
      wait_a_while(q);
      CHECK(tm_sqlite_poll(q, 0, &refused, &err) >= 0, "%s", err.detail);
    }
    has(path, upto, "as far as they may");
  }
  CHECK(!tm_sqlite_busy(q, 0), "nothing is left");
}

/* ---- killed at every instruction ---- */

static struct tm_sqlite *taker;
static char *taken_text;
static int32_t taken_len;
static long wrong, looks;

/* Three rows at a time. */
static void take_some(void) {
  int32_t left;
  while ((left = taken_len - *sent) > 0 && tm_sqlite_take(taker, taken_text + *sent, left < 30 ? left : 30, sent) > 0) continue;
}

/* What the next worker finds: the blocks hold just the rows that are said to be taken, in order. */
static void look_at_blocks(void) {
  const struct tm_sqlite_state *st = mem.state;
  int32_t at = 0, first = st->blocks[0].rows > 0 && (st->blocks[1].rows == 0 || st->blocks[0].first < st->blocks[1].first) ? 0 : 1;
  int64_t rows = 0;
  looks++;
  tm_undo_restore(undo);
  for (int k = 0; k < 2; k++) {
    const struct tm_sqlite_block *b = &st->blocks[k == 0 ? first : !first];
    if (b->rows == 0) continue;
    if (b->first != rows || at + b->len > *sent || memcmp(mem.texts[b - st->blocks] + TM_PAD, taken_text + at, (size_t)b->len) != 0) {
      wrong++;
      return;
    }
    at += b->len;
    rows += b->rows;
  }
  if (at != *sent || rows != st->taken) wrong++;
}

static void deaths(void) {
  struct step step = {.act = take_some, .look = look_at_blocks};
  memory_new();
  taker = sink_new("nowhere", 4);
  taken_text = rows_new(100, 110, &taken_len);   /* ten bytes each */
  step.areas[0] = (struct step_area){.at = mem.state, .size = sizeof *mem.state};
  step.areas[1] = (struct step_area){.at = &undo->used, .size = sizeof undo->used};
  step.areas[2] = (struct step_area){.at = undo->log, .size = 512};
  step.areas[3] = (struct step_area){.at = mem.texts[0] + TM_PAD, .size = 256};
  step.areas[4] = (struct step_area){.at = mem.texts[1] + TM_PAD, .size = 256};
  step.areas[5] = (struct step_area){.at = sent, .size = sizeof *sent};
  if (step_through(&step)) CHECK(looks > 30, "%ld states", looks);
  else printf("taking rows: nobody may be traced here\n");
  CHECK(wrong == 0, "of %ld states %ld could not be taken up", looks, wrong);
}

int main(void) {
  if (mkdtemp(folder) == NULL) abort();
  numbers();
  columns();
  deaths();
  workers();
  processes();
  epochs();
  char line[64];
  snprintf(line, sizeof line, "rm -rf %s", folder);
  CHECK(system(line) == 0, "the folder stays");
  return unit_end("sqlite");
}
