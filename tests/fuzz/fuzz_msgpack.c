/* fuzz_msgpack.c - libFuzzer target for msgpack: reading, and values to JSON text and back.
 *
 * The input is a stream of messages. It is read by both scanners, each with fields that live from input to input (so that what
 * was learnt from one text meets the next) and with fresh ones; all must give the same rows and cells, each row's
 * status must be what the slow reader says, and a field filled in afterwards equals one known before. Messages
 * that are events become JSON with notes and must come back byte for byte; JSON for others must be valid. An input that
 * is JSON becomes msgpack, which must be valid too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/base/buf.h"
#include "../../host/codec/cell.h"
#include "../../host/codec/json.h"
#include "../../host/codec/msgpack_codec.h"
#include "../../host/codec/msgpack_json.h"
#include "../../host/codec/note.h"
#include "../unit/msgpack_slow.h"
#include "need.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"a", "b", "id", "amount", "geo", ""};
enum { NAMES = 6, NESTED = 3, FIELDS = NAMES + NESTED, MAX_EVENT = 1 << 16 };

struct reader {
  struct tm_fields *f;
  struct tm_batch b;
  struct tm_cut cut;
  int32_t ids[FIELDS];
};

static void reader_fields(struct reader *r) {
  for (int i = 0; i < NAMES; i++) r->ids[i] = tm_ffi_fields_add(r->f, 0, names[i], (int32_t)strlen(names[i]));
  r->ids[NAMES] = tm_ffi_fields_add(r->f, r->ids[0], "a", 1);
  r->ids[NAMES + 1] = tm_ffi_fields_add(r->f, r->ids[NAMES], "b", 1);
  r->ids[NAMES + 2] = tm_ffi_fields_add(r->f, r->ids[4], "lat", 3);
}

static void reader_init(struct reader *r, int with_fields) {
  memset(r, 0, sizeof *r);
  r->f = tm_fields_new();
  NEED(r->f != NULL);
  r->b.fields = r->f;
  r->b.format = TM_FORMAT_MSGPACK;
  if (with_fields) reader_fields(r);
}

static void reader_decode(struct reader *r, const char *scanner, const char *text, int32_t len, int final) {
  tm_json_use(scanner);
  tm_msgpack_decode(&r->b, text, len, final, MAX_EVENT, &r->cut);
}

static void same(struct reader *x, struct reader *y) {
  NEED(x->b.rows == y->b.rows && x->b.bad == y->b.bad && x->cut.used == y->cut.used && x->cut.need == y->cut.need);
  NEED((x->cut.broken == NULL) == (y->cut.broken == NULL) && x->cut.broken_at == y->cut.broken_at);
  for (int32_t row = 0; row < x->b.rows; row++) {
    NEED(x->b.status[row] == y->b.status[row] && x->b.off[row] == y->b.off[row] && x->b.len[row] == y->b.len[row]);
    for (int i = 0; i < FIELDS; i++) {
      const struct tm_cell *c = &tm_ffi_fields_cells(x->f, x->ids[i])[row];
      NEED(memcmp(c, &tm_ffi_fields_cells(y->f, y->ids[i])[row], sizeof *c) == 0);
      NEED(tm_cell_kind(c) == TM_KIND_ABSENT || (c->off >= 0 && c->off + tm_cell_len(c) <= x->cut.used));
      NEED(x->b.status[row] == TM_LINE_OK || tm_cell_kind(c) == TM_KIND_ABSENT);
    }
  }
}

/* The event at p, of n bytes, through JSON. */
static void there_and_back(const char *p, int32_t n) {
  static struct tm_buf out;
  int32_t at;
  if (out.cap_max == 0) tm_buf_init(&out, 1 << 28);
  out.len = 0;
  NEED(tm_msgpack_to_json(&out, p, 1) == 0);
  int32_t text = out.len;
  NEED(tm_buf_reserve(&out, 2 * text + n + 2 * TM_PAD) == 0);
  NEED(tm_msgpack_from_json(&out, out.data, text) == 0);
  NEED(out.len - text == n && memcmp(out.data + text, p, (size_t)n) == 0);
  /* cleaned of its notes it is what others get at once */
  out.len = text;
  int32_t rc = tm_note_clean(&out, out.data, text), cleaned = out.len;
  int32_t direct = tm_msgpack_to_json(&out, p, 0);
  NEED(rc == direct && (rc == 0 || rc == -2));
  if (rc != 0) return;
  NEED(out.len - cleaned == cleaned - text && memcmp(out.data + text, out.data + cleaned, (size_t)(cleaned - text)) == 0);
  NEED(tm_ffi_json_check(out.data + text, cleaned - text, &at) == 0);
}

static void judge(struct reader *r, int final) {
  char why[256];
  for (int32_t row = 0; row < r->b.rows; row++) {
    const char *p = r->b.raw + r->b.off[row];
    int32_t len = r->b.len[row], status = r->b.status[row];
    struct slow s = {(const unsigned char *)p, (const unsigned char *)p + len, SLOW_OK, 0};
    slow_value(&s, 0, 0);
    tm_msgpack_explain(p, len, why, sizeof why);
    NEED(s.broken == (final && r->cut.broken != NULL && row == r->b.rows - 1));
    NEED(s.broken || s.p == s.end);
    if (status == TM_LINE_TOO_LONG) continue;
    NEED((s.status == SLOW_OK) == (status == TM_LINE_OK || status == TM_LINE_NOT_OBJECT));
    NEED((strcmp(why, "nothing is wrong") == 0) == (s.status == SLOW_OK));
    if (status == TM_LINE_OK) there_and_back(p, len);
  }
}

static void json_input(const char *text, int32_t len) {
  static struct tm_buf out;
  int32_t at;
  if (len == 0 || tm_ffi_json_check(text, len, &at) != 0) return;
  if (out.cap_max == 0) tm_buf_init(&out, 1 << 28);
  out.len = 0;
  int32_t rc = tm_msgpack_from_json(&out, text, len);
  NEED(rc == 0 || rc == -2);
  if (rc != 0) return;
  struct slow s = {(const unsigned char *)out.data, (const unsigned char *)out.data + out.len, SLOW_OK, 0};
  slow_value(&s, 0, 0);
  NEED(s.p == s.end && (s.status == SLOW_OK || s.status == SLOW_DEEP));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct reader learnt_plain, learnt_best, fresh;
  if (size > 1 << 20) return 0;
  if (learnt_plain.f == NULL) {
    reader_init(&learnt_plain, 1);
    reader_init(&learnt_best, 1);
  }
  char *text = malloc(size + TM_PAD);
  NEED(text != NULL);
  memcpy(text, data, size);
  memset(text + size, 0xa1, TM_PAD);
  int32_t len = (int32_t)size;
  json_input(text, len);
  for (int32_t at = 0; at < len; at += learnt_best.cut.used) {
    /* first as if there were more to come */
    for (int final = 0; final < 2; final++) {
      reader_decode(&learnt_plain, "portable", text + at, len - at, final);
      reader_decode(&learnt_best, NULL, text + at, len - at, final);
      same(&learnt_best, &learnt_plain);
    }
    NEED(learnt_best.cut.used > 0);
    judge(&learnt_best, 1);
    for (int late = 0; late < 2; late++) {
      reader_init(&fresh, !late);
      reader_decode(&fresh, NULL, text + at, len - at, 1);
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
