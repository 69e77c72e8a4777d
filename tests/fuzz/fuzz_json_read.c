/* fuzz_json_read.c - libFuzzer target for the NDJSON reader.
 *
 * The input is a stream of lines. It is read by the portable scanner and by the best one, each with fields that live from
 * input to input (so that what was learnt from one text meets the next) and with fresh ones; all must give the
 * same rows and cells. Each row's status must agree with tm_ffi_json_check and tm_json_explain, and a field filled in
 * afterwards with one known before.
 * Build: clang -fsanitize=fuzzer,address,undefined with host/event/fields.c, host/base/err.c, the host/codec/json_*.c of
 * the reader, and this file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/codec/json.h"
#include "need.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"a", "b", "id", "amount", "geo", ""};
enum { NAMES = 6, NESTED = 3, FIELDS = NAMES + NESTED, MAX_EVENT = 1 << 16 };

struct reader {
  struct tm_fields *f;
  struct tm_batch b;
  int32_t ids[FIELDS];
  int32_t used;
  int32_t lines;
};

static void reader_fields(struct reader *r) {
  for (int i = 0; i < NAMES; i++) r->ids[i] = tm_ffi_fields_add(r->f, 0, names[i], (int32_t)strlen(names[i]));
  r->ids[NAMES] = tm_ffi_fields_add(r->f, r->ids[0], "a", 1);
  r->ids[NAMES + 1] = tm_ffi_fields_add(r->f, r->ids[NAMES], "b", 1);
  r->ids[NAMES + 2] = tm_ffi_fields_add(r->f, r->ids[4], "lat", 3);
  for (int i = 0; i < FIELDS; i += 2) tm_ffi_fields_want_number(r->f, r->ids[i]);
}

static void reader_init(struct reader *r, int with_fields) {
  memset(r, 0, sizeof *r);
  r->f = tm_fields_new();
  NEED(r->f != NULL);
  r->b.fields = r->f;
  r->b.line_first = 1;
  if (with_fields) reader_fields(r);
}

static void reader_decode(struct reader *r, const char *scanner, const char *text, int32_t len) {
  tm_json_use(scanner);
  r->used = tm_json_decode(&r->b, text, len, 1, MAX_EVENT, &r->lines);
}

static void same(struct reader *x, struct reader *y) {
  NEED(x->b.rows == y->b.rows && x->b.bad == y->b.bad && x->used == y->used && x->lines == y->lines);
  for (int32_t row = 0; row < x->b.rows; row++) {
    NEED(x->b.status[row] == y->b.status[row] && x->b.off[row] == y->b.off[row] && x->b.len[row] == y->b.len[row]);
    for (int i = 0; i < FIELDS; i++) {
      const struct tm_cell *c = &tm_ffi_fields_cells(x->f, x->ids[i])[row];
      NEED(memcmp(c, &tm_ffi_fields_cells(y->f, y->ids[i])[row], sizeof *c) == 0);
      NEED((c->tag & 15) == TM_KIND_ABSENT || (c->off >= 0 && c->off + (c->tag >> 4) <= x->used));
      NEED(x->b.status[row] == TM_LINE_OK || (c->tag & 15) == TM_KIND_ABSENT);
    }
  }
}

static void judge(struct reader *r) {
  char why[256];
  for (int32_t row = 0; row < r->b.rows; row++) {
    const char *s = r->b.raw + r->b.off[row];
    int32_t len = r->b.len[row], at = -1, status = r->b.status[row];
    if (status == TM_LINE_TOO_LONG) continue;
    int valid = tm_ffi_json_check(s, len, &at) == 0;
    NEED(valid == (status == TM_LINE_OK || status == TM_LINE_NOT_OBJECT));
    NEED(valid || (at >= 0 && at <= len));
    int32_t told = tm_json_explain(s, len, why, sizeof why);
    NEED((strcmp(why, "nothing is wrong") == 0) == (status == TM_LINE_OK));
    NEED(valid || told == at);
    NEED((strstr(why, "512 levels") != NULL) == (status == TM_LINE_TOO_DEEP));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct reader learnt_portable, learnt_best, fresh;
  if (size > 1 << 20) return 0;
  if (learnt_portable.f == NULL) {
    reader_init(&learnt_portable, 1);
    reader_init(&learnt_best, 1);
  }
  char *text = malloc(size + TM_PAD);
  NEED(text != NULL);
  memcpy(text, data, size);
  memset(text + size, '"', TM_PAD);
  for (int32_t at = 0, len = (int32_t)size; at < len; at += learnt_best.used) {
    reader_decode(&learnt_portable, "portable", text + at, len - at);
    reader_decode(&learnt_best, NULL, text + at, len - at);
    NEED(learnt_best.used > 0);
    same(&learnt_best, &learnt_portable);
    judge(&learnt_best);
    for (int late = 0; late < 2; late++) {
      reader_init(&fresh, !late);
      reader_decode(&fresh, NULL, text + at, len - at);
      if (late) {
        reader_fields(&fresh);
        for (int i = 0; i < FIELDS; i++) tm_ffi_batch_fill(&fresh.b, fresh.ids[i]);
      }
      same(&learnt_best, &fresh);
      tm_fields_free(fresh.f);
    }
  }
  free(text);
  return 0;
}
