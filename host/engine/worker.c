/* worker.c - the process that runs scripts (worker.h): a libev loop, one Lua state, its sources and sinks.
 *
 * One turn: in each island (flow.h) take the batch at hand (or cut the next one), move it through, write; for a slice of time
 * where there are others. Bounded sources are read one after the other in the order of their names; live ones as they come. When a
 * sink refuses, no source of its island is read until it takes rows again. Latency is counted from the read that brought an event to the write that passed its rows. */
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/log.h"
#include "../io/turns.h"
#include "epochs.h"
#include "feed.h"
#include "flow.h"
#include "guard.h"
#include "reload.h"
#include "script.h"
#include "shadow.h"
#include "texts.h"
#include "worker_own.h"

enum { FLUSH_EVERY_MS = 20, SLICE_NS = 2000000, CUT_AGAIN_NS = 10000000 };

enum turn { TURN_AGAIN, TURN_WAIT, TURN_END, TURN_FAILED };

/* ---- reading ---- */

static int64_t generate(struct tm_worker *w, struct tm_source *s, struct tm_err *err) {
  struct tm_source_state *st = s->state;
  if (st->eof) return 0;
  tm_source_make_room(s);
  s->buf.len = st->tail;
  tm_undo_keep(&w->shared->undo, st, sizeof *st);
  int ended = tm_script_generate(w->script, s, &s->buf, st->tail + TM_BLOCK, err);
  if (ended < 0) return -1;
  int64_t n = s->buf.len - st->tail;
  st->bytes += (double)n;
  st->tail = s->buf.len;
  st->read_ns = w->io->mono_ns(w->io);
  if (ended) st->eof = 1;
  tm_undo_done(&w->shared->undo);
  return n;
}

/* It was asked to end, and goes on in another process: what was read stays where it is, and what is open stays open. */
static int rests(const struct tm_worker *w) {
  return w->flows.epochs != NULL && !tm_epochs_looks(w->flows.epochs) && w->ending && w->cut_short;
}

/* Nothing more is read: of a live source an unfinished line is told, as it is gone; files can be read again. */
static void stop(struct tm_source *s) {
  int32_t rest = tm_source_stop(s);
  if (rest > 0 && s->live && s->follow == NULL)
    tm_log_warning("%s: %d bytes of an unfinished last line were read and not processed", s->name, rest);
}

/* Files that brought nothing; part of the change that passes them. */
static void count_files(struct tm_worker *w, struct tm_source *s) {
  struct tm_counters *c = &w->shared->counters;
  tm_undo_keep(&w->shared->undo, &c->files_empty, sizeof c->files_empty);
  tm_undo_keep(&w->shared->undo, &c->files_gone, sizeof c->files_gone);
  c->files_empty += (uint64_t)s->files_empty;
  c->files_gone += (uint64_t)s->files_gone;
  if (s->files_gone > 0) w->shared->strict_failed = 1;
  s->files_empty = s->files_gone = 0;
}

/* How far a replay is: as far as the log that is least. */
static void note_progress(struct tm_worker *w) {
  double least = 1;
  for (int32_t i = 0; i < w->flows.sources_n; i++) {
    const struct tm_source *s = w->flows.sources[i];
    if (s->kind == TM_SOURCE_LOG && tm_log_source_progress(s) < least) least = tm_log_source_progress(s);
  }
  w->shared->progress = least;
  w->shared->progressed = 1;
}

/* The next batch out of what was read; when there is one it is begun. One change with all that counts it. */
static enum tm_source_got cut(struct tm_worker *w, struct tm_source *s) {
  struct tm_undo *u = &w->shared->undo;
  struct tm_counters *c = &w->shared->counters;
  tm_undo_keep(u, s->state, sizeof *s->state);
  tm_undo_keep(u, &c->lines_blank, sizeof c->lines_blank);
  tm_undo_keep(u, &c->records_cut, sizeof c->records_cut);
  enum tm_source_got got = tm_source_next(s);
  c->lines_blank += (uint64_t)s->lines_blank;
  c->records_cut += (uint64_t)s->records_cut;
  s->lines_blank = s->records_cut = 0;
  if (s->files_empty + s->files_gone > 0) count_files(w, s);
  if (got == TM_SOURCE_BATCH) {
    w->current[tm_flow_island(&w->flows, s)] = s;
    tm_flow_begin(&w->flows, s);
    if (w->replays) note_progress(w);
  }
  tm_undo_done(u);
  return got;
}

/* Is it known that there is nothing, until somebody tells? */
static int is_watched(const struct tm_worker *w, const struct tm_source *s) {
  if (!ev_is_active(&w->readable[s->index])) return 0;
  uint64_t due = tm_source_due(s);
  return due == 0 || w->io->mono_ns(w->io) < due;
}

/* Begins the next batch of a source: BATCH, WAIT (live, nothing there), END; -1 err. */
static int next_of(struct tm_worker *w, struct tm_source *s, struct tm_err *err) {
  int reads = 0;
  s->closing = w->ending;
  if (s->rate > 0 && !w->ending && w->io->mono_ns(w->io) < s->next_ns) return TM_SOURCE_WAIT;
  s->next_ns = 0;  /* passed: nothing is due for the rate's sake until a batch is cut */
  for (;;) {
    if (w->ending) s->whole = 0;  /* what was read goes through, though it be less than a batch */
    enum tm_source_got got = cut(w, s);
    if (got == TM_SOURCE_BATCH) s->quiet_ms = 0;
    if (got != TM_SOURCE_MORE) return (int)got;
    int pending = tm_source_pending(s);
    if (w->ending && !(s->live && pending)) {
      if (rests(w)) return TM_SOURCE_END;
      if (!tm_source_end_held(s) && !tm_source_read_held(s)) stop(s);
      continue;
    }
    if (s->live && !pending && (reads++ > 0 || is_watched(w, s))) {
      if (s->quiet_ms == 0) s->quiet_ms = (double)w->io->real_ms(w->io);
      return TM_SOURCE_WAIT;
    }
    int64_t n = s->kind == TM_SOURCE_GENERATE ? generate(w, s, err) : tm_source_fill(s, err);
    if (n < 0) return -1;
    if (n > 0) w->shared->moves++;
    if (n > 0 && s->follow != NULL) reads = 0;  /* nothing tells of what a file already has */
  }
}

/* A bounded source that is read in order of time, and waits for no other one. */
static int takes_turn(const struct tm_worker *w, const struct tm_source *s) {
  return s->turns != NULL && !s->state->done && (w->ending || !tm_flow_is_held(&w->flows, s));
}

/* The source that takes turns whose next event is oldest, the first of them by name; up to which time it may go is told it. */
static struct tm_source *oldest(struct tm_worker *w) {
  struct tm_source *first = NULL;
  double upto = INFINITY;
  int too = 1, before = 1;
  for (int32_t i = 0; i < w->flows.sources_n; i++) {
    struct tm_source *s = w->order[i];
    if (!takes_turn(w, s)) continue;
    if (first == NULL || tm_turns_time(s) < tm_turns_time(first)) first = s;
  }
  for (int32_t i = 0; i < w->flows.sources_n && first != NULL; i++) {
    const struct tm_source *s = w->order[i];
    if (s == first) before = 0;
    if (s == first || !takes_turn(w, s) || tm_turns_time(s) > upto) continue;
    if (tm_turns_time(s) < upto) too = 1;
    upto = tm_turns_time(s);
    too = too && !before;
  }
  if (first != NULL) tm_turns_upto(first, upto, too);
  return first;
}

/* Begins the next batch of sources that take turns. */
static int next_by_time(struct tm_worker *w, struct tm_err *err) {
  for (;;) {
    for (int32_t i = 0; i < w->flows.sources_n; i++) {
      struct tm_source *s = w->order[i];
      if (!takes_turn(w, s) || !isnan(tm_turns_time(s))) continue;
      tm_turns_upto(s, -INFINITY, 0);
      int got = next_of(w, s, err);
      if (got != TM_SOURCE_END && got != TM_SOURCE_LATER) return got;
    }
    struct tm_source *s = oldest(w);
    if (s == NULL) return TM_SOURCE_END;
    int got = next_of(w, s, err);
    if (got != TM_SOURCE_END && got != TM_SOURCE_LATER) return got;
  }
}

/* The next source of an island with a batch: live ones first, then the first bounded one that has not ended, or one of those that take turns. One that
 * waits for another (a table that is read first) is passed over until that has ended. */
static enum turn pick(struct tm_worker *w, int32_t island, struct tm_err *err) {
  int waiting = 0, held = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t i = 0; i < w->flows.sources_n; i++) {
      struct tm_source *s = w->order[i];
      if (s->kind == TM_SOURCE_LINK || s->live != (pass == 0) || s->state->done || tm_flow_island(&w->flows, s) != island) continue;
      if (rests(w) && !(s->ring != NULL && tm_source_pending(s))) continue;
      if (!w->ending && tm_flow_is_held(&w->flows, s)) {
        held = 1;
        continue;
      }
      int got = s->turns != NULL ? next_by_time(w, err) : next_of(w, s, err);
      if (got < 0) return TURN_FAILED;
      if (got == TM_SOURCE_WAIT) waiting = 1;
      if (got == TM_SOURCE_BATCH) return TURN_AGAIN;
      if (got == TM_SOURCE_WAIT && pass == 1) break;  /* bounded ones go one after the other */
    }
  }
  if (waiting) return TURN_WAIT;
  return held ? TURN_AGAIN : TURN_END;  /* what it waited for has just ended */
}

/* ---- writing ---- */

static int flush(struct tm_worker *w, int32_t island, int small, struct tm_err *err) {
  if (tm_flow_flush(&w->flows, island, small, err) != 0) return -1;
  for (int32_t i = 0; i < w->flows.outlets_n; i++) {
    struct tm_sink *s = &w->flows.outlets[i]->sink;
    if (!s->gone || w->ending) continue;
    tm_log_info("%s: the reader has gone away; the run ends", s->name);
    w->ending = 1;
  }
  return 0;
}

static void count_latency(struct tm_worker *w, struct tm_source *s) {
  uint64_t now = w->io->mono_ns(w->io);
  uint64_t n = (uint64_t)(s->batch->rows - s->batch->bad);
  if (now > s->state->read_ns && n > 0) tm_hist_record(&w->shared->latency, now - s->state->read_ns, n);
}

static int any_blocked(const struct tm_worker *w) {
  for (int32_t i = 0; i < w->flows.islands_n; i++)
    if (tm_flow_is_blocked(&w->flows, i)) return 1;
  return 0;
}

static enum turn move_batch(struct tm_worker *w, int32_t island, struct tm_err *err) {
  struct tm_source *s = w->current[island];
  uint64_t until = w->flows.islands_n > 1 ? w->io->mono_ns(w->io) + SLICE_NS : 0;
  int rc = tm_flow_drain(&w->flows, s, until, err);
  if (rc < 0) return TURN_FAILED;
  if (rc == TM_FLOW_LATER) return TURN_AGAIN;
  if (rc == TM_FLOW_BLOCKED) {
    if (flush(w, island, 1, err) != 0) return TURN_FAILED;
    return tm_flow_is_blocked(&w->flows, island) ? TURN_WAIT : TURN_AGAIN;  /* the sink may have taken rows in the meantime */
  }
  uint64_t now = w->io->mono_ns(w->io);
  int small = s->live || now - w->flushed_ns[island] > (uint64_t)FLUSH_EVERY_MS * 1000000U;
  if (flush(w, island, small, err) != 0) return TURN_FAILED;
  if (small) w->flushed_ns[island] = now;
  w->current[island] = NULL;
  if (tm_feed_is_on() && !s->state->firing) tm_feed_batch(&w->flows, s, w->settled_ms[s->index]);
  if (s->state->settling) {
    tm_flow_settled(s);
    return TURN_AGAIN;
  }
  if (!s->state->firing) count_latency(w, s);
  tm_source_batch_done(s);
  if (s->state->firing && tm_flow_fire_done(&w->flows, s)) w->fire_at++;
  return TURN_AGAIN;
}

/* Inputs are caught up with: does a watermark wait for one that has been silent for too long? 1 then what is due goes through. */
static int settle_idle(struct tm_worker *w) {
  int32_t part;
  w->idle_due_ms = INFINITY;
  if (w->ending) return 0;
  double now = (double)w->io->real_ms(w->io);
  int source = tm_script_idle(w->script, now, &part, &w->idle_due_ms);
  if (source < 0) return 0;
  struct tm_source *s = w->flows.sources[source];
  w->settled_ms[source] = now;
  tm_feed_idle(&w->flows);
  w->current[tm_flow_island(&w->flows, s)] = s;
  tm_flow_settle(&w->flows, s, part);
  return 1;
}

/* At the end of input: begins the next batch of rows that steps give then. 0: there are none left. */
static int fire(struct tm_worker *w) {
  while (w->fire_at < w->flows.pipelines_n && !w->flows.pipelines[w->fire_at]->fires) w->fire_at++;
  if (w->fire_at == w->flows.pipelines_n) return 0;
  struct tm_source *s = w->flows.pipelines[w->fire_at]->source;
  w->current[tm_flow_island(&w->flows, s)] = s;
  tm_flow_fire(&w->flows, s, w->shared->drain);
  return 1;
}

/* ---- the loop ---- */

static int all_done(const struct tm_worker *w) {
  for (int32_t i = 0; i < w->flows.sources_n; i++)
    if (w->flows.sources[i]->kind != TM_SOURCE_LINK && !w->flows.sources[i]->state->done) return 0;
  return 1;
}

/* ---- the run is kept ---- */

/* Nothing of this island is read any more: but what a worker before had read of a stream ends with this process. */
static int rests_of(const struct tm_worker *w, int32_t island) {
  if (tm_epochs_looks(w->flows.epochs) && !tm_epochs_goes_again(w->flows.epochs)) return 1;
  if (!rests(w)) return 0;
  for (int32_t i = 0; i < w->flows.sources_n; i++) {
    struct tm_source *s = w->flows.sources[i];
    if (s->ring != NULL && tm_source_pending(s) && tm_flow_island(&w->flows, s) == island) return 0;
  }
  return 1;
}

int tm_worker_any_at_hand(const struct tm_worker *w) {
  for (int32_t i = 0; i < w->flows.islands_n; i++)
    if (w->current[i] != NULL) return 1;
  return 0;
}

/* Begins and makes the cut of an epoch, or copies a slice of the one before: 1 something is to be done at once, 0, -1 err. */
static int keep(struct tm_worker *w, struct tm_err *err) {
  struct tm_epochs *e = w->flows.epochs;
  if (e == NULL) return 0;
  int more = tm_epochs_step(e, err);
  if (more != 0 || w->ended) return more;
  if (!w->cutting) w->cutting = !w->holding && tm_epochs_due(e) && w->io->mono_ns(w->io) >= w->cut_from_ns;
  if (!w->cutting) return 0;
  if (!tm_worker_any_at_hand(w)) {
    w->cutting = 0;
    if (!tm_script_rests(w->script)) return 0;
    return tm_epochs_cut(e, 0, err) == 0 ? 1 : -1;
  }
  if (!any_blocked(w)) return 0;
  tm_flow_let_go(&w->flows);
  w->cutting = 0;
  w->cut_from_ns = w->io->mono_ns(w->io) + CUT_AGAIN_NS;
  return 0;
}

/* A turn of every island: what is left to be done at most. *asked: some wait, and were asked whether anything has come for them. */
static enum turn turn_all(struct tm_worker *w, int *asked, struct tm_err *err) {
  int waits = 0, full = tm_epochs_full(w->flows.epochs) && !w->ending;
  enum turn all = full ? TURN_WAIT : TURN_END;
  *asked = 0;
  for (int32_t i = 0; i < w->flows.islands_n; i++) {
    if (w->current[i] == NULL && (w->cutting || w->yielding || full)) continue;
    enum turn t = w->current[i] != NULL ? move_batch(w, i, err) : rests_of(w, i) ? TURN_END : pick(w, i, err);
    if (t == TURN_FAILED) return t;
    if (t == TURN_WAIT) waits = 1;
    if (t == TURN_AGAIN || (t == TURN_WAIT && all == TURN_END)) all = t;
    if (t == TURN_AGAIN && w->flows.islands_n > 1) *asked |= tm_worker_look(w);
  }
  *asked &= waits;
  return all;
}

static enum turn turn(struct tm_worker *w, struct tm_err *err) {
  int asked;
  if (w->shared->drain && !w->ending) {
    w->ending = 1;
    w->cut_short = !all_done(w);
    w->shared->phase = TM_PHASE_DRAINING;
  }
  if (w->shared->ask != w->shared->told) tm_worker_tell(w);
  if (w->before != 0 || w->retired != NULL) tm_reload_settle(w);
  tm_shadow_look(w);
  int kept = keep(w, err), yields = kept < 0 ? 0 : tm_reload(w, err);
  if (kept < 0 || yields < 0) return TURN_FAILED;
  enum turn t = turn_all(w, &asked, err);
  int held = !tm_worker_any_at_hand(w) && (w->cutting || w->yielding);
  if (t != TURN_FAILED && (kept || yields || held || (w->cutting && t == TURN_WAIT))) t = TURN_AGAIN;
  if (t == TURN_AGAIN && asked) {
    if (settle_idle(w)) return TURN_AGAIN;
    if (flush(w, -1, 1, err) != 0) return TURN_FAILED;
  }
  if (t == TURN_AGAIN || t == TURN_FAILED) return t;
  if (t == TURN_END && !w->ended) {
    w->ended = 1;
    w->shared->watermarks_n = w->shared->states_n = w->shared->rules_n = w->shared->rules_more = 0;
    tm_script_ending(w->script, (double)w->io->real_ms(w->io));
  }
  if (t == TURN_END && !rests(w) && fire(w)) return TURN_AGAIN;
  if (t == TURN_WAIT && settle_idle(w)) return TURN_AGAIN;
  if (t == TURN_END && w->flows.epochs != NULL && tm_epochs_cover(w->flows.epochs, err) != 0) return TURN_FAILED;
  if (t == TURN_END && w->flows.epochs != NULL && tm_epochs_settle(w->flows.epochs, err) != 0) return TURN_FAILED;
  if (t == TURN_END) tm_flow_finish(&w->flows);
  if (flush(w, -1, 1, err) != 0) return TURN_FAILED;
  if (t == TURN_END && tm_flow_pending(&w->flows)) return any_blocked(w) ? TURN_WAIT : TURN_AGAIN;
  /* what it waited for may just have happened, and then nothing tells of it any more */
  for (int32_t i = 0; t == TURN_WAIT && i < w->flows.islands_n; i++)
    if (w->current[i] != NULL && !tm_flow_is_blocked(&w->flows, i)) return TURN_AGAIN;
  return t;
}

int tm_worker_run(struct tm_worker *w, struct tm_err *err) {
  for (;;) {
    switch (turn(w, err)) {
      case TURN_AGAIN: break;
      case TURN_WAIT:
        if (tm_worker_wait(w, err) != 0) return -1;
        break;
      case TURN_END: return 0;
      case TURN_FAILED: return -1;
    }
  }
}
