/* worker.h - the process that runs scripts. */
#ifndef TM_ENGINE_WORKER_H
#define TM_ENGINE_WORKER_H

#include "../command/options.h"
#include "shared.h"

/* Loads the scripts and runs them to the end of input or until shared->drain. Returns the exit code of the
 * process (api.md). Called in a forked child; stdin, stdout and stderr are the user's. */
int tm_worker_main(const struct tm_options *o, struct tm_shared *shared);
/* Before scripts are loaded anew: do they load, and pass lint? Problems go to stderr, nothing to stdout. Exit code 0 or 3. */
int tm_worker_trial(const struct tm_options *o, struct tm_shared *shared);
/* `graph`: loads and plans the scripts, and draws the plan on stdout. Exit code 0, 1 or 3. */
int tm_worker_graph(const struct tm_options *o, struct tm_shared *shared);
/* `check`: loads, validates and lints; prints problems and warnings to stderr, "ok" lines to stdout. Exit code 0 or 3. */
int tm_worker_check(const struct tm_options *o, struct tm_shared *shared);

#endif
