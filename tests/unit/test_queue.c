/* test_queue.c - events that wait against a list sorted the slow way.
 *
 * Each round puts some events behind the watermark, at equal and at far times, with short and long keys and values of every kind; half of
 * the rounds are taken back. Then the watermark moves, and what is due must come in order of time, then of arrival, with its key
 * and values; of some the turn is rolled back, and they must be shown again as tried. */
#include <math.h>

#include "../../host/state/queue.h"
#include "state_run.h"

enum { ROUNDS = 3000, MOST = 20000, VALUES = 2 };

struct wait { double time; uint32_t id; int gone; };
static struct wait list[MOST];
static uint32_t list_n, next_id;
static char texts[256];

/* the slow reference: the least time, of these the first to come */
static struct wait *least(double upto) {
  struct wait *best = NULL;
  for (uint32_t i = 0; i < list_n; i++) {
    if (list[i].gone || list[i].time > upto) continue;
    if (best == NULL || list[i].time < best->time) best = list + i;
  }
  return best;
}

static void values_of(uint32_t id, struct tm_value *v) {
  v[0] = (struct tm_value){(double)id / 3, NULL, 0, TM_VALUE_NUMBER};
  v[1] = (struct tm_value){0, NULL, 0, TM_VALUE_NIL};
  if (id % 5 == 1) v[1].kind = TM_VALUE_TRUE;
  if (id % 5 == 2) v[1] = (struct tm_value){0, texts, (int32_t)(id % 200), TM_VALUE_STRING};
  if (id % 5 == 3) v[1] = (struct tm_value){0, texts, (int32_t)(id % 200), TM_VALUE_ANY};
}

static int same_value(const struct tm_value *a, const struct tm_value *b) {
  if (a->kind != b->kind) return 0;
  if (a->kind == TM_VALUE_NUMBER) return a->num == b->num;
  return a->len == b->len && (a->len == 0 || memcmp(a->text, b->text, (size_t)a->len) == 0);
}

static struct tm_seek key_of(struct tm_table *t, uint32_t id) {
  run_key(t->log->key, id);
  return tm_seek_key(t->log, t->log->key->bytes, (uint32_t)t->log->key->len);
}

static int right(struct tm_table *t, const struct tm_queued *e, uint32_t id) {
  struct tm_seek k = tm_queued_key(e), want = key_of(t, id);
  struct tm_value v[VALUES], own;
  int ok = k.hash == want.hash && k.tag == want.tag && k.len == want.len && memcmp(k.text, want.text, k.len) == 0;
  values_of(id, v);
  for (int32_t i = 0; i < VALUES; i++) {
    tm_queued_value(e, i, &own);
    ok = ok && same_value(&own, v + i);
  }
  return ok;
}

static void put_some(struct tm_changes *c, struct tm_table *t, double w) {
  uint32_t before = list_n;
  struct tm_value v[VALUES];
  for (uint32_t n = run_below(8); n > 0 && list_n < MOST; n--) {
    double far = run_below(20) == 0 ? 1e6 : run_below(3) == 0 ? 3000 : 20;
    list[list_n] = (struct wait){w + 1 + (double)run_below((uint32_t)far), next_id++, 0};
    values_of(list[list_n].id, v);
    struct tm_seek k = key_of(t, list[list_n].id);
    CHECK(tm_queue_put(t, &k, list[list_n].time, v) == 0, "seed 42, event %u", next_id);
    CHECK(t->pub.due <= list[list_n].time, "seed 42, event %u", next_id);
    list_n++;
  }
  if (run_below(2) == 0) {
    tm_ffi_changes_rollback(c, 0);
    list_n = before;
  } else {
    tm_ffi_changes_commit(c);
  }
}

static void take_due(struct tm_changes *c, struct tm_table *t, double w) {
  struct tm_queued *e;
  int tried = 0;
  while ((e = tm_queue_first(t, w)) != NULL || t->pub.code == TM_STATE_MORE) {
    if (e == NULL) continue;
    struct wait *want = least(w);
    CHECK(want != NULL, "seed 42, event %u", next_id);
    if (want == NULL) return;
    CHECK(e->time == want->time && right(t, e, want->id), "seed 42, event %u", next_id);
    CHECK(tm_queue_take(t) == !tried, "seed 42, event %u", next_id);
    if (!tried && run_below(10) == 0) {
      tm_ffi_changes_rollback(c, 0);
      tried = 1;
      continue;
    }
    tm_ffi_changes_commit(c);
    want->gone = 1;
    tried = 0;
  }
  CHECK(least(w) == NULL, "seed 42, event %u", next_id);
}

int main(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_table *t = tm_table_of(run_table(c, 8, 0, TM_ON_FULL_REFUSE, NULL, 0));
  double w = -5000;
  memset(texts, 'x', sizeof texts);
  CHECK(tm_queue_init(t, VALUES) == 0, "seed 42, event %u", next_id);
  for (int i = 0; i < ROUNDS; i++) {
    put_some(c, t, w);
    w += run_below(50) == 0 ? 200000 : run_below(6);
    take_due(c, t, w);
    if (list_n > MOST - 100) break;
  }
  take_due(c, t, INFINITY);
  CHECK(t->pub.due == INFINITY && least(INFINITY) == NULL, "seed 42, event %u", next_id);
  /* nothing is left of what was counted */
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "seed 42, event %u", next_id);
  return unit_end("queue");
}
