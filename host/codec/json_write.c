/* json_write.c - values to JSON text, and plain bytes, at the end of a buffer.
 *
 * Strings leave as they are but for what RFC 8259 demands: the quote, the backslash and controls below 0x20 are
 * escaped (short forms where there are any), everything else, DEL and all of UTF-8, is copied. Text that is not
 * UTF-8 is refused, or repaired by the `lossy` writer. Numbers are number_text.c's.
 *
 * A writer that fails leaves the buffer's length as it was. Writers store up to 16 bytes at once and may touch
 * TM_PAD bytes behind cap; they never read beyond the string given. No state, no locks. */
#include "../base/buf.h"
#include "number_text.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- plain runs: ASCII that needs no escape ---- */

/* bytes of w that are control, quote, backslash or not ASCII have their high bit set in the result; bytes behind
 * the first such one may be wrong */
static inline uint64_t special_mask(uint64_t w) {
  const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
  uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
  return ((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & high;
}

static inline int special_first(uint64_t mask) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  mask = __builtin_bswap64(mask);
#endif
  return __builtin_ctzll(mask) >> 3;
}

static inline int is_special(unsigned char ch) { return ch < 0x20 || ch == '"' || ch == '\\' || ch >= 0x80; }

/* the last 0..7 bytes */
static inline int32_t tail_copy(char *to, const char *s, int32_t n) {
  int32_t i = 0;
  for (; i < n && !is_special((unsigned char)s[i]); i++) to[i] = s[i];
  return i;
}

/* Copies the plain bytes s starts with and returns their number; may store 16 bytes more. */
static inline int32_t plain_copy(char *to, const char *s, int32_t n) {
  int32_t i = 0;
#ifdef __SSE2__
  for (; n - i >= 16; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    /* signed: what is not ASCII is below 0x20 too */
    int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmplt_epi8(x, _mm_set1_epi8(0x20))));
    _mm_storeu_si128((__m128i *)(void *)(to + i), x);
    if (mask != 0) return i + __builtin_ctz((unsigned)mask);
  }
#endif
  for (; n - i >= 8; i += 8) {
    uint64_t w;
    memcpy(&w, s + i, 8);
    memcpy(to + i, &w, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    /* borrows run towards later bytes only in little-endian order */
    w = __builtin_bswap64(w);
    uint64_t mask = __builtin_bswap64(special_mask(w));
#else
    uint64_t mask = special_mask(w);
#endif
    if (mask != 0) return i + special_first(mask);
  }
  if (n >= 8 && n > i) {
    /* the last 8 bytes once more: those before i are known to be plain */
    uint64_t w;
    memcpy(&w, s + n - 8, 8);
    if (special_mask(w) == 0) {
      memcpy(to + n - 8, &w, 8);
      return n;
    }
  }
  return i + tail_copy(to + i, s + i, n - i);
}

/* ---- UTF-8 ---- */

/* The sequence at s, whose first byte is not ASCII: its length, or minus the length of its maximal invalid
 * subpart (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal Subparts"). */
static int sequence_length(const unsigned char *s, int32_t n) {
  unsigned char lead = s[0], low = 0x80, high = 0xbf;
  int need;
  if (lead >= 0xc2 && lead <= 0xdf) {
    need = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    need = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    need = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return -1;
  }
  for (int i = 1; i < need; i++) {
    if (i >= n || s[i] < low || s[i] > high) return -i;
    low = 0x80;
    high = 0xbf;
  }
  return need;
}

/* ---- strings ---- */

/* the escape of an ASCII character into p; returns its length; may store 8 bytes */
static int escape_put(char *p, unsigned char ch) {
  static const char hex[] = "0123456789abcdef";
  static const char short_form[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
  p[0] = '\\';
  if (ch >= 0x20 || short_form[ch] != 0) {
    p[1] = ch >= 0x20 ? (char)ch : short_form[ch];
    return 2;
  }
  memcpy(p + 1, "u00", 3);
  p[4] = hex[ch >> 4];
  p[5] = hex[ch & 15];
  return 6;
}

/* Writes what follows a plain run at s: one escape, or a stretch of bytes that are not ASCII. Returns the bytes of
 * s done, -1 out of space, -2 not UTF-8. `rest` bytes of s are left, the buffer has room for `rest` + 1. */
static int32_t special_put(struct tm_buf *out, const char *s, int32_t rest, int lossy) {
  unsigned char ch = (unsigned char)*s;
  if (ch < 0x80) {
    char escape[8];
    int n = escape_put(escape, ch);
    if (tm_buf_reserve(out, rest + n) != 0) return -1;
    memcpy(out->data + out->len, escape, 8);
    out->len += n;
    return 1;
  }
  int32_t done = 0;
  do {
    /* letters of most alphabets: two bytes, any lead from c2 to df */
    const unsigned char *u = (const unsigned char *)s + done;
    if (rest - done >= 2 && (unsigned char)(u[0] - 0xc2) < 0x1e && (u[1] & 0xc0) == 0x80) {
      memcpy(out->data + out->len, u, 2);
      out->len += 2;
      done += 2;
      continue;
    }
    int n = sequence_length((const unsigned char *)s + done, rest - done);
    if (n > 0) {
      for (int i = 0; i < n; i++) out->data[out->len++] = s[done++];
      continue;
    }
    if (!lossy) return -2;
    /* -n bytes become three; what is left and the quote must still fit */
    if (tm_buf_reserve(out, rest - done + n + 4) != 0) return -1;
    memcpy(out->data + out->len, "\xef\xbf\xbd", 3);
    out->len += 3;
    done -= n;
  } while (done < rest && (unsigned char)s[done] >= 0x80);
  return done;
}

/* All along, the buffer has room for the bytes left and the closing quote. */
static int32_t string_put(struct tm_buf *out, const char *s, int32_t len, int lossy) {
  int32_t start = out->len, i = 0;
  if (len > INT32_MAX - 16 || tm_buf_reserve(out, len + 2) != 0) return -1;
  out->data[out->len++] = '"';
  for (;;) {
    int32_t n = plain_copy(out->data + out->len, s + i, len - i);
    out->len += n;
    i += n;
    if (i == len) break;
    n = special_put(out, s + i, len - i, lossy);
    if (n < 0) {
      out->len = start;
      return n;
    }
    i += n;
  }
  out->data[out->len++] = '"';
  return 0;
}

int32_t tm_ffi_json_string(struct tm_buf *out, const char *s, int32_t len) { return string_put(out, s, len, 0); }

int32_t tm_ffi_json_lossy(struct tm_buf *out, const char *s, int32_t len) { return string_put(out, s, len, 1); }

/* ---- numbers and bytes ---- */

int32_t tm_ffi_json_number(struct tm_buf *out, double v) {
  if (!__builtin_isfinite(v)) return -2;
  if (out->cap - out->len >= TM_NUMBER_ROOM) {
    out->len = (int32_t)(tm_number_write(out->data + out->len, v) - out->data);
    return 0;
  }
  char text[TM_NUMBER_ROOM];
  int32_t n = (int32_t)(tm_number_write(text, v) - text);
  return tm_buf_put(out, text, n);
}

int32_t tm_ffi_json_decimal(struct tm_buf *out, double v, int32_t digits) {
  if (!__builtin_isfinite(v) || digits < 0 || digits > 18) return -2;
  if (out->cap - out->len >= TM_DECIMAL_ROOM) {
    out->len = (int32_t)(tm_number_decimal(out->data + out->len, v, digits) - out->data);
    return 0;
  }
  char text[TM_DECIMAL_ROOM];
  int32_t n = (int32_t)(tm_number_decimal(text, v, digits) - text);
  return tm_buf_put(out, text, n);
}

int32_t tm_ffi_buf_put(struct tm_buf *out, const char *s, int32_t len) { return tm_buf_put(out, s, len); }

void tm_ffi_buf_release(struct tm_buf *b) {
  int32_t cap_max = b->cap_max;
  tm_buf_fini(b);
  b->cap_max = cap_max;
}
