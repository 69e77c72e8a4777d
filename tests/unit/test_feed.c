/* test_feed.c - the ring of batches between a worker and a candidate (engine/feed.c), against a plain list of what was handed over.
 *
 * Seeded random batches of two sources with decisions of both noted between them are handed over and taken in random turns, so that the ring is
 * full, empty and wraps often. What comes out must be what went in, whole and in order; what did not fit is counted, batches and
 * events, and nothing is handed over again before half of the ring is free. Then a reader in another process takes at full speed. */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../host/engine/feed.h"
#include "../../host/engine/flow.h"

#include "unit.h"

enum { TURNS = 6000, TEXT_MOST = 900000, LIST = 4096, PROCESS_BATCHES = 20000 };

static char folder[] = "/tmp/tidemill-unit.XXXXXX";
static struct tm_flows flows;
static uint32_t seed = 1;
static uint32_t draw(uint32_t n) { return ((seed = seed * 1664525u + 1013904223u) >> 8) % n; }

/* What was handed over. */
struct given { int source; uint32_t serial; int32_t text_n, notes, rows; };
static struct given list[LIST];
static int first, last;   /* [first, last) wait, in turn */

static void set_up(void) {
  struct tm_err err = {0};
  if (mkdtemp(folder) == NULL) abort();
  flows.io = &tm_io_real;
  flows.shared = tm_shared_new(NULL, &err);
  flows.max_event = 1024 * 1024;
  flows.max_rows = 100;
  for (int i = 0; i < 2; i++) {
    char path[64], name[8];
    snprintf(path, sizeof path, "%s/%d", folder, i);
    snprintf(name, sizeof name, "s%d", i);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "\n", 1) != 1 || close(fd) != 0) abort();
    const char *paths[] = {path};
    if (tm_flow_add_source(&flows, "file", name, paths, 1, -1, TM_FORMAT_JSON, NULL, NULL, &err) == NULL) abort();
    if (tm_flow_add_pipeline(&flows, name, i, &err) == NULL) abort();
  }
  if (tm_flow_open(&flows, &err) != 0) abort();
}

static char byte_of(uint32_t serial, int32_t i) { return (char)((serial * 2654435761u + (uint32_t)i * 40503u) >> 11); }

static void note(int source, int32_t slot, uint32_t serial) {
  int32_t entries[100], n = (int32_t)(serial % 90);
  flows.shared->flow.marker.pipeline = source;
  flows.shared->flow.marker.row = slot;
  for (int32_t i = 0; i < n; i++) entries[i] = 2 * i + (i % 7 == 3);  /* each seventh has raised */
  tm_ffi_decided(source, (int32_t)(serial % 4), serial, 0.5 * serial, entries, n);
}

/* Decisions as they were noted, of so many slots. */
static void check_notes(const char *notes, int32_t bytes, const struct given *g) {
  int32_t at = 0, wrong = 0;
  for (int32_t slot = 0; slot < g->notes; slot++) {
    const struct tm_decided *d = (const struct tm_decided *)(const void *)(notes + at);
    const int32_t *rules = (const int32_t *)(const void *)(d + 1);
    uint32_t serial = g->serial + (uint32_t)slot;
    int32_t matched = 0, k = 0;
    for (int32_t i = 0; i < (int32_t)(serial % 90); i++) {
      if (i % 7 == 3) continue;
      if (k < TM_DECIDED_RULES && k < d->rules_n) wrong += rules[k++] != i;
      matched++;
    }
    wrong += d->slot != slot || d->step != g->source || d->score != serial || d->amount != 0.5 * serial || d->rank != (int32_t)(serial % 4);
    wrong += d->matched != matched || d->rules_n != (matched < TM_DECIDED_RULES ? matched : TM_DECIDED_RULES);
    at += (int32_t)(sizeof *d + (size_t)((d->rules_n + 1) / 2) * 8);
  }
  CHECK(wrong == 0 && at == bytes, "%d things of %d decisions are others, %d of %d bytes", wrong, g->notes, at, bytes);
}

static void fill(struct tm_source *s, const struct given *g) {
  s->state->batch_off = 0;
  s->state->batch_len = s->state->batch_seen = g->text_n;
  for (int32_t i = 0; i < g->text_n; i += 997) s->buf.data[i] = byte_of(g->serial, i);
  s->batch->rows = g->rows;
  for (int32_t i = 0; i < g->rows; i++) s->batch->origin[i] = i;
  s->batch->bad = 0;
  s->batch->received_ms = g->serial;
}

/* Batches of both sources are at work at once, their decisions noted in turn. */
static void work(int source, struct given *g, uint32_t serial) {
  *g = (struct given){.source = source, .serial = serial, .text_n = (int32_t)draw(TEXT_MOST), .notes = (int32_t)draw(20), .rows = 1 + (int32_t)draw(50)};
  fill(flows.sources[source], g);
}

static void check_entry(const struct tm_feed_entry *e, const struct given *g) {
  const char *text = tm_feed_text(e);
  int wrong = 0;
  for (int32_t i = 0; i < g->text_n; i += 997) wrong += text[i] != byte_of(g->serial, i);
  CHECK(e->kind == TM_FEED_BATCH && e->key == flows.sources[g->source]->key && e->text_n == g->text_n && e->rows == g->rows && wrong == 0 &&
            e->now_ms == g->serial && e->inputs_n == 2,
        "serial %u: kind %d, %d of %d bytes, %d of %d rows, %d bytes are others", g->serial, e->kind, e->text_n, g->text_n, e->rows, g->rows, wrong);
  check_notes(tm_feed_entry_notes(e), e->notes_bytes, g);
}

static void run_turns(struct tm_feed *f) {
  uint32_t serial = 1;
  double missed_events = 0, missed_batches = 0, told_events = 0, taken = 0;
  int missing = 0, full = 0, more = 0;
  for (int turn = 0; turn < TURNS; turn++) {
    if (turn % 400 == 0) more = (int)draw(2);  /* one side is faster for a while */
    if ((int)draw(3) <= more) {
      struct given g[2];
      struct tm_feed_counts before, now;
      for (int s = 0; s < 2; s++, serial += 100) work(s, &g[s], serial);
      for (int32_t slot = 0; slot < 20; slot++)
        for (int s = 0; s < 2; s++)
          if (slot < g[s].notes) note(s, slot, g[s].serial + (uint32_t)slot);
      for (int k = 0; k < 2; k++) {
        int s = turn % 2 ? k : 1 - k;
        tm_feed_count(f, &before);
        tm_feed_batch(&flows, flows.sources[s], 0);
        tm_feed_count(f, &now);
        int in = now.given > before.given;
        if (in) list[last++ % LIST] = g[s];
        if (!in) missed_events += g[s].rows, missed_batches++;
        CHECK(!in || !missing || before.bytes <= TM_FEED_BYTES / 2, "an entry with %.0f bytes in the ring, behind one that was left out", before.bytes);
        CHECK(in || missing || before.bytes > TM_FEED_BYTES - 3 * (TEXT_MOST + 20000), "left out with %.0f bytes in the ring", before.bytes);
        missing = !in;
        full += !in;
        CHECK(now.missed_events == missed_events && now.missed_batches == missed_batches && now.bytes <= TM_FEED_BYTES, "what was left out");
      }
    } else {
      const struct tm_feed_entry *e = tm_feed_next(f);
      CHECK((e == NULL) == (first == last), "%d entries wait", last - first);
      if (e == NULL) continue;
      check_entry(e, &list[first++ % LIST]);
      told_events += (double)e->missed_events;
      taken++;
      tm_feed_taken(f, e);
    }
  }
  while (first < last) {
    const struct tm_feed_entry *e = tm_feed_next(f);
    if (e == NULL) break;
    check_entry(e, &list[first++ % LIST]);
    told_events += (double)e->missed_events;
    tm_feed_taken(f, e);
  }
  CHECK(first == last && tm_feed_next(f) == NULL, "%d entries are missing", last - first);
  CHECK(full > 100 && taken > 500, "left out %d times, taken %.0f times: the case did not come", full, taken);
  CHECK(told_events <= missed_events && told_events > 0, "%.0f of %.0f events told by entries behind them", told_events, missed_events);
}

/* The reader is a process of its own, as in a run. */
static void run_processes(struct tm_feed *f) {
  tm_feed_clear(f);
  tm_feed_begin(f, &flows);
  pid_t pid = fork();
  if (pid == 0) {
    uint32_t serial = 0;
    double events = 0;
    int wrong = 0;
    for (;;) {
      const struct tm_feed_entry *e = tm_feed_next(f);
      if (e == NULL) {
        usleep(50);
        continue;
      }
      uint32_t is = (uint32_t)e->now_ms;
      const char *text = tm_feed_text(e);
      for (int32_t i = 0; i < e->text_n; i += 997) wrong += text[i] != byte_of(is, i);
      wrong += is <= serial || is - serial != 1 + e->missed_batches;
      events += e->rows + (double)e->missed_events;
      serial = is;
      int end = e->kind == TM_FEED_BATCH && e->rows == 1000;
      tm_feed_taken(f, e);
      if (end) break;
    }
    _exit(wrong == 0 && events == 7.0 * PROCESS_BATCHES + 1000 ? 0 : 1);
  }
  for (uint32_t i = 1; i <= PROCESS_BATCHES + 1; i++) {
    struct given g = {.serial = i, .text_n = (int32_t)draw(60000), .rows = i <= PROCESS_BATCHES ? 7 : 1000};
    fill(flows.sources[0], &g);
    struct tm_feed_counts c;
    if (i == PROCESS_BATCHES + 1)
      do tm_feed_count(f, &c);
      while (c.bytes > 0);
    tm_feed_batch(&flows, flows.sources[0], 0);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  CHECK(status == 0, "the reader ended with %d", status);
}

int main(void) {
  struct tm_feed *f = tm_feed_new();
  set_up();
  if (f == NULL || tm_feed_begin(f, &flows) != 0) abort();
  CHECK(flows.shared->flow.watched == 1 && tm_feed_is_on(), "it is on");
  run_turns(f);
  run_processes(f);
  tm_feed_end(&flows);
  CHECK(flows.shared->flow.watched == 0 && !tm_feed_is_on(), "it is off");
  tm_feed_free(f);
  char line[128];
  snprintf(line, sizeof line, "rm -r %s", folder);
  if (system(line) != 0) return 1;
  return unit_end("test_feed");
}
