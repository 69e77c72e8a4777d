/* slide_plain.c - counts, sums and means of numbers alone: what most steps ask for.
 *
 * The windows of a record stand at its last entry, and stay there: [lo, n).
 *
 *   in order        | left | lo ...            | new |        what leaves goes off, the event comes in
 *   out of order    | lo2 .. | lo ... | new | behind |        the sum at lo, without what is behind, with what is before: aside
 *
 * An event that is out of order takes its results from a copy of the sums, which is given up; so it costs what lies between it and
 * the last one once at each end, and nothing has to be moved back. A copy has no text for what a pair cannot hold: then the windows are
 * moved to the event (slide.c), as they are for a result that a pair does not give, and with the next event in order back. */
#include "../base/err.h"
#include "slide.h"

static const double EXACT = 0x1p53;  /* integers below it are doubles */

/* what a part holds of its window */
struct held {
  double pair[2];
  double n;
};

static struct held held_of(const struct tm_slider *w, const struct tm_slide_part *a) {
  const double *num = w->num + a->at;
  switch (a->kind) {
    case TM_SLIDE_COUNT: return (struct held){{0, 0}, num[0]};
    case TM_SLIDE_SUM: return (struct held){{num[0], num[1]}, 0};
    default: return (struct held){{num[0], num[1]}, num[2]};
  }
}

/* has a part more than its pair holds? */
static int spilled(const struct tm_slider *w, const struct tm_slide_part *a) {
  return a->field >= 0 && tm_field_ref(w->t, w->record, a->field)->n != 0;
}

/* A part's result as `total` and `mean` of aggregates/numbers.lua give it, where that is plain: 1, or 0. */
static int show(const struct tm_slide_part *a, const struct held *x, struct tm_value *out) {
  double h = x->pair[0];
  int small = x->pair[1] == 0 && h < EXACT && h > -EXACT;
  out->kind = TM_VALUE_NUMBER;
  if (a->kind == TM_SLIDE_COUNT) {
    out->num = x->n;
  } else if (a->kind == TM_SLIDE_SUM) {
    out->num = small ? h / a->scale : h;
    if (!small && !(h < EXACT && h > -EXACT && (double)(int64_t)h != h)) out->kind = TM_VALUE_NIL;
  } else {
    out->num = h / (x->n * a->scale);
    if (!small || x->n == 0 || !(x->n * a->scale < EXACT)) out->kind = TM_VALUE_NIL;
  }
  return out->kind != TM_VALUE_NIL;
}

/* the result of part i as the record has it */
static void part_show(const struct tm_slider *w, int32_t i) {
  const struct tm_slide_part *a = w->p->parts + i;
  struct held x = held_of(w, a);
  if (spilled(w, a)) w->p->out[i].kind = TM_VALUE_NIL;
  else show(a, &x, w->p->out + i);
}

static void count_show(const struct tm_slider *w, int32_t i, uint32_t n) {
  w->p->out[i].num = n;
  w->p->out[i].kind = TM_VALUE_NUMBER;
}

void tm_plain_look(const struct tm_slider *w) {
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    if (a->kind != TM_SLIDE_EVENTS) part_show(w, i);
    else count_show(w, i, w->marks->hi - w->marks->lo[a->window]);
  }
}

/* ---- in order ---- */

/* Entry i comes into a part or leaves it. */
static inline int32_t change(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i, double sign) {
  union tm_tagged v = {.bits = tm_slider_entry(w, i)[a->cell]};
  double *num = w->num + a->at;
  if (tm_tag_of(v.bits) == TM_TAG_NIL) return 0;
  if (a->kind == TM_SLIDE_COUNT) num[0] += sign;
  else if (a->kind == TM_SLIDE_MEAN) num[2] += sign;
  return a->kind == TM_SLIDE_COUNT ? 0 : tm_part_sum(w, num, a->field, sign * v.num);
}

/* Window k begins at lo2, and the last entry is new. */
static int32_t window_pass(const struct tm_slider *w, int32_t k, uint32_t lo2, uint32_t last) {
  for (int32_t i = 0; i < w->p->parts_n; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    uint32_t lo = w->marks->lo[k];
    int32_t code = 0;
    if (a->window != k) continue;
    if (a->kind == TM_SLIDE_EVENTS) {
      count_show(w, i, last + 1 - lo2);
      continue;
    }
    if (lo2 == last && lo < last) code = tm_part_empty(w, a);
    else for (; lo < lo2 && code == 0; lo++) code = change(w, a, lo, -1);
    if (code == 0) code = change(w, a, last, 1);
    if (code != 0) return code;
    part_show(w, i);
  }
  w->marks->lo[k] = lo2;
  return 0;
}

static int32_t in_order(const struct tm_slider *w, double t, double from) {
  uint32_t last = w->series.ref->n;
  int32_t code = tm_slider_insert(w, last, t);
  for (int32_t k = 0; k < w->p->windows_n && code == 0; k++) {
    uint32_t lo = w->marks->lo[k];
    while (lo < last && from - tm_slider_time(w, lo) >= w->p->sizes[k]) lo++;
    code = window_pass(w, k, lo, last);
  }
  w->marks->hi = last + 1;
  return code == 0 ? 1 : code;
}

/* ---- out of order ---- */

/* Entries [from, to) more (sign 1) or less in a copy: 1, or 0 where a pair cannot hold that. */
static int aside_run(const struct tm_slider *w, const struct tm_slide_part *a, struct held *x, uint32_t from, uint32_t to, double sign) {
  for (uint32_t i = from; i < to; i++) {
    union tm_tagged v = {.bits = tm_slider_entry(w, i)[a->cell]};
    if (tm_tag_of(v.bits) == TM_TAG_NIL) continue;
    x->n += sign;
    if (a->kind != TM_SLIDE_COUNT && tm_pair_add(x->pair, sign * v.num) != 0) return 0;
  }
  return 1;
}

/* The result of a part over entries [lo2, place) and the event at hand: 1, or 0. */
static int aside(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t lo2, uint32_t place, struct tm_value *out) {
  uint32_t lo = w->marks->lo[a->window], n = w->series.ref->n, apart = n - place + (lo > lo2 ? lo - lo2 : lo2 - lo);
  const struct tm_value *own = w->p->in + a->cell;
  struct held x = {{0, 0}, 0};
  if (spilled(w, a)) return 0;
  if (place <= lo || place - lo2 <= apart) {
    if (!aside_run(w, a, &x, lo2, place, 1)) return 0;
  } else {
    x = held_of(w, a);
    if (!aside_run(w, a, &x, place, n, -1)) return 0;
    if (lo2 < lo && !aside_run(w, a, &x, lo2, lo, 1)) return 0;
    if (lo < lo2 && !aside_run(w, a, &x, lo, lo2, -1)) return 0;
  }
  if (own->kind == TM_VALUE_NUMBER) {
    x.n++;
    if (a->kind != TM_SLIDE_COUNT && tm_pair_add(x.pair, own->num) != 0) return 0;
  }
  return show(a, &x, out);
}

/* What no event behind the watermark can ask for leaves all the same, as it would be kept else. */
static int32_t old_leave(const struct tm_slider *w, double watermark) {
  struct tm_slide_marks *m = w->marks;
  int32_t code = 0;
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    for (; m->lo[k] < m->hi && watermark - tm_slider_time(w, m->lo[k]) >= w->p->sizes[k]; m->lo[k]++) {
      for (int32_t i = 0; i < w->p->parts_n && code == 0; i++) {
        const struct tm_slide_part *a = w->p->parts + i;
        if (a->window == k && a->kind != TM_SLIDE_EVENTS) code = change(w, a, m->lo[k], -1);
      }
      if (code != 0) return code;
    }
  }
  return 0;
}

static int32_t out_of_order(const struct tm_slider *w, double t, double watermark) {
  struct tm_slide_marks *m = w->marks;
  double from = t > watermark ? t : watermark;
  uint32_t n = w->series.ref->n, place = n - 1;
  int32_t code = old_leave(w, watermark);
  if (code != 0) return code;
  while (place > 0 && tm_slider_time(w, place - 1) > t) place--;
  for (int32_t k = 0; k < w->p->windows_n; k++) {
    uint32_t lo2 = tm_slider_upto(w, from, w->p->sizes[k], m->lo[k]);
    if (lo2 > place) lo2 = place;
    for (int32_t i = 0; i < w->p->parts_n; i++) {
      const struct tm_slide_part *a = w->p->parts + i;
      if (a->window != k) continue;
      if (a->kind == TM_SLIDE_EVENTS) count_show(w, i, place + 1 - lo2);
      else if (!aside(w, a, lo2, place, w->p->out + i)) return 0;
    }
  }
  code = tm_slider_insert(w, place, t);
  for (int32_t i = 0; i < w->p->parts_n && code == 0; i++) {
    const struct tm_slide_part *a = w->p->parts + i;
    if (a->kind != TM_SLIDE_EVENTS && place >= m->lo[a->window]) code = change(w, a, place, 1);
  }
  for (int32_t k = 0; k < w->p->windows_n; k++) m->lo[k] += place < m->lo[k];
  m->hi = n + 1;
  return code == 0 ? 1 : code;
}

int32_t tm_plain_add(const struct tm_slider *w, double t, double watermark) {
  uint32_t n = w->series.ref->n;
  if (w->marks->hi != n) return 0;
  return n == 0 || w->marks->newest <= t ? in_order(w, t, t > watermark ? t : watermark) : out_of_order(w, t, watermark);
}
