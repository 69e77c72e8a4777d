/* date.c - see date.h. Days and dates: Howard Hinnant, "chrono-compatible low-level date algorithms". */
#include "date.h"
#include <stddef.h>

const char *const tm_date_months[TM_DATE_MONTHS] = {"January", "February", "March", "April", "May", "June", "July", "August",
                                                    "September", "October", "November", "December"};
const char *const tm_date_weekdays[TM_DATE_WEEK] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

enum { ERA_YEARS = 400, ERA_DAYS = 146097, TO_1970 = 719468, DAY_S = 86400 };

int64_t tm_date_days(int32_t year, int32_t month, int32_t day) {
  int64_t y = (int64_t)year - (month <= 2);
  int64_t era = (y >= 0 ? y : y - (ERA_YEARS - 1)) / ERA_YEARS;
  int64_t in_era = y - era * ERA_YEARS;
  int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - TO_1970;
}

void tm_date_civil(int64_t days, int32_t *year, int32_t *month, int32_t *day) {
  days += TO_1970;
  int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
  int64_t d = days - era * ERA_DAYS;
  int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
  int64_t in_year = d - (365 * y + y / 4 - y / 100);
  int64_t m = (5 * in_year + 2) / 153;
  *day = (int32_t)(in_year - (153 * m + 2) / 5 + 1);
  *month = (int32_t)(m < 10 ? m + 3 : m - 9);
  *year = (int32_t)(y + era * ERA_YEARS + (*month <= 2));
}

int32_t tm_date_year(int64_t days) {
  int32_t year, month, day;
  tm_date_civil(days, &year, &month, &day);
  return year;
}

int32_t tm_date_days_in(int32_t year, int32_t month) {
  static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

int32_t tm_date_weekday(int64_t days) { return (int32_t)(((days + 4) % TM_DATE_WEEK + TM_DATE_WEEK) % TM_DATE_WEEK); }

int64_t tm_date_week_first(int32_t year) {
  int64_t fourth = tm_date_days(year, 1, 4);   /* always in the first week */
  return fourth - (tm_date_weekday(fourth) + 6) % TM_DATE_WEEK;
}

/* ---- ISO 8601 ---- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

struct iso {
  const char *p;
  int32_t at, len;
};

/* a number of n digits; -1: there are fewer, or it is not in the range */
static int32_t fixed(struct iso *t, int32_t n, int32_t low, int32_t high) {
  int32_t v = 0;
  if (t->at + n > t->len) return -1;
  for (int32_t i = 0; i < n; i++) {
    if (!is_digit(t->p[t->at + i])) return -1;
    v = v * 10 + (t->p[t->at + i] - '0');
  }
  if (v < low || v > high) return -1;
  t->at += n;
  return v;
}

static int take(struct iso *t, const char *any) {
  if (t->at == t->len) return 0;
  for (; *any != 0; any++) {
    if (t->p[t->at] != *any) continue;
    t->at++;
    return 1;
  }
  return 0;
}

/* digits behind the point, to whole ms; *left: any of them is not 0 */
static int fraction(struct iso *t, int64_t *ms, int *left) {
  int32_t from = t->at, unit = 100;
  for (; t->at < t->len && is_digit(t->p[t->at]); t->at++, unit /= 10) {
    *ms += (int64_t)unit * (t->p[t->at] - '0');
    *left |= t->p[t->at] != '0';
  }
  return t->at > from ? 0 : -1;
}

static int zone(struct iso *t, int32_t *offset_s) {
  if (t->at == t->len) return 0;
  if (take(t, "Zz")) {
    *offset_s = 0;
    return t->at == t->len ? 0 : -1;
  }
  int32_t sign = take(t, "-") ? -1 : 1, m = 0;
  if (sign > 0 && !take(t, "+")) return -1;
  int32_t h = fixed(t, 2, 0, 23);
  if (h < 0) return -1;
  if (t->at < t->len) {
    take(t, ":");
    m = fixed(t, 2, 0, 59);
    if (m < 0) return -1;
  }
  *offset_s = sign * (h * 3600 + m * 60);
  return t->at == t->len ? 0 : -1;
}

static int clock_time(struct iso *t, int64_t *ms, int32_t *offset_s) {
  int left = 0;
  int32_t h = fixed(t, 2, 0, 24);
  if (h < 0 || !take(t, ":")) return -1;
  int32_t m = fixed(t, 2, 0, 59), s = 0;
  if (m < 0) return -1;
  if (take(t, ":")) {
    s = fixed(t, 2, 0, 60);
    if (s < 0) return -1;
    if (take(t, ".,") && fraction(t, ms, &left) != 0) return -1;
  }
  if (h == 24 && (m != 0 || s != 0 || left)) return -1;
  *ms += ((int64_t)h * 3600 + m * 60 + s) * 1000;
  return zone(t, offset_s);
}

int32_t tm_date_iso8601(const char *p, int32_t len, int64_t *ms, int32_t *offset_s) {
  struct iso t = {p, 0, len};
  *offset_s = INT32_MIN;
  int32_t y = fixed(&t, 4, 0, 9999);
  if (y < 0 || !take(&t, "-")) return -1 - t.at;
  int32_t m = fixed(&t, 2, 1, 12);
  if (m < 0 || !take(&t, "-")) return -1 - t.at;
  int32_t d = fixed(&t, 2, 1, tm_date_days_in(y, m));
  if (d < 0) return -1 - t.at;
  *ms = tm_date_days(y, m, d) * DAY_S * 1000;
  if (t.at == len) return 0;
  if (!take(&t, "Tt ") || clock_time(&t, ms, offset_s) != 0) return -1 - t.at;
  return 0;
}

const char *tm_date_composed(char letter) {
  switch (letter) {
  case 'D': case 'x': return "%m/%d/%y";
  case 'F': return "%Y-%m-%d";
  case 'T': case 'X': return "%H:%M:%S";
  case 'R': return "%H:%M";
  case 'r': return "%I:%M:%S %p";
  case 'c': return "%a %b %e %H:%M:%S %Y";
  default: return NULL;
  }
}
