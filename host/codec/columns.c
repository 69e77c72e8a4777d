/* columns.c - do rows of JSON fit a table's columns (columns.h)? */
#include "columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "json_walk.h"

enum fault { FITS, NO_COLUMN, NO_FIELDS, TOO_MANY, TWICE, HAS_NUL, NO_KEY, KEY_NESTED };
enum { DOES_NOT_FIT = -3 };

struct tm_columns *tm_columns_new(struct tm_csv_names *names, const struct tm_csv_names *keys, int given) {
  struct tm_columns *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->names = names;
  c->keys = keys;
  c->given = given;
  tm_buf_init(&c->scratch, INT32_MAX - TM_PAD);
  if (names->n > 0) tm_columns_set(c, NULL);
  return c;
}

void tm_columns_free(struct tm_columns *c) {
  if (c != NULL) tm_buf_fini(&c->scratch);
  free(c);
}

static int32_t refuse(struct tm_columns *c, enum fault fault, const char *name, int32_t len) {
  c->fault = (int)fault;
  snprintf(c->name, sizeof c->name, "%.*s", len, name);
  return DOES_NOT_FIT;
}

int tm_columns_set(struct tm_columns *c, int32_t *key) {
  for (int32_t k = 0; c->keys != NULL && k < c->keys->n; k++) {
    int32_t len;
    const char *name = tm_csv_name(c->keys, k, &len);
    c->key_at[k] = tm_columns_find(c, name, len, 0);
    if (c->key_at[k] >= 0) continue;
    if (key != NULL) *key = k;
    return -1;
  }
  return 0;
}

int tm_columns_op(const struct tm_columns *c, const char *name, int32_t name_len, int kind, const char *value, int32_t value_len) {
  if (c->keys == NULL || name_len != 2 || memcmp(name, "op", 2) != 0 || kind != TM_KIND_STRING || value_len != 1) return -1;
  return *value == '+' ? TM_COLUMNS_PUT : *value == '-' ? TM_COLUMNS_TAKE : -1;
}

/* The name of a member, unescaped. */
static const char *member_name(struct tm_columns *c, const char *text, const struct tm_cell *key, int32_t *len) {
  *len = tm_cell_len(key);
  if (tm_cell_kind(key) != TM_KIND_ESCAPED) return text + key->off;
  c->scratch.len = 0;
  if (tm_ffi_json_unescape(text + key->off, *len, &c->scratch) != 0) return NULL;
  *len = c->scratch.len;
  return c->scratch.data;
}

/* Names that differ in the case of ASCII letters only are one column to SQLite. */
static int has_alike(const struct tm_csv_names *n, const char *name, int32_t len) {
  for (int32_t i = 0; i < n->n; i++) {
    int32_t has;
    const char *other = tm_csv_name(n, i, &has);
    if (has == len && strncasecmp(name, other, (size_t)len) == 0) return 1;
  }
  return 0;
}

static int32_t columns_of(struct tm_columns *c, const char *text, int32_t len) {
  struct tm_json_members members;
  struct tm_cell key, cell;
  int32_t missing = 0;
  c->names->n = 0;
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &cell)) {
    int32_t n;
    const char *name = member_name(c, text, &key, &n);
    if (name == NULL) return -1;
    if (tm_columns_op(c, name, n, tm_cell_kind(&cell), text + cell.off, tm_cell_len(&cell)) >= 0) continue;
    if (memchr(name, '\0', (size_t)n) != NULL) return refuse(c, HAS_NUL, name, n);
    if (tm_csv_names_find(c->names, name, n, 0) >= 0) continue;
    if (has_alike(c->names, name, n)) return refuse(c, TWICE, name, n);
    if (c->names->n == TM_COLUMNS_MAX || tm_csv_names_add(c->names, name, n) != 0) return refuse(c, TOO_MANY, "", 0);
  }
  if (c->names->n == 0) return refuse(c, NO_FIELDS, "", 0);
  if (tm_columns_set(c, &missing) == 0) return 0;
  const char *name = tm_csv_name(c->keys, missing, &len);
  return refuse(c, NO_KEY, name, len);
}

/* The key's values are there. seen: a bit for each part of the key that is. */
static int32_t check_key(struct tm_columns *c, uint32_t seen) {
  for (int32_t k = 0; c->keys != NULL && k < c->keys->n; k++) {
    int32_t len;
    if ((seen >> k & 1) != 0) continue;
    const char *name = tm_csv_name(c->keys, k, &len);
    return refuse(c, NO_KEY, name, len);
  }
  return 0;
}

static int32_t check_members(struct tm_columns *c, const char *text, int32_t len) {
  struct tm_json_members members;
  struct tm_cell key, cell;
  int32_t column = -1;
  uint32_t seen = 0;
  tm_json_members_init(&members, text, len);
  while (tm_json_members_next(&members, &key, &cell)) {
    int32_t n;
    int kind = tm_cell_kind(&cell);
    const char *name = member_name(c, text, &key, &n);
    if (name == NULL) return -1;
    int32_t found = tm_columns_find(c, name, n, column + 1);
    if (found < 0) {
      if (tm_columns_op(c, name, n, kind, text + cell.off, tm_cell_len(&cell)) < 0) return refuse(c, NO_COLUMN, name, n);
      continue;
    }
    column = found;
    for (int32_t k = 0; c->keys != NULL && k < c->keys->n; k++) {
      if (c->key_at[k] != column) continue;
      if (kind == TM_KIND_OBJECT || kind == TM_KIND_ARRAY) return refuse(c, KEY_NESTED, name, n);
      if (kind == TM_KIND_NULL) seen &= ~(1u << k);
      else seen |= 1u << k;
    }
  }
  return check_key(c, seen);
}

int32_t tm_columns_check(struct tm_columns *c, const char *text, int32_t len, int first) {
  if (!c->given && first) {
    int32_t rc = columns_of(c, text, len);
    if (rc != 0) return rc;
  }
  return check_members(c, text, len);
}

int32_t tm_columns_why(const struct tm_columns *c, struct tm_buf *why) {
  static const char *const told[] = {
      [FITS] = "", [NO_COLUMN] = "field '%s' is none of the columns ",
      [NO_FIELDS] = "the first row says the columns, and this one has no field; name them with columns = { … }%s",
      [TOO_MANY] = "the first row says the columns, and this one has more than 2000 fields, or too long names%s",
      [TWICE] = "the first row says the columns, and field '%s' differs from another one in case only, which is one column; rename it",
      [HAS_NUL] = "the first row says the columns, and the name of field '%s…' has a NUL in it; rename it",
      [NO_KEY] = "field '%s' belongs to the key, and is absent or null; such rows can be left out by :filter",
      [KEY_NESTED] = "field '%s' belongs to the key, and is an object or an array"};
  char text[400];
  int n = snprintf(text, sizeof text, told[c->fault], c->name);
  int32_t rc = tm_buf_put(why, text, n);
  for (int32_t i = 0; c->fault == NO_COLUMN && i < c->names->n && rc == 0; i++) {
    int32_t len;
    const char *name = tm_csv_name(c->names, i, &len);
    if (i > 0) rc = tm_buf_put(why, ",", 1);
    if (rc == 0 && i >= 20) return tm_buf_put(why, "…", 3);
    if (rc == 0) rc = tm_buf_put(why, name, len);
  }
  return rc;
}
