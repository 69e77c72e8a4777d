/* testing.h - `tidemill test` and `tidemill repl`: specs, or lines of the input, drive the engine event by event, in this one process.
 *
 * The library's tidemill.testing runs busted in the worker's own Lua state; what a spec sends goes through the same batches,
 * loops, links and state as in a run (flow.h), from sources and into sinks that are memory, on a clock that stands still
 * until it is moved. One plan at a time: the next one takes the place of the last. No control process watches it: a spec is the
 * user's program, and Ctrl-C ends it. */
#ifndef TM_ENGINE_TESTING_H
#define TM_ENGINE_TESTING_H

#include "../command/options.h"

struct lua_State;
struct tm_testing;

/* Runs the specs named by o->scripts (files and folders; none: the current folder). Returns the exit code: 0 all passed, 4 some
 * failed, 3 a script was rejected, 1 the run could not be made. */
int tm_testing_main(const struct tm_options *o);
/* The same with scripts and packs as they are in a generation (texts.h), where they are there. */
struct tm_texts;
int tm_testing_of(const struct tm_options *o, struct tm_texts *texts);
/* `tidemill repl`: reads lines of standard input, for the script or pack in o->scripts if there is one. 0, or 1 where a line failed that no
 * terminal gave; else as above. */
int tm_testing_repl(const struct tm_options *o);
/* Pushes the table of functions that tidemill.testing moves the engine by. May raise for lack of memory. */
void tm_testing_push(struct lua_State *L, struct tm_testing *t);

#endif
