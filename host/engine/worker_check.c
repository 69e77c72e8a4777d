/* worker_check.c - a worker that loads scripts and does not run them: `check`, `graph`, and the trial before they are loaded anew (worker.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "script.h"
#include "trial.h"
#include "worker_own.h"

/* Runs the sample through, every event with a view of its own; what fails is told as in a run. */
static int run_sample(struct tm_worker *w, struct tm_err *err) {
  if (tm_flow_open(&w->flows, err) != 0) return -1;
  for (int32_t i = 0; i < w->flows.sources_n; i++) w->order[i] = w->flows.sources[i];
  return tm_worker_run(w, err);
}

static void print_ok(const struct tm_worker *w, const struct tm_options *o, int warnings) {
  printf("ok: %d pipeline%s", w->flows.pipelines_n, w->flows.pipelines_n == 1 ? "" : "s");
  if (warnings > 0) printf(", %d warning%s", warnings, warnings == 1 ? "" : "s");
  if (o->sample != NULL) printf(", %llu events of %s passed", (unsigned long long)w->shared->counters.events_in, o->sample);
  printf("\n");
}

int tm_worker_check(const struct tm_options *o, struct tm_shared *shared) {
  struct tm_worker *w = tm_worker_set_up(o, shared);
  struct tm_err err = {0};
  int problems = 0, warnings = 0;
  if (tm_worker_load(w, 1, &err) != 0 || (problems = tm_script_lint(w->script, &warnings, &err)) < 0 ||
      (o->sample != NULL && run_sample(w, &err) != 0))
    return tm_worker_told(&err, 3);
  int rejected = problems > 0 || shared->counters.events_failed > 0 || (o->strict && warnings > 0);
  if (!rejected) print_ok(w, o, warnings);
  if (o->sample != NULL) tm_script_show_learned(w->script);
  if (fflush(stdout) != 0) return 1;
  return rejected ? 3 : 0;
}

int tm_worker_trial(const struct tm_options *o, struct tm_shared *shared) {
  struct tm_worker *w = tm_worker_set_up(o, shared);
  struct tm_err err = {0};
  int warnings = 0, problems = tm_worker_load(w, 1, &err) == 0 ? tm_script_lint(w->script, &warnings, &err) : -1;
  if (problems < 0) return tm_worker_told(&err, 3);
  tm_script_free(w->script);  /* one guarded Lua state a process, and its children */
  return problems > 0 ? 3 : tm_trial_tests(o, w->texts);
}

int tm_worker_graph(const struct tm_options *o, struct tm_shared *shared) {
  struct tm_worker *w = tm_worker_set_up(o, shared);
  struct tm_err err = {0};
  if (tm_worker_load(w, 0, &err) != 0) return tm_worker_told(&err, 3);
  if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
  tm_log_error("cannot write to stdout: %s", strerror(errno));
  return 1;
}
