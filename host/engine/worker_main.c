/* worker_main.c - a worker from its begin to its end: what a folder keeps is taken up, scripts are loaded, all is opened, run (worker.c) and kept. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "epochs.h"
#include "feed.h"
#include "flow.h"
#include "script.h"
#include "shadow.h"
#include "texts.h"
#include "worker_own.h"

/* Input that stopped making sense was told when it was met; a run that left some unread has failed. */
static int all_read(const struct tm_worker *w) {
  for (int32_t i = 0; i < w->flows.sources_n; i++)
    if (w->flows.sources[i]->state->broken) return 0;
  return 1;
}

/* What the data folder keeps, into a block that is as new: also when it is that of a worker that died. */
static int open_epochs(struct tm_worker *w, const struct tm_options *o, struct tm_err *err) {
  if (o->data == NULL) return 0;
  w->flows.epochs = tm_epochs_open(o, w->shared, err);
  if (w->flows.epochs == NULL) return -1;
  tm_worker_hear(w);
  return 0;
}

/* The last epoch: nothing is on its way any more. */
static int keep_all(struct tm_worker *w, struct tm_err *err) {
  struct tm_epochs *e = w->flows.epochs;
  int rc = 0;
  if (e == NULL || tm_epochs_looks(e)) return 0;
  while ((rc = tm_epochs_step(e, err)) > 0) {}
  w->shared->stopped = 1;
  if (rc == 0) rc = tm_epochs_cut(e, !w->cut_short, err);
  while (rc == 0 && (rc = tm_epochs_step(e, err)) > 0) rc = 0;
  return rc == 0 ? tm_epochs_finish(e, err) : -1;
}

/* `tidemill state import`: what is read becomes the next epoch, whole, or nothing of it does. */
static int import_all(struct tm_worker *w, struct tm_err *err) {
  double keys = 0;
  w->cut_short = !tm_epochs_ended(w->flows.epochs);  /* it is ended as it was */
  if (tm_script_import(w->script, &keys, err) != 0 || keep_all(w, err) != 0) return tm_worker_told(err, 1);
  tm_log_info("%.0f key%s imported", keys, keys == 1 ? "" : "s");
  return 0;
}

/* Which generation the first scripts of this process are: of a run that is kept the one before, if nothing of them has changed. */
static int settle_generation(struct tm_worker *w, struct tm_err *err) {
  struct tm_shared *s = w->shared;
  struct tm_texts *t = w->texts, *before = NULL;
  int32_t was = tm_epochs_generation(w->flows.epochs);
  int rc = 0;
  if (t == NULL || s->generation != 0) return 0;
  if (was > 0 && (before = tm_texts_new()) != NULL && tm_texts_load(before, was, w->io, w->options->data, err) == 0 && tm_texts_within(t, before)) {
    t->number = was;
    t->before = before->before;
  } else {
    t->number = was + 1;
    t->before = was;
    if (w->flows.epochs != NULL && !tm_epochs_looks(w->flows.epochs)) rc = tm_texts_save(t, w->io, w->options->data, err);
  }
  tm_texts_free(before);
  s->generation = t->number;
  return rc;
}

int tm_worker_main(const struct tm_options *o, struct tm_shared *shared) {
  struct tm_worker *w = tm_worker_set_up(o, shared);
  struct tm_err err = {0};
  if (open_epochs(w, o, &err) != 0) return tm_worker_told(&err, 1);
  if (tm_epochs_ended(w->flows.epochs) && !tm_epochs_looks(w->flows.epochs) && !o->import) {
    if (tm_flow_ended(shared, w->io, &err) != 0) return tm_worker_told(&err, 1);
    tm_log_info("%s: its run has come to the end of its input; --reset starts anew", o->data);
    shared->phase = TM_PHASE_DONE;
    return 0;
  }
  if (tm_worker_load(w, 0, &err) != 0) return tm_worker_told(&err, 1);
  if (settle_generation(w, &err) != 0) return tm_worker_told(&err, 1);
  if (w->flows.epochs != NULL && tm_epochs_prepare(w->flows.epochs, &w->flows, w->script, &err) != 0) return tm_worker_told(&err, 1);
  if (tm_worker_open(w, &err) != 0) return tm_worker_told(&err, 1);
  tm_worker_name_pipelines(w);
  if (w->flows.epochs != NULL && tm_epochs_begin(w->flows.epochs, &err) != 0) return tm_worker_told(&err, 1);
  if (o->import) return import_all(w, &err);
  if (tm_epochs_looks(w->flows.epochs) && !tm_epochs_goes_again(w->flows.epochs))
    w->fire_at = w->flows.pipelines_n - 1;  /* the pipeline that prints; no other one comes to an end */
  shared->phase = TM_PHASE_RUNNING;
  int rc = tm_worker_run(w, &err);
  tm_flow_count(&w->flows);
  tm_script_count_traces(w->script);
  if (rc != 0 || keep_all(w, &err) != 0) return tm_worker_told(&err, 1);
  if (o->state != NULL && w->cut_short && strcmp(o->state, "why") != 0)
    tm_log_warning("the run ended before its input did: %s after %llu events", strcmp(o->state, "backtest") == 0 ? "this is the report" : "these are the states",
                   (unsigned long long)shared->counters.events_in);
  shared->phase = TM_PHASE_DONE;
  return all_read(w) && !shared->failed ? 0 : 1;
}
