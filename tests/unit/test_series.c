/* test_series.c - entries of a series against an array, and what taking them back writes to.
 *
 * Each event inserts, cuts and pops at places and sizes that are drawn, with the record's room and a deque on either side of
 * every step; half of them are taken back. That happens below a guard: stack where calls of the event had their frames, full of a
 * pattern, so that an entry of the log that names a variable of a call long over shows as a hole in it. */
#include "../../host/state/series.h"
#include "state_run.h"

enum { ROOM = 4, GUARD = 32 * 1024, PATTERN = 0xa5, MOST = 400, EVENTS = 4000, AT = 8 };

enum { CELLS_MAX = 4 };
static struct tm_state_field field = {AT, TM_FIELD_SERIES, 0, 1, 0, ROOM};
static const int32_t RECORD_SIZE = AT + (int32_t)sizeof(struct tm_state_ref) + ROOM * CELLS_MAX * TM_CELL_BYTES;

struct ref { uint32_t n; double num[MOST]; };

/* How many bytes of the guard are not what they were after a roll-back. */
static __attribute__((noinline)) int rollback_guarded(struct tm_changes *c) {
  volatile unsigned char guard[GUARD];
  int holes = 0;
  for (int i = 0; i < GUARD; i++) guard[i] = PATTERN;
  tm_ffi_changes_rollback(c, 0);
  for (int i = 0; i < GUARD; i++) holes += guard[i] != PATTERN;
  return holes;
}

static __attribute__((noinline)) void insert(const struct tm_series *x, struct ref *r, double num) {
  union tm_tagged cell = {.num = num};
  uint32_t i = run_below(r->n + 1);
  uint64_t *e = tm_series_insert(x, i);
  if (e == NULL) abort();
  for (int32_t c = 0; c < field.of; c++, cell.num = -cell.num) e[c] = cell.bits;
  memmove(r->num + i + 1, r->num + i, (r->n - i) * sizeof *r->num);
  r->num[i] = num;
  r->n++;
}

static __attribute__((noinline)) void take(const struct tm_series *x, struct ref *r) {
  if (run_below(2) == 0) {
    if (tm_series_pop(x) != 0) abort();
    r->n--;
    return;
  }
  uint32_t n = 1 + run_below(run_below(8) == 0 ? r->n : 1);
  if (tm_series_cut(x, n) != 0) abort();
  r->n -= n;
  memmove(r->num, r->num + n, r->n * sizeof *r->num);
}

static int differs(const struct tm_series *x, const struct ref *r) {
  if (x->ref->n != r->n) return 1;
  for (uint32_t i = 0; i < r->n; i++) {
    const union tm_tagged *e = (const union tm_tagged *)(const void *)tm_series_at(x, i);
    for (int32_t c = 0; c < field.of; c++) {
      if (e[c].num != (c % 2 == 0 ? r->num[i] : -r->num[i])) return 1;
    }
  }
  return 0;
}

/* Entries have so many cells, sizes stay about `around`: what is drawn comes more often below it and goes more often above. */
static void events(int32_t cells, uint32_t around) {
  static struct ref now, before;
  struct tm_budget budget;
  struct tm_key key = {0};
  struct tm_changes *c = run_changes(&budget, 1e9);
  field.of = cells;
  struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, &field, 1);
  int taken_back = 0, holes = 0, wrong = 0;
  now.n = 0;
  run_key(&key, 1);
  for (int i = 0; i < EVENTS; i++) {
    before = now;
    struct tm_series x = tm_series_of(tm_table_of(s), tm_ffi_state_write(s, &key), 0);
    for (uint32_t n = 1 + run_below(4); n > 0; n--) {
      uint32_t up = now.n < around ? 6 : 4;
      if (now.n == 0 || (now.n < MOST && run_below(10) < up)) insert(&x, &now, i + n / 8.0);
      else take(&x, &now);
    }
    /* the first one leaves the record behind, as it would have to come again */
    if (i > 0 && run_below(2) == 0) {
      holes += rollback_guarded(c);
      now = before;
      taken_back++;
    } else {
      tm_ffi_changes_commit(c);
    }
    x = tm_series_of(tm_table_of(s), tm_ffi_state_write(s, &key), 0);
    wrong += differs(&x, &now);
    tm_ffi_changes_rollback(c, 0);
  }
  CHECK(taken_back > EVENTS / 3, "%d cells, around %u: %d events were taken back", cells, around, taken_back);
  CHECK(holes == 0, "%d cells, around %u: roll-backs wrote %d bytes where calls of the event had their variables", cells, around, holes);
  CHECK(wrong == 0, "%d cells, around %u: after %d of %d events other entries than in the array", cells, around, wrong, EVENTS);
  tm_ffi_changes_free(c);
}

int main(void) {
  for (int32_t cells = 1; cells <= CELLS_MAX; cells *= 2) {
    events(cells, 1);
    events(cells, ROOM);
    events(cells, 2 * ROOM);
    events(cells, 200);
  }
  return unit_end("series");
}
