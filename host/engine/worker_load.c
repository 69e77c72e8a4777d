/* worker_load.c - what every worker does before it runs, and those that only look (worker_check.c): a loop, a Lua state, scripts, and opening. */
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "feed.h"
#include "flow.h"
#include "script.h"
#include "shadow.h"
#include "texts.h"
#include "worker.h"
#include "worker_own.h"

static struct tm_worker worker;

struct tm_worker *tm_worker_set_up(const struct tm_options *o, struct tm_shared *shared) {
  memset(&worker, 0, sizeof worker);
  worker.options = o;
  worker.io = &tm_io_real;
  worker.shared = shared;
  worker.reloads = shared->reload;
  worker.texts = shared->texts;
  shared->flow.watched = tm_feed_is_on();  /* one that died may have been watched */
  worker.shadows = shared->shadow != NULL && shared->shadow->phase != TM_SHADOW_ASKED ? shared->shadow->asked : 0;
  worker.replays = o->replay != NULL;
  tm_worker_loop_begin(&worker);
  return &worker;
}

int tm_worker_told(const struct tm_err *err, int otherwise) {
  tm_log_error("%s", err->detail);
  return err->exit_code != 0 ? err->exit_code : otherwise;
}

int tm_worker_load(struct tm_worker *w, int checked, struct tm_err *err) {
  const struct tm_options *o = w->options->shadow ? w->options : tm_shadow_options(w->options, w->shared->shadow, 0);
  w->flows.io = w->io;
  w->flows.shared = w->shared;
  w->flows.max_event = o->max_event;
  w->flows.max_rows = o->max_rows;
  w->shared->flow.max_rows = o->max_rows;
  tm_undo_restore(&w->shared->undo);  /* before anything is found again */
  w->flows.compiled = w->shared->compiled;
  w->flows.compiles = checked && w->flows.compiled != NULL && w->flows.compiled->entries == 0;
  w->script = tm_script_new(o, w->shared, &w->flows, err);
  if (w->script == NULL) return -1;
  w->flows.script = w->script;
  w->flows.texts = w->texts;
  int rc = tm_script_load(w->script, o, checked, err);
  if (!checked) w->flows.texts = NULL;  /* what scripts read later is not what they are made of */
  return rc;
}

/* For control's words about a death. */
void tm_worker_name_pipelines(struct tm_worker *w) {
  for (int32_t i = 0; i < w->flows.pipelines_n && i < TM_SHARED_PIPELINES; i++)
    memcpy(w->shared->pipelines[i], w->flows.pipelines[i]->name, sizeof w->shared->pipelines[i]);
}

static int by_name(const void *a, const void *b) {
  const struct tm_source *x = *(struct tm_source *const *)a, *y = *(struct tm_source *const *)b;
  int rc = strcmp(x->name, y->name);
  return rc != 0 ? rc : x->index - y->index;
}

int tm_worker_open(struct tm_worker *w, struct tm_err *err) {
  if (tm_flow_open(&w->flows, err) != 0) return -1;
  for (int32_t i = 0; i < w->flows.sources_n; i++) w->order[i] = w->flows.sources[i];
  qsort(w->order, (size_t)w->flows.sources_n, sizeof w->order / TM_SOURCES_MAX, by_name);
  tm_flow_recover(&w->flows);
  for (int32_t i = 0; i < w->flows.islands_n; i++) w->current[i] = w->flows.roots[i];
  return 0;
}
