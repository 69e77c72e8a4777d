/* date.h - the Gregorian calendar, for all years alike, and the names of its days and months. */
#ifndef TM_LIBRARY_DATE_H
#define TM_LIBRARY_DATE_H

#include <stdint.h>

/* What scripts can name: years 0 to 9999. */
#define TM_DATE_FIRST_MS (-62167219200000)
#define TM_DATE_LAST_MS 253402300799999

enum { TM_DATE_MONTHS = 12, TM_DATE_WEEK = 7 };
extern const char *const tm_date_months[TM_DATE_MONTHS];   /* "January" */
extern const char *const tm_date_weekdays[TM_DATE_WEEK];   /* "Sunday" first */

/* days since 1970-01-01 of a day that exists */
int64_t tm_date_days(int32_t year, int32_t month, int32_t day);
void tm_date_civil(int64_t days, int32_t *year, int32_t *month, int32_t *day);
int32_t tm_date_year(int64_t days);
int32_t tm_date_days_in(int32_t year, int32_t month);
/* 0 is Sunday */
int32_t tm_date_weekday(int64_t days);
/* the Monday of a year's first week, as ISO 8601 counts them */
int64_t tm_date_week_first(int32_t year);

/* What a letter of strftime stands for that is made of others, %F for one; NULL for a letter that is none of these. */
const char *tm_date_composed(char letter);

/* Reads ISO 8601's date, or date and time: yyyy-mm-dd[Thh:mm[:ss[.digits]][zone]]; zone Z or +hh[[:]mm], a blank or t for T.
 * 24:00 is the end of the day, second 60 that of the minute. *ms is reckoned as if UTC's clocks showed it; *offset_s what the
 * text says of its zone, INT32_MIN nothing. 0, or -1 - the byte at which it ceases to be one. */
int32_t tm_date_iso8601(const char *p, int32_t len, int64_t *ms, int32_t *offset_s);

#endif
