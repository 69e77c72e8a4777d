/* fuzz_fluent.c - libFuzzer target for messages of Fluent Bit.
 *
 * The input is a stream of messages. It is read at once, and again as it might come through a pipe, in pieces whose sizes its own
 * bytes choose; by both scanners; with fields known before, and filled in afterwards. All must give the same rows (what
 * they hold, their status, their place) and the same end. What is an event must be a map that the slow reader of msgpack takes. A
 * bad row must have words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/codec/cell.h"
#include "../../host/codec/fluent.h"
#include "../../host/codec/json.h"
#include "../unit/msgpack_slow.h"
#include "need.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_EVENT = 2000, ROOM = MAX_EVENT + TM_FLUENT_ROOM, INPUT = 1 << 18, FIELDS = 5 };

static const char *const names[FIELDS] = {"date", "tag", "log", "a", "b"};
static char *memory;   /* the text, and room for rows behind it */

struct reader {
  struct tm_fields *f;
  struct tm_batch b;
  int32_t ids[FIELDS];
};

/* What a reading gave. */
struct seen {
  uint64_t rows, bad, sum;
  int64_t broken;        /* -1: it was read to its end */
};

static void add(struct seen *s, const void *p, size_t n) {
  const unsigned char *u = p;
  for (size_t i = 0; i < n; i++) s->sum = (s->sum ^ u[i]) * 0x100000001B3u;
  s->sum = (s->sum ^ n) * 0x100000001B3u;
}

static void reader_fields(struct reader *r) {
  for (int i = 0; i < FIELDS; i++) r->ids[i] = tm_ffi_fields_add(r->f, 0, names[i], (int32_t)strlen(names[i]));
}

static void reader_init(struct reader *r) {
  memset(r, 0, sizeof *r);
  r->f = tm_fields_new();
  r->b.fields = r->f;
  r->b.format = TM_FORMAT_MSGPACK;
  r->b.fluent = tm_fluent_new(r->f, &(struct tm_fluent_options){"date", "tag"}, memory + INPUT + 2 * TM_PAD, ROOM);
  NEED(r->f != NULL && r->b.fluent != NULL);
}

static void reader_fini(struct reader *r) {
  tm_fluent_free(r->b.fluent);
  tm_fields_free(r->f);
}

static void rows_look(struct reader *r, struct seen *s, int32_t at) {
  char why[256];
  for (int32_t row = 0; row < r->b.rows; row++) {
    const char *p = r->b.raw + r->b.off[row];
    int32_t len = r->b.len[row], place = at + r->b.line[row], status = r->b.status[row];
    add(s, &place, sizeof place);
    add(s, &status, sizeof status);
    add(s, p, (size_t)len);
    s->rows++;
    s->bad += status != TM_LINE_OK;
    if (status == TM_LINE_OK) {
      struct slow slow = {(const unsigned char *)p, (const unsigned char *)p + len, SLOW_OK, 0};
      slow_value(&slow, 0, 0);
      NEED(slow.status == SLOW_OK && slow.p == slow.end && !slow.broken);
    } else if (status != TM_LINE_TOO_LONG) {
      why[0] = 0;
      tm_fluent_explain(&r->b, row, why, sizeof why);
      NEED(why[0] != 0 && strstr(why, "nothing is wrong") == NULL);
      add(s, why, strlen(why));
    }
    for (int i = 0; i < FIELDS; i++) {
      const struct tm_cell *c = &tm_ffi_fields_cells(r->f, r->ids[i])[row];
      NEED(status == TM_LINE_OK || tm_cell_kind(c) == TM_KIND_ABSENT);
      NEED(tm_cell_kind(c) == TM_KIND_ABSENT || (r->b.raw + c->off >= p && r->b.raw + c->off + tm_cell_len(c) <= p + len));
      add(s, &c->tag, sizeof c->tag);
    }
  }
}

/* Reads it all; as many bytes more at a time as `pieces` says (NULL: at once). */
static struct seen read_all(struct reader *r, int32_t len, const uint8_t *pieces, int late) {
  struct seen s = {0, 0, 0xCBF29CE484222325u, -1};
  struct tm_fluent_at at = {0};
  struct tm_cut cut;
  int32_t head = 0, there = pieces == NULL ? len : 0;
  for (int32_t turn = 0;; turn++) {
    tm_fluent_set(&r->b, &at);
    tm_fluent_decode(&r->b, memory + TM_PAD + head, there - head, there == len, MAX_EVENT, &cut);
    tm_fluent_get(&r->b, &at);
    if (late) reader_fields(r);
    for (int i = 0; i < FIELDS; i++) tm_ffi_batch_fill(&r->b, r->ids[i]);
    rows_look(r, &s, head);
    NEED(cut.used >= 0 && cut.used <= there - head && cut.need <= MAX_EVENT);
    /* what the source would take for an event too long is never left to it */
    NEED(cut.used > 0 || r->b.rows > 0 || there - head <= MAX_EVENT || head == there);
    if (cut.broken != NULL) s.broken = head + cut.broken_at;
    if (cut.broken != NULL) break;
    head += cut.used;
    if (cut.used > 0 || r->b.rows > 0) continue;
    if (there == len) break;
    there += 1 + pieces[turn % len] % 67;
    if (there > len) there = len;
  }
  NEED(s.broken >= 0 || (head == len && !tm_fluent_inside(&at)));
  return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct reader learnt, other;
  if (size > INPUT || size == 0) return 0;
  if (memory == NULL) {
    memory = malloc(INPUT + ROOM + 4 * TM_PAD);
    NEED(memory != NULL);
    reader_init(&learnt);
    reader_fields(&learnt);
  }
  memcpy(memory + TM_PAD, data, size);
  memset(memory + TM_PAD + size, 0xa1, TM_PAD);
  tm_json_use(NULL);
  struct seen want = read_all(&learnt, (int32_t)size, NULL, 0);
  for (int way = 0; way < 4; way++) {
    tm_json_use(way == 1 ? "portable" : NULL);
    reader_init(&other);
    if (way < 3) reader_fields(&other);
    struct seen got = read_all(&other, (int32_t)size, way == 0 ? NULL : data, way == 3);
    NEED(got.rows == want.rows && got.bad == want.bad && got.broken == want.broken);
    NEED(got.sum == want.sum);
    reader_fini(&other);
  }
  tm_json_use(NULL);
  return 0;
}
