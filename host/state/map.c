/* map.c - maps and sets in a record's field: entries in order of their first setting, found by key.
 *
 *   entry    | key cell | value cell |     a set's entries have no value; a removed one's key cell is all ones
 *
 *   few:     | used | cap | entry | entry | ...                          found by looking at each, at most 8
 *   many:    struct map_root, a deque of entries, segments from hash to sequence number
 *
 * tm_state_ref.at is the root, n the number of elements. Removing leaves a hole, so nothing moves while a map is walked
 * and its elements are removed. In a large one holes at the front are cut off; when holes are more than elements, each
 * new key also moves some entries towards the end, over the holes, until these are at the front. */
#include "deque.h"
#include "segments.h"

#include "../base/err.h"
#include "key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FEW_MAX = 8, MOVES = 16, HOLES_MIN = 64, LOOKS = 64 };
#define BIG 0x80000000u
static const uint64_t HOLE = ~(uint64_t)0;

struct few_root { uint32_t used, cap; };

struct map_root {
  uint32_t tag;             /* BIG, + 1 while holes are being closed */
  uint32_t first;           /* sequence number of the deque's first entry */
  uint32_t used;            /* entries in the deque, holes included */
  uint32_t entries;         /* root of the deque */
  struct tm_segments index;
  uint32_t from;            /* no element lies before this number */
  uint32_t read, write;     /* closing holes: the next entry to look at and its place, both going down */
  uint32_t pad;
};

/* A map while a call is at work. */
struct map {
  struct tm_table *t;
  const struct tm_state_field *f;
  struct tm_state_ref *ref;
  uint32_t size;            /* of an entry */
};

/* A key as it is looked for. */
struct wanted {
  uint64_t cell;            /* unless it is text */
  const char *text;
  uint32_t len;
  uint32_t hash;
  int32_t is_text;
};

static struct map map_of(struct tm_table *t, const void *record, int32_t field) {
  TM_ASSERT(field >= 0 && (uint32_t)field < t->fields_n && (t->fields[field].kind == TM_FIELD_MAP || t->fields[field].kind == TM_FIELD_SET));
  const struct tm_state_field *f = t->fields + field;
  return (struct map){t, f, tm_field_ref(t, record, field), f->kind == TM_FIELD_SET ? TM_CELL_BYTES : 2 * TM_CELL_BYTES};
}

static void *root_of(const struct map *m) { return tm_heap_at(&m->t->core.heap, m->ref->at); }
static int is_many(const struct map *m) { return m->ref->at != 0 && (*(uint32_t *)root_of(m) & BIG) != 0; }
static int is_hole(const void *entry) { return memcmp(entry, &HOLE, sizeof HOLE) == 0; }
static char *few_at(const struct map *m, uint32_t i) { return (char *)root_of(m) + sizeof(struct few_root) + i * m->size; }
static char *many_at(const struct map *m, const struct map_root *r, uint32_t seq) {
  return tm_deque_at(m->t, r->entries, seq - r->first, m->size);
}
static int key_is_text(const struct map *m) { return m->f->key == TM_VALUE_STRING || m->f->key == TM_VALUE_NIL; }

/* ---- keys ---- */

static uint32_t hash_fold(uint64_t h) { return (uint32_t)(h >> 32) == 0 ? 1 : (uint32_t)(h >> 32); }
static uint32_t text_hash(const struct map *m, const char *text, uint32_t len) {
  return hash_fold(XXH3_64bits_withSeed(text, len, m->t->log->seed));
}
static uint32_t cell_hash(const struct map *m, uint64_t cell) {
  return hash_fold(XXH3_64bits_withSeed(&cell, sizeof cell, m->t->log->seed));
}

static uint32_t entry_hash(const struct map *m, const char *entry) {
  struct tm_state_ref ref;
  uint64_t cell;
  memcpy(&ref, entry, sizeof ref);
  memcpy(&cell, entry, sizeof cell);
  return key_is_text(m) ? text_hash(m, tm_text_at(m->t, ref), ref.n) : cell_hash(m, cell);
}

/* a key of any type: its canonical bytes, in the log's scratch key */
static int32_t wanted_any(const struct map *m, const struct tm_value *k, struct wanted *w) {
  struct tm_key *key = m->t->log->key;
  key->len = 0;
  int32_t code = k->kind == TM_VALUE_STRING   ? tm_ffi_key_string(key, k->text, k->len)
                 : k->kind == TM_VALUE_NUMBER ? tm_ffi_key_number(key, k->num)
                 : k->kind == TM_VALUE_TRUE || k->kind == TM_VALUE_FALSE
                     ? tm_ffi_key_boolean(key, k->kind == TM_VALUE_TRUE)
                     : k->kind == TM_VALUE_NIL ? TM_STATE_NO_KEY : TM_STATE_NOT_KEY;
  w->text = key->bytes;
  w->len = (uint32_t)key->len;
  return code;
}

static int32_t wanted_set(const struct map *m, const struct tm_value *k, struct wanted *w) {
  double num = k->num + 0.0;  /* -0 becomes 0 */
  *w = (struct wanted){0, k->text, (uint32_t)k->len, 0, key_is_text(m)};
  if (m->f->key == TM_VALUE_NIL) {
    int32_t code = wanted_any(m, k, w);
    if (code != 0) return code;
  } else if (m->f->key == TM_VALUE_STRING) {
    if (k->kind != TM_VALUE_STRING) return TM_STATE_TYPE;
    if (k->len > TM_TEXT_MAX) return TM_STATE_TOO_LONG;
  } else if (m->f->key == TM_VALUE_NUMBER) {
    if (k->kind != TM_VALUE_NUMBER) return TM_STATE_TYPE;
    if (num != num) return TM_STATE_NOT_KEY;
    memcpy(&w->cell, &num, sizeof num);
  } else {
    if (k->kind != TM_VALUE_TRUE && k->kind != TM_VALUE_FALSE) return TM_STATE_TYPE;
    w->cell = k->kind == TM_VALUE_TRUE;
  }
  w->hash = w->is_text ? text_hash(m, w->text, w->len) : cell_hash(m, w->cell);
  return 0;
}

static int key_matches(const struct map *m, const char *entry, const struct wanted *w) {
  struct tm_state_ref ref;
  if (!w->is_text) return memcmp(entry, &w->cell, sizeof w->cell) == 0;
  memcpy(&ref, entry, sizeof ref);
  return ref.n == w->len && !is_hole(entry) && memcmp(tm_text_at(m->t, ref), w->text, w->len) == 0;
}

/* the entry of a key, and its number; NULL: none */
static char *entry_find(const struct map *m, const struct wanted *w, uint32_t *seq) {
  if (m->ref->at == 0) return NULL;
  if (!is_many(m)) {
    const struct few_root *few = root_of(m);
    for (*seq = 0; *seq < few->used; ++*seq) {
      if (key_matches(m, few_at(m, *seq), w)) return few_at(m, *seq);
    }
    return NULL;
  }
  const struct map_root *r = root_of(m);
  struct tm_segment *g = tm_segment_of(m->t, &r->index, w->hash);
  const struct tm_segment_slot *s = tm_segment_slots(g);
  for (uint32_t p = tm_segment_home(g, w->hash); s[p].hash != 0; p = p + 1 == g->cap ? 0 : p + 1) {
    if (s[p].hash != w->hash) continue;
    char *entry = many_at(m, r, s[p].seq);
    *seq = s[p].seq;
    if (key_matches(m, entry, w)) return entry;
  }
  return NULL;
}

/* ---- few ---- */

static int few_new(struct map *m, uint32_t cap) {
  uint32_t at = tm_value_alloc(m->t, (uint32_t)sizeof(struct few_root) + cap * m->size);
  if (at == 0) return -1;
  m->ref->at = at;
  *(struct few_root *)root_of(m) = (struct few_root){0, cap};
  return 0;
}

/* Room for one more entry: its place, the root kept. NULL: no memory. There are fewer than FEW_MAX elements. */
static char *few_push(struct map *m) {
  if (m->ref->at == 0 && few_new(m, 1) != 0) return NULL;
  struct few_root *few = root_of(m);
  if (few->used == few->cap) {
    /* into a block of its own even when only holes go: what is kept then is nothing */
    uint32_t old = m->ref->at, used = few->used, cap = m->ref->n == few->cap ? few->cap * 2 : few->cap, to = 0;
    const char *from = few_at(m, 0);
    if (few_new(m, cap) != 0 || tm_value_release(m->t, old) != 0) return NULL;
    for (uint32_t i = 0; i < used; i++, from += m->size) {
      if (!is_hole(from)) memcpy(few_at(m, to++), from, m->size);
    }
    few = root_of(m);
    few->used = to;
  }
  char *entry = few_at(m, few->used);
  if (tm_changes_keep(m->t->log, few, sizeof *few) != 0 || tm_changes_keep(m->t->log, entry, m->size) != 0) return NULL;
  few->used++;
  return entry;
}

/* ---- many ---- */

/* one more entry at the end: its place; the root is kept by the caller */
static char *many_push(struct map *m, struct map_root *r, uint32_t hash) {
  char *entry = tm_deque_push(m->t, &r->entries, r->used, m->size);
  if (entry == NULL || tm_segments_insert(m->t, &r->index, hash, r->first + r->used) != 0) return NULL;
  r->used++;
  return entry;
}

static int few_to_many(struct map *m) {
  uint32_t old = m->ref->at, at = tm_value_alloc(m->t, sizeof(struct map_root));
  const struct few_root *few = root_of(m);
  if (at == 0 || tm_value_release(m->t, old) != 0) return -1;
  struct map_root *r = tm_heap_at(&m->t->core.heap, at);
  *r = (struct map_root){.tag = BIG};
  for (uint32_t i = 0; i < few->used; i++) {
    const char *from = few_at(m, i);
    if (is_hole(from)) continue;
    char *to = many_push(m, r, entry_hash(m, from));
    if (to == NULL) return -1;
    memcpy(to, from, m->size);
  }
  m->ref->at = at;
  return 0;
}

/* the number of the first element from r->from on, which then is from; looks at `looks` entries at most */
static int first_find(const struct map *m, struct map_root *r, uint32_t looks) {
  for (; r->from != r->first + r->used; r->from++) {
    if (!is_hole(many_at(m, r, r->from))) return 1;
    if (looks-- == 0) return 0;
  }
  return 0;
}

/* holes at the front are cut off, at most a chunk of them */
static int front_trim(struct map *m, struct map_root *r) {
  uint32_t n = r->from - r->first, per = TM_CHUNK_BYTES / m->size;
  first_find(m, r, LOOKS);
  if (n > per) n = per;
  /* one by one would cost more than the memory is worth */
  if (n < LOOKS) return 0;
  if (tm_deque_shift(m->t, &r->entries, r->used, m->size, n) != 0) return -1;
  r->first += n;
  r->used -= n;
  return 0;
}

static int entry_move(struct map *m, struct map_root *r, uint32_t seq, uint32_t to) {
  char *from = many_at(m, r, seq), *dest = many_at(m, r, to);
  if (tm_changes_keep(m->t->log, dest, m->size) != 0 || tm_changes_keep(m->t->log, from, m->size) != 0) return -1;
  if (tm_segments_renumber(m->t, &r->index, entry_hash(m, from), seq, to) != 0) return -1;
  memcpy(dest, from, m->size);
  memset(from, 0, m->size);
  memcpy(from, &HOLE, sizeof HOLE);
  return 0;
}

/* some entries move over holes towards the end, if holes are many */
static int holes_close(struct map *m, struct map_root *r) {
  uint32_t live = m->ref->n, span = r->first + r->used - r->from;
  if (r->tag == BIG) {
    if (span <= 2 * live + HOLES_MIN) return 0;
    r->tag = BIG + 1;
    r->read = r->write = r->first + r->used - 1;
  }
  for (int i = 0; i < MOVES; i++, r->read--) {
    /* numbers go round at 2^32, a map has 2^27 elements at most */
    if ((int32_t)(r->read - r->from) < 0) {
      if ((int32_t)(r->write + 1 - r->from) > 0) r->from = r->write + 1;
      r->tag = BIG;
      return 0;
    }
    if (is_hole(many_at(m, r, r->read))) continue;
    if (r->write != r->read && entry_move(m, r, r->read, r->write) != 0) return -1;
    r->write--;
  }
  return 0;
}

/* ---- changes ---- */

/* An entry goes: the texts it refers to, its place in the index, at last the map itself. */
static int entry_remove(struct map *m, char *entry, uint32_t seq) {
  struct tm_table *t = m->t;
  int many = is_many(m);
  struct map_root *r = root_of(m);
  if (many && tm_segments_remove(t, &r->index, entry_hash(m, entry), seq) != 0) return -1;
  if (tm_changes_keep(t->log, entry, m->size) != 0) return -1;
  if (key_is_text(m) && tm_cell_drop(t, TM_VALUE_STRING, entry) != 0) return -1;
  if (m->f->kind == TM_FIELD_MAP && tm_cell_drop(t, m->f->of, entry + TM_CELL_BYTES) != 0) return -1;
  memset(entry, 0, m->size);
  memcpy(entry, &HOLE, sizeof HOLE);
  m->ref->n--;
  if (m->ref->n == 0) {
    uint32_t field = (uint32_t)(m->f - t->fields) | TM_RUIN_BARE;
    int failed = many ? tm_value_ruin(t, field, *m->ref) : tm_value_release(t, m->ref->at);
    m->ref->at = 0;
    return failed;
  }
  return many ? front_trim(m, r) : 0;
}

static int many_keep(struct map *m) {
  return is_many(m) ? tm_changes_keep(m->t->log, root_of(m), sizeof(struct map_root)) : 0;
}

/* max is reached: 0 when there is room again, or a code */
static int32_t full_handle(struct map *m) {
  if (m->f->on_full == TM_ON_FULL_REFUSE) return TM_STATE_FULL;
  if (m->f->on_full == TM_ON_FULL_STOP) return TM_STATE_STOP;
  uint32_t seq = 0;
  char *entry;
  if (is_many(m)) {
    struct map_root *r = root_of(m);
    TM_ASSERT(first_find(m, r, UINT32_MAX));
    seq = r->from;
    entry = many_at(m, r, seq);
  } else {
    while (is_hole(few_at(m, seq))) seq++;
    entry = few_at(m, seq);
  }
  return entry_remove(m, entry, seq) == 0 ? 0 : TM_STATE_NO_MEMORY;
}

static int32_t entry_insert(struct map *m, const struct wanted *w, const struct tm_value *v) {
  char cells[2 * TM_CELL_BYTES], *entry;
  struct tm_value key = {0, w->text, (int32_t)w->len, TM_VALUE_STRING};
  int32_t code = 0;
  if (m->f->max > 0 && m->ref->n >= (uint32_t)m->f->max) code = full_handle(m);
  if (code == 0 && m->ref->n >= TM_ELEMENTS_MAX) code = TM_STATE_TOO_LONG;
  if (code == 0 && w->is_text) code = tm_cell_put(m->t, TM_VALUE_STRING, &key, cells);
  else memcpy(cells, &w->cell, TM_CELL_BYTES);
  if (code == 0 && m->f->kind == TM_FIELD_MAP) code = tm_cell_put(m->t, m->f->of, v, cells + TM_CELL_BYTES);
  if (code != 0) return code;
  if (!is_many(m) && m->ref->n == FEW_MAX && few_to_many(m) != 0) return TM_STATE_NO_MEMORY;
  if (is_many(m)) {
    struct map_root *r = root_of(m);
    entry = holes_close(m, r) == 0 && front_trim(m, r) == 0 ? many_push(m, r, w->hash) : NULL;
  } else {
    entry = few_push(m);
  }
  if (entry == NULL) return TM_STATE_NO_MEMORY;
  memcpy(entry, cells, m->size);
  m->ref->n++;
  return TM_STATE_NEW;
}

static int32_t value_replace(struct map *m, char *entry, const struct tm_value *v) {
  char cell[TM_CELL_BYTES];
  if (m->f->kind == TM_FIELD_SET) return 0;
  int32_t code = tm_cell_put(m->t, m->f->of, v, cell);
  if (code != 0) return code;
  char *value = entry + TM_CELL_BYTES;
  if (tm_changes_keep(m->t->log, value, TM_CELL_BYTES) != 0) return TM_STATE_NO_MEMORY;
  if (tm_cell_drop(m->t, m->f->of, value) != 0) return TM_STATE_NO_MEMORY;
  memcpy(value, cell, TM_CELL_BYTES);
  return 0;
}

int32_t tm_ffi_map_set(struct tm_state *s, void *record, int32_t field, const struct tm_value *k,
                       const struct tm_value *v) {
  struct tm_table *t = tm_table_of(s);
  struct map m = map_of(t, record, field);
  struct wanted w;
  int32_t mark, code = wanted_set(&m, k, &w);
  uint32_t seq;
  if (code != 0) return code;
  code = tm_field_begin(t, record, field, &mark);
  if (code == 0 && many_keep(&m) != 0) code = TM_STATE_NO_MEMORY;
  if (code == 0) {
    char *entry = entry_find(&m, &w, &seq);
    code = entry != NULL ? value_replace(&m, entry, v) : entry_insert(&m, &w, v);
  }
  return tm_field_end(t, mark, code);
}

int32_t tm_ffi_map_remove(struct tm_state *s, void *record, int32_t field, const struct tm_value *k) {
  struct tm_table *t = tm_table_of(s);
  struct map m = map_of(t, record, field);
  struct wanted w;
  int32_t mark, code = wanted_set(&m, k, &w);
  uint32_t seq;
  if (code != 0) return code;
  char *entry = entry_find(&m, &w, &seq);
  if (entry == NULL) return TM_STATE_RANGE;
  code = tm_field_begin(t, record, field, &mark);
  if (code == 0 && (many_keep(&m) != 0 || entry_remove(&m, entry, seq) != 0)) code = TM_STATE_NO_MEMORY;
  return tm_field_end(t, mark, code);
}

/* ---- reading ---- */

static void key_get(const struct map *m, const char *entry, struct tm_value *out) {
  if (m->f->key == TM_VALUE_NIL) {
    struct tm_state_ref ref;
    struct tm_value parts[TM_KEY_PARTS_MAX];
    memcpy(&ref, entry, sizeof ref);
    tm_ffi_key_parts(tm_text_at(m->t, ref), (int32_t)ref.n, parts);
    *out = parts[0];
  } else {
    tm_cell_get(m->t, m->f->key, entry, out);
  }
}

static void value_get(const struct map *m, const char *entry, struct tm_value *out) {
  if (m->f->kind == TM_FIELD_SET) *out = (struct tm_value){0, NULL, 0, TM_VALUE_TRUE};
  else tm_cell_get(m->t, m->f->of, entry + TM_CELL_BYTES, out);
}

int32_t tm_ffi_map_get(struct tm_state *s, const void *record, int32_t field, const struct tm_value *k,
                       struct tm_value *out) {
  struct map m = map_of(tm_table_of(s), record, field);
  struct wanted w;
  uint32_t seq;
  int32_t code = wanted_set(&m, k, &w);
  if (code != 0) return code;
  const char *entry = entry_find(&m, &w, &seq);
  if (entry == NULL) return TM_STATE_RANGE;
  if (out != NULL) value_get(&m, entry, out);
  return 0;
}

double tm_ffi_map_next(struct tm_state *s, const void *record, int32_t field, double at, struct tm_value *k,
                       struct tm_value *v) {
  struct map m = map_of(tm_table_of(s), record, field);
  /* a place is a sequence number + 1 */
  uint32_t seq = (uint32_t)(uint64_t)at, end;
  int many = is_many(&m);
  if (m.ref->at == 0) return 0;
  const struct map_root *r = root_of(&m);
  if (many) {
    if (at == 0 || (int32_t)(seq - r->from) < 0) seq = r->from;
    end = r->first + r->used;
  } else {
    end = ((const struct few_root *)root_of(&m))->used;
  }
  for (; (int32_t)(end - seq) > 0; seq++) {
    const char *entry = many ? many_at(&m, r, seq) : few_at(&m, seq);
    if (is_hole(entry)) continue;
    if (k != NULL) key_get(&m, entry, k);
    if (v != NULL) value_get(&m, entry, v);
    return (double)seq + 1;
  }
  return 0;
}

/* ---- visits ---- */

int tm_visit_map(struct tm_visit *v, const struct tm_state_field *f, struct tm_state_ref *ref) {
  struct map m = {v->t, f, ref, f->kind == TM_FIELD_SET ? TM_CELL_BYTES : 2 * TM_CELL_BYTES};
  int32_t key = key_is_text(&m) ? TM_VALUE_STRING : -1;
  struct tm_deque_cells cells = {{key, f->of}, m.size / TM_CELL_BYTES, 0};
  if (ref->at == 0) return 1;
  if (!v->freeing) tm_visit_part(v, &ref->at);
  if (!is_many(&m)) {
    const struct few_root *few = root_of(&m);
    for (uint32_t i = 0; i < cells.n; i++) {
      tm_visit_cells(v, few_at(&m, 0) + i * TM_CELL_BYTES, few->used, m.size, cells.of[i]);
    }
  } else {
    struct map_root *r = root_of(&m);
    /* the entries first, then, with the top bit set, the segments */
    if ((v->pos & BIG) == 0) {
      if (tm_deque_visit(v, &r->entries, r->used, m.size, &cells) == 0) return 0;
      v->pos = BIG;
    }
    v->pos &= ~BIG;
    if (tm_segments_visit(v, &r->index) == 0) {
      v->pos |= BIG;
      return 0;
    }
  }
  if (v->freeing) tm_visit_part(v, &ref->at);
  return 1;
}
