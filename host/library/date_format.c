/* date_format.c - points in time as text: strftime's letters as GNU date has them, in the C locale.
 *
 * A conversion is % flags width letter. Flags: - no padding, _ with blanks, 0 with zeros, ^ upper case, # the other case.
 * Beyond POSIX: %N (with a width that many digits), %f microseconds, %L milliseconds, %:z %::z, %s seconds since 1970.
 * A format without a conversion may be a name: iso8601, rfc3339, s, ms, us, ns. */
#include <stdio.h>

#include "../base/buf.h"
#include "date.h"
#include "zone.h"

enum { WIDTH_MAX = 200, TEXT_MAX = 64, DAY_S = 86400, NESTED_MAX = 2 };

/* What a point in time is on a zone's clocks. */
struct shown {
  int64_t ms, local_s, days;
  int32_t year, month, day, hour, minute, second, fraction_ms, weekday, yearday;
  const struct tm_zone_type *type;
};

/* How one conversion is to look. */
struct look {
  char flag;                /* '-', '_', '0', or 0: as the letter has it */
  char letter_case;         /* '^' or '#', or 0 */
  int32_t width;            /* -1: as the letter has it */
  int32_t colons;
};

static struct shown show(int64_t ms, struct tm_zone *z) {
  struct shown d = {.ms = ms};
  int64_t s = ms / 1000 - (ms % 1000 < 0);
  d.fraction_ms = (int32_t)(ms - s * 1000);
  d.type = tm_zone_at(z, s);
  d.local_s = s + d.type->offset_s;
  d.days = d.local_s / DAY_S - (d.local_s % DAY_S < 0);
  int32_t rest = (int32_t)(d.local_s - d.days * DAY_S);
  d.hour = rest / 3600;
  d.minute = rest / 60 % 60;
  d.second = rest % 60;
  tm_date_civil(d.days, &d.year, &d.month, &d.day);
  d.weekday = tm_date_weekday(d.days);
  d.yearday = (int32_t)(d.days - tm_date_days(d.year, 1, 1));
  return d;
}

static int32_t iso_year(const struct shown *d) {
  if (d->days < tm_date_week_first(d->year)) return d->year - 1;
  return d->year + (d->days >= tm_date_week_first(d->year + 1));
}

static int put_padded(struct tm_buf *out, const char *text, int32_t n, int32_t width, char pad) {
  if (width > n && tm_buf_reserve(out, width - n) != 0) return -1;
  for (; width > n; width--) out->data[out->len++] = pad;
  return tm_buf_put(out, text, n);
}

static int put_number(struct tm_buf *out, int64_t v, int32_t width, char pad, const struct look *k) {
  char text[24];
  if (k->flag == '-') width = 0;
  if (k->flag == '_') pad = ' ';
  if (k->flag == '0') pad = '0';
  if (k->width >= 0 && k->flag != '-') width = k->width;
  /* the quick way: two digits, as nearly all */
  if (v >= 0 && v < 100 && width == 2 && (v >= 10 || pad == '0')) {
    text[0] = (char)('0' + v / 10);
    text[1] = (char)('0' + v % 10);
    return tm_buf_put(out, text, 2);
  }
  uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
  int32_t at = sizeof text;
  do text[--at] = (char)('0' + u % 10); while ((u /= 10) != 0);
  int32_t n = (int32_t)sizeof text - at;
  if (v < 0 && pad == '0') {
    if (tm_buf_put(out, "-", 1) != 0) return -1;
    width--;
  } else if (v < 0) {
    text[--at] = '-';
    n++;
  }
  return put_padded(out, text + at, n, width, pad);
}

static int put_text(struct tm_buf *out, const char *text, int32_t n, const struct look *k, int other_is_lower) {
  char changed[TEXT_MAX];
  for (int32_t i = 0; i < n; i++) {
    char c = text[i];
    int lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
    if (lower && (k->letter_case == '^' || (k->letter_case == '#' && !other_is_lower))) c = (char)(c - 32);
    if (upper && k->letter_case == '#' && other_is_lower) c = (char)(c + 32);
    changed[i] = c;
  }
  return put_padded(out, changed, n, k->flag == '-' ? 0 : k->width, k->flag == '0' ? '0' : ' ');
}

/* the fraction of the second, `digits` of them */
static int put_fraction(struct tm_buf *out, int32_t fraction_ms, int32_t digits) {
  char text[TEXT_MAX];
  for (int32_t i = 0; i < digits; i++) text[i] = (char)(i > 2 ? '0' : '0' + fraction_ms / (i == 0 ? 100 : i == 1 ? 10 : 1) % 10);
  return tm_buf_put(out, text, digits);
}

static int put_offset(struct tm_buf *out, int32_t offset_s, int32_t colons) {
  char text[TEXT_MAX];
  int32_t a = offset_s < 0 ? -offset_s : offset_s, h = a / 3600, m = a / 60 % 60, s = a % 60, n;
  char sign = offset_s < 0 ? '-' : '+';
  if (colons == 0) n = snprintf(text, sizeof text, "%c%02d%02d", sign, h, m);
  else if (colons == 1) n = snprintf(text, sizeof text, "%c%02d:%02d", sign, h, m);
  else n = snprintf(text, sizeof text, "%c%02d:%02d:%02d", sign, h, m, s);
  return tm_buf_put(out, text, n);
}

static int put_name(struct tm_buf *out, const char *name, int32_t n, const struct look *k) {
  return put_text(out, name, n < 0 ? (int32_t)strlen(name) : n, k, 0);
}

/* Letters that are a number: 1 done, 0 another letter, -1 no room. */
static int put_numeric(struct tm_buf *out, const struct shown *d, char letter, const struct look *k) {
  int64_t v;
  int32_t width = 2;
  char pad = '0';
  int32_t hour12 = d->hour % 12 == 0 ? 12 : d->hour % 12;
  switch (letter) {
  case 'Y': v = d->year; width = 4; break;
  case 'C': v = d->year / 100; break;
  case 'y': v = d->year % 100; break;
  case 'm': v = d->month; break;
  case 'd': v = d->day; break;
  case 'e': v = d->day; pad = ' '; break;
  case 'H': v = d->hour; break;
  case 'k': v = d->hour; pad = ' '; break;
  case 'I': v = hour12; break;
  case 'l': v = hour12; pad = ' '; break;
  case 'M': v = d->minute; break;
  case 'S': v = d->second; break;
  case 'j': v = d->yearday + 1; width = 3; break;
  case 'u': v = d->weekday == 0 ? 7 : d->weekday; width = 1; break;
  case 'w': v = d->weekday; width = 1; break;
  case 'U': v = (d->yearday + 7 - d->weekday) / 7; break;
  case 'W': v = (d->yearday + 7 - (d->weekday + 6) % 7) / 7; break;
  case 'V': v = (d->days - tm_date_week_first(iso_year(d))) / 7 + 1; break;
  case 'G': v = iso_year(d); width = 4; break;
  case 'g': v = (iso_year(d) % 100 + 100) % 100; break;
  case 's': v = d->local_s - d->type->offset_s; width = 1; break;
  default: return 0;
  }
  return put_number(out, v, width, pad, k) == 0 ? 1 : -1;
}

/* Other letters: 1 done, 0 there is no such letter, -1 no room. */
static int put_other(struct tm_buf *out, const struct shown *d, char letter, const struct look *k) {
  const char *month = tm_date_months[d->month - 1], *weekday = tm_date_weekdays[d->weekday];
  const char *half = d->hour < 12 ? "AM" : "PM", *small = d->hour < 12 ? "am" : "pm";
  int r;
  switch (letter) {
  case 'a': r = put_name(out, weekday, 3, k); break;
  case 'A': r = put_name(out, weekday, -1, k); break;
  case 'b': case 'h': r = put_name(out, month, 3, k); break;
  case 'B': r = put_name(out, month, -1, k); break;
  case 'p': r = put_text(out, half, 2, k, 1); break;
  case 'P': r = put_text(out, small, 2, k, 1); break;
  case 'Z': r = put_text(out, d->type->name, (int32_t)strlen(d->type->name), k, 1); break;
  case 'z': r = put_offset(out, d->type->offset_s, k->colons); break;
  case 'N': r = put_fraction(out, d->fraction_ms, k->width > 0 && k->width < TEXT_MAX ? k->width : 9); break;
  case 'f': r = put_fraction(out, d->fraction_ms, 6); break;
  case 'L': r = put_fraction(out, d->fraction_ms, 3); break;
  case 'n': r = put_padded(out, "\n", 1, k->width, ' '); break;
  case 't': r = put_padded(out, "\t", 1, k->width, ' '); break;
  case '%': r = put_padded(out, "%", 1, k->width, ' '); break;
  default: return 0;
  }
  return r == 0 ? 1 : -1;
}

static int refuse(struct tm_buf *out, int32_t from, const char *format, int32_t at) {
  char words[120];
  out->len = from;
  int n = snprintf(words, sizeof words, "the format has no letter '%.20s'", format + at);
  tm_buf_put(out, words, n);
  return -2;
}

/* the flags, width and colons of a conversion; returns where its letter is */
static int32_t look_read(const char *format, int32_t len, int32_t i, struct look *k) {
  *k = (struct look){.width = -1};
  for (; i < len && memchr("-_0^#", format[i], 5) != NULL; i++) {
    if (format[i] == '^' || format[i] == '#') k->letter_case = format[i]; else k->flag = format[i];
  }
  for (; i < len && format[i] >= '0' && format[i] <= '9'; i++) {
    k->width = (k->width < 0 ? 0 : k->width) * 10 + (format[i] - '0');
    if (k->width > WIDTH_MAX) k->width = WIDTH_MAX;
  }
  for (; i < len && format[i] == ':' && k->colons < 2; i++) k->colons++;
  return i;
}

static int format_put(struct tm_buf *out, const struct shown *d, const char *format, int32_t len) {
  int32_t from = out->len;
  for (int32_t i = 0; i < len;) {
    if (format[i] != '%') {
      int32_t plain = i;
      while (i < len && format[i] != '%') i++;
      if (tm_buf_put(out, format + plain, i - plain) != 0) return -1;
      continue;
    }
    struct look k;
    int32_t at = i + 1;
    i = look_read(format, len, at, &k);
    if (i >= len || (k.colons > 0 && format[i] != 'z')) return refuse(out, from, format, at - 1);
    const char *parts = tm_date_composed(format[i]);
    int r = parts != NULL ? (format_put(out, d, parts, (int32_t)strlen(parts)) == 0 ? 1 : -1) : put_numeric(out, d, format[i], &k);
    if (r == 0) r = put_other(out, d, format[i], &k);
    if (r < 0) return -1;
    if (r == 0) return refuse(out, from, format, at - 1);
    i++;
  }
  return 0;
}

static void say(struct tm_buf *out, const char *words) { tm_buf_put(out, words, (int32_t)strlen(words)); }

static int is(const char *format, int32_t len, const char *name) {
  return strlen(name) == (size_t)len && memcmp(format, name, (size_t)len) == 0;
}

static int iso_put(struct tm_buf *out, const struct shown *d) {
  if (format_put(out, d, "%Y-%m-%dT%H:%M:%S", 17) != 0) return -1;
  if (d->fraction_ms != 0 && (tm_buf_put(out, ".", 1) != 0 || put_fraction(out, d->fraction_ms, 3) != 0)) return -1;
  if (d->type->offset_s == 0) return tm_buf_put(out, "Z", 1);
  return put_offset(out, d->type->offset_s, d->type->offset_s % 60 == 0 ? 1 : 2);
}

/* How long a text of this format holds at most, s; 0: its letters tell parts of a second. */
static int32_t grain(const char *format, int32_t len) {
  int32_t least = DAY_S;
  for (int32_t i = 0; i < len;) {
    struct look k;
    if (format[i++] != '%') continue;
    i = look_read(format, len, i, &k);
    if (i >= len) break;
    char letter = format[i++];
    const char *parts = tm_date_composed(letter);
    int32_t n = parts != NULL                        ? grain(parts, (int32_t)strlen(parts))
                : strchr("NfL", letter) != NULL       ? 0
                : strchr("Ss", letter) != NULL        ? 1
                : letter == 'M'                       ? 60
                : strchr("HkIlpP", letter) != NULL    ? 3600
                                                      : DAY_S;
    if (n < least) least = n;
  }
  return least;
}

/* The span around d in which the text is the same. */
static void same_set(double *same, const struct shown *d, struct tm_zone *z, int32_t seconds) {
  int64_t from, to, into = seconds == 0 ? 0 : (d->local_s % seconds + seconds) % seconds;
  if (seconds == 0) return;
  tm_zone_span(z, &from, &to);
  int64_t first = d->local_s - into - d->type->offset_s, last = first + seconds;
  same[0] = 1000.0 * (double)(first > from ? first : from);
  same[1] = 1000.0 * (double)(last < to ? last : to);
}

int32_t tm_ffi_date_format(struct tm_buf *out, double ms, const char *format, int32_t len, struct tm_zone *z, double *same) {
  char text[40];
  out->len = 0;
  same[0] = same[1] = ms;
  if (!(ms >= (double)TM_DATE_FIRST_MS && ms <= (double)TM_DATE_LAST_MS + 1)) {
    int n = snprintf(text, sizeof text, "%.17g", ms);
    say(out, "the years 0 to 9999 are known, not ms ");
    tm_buf_put(out, text, n);
    return -2;
  }
  int64_t whole = (int64_t)ms;
  if ((double)whole > ms) whole--;
  int n = 0;
  if (is(format, len, "ms")) n = snprintf(text, sizeof text, "%lld", (long long)whole);
  else if (is(format, len, "s")) n = snprintf(text, sizeof text, "%lld", (long long)(whole / 1000 - (whole % 1000 < 0)));
  else if (is(format, len, "us")) n = snprintf(text, sizeof text, "%lld", (long long)(whole * 1000));
  else if (is(format, len, "ns")) n = snprintf(text, sizeof text, "%lld000000", (long long)whole);
  if (n > 0) return tm_buf_put(out, text, whole == 0 ? 1 : n);
  struct shown d = show(whole, z);
  if (is(format, len, "iso8601") || is(format, len, "rfc3339")) return iso_put(out, &d);
  if (memchr(format, '%', (size_t)len) == NULL) {
    say(out, "the format is neither a name (iso8601 rfc3339 s ms us ns) nor has it a %");
    return -2;
  }
  same_set(same, &d, z, grain(format, len));
  return format_put(out, &d, format, len);
}
