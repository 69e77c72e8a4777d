/* test_partners.c - events that wait for partners, against arrays that are searched from end to end.
 *
 * Random keeping, passing and asking, in time and out of it, with events that are taken back; every n-th allocation fails. */
#include "../../host/state/table.h"
#include "state_run.h"

enum { REF = sizeof(struct tm_state_ref), CAP = 4000, FIELD = 1 };

static const struct tm_state_field fields[4] = {
    {0, TM_FIELD_TEXT, 0, 0, 0, 0},
    {REF, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 0},
    {2 * REF, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 0},
    {3 * REF, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 0},
};

static struct waiting { double time, mark; char text[16]; } ref[CAP];
static int32_t ref_n;
static double top, slack;
static struct tm_key key;

static void ref_shift(int32_t n) {
  memmove(ref, ref + n, (size_t)(ref_n - n) * sizeof *ref);
  ref_n -= n;
}

static int32_t ref_next(int32_t after, double lo, double hi) {
  for (int32_t i = after; i < ref_n; i++)
    if (ref[i].time >= lo && ref[i].time <= hi) return i + 1;
  return 0;
}

/* what Lua keeps up beside the lists */
static void slack_note(double time) {
  if (ref_n == 0) top = time, slack = 0;
  else if (time > top) top = time;
  else if (top - time > slack) slack = top - time;
}

static void compare(struct tm_state *s, const void *record, int marked) {
  struct tm_value v;
  int same = 1;
  CHECK(tm_ffi_list_get(s, record, FIELD, ref_n + 1, NULL) == TM_STATE_RANGE, "as many");
  for (int32_t i = 0; i < ref_n && same; i++) {
    same = tm_ffi_list_get(s, record, FIELD, i + 1, &v) == 0 && v.num == ref[i].time;
    same = same && tm_ffi_list_get(s, record, FIELD + 1, i + 1, &v) == 0 && v.len == (int32_t)strlen(ref[i].text) &&
           memcmp(v.text, ref[i].text, (size_t)v.len) == 0;
    if (marked) same = same && tm_ffi_list_get(s, record, FIELD + 2, i + 1, &v) == 0 && v.num == ref[i].mark;
  }
  CHECK(same, "the same events");
}

static void ask(struct tm_state *s, const void *record, double now) {
  double lo = now - run_below(300), hi = lo + run_below(400);
  int32_t after = 0, want = 0;
  do {
    want = ref_next(want, lo, hi);
    after = tm_ffi_partners_next(s, record, FIELD, after, lo, hi, slack);
    CHECK(after == want, "the next in [%.0f, %.0f]: %d, not %d", lo, hi, want, after);
  } while (after == want && after != 0);
}

static void random_run(int marked, uint32_t disorder) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 4 * REF, 0, TM_ON_FULL_REFUSE, fields, 4);
  double now = 1000, mark = 0;
  ref_n = 0;
  run_key(&key, 1);
  for (int event = 0; event < 4000; event++) {
    static struct waiting before[CAP];
    int32_t before_n = ref_n, undone = run_below(10) == 0;
    double before_top = top, before_slack = slack;
    memcpy(before, ref, sizeof ref);
    void *record = tm_ffi_state_write(s, &key);
    if (record == NULL) abort();
    if (run_below(3) > 0) now += run_below(20);
    if (run_below(3) == 0) {
      double upto = now - run_below(3000);
      int32_t gone = 0;
      while (gone < ref_n && gone < 8 && ref[gone].time <= upto) gone++;
      int32_t rc = tm_ffi_partners_pass(s, record, FIELD, upto);
      CHECK(rc == (gone == 8 ? TM_STATE_MORE : TM_STATE_OK), "passed %d: %d", gone, rc);
      ref_shift(gone);
    }
    if (ref_n < CAP && run_below(5) > 0) {
      struct waiting *w = &ref[ref_n];
      w->time = now - run_below(disorder + 1);
      w->mark = marked ? (run_below(2) ? ++mark : -++mark) : 0;
      int32_t len = snprintf(w->text, sizeof w->text, "%.*s%d", (int)run_below(8), "........", event);
      slack_note(w->time);
      CHECK(tm_ffi_partners_keep(s, record, FIELD, w->time, w->mark, w->text, len) == 0, "kept");
      ref_n++;
    }
    ask(s, record, now);
    if (marked && ref_n > 0) {
      int32_t i = (int32_t)run_below((uint32_t)ref_n);
      double m = ref[i].mark < 0 ? -ref[i].mark : ref[i].mark;
      CHECK(tm_ffi_partners_marked(s, record, FIELD, m) == (ref[i].mark > 0 ? i + 1 : 0), "the mark %.0f", m);
      CHECK(tm_ffi_partners_marked(s, record, FIELD, mark + 1) == 0 && tm_ffi_partners_marked(s, record, FIELD, 0.5) == 0, "no such mark");
    }
    if (undone) {
      tm_ffi_changes_rollback(c, 0);
      memcpy(ref, before, sizeof ref);
      ref_n = before_n;
      top = before_top, slack = before_slack;
    } else {
      tm_ffi_changes_commit(c);
    }
    if (event % 50 == 0) {
      const void *found = tm_ffi_state_find(s, &key);
      if (found != NULL) compare(s, found, marked);
    }
  }
  tm_ffi_changes_free(c);
}

static void allocations_fail(void) {
  for (int n = 1; n < 200; n++) {
    struct tm_budget budget;
    struct tm_changes *c = run_changes(&budget, 0);
    struct tm_state *s = run_table(c, 4 * REF, 0, TM_ON_FULL_REFUSE, fields, 4);
    run_key(&key, 2);
    ref_n = 0;
    budget.fail_in = n;
    for (int i = 0; i < 300; i++) {
      void *record = tm_ffi_state_write(s, &key);
      if (record == NULL) break;
      int32_t used = c->used, rc = tm_ffi_partners_keep(s, record, FIELD, i, i + 1, "0123456789", 10);
      if (rc != 0) CHECK(c->used == used, "a call that fails leaves nothing in the log");
      else ref[ref_n++] = (struct waiting){i, i + 1, "0123456789"};
      tm_ffi_changes_commit(c);
    }
    const void *found = tm_ffi_state_find(s, &key);
    if (found != NULL) compare(s, found, 1);
    tm_ffi_changes_free(c);
  }
}

int main(void) {
  for (uint32_t seed = 1; seed <= 6; seed++) {
    run_state = seed;
    random_run(seed & 1, seed % 3 == 0 ? 0 : seed % 3 == 1 ? 100 : 3000);
  }
  allocations_fail();
  return unit_end("partners");
}
