/* texts.c - the files of a generation, in memory (texts.h). */
#include "texts.h"

#include <string.h>
#include <sys/mman.h>

#include "../base/undo.h"

/* The head of an entry in a slot; path and text follow, both with a zero behind them. */
struct entry {
  int32_t kind, error;
  uint32_t path_n, text_n;
};

static char *bytes_of(const struct tm_texts *t) { return (char *)(uintptr_t)(const void *)(t + 1); }

static size_t entry_bytes(size_t path_n, size_t text_n) { return (sizeof(struct entry) + path_n + 1 + text_n + 1 + 7) & ~(size_t)7; }

struct tm_texts *tm_texts_new(void) {
  void *p = mmap(NULL, sizeof(struct tm_texts) + TM_TEXTS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

void tm_texts_free(struct tm_texts *t) {
  if (t != NULL) munmap(t, sizeof *t + TM_TEXTS_BYTES);
}

void tm_texts_clear(struct tm_texts *t, int32_t number, int32_t before) {
  /* its memory goes back, but for the first page */
  size_t page = 4096, n = (sizeof *t + TM_TEXTS_BYTES) / page * page;
  madvise((char *)t + page, n - page, MADV_REMOVE);
  memset(t, 0, page);
  t->before = before;
  tm_undo_fence();
  t->number = number;
}

int tm_texts_next(const struct tm_texts *t, uint64_t *at, struct tm_text *out) {
  struct entry e;
  const char *p = bytes_of(t) + *at;
  if (t->broken || t->used > TM_TEXTS_BYTES || *at + sizeof e > t->used) return 0;
  memcpy(&e, p, sizeof e);
  size_t n = entry_bytes(e.path_n, e.text_n);
  if (n > t->used - *at) return 0;
  *out = (struct tm_text){(enum tm_texts_kind)e.kind, e.error, p + sizeof e, p + sizeof e + e.path_n + 1, e.text_n};
  *at += n;
  return 1;
}

int tm_texts_find(const struct tm_texts *t, enum tm_texts_kind kind, const char *path, struct tm_text *out) {
  struct tm_text found;
  uint64_t at = 0;
  while (tm_texts_next(t, &at, &found)) {
    if (found.kind != kind || strcmp(found.path, path) != 0) continue;
    *out = found;
    return 1;
  }
  return 0;
}

void tm_texts_put(struct tm_texts *t, const struct tm_text *what) {
  size_t path_n = strlen(what->path), n = entry_bytes(path_n, what->n);
  if (t->broken) return;
  if (what->n > TM_TEXTS_BYTES || n > TM_TEXTS_BYTES - t->used) {
    t->broken = 1;
    return;
  }
  struct entry e = {(int32_t)what->kind, what->error, (uint32_t)path_n, (uint32_t)what->n};
  char *p = bytes_of(t) + t->used;
  memcpy(p, &e, sizeof e);
  memcpy(p + sizeof e, what->path, path_n + 1);
  if (what->n > 0) memcpy(p + sizeof e + path_n + 1, what->text, what->n);
  p[sizeof e + path_n + 1 + what->n] = '\0';
  tm_undo_fence();
  t->used += n;
  t->entries++;
}

int tm_texts_within(const struct tm_texts *a, const struct tm_texts *b) {
  struct tm_text x, y;
  uint64_t at = 0;
  if (a->broken || b->broken) return 0;
  while (tm_texts_next(a, &at, &x))
    if (!tm_texts_find(b, x.kind, x.path, &y) || x.error != y.error || x.n != y.n || memcmp(x.text, y.text, x.n) != 0) return 0;
  return 1;
}

void tm_texts_copy(struct tm_texts *to, const struct tm_texts *from) {
  to->broken = from->broken;
  if (from->broken || from->used > TM_TEXTS_BYTES) return;
  memcpy(bytes_of(to), bytes_of(from), from->used);
  to->entries = from->entries;
  tm_undo_fence();
  to->used = from->used;
}
