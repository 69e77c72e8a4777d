/* control_death.c - what the end of a worker by a signal means (control.h): which event it was at, whether another worker is started, and
 * what people are told. What a dead worker left is read only where it lies in the shared block. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "control.h"
#include "control_own.h"
#include "worker.h"

enum { KILLS_MAX = 5,
       DEATHS_KEPT_MAX = 20 };  /* where the run is kept, what a worker did before its death may be done again */

static int batch_holds(const struct tm_shared *s, const struct tm_batch *b, int32_t row) {
  return tm_shared_holds(s, b, sizeof *b) && (uintptr_t)b % _Alignof(struct tm_batch) == 0 && row >= 0 && row < b->rows &&
         row < TM_BATCH_ROWS;
}

/* How many events of the source of the batch at hand came before that row, the same number in every worker; -1 not known. */
static double event_number(const struct tm_shared *s, int32_t row) {
  const struct tm_batch *b = s->batch;

  if (row < -1) row -= TM_AFTER;
  if (!batch_holds(s, b, row)) return -1;
  double n = s->batch_good;
  for (int32_t i = row; i < b->rows && i < TM_BATCH_ROWS; i++) n -= b->status[i] == TM_LINE_OK;
  return n;
}

/* ", tx.ndjson line 17: {...}" for row of the batch at hand, as far as the worker left it readable. Behind a link the
 * text is the row's, the line that of the event it was made of. */
static void event_text(const struct tm_shared *s, int32_t row, char *out, size_t size) {
  const struct tm_batch *b = s->batch, *root = s->root;
  int source_len = (int)strnlen(s->source, sizeof s->source);
  int32_t len, slot;

  out[0] = '\0';
  if (row < -1) row -= TM_AFTER;
  if (!batch_holds(s, b, row)) return;
  len = b->len[row];
  slot = b->origin[row];
  if (len < 0 || b->off[row] < 0 || !tm_shared_holds(s, b->raw + b->off[row], (size_t)len)) return;
  if (!batch_holds(s, root, slot)) return;
  int packed = root->format == TM_FORMAT_MSGPACK;
  double place = root->line_first + root->line[slot];
  int n = snprintf(out, size, ", %.*s%s%s %.0f", source_len, s->source, source_len > 0 ? " " : "", packed ? "byte" : "line", place);
  /* bytes of msgpack are nothing to read */
  if (b->format != TM_FORMAT_MSGPACK && n > 0 && (size_t)n < size)
    snprintf(out + n, size - (size_t)n, ": %.*s%s", len > 160 ? 160 : len, b->raw + b->off[row], len > 160 ? "..." : "");
}

/* "in pipeline clean, tx.ndjson line 17: {...}" */
static void place_text(const struct tm_shared *s, const struct tm_marker *m, char *out, size_t size) {
  char event[512], pipeline[80] = "";

  if (m->serial == 0 || s->phase == TM_PHASE_LOADING || m->pipeline == -1) {
    snprintf(out, size, "%s", s->phase == TM_PHASE_LOADING ? "while it loaded" : m->serial == 0 ? "outside of user code" : "in a generator");
    return;
  }
  if (m->pipeline >= 0 && m->pipeline < TM_SHARED_PIPELINES)
    snprintf(pipeline, sizeof pipeline, "%.*s", (int)sizeof s->pipelines[0] - 1, s->pipelines[m->pipeline]);
  event_text(s, m->row, event, sizeof event);
  if (pipeline[0] != '\0') snprintf(out, size, "in pipeline %s%s", pipeline, event);
  else snprintf(out, size, "in pipeline number %d%s", m->pipeline + 1, event);
}

static void death_say(const struct control *c, int sig, const struct tm_marker *m) {
  char place[640], how[160];
  long long ms = tm_control_deadline_ms(c);

  place_text(c->shared, m, place, sizeof place);
  if (c->overdue)
    snprintf(how, sizeof how, "worker killed: one event was not done after %lld ms (deadline %lld ms),",
             2 * ms, ms);
  else
    snprintf(how, sizeof how, "worker ended by signal %d (%s)%s", sig, strsignal(sig),
             sig == SIGKILL ? ", perhaps for lack of memory," : "");
  if (c->o->state != NULL) {
    tm_log_error("%s %s: what it kept is gone with it; what is printed, if anything, is not all", how, place);
    return;
  }
  tm_log_error("%s %s: the next worker goes on %s%s", how, place,
               c->o->data != NULL ? "behind the last durable epoch" : "at the first event not finished, with empty state",
               m->serial != 0 && m->pipeline >= 0 && c->shared->death_count >= 2 ? "; this event ended it before and is left out" : "");
}

/* Keeps where the worker was, for the next one: twice at the same event makes it quarantine that event.
 * A worker of a kept run goes back to the last epoch each time, and is at its slowest then: one that is killed from outside, maybe by a
 * machine without memory, is soon found at the same event twice by chance. So there it takes KILLS_MAX of such deaths. */
static void death_record(struct control *c, int sig, const struct tm_marker *m) {
  struct tm_shared *s = c->shared;
  double event = event_number(s, m->row);
  int same = s->death_count > 0 && s->death.pipeline == m->pipeline &&
             (event >= 0 ? s->death_event == event : s->death_good == s->batch_good && s->death.row == m->row);

  /* while a worker loads, `death` is still that of the one before, not mended yet */
  if (m->serial != 0 && s->phase != TM_PHASE_LOADING) {
    s->death = *m;
    s->death_event = event;
    s->death_good = s->batch_good;
    c->same_deaths = same ? c->same_deaths : 0;
    c->same_kills = same ? c->same_kills : 0;
    if (c->o->data != NULL && sig == SIGKILL && !c->overdue) c->same_kills++;
    else c->same_deaths++;
    s->death_count = c->same_kills >= KILLS_MAX ? 2 : c->same_deaths > 0 ? c->same_deaths : 1;
  }
  memset(&s->flow.marker, 0, sizeof s->flow.marker);
}

/* 1 if the deaths lead nowhere: nothing has moved from one to the next. */
static int death_is_hopeless(struct control *c) {
  uint64_t moves = c->shared->moves;
  int most = c->o->data != NULL ? DEATHS_KEPT_MAX : TM_CONTROL_DEATHS_MAX;

  c->deaths_stuck = c->deaths_stuck > 0 && c->stuck_moves == moves ? c->deaths_stuck + 1 : 1;
  c->stuck_moves = moves;
  return c->deaths_stuck >= most;
}

/* A run that is kept, of which no worker has read anything yet: one that was killed from outside while it took up the folder or loaded scripts is
 * followed by another, which does the same, --reset too. A script that makes each of them die ends the run nevertheless. */
static int loads_again(const struct control *c, int sig) {
  return c->o->data != NULL && c->o->state == NULL && c->entry == tm_worker_main && sig == SIGKILL && c->deaths < TM_CONTROL_DEATHS_MAX;
}

void tm_control_death(struct control *c, int sig) {
  const struct tm_options *o = c->o;
  struct tm_marker marker = c->shared->flow.marker;

  c->deaths++;
  tm_control_reload_died(c);
  tm_control_shadow_died(c);
  if (c->overdue) c->shared->counters.worker_kills_deadline++;
  if (!c->ran && c->shared->phase == TM_PHASE_LOADING && loads_again(c, sig)) {
    tm_log_error("worker ended by signal %d (%s), perhaps for lack of memory, while it loaded: the next worker begins anew", sig, strsignal(sig));
    if (tm_control_worker_start(c) != 0) tm_control_finish(c, 1);
    return;
  }
  if (!c->ran && c->shared->phase == TM_PHASE_LOADING) {
    tm_log_error("worker ended by signal %d (%s) while it loaded %s; most likely the script makes it crash or use "
                 "more memory than there is", sig, strsignal(sig), o->scripts_n > 0 ? o->scripts[0] : "the code of -e");
    tm_control_finish(c, 3);
    return;
  }
  if (o->state != NULL) {
    death_say(c, sig, &marker);
    tm_control_finish(c, 1);
    return;
  }
  death_record(c, sig, &marker);
  if (death_is_hopeless(c)) {
    char place[640];

    place_text(c->shared, &marker, place, sizeof place);
    tm_log_error("worker ended by signal %d (%s) %s: %d times without getting any further; giving up", sig,
                 strsignal(sig), place, c->deaths_stuck);
    tm_control_finish(c, 1);
    return;
  }
  death_say(c, sig, &marker);
  c->shared->counters.worker_restarts++;
  if (tm_control_worker_start(c) != 0) tm_control_finish(c, 1);
}
