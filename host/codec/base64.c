/* base64.c - see base64.h. Reading trusts its text: it is what the program wrote itself. */
#include "base64.h"

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

static unsigned letter_value(char c) {
  if (c >= 'A' && c <= 'Z') return (unsigned)(c - 'A');
  if (c >= 'a' && c <= 'z') return (unsigned)(c - 'a') + 26;
  if (c >= '0' && c <= '9') return (unsigned)(c - '0') + 52;
  return c == '+' ? 62 : c == '/' ? 63 : 0;
}

int64_t tm_base64_length(const char *text, int64_t len) {
  int64_t n = len / 4 * 3;
  if (len >= 4) n -= (text[len - 1] == '=') + (text[len - 2] == '=');
  return n;
}

char *tm_base64_read(char *to, const char *text, int64_t len) {
  char *end = to + tm_base64_length(text, len);
  for (int64_t i = 0; i + 4 <= len; i += 4, to += 3) {
    unsigned v = letter_value(text[i]) << 18 | letter_value(text[i + 1]) << 12 | letter_value(text[i + 2]) << 6 |
                 letter_value(text[i + 3]);
    to[0] = (char)(v >> 16);
    to[1] = (char)(v >> 8);
    to[2] = (char)v;
  }
  return end;
}
