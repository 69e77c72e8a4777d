/* worker_wait.c - a worker's loop of libev (worker_own.h): what wakes it, and waiting for sinks, sources, clocks and epochs. Callbacks only
 * wake the loop; the turn does the work. */
#include <math.h>
#include <signal.h>

#include "../base/log.h"
#include "epochs.h"
#include "reload.h"
#include "script.h"
#include "shadow.h"
#include "worker_own.h"

enum { LOOK_EVERY_NS = 1000000, YIELD_LOOK_NS = 50000000, ADOPT_LOOK_NS = 2000000 };
static const double RETRY_SECONDS = 0.5;

static void on_readable(struct ev_loop *loop, ev_io *w, int revents) {
  struct tm_source *s = w->data;
  (void)revents;
  s->readable = 1;
  ev_io_stop(loop, w);
  ev_break(loop, EVBREAK_ONE);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents) {
  (void)revents;
  ev_io_stop(loop, w);
  ev_break(loop, EVBREAK_ONE);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents) {
  (void)w;
  (void)revents;
  ev_break(loop, EVBREAK_ONE);
}

static void on_durable(struct ev_loop *loop, ev_io *w, int revents) {
  (void)revents;
  tm_epochs_hear(w->data);
  ev_break(loop, EVBREAK_ONE);
}

static void on_woken(struct ev_loop *loop, ev_signal *w, int revents) {
  (void)w;
  (void)revents;
  ev_break(loop, EVBREAK_ONE);
}

/* Waits for what a refused sink needs: room behind a descriptor, or time. */
static void wait_for_sinks(struct tm_worker *w) {
  int blocked = tm_epochs_full(w->flows.epochs), timer = blocked;
  for (int32_t i = 0; i < w->flows.outlets_n; i++) {
    struct tm_sink *s = &w->flows.outlets[i]->sink;
    int helped = s->sqlite != NULL && tm_sink_busy(s);  /* its thread tells what it has done, also where nobody waits for it */
    if (helped && !ev_is_active(&w->writable[i])) {
      ev_io_set(&w->writable[i], s->fd, EV_READ);
      ev_io_start(w->loop, &w->writable[i]);
    }
    if (!s->blocked) {
      s->told = 0;
      continue;
    }
    blocked = 1;
    if (s->refused != 0 && !s->told)
      tm_log_warning("%s: cannot write: %s; reading pauses until it works again", tm_sink_where(s), tm_sink_why(s));
    s->told = s->refused != 0;
    if (s->refused != 0 || !s->polled) {
      timer = 1;
    } else if (!ev_is_active(&w->writable[i])) {
      ev_io_set(&w->writable[i], s->fd, EV_WRITE);
      ev_io_start(w->loop, &w->writable[i]);
    }
  }
  if (timer && !ev_is_active(&w->retry)) {
    ev_timer_set(&w->retry, RETRY_SECONDS, 0);
    ev_timer_start(w->loop, &w->retry);
  }
  if (blocked && !w->paused && !w->ended) w->shared->counters.source_pauses++;
  w->paused = blocked;
}

/* A run that is to end does not wait for a disk to be cleared. */
static int check_refused(const struct tm_worker *w, struct tm_err *err) {
  for (int32_t i = 0; i < w->flows.outlets_n && w->ending; i++) {
    const struct tm_outlet *o = w->flows.outlets[i];
    if (o->sink.refused == 0) continue;
    return tm_err_set(err, 1, "write", "%s: cannot write: %s; the last %lld bytes of rows are not in it", tm_sink_where(&o->sink),
                      tm_sink_why(&o->sink), (long long)(o->out->buf.len - o->sink.state->sent + tm_sink_held(&o->sink)));
  }
  return 0;
}

/* Waits for what live sources have, and for the time at which others, or sinks, want to be asked. */
static void wait_for_sources(struct tm_worker *w) {
  uint64_t first = 0, now = w->io->mono_ns(w->io);
  int full = tm_epochs_full(w->flows.epochs);
  for (int32_t i = 0; i < w->flows.sources_n; i++) {
    struct tm_source *s = w->flows.sources[i];
    if (tm_flow_is_held(&w->flows, s)) continue;  /* also not when others wake the loop */
    if (full || tm_flow_is_blocked(&w->flows, tm_flow_island(&w->flows, s))) {
      s->quiet_ms = 0;  /* what is not asked is not silent */
      continue;
    }
    uint64_t due = tm_source_due(s);
    if (due > 0 && (first == 0 || due < first)) first = due;
    int fd = tm_source_fd(s);
    if (!s->live || fd < 0 || s->state->done || ev_is_active(&w->readable[i]) || tm_source_full(s)) continue;
    if (s->next_ns > now) continue;
    /* setting it anew costs a call of the system; the number of a file's descriptor may be that of the one before */
    if (s->kind != TM_SOURCE_STDIN || w->readable[i].data == NULL) ev_io_set(&w->readable[i], fd, EV_READ);
    w->readable[i].data = s;
    ev_io_start(w->loop, &w->readable[i]);
  }
  uint64_t cut = w->flows.epochs != NULL ? tm_epochs_due_ns(w->flows.epochs) : 0;
  if (cut > 0 && cut < w->cut_from_ns) cut = w->cut_from_ns;
  if (cut > 0 && (first == 0 || cut < first)) first = cut;
  for (int32_t i = 0; i < w->flows.outlets_n; i++) {
    const struct tm_sink *s = &w->flows.outlets[i]->sink;
    uint64_t due = s->files != NULL ? tm_files_due(s->files) : 0;
    if (due > 0 && (first == 0 || due < first)) first = due;
  }
  if (w->before != 0) first = now + ADOPT_LOOK_NS;
  if (w->retired != NULL && (first == 0 || first > w->retired_ns)) first = w->retired_ns;
  if ((w->yielding || w->holding) && (first == 0 || first > now + YIELD_LOOK_NS)) first = now + YIELD_LOOK_NS;
  ev_timer_stop(w->loop, &w->due);
  if (w->idle_due_ms < INFINITY) {
    double in_ms = w->idle_due_ms - (double)w->io->real_ms(w->io);
    uint64_t due = now + (in_ms > 0 ? (uint64_t)(in_ms * 1e6) : 0) + 1000000U;
    if (first == 0 || due < first) first = due;
  }
  if (first == 0) return;
  ev_now_update(w->loop);
  ev_timer_set(&w->due, first > now ? (double)(first - now) / 1e9 : 0, 0);
  ev_timer_start(w->loop, &w->due);
}

int tm_worker_wait(struct tm_worker *w, struct tm_err *err) {
  if (check_refused(w, err) != 0) return -1;
  wait_for_sinks(w);
  wait_for_sources(w);
  if ((w->shared->drain && !w->ending) || w->shared->ask != w->shared->told) return 0;
  if ((w->shared->reload != w->reloads || tm_shadow_is_asked(w)) && !w->yielding && !w->holding) return 0;
  tm_flow_count(&w->flows);
  tm_script_count_traces(w->script);
  if (w->retired != NULL) tm_reload_settle(w);
  ev_run(w->loop, 0);
  return 0;
}

/* Some islands are at work, others wait: has anything come for those? 1 it was asked. */
int tm_worker_look(struct tm_worker *w) {
  uint64_t now = w->io->mono_ns(w->io);
  if (now - w->looked_ns < LOOK_EVERY_NS) return 0;
  w->looked_ns = now;
  wait_for_sinks(w);
  wait_for_sources(w);
  ev_run(w->loop, EVRUN_NOWAIT);
  return 1;
}

void tm_worker_loop_begin(struct tm_worker *w) {
  w->loop = ev_default_loop(EVFLAG_AUTO);
  for (int i = 0; i < TM_SOURCES_MAX; i++) ev_init(&w->readable[i], on_readable);
  for (int i = 0; i < TM_SINKS_MAX; i++) ev_init(&w->writable[i], on_writable);
  ev_init(&w->retry, on_retry);
  ev_init(&w->due, on_retry);
  ev_signal_init(&w->woken, on_woken, SIGUSR1);
  ev_signal_start(w->loop, &w->woken);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  /* a file at its limit is an error of write, with a message */
}

void tm_worker_loop_end(struct tm_worker *w) {
  for (int i = 0; i < TM_SOURCES_MAX; i++) ev_io_stop(w->loop, &w->readable[i]);
  for (int i = 0; i < TM_SINKS_MAX; i++) ev_io_stop(w->loop, &w->writable[i]);
  ev_timer_stop(w->loop, &w->retry);
  ev_timer_stop(w->loop, &w->due);
  ev_signal_stop(w->loop, &w->woken);
  if (w->durable.data != NULL) ev_io_stop(w->loop, &w->durable);
  ev_loop_destroy(w->loop);
}

void tm_worker_hear(struct tm_worker *w) {
  int fd = tm_epochs_fd(w->flows.epochs);
  if (fd < 0) return;
  ev_io_init(&w->durable, on_durable, fd, EV_READ);
  w->durable.data = w->flows.epochs;
  ev_io_start(w->loop, &w->durable);
}
