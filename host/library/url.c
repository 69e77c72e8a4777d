/* url.c - parts of URLs (RFC 3986, its appendix B), percent-encoding, and the queries of forms.
 *
 * Cutting a URL never fails: what is not there is left out, and nothing is decoded. A scheme begins with a letter. */
#include "../base/buf.h"

enum { ABSENT = -1 };

static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int32_t find(const char *s, int32_t from, int32_t to, char c) {
  const char *at = from < to ? memchr(s + from, c, (size_t)(to - from)) : NULL;
  return at == NULL ? ABSENT : (int32_t)(at - s);
}

static void part(int32_t *spans, int32_t which, int32_t from, int32_t to) {
  spans[2 * which] = from;
  spans[2 * which + 1] = to;
}

/* [user[:password]@]host[:port]. A host in brackets is given without them. */
static void authority(const char *s, int32_t from, int32_t to, int32_t *spans) {
  const char *at = memrchr(s + from, '@', (size_t)(to - from));
  if (at != NULL) {
    int32_t end = (int32_t)(at - s), colon = find(s, from, end, ':');
    part(spans, TM_URL_USER, from, colon < 0 ? end : colon);
    if (colon >= 0) part(spans, TM_URL_PASSWORD, colon + 1, end);
    from = end + 1;
  }
  int32_t close = from < to && s[from] == '[' ? find(s, from, to, ']') : ABSENT;
  int32_t colon = find(s, close < 0 ? from : close, to, ':');
  int32_t host_end = colon < 0 ? to : colon;
  if (close >= 0) part(spans, TM_URL_HOST, from + 1, close); else part(spans, TM_URL_HOST, from, host_end);
  if (colon >= 0 && colon + 1 < to) part(spans, TM_URL_PORT, colon + 1, to);
}

static int32_t scheme_end(const char *s, int32_t len) {
  if (len == 0 || !is_letter(s[0])) return ABSENT;
  for (int32_t i = 1; i < len; i++) {
    if (s[i] == ':') return i;
    if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '+' && s[i] != '-' && s[i] != '.') return ABSENT;
  }
  return ABSENT;
}

void tm_ffi_url_parts(const char *s, int32_t len, int32_t *spans) {
  int32_t from = 0, to = len;
  for (int32_t i = 0; i < 2 * TM_URL_PARTS; i++) spans[i] = ABSENT;
  int32_t hash = find(s, 0, to, '#');
  if (hash >= 0) {
    part(spans, TM_URL_FRAGMENT, hash + 1, to);
    to = hash;
  }
  int32_t mark = find(s, 0, to, '?');
  if (mark >= 0) {
    part(spans, TM_URL_QUERY, mark + 1, to);
    to = mark;
  }
  int32_t colon = scheme_end(s, to);
  if (colon > 0) {
    part(spans, TM_URL_SCHEME, 0, colon);
    from = colon + 1;
  }
  if (to - from >= 2 && s[from] == '/' && s[from + 1] == '/') {
    int32_t path = find(s, from + 2, to, '/');
    if (path < 0) path = to;
    authority(s, from + 2, path, spans);
    from = path;
  }
  part(spans, TM_URL_PATH, from, to);
}

/* ---- percent-encoding ---- */

static int32_t hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int32_t tm_ffi_url_decode(const char *s, int32_t len, int32_t form, struct tm_buf *out) {
  if (tm_buf_reserve(out, len) != 0) return -1;
  char *to = out->data + out->len;
  for (int32_t i = 0; i < len; i++) {
    int32_t high, low;
    if (s[i] == '%' && i + 2 < len && (high = hex_value(s[i + 1])) >= 0 && (low = hex_value(s[i + 2])) >= 0) {
      *to++ = (char)(high << 4 | low);
      i += 2;
    } else {
      *to++ = form && s[i] == '+' ? ' ' : s[i];
    }
  }
  out->len = (int32_t)(to - out->data);
  return 0;
}

int32_t tm_ffi_url_encode(const char *s, int32_t len, struct tm_buf *out) {
  static const char digits[] = "0123456789ABCDEF";
  out->len = 0;
  if (len > INT32_MAX / 3 || tm_buf_reserve(out, len * 3) != 0) return -1;
  char *to = out->data;
  for (int32_t i = 0; i < len; i++) {
    char c = s[i];
    if (is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      *to++ = c;
      continue;
    }
    *to++ = '%';
    *to++ = digits[(unsigned char)c >> 4];
    *to++ = digits[c & 15];
  }
  out->len = (int32_t)(to - out->data);
  return 0;
}

/* ---- queries ---- */

/* where the query begins: behind the first ?, or at the start of a text without one */
static int32_t query_begin(const char *s, int32_t len) {
  int32_t hash = find(s, 0, len, '#');
  return find(s, 0, hash < 0 ? len : hash, '?') + 1;
}

int32_t tm_ffi_url_pair(const char *s, int32_t len, int32_t at, struct tm_buf *out, int32_t *name_len) {
  if (at < 0) at = query_begin(s, len);
  out->len = 0;
  while (at < len && s[at] == '&') at++;
  if (at >= len) return 0;
  int32_t end = find(s, at, len, '&'), next = end + 1;
  if (end < 0) end = next = len;
  int32_t hash = find(s, at, end, '#');
  if (hash >= 0) {
    end = hash;
    next = len;
    if (hash == at) return 0;
  }
  int32_t equals = find(s, at, end, '=');
  if (tm_ffi_url_decode(s + at, (equals < 0 ? end : equals) - at, 1, out) != 0) return -1;
  *name_len = out->len;
  if (equals >= 0 && tm_ffi_url_decode(s + equals + 1, end - equals - 1, 1, out) != 0) return -1;
  return next;
}

int32_t tm_ffi_url_find(const char *s, int32_t len, const char *name, int32_t name_len, struct tm_buf *out) {
  int32_t at = -1, n = 0;
  while ((at = tm_ffi_url_pair(s, len, at, out, &n)) > 0)
    if (n == name_len && memcmp(out->data, name, (size_t)n) == 0) return n + 1;
  return at;
}
