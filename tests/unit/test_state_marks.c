/* test_state_marks.c - sets of numbers that share their values, against a byte for each number that there may be.
 *
 * Events of some additions are committed or rolled back; now and then all is compared: a walk gives each number once, with its marks,
 * and the sizes are those of the bytes. Also with a limit, with a budget that fails in the middle of a call, which then has changed nothing,
 * with so many numbers that there is a directory; records go and take their memory with them, and what is left moves. */
#include <math.h>

#include "../../host/state/table.h"
#include "state_run.h"

enum { RECORDS = 24, RANGE = 60000, SETS = 5, RECORD = 8 * SETS + 8 };

static const struct tm_state_field field = {8 * SETS, TM_FIELD_MARKS, 0, 0, 0, 0};
struct ref { uint8_t marks[RANGE]; double n[SETS]; };
static struct ref now[RECORDS], before[RECORDS];
static struct tm_key key;
static int failed;  /* calls that had no memory */

static double number_of(uint32_t id) {
  if (id == 0) return run_below(2) != 0 ? -0.0 : 0.0;
  if (id == 1) return INFINITY;
  if (id == 2) return -INFINITY;
  if (id % 5 == 0) return -(double)id;
  return id % 7 == 0 ? id / 16.0 : id % 11 == 0 ? id * 1e300 : id;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* two doubles each: the number and its marks */
static const char *differs(struct tm_state *s, uint32_t r) {
  static double found[RANGE][2], want[RANGE][2];
  size_t n = 0, m = 0;
  run_key(&key, r);
  const char *record = tm_ffi_state_find(s, &key);
  if (record == NULL) return "no record";
  for (double at = 0; (at = tm_ffi_marks_next(s, record, 0, at, found[n])) != 0;) {
    if (++n == RANGE) return "a walk without an end";
  }
  for (uint32_t id = 0; id < RANGE; id++) {
    if (now[r].marks[id] == 0) continue;
    want[m][0] = number_of(id) + 0.0;
    want[m++][1] = now[r].marks[id];
  }
  const struct tm_state_ref *ref = (const void *)(record + field.off);
  if (n != m || ref->n != n) return "how many";
  qsort(found, n, sizeof found[0], compare);
  qsort(want, m, sizeof want[0], compare);
  if (n > 0 && memcmp(found, want, n * sizeof found[0]) != 0) return "a number or its marks";
  return memcmp(record, now[r].n, sizeof now[r].n) == 0 ? NULL : "the sizes";
}

static int32_t ref_add(struct ref *r, uint32_t id, int32_t marks, double max) {
  int32_t fresh = marks & ~r->marks[id];
  for (int i = 0; i < SETS && max > 0; i++) {
    if ((fresh >> i & 1) != 0 && r->n[i] >= max) return TM_STATE_FULL;
  }
  for (int i = 0; i < SETS; i++) r->n[i] += fresh >> i & 1;
  r->marks[id] = (uint8_t)(r->marks[id] | fresh);
  return fresh;
}

/* 1: an answer was wrong */
static int event(struct tm_changes *c, struct tm_state *s, uint32_t r, uint32_t range, double max) {
  const struct tm_marks plan = {0, 0, SETS, 0, max};
  before[r] = now[r];
  run_key(&key, r);
  void *record = tm_ffi_state_write(s, &key);
  for (uint32_t k = 1 + run_below(5); record != NULL && k > 0; k--) {
    uint32_t id = run_below(range);
    int32_t marks = 1 + (int32_t)run_below((1 << SETS) - 1);
    int32_t rc = tm_ffi_marks_add(s, record, &plan, number_of(id), marks);
    if (rc == TM_STATE_NO_MEMORY) failed++;
    else if (rc != ref_add(&now[r], id, marks, max)) return 1;
  }
  if (record == NULL || run_below(4) == 0) {
    tm_ffi_changes_rollback(c, 0);
    now[r] = before[r];
  } else {
    tm_ffi_changes_commit(c);
  }
  return 0;
}

static void run(uint32_t seed, int events, uint32_t records, uint32_t range, double max, int faults) {
  struct tm_budget budget;
  const char *what = NULL;
  run_state = seed;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD, 0, 0, &field, 1);
  memset(now, 0, sizeof now);
  for (uint32_t r = 0; r < records; r++) {
    run_key(&key, r);
    tm_ffi_state_write(s, &key);
    tm_ffi_changes_commit(c);
  }
  for (int i = 0; i < events && what == NULL; i++) {
    uint32_t r = run_below(records);
    if (faults) budget.fail_in = 1 + run_below(12);
    if (event(c, s, r, range, max)) what = "an answer";
    budget.fail_in = 0;
    if (what == NULL && (faults || i % 97 == 0)) what = differs(s, r);
    if (i % 16 == 0) tm_ffi_changes_care(c, 1000);
    CHECK(what == NULL, "seed %u, event %d: %s", seed, i, what);
  }
  /* most go, what is left moves together */
  for (uint32_t r = 0; r < records; r++) {
    if (r % 8 == 0) continue;
    run_key(&key, r);
    tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key));
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 40)) continue;
  for (uint32_t r = 0; r < records && what == NULL; r += 8) {
    what = differs(s, r);
    CHECK(what == NULL, "seed %u, after the others went: %s", seed, what);
  }
  for (uint32_t r = 0; r < records; r += 8) {
    run_key(&key, r);
    tm_ffi_state_empty(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key), 0);
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 100000)) continue;
  CHECK(s->bytes < 512 * 1024, "seed %u: %.0f bytes are left of nothing", seed, s->bytes);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

int main(void) {
  for (uint32_t seed = 1; seed <= 12; seed++) {
    run(seed, 500, 3, 12, 0, 0);
    run(seed, 500, 3, 200, 20, 0);
    run(seed, 400, 2, 2000, 0, 1);
  }
  run(77, 30000, 1, RANGE, 0, 0);
  run(78, 60000, RECORDS, 6000, 0, 0);
  CHECK(failed > 0, "no call failed");
  return unit_end("state_marks");
}
