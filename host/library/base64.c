/* base64.c - see base64.h. tm_base64_read trusts its text: it is what the program wrote itself. What others wrote is looked
 * at letter by letter: either alphabet, with padding or without, and nothing else, not even white space. */
#include "base64.h"

#include "../base/buf.h"

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *tm_base64_write(char *to, const char *s, int64_t n) {
  const unsigned char *u = (const unsigned char *)s;
  for (; n >= 3; n -= 3, u += 3, to += 4) {
    to[0] = letters[u[0] >> 2];
    to[1] = letters[(u[0] & 3) << 4 | u[1] >> 4];
    to[2] = letters[(u[1] & 15) << 2 | u[2] >> 6];
    to[3] = letters[u[2] & 63];
  }
  if (n == 0) return to;
  unsigned second = n == 2 ? u[1] : 0;
  to[0] = letters[u[0] >> 2];
  to[1] = letters[(u[0] & 3) << 4 | second >> 4];
  to[2] = n == 2 ? letters[(second & 15) << 2] : '=';
  to[3] = '=';
  return to + 4;
}

/* above 63: no letter */
static unsigned letter_value(char c) {
  if (c >= 'A' && c <= 'Z') return (unsigned)(c - 'A');
  if (c >= 'a' && c <= 'z') return (unsigned)(c - 'a') + 26;
  if (c >= '0' && c <= '9') return (unsigned)(c - '0') + 52;
  return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : 64;
}

int64_t tm_base64_length(const char *text, int64_t len) {
  int64_t n = len / 4 * 3;
  if (len >= 4) n -= (text[len - 1] == '=') + (text[len - 2] == '=');
  return n;
}

char *tm_base64_read(char *to, const char *text, int64_t len) {
  char *end = to + tm_base64_length(text, len);
  for (int64_t i = 0; i + 4 <= len; i += 4, to += 3) {
    unsigned v = (letter_value(text[i]) & 63) << 18 | (letter_value(text[i + 1]) & 63) << 12 |
                 (letter_value(text[i + 2]) & 63) << 6 | (letter_value(text[i + 3]) & 63);
    to[0] = (char)(v >> 16);
    to[1] = (char)(v >> 8);
    to[2] = (char)v;
  }
  return end;
}

/* ---- for scripts ---- */

int32_t tm_ffi_base64_encode(const char *s, int32_t len, int32_t url, struct tm_buf *out) {
  int64_t n = tm_base64_size(len);
  out->len = 0;
  if (n > INT32_MAX || tm_buf_reserve(out, (int32_t)n) != 0) return -1;
  out->len = (int32_t)(tm_base64_write(out->data, s, len) - out->data);
  if (!url) return 0;
  while (out->len > 0 && out->data[out->len - 1] == '=') out->len--;
  for (int32_t i = 0; i < out->len; i++) {
    if (out->data[i] == '+') out->data[i] = '-';
    if (out->data[i] == '/') out->data[i] = '_';
  }
  return 0;
}

/* The letters of a text without its padding; -1: the padding is wrong. */
static int32_t letters_len(const char *s, int32_t len) {
  int32_t n = len;
  while (n > 0 && len - n < 2 && s[n - 1] == '=') n--;
  return n == len || len % 4 == 0 ? n : -1;
}

int32_t tm_ffi_base64_decode(const char *s, int32_t len, struct tm_buf *out) {
  int32_t n = letters_len(s, len);
  uint32_t v = 0;
  out->len = 0;
  if (tm_buf_reserve(out, len / 4 * 3 + 3) != 0) return -1;
  char *to = out->data;
  for (int32_t i = 0; i < n; i++) {
    unsigned letter = letter_value(s[i]);
    if (letter > 63) return i + 1;
    v = v << 6 | letter;
    if (i % 4 != 0) *to++ = (char)(v >> (6 - i % 4 * 2) & 255);
  }
  if (n < 0 || n % 4 == 1) return len + 1;
  out->len = (int32_t)(to - out->data);
  return 0;
}
