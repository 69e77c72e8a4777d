/* hex.c - see hex.h. Reading takes both cases and nothing between the digits. */
#include "hex.h"

#include "../base/buf.h"

int32_t tm_hex_put(struct tm_buf *out, const unsigned char *s, int32_t len) {
  static const char digits[] = "0123456789abcdef";
  if (len > INT32_MAX / 2 || tm_buf_reserve(out, len * 2) != 0) return -1;
  char *to = out->data + out->len;
  for (int32_t i = 0; i < len; i++) {
    *to++ = digits[s[i] >> 4];
    *to++ = digits[s[i] & 15];
  }
  out->len += len * 2;
  return 0;
}

int32_t tm_ffi_hex_encode(const char *s, int32_t len, struct tm_buf *out) {
  out->len = 0;
  return tm_hex_put(out, (const unsigned char *)s, len);
}

static int32_t value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int32_t tm_ffi_hex_decode(const char *s, int32_t len, struct tm_buf *out) {
  out->len = 0;
  if (tm_buf_reserve(out, len / 2) != 0) return -1;
  for (int32_t i = 0; i < len; i += 2) {
    int32_t high = value(s[i]), low = i + 1 < len ? value(s[i + 1]) : -1;
    if (high < 0 || low < 0) return i + (high < 0 ? 1 : 2);
    out->data[out->len++] = (char)(high << 4 | low);
  }
  return 0;
}
