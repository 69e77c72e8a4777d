/* json_patch.c - one object's text with some members changed, everything else byte for byte.
 *
 * A patch is a list of changes (set or remove) in order of their first mention. Applying it walks the text twice
 * over: once to find which members the changes meet, once to copy the stretches between them. Keys are compared
 * unescaped. A set key takes the place of the last member of that name and its earlier duplicates go; members
 * nobody changed stay, duplicates too.
 *
 * White space: the text between two kept neighbours stays as it is, also the space around a colon whose value is
 * replaced. A removed member takes the separator before it along, the first one that behind it. Keys that are
 * appended are written without spaces. An object left without members is "{}".
 *
 * A patch borrows the bytes of its keys until it is reset. Up to 8 changes are compared one by one, more are
 * hashed. One thread. */
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/owned.h"
#include "json_walk.h"

enum { LINEAR_MAX = 8 };

struct change {
  struct tm_json_name key;
  int32_t off, len;     /* the new text in `texts`; len -1: remove */
  int32_t member;       /* index of the last member of that name in the object at hand; -1 none */
};

struct member {
  int32_t start;        /* its key's quote, or the note in front of it */
  int32_t value;        /* first byte of its value, quotes included */
  int32_t end;          /* behind the value */
  int32_t change;       /* index of the change that meets it; -1 none */
};

struct tm_patch {
  struct change *changes;
  int32_t changes_n, changes_cap;
  struct member *members;
  int32_t members_n, members_cap;
  int32_t *slots;       /* index + 1 of a change by hash of its key; in use beyond LINEAR_MAX changes */
  uint32_t mask;
  uint32_t slots_cap;
};

struct tm_patch *tm_ffi_patch_new(void) { return tm_owned_calloc(1, sizeof(struct tm_patch)); }

void tm_ffi_patch_reset(struct tm_patch *p) { p->changes_n = 0; }

/* ---- the list of changes ---- */

/* room for one more entry: the list, perhaps moved, or NULL out of memory (the list stays) */
static void *array_grow(void *list, int32_t *cap, size_t size) {
  if (*cap > (1 << 24)) return NULL;
  int32_t more = *cap < 16 ? 16 : *cap * 2;
  void *moved = tm_owned_realloc(list, (size_t)more * size);
  if (moved != NULL) *cap = more;
  return moved;
}

static void slot_fill(struct tm_patch *p, int32_t index) {
  uint32_t at = tm_json_name_hash(p->changes[index].key) & p->mask;
  while (p->slots[at] != 0) at = (at + 1) & p->mask;
  p->slots[at] = index + 1;
}

/* a table for twice as many changes as there are */
static int slots_build(struct tm_patch *p) {
  uint32_t size = 32;
  while (size < (uint32_t)p->changes_n * 4) size *= 2;
  if (size > p->slots_cap) {
    int32_t *moved = tm_owned_realloc(p->slots, size * sizeof *moved);
    if (moved == NULL) return -1;
    p->slots = moved;
    p->slots_cap = size;
  }
  memset(p->slots, 0, size * sizeof *p->slots);
  p->mask = size - 1;
  for (int32_t i = 0; i < p->changes_n; i++) slot_fill(p, i);
  return 0;
}

/* the change of that key, or -1 */
static int32_t change_find(const struct tm_patch *p, struct tm_json_name key) {
  if (p->changes_n <= LINEAR_MAX) {
    for (int32_t i = 0; i < p->changes_n; i++)
      if (tm_json_name_equal(key, p->changes[i].key)) return i;
    return -1;
  }
  for (uint32_t at = tm_json_name_hash(key) & p->mask; p->slots[at] != 0; at = (at + 1) & p->mask)
    if (tm_json_name_equal(key, p->changes[p->slots[at] - 1].key)) return p->slots[at] - 1;
  return -1;
}

static int32_t change_put(struct tm_patch *p, const char *key, int32_t key_len, int32_t off, int32_t len) {
  struct tm_json_name name = {key, key_len, 0};
  int32_t i = change_find(p, name);
  if (i < 0) {
    if (p->changes_n == p->changes_cap) {
      struct change *moved = array_grow(p->changes, &p->changes_cap, sizeof *moved);
      if (moved == NULL) return -1;
      p->changes = moved;
    }
    i = p->changes_n++;
    p->changes[i].key = name;
    int built = p->changes_n == LINEAR_MAX + 1 || (p->changes_n > LINEAR_MAX && (uint32_t)p->changes_n * 2 > p->mask);
    if (built && slots_build(p) != 0) {
      p->changes_n--;
      return -1;
    }
    if (!built && p->changes_n > LINEAR_MAX) slot_fill(p, i);
  }
  p->changes[i].off = off;
  p->changes[i].len = len;
  return 0;
}

int32_t tm_ffi_patch_set(struct tm_patch *p, const char *key, int32_t key_len, int32_t off, int32_t len) {
  return change_put(p, key, key_len, off, len);
}

int32_t tm_ffi_patch_remove(struct tm_patch *p, const char *key, int32_t key_len) {
  return change_put(p, key, key_len, 0, -1);
}

/* ---- apply ---- */

/* lists the members and tells changes and members of each other; 0, or -1 out of memory */
static int members_match(struct tm_patch *p, const char *text, int32_t len) {
  struct tm_json_members walk;
  struct tm_cell key, value;
  p->members_n = 0;
  for (int32_t i = 0; i < p->changes_n; i++) p->changes[i].member = -1;
  tm_json_members_init(&walk, text, len);
  while (tm_json_members_next(&walk, &key, &value)) {
    if (p->members_n == p->members_cap) {
      struct member *moved = array_grow(p->members, &p->members_cap, sizeof *moved);
      if (moved == NULL) return -1;
      p->members = moved;
    }
    struct member *m = &p->members[p->members_n];
    int32_t quote = tm_cell_quoted(&value);
    m->start = key.off - 1;
    /* a note goes with its key */
    if (m->start > TM_NOTE && tm_note_at(text + m->start - TM_NOTE)) m->start -= TM_NOTE;
    m->value = value.off - quote;
    /* a note goes with its value */
    if (tm_note_at(text + m->value - TM_NOTE)) m->value -= TM_NOTE;
    m->end = value.off + tm_cell_len(&value) + quote;
    m->change = change_find(p, tm_json_name_get(text, &key));
    if (m->change >= 0) p->changes[m->change].member = p->members_n;
    p->members_n++;
  }
  return 0;
}

/* Copies the members that stay, with the values of those that were set. Returns how many there are, -1 out of
 * space. [from, to) is kept text not yet copied, from -1: none, the member before was removed. */
static int32_t members_copy(struct tm_patch *p, const char *text, const char *texts, struct tm_buf *out) {
  int32_t from = -1, to = 0, kept = 0;
  for (int32_t i = 0; i < p->members_n; i++) {
    const struct member *m = &p->members[i];
    const struct change *c = m->change >= 0 ? &p->changes[m->change] : NULL;
    if (c != NULL && (c->len < 0 || c->member != i)) {
      if (from >= 0 && tm_buf_put(out, text + from, to - from) != 0) return -1;
      from = -1;
      continue;
    }
    if (kept++ == 0) {
      if (tm_buf_put(out, text, p->members[0].start) != 0) return -1;
      from = m->start;
    } else if (from < 0) {
      from = p->members[i - 1].end;
    }
    to = m->end;
    if (c == NULL) continue;
    if (tm_buf_put(out, text + from, m->value - from) != 0) return -1;
    if (tm_buf_put(out, texts + c->off, c->len) != 0) return -1;
    from = m->end;
  }
  if (from >= 0 && tm_buf_put(out, text + from, to - from) != 0) return -1;
  return kept;
}

/* the set keys that no member has; `members` are written already */
static int32_t members_append(struct tm_patch *p, const char *texts, struct tm_buf *out, int32_t members) {
  for (int32_t i = 0; i < p->changes_n; i++) {
    const struct change *c = &p->changes[i];
    if (c->member >= 0 || c->len < 0) continue;
    if (members++ > 0 && tm_buf_put(out, ",", 1) != 0) return -1;
    int32_t rc = tm_ffi_json_string(out, c->key.s, c->key.len);
    if (rc != 0) return rc;
    if (tm_buf_put(out, ":", 1) != 0 || tm_buf_put(out, texts + c->off, c->len) != 0) return -1;
  }
  return 0;
}

int32_t tm_ffi_patch_apply(struct tm_patch *p, const char *text, int32_t len, const char *texts, struct tm_buf *out) {
  int32_t start = out->len, rc = -1;
  if (p->changes_n == 0) return tm_buf_put(out, text, len);
  if (members_match(p, text, len) != 0) return -1;
  int32_t kept = members_copy(p, text, texts, out);
  if (kept < 0) goto failed;
  int32_t tail = len - 1;
  if (kept > 0) {
    tail = p->members[p->members_n - 1].end;
  } else if (tm_buf_put(out, "{", 1) != 0) {
    goto failed;
  }
  rc = members_append(p, texts, out, kept);
  if (rc != 0) goto failed;
  rc = -1;
  if (tm_buf_put(out, text + tail, len - tail) == 0) return 0;
failed:
  out->len = start;
  return rc;
}

/* ---- keys ---- */

/* one more cell at the end of the tape; NULL: out of memory */
static struct tm_cell *tape_push(struct tm_tape *t) {
  if (t->n == t->cap) {
    struct tm_cell *moved = array_grow(t->cells, &t->cap, sizeof *moved);
    if (moved == NULL) return NULL;
    t->cells = moved;
  }
  return &t->cells[t->n++];
}

/* drops all but the last of each name; 0, or -1 out of memory */
static int keys_settle(const char *text, struct tm_tape *keys) {
  struct tm_json_seen seen;
  if (keys->n < 2) return 0;
  if (tm_json_seen_init(&seen, text, keys->cells, keys->n) != 0) return -1;
  int32_t doubled = 0, n = 0;
  for (int32_t i = keys->n - 1; i >= 0; i--) {
    if (tm_json_seen_add(&seen, i)) continue;
    keys->cells[i].tag = TM_KIND_ABSENT;
    doubled = 1;
  }
  tm_json_seen_fini(&seen);
  if (!doubled) return 0;
  for (int32_t i = 0; i < keys->n; i++)
    if (tm_cell_kind(&keys->cells[i]) != TM_KIND_ABSENT) keys->cells[n++] = keys->cells[i];
  keys->n = n;
  return 0;
}

int32_t tm_ffi_patch_keys(struct tm_patch *p, const char *text, int32_t len, struct tm_tape *keys) {
  struct tm_json_members walk;
  struct tm_cell key, value;
  keys->n = 0;
  for (int32_t i = 0; i < p->changes_n; i++) p->changes[i].member = -1;
  tm_json_members_init(&walk, text, len);
  while (tm_json_members_next(&walk, &key, &value)) {
    int32_t c = p->changes_n > 0 ? change_find(p, tm_json_name_get(text, &key)) : -1;
    if (c >= 0) p->changes[c].member = 0;
    if (c >= 0 && p->changes[c].len < 0) continue;
    struct tm_cell *cell = tape_push(keys);
    if (cell == NULL) return -1;
    *cell = key;
  }
  if (keys_settle(text, keys) != 0) return -1;
  for (int32_t i = 0; i < p->changes_n; i++) {
    const struct change *c = &p->changes[i];
    if (c->member >= 0 || c->len < 0) continue;
    struct tm_cell *cell = tape_push(keys);
    if (cell == NULL) return -1;
    tm_cell_set(cell, -1 - i, c->key.len, TM_KIND_STRING);
  }
  return 0;
}
