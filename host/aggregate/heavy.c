/* heavy.c - the values that come most often: SpaceSaving (Metwally, Agrawal, El Abbadi 2005) in a text.
 *
 *   text | struct heavy | entries, room for `room` of them | the values' bytes: used, then free |
 *
 * A value is its JSON text. When all `max` entries are taken a new value takes the one that came least often (the first of
 * them), with its count as error: count - error <= true count <= count, and error <= events / max. Merging adds counts; a value
 * that one side does not hold had there at most its least count, if it is full (Agarwal et al. 2013, "Mergeable summaries").
 * An update reads all entries once. */
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../base/buf.h"
#include "edit.h"

enum { FIRST = 8, FIRST_BYTES = 128 };

struct entry {
  uint64_t hash;
  double count, error;
  uint32_t off, len;        /* of the value, from the first byte behind the entries */
};
struct heavy {
  uint32_t n, room;
  uint32_t used, pad;       /* bytes of values, also of those that went */
  struct entry e[];
};

static struct heavy *heavy_of(char *p) { return (struct heavy *)(void *)p; }
static char *values_of(struct heavy *h) { return (char *)(h->e + h->room); }
static const char *value_of(const struct heavy *h, const struct entry *x) { return (const char *)(h->e + h->room) + x->off; }
static uint32_t bytes_room(const struct tm_edit *e) {
  return e->len - (uint32_t)(sizeof(struct heavy) + heavy_of(e->p)->room * sizeof(struct entry));
}

/* The same in a text with room for so many entries and one value more. */
static int rebuild(struct tm_edit *e, uint32_t room, uint32_t more) {
  struct heavy *old = e->len > 0 ? heavy_of(e->p) : NULL;
  uint32_t live = 0, n = old != NULL ? old->n : 0;
  for (uint32_t i = 0; i < n; i++) live += old->e[i].len;
  uint64_t bytes = (uint64_t)(live + more) * 2 + FIRST_BYTES;
  uint64_t size = sizeof *old + room * sizeof(struct entry) + bytes;
  if (tm_edit_resize(e, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, 0) != 0) return -1;
  struct heavy *h = heavy_of(e->p);
  h->n = n;
  h->room = room;
  for (uint32_t i = 0; i < n; i++) {
    h->e[i] = old->e[i];
    h->e[i].off = h->used;
    memcpy(values_of(h) + h->used, value_of(old, &old->e[i]), old->e[i].len);
    h->used += old->e[i].len;
  }
  return 0;
}

/* Makes entry i that of another value. */
static int put_value(struct tm_edit *e, uint32_t i, uint64_t hash, const char *value, uint32_t len) {
  struct heavy *h = heavy_of(e->p);
  if (bytes_room(e) - h->used < len) {
    if (rebuild(e, h->room, len) != 0) return -1;
    h = heavy_of(e->p);
  }
  if (tm_edit_keep(e, h, sizeof *h) != 0 || tm_edit_keep(e, &h->e[i], sizeof *h->e) != 0) return -1;
  tm_arena_mark(values_of(h) + h->used, len);
  memcpy(values_of(h) + h->used, value, len);
  h->e[i].hash = hash;
  h->e[i].off = h->used;
  h->e[i].len = len;
  h->used += len;
  return 0;
}

/* The entry of a value, or h->n; *least: the first of those with the least count. */
static uint32_t find(const struct heavy *h, uint64_t hash, const char *value, uint32_t len, uint32_t *least) {
  *least = 0;
  for (uint32_t i = 0; i < h->n; i++) {
    const struct entry *x = &h->e[i];
    if (x->hash == hash && x->len == len && memcmp(value_of(h, x), value, len) == 0) return i;
    if (x->count < h->e[*least].count) *least = i;
  }
  return h->n;
}

static int add(struct tm_edit *e, uint32_t max, const char *value, uint32_t len) {
  uint64_t hash = XXH3_64bits(value, len);
  uint32_t least = 0;
  struct heavy *h = heavy_of(e->p);
  uint32_t i = e->len > 0 ? find(h, hash, value, len, &least) : 0;
  if (e->len > 0 && i < h->n) {
    if (tm_edit_keep(e, &h->e[i], sizeof *h->e) != 0) return -1;
    h->e[i].count++;
    return 0;
  }
  if (e->len == 0 || (h->n == h->room && h->room < max)) {
    uint32_t room = e->len == 0 ? FIRST : h->room * 2;
    if (rebuild(e, room < max ? room : max, len) != 0) return -1;
    h = heavy_of(e->p);
  }
  int taken = h->n == h->room;
  i = taken ? least : h->n;
  if (put_value(e, i, hash, value, len) != 0) return -1;
  h = heavy_of(e->p);
  h->e[i].error = taken ? h->e[i].count : 0;
  h->e[i].count = h->e[i].error + 1;
  h->n += taken ? 0 : 1;
  return 0;
}

int32_t tm_ffi_heavy_add(struct tm_state *s, void *record, int32_t field, int32_t max, const char *value, int32_t len) {
  struct tm_edit e;
  if (tm_edit_begin(&e, s, record, field) == 0) add(&e, (uint32_t)max, value, (uint32_t)len);
  return tm_edit_end(&e);
}

/* ---- merging, results: entries of two sides, sorted ---- */

struct merged {
  const char *value;
  uint32_t len;
  double count, error;
};

/* the most often come first; equal counts: in byte order of the values */
static int by_count(const void *a, const void *b) {
  const struct merged *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  uint32_t len = x->len < y->len ? x->len : y->len;
  int order = memcmp(x->value, y->value, len);
  return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static double least_of(const struct heavy *h, uint32_t max) {
  if (h->n < max) return 0;
  double least = h->e[0].count;
  for (uint32_t i = 1; i < h->n; i++) least = h->e[i].count < least ? h->e[i].count : least;
  return least;
}

/* Appends h's entries with what the other side may have had of them; those it has too only where `both`. */
static uint32_t gather(struct merged *out, uint32_t n, const struct heavy *h, const struct heavy *other, double other_least, int both) {
  for (uint32_t i = 0; i < h->n; i++) {
    const struct entry *x = &h->e[i];
    uint32_t least, j = find(other, x->hash, value_of(h, x), x->len, &least);
    if (j < other->n && !both) continue;
    double count = j < other->n ? other->e[j].count : other_least, error = j < other->n ? other->e[j].error : other_least;
    out[n++] = (struct merged){value_of(h, x), x->len, x->count + count, x->error + error};
  }
  return n;
}

static void write_merged(struct tm_edit *e, const struct merged *m, uint32_t n) {
  uint64_t bytes = FIRST_BYTES, size;
  for (uint32_t i = 0; i < n; i++) bytes += m[i].len;
  size = sizeof(struct heavy) + n * sizeof(struct entry) + bytes;
  if (tm_edit_resize(e, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size, 0) != 0) return;
  struct heavy *h = heavy_of(e->p);
  h->n = h->room = n;
  for (uint32_t i = 0; i < n; i++) {
    h->e[i] = (struct entry){XXH3_64bits(m[i].value, m[i].len), m[i].count, m[i].error, h->used, m[i].len};
    memcpy(values_of(h) + h->used, m[i].value, m[i].len);
    h->used += m[i].len;
  }
}

int32_t tm_ffi_heavy_merge(struct tm_state *s, void *record, int32_t field, int32_t max, struct tm_state *s2, const void *record2) {
  struct tm_edit e;
  uint32_t len;
  const struct heavy *other = (const struct heavy *)(const void *)tm_edit_text(s2, record2, field, &len);
  const struct heavy none = {0, 0, 0, 0};
  if (len == 0) return TM_STATE_OK;
  if (tm_edit_begin(&e, s, record, field) != 0) return tm_edit_end(&e);
  const struct heavy *own = e.len > 0 ? heavy_of(e.p) : &none;
  struct merged *m = malloc((own->n + other->n) * sizeof *m);
  if (m == NULL) {
    e.code = TM_STATE_NO_MEMORY;
  } else {
    uint32_t n = gather(m, 0, own, other, least_of(other, (uint32_t)max), 1);
    n = gather(m, n, other, own, own->n > 0 ? least_of(own, (uint32_t)max) : 0, 0);
    qsort(m, n, sizeof *m, by_count);
    write_merged(&e, m, n < (uint32_t)max ? n : (uint32_t)max);
    free(m);
  }
  return tm_edit_end(&e);
}

static int put(struct tm_buf *out, const char *text) { return tm_ffi_buf_put(out, text, (int32_t)strlen(text)); }

int32_t tm_ffi_heavy_json(struct tm_state *s, const void *record, int32_t field, int32_t most, struct tm_buf *out) {
  uint32_t len;
  const struct heavy *h = (const struct heavy *)(const void *)tm_edit_text(s, record, field, &len);
  out->len = 0;
  if (len == 0) return put(out, "[]");
  struct merged *m = malloc(h->n * sizeof *m);
  if (m == NULL) return -1;
  for (uint32_t i = 0; i < h->n; i++) m[i] = (struct merged){value_of(h, &h->e[i]), h->e[i].len, h->e[i].count, h->e[i].error};
  qsort(m, h->n, sizeof *m, by_count);
  int failed = 0;
  for (uint32_t i = 0; i < h->n && i < (uint32_t)most && !failed; i++) {
    failed = put(out, i == 0 ? "[{\"count\":" : ",{\"count\":") != 0 || tm_ffi_json_number(out, m[i].count) != 0 ||
             put(out, ",\"error\":") != 0 || tm_ffi_json_number(out, m[i].error) != 0 || put(out, ",\"value\":") != 0 ||
             tm_ffi_buf_put(out, m[i].value, (int32_t)m[i].len) != 0 || put(out, "}") != 0;
  }
  free(m);
  return failed || put(out, "]") != 0 ? -1 : 0;
}
