/* test_arena_resume.c - keyed state in an arena that outlives its process: a run that is cut off and goes on, against one that is not.
 *
 * A child makes random steps on states of every kind, cuts behind some of them, copies out in slices between later ones and is gone at a
 * random step, mostly with an epoch half copied out. A second child maps the arena anew, puts back what complete epochs have, adopts all states and
 * makes the steps behind the last complete cut. What each of these finds (codes, values, walks, what is due, rows of windows) must be what
 * the undisturbed run found, which had no arena. Several lives follow one another, each recovered from all epochs before. */
#include <math.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../host/aggregate/slide.h"
#include "../../host/base/err.h"
#include "state_run.h"

enum { STEPS = 60000, LIVES = 12, KEYS = 700, WINDOWS = 3, MARGIN = 4000 };
static const size_t TAPE = (size_t)4 << 30, RESERVE = (size_t)1 << 40;

/* what lies beyond the children: what was found by the undisturbed run, and what was copied out */
struct tape {
  uint64_t found[STEPS];
  const void *base;
  size_t whole, used;             /* bytes of complete epochs; of all */
  int64_t step, step_next;        /* the last complete cut was behind that step; the one under way */
  int32_t wrong;                  /* the first step that found something else, or 0 */
  int32_t compared;
  double words[8];                /* what the caller's own words were at the cut, and for the cut under way */
  double words_next[8];
  char bytes[];
};
static struct tape *tape;

struct entry { uint64_t offset, len, zero; };

static void emit(void *ctx, uint64_t offset, const void *bytes, size_t len) {
  struct entry e = {offset, len, bytes == NULL};
  (void)ctx;
  if (tape->used + sizeof e + len > TAPE - sizeof *tape) abort();
  memcpy(tape->bytes + tape->used, &e, sizeof e);
  tape->used += sizeof e;
  if (bytes == NULL) return;
  memcpy(tape->bytes + tape->used, bytes, len);
  tape->used += len;
}

/* ---- the world ---- */

static uint64_t step_state;
static uint64_t dice(void) {
  uint64_t z = (step_state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
static uint32_t below(uint32_t n) { return (uint32_t)(dice() >> 33) % n; }

static uint64_t found;
static void note(const void *p, size_t n) {
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++) found = (found ^ b[i]) * 0x100000001b3u;
}
static void note_number(double v) { note(&v, sizeof v); }
static void note_value(int32_t code, const struct tm_value *v) {
  note_number(code);
  if (code != 0) return;
  if (v->kind == TM_VALUE_NUMBER) note_number(v->num);
  else if (v->kind == TM_VALUE_STRING || v->kind == TM_VALUE_ANY) note(v->text, (size_t)v->len);
  else note_number(v->kind);
}

struct world {
  struct tm_changes *c;
  struct tm_state *kept, *timed, *sets, *parts, *moving, *sliding, *windows[WINDOWS];
  struct tm_slide plan[2];
  struct tm_slide_part part[2][3];
  struct tm_value in[2][2], out[2][3];
  double size;
  double words[8];                /* 0: the watermark, 1: the next section, 2 + i: which window i is; as a library keeps them */
};

static const struct tm_state_field kept_fields[] = {
  {16, TM_FIELD_TEXT, 0, 0, 0, 0},
  {24, TM_FIELD_LIST, 0, TM_VALUE_NUMBER, 0, 0},
  {32, TM_FIELD_MAP, TM_VALUE_STRING, TM_VALUE_NUMBER, TM_ON_FULL_OLDEST, 400},
  {40, TM_FIELD_SET, TM_VALUE_NIL, 0, 0, 0},
  {48, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 30},
};
static const struct tm_state_field set_field = {24, TM_FIELD_MARKS, 0, 0, 0, 0};
static const struct tm_state_field order_field = {8, TM_FIELD_LIST, 0, TM_VALUE_STRING, 0, 0};

static struct tm_state *open_state(struct world *w, const char *name, const struct tm_state_field *f, int32_t fields_n, int32_t size,
                                   double max_keys, int32_t timed, int32_t sections) {
  struct tm_state_options o = {name, f, (int32_t)strlen(name), fields_n, size, TM_ON_FULL_OLDEST, max_keys, timed, sections, NULL, 0, 0};
  struct tm_state *s = tm_ffi_state_new(w->c, &o);
  if (s == NULL) {
    fprintf(stderr, "state '%s': refused %d\n", name, w->c->refused);
    abort();
  }
  return s;
}

static void plan(struct world *w, int i, int moving) {
  struct tm_slide *p = w->plan + i;
  struct tm_slide_part *a = w->part[i];
  a[0] = (struct tm_slide_part){.kind = TM_SLIDE_COUNT, .at = 0};
  a[1] = (struct tm_slide_part){.kind = TM_SLIDE_SUM, .cell = 1, .at = 1, .field = 0, .scale = 1};
  a[2] = (struct tm_slide_part){.kind = moving ? TM_SLIDE_QUANTILE : TM_SLIDE_MIN, .cell = 1, .at = 3, .field = 1, .log_g = log(1.02)};
  *p = (struct tm_slide){.parts = a, .parts_n = 3, .sizes = &w->size, .longest = w->size, .windows_n = 1, .in = w->in[i], .out = w->out[i],
                         .cells = 2, .series = moving ? -1 : 2, .moving = moving, .at = 8, .extremes = !moving};
}

static struct tm_state *open_window(struct world *w) { return open_state(w, "window", kept_fields, 2, 32, 0, 0, 0); }

static void open_all(struct world *w) {
  struct tm_state_field f[3] = {{13 * 8, TM_FIELD_TEXT, 0, 0, 0, 0}, {14 * 8, TM_FIELD_TEXT, 0, 0, 0, 0}, {18 * 8, TM_FIELD_SERIES, 0, 2, 0, 2}};
  w->kept = open_state(w, "kept", kept_fields, 5, 56, KEYS / 2, 0, 0);
  w->timed = open_state(w, "timed", NULL, 0, 8, 0, 1, 0);
  w->sets = open_state(w, "sets", &set_field, 1, 32, 0, 0, 0);
  w->parts = open_state(w, "parts", &order_field, 1, 16, 0, 0, 1);
  w->moving = open_state(w, "moving", f, 2, 15 * 8, 0, 0, 0);
  f[1] = (struct tm_state_field){14 * 8, TM_FIELD_SERIES, 0, 2, 0, 1};
  f[2].off = 18 * 8;
  w->sliding = open_state(w, "sliding", f, 3, 23 * 8, 0, 0, 0);
  for (int i = 0; i < WINDOWS; i++) w->windows[i] = open_window(w);
  w->size = 5000;
  plan(w, 0, 1);
  plan(w, 1, 0);
  if (tm_ffi_turns_new(&w->plan[0], w->moving) != 0 || tm_ffi_turns_new(&w->plan[1], w->sliding) != 0) abort();
}

/* ---- steps ---- */

static struct tm_key key;

static int32_t text_some(char *out) {
  static const int32_t most[] = {20, 200, 2000, 40000};
  int32_t n = (int32_t)below((uint32_t)most[below(10) < 9 ? below(3) : 3]);
  memset(out, 'a' + (int)below(20), (size_t)n);
  if (n > 8) memcpy(out, "12345678", 8);
  return n;
}

static void kept_change(struct world *w, double *r) {
  static char text[40000];
  struct tm_value v = {.num = below(1000), .kind = TM_VALUE_NUMBER}, k = {.text = text, .kind = TM_VALUE_STRING};
  struct tm_state *s = w->kept;
  r[0] += below(100);
  switch (below(14)) {
    case 0: note_number(tm_ffi_text_set(s, r, 0, text, text_some(text))); break;
    case 1: {
      const struct tm_state_ref *ref = (const struct tm_state_ref *)(const void *)(r + 2);
      int32_t n = (int32_t)ref->n;
      if (ref->at == 0 || n < 300) break;
      memcpy(text, s->base + 8 * (size_t)ref->at, (size_t)n);
      text[below((uint32_t)n)] ^= 1;
      note_number(tm_ffi_text_patch(s, r, 0, text, n));
      break;
    }
    case 2: for (uint32_t n = below(60); n > 0; n--) note_number(tm_ffi_list_push(s, r, 1, &v)); break;
    case 3: for (uint32_t n = below(40); n > 0; n--) note_value(tm_ffi_list_shift(s, r, 1, &v), &v); break;
    case 4: note_number(tm_ffi_list_set(s, r, 1, 1 + below(9), &v)); break;
    case 5: case 6:
      for (uint32_t n = below(50); n > 0; n--) {
        k.len = snprintf(text, 32, "%u", below(500));
        note_number(tm_ffi_map_set(s, r, 2, &k, &v));
      }
      break;
    case 7: case 8:
      for (uint32_t n = below(50); n > 0; n--) {
        k.len = snprintf(text, 32, "%u", below(500));
        note_number(tm_ffi_map_remove(s, r, 2, &k));
      }
      break;
    case 9: note_number(tm_ffi_map_set(s, r, 3, &v, &v)); break;
    case 10: note_number(tm_ffi_state_empty(s, r, (int32_t)below(5))); break;
    case 11: note_number(tm_ffi_state_remove(s, r)); break;
    default:
      k.len = text_some(text);
      note_number(tm_ffi_list_push(s, r, 4, &k));
  }
}

static void kept_look(struct world *w, const double *r) {
  struct tm_value k, v;
  double at = 0;
  int32_t len;
  const char *name = tm_ffi_state_key(w->kept, r, &len);
  note(name, (size_t)len);
  note_number(r[0]);
  const struct tm_state_ref *ref = (const struct tm_state_ref *)(const void *)(r + 2);
  if (ref->at != 0) note(ref->n > 0 ? w->kept->base + 8 * (size_t)ref->at : "", ref->n);
  while ((at = tm_ffi_map_next(w->kept, r, 2, at, &k, &v)) != 0) note_value(0, &k), note_value(0, &v);
  while ((at = tm_ffi_map_next(w->kept, r, 3, at, &k, NULL)) != 0) note_value(0, &k);
  for (int i = 1; tm_ffi_list_get(w->kept, r, 1, i, &v) == 0; i++) note_value(0, &v);
  for (int i = 1; tm_ffi_list_get(w->kept, r, 4, i, &v) == 0; i++) note_value(0, &v);
}

static void kept_step(struct world *w) {
  run_key(&key, below(KEYS));
  double *r = tm_ffi_state_write(w->kept, &key);
  if (r == NULL) abort();
  for (uint32_t n = 1 + below(3); n > 0; n--) kept_change(w, r);
  if (below(3) == 0) tm_ffi_changes_rollback(w->c, 0);
  run_key(&key, below(KEYS));
  const double *other = tm_ffi_state_find(w->kept, &key);
  if (other != NULL) kept_look(w, other);
  note_number(w->kept->keys);
  note_number(w->kept->evicted);
  if (below(400) == 0) note_number(tm_ffi_state_clear(w->kept));
  if (below(300) != 0) return;
  struct tm_state_cursor *walk = tm_ffi_cursor_new(w->kept);
  for (const double *at; !walk->done;) {
    at = tm_ffi_cursor_next(walk);
    if (at != NULL) kept_look(w, at);
  }
  tm_ffi_cursor_free(walk);
}

static void timed_step(struct world *w) {
  run_key(&key, below(5000));
  double *r = tm_ffi_state_write(w->timed, &key);
  note_number(tm_ffi_due_set(w->timed, r, w->words[0] + below(8) * (below(3) == 0 ? 1000000.0 : 100.0) - 200));
  if (below(4) == 0) tm_ffi_changes_rollback(w->c, 0);
  tm_ffi_changes_commit(w->c);
  for (int n = 0; n < 3; n++) {
    double *due = tm_ffi_due_pop(w->timed, w->words[0]);
    note_number(w->timed->code == TM_STATE_MORE);
    if (due == NULL) break;
    note_number(w->timed->due_popped);
    if (below(2) == 0) note_number(tm_ffi_state_remove(w->timed, due));
  }
}

static void sets_step(struct world *w) {
  static const struct tm_marks marks = {0, 0, 3, 0, 0};
  run_key(&key, below(20));
  double *r = tm_ffi_state_write(w->sets, &key);
  for (uint32_t n = below(20); n > 0; n--) note_number(tm_ffi_marks_add(w->sets, r, &marks, below(20000), (int32_t)below(8)));
  if (below(5) == 0) tm_ffi_changes_rollback(w->c, 0);
  else note(r, 24);
  tm_ffi_changes_commit(w->c);
  const double *other = tm_ffi_state_find(w->sets, &key);
  if (other != NULL && below(200) == 0) note_number(tm_ffi_state_remove(w->sets, tm_ffi_state_write(w->sets, &key)));
}

static void parts_step(struct world *w) {
  double section = floor(w->words[0] / 3000);
  run_key(&key, below(60));
  double *r = tm_ffi_section_write(w->parts, section + below(3), &key);
  r[0]++;
  tm_ffi_changes_commit(w->c);
  for (int i = 1; i < 4; i++) {
    const double *at = tm_ffi_section_at(w->parts, section, i);
    if (at != NULL) note_number(at[0]);
  }
  if (w->words[1] < section - 2) {
    int32_t code = tm_ffi_section_drop(w->parts, w->words[1], 16);
    note_number(code);
    if (code != TM_STATE_MORE) w->words[1]++;
  }
}

static void turns_step(struct world *w, int i, struct tm_state *s) {
  run_key(&key, below(100));
  w->in[i][1] = (struct tm_value){.num = (double)below(1000) + (below(9) == 0 ? 1e17 : 0), .kind = below(6) != 0 ? TM_VALUE_NUMBER : TM_VALUE_NIL};
  if (below(7) == 0) memset(key.bytes + key.len, 'k', 200), tm_ffi_key_string(&key, "a longer part of a key that does not fit", 40);
  note_number(tm_ffi_turns_hold(w->plan + i, s, &key, w->words[0] + 1 + below(below(50) == 0 ? 40000 : 900)));
  if (below(9) == 0) tm_ffi_changes_rollback(w->c, 0);
  tm_ffi_changes_commit(w->c);
  for (int n = 0; n < 4; n++) {
    const double *r = tm_ffi_turns_next(w->plan + i, s, w->words[0], NULL);
    if (r == NULL) break;
    note_number(w->plan[i].time);
    note_number(r[0]);
    note_number(tm_ffi_exact_sum(s, r, 0, r[1], r[2]));
    if (i == 1) note_value(0, w->out[1] + 2);
    else note_number(tm_ffi_buckets_quantile(s, r, 1, log(1.02), 0.5));
  }
}

/* Windows come and go: one is given up, and its addresses are used again. */
static void windows_step(struct world *w) {
  uint32_t i = below(WINDOWS);
  struct tm_state *s = w->windows[i];
  run_key(&key, below(900));
  double *r = tm_ffi_state_write(s, &key);
  r[0]++;
  note_number(tm_ffi_text_set(s, r, 0, "window", (int32_t)below(6)));
  note_number(r[0]);
  note_number(s->keys);
  if (below(200) == 0) {
    if (below(2) == 0) tm_ffi_changes_commit(w->c), note_number(tm_ffi_state_recycle(s));
    else note_number(tm_ffi_state_clear(s));
  } else if (below(300) == 0) {
    tm_ffi_changes_commit(w->c);
    tm_ffi_state_free(s);
    w->windows[i] = open_window(w);
  }
}

static void step(struct world *w, int64_t i) {
  step_state = (uint64_t)i * 0x2545F4914F6CDD1Du;
  found = 0xcbf29ce484222325u;
  w->words[0] += below(40);
  switch (below(7)) {
    case 0: case 1: kept_step(w); break;
    case 2: timed_step(w); break;
    case 3: sets_step(w); break;
    case 4: parts_step(w); break;
    case 5: turns_step(w, 0, w->moving), turns_step(w, 1, w->sliding); break;
    default: windows_step(w);
  }
  tm_ffi_changes_commit(w->c);
  if (below(3) == 0) tm_ffi_changes_care(w->c, 200);
}

/* ---- lives ---- */

/* windows by the address that the library's own words remember */
static void words_out(const struct world *w, double *words) {
  memcpy(words, w->words, sizeof w->words);
  for (int i = 0; i < WINDOWS; i++) words[2 + i] = tm_ffi_state_address(w->windows[i]);
}

static struct tm_changes *put_back(struct tm_arena *a, struct tm_budget *budget) {
  for (size_t at = 0; at < tape->whole;) {
    struct entry e;
    memcpy(&e, tape->bytes + at, sizeof e);
    at += sizeof e;
    if ((e.zero ? tm_arena_zero(a, e.offset, e.len) : tm_arena_apply(a, e.offset, tape->bytes + at, e.len)) != 0) abort();
    if (!e.zero) at += e.len;
  }
  struct tm_err err;
  struct tm_changes *c = tm_changes_resume(a, budget, &err);
  if (c == NULL) {
    fprintf(stderr, "%s\n", err.detail);
    abort();
  }
  return c;
}

static void states_find(struct world *w) {
  struct tm_state *byname[WINDOWS];
  open_all(w);
  memcpy(byname, w->windows, sizeof byname);
  /* by name they come in order of making; which is which is what the words say */
  for (int i = 0; i < WINDOWS; i++) {
    int there = 0;
    for (int k = 0; k < WINDOWS; k++) there += tm_ffi_state_address(byname[k]) == tape->words[2 + i];
    if (there != 1) abort();
    w->windows[i] = (struct tm_state *)(uintptr_t)tape->words[2 + i];
  }
}

static _Noreturn void live(int64_t dies_at) {
  static struct tm_budget budget;
  static struct world w;
  struct tm_arena *a = tm_arena_new(tape->base, RESERVE, NULL);
  if (a == NULL) abort();
  tape->used = tape->whole;
  if (tape->base == NULL) {
    tape->base = tm_arena_base(a);
    w.c = tm_changes_new_in(a, &budget, 5);
    open_all(&w);
  } else {
    w.c = put_back(a, &budget);
    double states = 0;
    for (const struct tm_state *s = w.c->states; s != NULL; s = s->next) states += s->bytes;
    if (!(budget.used >= states && budget.used < states + 200000)) abort();
    states_find(&w);
    for (const struct tm_state *s = w.c->states; s != NULL; s = s->next) {
      if (!s->adopted) abort();
    }
    memcpy(w.words, tape->words, sizeof w.words);
  }
  for (int64_t i = tape->step + 1; i < dies_at; i++) {
    step(&w, i);
    tape->compared++;
    if (found != tape->found[i]) {
      tape->wrong = (int32_t)i;
      _exit(0);
    }
    if (tm_arena_copy(a, emit, NULL, run_below(4) == 0 ? 100000 : run_below(9000)) != 0) continue;
    if (tape->step_next != tape->step && tape->step_next != 0) {
      tape->whole = tape->used;
      tape->step = tape->step_next;
      memcpy(tape->words, tape->words_next, sizeof tape->words);
    }
    if (run_below(20) != 0) continue;
    tape->step_next = i;
    words_out(&w, tape->words_next);
    if (tm_arena_cut(a) != 0) abort();
    tm_arena_check(a);
  }
  _exit(0);
}

int main(void) {
  static struct world w;
  static struct tm_budget budget;
  tape = mmap(NULL, TAPE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (tape == MAP_FAILED) return 1;
  w.c = tm_ffi_changes_new(&budget, 3);
  open_all(&w);
  for (int64_t i = 1; i < STEPS; i++) {
    step(&w, i);
    tape->found[i] = found;
  }
  tm_ffi_changes_free(w.c);
  int64_t dies_at = 0;
  for (int life = 0; life < LIVES && tape->wrong == 0 && dies_at < STEPS; life++) {
    int status;
    dies_at = tape->step + MARGIN + run_below(STEPS / LIVES - MARGIN / 2);
    if (dies_at > STEPS) dies_at = STEPS;
    int64_t from = tape->step;
    run_state += (uint64_t)life;
    tape->step_next = tape->step;
    pid_t child = fork();
    if (child == 0) live(dies_at);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "life %d ended badly", life);
    CHECK(tape->wrong == 0, "life %d, which began behind step %lld: step %d found something else", life, (long long)from, tape->wrong);
    CHECK(tape->step > from, "life %d: no cut", life);
  }
  CHECK(tape->compared > STEPS / 2, "only %d steps were compared", tape->compared);
  return unit_end("arena_resume");
}
