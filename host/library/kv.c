/* kv.c - lines of pairs: logfmt (a=1 b="x y"), and the like with other separators.
 *
 *   line    pair { sep pair }          separators that follow one another count as one where they are blanks
 *   pair    key | key field value
 *   value   "..." with \" \\ \n \r \t (other letters stay as they are behind their \), or anything up to the next separator
 *
 * A quote that never ends takes the rest of the line. Nothing here fails but for space. */
#include "../base/buf.h"

struct line {
  const char *s;
  int32_t len;
  const char *sep, *field;
  int32_t sep_len, field_len;
};

static int is_at(const struct line *l, int32_t at, const char *what, int32_t n) {
  return l->len - at >= n && memcmp(l->s + at, what, (size_t)n) == 0;
}

/* a separator of a blank stands for any white space */
static int32_t sep_at(const struct line *l, int32_t at) {
  if (l->sep_len == 1 && l->sep[0] == ' ') return at < l->len && (l->s[at] == ' ' || (l->s[at] >= '\t' && l->s[at] <= '\r'));
  return is_at(l, at, l->sep, l->sep_len) ? l->sep_len : 0;
}

static char unescaped(char c) {
  switch (c) {
  case 'n': return '\n';
  case 'r': return '\r';
  case 't': return '\t';
  default: return c;
  }
}

/* What stands in quotes from `at` on, behind the first: appended; returns the place behind the last. */
static int32_t quoted(const struct line *l, int32_t at, struct tm_buf *out) {
  char *to = out->data + out->len;
  for (; at < l->len && l->s[at] != '"'; at++) {
    if (l->s[at] != '\\' || at + 1 == l->len) {
      *to++ = l->s[at];
      continue;
    }
    char c = l->s[++at];
    if (memchr("nrt\"\\", c, 5) == NULL) *to++ = '\\';
    *to++ = unescaped(c);
  }
  out->len = (int32_t)(to - out->data);
  return at < l->len ? at + 1 : at;
}

static int32_t plain_end(const struct line *l, int32_t at, int stops_at_field) {
  while (at < l->len && sep_at(l, at) == 0 && !(stops_at_field && is_at(l, at, l->field, l->field_len))) at++;
  return at;
}

int32_t tm_ffi_kv_pair(const char *s, int32_t len, int32_t at, const char *sep, int32_t sep_len, const char *field,
                       int32_t field_len, struct tm_buf *out, int32_t *key_len) {
  struct line l = {s, len, sep, field, sep_len, field_len};
  int32_t n;
  out->len = 0;
  if (tm_buf_reserve(out, len - at) != 0) return -1;
  while (at < len && (n = sep_at(&l, at)) > 0) at += n;
  if (at >= len) return 0;
  int32_t end = plain_end(&l, at, 1);
  if (tm_buf_put(out, s + at, end - at) != 0) return -1;
  *key_len = out->len;
  at = end;
  if (!is_at(&l, at, field, field_len)) {
    *key_len = -1 - *key_len;
    return at;
  }
  at += field_len;
  if (at < len && s[at] == '"') {
    at = quoted(&l, at + 1, out);
    end = plain_end(&l, at, 0);   /* what stands behind the quote belongs to the value */
  } else {
    end = plain_end(&l, at, 0);
  }
  return tm_buf_put(out, s + at, end - at) == 0 ? end : -1;
}

/* does a text need quotes, so that it is read back as it is? */
static int needs_quotes(const struct line *l) {
  if (l->len == 0) return 0;
  for (int32_t i = 0; i < l->len; i++) {
    unsigned char c = (unsigned char)l->s[i];
    if (c == '"' || c == '\\' || c <= ' ' || c == 0x7f || sep_at(l, i) != 0 || is_at(l, i, l->field, l->field_len)) return 1;
  }
  return 0;
}

int32_t tm_ffi_kv_put(struct tm_buf *out, const char *s, int32_t len, const char *sep, int32_t sep_len, const char *field,
                      int32_t field_len) {
  struct line l = {s, len, sep, field, sep_len, field_len};
  if (!needs_quotes(&l)) return tm_buf_put(out, s, len);
  if (len > INT32_MAX / 2 - 2 || tm_buf_reserve(out, len * 2 + 2) != 0) return -1;
  char *to = out->data + out->len;
  *to++ = '"';
  for (int32_t i = 0; i < len; i++) {
    char c = s[i];
    char letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c == '"' || c == '\\' ? c : 0;
    if (letter != 0) *to++ = '\\';
    *to++ = letter != 0 ? letter : c;
  }
  *to++ = '"';
  out->len = (int32_t)(to - out->data);
  return 0;
}
