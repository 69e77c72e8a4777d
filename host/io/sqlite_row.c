/* sqlite_row.c - a row of JSON as values of SQLite (sqlite_db.h). */
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../codec/json_walk.h"
#include "sqlite_db.h"

enum {
  NUMBER_MAX = 400,       /* bytes of a number that is looked at; the longest a double's own text needs are fewer */
  DIGITS_MAX = 17         /* that may be a double's */
};

/* ---- numbers ---- */

/* Significant digits of a number's text, and the power of ten of the last one. */
struct digits {
  char text[DIGITS_MAX + 1];
  int n;                  /* DIGITS_MAX + 1: more than that */
  long power;
};

static void digits_of(const char *p, struct digits *d) {
  long behind = 0, zeros = 0;
  int point = 0;
  d->n = 0;
  for (p += *p == '-'; *p != '\0' && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      point = 1;
      continue;
    }
    behind += point;
    if (*p == '0') {
      zeros += d->n > 0;  /* those in front say nothing, those at the end only where the point is */
      continue;
    }
    for (; zeros > 0 && d->n <= DIGITS_MAX; zeros--) d->text[d->n < DIGITS_MAX ? d->n : DIGITS_MAX] = '0', d->n++;
    if (d->n <= DIGITS_MAX) d->text[d->n < DIGITS_MAX ? d->n : DIGITS_MAX] = *p, d->n++;
    zeros = 0;
  }
  d->power = zeros - behind + (*p != '\0' ? strtol(p + 1, NULL, 10) : 0);
}

/* Does the double, written with as many digits as the text has, say the same? */
static int is_told(const struct digits *want, double r) {
  char text[64];
  struct digits got;
  if (want->n == 0) return 1;
  if (want->n > DIGITS_MAX || !isfinite(r)) return 0;
  snprintf(text, sizeof text, "%.*e", want->n - 1, r);
  digits_of(text, &got);
  return got.n == want->n && got.power == want->power && memcmp(got.text, want->text, (size_t)got.n) == 0;
}

int tm_sqlite_number(const char *text, int32_t len, int64_t *i, double *r) {
  char copy[NUMBER_MAX + 1];
  struct digits d;
  if (len > NUMBER_MAX) return 't';
  memcpy(copy, text, (size_t)len);
  copy[len] = '\0';
  if (strcspn(copy, ".eE") == (size_t)len) {
    errno = 0;
    *i = strtoll(copy, NULL, 10);
    if (errno == 0) return 'i';
  }
  *r = strtod(copy, NULL);
  digits_of(copy, &d);
  return is_told(&d, *r) ? 'r' : 't';
}

/* ---- rows ---- */

int tm_sqlite_row_read(struct tm_sqlite_row *r, const struct tm_columns *c, const char *text, int32_t len) {
  struct tm_json_members members;
  struct tm_cell key, cell;
  int32_t column = -1;
  int op = TM_COLUMNS_PUT;
  if (r->cap < c->names->n) {
    struct tm_cell *cells = realloc(r->cells, (size_t)c->names->n * sizeof *cells);
    if (cells == NULL) return -1;
    r->cells = cells;
    r->cap = c->names->n;
  }
  memset(r->cells, 0, (size_t)c->names->n * sizeof *r->cells);
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &cell)) {
    const char *name = text + key.off;
    int32_t n = tm_cell_len(&key);
    if (tm_cell_kind(&key) == TM_KIND_ESCAPED) {
      if (r->scratch.cap_max == 0) tm_buf_init(&r->scratch, INT32_MAX - TM_PAD);
      r->scratch.len = 0;
      if (tm_ffi_json_unescape(name, n, &r->scratch) != 0) return -1;
      name = r->scratch.data;
      n = r->scratch.len;
    }
    int32_t found = tm_columns_find(c, name, n, column + 1);
    if (found >= 0) {
      column = found;
      r->cells[column] = cell;
      continue;
    }
    int is = tm_columns_op(c, name, n, tm_cell_kind(&cell), text + cell.off, tm_cell_len(&cell));
    if (is >= 0) op = is;
  }
  return op;
}

static int bind_escaped(struct tm_sqlite_row *r, sqlite3_stmt *stmt, int at, const char *text, int32_t len) {
  if (r->scratch.cap_max == 0) tm_buf_init(&r->scratch, INT32_MAX - TM_PAD);
  r->scratch.len = 0;
  if (tm_ffi_json_unescape(text, len, &r->scratch) != 0) return SQLITE_NOMEM;
  return sqlite3_bind_text(stmt, at, r->scratch.data, r->scratch.len, SQLITE_TRANSIENT);
}

int tm_sqlite_row_bind(struct tm_sqlite_row *r, sqlite3_stmt *stmt, int at, const char *text, int32_t column) {
  const struct tm_cell *c = &r->cells[column];
  const char *p = text + c->off;
  int32_t len = tm_cell_len(c);
  int64_t i = 0;
  double real = 0;
  switch (tm_cell_kind(c)) {
    case TM_KIND_ABSENT:
    case TM_KIND_NULL: return sqlite3_bind_null(stmt, at);
    case TM_KIND_FALSE: return sqlite3_bind_int(stmt, at, 0);
    case TM_KIND_TRUE: return sqlite3_bind_int(stmt, at, 1);
    case TM_KIND_ESCAPED: return bind_escaped(r, stmt, at, p, len);
    case TM_KIND_NUMBER:
      switch (tm_sqlite_number(p, len, &i, &real)) {
        case 'i': return sqlite3_bind_int64(stmt, at, i);
        case 'r': return sqlite3_bind_double(stmt, at, real);
        default: break;
      }
      break;
    default: break;
  }
  /* an empty text must not be a NULL pointer, which would be NULL; len 0 with a pointer is '' */
  return sqlite3_bind_text(stmt, at, p, len, SQLITE_STATIC);
}

void tm_sqlite_row_fini(struct tm_sqlite_row *r) {
  free(r->cells);
  if (r->scratch.cap_max != 0) tm_buf_fini(&r->scratch);
  memset(r, 0, sizeof *r);
}
