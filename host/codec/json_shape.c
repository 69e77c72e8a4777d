/* json_shape.c - builds and searches the keys a JSON reader knows, and keeps their steps.
 *
 * Everything of a shape lives in blocks that are freed together; keys never move, because steps point from one to the
 * other. What is learnt from input is bounded per level and per shape: an input whose keys are data
 * (`{"user-8731":…}`) fills the table once and is then parsed key by key, at constant memory.
 *
 * Until something is learnt a step is the closing brace: the one text that is right behind every value and behind every
 * opening brace, so that no step has to be marked as unknown. */
#include "json_shape.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 16 * 1024, BLOCK_ALIGN = 64, SLOTS_START = 32, NAME_SPARE = 8 };
/* A wrong guess costs about 20 cycles, one not made the same in waiting: so little patience, and long rests. */
enum { PATIENCE_FIRST = 32, PATIENCE_AGAIN = 8, REST = 4096 };
/* Where keys come in no order, learning each step costs more than the few that come true. */
enum { LEARN_ALWAYS = 16, LEARN_EVERY = 8 };

struct tm_json_block {
  struct tm_json_block *next;
  size_t used;
  size_t size;
};

static void *shape_take(struct tm_json_shape *s, size_t size) {
  size = (size + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
  struct tm_json_block *b = s->blocks;
  if (b == NULL || b->size - b->used < size) {
    size_t room = size + BLOCK_ALIGN > BLOCK_SIZE ? size + BLOCK_ALIGN : BLOCK_SIZE;
    b = aligned_alloc(BLOCK_ALIGN, room);
    if (b == NULL) return NULL;
    b->next = s->blocks;
    b->size = room;
    b->used = BLOCK_ALIGN;
    s->blocks = b;
  }
  void *p = (char *)b + b->used;
  b->used += size;
  return memset(p, 0, size);
}

/* Seeded by where the program lies in memory, so that nobody outside can choose names that collide; it decides
 * speed alone. */
static uint64_t name_hash(const char *name, int32_t len) {
  static const char seed;
  const uint64_t k = 0x9E3779B97F4A7C15u;
  uint64_t h = ((uint64_t)len ^ (uint64_t)(uintptr_t)&seed) * k, w;
  for (; len >= 8; name += 8, len -= 8) {
    memcpy(&w, name, 8);
    h = (h ^ w) * k;
    h ^= h >> 29;
  }
  w = 0;
  if (len > 0) memcpy(&w, name, (size_t)len);
  h = (h ^ w) * k;
  return h ^ (h >> 32);
}

static void key_init(struct tm_json_key *k, struct tm_json_level *lv) {
  memset(k, 0, sizeof *k);
  k->step = (struct tm_json_step){.text = "}", .mask = 1, .len = 1, .to = TM_JSON_TO_END, .key = &lv->other};
  k->alt = k->step;
  k->patience = PATIENCE_FIRST;
}

void tm_json_step_learn(struct tm_json_key *key, const char *text, ptrdiff_t len, int to, struct tm_json_key *next) {
  if (len > TM_JSON_STEP) return;
  if (++key->misses > LEARN_ALWAYS && key->misses % LEARN_EVERY != 0) return;
  key->alt = key->step;
  memset(key->step.text, 0, sizeof key->step.text);
  memcpy(key->step.text, text, (size_t)len);
  key->step.mask = (uint32_t)((UINT64_C(1) << len) - 1);
  key->step.len = (uint8_t)len;
  key->step.to = (uint8_t)to;
  key->step.key = next;
}

void tm_json_key_tune(struct tm_json_key *key) {
  if (key->guess_off == 0) {
    key->guess_off = -1;
    key->guess = -1;
    key->patience = REST;
  } else {
    key->guess_off = 0;
    key->patience = PATIENCE_AGAIN;
  }
}

static struct tm_json_level *level_new(struct tm_json_shape *s) {
  struct tm_json_level *lv = shape_take(s, sizeof *lv);
  if (lv == NULL) return NULL;
  key_init(&lv->start, lv);
  key_init(&lv->other, lv);
  lv->slots_n = SLOTS_START;
  lv->slots = shape_take(s, lv->slots_n * sizeof(struct tm_json_key *));
  return lv->slots == NULL ? NULL : lv;
}

/* Doubles the table; the old one stays in its block, at most as much again in all. */
static void level_grow(struct tm_json_shape *s, struct tm_json_level *lv) {
  uint32_t n = lv->slots_n * 2;
  struct tm_json_key **slots = shape_take(s, n * sizeof(struct tm_json_key *));
  if (slots == NULL) return;
  for (uint32_t i = 0; i < lv->slots_n; i++) {
    for (struct tm_json_key *k = lv->slots[i], *chain; k != NULL; k = chain) {
      chain = k->chain;
      k->chain = slots[k->hash & (n - 1)];
      slots[k->hash & (n - 1)] = k;
    }
  }
  lv->slots = slots;
  lv->slots_n = n;
}

static struct tm_json_key *level_add(struct tm_json_shape *s, struct tm_json_level *lv, const char *name,
                                     int32_t name_len, uint64_t hash) {
  struct tm_json_key *k = shape_take(s, sizeof *k);
  char *copy = shape_take(s, (size_t)name_len + 1);
  if (k == NULL || copy == NULL) return NULL;
  key_init(k, lv);
  if (name_len > 0) memcpy(copy, name, (size_t)name_len);
  k->name = copy;
  k->name_len = name_len;
  k->hash = hash;
  if (lv->keys_n >= lv->slots_n) level_grow(s, lv);
  k->chain = lv->slots[hash & (lv->slots_n - 1)];
  lv->slots[hash & (lv->slots_n - 1)] = k;
  lv->keys_n++;
  return k;
}

struct tm_json_key *tm_json_level_find(struct tm_json_shape *s, struct tm_json_level *lv, const char *name,
                                       int32_t name_len) {
  if (name_len > s->name_max) return &lv->other;
  uint64_t hash = name_hash(name, name_len);
  for (struct tm_json_key *k = lv->slots[hash & (lv->slots_n - 1)]; k != NULL; k = k->chain) {
    if (k->hash == hash && k->name_len == name_len && memcmp(k->name, name, (size_t)name_len) == 0) return k;
  }
  if (name_len > TM_JSON_NAME_LEARNT) return &lv->other;
  if (lv->learnt >= TM_JSON_KEYS_LEARNT || s->learnt >= TM_JSON_SHAPE_LEARNT) return &lv->other;
  struct tm_json_key *k = level_add(s, lv, name, name_len, hash);
  if (k == NULL) return &lv->other;
  lv->learnt++;
  s->learnt++;
  return k;
}

void tm_json_level_clear(struct tm_json_level *lv, int32_t row) {
  for (struct tm_json_key *k = lv->fields; k != NULL; k = k->field) {
    /* An absent member has no present ones below it. */
    if (k->cells[row].tag == TM_KIND_ABSENT) continue;
    k->cells[row] = k->cells[TM_ROW_EMPTY];
    if (k->words != NULL) k->words->codes[row] = 0;
    if (k->flags & TM_JSON_KEY_LEVEL) tm_json_level_clear(k->level, row);
  }
}

/* Is `id` the field `only` or one above it? */
static int on_path(const struct tm_fields *f, int32_t id, int32_t only) {
  for (int32_t at = only; at >= 0; at = f->list[at].parent) {
    if (at == id) return 1;
  }
  return 0;
}

/* Adds the key of field `id` to the level of its parent, making that parent a level. Parents have smaller ids, so
 * keys[parent] is there. */
static int shape_add(struct tm_json_shape *s, const struct tm_fields *f, int32_t id, struct tm_json_key **keys) {
  const struct tm_field *field = &f->list[id];
  struct tm_json_level *lv = s->root;
  if (field->parent > 0) {
    struct tm_json_key *parent = keys[field->parent];
    if (parent->level == NULL) parent->level = level_new(s);
    if (parent->level == NULL) return -1;
    parent->flags |= TM_JSON_KEY_LEVEL;
    lv = parent->level;
  }
  struct tm_json_key *k = level_add(s, lv, field->name, field->name_len, name_hash(field->name, field->name_len));
  if (k == NULL) return -1;
  k->field = lv->fields;
  lv->fields = k;
  k->cells = field->cells;
  k->flags = field->want_number ? TM_JSON_KEY_NUMBER : 0;
  k->words = field->words;
  if (field->name_len > s->name_max) s->name_max = field->name_len;
  keys[id] = k;
  return 0;
}

struct tm_json_shape *tm_json_shape_new(const struct tm_fields *f, int32_t only) {
  struct tm_json_key **keys = NULL;
  struct tm_json_shape *s = calloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->version = f->version;
  s->name_max = TM_JSON_NAME_LEARNT;
  s->root = level_new(s);
  keys = calloc((size_t)f->n, sizeof(struct tm_json_key *));
  if (s->root == NULL || keys == NULL) goto fail;
  for (int32_t id = 1; id < f->n; id++) {
    if (only >= 0 && !on_path(f, id, only)) continue;
    if (shape_add(s, f, id, keys) != 0) goto fail;
  }
  s->name = malloc((size_t)s->name_max + NAME_SPARE);
  if (s->name == NULL) goto fail;
  free(keys);
  return s;
fail:
  free(keys);
  tm_json_shape_free(s);
  return NULL;
}

void tm_json_shape_free(struct tm_json_shape *s) {
  if (s == NULL) return;
  for (struct tm_json_block *b = s->blocks, *next; b != NULL; b = next) {
    next = b->next;
    free(b);
  }
  free(s->name);
  free(s);
}

static void shape_free_data(void *data) {
  tm_json_shape_free(data);
}

struct tm_json_shape *tm_json_shape_get(struct tm_fields *f) {
  struct tm_json_shape *s = f->codec_free == shape_free_data ? f->codec_data : NULL;
  if (s != NULL && s->version == f->version) return s;
  s = tm_json_shape_new(f, -1);
  if (s == NULL) return NULL;
  if (f->codec_free != NULL) f->codec_free(f->codec_data);
  f->codec_data = s;
  f->codec_free = shape_free_data;
  return s;
}
