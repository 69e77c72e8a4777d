/* test_queue.c - events that wait against a list sorted the slow way.
 *
 * Each round puts some events behind the watermark, at equal, at far and at very far times, with short and long keys and values of every
 * kind, some at once and the others in an event; half of these are taken back. Then the watermark moves, and what is due must come in
 * order of time, then of arrival, with its key and values; what is not taken must be shown again. `due` is never too late. A last part
 * has a crowd about one time, which comes in slices. */
#include <math.h>

#include "../../host/state/queue.h"
#include "state_run.h"

enum { ROUNDS = 3000, MOST = 20000, VALUES = 2, CROWD = 1500 };

struct wait { double time; uint32_t id; int gone; };
static struct wait list[MOST];
static uint32_t list_n, next_id, slices;
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
    double far = run_below(50) == 0 ? 1e9 : run_below(20) == 0 ? 1e6 : run_below(3) == 0 ? 9000 : 20;
    list[list_n] = (struct wait){w + 1 + (double)run_below((uint32_t)far), next_id++, 0};
    values_of(list[list_n].id, v);
    struct tm_seek k = key_of(t, list[list_n].id);
    int now = c->used == 0 && run_below(3) == 0;
    CHECK((now ? tm_queue_put_now : tm_queue_put)(t, &k, list[list_n].time, v) == 0, "seed 42, event %u", next_id);
    if (now) before = list_n + 1;
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
  while ((e = tm_queue_first(t, w)) != NULL || t->pub.code == TM_STATE_MORE) {
    if (e == NULL) {
      slices++;
      put_some(c, t, w);
      continue;
    }
    struct wait *want = least(w);
    CHECK(want != NULL, "seed 42, event %u", next_id);
    if (want == NULL) return;
    CHECK(e->time == want->time && right(t, e, want->id), "seed 42, event %u", next_id);
    CHECK(t->pub.due <= want->time, "seed 42, event %u", next_id);
    if (run_below(10) == 0) continue;   /* not taken: shown again */
    tm_queue_take(t);
    want->gone = 1;
    want = least(INFINITY);
    CHECK(t->pub.due <= (want == NULL ? (double)INFINITY : want->time), "seed 42, event %u", next_id);
  }
  CHECK(least(w) == NULL && c->used == 0, "seed 42, event %u", next_id);
}

/* more in one slot than a call moves, and others that come to it while it is emptied */
static double crowd(struct tm_changes *c, struct tm_table *t, double w) {
  double at = w + 20000 + (double)run_below(20000);
  struct tm_value v[VALUES];
  slices = list_n = 0;
  for (int i = 0; i < CROWD; i++) {
    list[list_n] = (struct wait){at + (double)run_below(6), next_id++, 0};
    values_of(list[list_n].id, v);
    struct tm_seek k = key_of(t, list[list_n].id);
    CHECK(tm_queue_put_now(t, &k, list[list_n].time, v) == 0, "seed 42, event %u", next_id);
    list_n++;
  }
  CHECK(t->pub.due <= least(INFINITY)->time, "seed 42, event %u", next_id);
  take_due(c, t, at + 1);
  CHECK(slices > 1, "%u slices", slices);
  take_due(c, t, at + 1e10);
  return at + 1e10;
}

int main(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_table *t = tm_table_of(run_table(c, 8, 0, TM_ON_FULL_REFUSE, NULL, 0));
  double w = -5000;
  memset(texts, 'x', sizeof texts);
  CHECK(tm_queue_init(t, VALUES) == 0, "seed 42, event %u", next_id);
  for (int i = 0; i < ROUNDS; i++) {
    /* several events wait before anybody looks, also behind one that was rolled back */
    for (uint32_t n = 1 + run_below(3); n > 0; n--) put_some(c, t, w);
    w += run_below(50) == 0 ? 200000 : run_below(20) == 0 ? run_below(10000) : run_below(6);
    take_due(c, t, w);
    if (list_n > MOST - 100) break;
  }
  take_due(c, t, w += 1e10);
  for (int i = 0; i < 20; i++) w = crowd(c, t, w);
  take_due(c, t, INFINITY);
  CHECK(t->pub.due == INFINITY && least(INFINITY) == NULL, "seed 42, event %u", next_id);
  /* nothing is left of what was counted */
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "seed 42, event %u", next_id);
  return unit_end("queue");
}
