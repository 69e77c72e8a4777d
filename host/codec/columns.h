/* columns.h - which fields rows of JSON may have, where a sink stores them as columns of a table: asked as each row is made, so that
 * one that does not fit fails with its event, by name, and nothing of it is stored.
 *
 * Columns are given (by the script, or by the table that is there), or those of the first row. With a key, each row has it, and a row
 * may say what it is to its key: a field `op`, '+' or '-', which is no column of its own unless it is one of those given. */
#ifndef TM_CODEC_COLUMNS_H
#define TM_CODEC_COLUMNS_H

#include "csv.h"

enum { TM_COLUMNS_MAX = 2000, TM_COLUMNS_KEYS_MAX = 16 };   /* SQLite's own bound of a table it makes */

struct tm_columns {
  struct tm_csv_names *names;
  int given;                          /* 0: the first row of the out says them */
  const struct tm_csv_names *keys;    /* NULL: rows have none */
  int32_t key_at[TM_COLUMNS_KEYS_MAX];  /* the column of each, as soon as there are columns */
  /* the rest is columns.c's */
  struct tm_buf scratch;
  int fault;
  char name[100];                     /* of the field at fault */
};

/* What a row is to its key. */
enum tm_columns_op { TM_COLUMNS_PUT = 0, TM_COLUMNS_TAKE = 1 };

/* Heap. names, keys: borrowed; keys may be NULL. given: names holds the columns. NULL: no memory. */
struct tm_columns *tm_columns_new(struct tm_csv_names *names, const struct tm_csv_names *keys, int given);
void tm_columns_free(struct tm_columns *c);
/* The columns are these from now on; 0, or -1 a key is none of them: *key its number. */
int tm_columns_set(struct tm_columns *c, int32_t *key);
/* Looks at a row, JSON text with TM_PAD readable bytes behind it; first: it says the columns. 0, -1 no memory, -3 it does not fit
 * (tm_columns_why). */
int32_t tm_columns_check(struct tm_columns *c, const char *text, int32_t len, int first);
/* Why the last row did not fit: appends a sentence. 0, or -1. */
int32_t tm_columns_why(const struct tm_columns *c, struct tm_buf *why);
/* The column of a member of that name, looked for from `hint` on, or -1. */
static inline int32_t tm_columns_find(const struct tm_columns *c, const char *name, int32_t len, int32_t hint) {
  return tm_csv_names_find(c->names, name, len, hint < c->names->n ? hint : 0);
}
/* Is this member no column, but what the row is to its key? Gives TM_COLUMNS_PUT or _TAKE, else -1. */
int tm_columns_op(const struct tm_columns *c, const char *name, int32_t name_len, int kind, const char *value, int32_t value_len);

#endif
