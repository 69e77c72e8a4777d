/* key.h - keys as canonical bytes: equal keys have equal bytes, and each part tells its type and where it ends.
 *
 *   00 nil   01 false   02 true
 *   03       an integer beyond 2^53: a string of its digits follows
 *   08+n     integer of n little-endian bytes (0 to 7), zero is n = 0
 *   10+n     the same, negative
 *   18       any other number: 8 bytes of a double
 *   19       string of 2 bytes length (little-endian) and that many bytes
 *   80+n     string of n bytes (0 to 127)
 *
 * Integers up to 2^53 have this one form whether they were written 1, 1.0 or 1e0. A string's bytes are taken as they
 * are. Builders append to struct tm_key and leave it as it was when they fail. */
#ifndef TM_STATE_KEY_H
#define TM_STATE_KEY_H

#include "../abi_c.h"

enum { TM_KEY_PARTS_MAX = 16, TM_KEY_NUMBER_MAX = 9, TM_KEY_SHORT = 128, TM_KEY_SHORT_MAX = 127 };

/* Is the part at key a short string? Its length is *n. */
static inline int tm_key_short(const char *key, uint32_t *n) {
  *n = (unsigned char)key[0] & 127u;
  return ((unsigned char)key[0] & 128u) != 0;
}

/* One number as a part, at most TM_KEY_NUMBER_MAX bytes; 0 for NaN. */
int32_t tm_key_number_put(char *out, double v);
/* The cell of a row as a part: 0 or a code, k as it was. */
int tm_key_cell_put(struct tm_key *k, const struct tm_batch *b, const struct tm_cell *c);
/* All columns of a row as parts: the same. */
int tm_key_row_put(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row);

#endif
