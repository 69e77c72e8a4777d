/* point.c - places in an event log (point.h). */
#include "point.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../abi_c.h"

static const double SEQUENCE_MAX = 9007199254740992.0;

static double time_of(const char *text) {
  char whole[64];
  size_t len = strlen(text);
  if (text[0] == '@') {
    char *end;
    double ms = strtod(text + 1, &end);
    return len > 1 && *end == '\0' && fabs(ms) < SEQUENCE_MAX && strspn(text + 1, "-0123456789") == len - 1 ? ms : NAN;
  }
  int n = snprintf(whole, sizeof whole, "%s%s", text, len == 10 ? "T00:00:00Z" : "");
  return n < (int)sizeof whole ? tm_ffi_time_text(whole, n, TM_TIME_ISO8601) : NAN;
}

int tm_log_point_parse(const char *text, struct tm_log_point *point, char *why, size_t why_size) {
  size_t len = strlen(text);
  *point = (struct tm_log_point){TM_LOG_POINT_START, 0};
  if (strcmp(text, "start") == 0) return 0;
  point->kind = TM_LOG_POINT_END;
  if (strcmp(text, "end") == 0) return 0;
  if (len > 0 && strspn(text, "0123456789") == len) {
    point->kind = TM_LOG_POINT_SEQUENCE;
    point->value = strtod(text, NULL);
    if (point->value >= 1 && point->value < SEQUENCE_MAX) return 0;
    snprintf(why, why_size, "'%.80s' is no sequence number of a record; they count from 1", text);
    return -1;
  }
  point->kind = TM_LOG_POINT_TIME;
  point->value = time_of(text);
  if (!isnan(point->value)) return 0;
  snprintf(why, why_size, "'%.80s' is no place in a log: write start, end, a sequence number such as 17, a time such as "
           "2026-03-01T10:00:00Z, or @1772359200000 for ms since 1970", text);
  return -1;
}
