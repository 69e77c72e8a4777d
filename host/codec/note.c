/* note.c - writing opaque values as JSON, with notes and without (note.h). */
#include "note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../library/base64.h"
#include "../library/date.h"
#include "json_walk.h"
#include "msgpack_bytes.h"

int tm_notes_written;

enum { SECONDS_A_DAY = 86400 };

/* ---- points in time ---- */

/* Years 0 to 9999 as ISO 8601 in UTC, the fraction in steps of three digits; the length, or 0: another year. */
static int iso8601(char *out, size_t size, int64_t seconds, uint32_t ns) {
  if (seconds < TM_DATE_FIRST_MS / 1000 || seconds > TM_DATE_LAST_MS / 1000) return 0;
  int64_t days = (seconds - TM_DATE_FIRST_MS / 1000) / SECONDS_A_DAY + TM_DATE_FIRST_MS / 1000 / SECONDS_A_DAY;
  int64_t second = seconds - days * SECONDS_A_DAY;
  int32_t year, month, day;
  tm_date_civil(days, &year, &month, &day);
  char fraction[16] = "";
  if (ns % 1000 != 0) snprintf(fraction, sizeof fraction, ".%09u", ns);
  else if (ns % 1000000 != 0) snprintf(fraction, sizeof fraction, ".%06u", ns / 1000);
  else if (ns != 0) snprintf(fraction, sizeof fraction, ".%03u", ns / 1000000);
  return snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", year, month, day, (int)(second / 3600),
                  (int)(second / 60 % 60), (int)(second % 60), fraction);
}

/* ---- opaque values ---- */

static const char hex[] = "0123456789abcdef";

int32_t tm_note_opaque(struct tm_buf *out, uint8_t lead, int32_t type, const char *s, int64_t n) {
  int bin = lead >= 0xc4 && lead <= 0xc6;
  int64_t room = tm_base64_size(n) + 8;
  if (room > INT32_MAX || tm_buf_reserve(out, (int32_t)room) != 0) return -1;
  char *p = out->data + out->len;
  *p++ = '"';
  p = tm_note_write(p, lead);
  if (!bin) {
    *p++ = hex[type >> 4 & 15];
    *p++ = hex[type & 15];
  }
  p = tm_base64_write(p, s, n);
  *p++ = '"';
  out->len = (int32_t)(p - out->data);
  tm_notes_written = 1;
  return 0;
}

int32_t tm_note_opaque_plain(struct tm_buf *out, int bin, int32_t type, const char *s, int64_t n) {
  char head[64] = "\"", time[64];
  int64_t seconds;
  uint32_t ns;
  int len = 1;
  if (!bin) {
    if (type == TM_EXT_TIMESTAMP && tm_msgpack_time_read(s, n, &seconds, &ns) && iso8601(time, sizeof time, seconds, ns) > 0) {
      len = snprintf(head, sizeof head, "\"%s\"", time);
      return tm_buf_put(out, head, len);
    }
    len = snprintf(head, sizeof head, "{\"ext\":%d,\"data\":\"", (int)type);
  }
  int64_t room = tm_base64_size(n) + len + 2;
  if (room > INT32_MAX || tm_buf_reserve(out, (int32_t)room) != 0) return -1;
  tm_buf_put(out, head, len);
  out->len = (int32_t)(tm_base64_write(out->data + out->len, s, n) - out->data);
  return tm_buf_put(out, "\"}", bin ? 1 : 2);
}

/* ---- numbers ---- */

int tm_note_number_read(const char *text, double *v) {
  int negative = *text == '-';
  const char *p = text + negative;
  if (memcmp(p, "1e99", 4) != 0 || (p[4] != '9' && p[4] != '8')) return 0;
  *v = p[4] == '8' ? tm_cell_nan() : negative ? -__builtin_inf() : __builtin_inf();
  return 1;
}

void tm_note_number(const char *base, struct tm_cell *c) {
  const char *text = base + c->off;
  uint8_t lead = tm_note_lead(text - TM_NOTE);
  if (lead != 0xca && lead != 0xcb) return;
  /* what follows is no part of a number, so strtod ends where the text does */
  if (!tm_note_number_read(text, &c->num)) c->num = strtod(text, NULL);
  c->tag = c->tag - tm_cell_kind(c) + TM_KIND_NUMBER;
}

int32_t tm_ffi_note_number(struct tm_buf *out, double v) {
  const double exact = 9007199254740992.0;
  if (v >= -exact && v <= exact) return tm_ffi_json_number(out, v);
  if (!__builtin_isfinite(v)) return -2;
  if (tm_buf_reserve(out, TM_NOTE) != 0) return -1;
  tm_note_write(out->data + out->len, 0xcb);
  out->len += TM_NOTE;
  tm_notes_written = 1;
  int32_t rc = tm_ffi_json_number(out, v);
  if (rc != 0) out->len -= TM_NOTE;
  return rc;
}

/* ---- cleaning ---- */

static int hex_value(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

int32_t tm_note_opaque_read(const char *text, int32_t len, struct tm_note_value *v, struct tm_buf *bytes) {
  int at = TM_NOTE;
  v->lead = tm_note_lead(text);
  v->bin = v->lead >= 0xc4 && v->lead <= 0xc6;
  v->type = 0;
  if (!v->bin) {
    int type = hex_value(text[at]) << 4 | hex_value(text[at + 1]);
    v->type = type < 0x80 ? type : type - 0x100;
    at += 2;
  }
  v->n = tm_base64_length(text + at, len - at);
  if (tm_buf_reserve(bytes, (int32_t)v->n + 2) != 0) return -1;
  tm_base64_read(bytes->data + bytes->len, text + at, len - at);
  bytes->len += (int32_t)v->n;
  return 0;
}

/* the first note in text[0..len), or len */
static int32_t note_find(const char *text, int32_t len) {
  int32_t i = 0;
#ifdef __SSE2__
  for (; len - i >= 16; i += 16) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
    __m128i hit = _mm_cmpeq_epi8(_mm_and_si128(x, _mm_set1_epi8((char)0xfe)), _mm_set1_epi8(0x0e));
    int mask = _mm_movemask_epi8(hit);
    if (mask != 0) return i + __builtin_ctz((unsigned)mask);
  }
#endif
  while (i < len && !tm_note_at(text + i)) i++;
  return i;
}

/* The string that holds a note at text (behind its quote, which is written): *at behind its closing quote. */
static int32_t opaque_clean(struct tm_buf *out, const char *text, int32_t *at) {
  static struct tm_buf bytes;
  struct tm_note_value v;
  int escaped = 0;
  const char *start = text + *at;
  int32_t n = (int32_t)(tm_json_string_skip(start, &escaped) - start);
  if (bytes.cap_max == 0) tm_buf_init(&bytes, INT32_MAX - TM_PAD);
  bytes.len = 0;
  if (tm_note_opaque_read(start, n, &v, &bytes) != 0) return -1;
  *at += n + 1;
  out->len--;
  return tm_note_opaque_plain(out, v.bin, v.type, bytes.data, v.n);
}

int32_t tm_note_clean(struct tm_buf *out, const char *text, int32_t len) {
  int32_t at = 0;
  for (;;) {
    int32_t n = note_find(text + at, len - at);
    if (tm_buf_put(out, text + at, n) != 0) return -1;
    at += n;
    if (at == len) return 0;
    if (at > 0 && text[at - 1] == '"') {
      int32_t rc = opaque_clean(out, text, &at);
      if (rc != 0) return rc;
      continue;
    }
    uint8_t lead = tm_note_lead(text + at);
    at += TM_NOTE;
    if (lead != 0xca && lead != 0xcb) continue;
    double v;
    if (tm_note_number_read(text + at, &v)) return -2;
  }
}

int32_t tm_ffi_note_clean(struct tm_buf *out, int32_t from) {
  static struct tm_buf copy;
  if (!tm_notes_written) return 0;
  int32_t len = out->len - from, at = note_find(out->data + from, len);
  if (at == len) return 0;
  if (copy.cap_max == 0) tm_buf_init(&copy, INT32_MAX - TM_PAD);
  copy.len = 0;
  if (tm_buf_put(&copy, out->data + from, len) != 0 || tm_buf_reserve(&copy, TM_PAD) != 0) return -1;
  out->len = from;
  return tm_note_clean(out, copy.data, len);
}

/* ---- for Lua ---- */

int32_t tm_ffi_note_opaque(struct tm_buf *out, int32_t lead, int32_t type, const char *s, int32_t len) {
  return tm_note_opaque(out, (uint8_t)lead, type, s, len);
}

int32_t tm_ffi_note_read(const char *text, int32_t len, struct tm_buf *out, int32_t *type) {
  struct tm_note_value v;
  if (tm_note_opaque_read(text, len, &v, out) != 0) return -1;
  *type = v.bin ? -1000 : v.type;
  return 0;
}

int32_t tm_ffi_timestamp_read(const char *s, int32_t len, double *seconds, double *nanoseconds) {
  int64_t whole;
  uint32_t ns;
  if (!tm_msgpack_time_read(s, len, &whole, &ns)) return 0;
  *seconds = (double)whole;
  *nanoseconds = ns;
  return 1;
}

int32_t tm_ffi_timestamp_put(struct tm_buf *out, double seconds, double nanoseconds) {
  const double exact = 9007199254740992.0;
  if (!(seconds >= -exact && seconds <= exact) || seconds != (double)(int64_t)seconds) return -2;
  if (!(nanoseconds >= 0 && nanoseconds < 1e9) || nanoseconds != (double)(int64_t)nanoseconds) return -2;
  int64_t s = (int64_t)seconds;
  uint64_t ns = (uint64_t)nanoseconds, word = ns << 34 | (uint64_t)s;
  char bytes[12];
  int32_t n = s < 0 || s >> 34 != 0 ? 12 : word <= UINT32_MAX ? 4 : 8;
  if (n == 12) {
    for (int32_t i = 0; i < 4; i++) bytes[i] = (char)(ns >> 8 * (3 - i));
    for (int32_t i = 0; i < 8; i++) bytes[4 + i] = (char)((uint64_t)s >> 8 * (7 - i));
  } else {
    for (int32_t i = 0; i < n; i++) bytes[i] = (char)(word >> 8 * (n - 1 - i));
  }
  return tm_buf_put(out, bytes, n);
}
