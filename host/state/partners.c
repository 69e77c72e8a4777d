/* partners.c - events of a key that wait for partners: three lists of a record, in order of arrival.
 *
 *   field      times, numbers             field + 1   the events' bytes          field + 2   marks, numbers; none without marks
 *
 * Times need not be in order. `slack` is how far one was behind the largest before it, at most: so times are in order but for that
 * much, and where those of a span begin is found by halving. */
#include "deque.h"

#include "../base/err.h"

enum { PASS_MAX = 8 };          /* events removed a call */

/* Element i of the times, from 0. */
static double time_at(const struct tm_table *t, const struct tm_state_ref *ref, uint32_t i) {
  double v;
  memcpy(&v, tm_deque_at(t, ref->at, i, TM_CELL_BYTES), sizeof v);
  return v;
}

int32_t tm_ffi_partners_keep(struct tm_state *s, void *record, int32_t field, double time, double mark, const char *text, int32_t len) {
  struct tm_table *t = tm_table_of(s);
  struct tm_value v = {.num = time, .kind = TM_VALUE_NUMBER};
  int32_t log, code = tm_field_begin(t, record, field, &log);
  if (code == 0) code = tm_ffi_list_push(s, record, field, &v);
  v = (struct tm_value){.text = text, .len = len, .kind = TM_VALUE_STRING};
  if (code == 0) code = tm_ffi_list_push(s, record, field + 1, &v);
  v = (struct tm_value){.num = mark, .kind = TM_VALUE_NUMBER};
  if (code == 0 && mark != 0) code = tm_ffi_list_push(s, record, field + 2, &v);
  return tm_field_end(t, log, code);
}

/* Nothing up to the index returned lies in the span; all of it are -1. */
static int64_t before_span(const struct tm_table *t, const struct tm_state_ref *ref, double lo, double slack) {
  int64_t left = -1, right = ref->n;
  while (right - left > 1) {
    int64_t mid = left + (right - left) / 2;
    /* the largest time up to mid is at most slack later than its own: below lo too */
    if (time_at(t, ref, (uint32_t)mid) < lo - slack) left = mid;
    else right = mid;
  }
  return left;
}

int32_t tm_ffi_partners_next(struct tm_state *s, const void *record, int32_t field, int32_t after, double lo, double hi, double slack) {
  const struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field);
  int64_t i = after;
  if (ref->n == 0) return 0;
  if (after == 0 && time_at(t, ref, 0) < lo) i = before_span(t, ref, lo, slack) + 1;
  for (; i < ref->n; i++) {
    double time = time_at(t, ref, (uint32_t)i);
    if (time > hi + slack) return 0;  /* those behind it are later than hi */
    if (time >= lo && time <= hi) return (int32_t)i + 1;
  }
  return 0;
}

int32_t tm_ffi_partners_pass(struct tm_state *s, void *record, int32_t field, double upto) {
  const struct tm_table *t = tm_table_of(s);
  for (int n = 0; n < PASS_MAX; n++) {
    const struct tm_state_ref *times = tm_field_ref(t, record, field), *marks = tm_field_ref(t, record, field + 2);
    if (times->n == 0 || time_at(t, times, 0) > upto) return 0;
    int32_t code = tm_ffi_list_shift(s, record, field, NULL);
    if (code == 0) code = tm_ffi_list_shift(s, record, field + 1, NULL);
    if (code == 0 && marks->n > 0) code = tm_ffi_list_shift(s, record, field + 2, NULL);
    if (code != 0) return code;
  }
  return TM_STATE_MORE;
}

int32_t tm_ffi_partners_marked(struct tm_state *s, const void *record, int32_t field, double mark) {
  const struct tm_table *t = tm_table_of(s);
  const struct tm_state_ref *ref = tm_field_ref(t, record, field + 2);
  int64_t left = -1, right = ref->n;
  while (right - left > 1) {
    int64_t mid = left + (right - left) / 2;
    double v = time_at(t, ref, (uint32_t)mid);
    if ((v < 0 ? -v : v) < mark) left = mid;
    else right = mid;
  }
  return right < ref->n && time_at(t, ref, (uint32_t)right) == mark ? (int32_t)right + 1 : 0;
}
