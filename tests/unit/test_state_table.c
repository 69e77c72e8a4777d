/* test_state_table.c - keyed tables against a reference that copies everything.
 *
 * The reference is an array by key number: is it there, its record, when it came, when it was last written. An event or
 * a mark is a copy of the whole array, taking back is copying it back; order is a search for the smallest number. After
 * every event both are compared in full: walk order, records, keys, sizes, what was dropped for room.
 * Further: every n-th allocation fails; walks that rest while keys come, go and holes are closed; clear; memory after
 * growth and after most keys went; the budget is settled to the byte. */
#include "../../host/state/table.h"
#include "state_run.h"

enum { IDS_MAX = 4096, RECORD_WORDS = 4 };

struct ref_key {
  int32_t there;
  uint64_t came, written;
  uint64_t words[RECORD_WORDS];
};
struct ref {
  uint64_t clock;
  uint32_t n;
  double evicted;
  struct ref_key keys[IDS_MAX];
};

static struct tm_key key;

/* ---- the reference ---- */

static uint32_t ref_oldest(const struct ref *r, uint32_t ids) {
  uint32_t best = ids;
  for (uint32_t i = 0; i < ids; i++) {
    if (r->keys[i].there && (best == ids || r->keys[i].written < r->keys[best].written)) best = i;
  }
  return best;
}

static void ref_remove(struct ref *r, uint32_t id) {
  memset(&r->keys[id], 0, sizeof r->keys[id]);
  r->n--;
}

static void ref_empty(struct ref *r) {
  r->n = 0;
  memset(r->keys, 0, sizeof r->keys);
}

/* 0 refused */
static struct ref_key *ref_write(struct ref *r, uint32_t id, uint32_t ids, uint32_t max, int on_full) {
  struct ref_key *k = r->keys + id;
  if (!k->there) {
    if (max != 0 && r->n >= max) {
      if (on_full != TM_ON_FULL_OLDEST) return NULL;
      ref_remove(r, ref_oldest(r, ids));
      r->evicted++;
    }
    r->n++;
    k->there = 1;
    k->came = ++r->clock;
  }
  k->written = ++r->clock;
  return k;
}

static uint32_t order_ids[IDS_MAX];
static const struct ref *order_ref;

static int by_arrival(const void *a, const void *b) {
  uint64_t x = order_ref->keys[*(const uint32_t *)a].came, y = order_ref->keys[*(const uint32_t *)b].came;
  return x < y ? -1 : x > y;
}

/* ---- comparing ---- */

static void *walk_next(struct tm_state_cursor *w) {
  void *record;
  do record = tm_ffi_cursor_next(w);
  while (record == NULL && !w->done);
  return record;
}

/* the first difference, or NULL */
static const char *differs(struct tm_state *s, const struct ref *r, uint32_t ids) {
  uint32_t n = 0;
  const char *what = NULL;
  for (uint32_t i = 0; i < ids; i++) {
    if (r->keys[i].there) order_ids[n++] = i;
  }
  order_ref = r;
  qsort(order_ids, n, sizeof order_ids[0], by_arrival);
  if (s->keys != n || s->evicted != r->evicted) return "size";
  struct tm_state_cursor *w = tm_ffi_cursor_new(s);
  for (uint32_t i = 0; i < n && what == NULL; i++) {
    const void *record = walk_next(w);
    int32_t len;
    run_key(&key, order_ids[i]);
    if (record == NULL) {
      what = "walk ends early";
    } else {
      const char *bytes = tm_ffi_state_key(s, record, &len);
      if (len != key.len || memcmp(bytes, key.bytes, (size_t)len) != 0) what = "order of arrival";
      else if (memcmp(record, r->keys[order_ids[i]].words, sizeof r->keys[0].words) != 0) what = "record";
      else if (tm_ffi_state_find(s, &key) != record) what = "find";
    }
  }
  if (what == NULL && walk_next(w) != NULL) what = "walk goes on";
  tm_ffi_cursor_free(w);
  return what;
}

static const char *absent_found(struct tm_state *s, const struct ref *r, uint32_t ids) {
  for (uint32_t i = 0; i < ids; i++) {
    run_key(&key, i);
    if (!r->keys[i].there && tm_ffi_state_find(s, &key) != NULL) return "a removed key is found";
  }
  return NULL;
}

/* ---- random operations ---- */

static struct ref now, marks[4], before;

/* one random change to both: 0, or 1 if it was refused (to both) */
static int change(struct tm_state *s, uint32_t ids, uint32_t max, int on_full, uint32_t removes) {
  uint32_t id = run_below(ids);
  run_key(&key, id);
  if (run_below(100) < removes) {
    void *record = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
    if ((record != NULL) != now.keys[id].there) return -1;
    if (record == NULL) return 0;
    ref_remove(&now, id);
    return tm_ffi_state_remove(s, record) == 0 ? 0 : -1;
  }
  struct ref_key *k = ref_write(&now, id, ids, max, on_full);
  int was_new = k != NULL && k->came + 1 == k->written;
  uint64_t *words = tm_ffi_state_write(s, &key);
  if (k == NULL) return words == NULL && s->code == (on_full == TM_ON_FULL_STOP ? TM_STATE_STOP : TM_STATE_FULL) ? 0 : -1;
  if (words == NULL || s->code != was_new) return -1;
  uint32_t i = run_below(RECORD_WORDS);
  words[i] += k->written;
  k->words[i] += k->written;
  return 0;
}

struct plan {
  const char *name;
  uint32_t ids, max;
  int on_full;
  uint32_t events, every;   /* compared in full at every so many-th event, and after each roll-back of a small table */
};

static void random_run(const struct plan *p) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD_WORDS * 8, p->max, p->on_full, NULL, 0);
  const char *what = NULL;
  uint32_t event, ops = 0, taken_back = 0;
  memset(&now, 0, sizeof now);
  for (event = 0; event < p->events && what == NULL; event++) {
    /* the share of removals wanders, so that tables grow and shrink */
    uint32_t removes = event / 5000 % 3 == 0 ? 20 : event / 5000 % 3 == 1 ? 50 : 70;
    uint32_t n = run_below(6), marks_n = 0;
    int32_t at[4];
    if (run_below(3000) == 0) {
      if (tm_ffi_state_recycle(s) != 0 || s->keys != 0 || c->used != 0) what = "recycle";
      ref_empty(&now);
    }
    before = now;
    if (run_below(3000) == 0 && (tm_ffi_state_clear(s) != 0 || s->keys != 0)) what = "clear";
    if (c->used != 0) ref_empty(&now);
    for (uint32_t i = 0; i < n && what == NULL; i++, ops++) {
      if (marks_n < 4 && run_below(4) == 0) {
        marks[marks_n] = now;
        at[marks_n++] = c->used;
      }
      if (change(s, p->ids, p->max, p->on_full, removes) != 0) what = "a change";
      if (marks_n > 0 && run_below(6) == 0) {
        uint32_t m = run_below(marks_n);
        tm_ffi_changes_rollback(c, at[m]);
        now = marks[m];
        marks_n = m;
        taken_back++;
      }
    }
    int back = run_below(4) == 0;
    if (back) {
      tm_ffi_changes_rollback(c, 0);
      now = before;
      taken_back++;
    } else {
      tm_ffi_changes_commit(c);
    }
    if (what == NULL && (event % p->every == 0 || (back && p->ids <= 200))) what = differs(s, &now, p->ids);
    if (what == NULL && event % (p->every * 50) == 0) what = absent_found(s, &now, p->ids);
  }
  CHECK(what == NULL, "%s: event %u: %s", p->name, event, what);
  CHECK(taken_back > p->events / 10, "%s: %u taken back", p->name, taken_back);
  CHECK(differs(s, &now, p->ids) == NULL, "%s: at the end", p->name);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%s: %.0f bytes are still counted", p->name, budget.used);
}

static void random_runs(void) {
  static const struct plan plans[] = {
    {"few keys", 40, 0, 0, 120000, 1},
    {"oldest goes", 120, 50, TM_ON_FULL_OLDEST, 80000, 1},
    {"one at most", 5, 1, TM_ON_FULL_OLDEST, 60000, 1},
    {"refused", 100, 50, TM_ON_FULL_REFUSE, 60000, 1},
    {"stopped", 100, 50, TM_ON_FULL_STOP, 20000, 1},
    {"many keys", 4000, 0, 0, 100000, 200},
    {"many keys, oldest goes", 4000, 1500, TM_ON_FULL_OLDEST, 60000, 100},
  };
  for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) random_run(plans + i);
}

/* ---- large tables ---- */

static uint32_t *written_order;

static int by_number(const void *a, const void *b) {
  uint32_t x = written_order[*(const uint32_t *)a], y = written_order[*(const uint32_t *)b];
  return x < y ? -1 : x > y;
}

/* New keys come to a table that is full from now on: the others must go in the order in which they were written. */
static void oldest_go(struct tm_changes *c, struct tm_state *s, const uint8_t *there, uint32_t *written, uint32_t n) {
  uint32_t *order = calloc(n, sizeof *order), left = 0;
  int ok = order != NULL;
  for (uint32_t i = 0; i < n && ok; i++) {
    if (there[i]) order[left++] = i;
  }
  written_order = written;
  qsort(order, left, sizeof *order, by_number);
  ((struct tm_table *)(void *)s)->max_keys = left;
  for (uint32_t i = 0; i < left && ok; i++) {
    run_key(&key, n + i);
    ok &= tm_ffi_state_write(s, &key) != NULL && s->keys == left && s->evicted == i + 1.0;
    tm_ffi_changes_commit(c);
    run_key(&key, order[i]);
    ok &= tm_ffi_state_find(s, &key) == NULL;
    if (i + 1 == left) break;
    run_key(&key, order[i + 1]);
    ok &= tm_ffi_state_find(s, &key) != NULL;
  }
  CHECK(ok, "the oldest of %u go first", left);
  free(order);
}

/* 300,000 numbers come, 270,000 of them go at random and the rest go on: everything is found all the time. */
static void grow_and_shrink(int oldest) {
  enum { N = 300000 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 16, oldest ? 1e7 : 0, oldest ? TM_ON_FULL_OLDEST : 0, NULL, 0);
  static uint8_t there[N];
  static uint32_t written[N];
  uint32_t left = N, clock = 0;
  int ok = 1;
  for (uint32_t i = 0; i < N; i++) {
    run_key(&key, i);
    double *record = tm_ffi_state_write(s, &key);
    if (record == NULL) abort();
    record[0] = i;
    there[i] = 1;
    written[i] = ++clock;
    tm_ffi_changes_commit(c);
    if (i % 1000 != 0) continue;
    for (uint32_t k = 0; k <= i; k += 1 + i / 500) {
      run_key(&key, k);
      record = (double *)(uintptr_t)tm_ffi_state_find(s, &key);
      ok &= record != NULL && record[0] == k;
    }
  }
  CHECK(ok, "keys are lost while it grows");
  double full = s->bytes;
  while (left > N / 10) {
    uint32_t id = run_below(N);
    if (!there[id]) continue;
    run_key(&key, id);
    void *record = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
    ok &= record != NULL;
    if (record != NULL) tm_ffi_state_remove(s, record);
    tm_ffi_changes_commit(c);
    there[id] = 0;
    left--;
  }
  CHECK(ok, "keys are lost while it shrinks");
  for (uint32_t i = 0; i < 100000; i++) {
    uint32_t id = run_below(N);
    run_key(&key, id);
    if (tm_ffi_state_find(s, &key) != NULL) {
      tm_ffi_state_write(s, &key);
      written[id] = ++clock;
    }
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 1000)) continue;
  uint32_t found = 0;
  double last = -1;
  struct tm_state_cursor *w = tm_ffi_cursor_new(s);
  for (const double *record; (record = walk_next(w)) != NULL; found++) {
    ok &= record[0] > last && there[(uint32_t)record[0]];
    last = record[0];
  }
  tm_ffi_cursor_free(w);
  CHECK(ok && found == left && s->keys == left, "the walk gives %u of %u in order of arrival", found, left);
  for (uint32_t i = 0; i < N; i++) {
    run_key(&key, i);
    ok &= (tm_ffi_state_find(s, &key) != NULL) == there[i];
  }
  CHECK(ok, "what is left is found");
  CHECK(s->bytes < full * 0.3, "%.0f bytes of %.0f for a tenth of the keys", s->bytes, full);
  CHECK(tm_ffi_state_clear(s) == 0 && s->keys == 0, "clear");
  tm_ffi_changes_rollback(c, 0);
  CHECK(s->keys == left, "clear taken back");
  if (oldest) oldest_go(c, s, there, written, N);
  tm_ffi_state_clear(s);
  tm_ffi_changes_commit(c);
  while (tm_ffi_changes_care(c, 16)) continue;
  CHECK(s->keys == 0 && s->bytes < 64 * 1024, "cleared: %.0f bytes", s->bytes);
  run_key(&key, 1);
  CHECK(tm_ffi_state_find(s, &key) == NULL && tm_ffi_state_write(s, &key) != NULL && s->code == TM_STATE_NEW, "used again");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* 100,000 keys in one event: taken back, done again, cleared, and freed while the old memory is given back in slices. */
static void one_large_event(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 64, 0, 0, NULL, 0);
  double before_it = budget.used;
  for (int round = 0; round < 2; round++) {
    for (uint32_t i = 0; i < 100000; i++) {
      run_key(&key, i);
      if (tm_ffi_state_write(s, &key) == NULL || tm_ffi_state_write(s, &key) == NULL) abort();
    }
    CHECK(c->used > 8000000 && s->keys == 100000, "%d bytes of log", c->used);
    if (round == 0) tm_ffi_changes_rollback(c, 0);
    else tm_ffi_changes_commit(c);
    CHECK(budget.used - s->bytes < before_it + 1e6, "the log keeps %.0f bytes", budget.used - s->bytes);
    CHECK(s->keys == (round == 0 ? 0 : 100000), "%.0f keys", s->keys);
  }
  tm_ffi_state_clear(s);
  tm_ffi_changes_commit(c);
  CHECK(s->bytes > 5e6 && c->care, "%.0f bytes are given back later", s->bytes);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* A walk that takes one key between events in which others come and go. It must give each key that stays all the time
 * once, in order, and no key that was gone when its turn came. */
static void walk_and_change(uint32_t go) {
  enum { N = 60000 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 8, 0, 0, NULL, 0);
  static uint8_t there[N];
  for (uint32_t i = 0; i < N; i++) {
    run_key(&key, i);
    *(double *)tm_ffi_state_write(s, &key) = i;
    tm_ffi_changes_commit(c);
    there[i] = 1;
  }
  struct tm_state_cursor *w = tm_ffi_cursor_new(s);
  double last = -1;
  uint32_t given = 0, gone_before = 0;
  int ok = 1;
  for (;;) {
    const double *record = walk_next(w);
    if (record == NULL || *record >= N) break;
    ok &= *record > last && there[(uint32_t)*record];
    for (uint32_t i = (uint32_t)(last + 1); i < (uint32_t)*record; i++) ok &= !there[i];
    last = *record;
    given++;
    for (uint32_t i = 0; i < go; i++) {
      uint32_t id = run_below(N);
      run_key(&key, id);
      void *found = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
      if (found == NULL) continue;
      tm_ffi_state_remove(s, found);
      /* some removals are taken back: they must not disturb the walk either */
      if (run_below(8) == 0) {
        tm_ffi_changes_rollback(c, 0);
        continue;
      }
      if (id > last) gone_before++;
      there[id] = 0;
      tm_ffi_changes_commit(c);
    }
    tm_ffi_changes_care(c, 50);
  }
  for (uint32_t i = (uint32_t)(last + 1); i < N; i++) ok &= !there[i];
  CHECK(ok && given + gone_before == N, "a walk among changes: %u given, %u gone before their turn", given, gone_before);
  tm_ffi_changes_free(c);
}

/* ---- failing ---- */

/* What there is after a scenario in which the n-th allocation failed must be what was there before the call. */
static void allocations_fail(void) {
  uint32_t failures = 0, n;
  int ok = 1, done = 0;
  for (n = 1; !done; n++) {
    struct tm_budget budget;
    struct tm_changes *c = run_changes(&budget, 0);
    budget.fail_in = n;
    struct tm_state_options o = {"f", NULL, 1, 0, RECORD_WORDS * 8, TM_ON_FULL_OLDEST, n % 2 != 0 ? 150 : 0, 0, 0, NULL, 0, 0};
    struct tm_state *s = tm_ffi_state_new(c, &o);
    uint32_t seen = s == NULL;
    if (s == NULL) s = tm_ffi_state_new(c, &o);
    if (s == NULL) abort();
    memset(&now, 0, sizeof now);
    for (uint32_t i = 0; i < 250; i++) {
      before = now;
      run_key(&key, i);
      struct ref_key *k = ref_write(&now, i, 250, (uint32_t)o.max_keys, o.on_full);
      uint64_t *words = tm_ffi_state_write(s, &key);
      if (words == NULL) {
        ok &= s->code == TM_STATE_NO_MEMORY && budget.fail_in == 0;
        seen++;
        now = before;
        if (s->keys != now.n || tm_ffi_state_find(s, &key) != NULL || differs(s, &now, 250) != NULL) ok = 0;
      } else {
        words[0] = k->words[0] = i;
      }
      if (i % 3 == 0) tm_ffi_changes_commit(c);
      /* behind a commit */
      if (i == 201 && tm_ffi_state_clear(s) != 0) seen++;
      if (i == 201) tm_ffi_changes_rollback(c, 0);
    }
    tm_ffi_changes_commit(c);
    done = budget.fail_in > 0;
    budget.fail_in = 0;
    ok &= differs(s, &now, 250) == NULL;
    failures += seen;
    tm_ffi_changes_free(c);
    ok &= budget.used == 0;
  }
  CHECK(ok, "a failed allocation changes nothing (n = %u)", n);
  CHECK(failures > 100 && failures + 40 > n, "%u allocations failed, %u tried", failures, n);
}

/* The budget is used up: calls fail with a code, the table is whole, and after removals it goes on. */
static void budget_ends(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 2e6);
  struct tm_state *s = run_table(c, 64, 0, 0, NULL, 0), *other = run_table(c, 8, 0, 0, NULL, 0);
  uint32_t n = 0;
  for (;; n++) {
    key.len = 0;
    tm_ffi_key_number(&key, n);
    double *record = tm_ffi_state_write(s, &key);
    if (record == NULL) break;
    *record = n;
    tm_ffi_changes_commit(c);
  }
  CHECK(s->code == TM_STATE_NO_MEMORY && s->keys == n && n > 10000, "%u keys in 2 MB", n);
  CHECK(budget.used <= budget.limit, "%.0f of %.0f bytes", budget.used, budget.limit);
  CHECK(s->bytes > other->bytes * 10 && s->bytes <= budget.used, "shares: %.0f and %.0f of %.0f", s->bytes, other->bytes, budget.used);
  int ok = 1;
  for (uint32_t i = 0; i < n; i++) {
    key.len = 0;
    tm_ffi_key_number(&key, i);
    const double *record = tm_ffi_state_find(s, &key);
    ok &= record != NULL && *record == i;
    if (record != NULL && i % 2 == 0) tm_ffi_state_remove(s, (void *)(uintptr_t)record);
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 100)) continue;
  for (uint32_t i = 0; i < n / 3; i++) {
    key.len = 0;
    tm_ffi_key_number(&key, n + i);
    ok &= tm_ffi_state_write(s, &key) != NULL;
    tm_ffi_changes_commit(c);
  }
  CHECK(ok, "nothing was lost, and removals make room");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* Memory a key, at the worst point of many sizes: at most twice key and record, 16 more below 32 bytes (key: as a user
 * counts it, 8 for a number). */
static void memory_per_key(int32_t record, uint32_t digits, int on_full, uint32_t n) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, record, on_full == TM_ON_FULL_OLDEST ? 1e9 : 0, on_full, NULL, 0);
  uint32_t size = (uint32_t)record + digits, at = 0;
  double bar = size >= 32 ? 2.0 * size : 2.0 * size + 16, worst = 0;
  char text[64];
  for (uint32_t i = 0; i < n; i++) {
    key.len = 0;
    snprintf(text, sizeof text, "%0*u", (int)digits, i);
    tm_ffi_key_string(&key, text, (int32_t)digits);
    tm_ffi_state_write(s, &key);
    tm_ffi_changes_commit(c);
    if (i < 10000 || s->bytes / (i + 1) <= worst) continue;
    worst = s->bytes / (i + 1);
    at = i + 1;
  }
  CHECK(worst <= bar, "record %d, key %u, oldest goes: %d: %.1f bytes a key at %u keys, bar %.0f", record, digits,
        on_full == TM_ON_FULL_OLDEST, worst, at, bar);
  tm_ffi_changes_free(c);
}

/* ---- two tables, and what a mark of one event spans ---- */

static void tables_together(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *a = run_table(c, 8, 0, 0, NULL, 0), *b = run_table(c, 8, 2, TM_ON_FULL_OLDEST, NULL, 0);
  CHECK(c->states == b && b->next == a && a->next == NULL, "the list of states");
  run_key(&key, 1);
  *(double *)tm_ffi_state_write(a, &key) = 1;
  *(double *)tm_ffi_state_write(b, &key) = 2;
  int32_t mark = c->used;
  run_key(&key, 2);
  *(double *)tm_ffi_state_write(a, &key) = 3;
  *(double *)tm_ffi_state_write(b, &key) = 4;
  run_key(&key, 3);
  tm_ffi_state_write(b, &key);
  CHECK(b->keys == 2 && b->evicted == 1, "one went");
  tm_ffi_changes_rollback(c, mark);
  CHECK(a->keys == 1 && b->keys == 1 && b->evicted == 0, "back to the mark");
  run_key(&key, 1);
  const double *record = tm_ffi_state_find(b, &key);
  CHECK(record != NULL && *record == 2, "what was before the mark stays");
  tm_ffi_changes_rollback(c, 0);
  CHECK(a->keys == 0 && b->keys == 0 && c->used == 0, "back to the start");
  tm_ffi_state_free(a);
  CHECK(c->states == b && b->next == NULL, "a state is freed");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* A record that went in this event, by hand or to make room, is still there to be read, and refuses to be changed. */
static void records_gone(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, 8, 2, TM_ON_FULL_OLDEST, NULL, 0);
  double *records[3];
  for (uint32_t i = 0; i < 3; i++) {
    run_key(&key, i);
    records[i] = tm_ffi_state_write(s, &key);
    *records[i] = i + 1;
  }
  CHECK(*records[0] == 1 && tm_ffi_state_announce(s, records[0]) == TM_STATE_GONE, "gone to make room");
  CHECK(tm_ffi_state_remove(s, records[0]) == TM_STATE_GONE && s->keys == 2, "removed once");
  CHECK(tm_ffi_state_remove(s, records[1]) == 0 && tm_ffi_state_announce(s, records[1]) == TM_STATE_GONE, "gone by hand");
  CHECK(tm_ffi_state_announce(s, records[2]) == 0 && s->keys == 1, "one is left");
  tm_ffi_changes_rollback(c, 0);
  CHECK(s->keys == 0, "taken back");
  tm_ffi_changes_free(c);
}

static void options_checked(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state_field f = {4, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 0};
  struct tm_state_options o = {"o", &f, 1, 1, 8, 0, 0, 0, 0, NULL, 0, 0};
  CHECK(tm_ffi_state_new(c, &o) == NULL, "a field beyond the record");
  f.off = 0;
  f.of = TM_VALUE_FALSE;
  CHECK(tm_ffi_state_new(c, &o) == NULL, "a list of nothing known");
  o.fields_n = 0;
  o.record_size = TM_RECORD_MAX + 1;
  CHECK(tm_ffi_state_new(c, &o) == NULL, "a record too large");
  tm_ffi_changes_free(c);
}

int main(void) {
  random_runs();
  grow_and_shrink(0);
  grow_and_shrink(1);
  one_large_event();
  walk_and_change(1);
  walk_and_change(3);
  allocations_fail();
  budget_ends();
  memory_per_key(24, 8, TM_ON_FULL_REFUSE, 300000);
  memory_per_key(24, 8, TM_ON_FULL_OLDEST, 300000);
  memory_per_key(8, 8, TM_ON_FULL_REFUSE, 300000);
  memory_per_key(8, 8, TM_ON_FULL_OLDEST, 300000);
  memory_per_key(64, 16, TM_ON_FULL_OLDEST, 100000);
  memory_per_key(200, 40, TM_ON_FULL_REFUSE, 50000);
  tables_together();
  records_gone();
  options_checked();
  return unit_end("state_table");
}
