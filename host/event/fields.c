/* fields.c - the tree of field names a source's scripts read, and their columns.
 *
 * Owns names and columns. A column never moves once it is made: generated loops and decoders keep its address.
 * Every change raises `version`, from which a codec learns that its own index is out of date.
 * Row TM_ROW_EMPTY of a column is set absent when the column is made and written by nobody afterwards.
 * One thread. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMN_ALIGN = 64 };

static const uint64_t absent_num_bits = 0x7FF8000000000000u;

static struct tm_cell absent_cell(void) {
  struct tm_cell c;
  memcpy(&c.num, &absent_num_bits, sizeof c.num);
  c.off = 0;
  c.tag = TM_KIND_ABSENT;
  return c;
}

static void column_clear(struct tm_cell *cells, int32_t rows) {
  const struct tm_cell c = absent_cell();
  for (int32_t i = 0; i < rows; i++) cells[i] = c;
}

/* One cache line more than the rows need, so that equal rows of neighbouring columns lie in different sets. */
static struct tm_cell *column_new(void) {
  size_t size = (TM_BATCH_ROWS + 1) * sizeof(struct tm_cell);
  size = (size + COLUMN_ALIGN - 1) / COLUMN_ALIGN * COLUMN_ALIGN;
  struct tm_cell *cells = aligned_alloc(COLUMN_ALIGN, size);
  if (cells != NULL) column_clear(cells, TM_BATCH_ROWS + 1);
  return cells;
}

/* Appends a field without linking it to its parent; its id, or -1. */
static int32_t list_add(struct tm_fields *f, int32_t parent, const char *name, int32_t name_len) {
  struct tm_field *field = f->list + f->n;
  field->name = malloc((size_t)name_len + 1);
  field->cells = column_new();
  if (field->name == NULL || field->cells == NULL) {
    free(field->name);
    free(field->cells);
    return -1;
  }
  if (name_len > 0) memcpy(field->name, name, (size_t)name_len);
  field->name_len = name_len;
  field->parent = parent;
  field->first_child = -1;
  field->next_sibling = -1;
  return f->n++;
}

struct tm_fields *tm_fields_new(void) {
  struct tm_fields *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  /* All at once: 200 KB of address space, of which only what is used costs memory. */
  f->list = calloc(TM_FIELDS_MAX, sizeof *f->list);
  f->cap = TM_FIELDS_MAX;
  if (f->list == NULL || list_add(f, -1, "", 0) != 0) {
    tm_fields_free(f);
    return NULL;
  }
  f->version = 1;
  return f;
}

void tm_fields_free(struct tm_fields *f) {
  if (f == NULL) return;
  if (f->codec_free != NULL) f->codec_free(f->codec_data);
  for (int32_t i = 0; i < f->n; i++) {
    free(f->list[i].name);
    free(f->list[i].cells);
    free(f->list[i].words);
  }
  free(f->list);
  free(f);
}

int32_t tm_fields_find(const struct tm_fields *f, int32_t parent, const char *name, int32_t name_len) {
  if (parent < 0 || parent >= f->n) return -1;
  for (int32_t id = f->list[parent].first_child; id >= 0; id = f->list[id].next_sibling) {
    const struct tm_field *c = &f->list[id];
    if (c->type == TM_TEXT_STRING && c->name_len == name_len && (name_len == 0 || memcmp(c->name, name, (size_t)name_len) == 0)) return id;
  }
  return -1;
}

void tm_fields_clear(struct tm_fields *f, int32_t rows) {
  if (rows > TM_BATCH_ROWS) rows = TM_BATCH_ROWS;
  for (int32_t id = 1; id < f->n; id++) {
    column_clear(f->list[id].cells, rows);
    if (f->list[id].words != NULL) memset(f->list[id].words->codes, 0, (size_t)rows);
  }
}

int32_t tm_ffi_fields_add(struct tm_fields *f, int32_t parent, const char *name, int32_t name_len) {
  if (parent < 0 || parent >= f->n || name_len < 0) return -1;
  int32_t id = tm_fields_find(f, parent, name, name_len);
  if (id >= 0) return id;
  if (f->n >= TM_FIELDS_MAX) return -1;
  id = list_add(f, parent, name, name_len);
  if (id < 0) return -1;
  int32_t *link = &f->list[parent].first_child;
  while (*link >= 0) link = &f->list[*link].next_sibling;
  *link = id;
  f->version++;
  return id;
}

int32_t tm_ffi_fields_typed(struct tm_fields *f, int32_t id, int32_t type) {
  if (id <= 0 || id >= f->n) return -1;
  const struct tm_field *field = &f->list[id];
  int32_t *link = &f->list[field->parent].first_child;
  for (; *link >= 0; link = &f->list[*link].next_sibling) {
    const struct tm_field *other = &f->list[*link];
    if (other->type == type && other->name_len == field->name_len && memcmp(other->name, field->name, (size_t)field->name_len) == 0) return *link;
  }
  if (f->n >= TM_FIELDS_MAX) return -1;
  int32_t made = list_add(f, field->parent, field->name, field->name_len);
  if (made < 0) return -1;
  f->list[made].type = type;
  *link = made;
  f->version++;
  return made;
}

struct tm_cell *tm_ffi_fields_cells(struct tm_fields *f, int32_t id) {
  return id < 0 || id >= f->n ? NULL : f->list[id].cells;
}

int32_t tm_ffi_fields_want_number(struct tm_fields *f, int32_t id) {
  if (id <= 0 || id >= f->n || f->list[id].want_number) return 0;
  f->list[id].want_number = 1;
  f->version++;
  return 1;
}

const uint8_t *tm_ffi_fields_words(struct tm_fields *f, int32_t id) {
  if (id <= 0 || id >= f->n) return NULL;
  struct tm_field *field = &f->list[id];
  if (field->words == NULL) {
    field->words = calloc(1, sizeof *field->words);
    if (field->words == NULL) return NULL;
    f->version++;
  }
  return field->words->codes;
}

void tm_field_absent(struct tm_field *field, int32_t row) {
  field->cells[row] = field->cells[TM_ROW_EMPTY];
  if (field->words != NULL) field->words->codes[row] = 0;
}
