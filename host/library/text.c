/* text.c - what scripts ask of plain texts: the other case, trimming, cutting, looking for and replacing a part.
 *
 * Texts are bytes, UTF-8 where it matters: case. That is Unicode's simple mapping, one character to one (ß stays); bytes
 * that are no UTF-8 stay too. White space is ASCII's. Everything takes linear time, whatever is looked for: memmem. */
#include "../base/buf.h"
#include "case_table.h"

/* ---- case ---- */

static uint32_t mapped(const struct case_run *runs, size_t n, uint32_t c) {
  size_t low = 0, high = n;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (runs[mid].last < c) low = mid + 1; else high = mid;
  }
  if (low == n || c < runs[low].first || (c - runs[low].first) % (uint32_t)runs[low].step != 0) return c;
  return (uint32_t)((int32_t)c + runs[low].delta);
}

/* The character at p, of which n bytes are left, and in *size how long it is; 0 and 1 for a byte that is none. */
static uint32_t utf8_read(const unsigned char *p, int32_t n, int32_t *size) {
  uint32_t c = p[0];
  int32_t more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xc2 && c < 0xe0 ? 1 : 0;
  *size = 1;
  if (more == 0 || more >= n) return 0;
  c &= 0x3fu >> more;
  for (int32_t i = 1; i <= more; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (p[i] & 0x3f);
  }
  if ((more == 2 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (more == 3 && (c < 0x10000 || c > 0x10ffff))) return 0;
  *size = more + 1;
  return c;
}

static int32_t utf8_write(char *p, uint32_t c) {
  if (c < 0x80) {
    p[0] = (char)c;
    return 1;
  }
  if (c < 0x800) {
    p[0] = (char)(0xc0 | c >> 6);
    p[1] = (char)(0x80 | (c & 0x3f));
    return 2;
  }
  int32_t at = 0;
  if (c < 0x10000) {
    p[at++] = (char)(0xe0 | c >> 12);
  } else {
    p[at++] = (char)(0xf0 | c >> 18);
    p[at++] = (char)(0x80 | (c >> 12 & 0x3f));
  }
  p[at++] = (char)(0x80 | (c >> 6 & 0x3f));
  p[at++] = (char)(0x80 | (c & 0x3f));
  return at;
}

/* ASCII, as long as there is nothing else; returns how many bytes. first: 'a' or 'A', the letters to change. */
static int32_t ascii_case(char *to, const char *s, int32_t len, char first) {
  int32_t i = 0;
  for (; i < len; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c >= 0x80) break;
    to[i] = (char)(c ^ ((unsigned char)(c - first) < 26 ? 0x20 : 0));
  }
  return i;
}

static int32_t change_case(const char *s, int32_t len, struct tm_buf *out, char first, const struct case_run *runs, size_t n) {
  out->len = 0;
  /* a character of two bytes may become one of three */
  int64_t room = (int64_t)len + len / 2 + 4;
  if (room > INT32_MAX || tm_buf_reserve(out, (int32_t)room) != 0) return -1;
  char *to = out->data;
  for (int32_t i = 0; i < len;) {
    int32_t plain = ascii_case(to, s + i, len - i, first), size;
    i += plain;
    to += plain;
    if (i == len) break;
    uint32_t c = utf8_read((const unsigned char *)s + i, len - i, &size);
    if (c == 0) *to++ = s[i]; else to += utf8_write(to, mapped(runs, n, c));
    i += size;
  }
  out->len = (int32_t)(to - out->data);
  return 0;
}

int32_t tm_ffi_text_lower(const char *s, int32_t len, struct tm_buf *out) {
  return change_case(s, len, out, 'A', to_lower, sizeof to_lower / sizeof to_lower[0]);
}

int32_t tm_ffi_text_upper(const char *s, int32_t len, struct tm_buf *out) {
  return change_case(s, len, out, 'a', to_upper, sizeof to_upper / sizeof to_upper[0]);
}

/* ---- parts ---- */

static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void tm_ffi_text_trim(const char *s, int32_t len, int32_t *span) {
  int32_t from = 0;
  while (from < len && is_blank(s[from])) from++;
  while (len > from && is_blank(s[len - 1])) len--;
  span[0] = from;
  span[1] = len;
}

int32_t tm_ffi_text_find(const char *s, int32_t len, const char *part, int32_t part_len, int32_t from) {
  const char *at = memmem(s + from, (size_t)(len - from), part, (size_t)part_len);
  return at == NULL ? -1 : (int32_t)(at - s);
}

int32_t tm_ffi_text_starts(const char *s, int32_t len, const char *part, int32_t part_len) {
  return len >= part_len && memcmp(s, part, (size_t)part_len) == 0;
}

int32_t tm_ffi_text_ends(const char *s, int32_t len, const char *part, int32_t part_len) {
  return len >= part_len && memcmp(s + len - part_len, part, (size_t)part_len) == 0;
}

int32_t tm_ffi_text_count(const char *s, int32_t len, const char *part, int32_t part_len) {
  int32_t n = 0, at;
  if (part_len == 1) {
    for (int32_t i = 0; i < len; i++) n += s[i] == *part;
    return n;
  }
  for (int32_t from = 0; (at = tm_ffi_text_find(s, len, part, part_len, from)) >= 0; n++) from = at + part_len;
  return n;
}

int32_t tm_ffi_text_split(const char *s, int32_t len, const char *by, int32_t by_len, int32_t from, int32_t *spans, int32_t max) {
  int32_t n = 0;
  while (n < max) {
    int32_t at = tm_ffi_text_find(s, len, by, by_len, from);
    spans[2 * n] = from;
    spans[2 * n + 1] = at < 0 ? len : at;
    n++;
    if (at < 0) break;
    from = at + by_len;
  }
  return n;
}

int32_t tm_ffi_text_replace(const char *s, int32_t len, const char *part, int32_t part_len, const char *by, int32_t by_len,
                            struct tm_buf *out) {
  int32_t from = 0, n = 0, at;
  out->len = 0;
  while ((at = tm_ffi_text_find(s, len, part, part_len, from)) >= 0) {
    if (tm_buf_put(out, s + from, at - from) != 0 || tm_buf_put(out, by, by_len) != 0) return -1;
    from = at + part_len;
    n++;
  }
  return n == 0 || tm_buf_put(out, s + from, len - from) == 0 ? n : -1;
}
