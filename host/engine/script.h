/* script.h - calls into Lua: the only way the engine reaches scripts.
 *
 * Every call that runs user code sets the marker, is protected, and disarms the guard when it returns. What the library
 * asks of the host meanwhile is in script_host.h. */
#ifndef TM_ENGINE_SCRIPT_H
#define TM_ENGINE_SCRIPT_H

#include "../base/err.h"
#include "../command/options.h"
#include "flow.h"

struct tm_script;
struct tm_testing;

/* Makes the Lua state, the guard (self-tested) and the library. NULL and err on failure. */
struct tm_script *tm_script_new(const struct tm_options *o, struct tm_shared *shared, struct tm_flows *flows, struct tm_err *err);
void tm_script_free(struct tm_script *s);
/* One that was made where another was before (flows->replanned) has loaded: from here on it is compiled. */
void tm_script_begin(struct tm_script *s, const struct tm_options *o);
/* Nothing is called any more, and another one may be made; to be freed when there is time. */
void tm_script_retire(struct tm_script *s);
/* Loads and plans the scripts of the options; adds sources, sinks, pipelines and outs to the flows. checked: every
 * event gets a view of its own. With o->drawing nothing is added: the plan is drawn on stdout. err->exit_code 3 for a rejected script. */
int tm_script_load(struct tm_script *s, const struct tm_options *o, int checked, struct tm_err *err);
/* The list at the top of the stack are the loops of the plan, in the order of pipelines; those of the plan before go. */
void tm_script_take_loops(struct tm_script *s);
/* Code of a script that is called between these has the deadline of one event. end: 1 it was overdue. */
void tm_script_watch_begin(struct tm_script *s);
int tm_script_watch_end(struct tm_script *s);
/* `tidemill test` and `repl`, by the name of the function in boot.lua: the specs that o names (scripts: files and folders), or lines of the
 * input, make plans by themselves. The exit code; -1 and err. */
int tm_script_test(struct tm_script *s, const char *function, const struct tm_options *o, struct tm_testing *t, struct tm_err *err);
/* Reads the bytecode of what was loaded: problems and warnings told on stderr, the number of problems returned; -1 and
 * err. */
int tm_script_lint(struct tm_script *s, int *warnings, struct tm_err *err);
/* After a sample was run: the schema learned from it to stdout. */
void tm_script_show_learned(struct tm_script *s);
/* Runs pipeline p over rows [first, last]: returns the next row (<= last + 1), which is also p->state->next. When an
 * event fails its undo, dead letter and report are done here; *failed is 1 and the row after it is returned. */
int32_t tm_script_run(struct tm_script *s, struct tm_pipeline *p, int32_t first, int32_t last, int *failed);
/* A bad line of p's source as a dead letter of p. */
void tm_script_bad_line(struct tm_script *s, struct tm_pipeline *p, int32_t row, const char *code, const char *why);
/* A new batch of this source; rows: slots of the one before. */
void tm_script_batch_begin(struct tm_script *s, struct tm_source *source, int32_t rows);
/* More generated events into buf: 0 go on, 1 ended, -1 err. */
int tm_script_generate(struct tm_script *s, struct tm_source *source, struct tm_buf *buf, int32_t max_bytes, struct tm_err *err);
/* Compiled traces so far and how often compiling was given up, into the counters. */
/* The end of the run begins: watermarks and sizes of states go to the shared block. */
void tm_script_ending(struct tm_script *s, double now);
/* What each sink promises, into the shared block's sinks, whose names are there. */
void tm_script_guarantees(struct tm_script *s);
/* Nothing can be read at `now` (ms of the calendar). The source of a pipeline whose watermark an input holds back that has been
 * silent for long enough, and the partition its clock is at: settle it (tm_flow_settle). -1: there is none until *due. */
int tm_script_idle(struct tm_script *s, double now, int32_t *part, double *due);
/* 1: nothing of the library's is under way that fills several batches, so that it can be saved. */
int tm_script_rests(struct tm_script *s);
/* What the library keeps outside of keyed state, between two batches, as one text; and given back to it, before the first batch of a
 * later process with the same scripts. 0, or -1 err (exit code 6: the scripts do not fit it). */
int tm_script_save(struct tm_script *s, struct tm_buf *out, struct tm_err *err);
int tm_script_restore(struct tm_script *s, const char *text, size_t n, struct tm_err *err);
/* `tidemill state import`: standard input into the states, whose number of keys that came is told. 0, or -1 err. */
int tm_script_import(struct tm_script *s, double *keys, struct tm_err *err);
void tm_script_count_traces(struct tm_script *s);

#endif
