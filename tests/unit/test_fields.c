/* test_fields.c - the tree of fields and their columns (host/event/fields.c).
 *
 * What is expected follows from the contracts in fields.h and abi.h. */
#include "../../host/event/fields.h"
#include "unit.h"

static int is_absent(const struct tm_cell *c) {
  uint64_t bits;
  memcpy(&bits, &c->num, sizeof bits);
  return c->tag == TM_KIND_ABSENT && c->off == 0 && (bits == 0x7FF8000000000000u || bits == 0xFFF8000000000000u);
}

static int freed;
static void count_free(void *data) {
  (void)data;
  freed++;
}

static void test_tree(void) {
  struct tm_fields *f = tm_fields_new();
  CHECK(f != NULL && f->n == 1, "the root is there");
  int32_t version = f->version;
  int32_t geo = tm_ffi_fields_add(f, 0, "geo", 3);
  int32_t lat = tm_ffi_fields_add(f, geo, "lat", 3);
  int32_t top = tm_ffi_fields_add(f, 0, "lat", 3);
  CHECK(geo > 0 && lat > 0 && top > 0 && lat != top, "ids %d %d %d", geo, lat, top);
  CHECK(f->version > version, "adding raises the version");
  version = f->version;
  CHECK(tm_ffi_fields_add(f, 0, "geo", 3) == geo, "a known field is found");
  CHECK(f->version == version, "finding does not raise the version");
  CHECK(tm_fields_find(f, geo, "lat", 3) == lat, "child");
  CHECK(tm_fields_find(f, 0, "lat", 3) == top, "child of the root");
  CHECK(tm_fields_find(f, geo, "lo", 2) == -1 && tm_fields_find(f, lat, "lat", 3) == -1, "no such child");
  CHECK(tm_fields_find(f, 99, "lat", 3) == -1 && tm_ffi_fields_add(f, 99, "a", 1) == -1, "no such parent");
  CHECK(f->list[0].first_child == geo && f->list[geo].next_sibling == top && f->list[top].next_sibling == -1,
        "siblings stand in order of adding");
  int32_t empty = tm_ffi_fields_add(f, 0, "", 0);
  int32_t zero = tm_ffi_fields_add(f, 0, "a\0b", 3);
  CHECK(empty > 0 && tm_fields_find(f, 0, "", 0) == empty, "the empty name is a name");
  CHECK(zero > 0 && tm_fields_find(f, 0, "a", 1) == -1 && tm_fields_find(f, 0, "a\0b", 3) == zero, "NUL in a name");
  CHECK(tm_ffi_fields_want_number(f, geo) == 1 && tm_ffi_fields_want_number(f, geo) == 0, "new once");
  CHECK(tm_ffi_fields_want_number(f, 999) == 0, "no such field");
  f->codec_data = f;
  f->codec_free = count_free;
  tm_fields_free(f);
  CHECK(freed == 1, "the codec's data are freed");
  tm_fields_free(NULL);
}

static void test_columns(void) {
  struct tm_fields *f = tm_fields_new();
  int32_t a = tm_ffi_fields_add(f, 0, "a", 1);
  struct tm_cell *cells = tm_ffi_fields_cells(f, a);
  int absent = 1;
  for (int i = 0; i <= TM_ROW_EMPTY; i++) absent &= is_absent(&cells[i]);
  CHECK(absent, "a new column is all absent");
  CHECK(tm_ffi_fields_cells(f, -1) == NULL && tm_ffi_fields_cells(f, 2) == NULL, "no such column");
  for (int i = 0; i < TM_BATCH_ROWS; i++) cells[i] = (struct tm_cell){1.0, i, 1 << 4 | TM_KIND_NUMBER};
  tm_fields_clear(f, 10);
  CHECK(is_absent(&cells[0]) && is_absent(&cells[9]) && cells[10].tag != 0, "only the rows asked for");
  tm_fields_clear(f, TM_BATCH_ROWS + 7);
  CHECK(is_absent(&cells[TM_BATCH_ROWS - 1]), "all rows");
  /* The limit counts the root, and columns stay where they are while the list grows. */
  char name[16];
  int32_t last = 0, n = 2;
  for (; n < TM_FIELDS_MAX; n++) {
    int len = snprintf(name, sizeof name, "f%d", n);
    last = tm_ffi_fields_add(f, n % 3 == 0 ? last : 0, name, len);
    if (last != n) break;
  }
  CHECK(n == TM_FIELDS_MAX, "stopped at %d", n);
  CHECK(tm_ffi_fields_add(f, 0, "more", 4) == -1, "one too many");
  CHECK(tm_ffi_fields_add(f, 0, "a", 1) == a, "known ones are still found");
  CHECK(tm_ffi_fields_cells(f, a) == cells, "a column does not move");
  tm_fields_free(f);
}

int main(void) {
  test_tree();
  test_columns();
  return unit_end("fields");
}
