/* worker_own.h - the inside of a worker; for worker*.c and reload.c only. */
#ifndef TM_ENGINE_WORKER_OWN_H
#define TM_ENGINE_WORKER_OWN_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

#include <sys/types.h>

#include "flow.h"
#include "worker.h"

struct tm_script;

struct tm_worker {
  const struct tm_options *options;
  struct ev_loop *loop;
  const struct tm_io *io;
  struct tm_shared *shared;
  struct tm_flows flows;
  struct tm_script *script;
  struct tm_source *order[TM_SOURCES_MAX];  /* by name */
  struct tm_source *current[TM_SOURCES_MAX];  /* by island: its batch is at hand; NULL none */
  ev_io readable[TM_SOURCES_MAX];
  ev_io writable[TM_SINKS_MAX];
  ev_timer retry;
  ev_timer due;                             /* a source or sink wants to be asked */
  ev_signal woken;
  ev_io durable;                            /* an epoch has become durable */
  int replays;                              /* it tells how far it is */
  int paused;
  int ending;                               /* no more is read */
  int cut_short;                            /* a signal or the scripts ended it before the end of input */
  int ended;                                /* nothing is left to be read */
  int32_t fire_at;                          /* the pipeline whose source gives its last rows */
  uint64_t looked_ns;                       /* when the loop was last asked what has become readable or writable */
  int cutting;                              /* no batch is begun, as an epoch is to be cut */
  uint64_t cut_from_ns;                     /* not before: a sink kept a batch from being drained */
  double idle_due_ms;                       /* when the next input may have been silent for too long; of the calendar; +inf none */
  double settled_ms[TM_SOURCES_MAX];        /* by source: the clock at which what was due by it was last done */
  uint64_t flushed_ns[TM_SOURCES_MAX];        /* by island: when small pieces were last written */
  uint64_t events_at_flush;
  struct tm_texts *texts;                   /* where its scripts are loaded from (texts.h); NULL: from the disk */
  struct tm_script *retired;                /* that of the process it was forked from, to be freed when there is time; NULL none */
  uint64_t retired_ns;                      /* by then */
  pid_t before, control;                    /* the process it was forked from, until it is gone, and control; 0: it is */
  int holding;                              /* no epoch is cut, as the last one is waited for by who yields */
  int yielding;                             /* no batch is begun, as a child is to take over (reload.h) */
  int32_t reloads;                          /* shared->reload, as far as it was followed */
  uint64_t yield_until_ns;                  /* then it is given up */
  int32_t shadows;                          /* shared->shadow->asked, as far as it was followed */
  int shadow_pid;                           /* the candidate beside it, a child (shadow.h); 0 none */
  ev_child shadow;                          /* tells that it has ended */
  int shadow_gone, shadow_status;           /* it was waited for, and how it ended */
};

/* The one of this process, with its loop set up and signals ignored; nothing is loaded. */
struct tm_worker *tm_worker_set_up(const struct tm_options *o, struct tm_shared *shared);
/* worker_wait.c. Its loop, and that it goes with all that watches. */
void tm_worker_loop_begin(struct tm_worker *w);
void tm_worker_loop_end(struct tm_worker *w);
/* Nothing can be done: waits until something may be. 0, or -1 err: a run that is to end has a sink that takes nothing. */
int tm_worker_wait(struct tm_worker *w, struct tm_err *err);
/* Some islands are at work, others wait: has anything come for those? 1 it was asked, which is done once in a while. */
int tm_worker_look(struct tm_worker *w);
/* worker_tell.c. Control asks how the run stands: it is told, in the shared block. Between two batches or within one. */
void tm_worker_tell(struct tm_worker *w);
/* Makes a Lua state and loads the scripts into it. checked: every event gets a view of its own. 0, or -1 err. */
int tm_worker_load(struct tm_worker *w, int checked, struct tm_err *err);
/* Opens what was loaded, and finds where its predecessor was: 0, or -1 err. */
int tm_worker_open(struct tm_worker *w, struct tm_err *err);
/* For control's words about a death. */
void tm_worker_name_pipelines(struct tm_worker *w);
/* The loop wakes when an epoch has become durable. */
void tm_worker_hear(struct tm_worker *w);
/* Runs until all is read, or it is to end: 0, or -1 err. */
int tm_worker_run(struct tm_worker *w, struct tm_err *err);
/* 1 while a batch of some island is on its way. */
int tm_worker_any_at_hand(const struct tm_worker *w);
/* Says the error: the exit code. */
int tm_worker_told(const struct tm_err *err, int otherwise);

#endif
