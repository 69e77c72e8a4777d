/* shared.h - what control and the worker both see: one anonymous shared mapping, made by control before the
 * first worker is forked, so that pointers into it hold in every process and outlive a worker.
 *
 * Control reads counters, summary and marker, and writes `drain`, `death`. The worker writes the rest.
 * A worker that starts after a death finds buffers, batches and positions of its predecessor as named regions. */
#ifndef TM_ENGINE_SHARED_H
#define TM_ENGINE_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include "../abi_c.h"
#include "../base/counters.h"
#include "../base/hist.h"
#include "../base/keep.h"
#include "../base/undo.h"

enum { TM_SHARED_SOURCES = 64, TM_SHARED_SINKS = 128, TM_SHARED_FAILURES = 256, TM_SHARED_WATERMARKS = 64, TM_SHARED_STATES = 128, TM_SHARED_RULES = 256, TM_SHARED_NAMES = 512, TM_SHARED_PIPELINES = 256 };

/* how far the worker is; control's words in the summary depend on it */
enum tm_phase { TM_PHASE_LOADING = 0, TM_PHASE_RUNNING, TM_PHASE_DRAINING, TM_PHASE_DONE };

/* Failed events by pipeline, step and cause, with the first example: the summary's table. */
struct tm_failure {
  char pipeline[64];
  char step[64];
  char code[32];
  char first[512];       /* first example: place, message, position, event */
  uint64_t count;
};

/* Rows by pipeline, sink: the summary's "alerts" table. */
struct tm_flow_count {
  char name[328];        /* "alerts -> alerts.ndjson": both names whole, so that no two share an entry */
  uint64_t rows;
};

/* How far a pipeline's event time was when the end of the run began, and which input it waited for. */
struct tm_watermark {
  char pipeline[64];
  double w;              /* ms; -inf: it had none */
  double silent_ms;      /* of that input; below 0: it waited for none in particular */
  char input[256];
};

/* What a state held when the end of the run began: all that have its name, as the windows of a step do. */
struct tm_state_size {
  char name[160];
  double keys;
  double bytes;
};

/* Where a source is. */
struct tm_source_place {
  char name[256];
  char kind[12];
  char at[320];          /* the file at hand, if it has several */
  double events, bytes;  /* so far */
  double position;       /* bytes of the file or stream at hand, a record of a log; -1: it has none */
  int32_t done;          /* it has ended */
  int32_t waits;         /* nothing is read of it, as a sink takes nothing */
};

/* What a sink has. */
struct tm_sink_place {
  char name[256];
  char kind[12];
  char guarantee[20];    /* "exactly once" ...; empty: not known */
  char why[160];         /* it takes nothing; empty: it does */
  double bytes;          /* taken and not written yet */
};

/* What a rule of a pack did until the end of the run began. */
struct tm_rule_done {
  char name[128];        /* pack/rule */
  char mode[12];
  double matches, counted, errors, unknowns, ns;   /* ns: processor time of one event, measured now and then */
  char note[180];        /* why it never decided anything, or what it raised first; empty: nothing to say */
  double called;         /* events for which its function was called, as C could not tell */
};

struct tm_texts;
struct tm_shadow;

struct tm_shared {
  struct tm_flow flow;               /* marker and stop flag, seen by the generated loops */
  volatile int32_t drain;            /* set by control: read no more, finish what was read, end */
  volatile int32_t reload;           /* counts up: control was asked to load the scripts anew */
  volatile int32_t reload_told;      /* the worker has told what became of it, by these: */
  int32_t reload_code;               /* 0 the new scripts run; else the exit code that says what was wrong */
  char reload_why[1024];             /* and why */
  volatile int32_t generation;       /* of scripts: 1, and one more each time they were loaded anew; 0: the first ones are being loaded */
  struct tm_texts *volatile texts;   /* its files (texts.h); NULL: they are not kept */
  struct tm_texts *compiled;         /* the library as bytecode, left by the first trial; NULL: it is compiled each time */
  struct tm_texts *volatile candidate;  /* those of the scripts that are to be loaded anew */
  volatile int32_t ask;              /* counts up: control wants to know how the run stands */
  volatile int32_t told;             /* as far as the worker has told it: sources, sinks, watermarks, states, rules below */
  volatile int32_t heir;             /* the process that takes the worker's place, which is about to end; 0 none */
  volatile int32_t phase;            /* enum tm_phase */
  volatile int32_t failed;           /* the run ends with exit code 1, in order */
  volatile int32_t progressed;       /* `progress` is known */
  volatile double progress;          /* of a replay: how much of the log is read, 0 to 1 */
  volatile int32_t strict_failed;    /* an event failed (exit code 1 under --strict) */
  struct tm_undo undo;               /* what the worker is just changing */
  int relay[2];                      /* standard output's (io/sink.h); -1 none */
  struct tm_input_ring *input;       /* of a run that is kept: what was read of standard input (io/input_ring.h); NULL: there is none */
  struct tm_shadow *shadow;          /* a candidate beside the worker (shadow.h); NULL: there can be none */
  /* deaths: filled by control when a worker ended by a signal while marker.serial was not 0 */
  struct tm_marker death;            /* where it died; the worker that has mended it sets serial to 0 */
  double death_event;                /* which event it was: so many of that pipeline's source came before it; -1 not known */
  double death_good;                 /* `batch_good` at that time */
  int32_t death_count;               /* times in a row at the same event */
  volatile double epoch;             /* with a data folder: the last one that is durable */
  struct tm_counters counters;
  struct tm_hist latency;            /* source to sink, ns, one entry an event */
  struct tm_failure failures[TM_SHARED_FAILURES];
  int32_t failures_n;
  uint64_t failures_other;           /* failed events that found no entry */
  struct tm_flow_count flows[TM_SHARED_NAMES];
  int32_t flows_n;
  struct tm_watermark watermarks[TM_SHARED_WATERMARKS];
  int32_t watermarks_n;
  struct tm_state_size states[TM_SHARED_STATES]; /* the largest first */
  int32_t states_n;
  struct tm_rule_done rules[TM_SHARED_RULES]; /* those with something to say first, then by matches */
  int32_t rules_n;                   /* in use */
  int32_t rules_more;                /* that found no room */
  struct tm_source_place sources[TM_SHARED_SOURCES];
  int32_t sources_n;
  struct tm_sink_place sinks[TM_SHARED_SINKS];
  int32_t sinks_n;
  double batch_serial;               /* counts batches */
  double batch_good;                 /* events of the source of `batch` up to the batch's end: with marker.pipeline and row
                                        it names an event for good */
  uint64_t plan;                     /* a hash of sources, sinks and pipelines, which are the same in each worker of a run; 0 not known */
  int32_t stopped;                   /* the run that is put back had stopped in order: nothing was written behind its last epoch */
  uint64_t moves;                    /* changes whenever anything was read, passed, merged or written: the measure of progress */
  struct tm_hist epoch_work;         /* with a data folder: ns that a turn of the worker spent on an epoch, one entry each; not kept */
  struct tm_hist epoch_cpu;          /* the same in processor time */
  /* for control's words about a death, filled by the worker; empty or NULL: not known */
  char pipelines[TM_SHARED_PIPELINES][64];  /* names, by marker.pipeline */
  char source[256];                  /* where the batch at hand came from: a path, or "stdin" */
  const struct tm_batch *batch;      /* the batch marker.row counts in; it and its text lie in regions */
  const struct tm_batch *root;       /* the source's batch it came from; the same one, but for pipelines behind a link */
  char *arena;                       /* regions follow; reserved, touched only as used */
  size_t arena_size;
  size_t arena_used;
};

/* Maps the block (control, once); at: where it must lie, as what is put back into it points there; NULL: anywhere. NULL and err on failure. */
struct tm_err;
struct tm_shared *tm_shared_new(void *at, struct tm_err *err);
/* Gives it back; arena_size: as it was made. */
void tm_shared_free(struct tm_shared *s, size_t arena_size);
/* What of the block and its regions' names must be kept for a later process; not what lies in the regions. */
void tm_shared_keep(const struct tm_shared *s, struct tm_keeper *k);
/* The region of that name (< 64 bytes), made zeroed if new; its address never changes; NULL: arena full, or
 * it exists and is smaller. The worker's alone (one thread, one worker at a time).
 * *found tells whether an earlier worker made it. */
void *tm_shared_region(struct tm_shared *s, const char *name, size_t size, int *found);
/* That of that name, if it was made and is no smaller. */
void *tm_shared_find(struct tm_shared *s, const char *name, size_t size);
/* Regions of none of these n kinds (what stands in their names before the dot) are as if they had never been made. */
void tm_shared_forget(struct tm_shared *s, const char *const *kinds, int n);
/* Calls visit for each region whose name begins so and that is at least that large, until it returns other than 0: that, else 0. */
int tm_shared_each(struct tm_shared *s, const char *prefix, size_t size, int (*visit)(void *ctx, void *region, struct tm_err *err), void *ctx,
                   struct tm_err *err);
/* Forgets everything but the marker's block, its own place, the relay and what is known of deaths: the next run of a process that
 * makes several begins, or a worker that takes the run from a data folder. */
void tm_shared_clear(struct tm_shared *s);
/* 1 if [p, p + size) lies in the arena: to be asked before following a pointer that a dead worker left. */
int tm_shared_holds(const struct tm_shared *s, const void *p, size_t size);

#endif
