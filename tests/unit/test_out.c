/* test_out.c - rows of a pipeline: begin and end, raw, select, bounds, roll-back (out.c). */
#include "../../host/codec/out.h"

#include "json_oracle.h"

enum { CAP = 4096 };

static struct tm_batch batch;
static struct tm_flow flow;
static struct tm_out_event events[TM_BATCH_ROWS];
static struct tm_cell columns[4][TM_BATCH_ROWS + 1];
static struct tm_out out;
static char *raw;

/* two events, the second without "b" and with a key to be escaped */
static const char LINES[] = "{\"a\":1,\"b\":\"x\\ny\",\"c\":[1, 2],\"long key of more than thirty-two bytes\":null}\n"
                            "{\"a\":-0.5,\"c\":{\"d\":\"a string that is longer than thirty-two bytes, by far\"}}\n";

static void cells_find(int row, int column, const char *name) {
  tm_ffi_json_find(raw + batch.off[row], batch.len[row], name, (int32_t)strlen(name), &columns[column][row]);
  columns[column][row].off += batch.off[row];
}

static void set_up(int32_t cap, int32_t soft, int32_t max_rows, int32_t max_bytes) {
  static const char *const names[4] = {"a", "b", "c", "long key of more than thirty-two bytes"};
  free(raw);
  free(out.buf.data);
  raw = malloc(sizeof LINES - 1 + TM_PAD);
  char *data = malloc((size_t)cap + TM_PAD);
  if (raw == NULL || data == NULL) abort();
  memcpy(raw, LINES, sizeof LINES - 1);
  memset(raw + sizeof LINES - 1, 'x', TM_PAD);
  batch.raw = raw;
  batch.rows = 2;
  batch.off[0] = 0;
  batch.len[0] = (int32_t)(strchr(LINES, '\n') - LINES);
  batch.off[1] = batch.len[0] + 1;
  batch.len[1] = (int32_t)sizeof LINES - 2 - batch.off[1];
  batch.origin[0] = 0;
  batch.origin[1] = 1;
  for (int row = 0; row < 2; row++)
    for (int i = 0; i < 4; i++) cells_find(row, i, names[i]);
  tm_out_init(&out, data, cap, soft, max_rows, max_bytes, events);
  memset(&flow, 0, sizeof flow);
}

static void expect(const char *want, const char *what) {
  CHECK(out.buf.len == (int32_t)strlen(want) && memcmp(out.buf.data, want, (size_t)out.buf.len) == 0, "%s: %.*s, not %s", what,
        out.buf.len, out.buf.data, want);
}

static struct tm_select *select_all(void) {
  static const char *const names[4] = {"a", "b", "q\"", "long key of more than thirty-two bytes"};
  struct tm_select *s = tm_ffi_select_new();
  for (int i = 0; i < 4; i++)
    CHECK(tm_ffi_select_add(s, columns[i], i + 1, names[i], (int32_t)strlen(names[i])) == 0, "field %d", i);
  return s;
}

static struct tm_select *selected;

static void test_rows(void) {
  set_up(CAP, CAP, 100, CAP);
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 0, NULL) == 0 && tm_ffi_out_raw(&out, &flow, &batch, 1, NULL) == 0, "raw");
  expect(LINES, "the events' own bytes");
  CHECK(out.rows == 2 && out.events_n == 2 && events[1].event == 1 && events[1].off == batch.off[1], "two events noted");
  CHECK(flow.stop == 0, "no reason to stop");
  set_up(CAP, CAP, 100, CAP);
  CHECK(tm_ffi_out_select(&out, &flow, &batch, 0, selected) == 0, "select");
  expect("{\"a\":1,\"b\":\"x\\ny\",\"q\\\"\":[1, 2],\"long key of more than thirty-two bytes\":null}\n", "all fields");
  out.buf.len = 0;
  CHECK(tm_ffi_out_select(&out, &flow, &batch, 1, selected) == 0, "select");
  expect("{\"a\":-0.5,\"q\\\"\":{\"d\":\"a string that is longer than thirty-two bytes, by far\"}}\n", "absent ones left out");
  out.buf.len = 0;
  CHECK(tm_ffi_out_select(&out, &flow, &batch, TM_ROW_EMPTY, selected) == 0, "select");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, TM_ROW_EMPTY, NULL) == 0, "raw");
  expect("{}\n{}\n", "the empty event");
  CHECK(out.event == 1 && out.event_rows == 3, "its rows belong to the event at hand");
}

static void test_held(void) {
  set_up(CAP, CAP, 100, CAP);
  batch.origin[0] = 7;
  batch.origin[1] = 7;
  CHECK(tm_ffi_out_begin(&out, &batch, 0) == 0 && tm_ffi_buf_put(&out.buf, "one", 3) == 0 && tm_ffi_out_end(&out, &flow) == 0,
        "a row by hand");
  CHECK(tm_ffi_out_begin(&out, &batch, 0) == 0 && tm_ffi_buf_put(&out.buf, "two", 3) == 0 && tm_ffi_out_end(&out, &flow) == 0,
        "another of the same event");
  CHECK(out.mark == 0 && out.event_rows == 2 && out.events_n == 1 && events[0].event == 7 && events[0].off == 0, "one event");
  CHECK(tm_ffi_out_begin(&out, &batch, 1) == 0 && tm_ffi_buf_put(&out.buf, "three", 5) == 0, "a row of the next, open");
  CHECK(out.mark == 8 && out.event_rows == 0 && out.events_n == 1, "same source event: same entry");
  tm_out_rollback(&out, 0);
  CHECK(out.buf.len == 13, "not the event at hand");
  tm_out_rollback(&out, 1);
  expect("one\ntwo\n", "taken back");
  CHECK(out.rows == 2 && out.events_n == 1 && out.event == -1, "entry of the earlier row stays");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 1, NULL) == 0 && out.rows == 3, "may be tried again");
  tm_out_rollback(&out, 1);
  tm_out_batch_reset(&out);
  batch.origin[1] = 1;
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 1, NULL) == 0 && out.events_n == 1 && events[0].off == 8, "a new batch");
  tm_out_rollback(&out, 1);
  CHECK(out.events_n == 0 && out.rows == 2 && out.buf.len == 8, "entry of its own goes");
  batch.origin[0] = 0;
}

static void test_bounds(void) {
  set_up(CAP, 10, 2, CAP);
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, TM_ROW_EMPTY, NULL) == 0 && flow.stop == 0, "below soft");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 0, NULL) == 0 && flow.stop == 1, "beyond soft");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 0, NULL) == 0, "as many rows as allowed");
  CHECK(tm_ffi_out_select(&out, &flow, &batch, 0, selected) == -1, "one too many");
  tm_out_rollback(&out, 0);
  expect("{}\n", "taken back");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 1, NULL) == 0, "the next event begins anew");
  set_up(CAP, CAP, 100, batch.len[0] + 1);
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, 0, NULL) == 0, "as many bytes as allowed");
  CHECK(tm_ffi_out_raw(&out, &flow, &batch, TM_ROW_EMPTY, NULL) == -1, "too many");
  /* every size of buffer: a row fits, or is refused without a byte beyond the pad */
  for (int32_t cap = 1; cap < 100; cap++) {
    for (int way = 0; way < 2; way++) {
      set_up(cap, CAP, 100, CAP);
      int32_t rc = way ? tm_ffi_out_select(&out, &flow, &batch, 0, selected) : tm_ffi_out_raw(&out, &flow, &batch, 0, NULL);
      /* the key written q\" is two bytes longer than c */
      int32_t need = batch.len[0] + 1 + (way ? 2 : 0);
      if (rc != (cap >= need ? 0 : -1) || out.buf.len > cap) CHECK(0, "cap %d way %d: %d", cap, way, rc);
    }
  }
}

int main(void) {
  selected = select_all();
  CHECK(tm_ffi_select_add(selected, columns[0], 1, "\xff", 1) == -2, "a key that is not UTF-8");
  test_rows();
  test_held();
  test_bounds();
  free(raw);
  free(out.buf.data);
  return unit_end("out");
}
