/* json_run.h - reading a text into a batch, for the tests of the JSON reader.
 *
 * Texts lie in heap blocks of exactly their size and TM_PAD hostile bytes, so that under AddressSanitizer any
 * read beyond stops the test, and any byte beyond that is believed changes an answer. */
#ifndef TM_TESTS_JSON_RUN_H
#define TM_TESTS_JSON_RUN_H

#include "../../host/codec/json.h"
#include "unit.h"

enum { MAX_EVENT = 1 << 24 };
static const char *const scanners[] = {"portable", "avx2"};
enum { SCANNERS = 2 };

static uint64_t seed = 88172645463325252u;
static inline uint32_t rnd(uint32_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 32) % n;
}

static inline char *padded(const char *s, size_t n) {
  static const char hostile[] = "\"9}]e.\\,{[:-tn5\xC3";
  char *p = malloc(n + TM_PAD);
  if (n > 0) memcpy(p, s, n);
  for (int i = 0; i < TM_PAD; i++) p[n + (size_t)i] = hostile[i % (int)(sizeof hostile - 1)];
  return p;
}

/* A batch, its fields and the text it was read from. */
struct run {
  struct tm_fields *f;
  struct tm_batch *b;
  char *text;
  int32_t used;
  int32_t lines;
};

static inline void run_init(struct run *r) {
  r->f = tm_fields_new();
  r->b = calloc(1, sizeof *r->b);
  r->b->fields = r->f;
  r->b->line_first = 1;
  r->text = NULL;
}
static inline void run_fini(struct run *r) {
  tm_fields_free(r->f);
  free(r->b);
  free(r->text);
}
static inline void run_decode(struct run *r, const char *s, size_t n, int final, int32_t max_event) {
  free(r->text);
  r->text = padded(s, n);
  r->used = tm_json_decode(r->b, r->text, (int32_t)n, final, max_event, &r->lines);
}
/* the field at a path such as "geo.lat" */
static inline int32_t run_field(struct run *r, const char *path, int number) {
  int32_t id = 0;
  do {
    size_t n = strcspn(path, ".");
    id = tm_ffi_fields_add(r->f, id, path, (int32_t)n);
    path += n + (path[n] == '.');
  } while (*path);
  if (number) tm_ffi_fields_want_number(r->f, id);
  return id;
}
static inline const struct tm_cell *run_cell(struct run *r, int32_t id, int32_t row) {
  return &tm_ffi_fields_cells(r->f, id)[row];
}
/* is the cell of that kind, and its text this? */
static inline int cell_is(struct run *r, int32_t id, int32_t row, int kind, const char *text) {
  const struct tm_cell *c = run_cell(r, id, row);
  size_t n = (size_t)c->tag >> 4;
  if ((c->tag & 15) != kind) return 0;
  return text == NULL || (strlen(text) == n && memcmp(r->text + c->off, text, n) == 0);
}

#endif
