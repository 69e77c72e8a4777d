/* csv_names.c - the names of columns (struct tm_csv_names of csv.h): adding, comparing, finding, and what is no set of columns.
 *
 * Whether a name is there twice is asked of up to 16,384 of them, hence a table of hashes for that moment. Everything else
 * is asked in the order of the columns nearly always. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/err.h"
#include "csv.h"

int32_t tm_csv_names_add(struct tm_csv_names *n, const char *name, int32_t len) {
  int32_t from = n->n == 0 ? 0 : n->ends[n->n - 1];
  if (n->n == TM_CSV_COLUMNS_MAX || len > TM_CSV_NAMES_BYTES - from) return -1;
  if (len > 0) memcpy(n->text + from, name, (size_t)len);
  n->ends[n->n] = from + len;
  n->n++;
  return 0;
}

int32_t tm_csv_names_find(const struct tm_csv_names *n, const char *name, int32_t len, int32_t hint) {
  for (int32_t k = 0; k < n->n; k++) {
    int32_t i = hint + k < n->n ? hint + k : hint + k - n->n, has;
    const char *text = tm_csv_name(n, i, &has);
    if (has == len && memcmp(text, name, (size_t)len) == 0) return i;
  }
  return -1;
}

int tm_csv_names_equal(const struct tm_csv_names *a, const struct tm_csv_names *b) {
  if (a == b) return 1;
  if (a->n != b->n || memcmp(a->ends, b->ends, (size_t)a->n * sizeof *a->ends) != 0) return 0;
  return a->n == 0 || memcmp(a->text, b->text, (size_t)a->ends[a->n - 1]) == 0;
}

/* FNV-1a; of names out of a file that somebody else wrote: the slots are twice the names, and the longest search is bounded by
 * the number of columns. */
static uint32_t hash(const char *s, int32_t len) {
  uint64_t h = 0xCBF29CE484222325u;
  for (int32_t i = 0; i < len; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001B3u;
  return (uint32_t)(h ^ h >> 32);
}

/* The first column whose name an earlier one has: *earlier; -1 there is none. */
static int32_t find_twice(const struct tm_csv_names *n, int32_t *earlier) {
  enum { SLOTS = 2 * TM_CSV_COLUMNS_MAX };
  int32_t *slots = calloc(SLOTS, sizeof *slots);
  int32_t found = -1;
  TM_ASSERT(slots != NULL);
  for (int32_t i = 0; i < n->n && found < 0; i++) {
    int32_t len, has;
    const char *name = tm_csv_name(n, i, &len);
    uint32_t at = hash(name, len) % SLOTS;
    for (; slots[at] != 0 && found < 0; at = (at + 1) % SLOTS) {
      const char *other = tm_csv_name(n, slots[at] - 1, &has);
      if (has != len || memcmp(name, other, (size_t)len) != 0) continue;
      *earlier = slots[at] - 1;
      found = i;
    }
    slots[at] = i + 1;
  }
  free(slots);
  return found;
}

int tm_csv_names_fault(const struct tm_csv_names *n, char *why, int32_t why_size) {
  int32_t len, earlier = 0;
  for (int32_t i = 0; i < n->n; i++) {
    tm_csv_name(n, i, &len);
    if (len > 0) continue;
    snprintf(why, (size_t)why_size, "column %d has no name", i + 1);
    return 1;
  }
  int32_t twice = find_twice(n, &earlier);
  if (twice < 0) return 0;
  const char *name = tm_csv_name(n, twice, &len);
  snprintf(why, (size_t)why_size, "columns %d and %d are both called '%.*s'", earlier + 1, twice + 1, len < 80 ? len : 80, name);
  return 1;
}

const struct tm_csv_names *tm_csv_names_line(void) {
  static struct tm_csv_names names;
  if (names.n == 0) tm_csv_names_add(&names, "line", 4);
  return &names;
}

void tm_csv_names_keep(const struct tm_csv_names *n, struct tm_keeper *k) {
  if (n == NULL) return;
  tm_keep(k, &n->n, sizeof n->n);
  tm_keep(k, n->ends, (size_t)n->n * sizeof n->ends[0]);
  if (n->n > 0) tm_keep(k, n->text, (size_t)n->ends[n->n - 1]);
}
