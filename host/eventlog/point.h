/* point.h - places in an event log as people write them.
 *
 *   start  end            the oldest record; behind the newest
 *   17                    the record with that sequence number
 *   2026-03-01T10:00:00Z  a time, by ISO 8601; a day alone is its begin, without a zone it is UTC
 *   @1772359200000        a time, in ms since 1970 */
#ifndef TM_EVENTLOG_POINT_H
#define TM_EVENTLOG_POINT_H

#include <stddef.h>

enum tm_log_point_kind { TM_LOG_POINT_START, TM_LOG_POINT_END, TM_LOG_POINT_SEQUENCE, TM_LOG_POINT_TIME };

struct tm_log_point {
  enum tm_log_point_kind kind;
  double value;              /* a sequence, or ms */
};

/* 0, or -1 and in why a sentence that says what was found and expected. */
int tm_log_point_parse(const char *text, struct tm_log_point *point, char *why, size_t why_size);

#endif
