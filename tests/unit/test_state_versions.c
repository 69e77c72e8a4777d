/* test_state_versions.c - rows that hold from a time on, against a row of structs in order of time that is searched from the front.
 *
 * Random puts (in order, late, at a time there is), trims and roll-backs; after each event all is compared: every version, what holds
 * at random times, what is over first. Also with a budget that fails in the middle of a call, which then has changed nothing, and
 * with so many versions that the lists lie in chunks. */
#include <math.h>

#include "../../host/state/table.h"
#include "state_run.h"

enum { CAP = 5000, TEXT = 64 };

static const struct tm_state_field fields[2] = {
  {0, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 0},
  {8, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 0},
};

struct version { double time; uint32_t id; };   /* id 0: there is none */
struct ref { uint32_t n; struct version v[CAP]; };

static struct ref now, before;
static struct tm_key key;

static int row_of(uint32_t id, char *text) {
  return id == 0 ? 0 : snprintf(text, TEXT, "{\"id\":%u,\"%.*s\":1}", id, (int)(id % 20), "aaaaaaaaaaaaaaaaaaaa");
}

/* the index of the last one that is not later, from 1; 0 there is none */
static uint32_t ref_at(const struct ref *r, double time) {
  uint32_t n = 0;
  while (n < r->n && r->v[n].time <= time) n++;
  return n;
}

static void ref_put(struct ref *r, double time, uint32_t id) {
  uint32_t n = ref_at(r, time);
  if (n > 0 && r->v[n - 1].time == time) {
    r->v[n - 1].id = id;
    return;
  }
  memmove(r->v + n + 1, r->v + n, (r->n - n) * sizeof r->v[0]);
  r->v[n] = (struct version){time, id};
  r->n++;
}

static void ref_trim(struct ref *r, double time, uint32_t most) {
  while (r->n > 0 && most-- > 0) {
    int void_row = r->v[0].time <= time && r->v[0].id == 0;
    if (!void_row && !(r->n > 1 && r->v[1].time <= time)) return;
    memmove(r->v, r->v + 1, --r->n * sizeof r->v[0]);
  }
}

static double ref_over(const struct ref *r) {
  if (r->n == 0) return NAN;
  if (r->v[0].id == 0) return r->v[0].time;
  return r->n > 1 ? r->v[1].time : NAN;
}

static const char *differs(struct tm_state *s, const void *record, double range) {
  struct tm_value time, row;
  char text[TEXT];
  const struct tm_state_ref *refs = record;
  if (refs[0].n != now.n || refs[1].n != now.n) return "how many";
  for (uint32_t i = 0; i < now.n; i++) {
    int len = row_of(now.v[i].id, text);
    if (tm_ffi_list_get(s, record, 0, i + 1, &time) != 0 || time.num != now.v[i].time) return "a time";
    if (tm_ffi_list_get(s, record, 1, i + 1, &row) != 0 || row.len != len || memcmp(row.text, text, (size_t)len) != 0) return "a row";
  }
  for (int i = 0; i < 8; i++) {
    double t = (double)run_below((uint32_t)range + 3) - 1;
    uint32_t n = ref_at(&now, t);
    int there = n > 0 && now.v[n - 1].id != 0, len = n > 0 ? row_of(now.v[n - 1].id, text) : 0;
    if (tm_ffi_versions_get(s, record, 0, t, &row) != there) return "what holds";
    if (n > 0 && (row.len != len || row.num != now.v[n - 1].time || memcmp(row.text, text, (size_t)len) != 0)) return "the row that holds";
  }
  double over = tm_ffi_versions_over(s, record, 0), want = ref_over(&now);
  return over == want || (isnan(over) && isnan(want)) ? NULL : "what is over first";
}

/* One event of some changes: 1 an answer was wrong; failed counts calls that had no memory. */
static int event(struct tm_changes *c, struct tm_state *s, uint32_t range, uint32_t grow, int *failed) {
  char text[TEXT];
  before = now;
  run_key(&key, 4);
  void *record = tm_ffi_state_write(s, &key);
  for (uint32_t k = 1 + run_below(4); record != NULL && k > 0; k--) {
    double time = run_below(3) == 0 ? run_below(range) : now.n > 0 ? now.v[now.n - 1].time + run_below(3) : 0;
    uint32_t id = run_below(8) == 0 ? 0 : run_below(100000), most = 1 + run_below(6);
    if (run_below(100) < grow && now.n < CAP - 1) {
      int len = row_of(id, text), is_new = now.n == 0 || ref_at(&now, time) == 0 || now.v[ref_at(&now, time) - 1].time != time;
      int32_t rc = tm_ffi_versions_put(s, record, 0, time, text, len);
      if (rc == TM_STATE_NO_MEMORY) (*failed)++;
      else if (rc != (is_new ? TM_STATE_NEW : TM_STATE_OK)) return 1;
      else ref_put(&now, time, id);
    } else {
      double low = now.n > 0 ? now.v[run_below(now.n)].time + run_below(2) : 1;
      struct ref *r = &now;
      uint32_t n = now.n;
      int32_t rc = tm_ffi_versions_trim(s, record, 0, low, (int32_t)most);
      if (rc == TM_STATE_NO_MEMORY) {
        (*failed)++;
        continue;
      }
      ref_trim(r, low, most);
      if (rc != (int32_t)now.n || now.n > n) return 1;
    }
  }
  if (record == NULL || run_below(3) == 0) {
    tm_ffi_changes_rollback(c, 0);
    now = before;
  } else {
    tm_ffi_changes_commit(c);
  }
  return 0;
}

static void run(uint32_t seed, int events, uint32_t range, uint32_t grow, int faults) {
  struct tm_budget budget;
  int failed = 0;
  run_state = seed;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 16, 0, 0, fields, 2);
  run_key(&key, 4);
  tm_ffi_state_write(s, &key);
  tm_ffi_changes_commit(c);
  now.n = 0;
  for (int i = 0; i < events; i++) {
    if (faults) budget.fail_in = 1 + run_below(12);
    int wrong = event(c, s, range, grow, &failed);
    budget.fail_in = 0;
    run_key(&key, 4);
    const char *what = wrong ? "an answer" : differs(s, tm_ffi_state_find(s, &key), range);
    if (what != NULL) {
      CHECK(0, "seed %u, event %d: %s", seed, i, what);
      break;
    }
    if (i % 16 == 0) tm_ffi_changes_care(c, 1000);
  }
  CHECK(!faults || failed > 0, "seed %u: nothing failed", seed);
  run_key(&key, 4);
  tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key));
  tm_ffi_changes_commit(c);
  while (tm_ffi_changes_care(c, 100000)) {}
  CHECK(s->keys == 0, "the key is gone");
  tm_ffi_changes_free(c);
}

int main(void) {
  for (uint32_t seed = 1; seed <= 20; seed++) {
    run(seed, 600, 40, 60, 0);
    run(seed, 600, 5000, 90, 0);
    run(seed, 400, 300, 75, 1);
  }
  run(99, 3000, 100000, 98, 0);
  return unit_end("state_versions");
}
