/* date_parse.c - text to points in time: strptime's letters, ISO 8601, and counts since 1970.
 *
 * White space in a format stands for any, also none. Numbers have at most as many digits as they can need; names of days and
 * months are read whole or as three letters, in any case. %f %L %N take 1 to 9 digits of a second, what is beyond ms is cut off;
 * %z takes Z, +hh, +hhmm, +hh:mm[:ss]; %Z UTC, GMT, Z or a name that the zone has; %p and %P AM or PM; %s whole seconds since 1970.
 * A date is given by year, month, day (what is missing is 1970, January, the 1st), by year and day of the year, or by
 * ISO year, week and weekday (%G %V %u). A day of the week besides is read and not believed. Weeks of %U and %W are refused.
 * An offset in the text goes before the zone given. Of a time that the zone's clocks show twice, and of one that they leave
 * out, see zone.h. */
#include <math.h>
#include <stdio.h>

#include "../base/buf.h"
#include "date.h"
#include "zone.h"

enum { DAY_S = 86400, SHOWN_MAX = 40, DIGITS_S = 12 };
#define NOT_GIVEN INT32_MIN

struct parsed {
  const char *p;
  int32_t at, len;
  struct tm_zone *zone;
  int32_t year, century, year_of_100, month, day, yearday;
  int32_t iso_year, week, weekday;
  int32_t hour, hour12, afternoon, minute, second, offset_s;
  int64_t fraction_ms, epoch_s;
  int has_epoch;
  const char *expected;     /* of what was not there */
};

static int fail(struct parsed *d, const char *expected) {
  d->expected = expected;
  return -1;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_blanks(struct parsed *d) {
  while (d->at < d->len && is_blank(d->p[d->at])) d->at++;
}

static int number(struct parsed *d, int32_t digits, int32_t low, int32_t high, int32_t *to, const char *expected) {
  int32_t v = 0, i = d->at;
  for (; i < d->len && i - d->at < digits && is_digit(d->p[i]); i++) v = v * 10 + (d->p[i] - '0');
  if (i == d->at || v < low || v > high) return fail(d, expected);
  d->at = i;
  *to = v;
  return 0;
}

/* is `name`, or its first n bytes, there? */
static int word(struct parsed *d, const char *name, size_t n) {
  if ((size_t)(d->len - d->at) < n) return 0;
  for (size_t i = 0; i < n; i++)
    if ((d->p[d->at + (int32_t)i] | 32) != (name[i] | 32)) return 0;
  d->at += (int32_t)n;
  return 1;
}

static int name_of(struct parsed *d, const char *const *names, int n, int32_t *to, const char *expected) {
  for (int i = 0; i < n; i++) {
    if (!word(d, names[i], strlen(names[i])) && !word(d, names[i], 3)) continue;
    *to = i;
    return 0;
  }
  return fail(d, expected);
}

static int fraction(struct parsed *d) {
  int32_t from = d->at, unit = 100;
  d->fraction_ms = 0;
  for (; d->at < d->len && d->at - from < 9 && is_digit(d->p[d->at]); d->at++, unit /= 10)
    d->fraction_ms += (int64_t)unit * (d->p[d->at] - '0');
  return d->at > from ? 0 : fail(d, "1 to 9 digits of a second");
}

/* seconds since 1970; a sign and digits */
static int epoch(struct parsed *d) {
  int32_t i = d->at, negative = i < d->len && d->p[i] == '-', from;
  int64_t v = 0;
  i += negative;
  for (from = i; i < d->len && i - from < DIGITS_S && is_digit(d->p[i]); i++) v = v * 10 + (d->p[i] - '0');
  if (i == from) return fail(d, "whole seconds since 1970");
  d->at = i;
  d->epoch_s = negative ? -v : v;
  d->has_epoch = 1;
  return 0;
}

static int offset(struct parsed *d) {
  static const char expected[] = "an offset such as +02:00, +0200 or Z";
  int32_t h, m = 0, s = 0, sign = 1;
  if (word(d, "Z", 1)) {
    d->offset_s = 0;
    return 0;
  }
  if (d->at == d->len || (d->p[d->at] != '+' && d->p[d->at] != '-')) return fail(d, expected);
  if (d->p[d->at++] == '-') sign = -1;
  if (d->len - d->at < 2 || !is_digit(d->p[d->at + 1]) || number(d, 2, 0, 23, &h, expected) != 0) return fail(d, expected);
  int colon = word(d, ":", 1);
  if (colon || (d->at < d->len && is_digit(d->p[d->at]))) {
    if (number(d, 2, 0, 59, &m, expected) != 0) return -1;
    if (colon && word(d, ":", 1) && number(d, 2, 0, 59, &s, expected) != 0) return -1;
  }
  d->offset_s = sign * (h * 3600 + m * 60 + s);
  return 0;
}

static int zone_name(struct parsed *d) {
  int32_t n = 0;
  while (d->at + n < d->len && ((d->p[d->at + n] | 32) >= 'a') && ((d->p[d->at + n] | 32) <= 'z')) n++;
  const char *name = d->p + d->at;
  int utc = (n == 3 && (memcmp(name, "UTC", 3) == 0 || memcmp(name, "GMT", 3) == 0)) || (n == 1 && *name == 'Z');
  if (utc) d->offset_s = 0;
  else if (n == 0 || !tm_zone_named(d->zone, name, n, &d->offset_s)) return fail(d, "UTC, GMT, Z or a name of the zone's own, such as CET");
  d->at += n;
  return 0;
}

static int half(struct parsed *d) {
  d->afternoon = word(d, "PM", 2);
  return d->afternoon || word(d, "AM", 2) ? 0 : fail(d, "AM or PM");
}

static int year_of_100(struct parsed *d) {
  return number(d, 2, 0, 99, &d->year_of_100, "the last two digits of a year");
}

/* One letter's part of the text: 0, -1 it is not there, -2 there is no such letter. */
static int letter(struct parsed *d, char c) {
  int r;
  switch (c) {
  case 'Y': return number(d, 4, 0, 9999, &d->year, "a year (0000 to 9999)");
  case 'C': return number(d, 2, 0, 99, &d->century, "a century (00 to 99)");
  case 'y': return year_of_100(d);
  case 'm': return number(d, 2, 1, 12, &d->month, "a month (01 to 12)");
  case 'd': case 'e': return number(d, 2, 1, 31, &d->day, "a day of the month (01 to 31)");
  case 'H': case 'k': return number(d, 2, 0, 23, &d->hour, "an hour (00 to 23)");
  case 'I': case 'l': return number(d, 2, 1, 12, &d->hour12, "an hour (01 to 12)");
  case 'M': return number(d, 2, 0, 59, &d->minute, "a minute (00 to 59)");
  case 'S': return number(d, 2, 0, 60, &d->second, "a second (00 to 60)");
  case 'j': return number(d, 3, 1, 366, &d->yearday, "a day of the year (001 to 366)");
  case 'G': return number(d, 4, 0, 9999, &d->iso_year, "a year (0000 to 9999)");
  case 'V': return number(d, 2, 1, 53, &d->week, "a week (01 to 53)");
  case 'u': return number(d, 1, 1, 7, &d->weekday, "a day of the week (1 to 7)");
  case 'w':
    r = number(d, 1, 0, 6, &d->weekday, "a day of the week (0 to 6)");
    if (r == 0 && d->weekday == 0) d->weekday = 7;
    return r;
  case 'a': case 'A':
    r = name_of(d, tm_date_weekdays, TM_DATE_WEEK, &d->weekday, "a day of the week, such as Mon");
    if (r == 0 && d->weekday == 0) d->weekday = 7;
    return r;
  case 'b': case 'B': case 'h':
    r = name_of(d, tm_date_months, TM_DATE_MONTHS, &d->month, "a month, such as Jan");
    d->month += r == 0;
    return r;
  case 'p': case 'P': return half(d);
  case 'f': case 'L': case 'N': return fraction(d);
  case 's': return epoch(d);
  case 'z': return offset(d);
  case 'Z': return zone_name(d);
  case '%': return word(d, "%", 1) ? 0 : fail(d, "%");
  case 'n': case 't': skip_blanks(d); return 0;
  default: return -2;
  }
}

/* Reads the text by the format: 0, -1 it does not fit, -2 a letter that cannot be read, at *at. */
static int read_by(struct parsed *d, const char *format, int32_t len, int32_t *at) {
  static char one[2];
  for (int32_t i = 0; i < len; i++) {
    *at = i;
    if (is_blank(format[i])) {
      skip_blanks(d);
      continue;
    }
    if (format[i] != '%') {
      if (d->at < d->len && d->p[d->at] == format[i]) {
        d->at++;
        continue;
      }
      one[0] = format[i];
      return fail(d, one);
    }
    for (i++; i < len && memchr("-_0^#:3679", format[i], 10) != NULL;) i++;
    if (i >= len) return -2;
    const char *parts = tm_date_composed(format[i]);
    if (parts == NULL && memchr("deHkIlmMSyYjs", format[i], 13) != NULL) skip_blanks(d);
    int32_t inner;
    int r = parts != NULL ? read_by(d, parts, (int32_t)strlen(parts), &inner) : letter(d, format[i]);
    if (r != 0) return r;
  }
  return 0;
}

/* The day that the parts say: 0, or -1 there is none. */
static int day_of(struct parsed *d, int64_t *days) {
  if (d->iso_year != NOT_GIVEN && d->week != NOT_GIVEN) {
    int32_t weekday = d->weekday == NOT_GIVEN ? 1 : d->weekday;
    int64_t first = tm_date_week_first(d->iso_year);
    if (first + ((int64_t)d->week - 1) * 7 >= tm_date_week_first(d->iso_year + 1)) return fail(d, "a week that the year has");
    *days = first + ((int64_t)d->week - 1) * 7 + weekday - 1;
    return 0;
  }
  int32_t year = d->year, y = d->year_of_100;
  if (year == NOT_GIVEN && y != NOT_GIVEN) year = d->century != NOT_GIVEN ? d->century * 100 + y : y + (y < 69 ? 2000 : 1900);
  else if (year == NOT_GIVEN) year = d->century != NOT_GIVEN ? d->century * 100 : 1970;
  if (d->yearday != NOT_GIVEN && d->month == NOT_GIVEN) {
    if (d->yearday > 337 + tm_date_days_in(year, 2)) return fail(d, "a day that the year has");
    *days = tm_date_days(year, 1, 1) + d->yearday - 1;
    return 0;
  }
  int32_t month = d->month == NOT_GIVEN ? 1 : d->month, day = d->day == NOT_GIVEN ? 1 : d->day;
  if (day > tm_date_days_in(year, month)) return fail(d, "a day that the month has");
  *days = tm_date_days(year, month, day);
  return 0;
}

static int64_t in_zone(struct tm_zone *z, int64_t local_ms, int32_t offset_s) {
  if (offset_s == NOT_GIVEN) offset_s = tm_zone_at_local(z, local_ms / 1000 - (local_ms % 1000 < 0))->offset_s;
  return local_ms - (int64_t)offset_s * 1000;
}

static int resolve(struct parsed *d, int64_t *ms) {
  int64_t days;
  if (d->has_epoch) {
    *ms = d->epoch_s * 1000 + d->fraction_ms;
    return 0;
  }
  if (day_of(d, &days) != 0) return -1;
  int32_t hour = d->hour;
  if (hour == NOT_GIVEN && d->hour12 != NOT_GIVEN) hour = d->hour12 % 12 + (d->afternoon == 1 ? 12 : 0);
  if (hour == NOT_GIVEN) hour = 0;
  int64_t local_s = days * DAY_S + hour * 3600 + (d->minute == NOT_GIVEN ? 0 : d->minute * 60) + (d->second == NOT_GIVEN ? 0 : d->second);
  *ms = in_zone(d->zone, local_s * 1000 + d->fraction_ms, d->offset_s);
  return 0;
}

/* ---- what went wrong ---- */

static void say(struct tm_buf *why, const char *text, int32_t n) { tm_buf_put(why, text, n < 0 ? (int32_t)strlen(text) : n); }

static void say_quoted(struct tm_buf *why, const char *text, int32_t n) {
  say(why, "'", 1);
  say(why, text, n < SHOWN_MAX ? n : SHOWN_MAX);
  say(why, n < SHOWN_MAX ? "'" : "…'", -1);
}

static double refuse(struct tm_buf *why, const char *s, int32_t len, const char *format, int32_t format_len, int32_t at,
                     const char *expected) {
  char place[40];
  say_quoted(why, s, len);
  say(why, " does not fit ", -1);
  say_quoted(why, format, format_len);
  say(why, ": expected ", -1);
  if (expected[0] != 0 && expected[1] == 0) say_quoted(why, expected, 1); else say(why, expected, -1);
  int n = snprintf(place, sizeof place, " at byte %d, found ", at + 1);
  say(why, place, n);
  if (at >= len) say(why, "its end", -1); else say_quoted(why, s + at, len - at);
  return NAN;
}

/* ---- counts since 1970 ---- */

/* digits, a sign before them and a fraction behind; in units of 10^-exponent s, to whole ms */
static int count_read(const char *s, int32_t len, int32_t exponent, int64_t *ms) {
  int32_t i = len > 0 && (s[0] == '-' || s[0] == '+'), from = i, point = -1;
  int64_t v = 0, left = 0;
  int32_t places = 3 - exponent;   /* decimal places to keep; negative: to cut off */
  int32_t whole = i;
  while (whole < len && is_digit(s[whole])) whole++;
  for (; i < len; i++) {
    if (s[i] == '.' && point < 0 && i > from) {
      point = i;
      continue;
    }
    if (!is_digit(s[i])) return -1;
    int32_t place = i < whole ? whole - 1 - i : whole - i;   /* units 0, tenths -1 */
    if (place + places < 0) {
      left |= s[i] != '0';
      continue;
    }
    if (v > INT64_MAX / 100) return -1;
    v = v * 10 + (s[i] - '0');
  }
  if (whole == from || point == len - 1) return -1;
  for (int32_t have = point < 0 ? 0 : len - 1 - point; have < places; have++) {
    if (v > INT64_MAX / 100) return -1;
    v *= 10;
  }
  *ms = s[0] == '-' ? -v - (left != 0) : v;
  return 0;
}

static int is(const char *format, int32_t len, const char *name) {
  return strlen(name) == (size_t)len && memcmp(format, name, (size_t)len) == 0;
}

/* A format that is a name: 1 read, 0 it is none, -1 the text does not fit: *expected, *at. */
static int named(const char *s, int32_t len, const char *format, int32_t format_len, struct tm_zone *z, int64_t *ms,
                 const char **expected, int32_t *at) {
  static const struct { const char *name; int32_t exponent; } units[] = {{"s", 0}, {"ms", 3}, {"us", 6}, {"ns", 9}};
  int strict = is(format, format_len, "rfc3339");
  if (strict || is(format, format_len, "iso8601")) {
    int32_t offset_s, r = tm_date_iso8601(s, len, ms, &offset_s);
    *at = r == 0 ? len : -1 - r;
    *expected = strict ? "2024-01-31T13:59:59Z or +01:00 for Z" : "2024-01-31, or with a time: 2024-01-31T13:59:59Z";
    if (r != 0 || (strict && offset_s == INT32_MIN)) return -1;
    *ms = in_zone(z, *ms, offset_s);
    return 1;
  }
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    if (!is(format, format_len, units[i].name)) continue;
    *at = 0;
    *expected = "a number";
    return count_read(s, len, units[i].exponent, ms) == 0 ? 1 : -1;
  }
  return 0;
}

double tm_ffi_date_parse(const char *s, int32_t len, const char *format, int32_t format_len, struct tm_zone *z, struct tm_buf *why) {
  struct parsed d = {
    .p = s, .len = len, .zone = z, .year = NOT_GIVEN, .century = NOT_GIVEN, .year_of_100 = NOT_GIVEN, .month = NOT_GIVEN,
    .day = NOT_GIVEN, .yearday = NOT_GIVEN, .iso_year = NOT_GIVEN, .week = NOT_GIVEN, .weekday = NOT_GIVEN, .hour = NOT_GIVEN,
    .hour12 = NOT_GIVEN, .minute = NOT_GIVEN, .second = NOT_GIVEN, .offset_s = NOT_GIVEN,
  };
  int64_t ms = 0;
  int32_t at = 0;
  const char *expected = NULL;
  why->len = 0;
  int r = named(s, len, format, format_len, z, &ms, &expected, &at);
  if (r < 0) return refuse(why, s, len, format, format_len, at, expected);
  if (r == 0) {
    r = read_by(&d, format, format_len, &at);
    if (r == -2) {
      say(why, "the format's ", -1);
      say_quoted(why, format + at, format_len - at < 3 ? format_len - at : 3);
      say(why, " cannot be read", -1);
      return NAN;
    }
    if (r == 0 && d.at < len) r = fail(&d, "the end");
    if (r == 0) r = resolve(&d, &ms);
    if (r != 0) return refuse(why, s, len, format, format_len, d.at, d.expected);
  }
  if (ms < TM_DATE_FIRST_MS || ms > TM_DATE_LAST_MS) {
    say_quoted(why, s, len);
    say(why, " lies outside of the years 0 to 9999", -1);
    return NAN;
  }
  return (double)ms;
}
