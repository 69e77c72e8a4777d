/* test_flow_deaths.c - a worker killed at any instruction while it merges rows and writes them to a file (flow.c,
 * flow_merge.c, io/sink.c).
 *
 * Three pipelines made rows of the same events for one sink. Two of them are ahead, so that the merge stops in the
 * middle, and what is left is moved to the front of their outs; then all are done, and the rest goes. Whoever takes up
 * after a death puts back what was half changed, asks the file what of it is there, and writes the rest: the file must
 * then hold each row once, by event, then by pipeline. */
#include <fcntl.h>
#include <sys/stat.h>

#include "../../host/codec/out.h"
#include "../../host/engine/flow.h"

#include "step.h"
#include "unit.h"

enum { PIPELINES = 3, EVENTS = 12, ROW = 2048, TEXT = PIPELINES * EVENTS * ROW };

static char folder[] = "/tmp/tidemill-unit.XXXXXX", input[64], path[64];
static struct tm_flows flows;
static struct tm_source *source;
static struct tm_undo *undo;
static struct tm_outlet *outlet;
static char want[TEXT];

static void make_file(const char *name) {
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, "\n", 1) != 1 || close(fd) != 0) abort();
}

/* Sources, sink and pipelines as the library makes them; the input is never read. */
static void set_up(void) {
  struct tm_err err = {0};
  const char *paths[] = {input};
  if (mkdtemp(folder) == NULL) abort();
  snprintf(input, sizeof input, "%s/input", folder);
  snprintf(path, sizeof path, "%s/output", folder);
  make_file(input);
  flows.io = &tm_io_real;
  flows.shared = tm_shared_new(NULL, &err);
  flows.max_event = 1024 * 1024;
  flows.max_rows = 100;
  undo = &flows.shared->undo;
  source = tm_flow_add_source(&flows, "file", "input", paths, 1, -1, TM_FORMAT_JSON, NULL, NULL, &err);
  tm_flow_add_sink(&flows, "file", path, "output", -1, TM_FORMAT_JSON, NULL, &err);
  outlet = flows.outlets[0];
  for (int i = 0; i < PIPELINES; i++) {
    char name[16];
    snprintf(name, sizeof name, "p%d", i);
    tm_flow_add_pipeline(&flows, name, 0, &err);
    tm_flow_add_out(&flows, i, 0, 0, &err);
  }
  if (tm_flow_open(&flows, &err) != 0) abort();
  flows.roots[tm_flow_island(&flows, source)] = source;
}

/* One row an event and pipeline: its name, then a letter over and over. */
static void row_text(char *out, int pipeline, int event) {
  memset(out, 'a' + event, ROW - 1);
  out[0] = (char)('0' + pipeline);
  out[ROW - 1] = '\n';
}

static void make_rows(void) {
  struct tm_source *s = source;
  s->state->active = 1;
  s->batch->rows = EVENTS;
  for (int e = 0; e < EVENTS; e++) s->batch->origin[e] = e;
  for (int p = 0; p < PIPELINES; p++) {
    struct tm_out *out = flows.pipelines[p]->outs[0];
    for (int e = 0; e < EVENTS; e++) {
      char text[ROW];
      row_text(text, p, e);
      tm_ffi_out_begin(out, s->batch, e);
      tm_ffi_buf_put(&out->buf, text, ROW - 1);
      tm_ffi_out_end(out, &flows.shared->flow);
      row_text(want + (e * PIPELINES + p) * ROW, p, e);
    }
    flows.pipelines[p]->state->next = EVENTS;
  }
}

/* The second pipeline's rows from the seventh event on are not made yet, as far as anybody can tell. */
static void hold_back(void) {
  struct tm_out *out = flows.pipelines[1]->outs[0];
  out->buf.len = 7 * ROW;
  out->events_n = flows.pipelines[1]->state->next = 7;
}

static void let_go(void) {
  struct tm_out *out = flows.pipelines[1]->outs[0];
  for (int32_t e = flows.pipelines[1]->state->next; e < EVENTS; e++) {
    char text[ROW];
    row_text(text, 1, e);
    tm_ffi_out_begin(out, source->batch, e);
    tm_ffi_buf_put(&out->buf, text, ROW - 1);
    tm_ffi_out_end(out, &flows.shared->flow);
    flows.pipelines[1]->state->next = e + 1;
  }
}

static void act(void) {
  struct tm_err err = {0};
  if (tm_flow_flush(&flows, -1, 1, &err) != 0) _exit(2);
  let_go();
  if (tm_flow_flush(&flows, -1, 1, &err) != 0) _exit(2);
}

static int64_t size(void) {
  struct stat st;
  return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static int wrong, partly;

static void take_up(void) {
  struct tm_err err = {0};
  struct tm_sink_state *st = outlet->sink.state;
  static char got[TEXT + 1];
  int64_t before = size();
  int fd = open(path, O_RDWR | O_APPEND);
  outlet->sink.fd = fd;
  tm_undo_restore(undo);
  tm_flow_rollback(flows.pipelines[1], flows.pipelines[1]->state->next);
  tm_sink_resume(&outlet->sink, outlet->out->buf.data, outlet->out->buf.len);
  if (st->before + st->sent > 0 && st->before + st->sent < TEXT) partly++;
  let_go();
  if (tm_flow_flush(&flows, -1, 1, &err) != 0 || tm_flow_pending(&flows) || pread(fd, got, sizeof got, 0) != TEXT ||
      memcmp(got, want, TEXT) != 0 || st->before + st->sent != TEXT)
    wrong++;
  if (ftruncate(fd, before) != 0) abort();
  close(fd);
}

/* What of the shared memory a merge changes. */
static void areas(struct step *s) {
  struct step_area *a = s->areas;
  *a++ = (struct step_area){.at = &undo->used, .size = sizeof undo->used};
  *a++ = (struct step_area){.at = undo->log, .size = 4096};
  *a++ = (struct step_area){.at = outlet->sink.state, .size = sizeof *outlet->sink.state};
  for (int i = 0; i <= PIPELINES; i++) {
    struct tm_out *out = i < PIPELINES ? outlet->writers[i].out : outlet->out;
    *a++ = (struct step_area){.at = out, .size = sizeof *out};
    *a++ = (struct step_area){.at = out->events, .size = (EVENTS + 1) * sizeof *out->events};
    *a++ = (struct step_area){.at = out->buf.data, .size = i < PIPELINES ? TEXT / PIPELINES : TEXT};
    if (i == PIPELINES) break;
    *a++ = (struct step_area){.at = outlet->writers[i].taken, .size = sizeof *outlet->writers[i].taken};
    *a++ = (struct step_area){.at = flows.pipelines[i]->state, .size = sizeof *flows.pipelines[i]->state};
    *a++ = (struct step_area){.at = flows.pipelines[i]->tally, .size = sizeof *flows.pipelines[i]->tally};
  }
}

int main(void) {
  struct step step = {.act = act, .look = take_up, .outside = size};
  set_up();
  make_rows();
  hold_back();
  areas(&step);
  if (step_through(&step)) CHECK(step.looks > 200 && partly > 100, "%ld states, %d with a part written", step.looks, partly);
  else printf("nobody may be traced here\n");
  CHECK(wrong == 0, "of %ld states in which it was killed %d could not be taken up", step.looks, wrong);
  unlink(path);
  unlink(input);
  rmdir(folder);
  return unit_end("flow_deaths");
}
