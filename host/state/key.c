/* key.c - building keys from Lua's values and from cells, and taking them apart.
 *
 * The way from a cell makes no Lua string: plain text is copied behind its tag, escaped text is unescaped into the key,
 * a number nobody has read yet is read here. Numbers beyond 2^53 that are written as integers keep their digits, as a
 * double would make different ones equal. */
#include "key.h"

#include <math.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../codec/json_scanner.h"
#include "../codec/json_walk.h"
#include "table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
  TAG_NIL = 0, TAG_FALSE = 1, TAG_TRUE = 2, TAG_DIGITS = 3, TAG_INT = 8, TAG_NEGATIVE = 16, TAG_DOUBLE = 24, TAG_STRING = 25,
  TAG_SHORT = TM_KEY_SHORT, SHORT_MAX = TM_KEY_SHORT_MAX
};

int32_t tm_key_number_put(char *out, double v) {
  double whole = v < 0 ? -v : v;
  if (whole <= 9007199254740992.0) {
    uint64_t u = (uint64_t)whole;
    if ((double)u == whole) {
      int32_t n = u == 0 ? 0 : (71 - __builtin_clzll(u)) / 8;
      out[0] = (char)((v < 0 ? TAG_NEGATIVE : TAG_INT) + n);
      for (int32_t i = 0; i < n; i++) out[1 + i] = (char)(u >> (8 * i));
      return 1 + n;
    }
  }
  if (v != v) return 0;
  out[0] = TAG_DOUBLE;
  memcpy(out + 1, &v, 8);
  return TM_KEY_NUMBER_MAX;
}

int32_t tm_ffi_key_string(struct tm_key *k, const char *s, int32_t len) {
  char *p = k->bytes + k->len;
  int32_t head = len <= SHORT_MAX ? 1 : 3;
  if (len > TM_KEY_MAX - head - k->len) return TM_STATE_TOO_LONG;
  if (head == 1) {
    p[0] = (char)(TAG_SHORT + len);
  } else {
    p[0] = TAG_STRING;
    p[1] = (char)len;
    p[2] = (char)(len >> 8);
  }
  if (len > 0) memcpy(p + head, s, (size_t)len);
  k->len += head + len;
  return 0;
}

int32_t tm_ffi_key_number(struct tm_key *k, double v) {
  if (k->len > TM_KEY_MAX - TM_KEY_NUMBER_MAX) return TM_STATE_TOO_LONG;
  int32_t n = tm_key_number_put(k->bytes + k->len, v);
  if (n == 0) return TM_STATE_NOT_KEY;
  k->len += n;
  return 0;
}

static int32_t tag_put(struct tm_key *k, int tag) {
  if (k->len >= TM_KEY_MAX) return TM_STATE_TOO_LONG;
  k->bytes[k->len++] = (char)tag;
  return 0;
}

int32_t tm_ffi_key_boolean(struct tm_key *k, int32_t v) { return tag_put(k, v ? TAG_TRUE : TAG_FALSE); }
int32_t tm_ffi_key_nil(struct tm_key *k) { return tag_put(k, TAG_NIL); }

int32_t tm_ffi_key_integer(struct tm_key *k, const char *digits, int32_t len) {
  int32_t before = k->len;
  int32_t code = tag_put(k, TAG_DIGITS);
  if (code == 0) code = tm_ffi_key_string(k, digits, len);
  if (code != 0) k->len = before;
  return code;
}

/* text with escapes: unescaped behind a long tag, which a short text then does without */
static int escaped_put(struct tm_key *k, const char *text, int32_t len) {
  struct tm_buf out;
  char *p = k->bytes + k->len;
  int32_t room = TM_KEY_MAX - 3 - k->len;
  if (len > room) {
    /* may still fit once unescaped: six bytes can become one */
    struct tm_buf big;
    if (len / 6 > room) return TM_STATE_TOO_LONG;
    tm_buf_init(&big, len);
    if (tm_ffi_json_unescape(text, len, &big) != 0) {
      tm_buf_fini(&big);
      return TM_STATE_NO_MEMORY;
    }
    int code = tm_ffi_key_string(k, big.data, big.len);
    tm_buf_fini(&big);
    return code;
  }
  if (room < TM_PAD || len > room - TM_PAD) {
    char small[TM_KEY_MAX + 1 + TM_PAD];
    tm_buf_init_fixed(&out, small, TM_KEY_MAX + 1);
    if (tm_ffi_json_unescape(text, len, &out) != 0) return TM_STATE_TOO_LONG;
    return tm_ffi_key_string(k, out.data, out.len);
  }
  tm_buf_init_fixed(&out, p + 3, len);
  if (tm_ffi_json_unescape(text, len, &out) != 0) return TM_STATE_TOO_LONG;
  if (out.len <= SHORT_MAX) {
    p[0] = (char)(TAG_SHORT + out.len);
    memmove(p + 1, p + 3, (size_t)out.len);
    k->len += 1 + out.len;
  } else {
    p[0] = TAG_STRING;
    p[1] = (char)out.len;
    p[2] = (char)(out.len >> 8);
    k->len += 3 + out.len;
  }
  return 0;
}

/* An integer beyond 2^53 is its digits, whatever its bytes are. */
static int bigint_put(struct tm_key *k, const struct tm_batch *b, const struct tm_cell *c) {
  struct tm_cell digits = *c;
  struct tm_batch *batch = (struct tm_batch *)(uintptr_t)b;  /* whose scratch text may grow */
  if (tm_ffi_cell_text(batch, &digits) != 0) return TM_STATE_NO_MEMORY;
  return tm_ffi_key_integer(k, b->raw + digits.off, tm_cell_len(&digits));
}

int tm_key_cell_put(struct tm_key *k, const struct tm_batch *b, const struct tm_cell *c) {
  const char *text = b->raw + c->off;
  int32_t len = tm_cell_len(c);
  switch (tm_cell_kind(c)) {
    case TM_KIND_STRING:
      return tm_ffi_key_string(k, text, len);
    case TM_KIND_BIGINT:
      return bigint_put(k, b, c);
    case TM_KIND_ESCAPED:
      return escaped_put(k, text, len);
    case TM_KIND_NUMBER: {
      struct tm_cell number = *c;
      /* a number that nobody wanted; of msgpack it was wanted, so it is NaN itself */
      if (number.num != number.num && b->format != TM_FORMAT_JSON) return TM_STATE_NOT_KEY;
      if (number.num != number.num) tm_json_number_cell(text, len, 1, &number);
      return tm_ffi_key_number(k, number.num);
    }
    case TM_KIND_TRUE:
    case TM_KIND_FALSE:
      return tm_ffi_key_boolean(k, tm_cell_kind(c) == TM_KIND_TRUE);
    case TM_KIND_ABSENT:
    case TM_KIND_NULL:
      return TM_STATE_NO_KEY;
    default:
      return TM_STATE_NOT_KEY;
  }
}

int32_t tm_ffi_key_cell(struct tm_key *k, const struct tm_batch *b, const struct tm_cell *cells, int32_t row) {
  return tm_key_cell_put(k, b, cells + row);
}

int tm_key_row_put(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  int32_t len = k->len;
  for (int32_t i = 0; i < cols->n; i++) {
    int code = tm_key_cell_put(k, b, cols->cells[i] + row);
    if (code == TM_STATE_NO_KEY && cols->missing) code = tm_ffi_key_nil(k);
    if (code != 0) {
      k->len = len;
      return code;
    }
  }
  return 0;
}

int32_t tm_ffi_key_row(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row) {
  k->len = 0;
  return tm_key_row_put(k, b, cols, row);
}

int32_t tm_ffi_key_parts(const char *bytes, int32_t len, struct tm_value *out) {
  const unsigned char *p = (const unsigned char *)bytes, *end = p + len;
  int32_t n = 0;
  for (; p < end && n < TM_KEY_PARTS_MAX; n++) {
    struct tm_value *v = out + n;
    unsigned tag = *p++;
    int is_digits = tag == TAG_DIGITS;
    if (is_digits) tag = *p++;
    *v = (struct tm_value){0, NULL, 0, TM_VALUE_NUMBER};
    if (tag >= TAG_SHORT || tag == TAG_STRING) {
      v->kind = is_digits ? TM_VALUE_INTEGER : TM_VALUE_STRING;
      v->len = tag >= TAG_SHORT ? (int32_t)tag - TAG_SHORT : p[0] | p[1] << 8;
      if (tag == TAG_STRING) p += 2;
      v->text = (const char *)p;
      p += v->len;
    } else if (tag == TAG_DOUBLE) {
      memcpy(&v->num, p, 8);
      p += 8;
    } else if (tag >= TAG_INT) {
      uint64_t u = 0;
      int32_t bytes_n = (int32_t)(tag & 7);
      for (int32_t i = 0; i < bytes_n; i++) u |= (uint64_t)p[i] << (8 * i);
      v->num = tag >= TAG_NEGATIVE ? -(double)u : (double)u;
      p += bytes_n;
    } else {
      v->kind = tag == TAG_NIL ? TM_VALUE_NIL : tag == TAG_TRUE ? TM_VALUE_TRUE : TM_VALUE_FALSE;
    }
  }
  TM_ASSERT(p <= end);
  return n;
}

static int32_t kind_bit(const struct tm_value *v) {
  switch (v->kind) {
    case TM_VALUE_NIL: return 0;
    case TM_VALUE_STRING: return TM_KEY_IS_STRING;
    case TM_VALUE_FALSE:
    case TM_VALUE_TRUE: return TM_KEY_IS_BOOLEAN;
    default: return TM_KEY_IS_NUMBER;
  }
}

void tm_ffi_key_learn(struct tm_state *s, const void *record, int32_t *kinds) {
  struct tm_value parts[TM_KEY_PARTS_MAX];
  int32_t len;
  const char *bytes = tm_ffi_state_key(s, record, &len);
  for (int32_t i = tm_ffi_key_parts(bytes, len, parts) - 1; i >= 0; i--) kinds[i] |= kind_bit(parts + i);
}

int32_t tm_ffi_key_foreign(const struct tm_key *k, const int32_t *kinds) {
  struct tm_value parts[TM_KEY_PARTS_MAX];
  int32_t n = tm_ffi_key_parts(k->bytes, k->len, parts);
  for (int32_t i = 0; i < n; i++) {
    int32_t bit = kind_bit(parts + i);
    if (bit != 0 && kinds[i] != 0 && (kinds[i] & bit) == 0) return i + 1;
  }
  return 0;
}

/* XXH64, not the tables' XXH3 with their seed: what this says is seen by users, and must never change */
double tm_ffi_key_share(const struct tm_key *k, double seed) {
  return (double)(XXH64(k->bytes, (size_t)k->len, (uint64_t)(int64_t)seed) >> 11) * 0x1p-53;
}
