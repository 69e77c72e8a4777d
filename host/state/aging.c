/* aging.c - elements of a list, map or set that go when they are old.
 *
 * The time of each element lies beside it: of a list in a second list, of a map in a second map with the same keys, of a set, which
 * is a map then, as its value. Both are changed in the same steps by their owner, so what one drops to make room the other drops.
 * A record holds, anywhere, what is known of a container's times:
 *
 *   | least | top | slack |       no time is smaller than least; top: the largest so far; slack: how far one was behind the largest
 *                               before it, at most
 *
 * Elements stand in order of writing, which is that of times but for slack: so only those within slack of the front are looked at.
 * What goes by age is no writing of its key: the order in which keys make room (max_keys) stays. */
#include <math.h>

#include "../base/err.h"
#include "value.h"

/* What a walk from the front has seen of the elements that stay. */
struct stay {
  double least, top, slack;
  int whole;                    /* 1: all of them */
};

/* One more that stays: 1 when no time behind it can be smaller than what was seen, so none behind it goes either. */
static int stay_take(struct stay *s, double time, double slack) {
  if (time < s->least) s->least = time;
  if (time > s->top) s->top = time;
  if (s->top - time > s->slack) s->slack = s->top - time;
  return s->top - slack >= s->least;
}

static double list_time(struct tm_state *s, const void *record, int32_t times, uint32_t i) {
  struct tm_value v = {0};
  tm_ffi_list_get(s, record, times, (double)i, &v);
  return v.num;
}

/* Of the first m elements those that stay move behind those that go: 0 or a code. */
static int32_t list_part(struct tm_state *s, void *record, int32_t field, int32_t times, uint32_t m, double upto) {
  uint32_t to = m;
  for (uint32_t i = m; i > 0; i--) {
    struct tm_value time, v;
    tm_ffi_list_get(s, record, times, (double)i, &time);
    if (time.num <= upto) continue;
    if (to != i) {
      tm_ffi_list_get(s, record, field, (double)i, &v);
      int32_t code = tm_ffi_list_set(s, record, field, (double)to, &v);
      if (code == 0) code = tm_ffi_list_set(s, record, times, (double)to, &time);
      if (code != 0) return code;
    }
    to--;
  }
  return 0;
}

static int32_t list_pass(struct tm_state *s, void *record, int32_t field, int32_t times, double upto, double slack, struct stay *stay) {
  const struct tm_state_ref *ref = tm_field_ref(tm_table_of(s), record, times);
  uint32_t n = ref->n, i = 0, gone = 0, last = 0, over = 0;
  while (i < n && !over) {
    double time = list_time(s, record, times, ++i);
    if (time > upto) over = (uint32_t)stay_take(stay, time, slack);
    else gone++, last = i;
  }
  stay->whole = i == n && !over;
  int32_t code = gone == last ? 0 : list_part(s, record, field, times, last, upto);
  for (; code == 0 && gone > 0; gone--) {
    code = tm_ffi_list_shift(s, record, field, NULL);
    if (code == 0) code = tm_ffi_list_shift(s, record, times, NULL);
  }
  return code;
}

static int32_t map_pass(struct tm_state *s, void *record, int32_t field, int32_t times, double upto, double slack, struct stay *stay) {
  struct tm_value key, time;
  double at = 0;
  int32_t code = 0;
  while (code == 0 && (at = tm_ffi_map_next(s, record, times, at, &key, &time)) != 0) {
    if (time.num > upto) {
      if (stay_take(stay, time.num, slack)) return 0;
      continue;
    }
    if (field != times) code = tm_ffi_map_remove(s, record, field, &key);
    if (code == 0) code = tm_ffi_map_remove(s, record, times, &key);
  }
  stay->whole = 1;
  return code;
}

int32_t tm_ffi_aging_pass(struct tm_state *s, void *record, int32_t field, int32_t times, struct tm_ages *ages, double upto) {
  struct tm_table *t = tm_table_of(s);
  struct stay stay = {INFINITY, -INFINITY, 0, 0};
  int32_t mark = t->log->pub.used;
  if (tm_item_at(t, tm_item_handle(t, record))->key_len == TM_ITEM_GONE) return TM_STATE_GONE;
  if (tm_changes_keep(t->log, ages, sizeof *ages) != 0) return TM_STATE_NO_MEMORY;
  uint32_t links = t->links;
  t->links = 0;  /* the key does not count as written */
  int is_list = t->fields[times].kind == TM_FIELD_LIST;
  int32_t code = (is_list ? list_pass : map_pass)(s, record, field, times, upto, ages->slack, &stay);
  t->links = links;
  if (code < 0) {
    tm_changes_undo(t->log, mark);
    return code;
  }
  ages->least = stay.least;
  if (stay.whole) {
    ages->top = stay.top;
    ages->slack = stay.slack;
  }
  return 0;
}
