/* fuzz_json_text.c - tape, find and unescape against a reference written the slow and obvious way, and the string
 * writers against each other.
 *
 * Input: any bytes. What the reader accepts as JSON (tm_ffi_json_check) is flattened by the code under test and by
 * the reference, which recurses, compares names in pairs and decodes byte by byte. All texts lie in memory of their
 * exact size plus TM_PAD, so that the sanitizers see every byte too many. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../host/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : __builtin_trap())

static struct tm_tape tape, expected;
static const char *text;

/* ---- the reference ---- */

static int32_t space(int32_t p) {
  while (text[p] != 0 && strchr(" \t\r\n", text[p]) != NULL) p++;
  return p;
}

/* the number of bytes (into out) that a string's inside stands for */
static int32_t decode(const char *s, int32_t len, char *out) {
  int32_t n = 0;
  for (int32_t i = 0; i < len; i++) {
    if (s[i] != '\\') {
      out[n++] = s[i];
      continue;
    }
    const char *simple = strchr("\"\"\\\\//b\bf\fn\nr\rt\t", s[++i]);
    if (s[i] != 'u') {
      out[n++] = simple[1];
      continue;
    }
    unsigned c = 0, low = 0;
    sscanf(s + i + 1, "%4x", &c);
    i += 4;
    if (c >= 0xd800 && c < 0xdc00) {
      sscanf(s + i + 3, "%4x", &low);
      c = (c - 0xd800) * 1024 + (low - 0xdc00) + 0x10000;
      i += 6;
    }
    if (c < 0x80) {
      out[n++] = (char)c;
    } else {
      int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
      out[n++] = (char)((more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0) + (int)(c >> (6 * more)));
      while (more-- > 0) out[n++] = (char)(0x80 + (c >> (6 * more)) % 64);
    }
  }
  return n;
}

static int same_name(const struct tm_cell *a, const struct tm_cell *b) {
  char *x = malloc((size_t)(a->tag >> 4) + 1), *y = malloc((size_t)(b->tag >> 4) + 1);
  MUST(x != NULL && y != NULL);
  int32_t n = decode(text + a->off, a->tag >> 4, x), m = decode(text + b->off, b->tag >> 4, y);
  int same = n == m && memcmp(x, y, (size_t)n) == 0;
  free(x);
  free(y);
  return same;
}

static int32_t cell_add(int32_t off, int32_t len, int kind, double num) {
  if (expected.n == expected.cap) {
    expected.cap = expected.cap * 2 + 64;
    expected.cells = realloc(expected.cells, (size_t)expected.cap * sizeof *expected.cells);
    MUST(expected.cells != NULL);
  }
  expected.cells[expected.n] = (struct tm_cell){num, off, len << 4 | kind};
  return expected.n++;
}

static int32_t reference(int32_t p);

static int32_t reference_string(int32_t p) {
  int32_t start = ++p, escaped = 0;
  for (; text[p] != '"'; p++)
    if (text[p] == '\\') escaped = 1, p++;
  cell_add(start, p - start, escaped ? TM_KIND_ESCAPED : TM_KIND_STRING, NAN);
  return p + 1;
}

static int32_t reference_number(int32_t p) {
  int32_t start = p;
  char copy[4096];
  while (text[p] != 0 && strchr("+-.0123456789eE", text[p]) != NULL) p++;
  MUST(p - start < (int32_t)sizeof copy);
  memcpy(copy, text + start, (size_t)(p - start));
  copy[p - start] = 0;
  double v = strtod(copy, NULL);
  int kind = isinf(v) ? TM_KIND_HUGE : TM_KIND_NUMBER;
  if (strpbrk(copy, ".eE") == NULL) {
    /* digits decide: 2^53 has 16 of them, and no number of the grammar starts with a zero too many */
    const char *d = copy + (*copy == '-');
    size_t n = strlen(d);
    kind = n > 16 || (n == 16 && strcmp(d, "9007199254740992") > 0) ? TM_KIND_BIGINT : TM_KIND_NUMBER;
  }
  cell_add(start, p - start, kind, kind == TM_KIND_NUMBER ? v : NAN);
  return p;
}

static int32_t reference_container(int32_t p) {
  int object = text[p] == '{';
  int32_t head = cell_add(p, 0, object ? TM_KIND_OBJECT : TM_KIND_ARRAY, 0), start = p, members = 0;
  int32_t keys[1024], ends[1024];
  p = space(p + 1);
  while (text[p] != '}' && text[p] != ']') {
    if (text[p] == ',') p = space(p + 1);
    MUST(members < 1024);
    keys[members] = expected.n;
    if (object) p = space(space(reference_string(p)) + 1);
    p = space(reference(p));
    ends[members++] = expected.n;
  }
  int32_t to = head + 1, kept = 0;
  for (int32_t i = 0; i < members; i++) {
    int again = 0;
    for (int32_t k = i + 1; object && k < members && !again; k++)
      again = same_name(&expected.cells[keys[i]], &expected.cells[keys[k]]);
    /* marked now, moved below: later names are compared with cells in their old places */
    if (again) ends[i] = -1;
  }
  for (int32_t i = 0; i < members; i++) {
    int32_t end = i + 1 < members ? keys[i + 1] : expected.n;
    if (ends[i] < 0) continue;
    memmove(expected.cells + to, expected.cells + keys[i], (size_t)(end - keys[i]) * sizeof *expected.cells);
    to += end - keys[i];
    kept++;
  }
  expected.n = to;
  expected.cells[head].num = kept;
  expected.cells[head].tag |= (p + 1 - start) << 4;
  return p + 1;
}

static int32_t reference(int32_t p) {
  switch (text[p]) {
    case '{':
    case '[': return reference_container(p);
    case '"': return reference_string(p);
    case 't': cell_add(p, 4, TM_KIND_TRUE, NAN); return p + 4;
    case 'f': cell_add(p, 5, TM_KIND_FALSE, NAN); return p + 5;
    case 'n': cell_add(p, 4, TM_KIND_NULL, NAN); return p + 4;
    default: return reference_number(p);
  }
}

/* ---- comparisons ---- */

static int same_num(double a, double b) {
  uint64_t x, y;
  memcpy(&x, &a, 8);
  memcpy(&y, &b, 8);
  return isnan(b) ? x == 0x7ff8000000000000u : x == y;
}

static void cells_compare(void) {
  MUST(tape.n == expected.n);
  for (int32_t i = 0; i < tape.n; i++) {
    const struct tm_cell *a = &tape.cells[i], *b = &expected.cells[i];
    MUST(a->off == b->off && a->tag == b->tag && same_num(a->num, b->num));
  }
}

/* every member of the object by its unescaped name */
static void members_compare(int32_t len) {
  for (int32_t i = 1; i < tape.n; i++) {
    const struct tm_cell *key = &tape.cells[i];
    int32_t room = key->tag >> 4;
    char *name = malloc((size_t)room + 1);
    struct tm_buf out;
    char *fixed = malloc((size_t)room + TM_PAD);
    MUST(name != NULL && fixed != NULL);
    int32_t n = decode(text + key->off, room, name);
    tm_buf_init_fixed(&out, fixed, room);
    MUST(tm_ffi_json_unescape(text + key->off, room, &out) == 0 && out.len == n && memcmp(out.data, name, (size_t)n) == 0);
    struct tm_cell found;
    tm_ffi_json_find(text, len, name, n, &found);
    i++;
    MUST(found.off == tape.cells[i].off && found.tag == tape.cells[i].tag);
    free(name);
    free(fixed);
    int kind = found.tag & 15;
    if (kind == TM_KIND_OBJECT || kind == TM_KIND_ARRAY)
      while (i + 1 < tape.n && tape.cells[i + 1].off < found.off + (found.tag >> 4)) i++;
  }
}

/* any bytes as a JSON string: refused, or valid and its own inverse; repaired, always valid */
static void strings_compare(const char *s, int32_t len) {
  struct tm_buf strict, lossy, back;
  int32_t at;
  tm_buf_init(&strict, 1 << 24);
  tm_buf_init(&lossy, 1 << 24);
  tm_buf_init(&back, 1 << 24);
  int32_t rc = tm_ffi_json_string(&strict, s, len);
  MUST(tm_ffi_json_lossy(&lossy, s, len) == 0 && tm_ffi_json_check(lossy.data, lossy.len, &at) == 0);
  MUST(rc == 0 || (rc == -2 && strict.len == 0));
  if (rc == 0) {
    MUST(strict.len == lossy.len && memcmp(strict.data, lossy.data, (size_t)strict.len) == 0);
    MUST(tm_ffi_json_unescape(strict.data + 1, strict.len - 2, &back) == 0);
    MUST(back.len == len && memcmp(back.data, s, (size_t)len) == 0);
  }
  tm_buf_fini(&strict);
  tm_buf_fini(&lossy);
  tm_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int32_t len = (int32_t)size, at = -1;
  if (size > 2048) return 0;
  strings_compare((const char *)data, len);
  if (tm_ffi_json_check((const char *)data, len, &at) != 0) return 0;
  while (len > 0 && strchr(" \t\r\n", data[0]) != NULL) data++, len--;
  while (len > 0 && strchr(" \t\r\n", data[len - 1]) != NULL) len--;
  char *copy = malloc((size_t)len + TM_PAD);
  MUST(copy != NULL);
  memcpy(copy, data, (size_t)len);
  memset(copy + len, 0, TM_PAD);
  text = copy;
  expected.n = 0;
  MUST(reference(0) == len);
  /* what follows a text means nothing */
  memset(copy + len, '1', TM_PAD);
  MUST(tm_ffi_json_tape(text, len, &tape) == 0);
  cells_compare();
  if (copy[0] == '{') members_compare(len);
  free(copy);
  return 0;
}
