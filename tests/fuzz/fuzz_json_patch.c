/* fuzz_json_patch.c - changes to an object, judged by what a reader finds in the result.
 *
 * Input: commands, a 0xff byte, the object's text. A command is one byte: 0x80 remove, else set to one of a few
 * values; the low bits choose the name, mostly one that the object has. Judged: the result is valid JSON; each changed
 * key is found with its new text or not at all; all others are found with their old text; applying the same patch again
 * changes nothing but places; the patch's keys are those of the result, in its order. */
#include <stdlib.h>

#include "../../host/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : __builtin_trap())

enum { NAMES_MAX = 64 };

static const char TEXTS[] = "1null\"s\"{\"a\":2}[]";
static const struct { int32_t off, len; } PIECES[5] = {{0, 1}, {1, 4}, {5, 3}, {8, 7}, {15, 2}};

static struct tm_patch *patch, *nothing;
static struct tm_tape old_keys, new_keys, patch_keys;
static struct { struct tm_buf name; int32_t piece; } changed[NAMES_MAX];    /* piece -1: removed */
static int32_t changed_n;

static void name_read(struct tm_buf *b, const char *text, const struct tm_cell *key) {
  b->len = 0;
  if ((key->tag & 15) == TM_KIND_ESCAPED) MUST(tm_ffi_json_unescape(text + key->off, key->tag >> 4, b) == 0);
  else MUST(tm_buf_put(b, text + key->off, key->tag >> 4) == 0);
}

static int32_t changed_find(const struct tm_buf *name) {
  for (int32_t i = 0; i < changed_n; i++)
    if (changed[i].name.len == name->len && memcmp(changed[i].name.data, name->data, (size_t)name->len) == 0) return i;
  return -1;
}

/* one command; names that the object does not have are "n0".. */
static void change_make(uint8_t command, const char *text) {
  struct tm_buf name;
  char fresh[4] = {'n', (char)('0' + command % 8), 0, 0};
  tm_buf_init(&name, 1 << 20);
  int32_t choice = command & 31;
  if (choice < old_keys.n) name_read(&name, text, &old_keys.cells[choice]);
  else MUST(tm_buf_put(&name, fresh, 2) == 0);
  int32_t i = changed_find(&name);
  if (i < 0) {
    if (changed_n == NAMES_MAX) {
      tm_buf_fini(&name);
      return;
    }
    i = changed_n++;
    changed[i].name = name;
  } else {
    tm_buf_fini(&name);
  }
  changed[i].piece = command & 0x80 ? -1 : command % 5;
  const struct tm_buf *key = &changed[i].name;
  int32_t piece = changed[i].piece;
  if (piece < 0) MUST(tm_ffi_patch_remove(patch, key->data, key->len) == 0);
  else MUST(tm_ffi_patch_set(patch, key->data, key->len, PIECES[piece].off, PIECES[piece].len) == 0);
}

static int same_span(const char *a, const struct tm_cell *x, const char *b, const struct tm_cell *y) {
  return x->tag == y->tag && memcmp(a + x->off, b + y->off, (size_t)(x->tag >> 4)) == 0;
}

static void members_judge(const char *text, int32_t len, const struct tm_buf *out) {
  struct tm_buf name;
  struct tm_cell was, is;
  tm_buf_init(&name, 1 << 20);
  for (int32_t i = 0; i < changed_n; i++) {
    int32_t piece = changed[i].piece;
    tm_ffi_json_find(out->data, out->len, changed[i].name.data, changed[i].name.len, &is);
    if (piece < 0) {
      MUST((is.tag & 15) == TM_KIND_ABSENT);
    } else {
      int32_t quote = (is.tag & 15) == TM_KIND_STRING;
      MUST((is.tag >> 4) + 2 * quote == PIECES[piece].len);
      MUST(memcmp(out->data + is.off - quote, TEXTS + PIECES[piece].off, (size_t)PIECES[piece].len) == 0);
    }
  }
  for (int32_t i = 0; i < old_keys.n; i++) {
    name_read(&name, text, &old_keys.cells[i]);
    if (changed_find(&name) >= 0) continue;
    tm_ffi_json_find(text, len, name.data, name.len, &was);
    tm_ffi_json_find(out->data, out->len, name.data, name.len, &is);
    MUST(same_span(text, &was, out->data, &is));
  }
  tm_buf_fini(&name);
}

static void keys_judge(const char *text, int32_t len, const struct tm_buf *out) {
  struct tm_buf a, b;
  tm_buf_init(&a, 1 << 20);
  tm_buf_init(&b, 1 << 20);
  MUST(tm_ffi_patch_keys(patch, text, len, &patch_keys) == 0);
  MUST(tm_ffi_patch_keys(nothing, out->data, out->len, &new_keys) == 0);
  MUST(patch_keys.n == new_keys.n);
  for (int32_t i = 0; i < new_keys.n; i++) {
    const struct tm_cell *key = &patch_keys.cells[i];
    b.len = 0;
    if (key->off >= 0) name_read(&b, text, key);
    else MUST(tm_buf_put(&b, changed[-1 - key->off].name.data, key->tag >> 4) == 0);
    name_read(&a, out->data, &new_keys.cells[i]);
    MUST(a.len == b.len && memcmp(a.data, b.data, (size_t)a.len) == 0);
  }
  tm_buf_fini(&a);
  tm_buf_fini(&b);
}

static void object_try(const uint8_t *commands, size_t commands_n, const char *text, int32_t len) {
  struct tm_buf out, again;
  int32_t at = -1;
  tm_ffi_patch_reset(patch);
  MUST(tm_ffi_patch_keys(nothing, text, len, &old_keys) == 0);
  for (size_t i = 0; i < commands_n; i++) change_make(commands[i], text);
  tm_buf_init(&out, 1 << 20);
  tm_buf_init(&again, 1 << 20);
  MUST(tm_ffi_patch_apply(patch, text, len, TEXTS, &out) == 0);
  MUST(tm_ffi_json_check(out.data, out.len, &at) == 0);
  members_judge(text, len, &out);
  keys_judge(text, len, &out);
  MUST(tm_ffi_patch_apply(patch, out.data, out.len, TEXTS, &again) == 0);
  MUST(again.len == out.len && memcmp(again.data, out.data, (size_t)out.len) == 0);
  if (changed_n == 0) MUST(out.len == len && memcmp(out.data, text, (size_t)len) == 0);
  while (changed_n > 0) tm_buf_fini(&changed[--changed_n].name);
  tm_buf_fini(&out);
  tm_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (patch == NULL) {
    patch = tm_ffi_patch_new();
    nothing = tm_ffi_patch_new();
  }
  const uint8_t *stop = size > 0 && size <= 4096 ? memchr(data, 0xff, size) : NULL;
  if (stop == NULL) return 0;
  const char *object = (const char *)stop + 1;
  int32_t len = (int32_t)(size - (size_t)(stop + 1 - data)), at;
  if (len < 2 || object[0] != '{' || object[len - 1] != '}' || tm_ffi_json_check(object, len, &at) != 0) return 0;
  char *text = malloc((size_t)len + TM_PAD);
  MUST(text != NULL);
  memcpy(text, object, (size_t)len);
  memset(text + len, '"', TM_PAD);
  object_try(data, (size_t)(stop - data), text, len);
  free(text);
  return 0;
}
