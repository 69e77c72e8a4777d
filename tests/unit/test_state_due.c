/* test_state_due.c - what is due, against a reference that searches an array for the smallest time and number.
 *
 * The reference gives each arming the next number of one counter; an event or a mark is a copy of the array. After each
 * call `due` must be a lower bound of the reference's first, and +inf just when there is none; after an event everything
 * that is armed is taken in turn and put back. Slices are small, so that the wheels are met half emptied by every other
 * call, and the room of the log is cut short, so that every entry of it fails to find some once.
 * A roll-back must give the wheels back link by link: wheels_keep copies them, wheels_same compares. wheels_whole tells
 * whether each item is in a slot that its time allows.
 * Further: a million at one ms and a million in one slot taken apart in slices; blocks emptied by care; large jumps. */
#include <math.h>

#include "../../host/state/table.h"
#include "state_run.h"

enum { IDS_MAX = 2048 };
static const double TIME_MAX = 9007199254740992.0;

struct ref_key {
  int32_t there;
  double time;                    /* NaN: not armed */
  uint64_t armed, written;        /* numbers */
};
struct ref {
  uint64_t clock;
  uint32_t n;
  struct ref_key keys[IDS_MAX];
};

static struct tm_key key;
static struct ref now, before, marks[4];

static struct tm_table *table_of(struct tm_state *s) { return (struct tm_table *)(void *)s; }

static void *record_of(struct tm_state *s, uint32_t id) {
  run_key(&key, id);
  return (void *)(uintptr_t)tm_ffi_state_find(s, &key);
}

/* ---- the reference ---- */

static void ref_copy(struct ref *to, const struct ref *from, uint32_t ids) {
  memcpy(to, from, offsetof(struct ref, keys) + ids * sizeof from->keys[0]);
}

static void ref_remove(struct ref *r, uint32_t id) {
  r->n -= (uint32_t)r->keys[id].there;
  r->keys[id] = (struct ref_key){0, NAN, 0, 0};
}

static void ref_clear(struct ref *r, uint32_t ids) {
  for (uint32_t i = 0; i < ids; i++) ref_remove(r, i);
}

/* the id, or ids: nothing is due */
static uint32_t ref_first(const struct ref *r, uint32_t ids) {
  uint32_t best = ids;
  for (uint32_t i = 0; i < ids; i++) {
    const struct ref_key *k = r->keys + i, *b = r->keys + best;
    if (isnan(k->time)) continue;
    if (best == ids || k->time < b->time || (k->time == b->time && k->armed < b->armed)) best = i;
  }
  return best;
}

static double ref_due(const struct ref *r, uint32_t ids) {
  uint32_t id = ref_first(r, ids);
  return id == ids ? (double)INFINITY : r->keys[id].time;
}

static void ref_write(struct ref *r, uint32_t id, uint32_t ids, uint32_t max) {
  if (!r->keys[id].there && max != 0 && r->n >= max) {
    uint32_t oldest = ids;
    for (uint32_t i = 0; i < ids; i++) {
      if (r->keys[i].there && (oldest == ids || r->keys[i].written < r->keys[oldest].written)) oldest = i;
    }
    ref_remove(r, oldest);
  }
  r->n += !r->keys[id].there;
  r->keys[id].there = 1;
  r->keys[id].written = ++r->clock;
}

/* ---- the wheels themselves ---- */

static struct tm_due kept;
static struct tm_due_links kept_links[IDS_MAX];

static struct tm_due_links *links_of(struct tm_state *s, uint32_t id) {
  void *record = record_of(s, id);
  return record == NULL ? NULL : (struct tm_due_links *)record - 1;
}

static void wheels_keep(struct tm_state *s, uint32_t ids) {
  kept = *table_of(s)->core.due;
  for (uint32_t i = 0; i < ids; i++) {
    const struct tm_due_links *l = links_of(s, i);
    kept_links[i] = l == NULL ? (struct tm_due_links){0, 0, TM_DUE_NEVER} : *l;
  }
}

static int wheel_same(const struct tm_wheel *a, const struct tm_wheel *b) {
  int same = memcmp(&a->hand, &b->hand, sizeof a->hand) == 0 && a->levels == b->levels &&
             memcmp(a->used, b->used, sizeof a->used) == 0;
  for (uint32_t i = 0; i < TM_DUE_SLOTS; i++) same &= a->slots[i].head == b->slots[i].head && a->slots[i].tail == b->slots[i].tail;
  return same;
}

static int wheels_same(struct tm_state *s, uint32_t ids) {
  const struct tm_due *d = table_of(s)->core.due;
  int same = wheel_same(&d->ahead, &kept.ahead) && wheel_same(&d->behind, &kept.behind);
  for (uint32_t i = 0; i < ids; i++) {
    const struct tm_due_links *l = links_of(s, i), *k = kept_links + i;
    if (l == NULL || l->time == TM_DUE_NEVER) same &= k->time == TM_DUE_NEVER;
    else same &= l->prev == k->prev && l->next == k->next && l->time == k->time;
  }
  return same;
}

static struct tm_due_links *links_at(const struct tm_table *t, uint32_t at) {
  return (struct tm_due_links *)(void *)tm_record_at(t, at) - 1;
}

/* how many are in it, or -1: something is not where it may be */
static double wheel_count(const struct tm_table *t, const struct tm_wheel *w, uint64_t from, uint64_t to) {
  double n = 0;
  for (uint32_t i = 0; i < TM_DUE_SLOTS; i++) {
    const struct tm_due_slot *s = w->slots + i;
    uint32_t level = i >> 6, last = 0;
    if ((s->head != 0) != (w->used[level] >> (i & 63) & 1)) return -1;
    if ((w->used[level] != 0) != (w->levels >> level & 1)) return -1;
    for (uint32_t at = s->head; at != 0; last = at, at = links_at(t, at)->next, n++) {
      uint64_t time = links_at(t, at)->time;
      if (links_at(t, at)->prev != last || time < s->least || time < w->hand.clock || time < from || time >= to) return -1;
      if ((time >> (6 * level) & 63) != (i & 63) || (level == 0 && time != s->least)) return -1;
      /* the digits above are the clock's */
      if (level < 9 && time >> (6 * level + 6) != w->hand.clock >> (6 * level + 6)) return -1;
      /* and this one is not, unless it is being emptied */
      if (level > 0 && level != w->hand.drain && time >> (6 * level) == w->hand.clock >> (6 * level)) return -1;
    }
    if (s->tail != last) return -1;
  }
  return n;
}

static int wheels_whole(struct tm_state *s, const struct ref *r, uint32_t ids) {
  const struct tm_table *t = table_of(s);
  const struct tm_due *d = t->core.due;
  double n = 0, ahead = wheel_count(t, &d->ahead, d->ahead.hand.clock, TM_DUE_NEVER);
  double behind = wheel_count(t, &d->behind, 0, d->ahead.hand.clock);
  for (uint32_t i = 0; i < ids; i++) n += !isnan(r->keys[i].time);
  return ahead >= 0 && behind >= 0 && ahead + behind == n;
}

/* ---- comparing ---- */

static int due_good(const struct tm_state *s, const struct ref *r, uint32_t ids) {
  double first = ref_due(r, ids);
  return s->due <= first && (s->due == (double)INFINITY) == (first == (double)INFINITY);
}

static void *pop(struct tm_state *s, double upto) {
  void *record;
  do record = tm_ffi_due_pop(s, upto);
  while (record == NULL && s->code == TM_STATE_MORE);
  return record;
}

static uint32_t sorted[IDS_MAX];

static int by_due(const void *a, const void *b) {
  const struct ref_key *x = now.keys + *(const uint32_t *)a, *y = now.keys + *(const uint32_t *)b;
  if (x->time != y->time) return x->time < y->time ? -1 : 1;
  return x->armed < y->armed ? -1 : x->armed > y->armed;
}

/* Takes all in order and puts it back. NULL, or what was wrong. */
static const char *all_taken(struct tm_changes *c, struct tm_state *s, uint32_t ids) {
  int32_t mark = c->used;
  uint32_t n = 0;
  const char *what = NULL;
  for (uint32_t i = 0; i < ids; i++) {
    const void *record = record_of(s, i);
    double time = now.keys[i].time;
    if ((record != NULL) != now.keys[i].there) return "a key";
    if (!isnan(time)) sorted[n++] = i;
    if (record == NULL) continue;
    double told = tm_ffi_due_time(s, record);
    if (told != time && !(isnan(told) && isnan(time))) return "a time";
  }
  if (!wheels_whole(s, &now, ids)) return "the wheels";
  qsort(sorted, n, sizeof sorted[0], by_due);
  wheels_keep(s, ids);
  for (uint32_t i = 0; i < n && what == NULL; i++) {
    const void *record = pop(s, (double)INFINITY);
    if (record == NULL || record != record_of(s, sorted[i])) what = "the order";
    else if (s->due_popped != now.keys[sorted[i]].time || !isnan(tm_ffi_due_time(s, record))) what = "the time taken";
  }
  if (what == NULL && (pop(s, (double)INFINITY) != NULL || s->due != (double)INFINITY)) what = "there is more";
  tm_ffi_changes_rollback(c, mark);
  if (what == NULL && mark > 0 && !wheels_same(s, ids)) what = "not the same wheels again";
  if (what == NULL && !(due_good(s, &now, ids) && wheels_whole(s, &now, ids))) what = "the wheels, put back";
  return what;
}

/* ---- random operations ---- */

enum spread { TIES, AROUND, ANY, EDGES, SESSIONS, SPREADS };

static double mark_ms;                  /* the watermark of a run */

static double random_time(enum spread spread) {
  switch (spread) {
    case TIES: return (double)run_below(6) - 3;
    case AROUND: return mark_ms + run_below(300) - 60.0;
    case ANY: {
      double t = (double)(run_random() >> (11 + run_below(53)));
      return (run_below(2) ? -t : t) + (run_below(3) ? mark_ms : 0);
    }
    case EDGES: {
      static const double edges[] = {-9007199254740992.0, 9007199254740992.0, 9007199254740991.0, 0, -1, 1, 63, 64, -64, 4294967296.0};
      return edges[run_below(sizeof edges / sizeof edges[0])];
    }
    default: return mark_ms + 1800000 + run_below(5000);
  }
}

struct plan {
  const char *name;
  uint32_t ids, max;
  enum spread spread;
  int32_t slice;
  uint32_t events, every;         /* all is taken after every so many-th event */
};

/* the next entry of the log beyond `room` bytes finds none */
static size_t log_cut(struct tm_changes *c, uint32_t room) {
  struct tm_log *log = (struct tm_log *)(void *)c;
  size_t counted = log->counted;
  if ((size_t)c->used + room < counted) log->counted = (size_t)c->used + room;
  c->budget->fail_in = 1;
  return counted;
}

static void log_mend(struct tm_changes *c, size_t counted) {
  if (((struct tm_log *)(void *)c)->counted < counted) ((struct tm_log *)(void *)c)->counted = counted;
  c->budget->fail_in = 0;
}

static const char *set_one(struct tm_state *s, uint32_t id, double time) {
  struct ref_key *k = now.keys + id;
  void *record = record_of(s, id);
  if (record == NULL) return NULL;
  if (time < -TIME_MAX || time > TIME_MAX) time = 0;
  int32_t rc = tm_ffi_due_set(s, record, time);
  if (rc == TM_STATE_NO_MEMORY) return NULL;
  if (rc != (isnan(k->time) ? TM_STATE_NEW : TM_STATE_OK)) return "set's result";
  if (k->time != time) k->armed = ++now.clock;
  k->time = time;
  return NULL;
}

static const char *pop_one(struct tm_state *s, uint32_t ids, double upto) {
  uint32_t id = ref_first(&now, ids);
  int due = id < ids && now.keys[id].time <= upto;
  void *record = NULL;
  /* perhaps it rests before the first is found */
  for (uint32_t n = 1 + run_below(60); n > 0; n--) {
    record = tm_ffi_due_pop(s, upto);
    if (record != NULL || s->code != TM_STATE_MORE) break;
  }
  if (record == NULL && (s->code == TM_STATE_MORE || s->code == TM_STATE_NO_MEMORY)) return NULL;
  if (record == NULL) return due ? "what is due is not given" : s->due <= upto && s->due < (double)INFINITY ? "due, and nothing" : NULL;
  if (!due || record != record_of(s, id)) return "another is given";
  if (s->due_popped != now.keys[id].time) return "its time";
  now.keys[id].time = NAN;
  return NULL;
}

static const char *change(struct tm_state *s, const struct plan *p) {
  uint32_t id = run_below(p->ids), what = run_below(100);
  void *record = record_of(s, id);
  if (what < 15) {
    if (tm_ffi_state_write(s, &key) == NULL) return s->code == TM_STATE_NO_MEMORY ? NULL : "write";
    ref_write(&now, id, p->ids, p->max);
  } else if (what < 22) {
    int32_t rc = record == NULL ? 0 : tm_ffi_state_remove(s, record);
    if (rc == 0) ref_remove(&now, id);
    else if (rc != TM_STATE_NO_MEMORY) return "remove";
    if (rc == 0 && record != NULL && tm_ffi_due_set(s, record, 1) != TM_STATE_GONE) return "what is gone is armed";
  } else if (what < 30) {
    int32_t rc = record == NULL ? 0 : run_below(2) ? tm_ffi_due_cancel(s, record) : tm_ffi_due_set(s, record, NAN);
    if (rc == 0) now.keys[id].time = NAN;
    else if (rc != TM_STATE_NO_MEMORY) return "cancel";
  } else if (what < 70) {
    return set_one(s, id, random_time(run_below(20) == 0 ? (enum spread)run_below(SPREADS) : p->spread));
  } else if (what < 74) {
    double first = tm_ffi_due_first(s);
    if (s->code == TM_STATE_OK && first != ref_due(&now, p->ids)) return "first";
  } else {
    return pop_one(s, p->ids, run_below(50) == 0 ? random_time(ANY) : run_below(300) == 0 ? (double)INFINITY : mark_ms + 0.5);
  }
  return NULL;
}

/* one event: changes, and marks to go back to */
static const char *event_run(struct tm_changes *c, struct tm_state *s, const struct plan *p, uint32_t *cut, uint32_t *refused) {
  int32_t at[4];
  uint32_t marks_n = 0;
  const char *what = NULL;
  if (run_below(2000) == 0) {
    if (tm_ffi_state_clear(s) != 0 || s->due != (double)INFINITY) return "clear";
    table_of(s)->core.due->slice = p->slice;
    ref_clear(&now, p->ids);
  }
  for (uint32_t n = run_below(12); n > 0 && what == NULL; n--) {
    if (marks_n < 4 && run_below(4) == 0) {
      ref_copy(marks + marks_n, &now, p->ids);
      at[marks_n++] = c->used;
    }
    int failing = run_below(8) == 0;
    size_t counted = failing ? log_cut(c, run_below(160)) : 0;
    what = change(s, p);
    *cut += failing && c->budget->fail_in == 0;
    if (failing) log_mend(c, counted);
    *refused += failing && (s->code == TM_STATE_NO_MEMORY);
    if (what == NULL && !due_good(s, &now, p->ids)) what = "due";
    if (marks_n > 0 && run_below(5) == 0) {
      uint32_t m = run_below(marks_n);
      tm_ffi_changes_rollback(c, at[m]);
      ref_copy(&now, marks + m, p->ids);
      marks_n = m;
      if (what == NULL && !due_good(s, &now, p->ids)) what = "due, taken back";
    }
    if (what == NULL && run_below(p->every * 10) == 0) what = all_taken(c, s, p->ids);
  }
  return what;
}

static void random_run(const struct plan *p) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state_options o = {"due", NULL, 3, 0, 8, TM_ON_FULL_OLDEST, p->max, 1, 0, NULL, 0, 0};
  struct tm_state *s = tm_ffi_state_new(c, &o);
  const char *what = NULL;
  uint32_t event, cut = 0, refused = 0;
  if (s == NULL) abort();
  table_of(s)->core.due->slice = p->slice;
  mark_ms = p->spread == EDGES || p->spread == TIES ? 0 : 1.7e12;
  memset(&now, 0, sizeof now);
  ref_clear(&now, IDS_MAX);
  for (event = 0; event < p->events && what == NULL; event++) {
    ref_copy(&before, &now, p->ids);
    what = event_run(c, s, p, &cut, &refused);
    if (run_below(4) == 0) {
      tm_ffi_changes_rollback(c, 0);
      ref_copy(&now, &before, p->ids);
      /* a clear taken back brings the wheels of before */
    } else {
      tm_ffi_changes_commit(c);
    }
    table_of(s)->core.due->slice = p->slice;
    if (what == NULL && !due_good(s, &now, p->ids)) what = "due, behind the event";
    if (what == NULL && event % p->every == 0) what = all_taken(c, s, p->ids);
    if (p->spread != EDGES) mark_ms += run_below(100) == 0 ? run_below(3000000) : run_below(20);
  }
  CHECK(what == NULL, "%s: event %u: %s", p->name, event, what);
  CHECK(cut > p->events / 20, "%s: the log was cut short %u times, %u refused", p->name, cut, refused);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%s: %.0f bytes are still counted", p->name, budget.used);
}

static void random_runs(void) {
  static const struct plan plans[] = {
    {"ties", 30, 0, TIES, 1, 60000, 3},
    {"around the watermark", 60, 0, AROUND, 2, 100000, 5},
    {"around it, the oldest goes", 60, 25, AROUND, 3, 60000, 5},
    {"any time", 60, 0, ANY, 1, 100000, 5},
    {"any time, whole", 60, 30, ANY, TM_DUE_SLICE, 40000, 5},
    {"the edges of time", 40, 0, EDGES, 2, 60000, 5},
    {"sessions", 100, 0, SESSIONS, 4, 60000, 10},
    {"many, any time", 2000, 0, ANY, 20, 20000, 200},
    {"many, around", 2000, 1500, AROUND, 5, 20000, 200},
  };
  for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) random_run(plans + i);
}

/* ---- many ---- */

static struct tm_state *timed_table(struct tm_changes *c) {
  struct tm_state_options o = {"due", NULL, 3, 0, 8, 0, 0, 1, 0, NULL, 0, 0};
  struct tm_state *s = tm_ffi_state_new(c, &o);
  if (s == NULL) abort();
  return s;
}

static double *record_new(struct tm_state *s, uint32_t id) {
  key.len = 0;
  tm_ffi_key_number(&key, id);
  double *record = tm_ffi_state_write(s, &key);
  if (record == NULL) abort();
  return record;
}

/* n come in shuffled order, every 7th is moved, every 5th cancelled; they must go in order. times: n different, or one.
 * Calls that find nothing yet must be few, as each moves a slice. */
static void many_go(const char *name, uint32_t n, double base, double step) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = timed_table(c);
  uint32_t *order = calloc(n, sizeof *order), left = 0, more = 0, got = 0;
  if (order == NULL) abort();
  for (uint32_t i = 0; i < n; i++) order[i] = i;
  for (uint32_t i = n - 1; i > 0; i--) {
    uint32_t k = run_below(i + 1), x = order[i];
    order[i] = order[k];
    order[k] = x;
  }
  int ok = 1;
  for (uint32_t i = 0; i < n; i++) {
    double *record = record_new(s, i);
    record[0] = i;
    ok &= tm_ffi_due_set(s, record, base + step * order[i]) == TM_STATE_NEW;
    tm_ffi_changes_commit(c);
  }
  for (uint32_t i = 0; i < n; i++) {
    double *record = record_new(s, i);
    if (i % 7 == 0) {
      ok &= tm_ffi_due_set(s, record, base - 1) == TM_STATE_OK;
      ok &= tm_ffi_due_set(s, record, base + step * order[i]) == TM_STATE_OK;
    }
    if (i % 5 == 0) ok &= tm_ffi_due_cancel(s, record) == 0;
    left += i % 5 != 0;
    tm_ffi_changes_commit(c);
  }
  double time = -INFINITY, id = -1, moved = 0;
  for (; got < left; got++) {
    double *record;
    while ((record = tm_ffi_due_pop(s, (double)INFINITY)) == NULL && s->code == TM_STATE_MORE) more++;
    if (record == NULL) break;
    double is_moved = (uint32_t)record[0] % 7 == 0;
    ok &= s->due_popped == base + step * order[(uint32_t)record[0]];
    /* among equal times those that were moved come last, both in order */
    if (s->due_popped == time) ok &= is_moved > moved || (is_moved == moved && record[0] > id);
    else ok &= s->due_popped > time;
    time = s->due_popped;
    id = record[0];
    moved = is_moved;
    tm_ffi_changes_commit(c);
  }
  CHECK(ok && got == left && s->due == (double)INFINITY, "%s: %u of %u go in order", name, got, left);
  CHECK(more < (uint64_t)n * TM_DUE_LEVELS / TM_DUE_SLICE + 100, "%s: %u calls without a record", name, more);
  free(order);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%s: %.0f bytes are still counted", name, budget.used);
}

/* Most of many go, what is left is moved to other blocks by care: the order stays. */
static void blocks_emptied(void) {
  enum { N = 200000 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = timed_table(c);
  static uint8_t there[N];
  uint32_t left = N;
  int ok = 1;
  for (uint32_t i = 0; i < N; i++) {
    double *record = record_new(s, i);
    record[0] = i;
    tm_ffi_due_set(s, record, i / 3);
    there[i] = 1;
    tm_ffi_changes_commit(c);
  }
  double full = s->bytes;
  while (left > N / 12) {
    uint32_t id = run_below(N);
    if (!there[id]) continue;
    tm_ffi_state_remove(s, record_new(s, id));
    there[id] = 0;
    left--;
    tm_ffi_changes_commit(c);
    /* half emptied wheels are met as well */
    if (left % 100 == 0) {
      table_of(s)->core.due->slice = 7;
      if (tm_ffi_due_pop(s, -1) != NULL) ok = 0;
      tm_ffi_due_first(s);
    }
  }
  table_of(s)->core.due->slice = TM_DUE_SLICE;
  while (tm_ffi_changes_care(c, 100)) continue;
  CHECK(s->bytes < full * 0.3, "%.0f bytes of %.0f: blocks were emptied", s->bytes, full);
  double *record, last = -1;
  uint32_t got = 0;
  for (; (record = pop(s, (double)INFINITY)) != NULL; got++) {
    ok &= record[0] > last && there[(uint32_t)record[0]] && s->due_popped == floor(record[0] / 3);
    last = record[0];
    tm_ffi_changes_commit(c);
  }
  CHECK(ok && got == left, "%u of %u go in order", got, left);
  tm_ffi_changes_free(c);
}

/* 20,000 of one slot are emptied within an event, and taken back. */
static void emptied_and_back(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = timed_table(c);
  enum { N = 20000 };
  int ok = 1;
  for (uint32_t i = 0; i < N; i++) *record_new(s, i) = i;
  for (uint32_t i = 0; i < N; i++) tm_ffi_due_set(s, record_new(s, i), 1e9 + (N - i) / 2);
  tm_ffi_changes_commit(c);
  for (int round = 0; round < 3; round++) {
    record_new(s, 0);
    int32_t mark = c->used;
    for (uint32_t i = 0; i < N / 2; i++) ok &= pop(s, 2e9) != NULL;
    tm_ffi_changes_rollback(c, round == 0 ? mark : 0);
    ok &= s->due == 1e9;
    tm_ffi_changes_commit(c);
  }
  double last = -1, time = -1;
  for (const double *record; (record = pop(s, 2e9)) != NULL; last = *record, time = s->due_popped) {
    ok &= s->due_popped > time || (s->due_popped == time && *record > last);
  }
  CHECK(ok && s->due == (double)INFINITY && last == 0, "all is taken, and taken back");
  tm_ffi_changes_free(c);
}

/* ---- edges ---- */

static void edges(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = timed_table(c), *plain = run_table(c, 8, 0, 0, NULL, 0);
  void *r = record_new(s, 1);
  CHECK(s->due == (double)INFINITY && plain->due == (double)INFINITY, "nothing is due");
  CHECK(isnan(tm_ffi_due_time(s, r)) && tm_ffi_due_cancel(s, r) == 0, "not armed");
  CHECK(tm_ffi_due_first(s) == (double)INFINITY && s->code == TM_STATE_OK, "no first");
  CHECK(tm_ffi_due_pop(s, (double)INFINITY) == NULL && s->code == TM_STATE_OK, "nothing to take");
  double bad[] = {0.5, TIME_MAX + 2, -TIME_MAX - 2, (double)INFINITY, -(double)INFINITY, 1e300};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) CHECK(tm_ffi_due_set(s, r, bad[i]) == TM_STATE_RANGE, "%g is no time", bad[i]);
  CHECK(tm_ffi_due_set(s, r, -TIME_MAX) == TM_STATE_NEW && s->due == -TIME_MAX, "the first of all times");
  CHECK(tm_ffi_due_pop(s, -TIME_MAX - 10) == NULL && tm_ffi_due_pop(s, NAN) == NULL, "not due");
  CHECK(tm_ffi_due_pop(s, -(double)INFINITY) == NULL && tm_ffi_due_pop(s, -TIME_MAX) == r, "due");
  CHECK(tm_ffi_due_set(s, r, TIME_MAX) == TM_STATE_NEW && tm_ffi_due_pop(s, TIME_MAX - 1) == NULL, "the last of all times");
  CHECK(tm_ffi_due_pop(s, TIME_MAX) == r && s->due_popped == TIME_MAX, "and it comes");
  CHECK(tm_ffi_due_set(s, r, -0.0) == TM_STATE_NEW && tm_ffi_due_set(s, r, 0) == TM_STATE_OK && tm_ffi_due_time(s, r) == 0, "zero");
  tm_ffi_changes_commit(c);
  /* the order of arming, and of moving; its own time again keeps the place */
  void *a = record_new(s, 10), *b = record_new(s, 11), *d = record_new(s, 12);
  tm_ffi_due_set(s, a, 5);
  tm_ffi_due_set(s, b, 5);
  tm_ffi_due_set(s, d, 5);
  tm_ffi_due_set(s, a, 5);
  tm_ffi_due_set(s, b, 6);
  tm_ffi_due_set(s, b, 5);
  CHECK(pop(s, 4.9) == r && pop(s, 4.9) == NULL, "0 alone is due by 4.9");
  CHECK(pop(s, 5) == a && pop(s, 5) == d && pop(s, 5) == b && pop(s, 5) == NULL, "a moved one goes last");
  tm_ffi_changes_rollback(c, 0);
  CHECK(s->due == 0 && s->keys == 1, "taken back");
  /* a wheel may be asked far ahead, and what is armed before that comes first */
  tm_ffi_due_set(s, r = record_new(s, 1), 4e12);
  CHECK(tm_ffi_due_first(s) == 4e12, "in the year 2096");
  tm_ffi_due_set(s, a = record_new(s, 10), 1.7e12);
  tm_ffi_due_set(s, b = record_new(s, 11), -62135596800000);
  CHECK(pop(s, 1.7e12) == b && pop(s, 1.7e12) == a && pop(s, 1.7e12) == NULL && pop(s, 5e12) == r, "in order of time");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* 16 bytes a record, and the wheels once a table */
static void memory(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s[2] = {run_table(c, 8, 0, 0, NULL, 0), timed_table(c)};
  double empty = s[1]->bytes - s[0]->bytes;
  for (uint32_t i = 0; i < 100000; i++) {
    record_new(s[0], i);
    tm_ffi_due_set(s[1], record_new(s[1], i), i);
    tm_ffi_changes_commit(c);
  }
  double each = (s[1]->bytes - s[0]->bytes - empty) / 100000;
  CHECK(each < 16.5, "%.2f bytes a record", each);
  CHECK(empty < 24 * 1024, "%.0f bytes a table", empty);
  tm_ffi_changes_free(c);
}

/* every allocation that making a timed table and clearing it takes */
static void allocations_fail(void) {
  uint32_t failed = 0;
  int ok = 1;
  for (uint32_t n = 1;; n++) {
    struct tm_budget budget;
    struct tm_changes *c = run_changes(&budget, 0);
    struct tm_state_options o = {"due", NULL, 3, 0, 8, 0, 0, 1, 0, NULL, 0, 0};
    budget.fail_in = n;
    struct tm_state *s = tm_ffi_state_new(c, &o);
    int seen = s == NULL;
    if (s == NULL) s = tm_ffi_state_new(c, &o);
    key.len = 0;
    tm_ffi_key_number(&key, 1);
    double *record = tm_ffi_state_write(s, &key);
    if (record == NULL) {
      seen++;
      record = tm_ffi_state_write(s, &key);
    }
    if (tm_ffi_due_set(s, record, 7) != TM_STATE_NEW) {
      seen++;
      ok &= s->due == (double)INFINITY && tm_ffi_due_set(s, record, 7) == TM_STATE_NEW;
    }
    tm_ffi_changes_commit(c);
    if (tm_ffi_state_clear(s) != 0) seen++;
    tm_ffi_changes_rollback(c, 0);
    ok &= s->due == 7 && pop(s, 7) != NULL;
    int done = budget.fail_in > 0;
    budget.fail_in = 0;
    tm_ffi_changes_free(c);
    ok &= budget.used == 0 && seen == !done;
    failed += (uint32_t)seen;
    if (done) break;
  }
  CHECK(ok && failed > 10, "%u allocations failed, each changed nothing", failed);
}

int main(void) {
  edges();
  allocations_fail();
  random_runs();
  many_go("a million at one ms", 1000000, 1.7e12, 0);
  many_go("a million, all different", 1000000, -5e5, 1);
  many_go("300,000 over ten years", 300000, 1.7e12, 1051200);
  blocks_emptied();
  emptied_and_back();
  memory();
  return unit_end("state_due");
}
