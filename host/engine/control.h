/* control.h - the process the user starts: it forks the worker, watches it, and says how it ended.
 *
 * Control runs no script and reads no event, so that whatever a script does, somebody is left to tell. It never
 * touches stdin and stdout. What it knows of the worker it reads from the shared block and from wait(2):
 *
 *   start --fork--> worker loads --> runs --------------------> exits: its code is ours
 *                     | dies          | dies, or is killed at twice the deadline
 *                     v               v
 *                   exit 3          said on stderr, marker kept in shared->death, next worker forked;
 *                                   after 5 deaths without progress: exit 1
 *
 * TERM, INT: the worker drains; a second one kills it. HUP: reload, when there is one. PIPE: ignored. */
#ifndef TM_ENGINE_CONTROL_H
#define TM_ENGINE_CONTROL_H

#include "../base/io.h"
#include "../command/options.h"

enum { TM_CONTROL_DEATHS_MAX = 5 };

/* Runs the scripts to the end of input or a signal, then prints the summary. Returns the program's exit code:
 * the worker's, 130 for a drained INT, 128 + n when stopped at once, 1 after a death under --strict.
 * Once in a process; io and o are borrowed until it returns. */
int tm_control_run(const struct tm_options *o, const struct tm_io *io);
/* Loads and lints the scripts in a worker (tm_worker_check), so that a script that crashes is a message too. */
int tm_control_check(const struct tm_options *o, const struct tm_io *io);

/* Draws the scripts' plan on stdout (tm_worker_graph), in a worker for the same reason. */
int tm_control_graph(const struct tm_options *o, const struct tm_io *io);

#endif
