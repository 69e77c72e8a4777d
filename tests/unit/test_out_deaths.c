/* test_out_deaths.c - a worker killed at any instruction while it makes rows, or while it takes rows back (out.c).
 *
 * Whoever takes up after it undoes the event at the marker and goes on from there, as tm_flow_recover does. What is in
 * the outs then must be what an undisturbed run leaves: the text, how many rows, which event each row came from, and
 * how many events made any. Each batch finds the entries of the one before it still lying there. */
#include "../../host/codec/out.h"
#include "../../host/engine/flow.h"

#include "step.h"
#include "unit.h"

enum { ROWS = 6, OUTS = 2, CAP = 1024 };

/* Row 2 has no row in the second out, row 3 none at all; rows 1 and 2, and 4 and 5, came from one event each. */
static const int origins[ROWS] = {0, 1, 1, 2, 4, 4};
static const int rows_made[OUTS][ROWS] = {{1, 1, 1, 0, 1, 1}, {2, 1, 0, 0, 3, 1}};

static struct world {
  struct tm_flow flow;
  struct tm_pipeline_state state;
  struct tm_out_tally tally;
  struct tm_out outs[OUTS];
  struct tm_out_event events[OUTS][TM_BATCH_ROWS];
  char data[OUTS][CAP + TM_PAD];
} *w;

static struct tm_batch batch;
static struct tm_pipeline pipeline;
static int longer;  /* rows of the earlier batch are longer than those of this one: its entries are wrong here */

static void make_row(int32_t row) {
  w->flow.marker.row = row;
  for (int o = 0; o < OUTS; o++) {
    for (int i = 0; i < rows_made[o][row]; i++) {
      char text[16];
      int32_t n = 3 + longer;
      memset(text, 'a' + row, sizeof text);
      tm_ffi_out_begin(&w->outs[o], &batch, row);
      tm_ffi_buf_put(&w->outs[o].buf, text, n);
      tm_ffi_out_end(&w->outs[o], &w->flow);
    }
  }
}

static void make_rows(void) {
  for (int32_t row = w->flow.marker.row; row < ROWS; row++) make_row(row);
}

static void begin_batch(void) {
  w->flow.marker.row = 0;
  w->tally.event = -1;
  for (int o = 0; o < OUTS; o++) {
    w->outs[o].event = -1;
    w->outs[o].buf.len = w->outs[o].events_n = 0;
  }
}

static void set_up(void) {
  w = step_memory(sizeof *w);
  pipeline.state = &w->state;
  pipeline.tally = &w->tally;
  for (int o = 0; o < OUTS; o++) {
    tm_out_init(&w->outs[o], w->data[o], CAP, CAP, 100, CAP, w->events[o]);
    w->outs[o].tally = &w->tally;
    pipeline.outs[pipeline.outs_n++] = &w->outs[o];
  }
  for (int i = 0; i < ROWS; i++) batch.origin[i] = origins[i];
  batch.rows = ROWS;
}

/* The event that the text at `at` came from, as whoever merges finds it. */
static int32_t event_at(const struct tm_out *o, int32_t at) {
  int32_t i = 0;
  while (i + 1 < o->events_n && o->events[i + 1].off <= at) i++;
  return o->events_n > 0 ? o->events[i].event : -1;
}

static int32_t failed_at;  /* the first row that was not as it should be; -1 none */

/* Two batches are done; the second's rows are there. */
static int is_whole(void) {
  int all = 0;
  for (int row = 0; row < ROWS; row++) all += rows_made[0][row] > 0 || rows_made[1][row] > 0;
  if (w->tally.events != 2 * all) return 0;
  for (int o = 0; o < OUTS; o++) {
    const struct tm_out *out = &w->outs[o];
    int32_t at = 0, rows = 0;
    for (int row = 0; row < ROWS; row++) {
      for (int i = 0; i < rows_made[o][row]; i++, at += 4, rows++) {
        char want[] = "xxx\n";
        memset(want, 'a' + row, 3);
        if (at + 4 > out->buf.len || memcmp(out->buf.data + at, want, 4) != 0 || event_at(out, at) != origins[row]) return 0;
      }
    }
    if (out->buf.len != at || out->rows != 2 * rows) return 0;
  }
  return 1;
}

static void take_up(void) {
  int32_t row = w->flow.marker.row;
  tm_flow_rollback(&pipeline, row);
  make_rows();
  if (!is_whole() && failed_at < 0) failed_at = row;
}

static void take_back(void) { tm_flow_rollback(&pipeline, w->flow.marker.row); }

/* Leaves the world as it was. */
static void expect(const char *what, void (*act)(void), long states) {
  static struct world before;
  struct step step = {.act = act, .look = take_up, .areas = {{.at = w, .size = sizeof *w}}};
  before = *w;
  failed_at = -1;
  if (step_through(&step)) CHECK(step.looks >= states, "%s: %ld states", what, step.looks);
  else printf("%s: nobody may be traced here\n", what);
  CHECK(failed_at < 0, "%s: killed in row %d, taken up, and not as it should be", what, failed_at);
  *w = before;
}

int main(void) {
  set_up();
  longer = 4;
  begin_batch();
  make_rows();
  longer = 0;
  begin_batch();
  expect("making rows", make_rows, 100);
  for (int32_t row = 0; row < ROWS; row++) {
    make_row(row);
    expect("taking them back", take_back, row == 3 ? 1 : 4);
  }
  CHECK(is_whole(), "undisturbed");
  munmap(w, sizeof *w);
  return unit_end("out_deaths");
}
