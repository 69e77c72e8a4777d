/* test_turns.c - events of sliding windows and their turns, against a list that is looked through for each of them.
 *
 * Thousands of streams: events behind the watermark in any order, at equal times, with gaps and values that are not there, some of them
 * rolled back before they wait; then the watermark moves. Of each turn the key, the time and what count, sum, mean, deviation and quantile
 * are made of must be those of the list, in order of time, then of arrival. Half of the turns have a row, which writes into another
 * state and is rolled back: that changes nothing. Windows that move over all keys have exactly the keys that have events in them.
 * The same where records have entries of their own (windows of last), where allocations fail, and with budgets that do not suffice. */
#include <math.h>

#include "../../host/aggregate/slide.h"
#include "state_run.h"

enum { STREAMS = 3000, ROUNDS = 40, MOST = 2000, CELLS = 2, PARTS = 6, NUMBERS = 19, FIELDS = 6 };
/* where parts have their doubles; fields: texts of three sums, of squares, of buckets, then entries */
enum { N = 0, SOME = 1, SUM = 2, MEAN = 4, VAR = 7, LAST = 12, OWN = 14 };
enum { Q_SUM = 0, Q_MEAN = 1, Q_VAR = 2, P_VAR = 3, BUCKETS = 4, ENTRIES = 5 };

struct event { double time, value; uint32_t key; int has, taken; };
static struct event list[MOST];
static uint32_t list_n, stream, fails;

struct run {
  struct tm_changes *c;
  struct tm_state *s, *other;
  struct tm_slide p;
  struct tm_slide_part parts[PARTS];
  struct tm_value in[CELLS], out[PARTS];
  double size;
};

static void plan(struct run *r, int moving, double size) {
  memset(&r->p, 0, sizeof r->p);
  r->size = size;
  r->parts[0] = (struct tm_slide_part){.kind = TM_SLIDE_COUNT, .at = N};
  r->parts[1] = (struct tm_slide_part){.kind = TM_SLIDE_COUNT, .cell = 1, .at = SOME};
  r->parts[2] = (struct tm_slide_part){.kind = TM_SLIDE_SUM, .cell = 1, .at = SUM, .field = Q_SUM};
  r->parts[3] = (struct tm_slide_part){.kind = TM_SLIDE_MEAN, .cell = 1, .at = MEAN, .field = Q_MEAN};
  r->parts[4] = (struct tm_slide_part){.kind = TM_SLIDE_VARIANCE, .cell = 1, .at = VAR, .field = Q_VAR, .squares = P_VAR};
  r->parts[5] = (struct tm_slide_part){.kind = TM_SLIDE_LAST, .cell = 1, .at = LAST};
  if (moving) r->parts[5] = (struct tm_slide_part){.kind = TM_SLIDE_QUANTILE, .cell = 1, .field = BUCKETS, .log_g = log(1.02)};
  r->p.parts = r->parts;
  r->p.parts_n = PARTS;
  r->p.sizes = &r->size;
  r->p.longest = size;
  r->p.windows_n = 1;
  r->p.in = r->in;
  r->p.out = r->out;
  r->p.cells = CELLS;
  r->p.series = moving ? -1 : ENTRIES;
  r->p.moving = moving;
  r->p.at = OWN;
}

static void start(struct run *r, struct tm_budget *budget, double limit, int moving, double size) {
  struct tm_state_field fields[FIELDS];
  for (int i = 0; i < FIELDS; i++) fields[i] = (struct tm_state_field){NUMBERS * 8 + i * 8, TM_FIELD_TEXT, 0, 0, 0, 0};
  fields[ENTRIES].kind = TM_FIELD_SERIES;
  fields[ENTRIES].of = CELLS;
  fields[ENTRIES].max = 2;
  r->c = run_changes(budget, 0);
  r->s = run_table(r->c, NUMBERS * 8 + FIELDS * 8 + 2 * CELLS * 8, 0, TM_ON_FULL_REFUSE, fields, moving ? FIELDS - 1 : FIELDS);
  r->other = run_table(r->c, 8, 0, TM_ON_FULL_REFUSE, NULL, 0);
  plan(r, moving, size);
  if (tm_ffi_turns_new(&r->p, r->s) != 0) abort();
  tm_ffi_turns_also(r->s, r->other);
  budget->limit = limit > 0 ? budget->used + limit : 0;
  list_n = 0;
}

/* ---- the slow reference ---- */

static struct event *next_turn(double w) {
  struct event *best = NULL;
  for (uint32_t i = 0; i < list_n; i++) {
    if (!list[i].taken && list[i].time <= w && (best == NULL || list[i].time < best->time)) best = list + i;
  }
  return best;
}

static int in_window(const struct event *e, double now, double size) { return e->taken && now - e->time < size; }

static uint32_t keys_in_window(double now, double size) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < list_n; i++) {
    int first = in_window(list + i, now, size);
    for (uint32_t j = 0; first && j < i; j++) first = !(in_window(list + j, now, size) && list[j].key == list[i].key);
    n += (uint32_t)first;
  }
  return n;
}

/* values are whole, so all of this is exact in doubles */
static int right(const struct run *r, const double *record, const struct event *e) {
  double n = 0, some = 0, sum = 0, squares = 0;
  const struct event *last = NULL;
  for (uint32_t i = 0; i < list_n; i++) {
    const struct event *x = list + i;
    if (x->key != e->key || !in_window(x, e->time, r->size)) continue;
    n++;
    if (!x->has) continue;
    some++;
    sum += x->value;
    squares += x->value * x->value;
    if (last == NULL || x->time >= last->time) last = x;
  }
  int ok = record[N] == n && record[SOME] == some && record[SUM] == sum && record[SUM + 1] == 0;
  ok = ok && record[MEAN] == sum && record[MEAN + 2] == some;
  ok = ok && record[VAR] == sum && record[VAR + 2] == some && record[VAR + 3] == squares;
  if (!r->p.moving) return ok && (last == NULL ? r->out[5].kind == TM_VALUE_NIL : r->out[5].num == last->value);
  /* of one value each quantile is that, about */
  double q = tm_ffi_buckets_quantile(r->s, record, BUCKETS, log(1.02), 0.5);
  return ok && (some != 1 || fabs(q - sum) <= fabs(sum) * 0.01 + 1e-9);
}

/* ---- streams ---- */

static int hold(struct run *r, const struct event *e) {
  struct tm_key k;
  run_key(&k, e->key);
  r->in[1] = (struct tm_value){e->value, NULL, 0, e->has ? TM_VALUE_NUMBER : TM_VALUE_NIL};
  return tm_ffi_turns_hold(&r->p, r->s, &k, e->time);
}

static void some_come(struct run *r, double w, uint32_t keys, uint32_t span) {
  uint32_t before = list_n;
  for (uint32_t n = run_below(6); n > 0 && list_n < MOST; n--) {
    struct event e = {w + 1 + run_below(span), (double)run_below(2000) - 1000, run_below(keys), run_below(5) != 0, 0};
    if (hold(r, &e) == 0) list[list_n++] = e;
  }
  if (run_below(8) == 0) {
    tm_ffi_changes_rollback(r->c, 0);
    list_n = before;
  } else {
    tm_ffi_changes_commit(r->c);
  }
}

/* what stands behind a turn makes something of it, and fails or not */
static void row(struct run *r, const struct event *e) {
  struct tm_key want, got;
  run_key(&want, e->key);
  tm_ffi_turns_key(r->s, &got);
  CHECK(got.len == want.len && memcmp(got.bytes, want.bytes, (size_t)want.len) == 0, "stream %u", stream);
  double before = r->other->keys, *p = tm_ffi_turns_write(r->s, r->other);
  if (p != NULL) ++*p;
  if (run_below(2) != 0) {
    tm_ffi_changes_commit(r->c);
    return;
  }
  tm_ffi_changes_rollback(r->c, 0);
  CHECK(r->other->keys == before, "stream %u", stream);
}

static void take_turns(struct run *r, double w) {
  for (;;) {
    const double *record = tm_ffi_turns_next(&r->p, r->s, w, NULL);
    if (record == NULL && r->s->code == TM_STATE_MORE) continue;
    struct event *e = next_turn(w);
    int failed = record == NULL && r->s->code == TM_STATE_NO_MEMORY;
    CHECK(r->c->used == 0 && (record == NULL && !failed) == (e == NULL), "stream %u", stream);
    if (e == NULL) return;
    e->taken = 1;
    /* it is in its window all the same, as the second time there is memory */
    fails += (uint32_t)failed;
    if (record == NULL) continue;
    CHECK(r->p.time == e->time && right(r, record, e), "stream %u, time %.0f", stream, e->time);
    CHECK(!r->p.moving || r->s->keys == keys_in_window(e->time, r->size), "stream %u, time %.0f", stream, e->time);
    row(r, e);
  }
}

/* faults: now and then an allocation fails */
static void stream_run(int moving, int faults) {
  static const double sizes[] = {1, 10, 100, 5000};
  struct tm_budget budget;
  struct run r;
  double w = run_below(2) ? -5000 : 1.7e12;
  uint32_t keys = run_below(2) ? 3 : 40, span = run_below(2) ? 5 : 3000;
  start(&r, &budget, 0, moving, sizes[run_below(4)]);
  for (int i = 0; i < ROUNDS; i++) {
    if (faults) budget.fail_in = run_below(3) * run_below(12);
    some_come(&r, w, keys, span);
    w += run_below(20) == 0 ? run_below(20000) : run_below(span);
    take_turns(&r, w);
  }
  budget.fail_in = 0;
  take_turns(&r, INFINITY);
  CHECK(r.s->due == INFINITY, "stream %u", stream);
  tm_ffi_changes_free(r.c);
  CHECK(budget.used == 0, "stream %u", stream);
}

/* Where there is no memory a turn fails once with its row, then for good: nothing else is lost, and what is held stays right. */
static void short_of_memory(int moving) {
  struct tm_budget budget;
  struct run r;
  double w = 0, record_n;
  uint32_t failed = 0, gone = 0;
  start(&r, &budget, 4096 * (1 + run_below(60)), moving, 100);
  for (int i = 0; i < 300; i++) {
    some_come(&r, w, 40, 50);
    w += run_below(60);
    for (;;) {
      const double *record = tm_ffi_turns_next(&r.p, r.s, w, NULL);
      int32_t code = r.s->code;
      if (record == NULL && code == TM_STATE_MORE) continue;
      if (record == NULL && code == 0) break;
      failed += code == TM_STATE_NO_MEMORY;
      gone += code == TM_STATE_GONE;
      CHECK(record != NULL || code == TM_STATE_NO_MEMORY || code == TM_STATE_GONE, "code %d", code);
      CHECK(gone <= failed && r.c->used == 0, "%u gone, %u failed", gone, failed);
      record_n = record == NULL ? 1 : record[N];
      CHECK(record_n >= 1, "%.0f", record_n);
      if (gone > 3) budget.limit = 0;
    }
  }
  tm_ffi_changes_free(r.c);
  CHECK(budget.used == 0, "%.0f bytes left", budget.used);
}

/* a window full of events that leave with one: more than a call takes out */
static void all_leave(void) {
  struct tm_budget budget;
  struct run r;
  start(&r, &budget, 0, 1, 1000);
  for (uint32_t i = 0; i < MOST - 1; i++) {
    list[list_n] = (struct event){1 + i % 500, 1, i % 300, 1, 0};
    CHECK(hold(&r, list + list_n++) == 0, "event %u", i);
    tm_ffi_changes_commit(r.c);
  }
  take_turns(&r, 600);
  list[list_n] = (struct event){5000, 1, 7, 1, 0};
  CHECK(hold(&r, list + list_n++) == 0, "the last one");
  tm_ffi_changes_commit(r.c);
  uint32_t more = 0;
  const double *record;
  while ((record = tm_ffi_turns_next(&r.p, r.s, 5000, NULL)) == NULL && r.s->code == TM_STATE_MORE) more++;
  CHECK(record != NULL && record[N] == 1 && r.s->keys == 1 && more > 2, "%u calls", more);
  tm_ffi_changes_free(r.c);
}

int main(void) {
  for (stream = 0; stream < STREAMS; stream++) stream_run(stream % 4 != 0, stream % 3 == 0);
  CHECK(fails > 100, "only %u turns failed", fails);
  for (int i = 0; i < 200; i++) short_of_memory(i % 2);
  all_leave();
  return unit_end("turns");
}
