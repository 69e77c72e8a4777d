/* test_state_values.c - texts, lists, maps and sets of a record against a reference that copies everything.
 *
 * Values and keys are made from small numbers (one for each kind of type), so the reference is a row of pairs of numbers
 * for each field; an event or a mark is a copy of all rows, taking back is copying them back. After every event (or every
 * few, for large containers) all fields are compared: sizes, order, each element by place or key, what is not there.
 * Further: every n-th allocation fails; records that go take all their memory with them; values survive their blocks
 * being emptied; elements are removed while a map is walked. */
#include "../../host/state/table.h"
#include "state_run.h"

enum { FIELDS = 12, CAP = 6000, RECORDS_MAX = 2, REF = sizeof(struct tm_state_ref) };

#define N TM_VALUE_NUMBER
#define S TM_VALUE_STRING
#define B TM_VALUE_TRUE
#define A TM_VALUE_ANY
static const struct tm_state_field fields[FIELDS] = {
  {8 + 0 * REF, TM_FIELD_TEXT, 0, 0, 0, 0},
  {8 + 1 * REF, TM_FIELD_LIST, 0, N, 0, 0},
  {8 + 2 * REF, TM_FIELD_LIST, 0, S, 0, 5},
  {8 + 3 * REF, TM_FIELD_LIST, 0, B, 0, 0},
  {8 + 4 * REF, TM_FIELD_LIST, 0, A, 0, 0},
  {8 + 5 * REF, TM_FIELD_MAP, S, N, 0, 0},
  {8 + 6 * REF, TM_FIELD_MAP, N, S, TM_ON_FULL_OLDEST, 6},
  {8 + 7 * REF, TM_FIELD_SET, TM_VALUE_NIL, 0, TM_ON_FULL_REFUSE, 20},
  {8 + 8 * REF, TM_FIELD_SET, B, 0, 0, 0},
  {8 + 9 * REF, TM_FIELD_MAP, TM_VALUE_NIL, B, TM_ON_FULL_OLDEST, 3000},
  {8 + 10 * REF, TM_FIELD_SET, N, 0, 0, 0},
  {8 + 11 * REF, TM_FIELD_MAP, S, A, TM_ON_FULL_STOP, 40},
};
static const int32_t RECORD_SIZE = 8 + FIELDS * REF;

struct ref_field { uint32_t n, k[CAP], v[CAP]; };
struct ref { int32_t there[RECORDS_MAX]; struct ref_field f[RECORDS_MAX][FIELDS]; };

static struct tm_key key;

/* ---- values of a number ---- */

/* in a buffer of the caller's, as several are alive at a time */
static struct tm_value value_of(int32_t kind, uint32_t id, char *text) {
  struct tm_value v = {0, text, 0, kind};
  if (kind == N) v.num = id == 10 ? -0.0 : (id - 10.0) / 4;
  else if (kind == B) v.kind = (id & 1) != 0 ? TM_VALUE_TRUE : TM_VALUE_FALSE;
  else if (id == 0) return v;
  else v.len = snprintf(text, 400, "%c%u%.*s", kind == A ? 0xda : 's', id, (int)(id % 9 == 0 ? 300 : id % 13),
                        "..........................................................................................."
                        "..........................................................................................."
                        "..........................................................................................."
                        "...........................");
  return v;
}

/* of any type: the kind depends on the number */
static struct tm_value key_of(int32_t kind, uint32_t id, char *text) {
  if (kind != TM_VALUE_NIL) return value_of(kind, id, text);
  if (id < 2) return value_of(B, id, text);
  return value_of(id % 2 != 0 ? N : S, id, text);
}

static int value_is(const struct tm_value *v, const struct tm_value *want) {
  if (v->kind != want->kind) return 0;
  if (v->kind == N) return v->num == want->num;
  if (v->kind == S || v->kind == A) return v->len == want->len && memcmp(v->text, want->text, (size_t)v->len) == 0;
  return 1;
}

/* ---- the reference ---- */

static void field_copy(struct ref_field *to, const struct ref_field *from) {
  to->n = from->n;
  memcpy(to->k, from->k, from->n * sizeof from->k[0]);
  memcpy(to->v, from->v, from->n * sizeof from->v[0]);
}

static void ref_copy(struct ref *to, const struct ref *from) {
  memcpy(to->there, from->there, sizeof to->there);
  for (int r = 0; r < RECORDS_MAX; r++) {
    for (int i = 0; i < FIELDS; i++) field_copy(&to->f[r][i], &from->f[r][i]);
  }
}

static void ref_cut(struct ref_field *f, uint32_t i) {
  memmove(f->k + i, f->k + i + 1, (f->n - i - 1) * sizeof f->k[0]);
  memmove(f->v + i, f->v + i + 1, (f->n - i - 1) * sizeof f->v[0]);
  f->n--;
}

static uint32_t ref_find(const struct ref_field *f, uint32_t k) {
  for (uint32_t i = 0; i < f->n; i++) {
    if (f->k[i] == k) return i;
  }
  return f->n;
}

/* ---- comparing ---- */

static const char *list_differs(struct tm_state *s, const void *record, int32_t i, const struct ref_field *f) {
  struct tm_value v, want;
  char text[400];
  for (uint32_t e = 0; e < f->n; e++) {
    want = value_of(fields[i].of, f->v[e], text);
    if (tm_ffi_list_get(s, record, i, e + 1, &v) != 0 || !value_is(&v, &want)) return "an element of a list";
  }
  if (tm_ffi_list_get(s, record, i, 0, &v) != TM_STATE_RANGE || tm_ffi_list_get(s, record, i, f->n + 1, &v) != TM_STATE_RANGE ||
      tm_ffi_list_get(s, record, i, 1.5, NULL) != TM_STATE_RANGE || tm_ffi_list_get(s, record, i, 0.0 / 0.0, NULL) != TM_STATE_RANGE) {
    return "a list's bounds";
  }
  return NULL;
}

static const char *map_differs(struct tm_state *s, const void *record, int32_t i, const struct ref_field *f) {
  struct tm_value k, v, want;
  char text[400];
  double at = 0;
  for (uint32_t e = 0; e < f->n; e++) {
    at = tm_ffi_map_next(s, record, i, at, &k, &v);
    want = key_of(fields[i].key, f->k[e], text);
    if (at == 0 || !value_is(&k, &want)) return "the order of a map";
    if (fields[i].kind == TM_FIELD_MAP) {
      want = value_of(fields[i].of, f->v[e], text);
      if (!value_is(&v, &want)) return "a value of a walk";
    }
    want = key_of(fields[i].key, f->k[e], text);
    if (tm_ffi_map_get(s, record, i, &want, &v) != 0) return "a key is not found";
    if (fields[i].kind == TM_FIELD_MAP) {
      want = value_of(fields[i].of, f->v[e], text);
      if (!value_is(&v, &want)) return "a value of a map";
    }
  }
  if (tm_ffi_map_next(s, record, i, at, NULL, NULL) != 0 && f->n > 0) return "a walk goes on";
  return NULL;
}

static const char *record_differs(struct tm_state *s, const void *record, const struct ref_field *all) {
  for (int32_t i = 0; i < FIELDS; i++) {
    const struct tm_state_ref *ref = (const void *)((const char *)record + fields[i].off);
    const struct ref_field *f = all + i;
    char text[400];
    if (fields[i].kind == TM_FIELD_TEXT) {
      if ((ref->at != 0) != (f->n != 0)) return "nil";
      struct tm_value want = value_of(S, f->v[0], text);
      if (f->n != 0 && ref->n != (uint32_t)want.len) return "a text's length";
      if (f->n != 0 && want.len > 0 && memcmp(s->base + 8 * (size_t)ref->at, want.text, ref->n) != 0) return "a text";
      continue;
    }
    if (ref->n != f->n || (f->n == 0 && ref->at != 0)) return "a size";
    const char *what = fields[i].kind == TM_FIELD_LIST ? list_differs(s, record, i, f) : map_differs(s, record, i, f);
    if (what != NULL) return what;
  }
  return NULL;
}

static const void *record_find(struct tm_state *s, uint32_t r) {
  run_key(&key, r);
  return tm_ffi_state_find(s, &key);
}

static const char *differs(struct tm_state *s, const struct ref *ref) {
  for (uint32_t r = 0; r < RECORDS_MAX; r++) {
    const void *record = record_find(s, r);
    if ((record != NULL) != ref->there[r]) return "a key";
    const char *what = record == NULL ? NULL : record_differs(s, record, ref->f[r]);
    if (what != NULL) return what;
  }
  return NULL;
}

/* ---- random operations ---- */

static struct ref now, before, marks[3];

/* removes those of random numbers while walking: what is given must be what is there, in order */
static int walk_remove(struct tm_state *s, void *record, int32_t i, struct ref_field *f) {
  struct tm_value k;
  uint32_t e = 0;
  for (double at = 0; (at = tm_ffi_map_next(s, record, i, at, &k, NULL)) != 0;) {
    char text[400];
    if (e >= f->n) return -1;
    struct tm_value want = key_of(fields[i].key, f->k[e], text);
    if (!value_is(&k, &want)) return -1;
    if (run_below(4) != 0) {
      e++;
      continue;
    }
    if (tm_ffi_map_remove(s, record, i, &want) != 0) return -1;
    ref_cut(f, e);
  }
  return e == f->n ? 0 : -1;
}

/* Each: 0 done, a code that failed, or 1: the answer was wrong. The reference is changed only if it was done. */
static int32_t list_change(struct tm_state *s, void *record, int32_t i, struct ref_field *f, uint32_t ids, uint32_t grow) {
  uint32_t id = run_below(ids), what = run_below(100), e;
  struct tm_value out, want;
  char text[400], other[400];
  int32_t code;
  struct tm_value v = value_of(fields[i].of, id, text);
  if (what < grow && f->n < CAP - 1) {
    code = tm_ffi_list_push(s, record, i, &v);
    if (code != 0) return code;
    if (fields[i].max > 0 && f->n == (uint32_t)fields[i].max) ref_cut(f, 0);
    f->v[f->n++] = id;
    return 0;
  }
  if (f->n == 0) return tm_ffi_list_pop(s, record, i, NULL) == TM_STATE_RANGE ? 0 : 1;
  if (what % 3 == 0) {
    e = run_below(f->n);
    code = tm_ffi_list_set(s, record, i, e + 1, &v);
    if (code == 0) f->v[e] = id;
    return code;
  }
  int last = what % 3 == 1;
  code = last ? tm_ffi_list_pop(s, record, i, &out) : tm_ffi_list_shift(s, record, i, &out);
  if (code != 0) return code;
  e = last ? f->n - 1 : 0;
  want = value_of(fields[i].of, f->v[e], other);
  ref_cut(f, e);
  return value_is(&out, &want) ? 0 : 1;
}

static int32_t map_change(struct tm_state *s, void *record, int32_t i, struct ref_field *f, uint32_t ids, uint32_t grow) {
  uint32_t id = run_below(ids), kid = run_below(ids), e;
  char text[400], other[400];
  if (fields[i].key == B) kid &= 1;
  struct tm_value k = key_of(fields[i].key, kid, text), v = value_of(fields[i].of, id, other);
  e = ref_find(f, kid);
  if (run_below(100) < grow) {
    int full = e == f->n && fields[i].max > 0 && f->n == (uint32_t)fields[i].max;
    int32_t code = tm_ffi_map_set(s, record, i, &k, fields[i].kind == TM_FIELD_SET ? NULL : &v);
    if (full && fields[i].on_full == TM_ON_FULL_REFUSE) return code == TM_STATE_FULL ? 0 : code;
    if (full && fields[i].on_full == TM_ON_FULL_STOP) return code == TM_STATE_STOP ? 0 : code;
    if (code < 0) return code;
    if (code != (e == f->n ? TM_STATE_NEW : 0)) return 1;
    if (full) ref_cut(f, 0), e--;
    if (e == f->n) f->n++;
    f->k[e] = kid;
    f->v[e] = id;
    return 0;
  }
  int32_t code = tm_ffi_map_remove(s, record, i, &k);
  if (e == f->n) return code == TM_STATE_RANGE ? 0 : 1;
  if (code == 0) ref_cut(f, e);
  return code;
}

/* grow: per cent of operations that add */
static int32_t change(struct tm_state *s, uint32_t records, uint32_t ids, uint32_t grow) {
  uint32_t r = run_below(records), i = run_below(FIELDS);
  struct ref_field *f = &now.f[r][i];
  void *record = (void *)(uintptr_t)record_find(s, r);
  char text[400];
  int32_t code;
  if (record == NULL || run_below(10) == 0) {
    run_key(&key, r);
    record = tm_ffi_state_write(s, &key);
    if (record == NULL) return s->code;
    now.there[r] = 1;
  }
  if (run_below(40 * ids) == 0) {
    code = tm_ffi_state_remove(s, record);
    if (code != 0) return code;
    now.there[r] = 0;
    for (i = 0; i < FIELDS; i++) now.f[r][i].n = 0;
    return 0;
  }
  if (run_below(5 * ids) == 0) {
    code = tm_ffi_state_empty(s, record, (int32_t)i);
    if (code == 0) f->n = 0;
    return code;
  }
  if (fields[i].kind == TM_FIELD_TEXT) {
    uint32_t id = run_below(ids);
    struct tm_value v = value_of(S, id, text);
    code = tm_ffi_text_set(s, record, (int32_t)i, v.text, v.len);
    if (code == 0) f->n = 1, f->v[0] = id;
    return code;
  }
  if (fields[i].kind == TM_FIELD_LIST) return list_change(s, record, (int32_t)i, f, ids, grow);
  return map_change(s, record, (int32_t)i, f, ids, grow);
}

static double live_bytes(struct tm_state *s) { return ((struct tm_table *)(void *)s)->core.heap.live_bytes; }

/* all records go: nothing may stay behind in the heap */
static void leaks_nothing(const char *name, struct tm_changes *c, struct tm_state *s) {
  for (uint32_t r = 0; r < RECORDS_MAX; r++) {
    void *record = (void *)(uintptr_t)record_find(s, r);
    if (record != NULL) tm_ffi_state_remove(s, record);
  }
  tm_ffi_changes_commit(c);
  while (tm_ffi_changes_care(c, 64)) continue;
  CHECK(live_bytes(s) == 0 && s->keys == 0, "%s: %.0f bytes are left behind", name, live_bytes(s));
}

struct plan { const char *name; uint32_t records, ids, events, ops, every; };

static void random_run(const struct plan *p) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD_SIZE, 8, TM_ON_FULL_OLDEST, fields, FIELDS);
  const char *what = NULL;
  uint32_t event, most = 0;
  memset(&now, 0, sizeof now);
  for (event = 0; event < p->events && what == NULL; event++) {
    uint32_t phase = event * 10 / p->events, grow = phase % 2 == 0 ? 75 : 25;
    uint32_t n = run_below(p->ops), marks_n = 0;
    int32_t at[3];
    ref_copy(&before, &now);
    for (uint32_t o = 0; o < n && what == NULL; o++) {
      if (marks_n < 3 && run_below(n) < 2) {
        ref_copy(&marks[marks_n], &now);
        at[marks_n++] = c->used;
      }
      if (change(s, p->records, p->ids, grow) != 0) what = "an answer";
      if (marks_n > 0 && run_below(n) == 0) {
        uint32_t m = run_below(marks_n);
        tm_ffi_changes_rollback(c, at[m]);
        ref_copy(&now, &marks[m]);
        marks_n = m;
      }
      if (now.f[0][1].n > most) most = now.f[0][1].n;
    }
    int32_t walked = 5 + (int32_t)run_below(7);
    if (what == NULL && now.there[0] && run_below(8) == 0 && walk_remove(s, (void *)(uintptr_t)record_find(s, 0), walked, &now.f[0][walked]) != 0) {
      what = "removing in a walk";
    }
    int back = run_below(4) == 0;
    if (back) {
      tm_ffi_changes_rollback(c, 0);
      ref_copy(&now, &before);
    } else {
      tm_ffi_changes_commit(c);
    }
    if (what == NULL && event % p->every == 0) what = differs(s, &now);
  }
  CHECK(what == NULL, "%s: event %u: %s", p->name, event, what);
  CHECK(p->ids < 1000 || most > 1000, "%s: the longest list had %u", p->name, most);
  leaks_nothing(p->name, c, s);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%s: %.0f bytes are still counted", p->name, budget.used);
}

static void random_runs(void) {
  static const struct plan plans[] = {
    {"few elements", 2, 12, 60000, 20, 1},
    {"some elements", 2, 60, 20000, 60, 1},
    {"many elements", 1, 4000, 3000, 1200, 10},
    {"one record, many events", 1, 2000, 40000, 40, 40},
  };
  for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) random_run(plans + i);
}

/* ---- failing ---- */

static void allocations_fail(void) {
  uint32_t n, failures = 0;
  int ok = 1, done = 0;
  const char *what = NULL;
  for (n = 1; !done && what == NULL; n += n < 300 ? 1 : 7) {
    struct tm_budget budget;
    struct tm_changes *c = run_changes(&budget, 0);
    struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, fields, FIELDS);
    uint64_t kept = run_state;
    run_state = 99;
    memset(now.there, 0, sizeof now.there);
    for (int r = 0; r < RECORDS_MAX; r++) {
      for (int i = 0; i < FIELDS; i++) now.f[r][i].n = 0;
    }
    budget.fail_in = n;
    for (uint32_t o = 0; o < 3000 && what == NULL; o++) {
      /* records and fields are emptied rarely, so that containers are large, small and large again */
      int32_t code = change(s, 1, 900, o < 2000 ? 90 : 20);
      if (code == TM_STATE_NO_MEMORY) {
        ok &= budget.fail_in == 0;
        failures++;
        what = differs(s, &now);
      } else if (code != 0) {
        what = "an answer";
      }
      if (o % 4 == 0) tm_ffi_changes_commit(c);
    }
    done = budget.fail_in > 0;
    if (what == NULL) what = differs(s, &now);
    if (done) leaks_nothing("scenario", c, s);
    tm_ffi_changes_free(c);
    ok &= budget.used == 0;
    run_state = kept;
  }
  CHECK(what == NULL, "the %u-th allocation fails: %s", n, what);
  CHECK(ok && failures > 200, "%u allocations failed", failures);
}

/* ---- memory ---- */

/* 30,000 records with a text, a list and a map each; most go, the others' values move and stay what they are. */
static void values_move(void) {
  enum { MANY = 30000 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD_SIZE, 1e6, TM_ON_FULL_OLDEST, fields, FIELDS);
  struct tm_value v, want;
  char text[400], other[400];
  int ok = 1;
  for (uint32_t i = 0; i < MANY; i++) {
    run_key(&key, i);
    void *record = tm_ffi_state_write(s, &key);
    *(double *)record = i;
    v = value_of(S, i, text);
    ok &= tm_ffi_text_set(s, record, 0, v.text, v.len) == 0;
    for (uint32_t e = 0; e < i % 7; e++) {
      v = value_of(A, i + e, text);
      ok &= tm_ffi_list_push(s, record, 4, &v) == 0;
      struct tm_value k = value_of(S, i + e, other), num = value_of(N, e, text);
      ok &= tm_ffi_map_set(s, record, 5, &k, &num) == TM_STATE_NEW;
    }
    if (i % 1000 == 0) {
      for (uint32_t e = 0; e < 3000; e++) {
        v = value_of(N, i + e, text);
        ok &= tm_ffi_list_push(s, record, 1, &v) == 0 && tm_ffi_map_set(s, record, 10, &v, NULL) == TM_STATE_NEW;
      }
    }
    tm_ffi_changes_commit(c);
  }
  CHECK(ok, "made");
  double full = s->bytes;
  for (uint32_t i = 0; i < MANY; i++) {
    if (i % 10 == 0) continue;
    run_key(&key, i);
    tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key));
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 40)) continue;
  double large = 30 * 3000 * (8 + 8 + 8 / 0.6);
  CHECK(s->bytes < (full - large) / 10 * 3 + large * 2, "%.0f bytes of %.0f are left for a tenth", s->bytes, full);
  for (uint32_t i = 0; i < MANY; i += 10) {
    run_key(&key, i);
    const void *record = tm_ffi_state_find(s, &key);
    const struct tm_state_ref *ref = (const void *)((const char *)record + fields[0].off);
    want = value_of(S, i, text);
    ok &= *(const double *)record == i && ref->n == (uint32_t)want.len;
    ok &= want.len == 0 || memcmp(s->base + 8 * (size_t)ref->at, want.text, ref->n) == 0;
    for (uint32_t e = 0; e < i % 7; e++) {
      want = value_of(A, i + e, text);
      ok &= tm_ffi_list_get(s, record, 4, e + 1, &v) == 0 && value_is(&v, &want);
      struct tm_value k = value_of(S, i + e, other);
      want = value_of(N, e, text);
      ok &= tm_ffi_map_get(s, record, 5, &k, &v) == 0 && value_is(&v, &want);
    }
    for (uint32_t e = 0; e < 3000 && i % 1000 == 0; e++) {
      want = value_of(N, i + e, text);
      ok &= tm_ffi_list_get(s, record, 1, e + 1, &v) == 0 && value_is(&v, &want);
      ok &= tm_ffi_map_get(s, record, 10, &want, NULL) == 0;
    }
  }
  CHECK(ok, "values are what they were");
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

/* Texts of up to 3 MB, which take blocks of their own: set, replaced, removed, taken back. */
static void large_texts(void) {
  enum { HOLDERS = 30, BYTES = 3 << 20 };
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, fields, FIELDS);
  static uint32_t len[HOLDERS], from[HOLDERS];
  static char bytes[BYTES + 256];
  int ok = 1;
  uint32_t events, most = 0;
  for (uint32_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * i >> 8 ^ i);
  for (events = 0; events < 6000 && ok; events++) {
    static const uint32_t sizes[] = {1000, 17000, 66000, 140000, 500000, BYTES};
    uint32_t r = run_below(HOLDERS), n = run_below(sizes[run_below(6)]), at = run_below(256), less = events / 1500 % 2 == 0 ? 8 : 2;
    run_key(&key, r);
    void *record = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
    int gone = record != NULL && run_below(less) == 0;
    if (gone) {
      ok &= tm_ffi_state_remove(s, record) == 0;
      n = 0;
    } else {
      record = tm_ffi_state_write(s, &key);
      ok &= record != NULL && tm_ffi_text_set(s, record, 0, bytes + at, (int32_t)n) == 0;
    }
    if (run_below(4) == 0) {
      tm_ffi_changes_rollback(c, 0);
    } else {
      tm_ffi_changes_commit(c);
      len[r] = n;
      from[r] = at;
    }
    if (((struct tm_table *)(void *)s)->core.heap.blocks > most) most = ((struct tm_table *)(void *)s)->core.heap.blocks;
    for (r = 0; r < HOLDERS; r++) {
      run_key(&key, r);
      const void *holder = tm_ffi_state_find(s, &key);
      if (holder == NULL || (events % 16 != 0 && r != 3)) continue;
      const struct tm_state_ref *ref = (const void *)((const char *)holder + fields[0].off);
      ok &= ref->n == len[r] && (len[r] == 0 || memcmp(s->base + 8 * (size_t)ref->at, bytes + from[r], len[r]) == 0);
    }
  }
  CHECK(ok, "large texts: event %u", events);
  /* addresses are used again: the texts alive at a time have some 700 blocks */
  CHECK(most < 3000, "large texts: %u blocks", most);
  for (uint32_t r = 0; r < HOLDERS; r++) {
    run_key(&key, r);
    void *record = (void *)(uintptr_t)tm_ffi_state_find(s, &key);
    if (record != NULL) tm_ffi_state_remove(s, record);
  }
  tm_ffi_changes_commit(c);
  CHECK(live_bytes(s) == 0 && s->bytes < 256 * 1024, "large texts: %.0f bytes alive, %.0f mapped", live_bytes(s), s->bytes);
  tm_ffi_changes_free(c);
  CHECK(budget.used == 0, "%.0f bytes are still counted", budget.used);
}

static void types_and_bounds(void) {
  struct tm_budget budget;
  struct tm_changes *c = run_changes(&budget, 0);
  struct tm_state *s = run_table(c, RECORD_SIZE, 0, 0, fields, FIELDS);
  char text[400];
  run_key(&key, 0);
  void *record = tm_ffi_state_write(s, &key);
  int32_t mark = c->used;
  struct tm_value num = value_of(N, 1, text), nan = {0.0 / 0.0, NULL, 0, N}, str = value_of(S, 5, text), nil = {0, NULL, 0, TM_VALUE_NIL}, out;
  CHECK(tm_ffi_list_push(s, record, 2, &num) == TM_STATE_TYPE, "a number into a list of strings");
  CHECK(tm_ffi_list_push(s, record, 4, &str) == TM_STATE_TYPE, "a string into a list of any");
  CHECK(tm_ffi_map_set(s, record, 5, &num, &num) == TM_STATE_TYPE, "a number as key of strings");
  CHECK(tm_ffi_map_set(s, record, 6, &nan, &str) == TM_STATE_NOT_KEY, "NaN as a key");
  CHECK(tm_ffi_map_set(s, record, 7, &nil, NULL) == TM_STATE_NO_KEY, "nil as a key");
  CHECK(tm_ffi_map_set(s, record, 6, &num, &num) == TM_STATE_TYPE, "a number as value of strings");
  CHECK(tm_ffi_text_set(s, record, 0, text, TM_TEXT_MAX + 1) == TM_STATE_TOO_LONG, "a text too long");
  CHECK(c->used == mark, "calls that fail leave nothing in the log");
  /* one element is 8 bytes of ring and 8 of its root; -0 and 0 are one key; 1 and "1" are two */
  double had = live_bytes(s);
  num.num = 0;
  CHECK(tm_ffi_list_push(s, record, 1, &num) == 0 && live_bytes(s) - had == 16, "a list of one: %.0f bytes", live_bytes(s) - had);
  CHECK(tm_ffi_map_set(s, record, 10, &num, NULL) == TM_STATE_NEW, "0 is new");
  num.num = -0.0;
  CHECK(tm_ffi_map_set(s, record, 10, &num, NULL) == TM_STATE_OK, "-0 is not");
  struct tm_value one = {1, NULL, 0, N}, digit = {0, "1", 1, S};
  CHECK(tm_ffi_map_set(s, record, 7, &one, NULL) == TM_STATE_NEW && tm_ffi_map_set(s, record, 7, &digit, NULL) == TM_STATE_NEW, "1 and \"1\"");
  CHECK(tm_ffi_map_get(s, record, 7, &digit, &out) == 0 && out.kind == TM_VALUE_TRUE, "a set's elements are true");
  tm_ffi_changes_free(c);
}

int main(void) {
  types_and_bounds();
  random_runs();
  allocations_fail();
  values_move();
  large_texts();
  return unit_end("state_values");
}
