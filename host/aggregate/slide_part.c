/* slide_part.c - what each kind of aggregate makes of entries that come into its window or leave it.
 *
 * Sums, counts, maps and buckets give back exactly what they took. FIRST and LAST know the place of their entry. The value of MIN and
 * MAX cannot be given back: of the settled entries those are kept, in order, that are better than all behind them, as each of
 * these may become the value when the ones before it have left; entries behind them are looked at one by one. */
#include <stdlib.h>

#include "../base/err.h"
#include "slide.h"

static double *part_num(const struct tm_slider *w, const struct tm_slide_part *a) { return w->num + a->at; }
static uint64_t cell_at(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i) { return tm_slider_entry(w, i)[a->cell]; }
static int counts(const struct tm_slide_part *a, const uint64_t *entry) {
  return a->cell == 0 || tm_tag_of(entry[a->cell]) != TM_TAG_NIL;
}
static double number_of(const uint64_t *entry, int32_t cell) {
  union tm_tagged as = {.bits = entry[cell]};
  return as.num;
}

/* ---- sums ---- */

static int32_t spill(const struct tm_slider *w, int32_t field, double x, double y) {
  return tm_ffi_exact_add(w->s, w->record, field, x, y);
}

int32_t tm_part_spill(const struct tm_slider *w, double *sum, int32_t field, double v, double rest) {
  if (rest == rest) return spill(w, field, rest, 0);
  int32_t code = spill(w, field, sum[0], sum[1]);
  sum[0] = sum[1] = 0;
  return code < 0 ? code : spill(w, field, v, 0);
}

static int32_t square_add(const struct tm_slider *w, const struct tm_slide_part *a, double v, double low, double sign) {
  double *pair = part_num(w, a) + 3, p = v * v;
  if (a->low != 0 || !(p < 1e300 && (p > 1e-270 || v == 0))) return tm_ffi_exact_add_square(w->s, w->record, a->squares, v, low, sign);
  double e = fma(v, v, -p);
  int32_t code = tm_part_sum(w, pair, a->squares, sign * p);
  return code == 0 && e != 0 ? tm_part_sum(w, pair, a->squares, sign * e) : code;
}

/* an entry more (sign 1) or less (-1) */
static int32_t sum_change(const struct tm_slider *w, const struct tm_slide_part *a, const uint64_t *entry, double sign) {
  double *num = part_num(w, a), v = number_of(entry, a->cell), low = a->low != 0 ? number_of(entry, a->low) : 0;
  int32_t code = tm_part_sum(w, num, a->field, sign * v);
  if (code == 0 && a->low != 0) code = tm_part_sum(w, num, a->field, sign * low);
  if (a->kind == TM_SLIDE_SUM) return code;
  num[2] += sign;
  return code == 0 && a->kind == TM_SLIDE_VARIANCE ? square_add(w, a, v, low, sign) : code;
}

/* ---- distinct ---- */

static int32_t differ(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i, double sign) {
  struct tm_value key, count = {0, NULL, 0, TM_VALUE_NUMBER};
  tm_tagged_get(w->t, cell_at(w, a, i), &key);
  int32_t code = tm_ffi_map_get(w->s, w->record, a->field, &key, &count);
  if (code < 0 && code != TM_STATE_RANGE) return code;
  count.num = (code == TM_STATE_RANGE ? 0 : count.num) + sign;
  count.kind = TM_VALUE_NUMBER;
  code = count.num <= 0 ? tm_ffi_map_remove(w->s, w->record, a->field, &key) : tm_ffi_map_set(w->s, w->record, a->field, &key, &count);
  return code < 0 ? code : 0;
}

/* ---- first and last ---- */

static void place_add(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i) {
  double *num = part_num(w, a);
  if (num[0] == 0 || (a->kind == TM_SLIDE_FIRST ? i < num[1] : i > num[1])) num[1] = i;
  num[0]++;
}

static void place_leave(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i) {
  double *num = part_num(w, a);
  num[0]--;
  if (num[0] == 0 || i != num[1]) return;
  do i += a->kind == TM_SLIDE_FIRST ? 1u : ~0u;
  while (!counts(a, tm_slider_entry(w, i)));
  num[1] = i;
}

/* ---- one entry ---- */

int32_t tm_part_change(const struct tm_slider *w, const struct tm_slide_part *a, const uint64_t *entry, int sign) {
  if (!counts(a, entry)) return 0;
  if (a->kind == TM_SLIDE_QUANTILE) return tm_ffi_buckets_add(w->s, w->record, a->field, a->log_g, number_of(entry, a->cell), sign);
  if (a->kind != TM_SLIDE_COUNT) return sum_change(w, a, entry, sign);
  *part_num(w, a) += sign;
  return 0;
}

static int32_t entry_change(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t i, int sign) {
  const uint64_t *entry = tm_slider_entry(w, i);
  if (!counts(a, entry)) return 0;
  switch (a->kind) {
    case TM_SLIDE_MIN:
    case TM_SLIDE_MAX:
      part_num(w, a)[tm_tag_is_number(cell_at(w, a, i)) ? 0 : 1] += sign;
      return 0;
    case TM_SLIDE_FIRST:
    case TM_SLIDE_LAST:
      if (sign > 0) place_add(w, a, i);
      else place_leave(w, a, i);
      return 0;
    case TM_SLIDE_EVENTS:
      return 0;
    case TM_SLIDE_DISTINCT:
      return differ(w, a, i, sign);
    default:
      return tm_part_change(w, a, entry, sign);
  }
}

int32_t tm_part_add(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to) {
  int32_t code = 0;
  for (uint32_t i = from; i < to && code == 0; i++) code = entry_change(w, a, i, 1);
  return code;
}

int32_t tm_part_leave_front(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to) {
  int32_t code = 0;
  for (uint32_t i = from; i < to && code == 0; i++) code = entry_change(w, a, i, -1);
  return code;
}

int32_t tm_part_leave_back(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to) {
  int32_t code = 0;
  for (uint32_t i = to; i > from && code == 0; i--) code = entry_change(w, a, i - 1, -1);
  return code;
}

static int32_t field_empty(const struct tm_slider *w, int32_t field) {
  return tm_field_ref(w->t, w->record, field)->at == 0 ? 0 : tm_ffi_state_empty(w->s, w->record, field);
}

int32_t tm_part_empty(const struct tm_slider *w, const struct tm_slide_part *a) {
  static const int doubles[] = {1, 2, 3, 5, 2, 2, 1, 1, 0, 0, 0};
  double *num = part_num(w, a);
  for (int i = 0; i < doubles[a->kind]; i++) num[i] = 0;
  int32_t code = 0;
  /* what MIN and MAX keep is of all that is settled, not of the window */
  if (a->kind == TM_SLIDE_SUM || a->kind == TM_SLIDE_MEAN || a->kind == TM_SLIDE_VARIANCE || a->kind == TM_SLIDE_DISTINCT ||
      a->kind == TM_SLIDE_QUANTILE) {
    code = field_empty(w, a->field);
  }
  return code == 0 && a->kind == TM_SLIDE_VARIANCE ? field_empty(w, a->squares) : code;
}

void tm_part_moved(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t n) {
  if (a->kind == TM_SLIDE_FIRST || a->kind == TM_SLIDE_LAST) part_num(w, a)[1] -= n;
}

/* ---- least and greatest ---- */

static int digits_compare(const struct tm_value *a, const struct tm_value *b) {
  char text[2][24] = {{0}, {0}};
  long long v[2];
  for (int i = 0; i < 2; i++) {
    const struct tm_value *from = i == 0 ? a : b;
    int32_t len = from->len < 23 ? from->len : 23;
    memcpy(text[i], from->text, (size_t)len);
    v[i] = strtoll(text[i], NULL, 10);
  }
  return (v[0] > v[1]) - (v[0] < v[1]);
}

/* Texts by byte, or as int64; numbers are less than texts, which only decides what is kept where both are about. */
static int compare(const struct tm_slider *w, const struct tm_slide_part *a, uint64_t x, uint64_t y) {
  union tm_tagged p = {.bits = x}, q = {.bits = y};
  int px = tm_tag_is_number(x), py = tm_tag_is_number(y);
  if (px && py) return (p.num > q.num) - (p.num < q.num);
  if (px != py) return px ? -1 : 1;
  struct tm_value v, u;
  tm_tagged_get(w->t, x, &v);
  tm_tagged_get(w->t, y, &u);
  if (a->digits) return digits_compare(&v, &u);
  int order = memcmp(v.text, u.text, (size_t)(v.len < u.len ? v.len : u.len));
  return order != 0 ? order : (v.len > u.len) - (v.len < u.len);
}

/* is x better than y? */
static int better(const struct tm_slider *w, const struct tm_slide_part *a, uint64_t x, uint64_t y) {
  int order = compare(w, a, x, y);
  return a->kind == TM_SLIDE_MAX ? order > 0 : order < 0;
}

/* candidates: time, value */
static struct tm_series candidates(const struct tm_slider *w, const struct tm_slide_part *a) {
  return tm_series_of(w->t, w->record, a->field);
}
static double candidate_time(const struct tm_series *c, uint32_t i) {
  union tm_tagged as = {.bits = tm_series_at(c, i)[0]};
  return as.num;
}

int32_t tm_part_settle(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t from, uint32_t to, double watermark) {
  if (a->kind != TM_SLIDE_MIN && a->kind != TM_SLIDE_MAX) return 0;
  struct tm_series c = candidates(w, a);
  for (uint32_t i = from; i < to; i++) {
    const uint64_t *e = tm_slider_entry(w, i);
    uint64_t v = e[a->cell];
    if (tm_tag_of(v) == TM_TAG_NIL) continue;
    while (c.ref->n > 0 && !better(w, a, tm_series_at(&c, c.ref->n - 1)[1], v)) {
      if (tm_series_pop(&c) != 0) return TM_STATE_NO_MEMORY;
    }
    uint64_t *slot = tm_series_insert(&c, c.ref->n);
    if (slot == NULL) return TM_STATE_NO_MEMORY;
    slot[0] = e[0];
    int32_t code = tm_tagged_copy(w->t, v, slot + 1);
    if (code != 0) return code;
  }
  uint32_t old = 0;
  while (old < c.ref->n && watermark - candidate_time(&c, old) >= w->p->sizes[a->window]) old++;
  return tm_series_cut(&c, old) != 0 ? TM_STATE_NO_MEMORY : 0;
}

/* the first candidate that is not before x */
static uint32_t candidate_from(const struct tm_series *c, double x) {
  uint32_t low = 0, high = c->ref->n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (candidate_time(c, middle) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* where the best value of [lo, hi) lies, of which there is one */
static uint64_t best_of(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t lo, uint32_t hi) {
  struct tm_series c = candidates(w, a);
  uint32_t settled = *tm_slider_settled(w), from = lo;
  uint64_t best = (uint64_t)TM_TAG_NIL << 48;
  if (settled > lo && settled <= hi) {
    uint32_t i = candidate_from(&c, tm_slider_time(w, lo));
    if (i < c.ref->n) best = tm_series_at(&c, i)[1];
    from = settled;
  }
  for (uint32_t i = from; i < hi; i++) {
    uint64_t v = cell_at(w, a, i);
    if (tm_tag_of(v) != TM_TAG_NIL && (tm_tag_of(best) == TM_TAG_NIL || better(w, a, v, best))) best = v;
  }
  return best;
}

int32_t tm_part_look(const struct tm_slider *w, const struct tm_slide_part *a, uint32_t lo, uint32_t hi, struct tm_value *out) {
  const double *num = part_num(w, a);
  *out = (struct tm_value){0, NULL, 0, TM_VALUE_NIL};
  if (a->kind == TM_SLIDE_FIRST || a->kind == TM_SLIDE_LAST) {
    if (num[0] > 0) tm_tagged_get(w->t, cell_at(w, a, (uint32_t)num[1]), out);
    return 0;
  }
  if (num[0] > 0 && num[1] > 0) return TM_STATE_TYPE;
  if (num[0] + num[1] > 0) tm_tagged_get(w->t, best_of(w, a, lo, hi), out);
  return 0;
}
