/* zone.c - see zone.h: zone files (RFC 8536, versions 1 to 4) and the rule for all years behind their last change.
 *
 *   at[0]       at[1]              at[n-1]
 *     |  type[0]  |  type[1]  ...     |  rule (POSIX TZ text of the file's end), or type[n-1] without one
 *   first                             v
 *
 * A zone is made of a file's bytes, which the library reads once; nothing here opens anything, and the environment's TZ is
 * never looked at. Every count and index of the file is compared with its size before it is used. Leap seconds are refused
 * (the zones below right/): points in time have none.
 * The span found last is kept, for both kinds of question: events of a stream lie close together. */
#include "zone.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/owned.h"
#include "date.h"

enum { CHANGES_MAX = 10000, TYPES_MAX = 256, RULE_YEARS = 3, DAY_S = 86400, HEAD = 44 };

enum day_kind { DAY_NONE, DAY_JULIAN, DAY_ZERO_BASED, DAY_OF_MONTH };

struct rule_day {
  enum day_kind kind;
  int32_t month, week, day;
  int32_t time_s;           /* on that day, or the days before and behind it */
};

struct rule {
  struct tm_zone_type std, dst;
  struct rule_day to_dst, to_std;   /* kind DAY_NONE: no daylight saving */
};

struct span {
  int64_t from, to;         /* from <= t < to */
  const struct tm_zone_type *type;
};

struct tm_zone {
  int32_t n, types_n;
  int64_t *at;
  uint8_t *type;
  struct tm_zone_type types[TYPES_MAX];
  int has_rule;
  struct rule rule;
  struct span utc, local;   /* what was found last */
};

/* ---- the rule: POSIX TZ ---- */

struct text {
  const char *p, *end;
};

static int take(struct text *t, char c) {
  if (t->p == t->end || *t->p != c) return 0;
  t->p++;
  return 1;
}

static int number(struct text *t, int32_t max, int32_t *v) {
  const char *from = t->p;
  int32_t n = 0;
  while (t->p < t->end && *t->p >= '0' && *t->p <= '9' && n <= max) n = n * 10 + (*t->p++ - '0');
  *v = n;
  return t->p > from && n <= max ? 0 : -1;
}

/* [+-]hh[:mm[:ss]] */
static int clock_time(struct text *t, int32_t *s) {
  int32_t sign = take(t, '-') ? -1 : 1, h, m = 0, sec = 0;
  if (sign > 0) take(t, '+');
  if (number(t, 167, &h) != 0) return -1;
  if (take(t, ':') && number(t, 59, &m) != 0) return -1;
  if (t->p[-1] != ':' && take(t, ':') && number(t, 59, &sec) != 0) return -1;
  *s = sign * (h * 3600 + m * 60 + sec);
  return 0;
}

static int zone_name(struct text *t, char *name) {
  int quoted = take(t, '<');
  int32_t n = 0;
  while (t->p < t->end && n < TM_ZONE_NAME_MAX) {
    char c = *t->p;
    int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'))) break;
    name[n++] = c;
    t->p++;
  }
  name[n] = 0;
  if (quoted && !take(t, '>')) return -1;
  return n >= 3 ? 0 : -1;
}

static int rule_day(struct text *t, struct rule_day *d) {
  if (!take(t, ',')) return -1;
  d->time_s = 7200;
  if (take(t, 'M')) {
    d->kind = DAY_OF_MONTH;
    if (number(t, 12, &d->month) != 0 || !take(t, '.') || number(t, 5, &d->week) != 0 || !take(t, '.') || number(t, 6, &d->day) != 0)
      return -1;
    if (d->month < 1 || d->week < 1) return -1;
  } else {
    d->kind = take(t, 'J') ? DAY_JULIAN : DAY_ZERO_BASED;
    if (number(t, 365, &d->day) != 0 || (d->kind == DAY_JULIAN && d->day < 1)) return -1;
  }
  return take(t, '/') ? clock_time(t, &d->time_s) : 0;
}

static int rule_read(struct rule *r, const char *text, int32_t len) {
  struct text t = {text, text + len};
  int32_t west;
  if (zone_name(&t, r->std.name) != 0 || clock_time(&t, &west) != 0) return -1;
  r->std.offset_s = -west;
  if (t.p == t.end) return 0;
  if (zone_name(&t, r->dst.name) != 0) return -1;
  r->dst.offset_s = r->std.offset_s + 3600;
  if (t.p < t.end && *t.p != ',') {
    if (clock_time(&t, &west) != 0) return -1;
    r->dst.offset_s = -west;
  }
  return rule_day(&t, &r->to_dst) == 0 && rule_day(&t, &r->to_std) == 0 && t.p == t.end ? 0 : -1;
}

/* s since 1970 on the clocks before the change */
static int64_t rule_time(const struct rule_day *d, int32_t year) {
  int64_t day;
  if (d->kind == DAY_ZERO_BASED) {
    day = tm_date_days(year, 1, 1) + d->day;
  } else if (d->kind == DAY_JULIAN) {
    int leap = tm_date_days_in(year, 2) == 29;
    day = tm_date_days(year, 1, 1) + d->day - 1 + (leap && d->day >= 60);
  } else {
    int64_t first = tm_date_days(year, d->month, 1);
    int32_t ahead = (d->day - tm_date_weekday(first) + 7) % 7 + 7 * (d->week - 1);
    if (ahead >= tm_date_days_in(year, d->month)) ahead -= 7;
    day = first + ahead;
  }
  return day * DAY_S + d->time_s;
}

/* ---- spans ---- */

/* A change as the question sees it: its point in time, or the first time on clocks that is reckoned behind it. */
static int64_t change_seen(int64_t utc, int32_t before, int32_t after, int local) {
  return local ? utc + (before > after ? before : after) : utc;
}

/* The rule's span that holds t, not before `floor`. */
static struct span rule_span(const struct tm_zone *z, int64_t t, int64_t floor, int local) {
  const struct rule *r = &z->rule;
  struct span s = {floor, INT64_MAX, &r->std};
  if (r->to_dst.kind == DAY_NONE) return s;
  int32_t year = tm_date_year(t / DAY_S - (t % DAY_S < 0));
  for (int32_t y = year - RULE_YEARS / 2; y <= year + RULE_YEARS / 2; y++) {
    int64_t dst = change_seen(rule_time(&r->to_dst, y) - r->std.offset_s, r->std.offset_s, r->dst.offset_s, local);
    int64_t std = change_seen(rule_time(&r->to_std, y) - r->dst.offset_s, r->dst.offset_s, r->std.offset_s, local);
    struct span both[2] = {{dst, 0, &r->dst}, {std, 0, &r->std}};
    int first = dst > std;
    for (int k = 0; k < 2; k++) {
      const struct span *change = &both[k ^ first];
      if (change->from <= t) {
        if (change->from > s.from) s.from = change->from;
        s.type = change->type;
      } else if (change->from < s.to) {
        s.to = change->from;
      }
    }
  }
  return s;
}

static int64_t change_at(const struct tm_zone *z, int32_t i, int local) {
  const struct tm_zone_type *before = i == 0 ? &z->types[0] : &z->types[z->type[i - 1]];
  return change_seen(z->at[i], before->offset_s, z->types[z->type[i]].offset_s, local);
}

static struct span span_find(const struct tm_zone *z, int64_t t, int local) {
  int32_t low = 0, high = z->n;   /* changes seen at or before t */
  while (low < high) {
    int32_t mid = (low + high) / 2;
    if (change_at(z, mid, local) <= t) low = mid + 1; else high = mid;
  }
  int64_t from = low == 0 ? INT64_MIN : change_at(z, low - 1, local);
  if (low == z->n && z->has_rule) return rule_span(z, t, from, local);
  return (struct span){from, low == z->n ? INT64_MAX : change_at(z, low, local), &z->types[low == 0 ? 0 : z->type[low - 1]]};
}

const struct tm_zone_type *tm_zone_at(struct tm_zone *z, int64_t utc_s) {
  if (utc_s < z->utc.from || utc_s >= z->utc.to) z->utc = span_find(z, utc_s, 0);
  return z->utc.type;
}

void tm_zone_span(const struct tm_zone *z, int64_t *from, int64_t *to) {
  *from = z->utc.from;
  *to = z->utc.to;
}

const struct tm_zone_type *tm_zone_at_local(struct tm_zone *z, int64_t local_s) {
  if (local_s < z->local.from || local_s >= z->local.to) z->local = span_find(z, local_s, 1);
  return z->local.type;
}

double tm_ffi_zone_reached(struct tm_zone *z, double utc_ms) {
  int64_t utc_s = (int64_t)floor(utc_ms / 1000);
  int32_t offset = tm_zone_at(z, utc_s)->offset_s;
  struct span now = z->utc;
  double shown = utc_ms + offset * 1000.0;
  if (now.from == INT64_MIN) return shown;
  int32_t before = span_find(z, now.from - 1, 0).type->offset_s;
  /* put back: all before the change was shown already */
  double most = ((double)now.from + before) * 1000.0 - 1;
  return before > offset && most > shown ? most : shown;
}

double tm_ffi_zone_first(struct tm_zone *z, double local_ms) {
  int32_t offset = tm_zone_at_local(z, (int64_t)floor(local_ms / 1000))->offset_s;
  double utc_ms = local_ms - offset * 1000.0;
  if (tm_zone_at(z, (int64_t)floor(utc_ms / 1000))->offset_s == offset || z->utc.from == INT64_MIN) return utc_ms;
  return (double)z->utc.from * 1000.0;   /* left out */
}

static int is_named(const struct tm_zone_type *t, const char *name, int32_t len) {
  return strlen(t->name) == (size_t)len && memcmp(t->name, name, (size_t)len) == 0;
}

int tm_zone_named(const struct tm_zone *z, const char *name, int32_t len, int32_t *offset_s) {
  const struct tm_zone_type *found = NULL;
  /* what is in use today comes last in the file */
  for (int32_t i = 0; i < z->types_n; i++)
    if (is_named(&z->types[i], name, len)) found = &z->types[i];
  if (z->has_rule && is_named(&z->rule.std, name, len)) found = &z->rule.std;
  if (z->has_rule && z->rule.to_dst.kind != DAY_NONE && is_named(&z->rule.dst, name, len)) found = &z->rule.dst;
  if (found == NULL) return 0;
  *offset_s = found->offset_s;
  return 1;
}

/* ---- the file ---- */

struct head {
  int64_t isutc, isstd, leap, time, type, chars;
};

static int64_t big_endian(const char *p, int bytes) {
  uint64_t v = (unsigned char)p[0] & 0x80 ? UINT64_MAX : 0;
  for (int i = 0; i < bytes; i++) v = v << 8 | (unsigned char)p[i];
  return (int64_t)v;
}

static int head_read(const char *p, int64_t len, struct head *h) {
  if (len < HEAD || memcmp(p, "TZif", 4) != 0) return -1;
  int64_t *to[] = {&h->isutc, &h->isstd, &h->leap, &h->time, &h->type, &h->chars};
  for (int i = 0; i < 6; i++) {
    *to[i] = big_endian(p + 20 + 4 * (size_t)i, 4);
    if (*to[i] < 0 || *to[i] > CHANGES_MAX) return -1;
  }
  return h->leap == 0 && h->type >= 1 && h->type <= TYPES_MAX && h->chars >= 1 ? 0 : -1;
}

static int64_t block_size(const struct head *h, int time_bytes) {
  return h->time * (time_bytes + 1) + h->type * 6 + h->chars + h->isstd + h->isutc;
}

static int types_read(struct tm_zone *z, const char *p, const struct head *h) {
  const char *chars = p + h->type * 6;
  z->types_n = (int32_t)h->type;
  for (int32_t i = 0; i < z->types_n; i++, p += 6) {
    int64_t offset = big_endian(p, 4), at = (unsigned char)p[5];
    if (offset < -25 * 3600 || offset > 26 * 3600 || at >= h->chars) return -1;
    const char *end = memchr(chars + at, 0, (size_t)(h->chars - at));
    if (end == NULL || end - (chars + at) > TM_ZONE_NAME_MAX) return -1;
    z->types[i].offset_s = (int32_t)offset;
    memcpy(z->types[i].name, chars + at, (size_t)(end - (chars + at)) + 1);
  }
  return 0;
}

static int changes_read(struct tm_zone *z, const char *p, const struct head *h, int time_bytes) {
  const char *index = p + h->time * time_bytes;
  z->n = (int32_t)h->time;
  z->at = tm_owned_calloc((size_t)z->n + 1, sizeof *z->at);
  z->type = tm_owned_calloc((size_t)z->n + 1, 1);
  if (z->at == NULL || z->type == NULL) return -1;
  for (int32_t i = 0; i < z->n; i++) {
    z->at[i] = big_endian(p + (size_t)i * (size_t)time_bytes, time_bytes);
    z->type[i] = (uint8_t)index[i];
    if (z->type[i] >= h->type || (i > 0 && z->at[i] <= z->at[i - 1])) return -1;
  }
  return 0;
}

static int file_read(struct tm_zone *z, const char *p, int64_t len) {
  struct head h = {0};
  int time_bytes = 4;
  if (head_read(p, len, &h) != 0) return -1;
  if (p[4] >= '2') {   /* the same once more with times of 64 bits */
    int64_t skip = HEAD + block_size(&h, 4);
    if (skip > len || head_read(p + skip, len - skip, &h) != 0) return -1;
    p += skip;
    len -= skip;
    time_bytes = 8;
  }
  p += HEAD;
  len -= HEAD;
  int64_t size = block_size(&h, time_bytes);
  if (size > len) return -1;
  if (changes_read(z, p, &h, time_bytes) != 0 || types_read(z, p + h.time * (time_bytes + 1), &h) != 0) return -1;
  if (time_bytes == 4) return 0;
  p += size;
  len -= size;
  const char *end = len > 1 && *p == '\n' ? memchr(p + 1, '\n', (size_t)len - 1) : NULL;
  if (end == NULL) return -1;
  z->has_rule = end > p + 1;
  return z->has_rule ? rule_read(&z->rule, p + 1, (int32_t)(end - p - 1)) : 0;
}

static struct tm_zone *zone_new(void) {
  struct tm_zone *z = tm_owned_calloc(1, sizeof *z);
  if (z == NULL) return NULL;
  z->utc.to = z->local.to = INT64_MIN;
  return z;
}

void tm_zone_free(struct tm_zone *z) {
  if (z == NULL) return;
  tm_owned_free(z->at);
  tm_owned_free(z->type);
  tm_owned_free(z);
}

struct tm_zone *tm_ffi_zone_new(const char *file, int32_t len) {
  struct tm_zone *z = zone_new();
  if (z == NULL || file_read(z, file, len) == 0) return z;
  tm_zone_free(z);
  return NULL;
}

struct tm_zone *tm_ffi_zone_fixed(double offset_s, const char *name, int32_t len) {
  struct tm_zone *z = zone_new();
  if (z == NULL || len > TM_ZONE_NAME_MAX) return z;
  z->types_n = 1;
  z->types[0].offset_s = (int32_t)offset_s;
  memcpy(z->types[0].name, name, (size_t)len);
  return z;
}
