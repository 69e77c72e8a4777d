/* flow.h - pipelines and how rows move between sources and sinks. No Lua here, no waiting.
 *
 *   source -> batch -> pipelines -> outs -> sink            (direct: one pipeline writes the sink)
 *                                -> outs -> merged -> sink  (several: merged by event, so that the order of rows
 *                                                            never depends on where a batch ended)
 *                                -> outs -> link -> batch of the pipelines that read the stream
 *
 * All that must outlive a worker - buffers, batches, outs, how far each pipeline is - lies in shared regions named
 * after the thing; the structs here point at them, and whoever changes more than one word there keeps the old ones
 * first (base/undo.h). A batch of a source is drained when each of its pipelines has passed all rows and so have the
 * links they feed; only then is the next one cut.
 *
 * An *island* is sources, pipelines and sinks between which rows or states go (flow_island.c). Each has one batch at hand, and none
 * waits for another: a full sink, or a window of a million rows, holds up its own island alone. */
#ifndef TM_ENGINE_FLOW_H
#define TM_ENGINE_FLOW_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"
#include "../codec/csv.h"
#include "../codec/fluent.h"
#include "../io/compare_sink.h"
#include "../io/log_sink.h"
#include "../io/log_source.h"
#include "../io/sink.h"
#include "../io/source.h"
#include "shared.h"

enum { TM_SOURCES_MAX = 256, TM_SINKS_MAX = 1024, TM_PIPELINES_MAX = 1024, TM_OUTS_MAX = 64, TM_LISTS_MAX = 1024 };
enum { TM_ROW_BYTES_MAX = 16 * 1024 * 1024, TM_SOFT = 64 * 1024 };

struct tm_pipeline_state {
  int32_t next;              /* first row of the batch at hand that is not passed */
  int32_t fired;             /* it is at its end: events dropped were counted */
  double failed;             /* events that failed so far, bad lines not included */
  double dropped;            /* events passed without a row, once fired */
  int32_t due;               /* what follows the event before `next` is not all done (tm_flow.due) */
  int32_t pad;
};

/* How much of an out's rows the merged out has. */
struct tm_taken {
  int32_t bytes;             /* of the out's text, from its front */
  int32_t entry;             /* entries before it are taken wholly */
};

struct tm_pipeline {
  int32_t index;
  uint64_t key;              /* flow_plan.h */
  char name[64];
  struct tm_source *source;
  struct tm_out *outs[TM_OUTS_MAX];
  struct tm_sink *out_sinks[TM_OUTS_MAX];
  struct tm_flow_count *out_counts[TM_OUTS_MAX];
  int32_t outs_n;
  int fires;                 /* steps of it give rows at the end of input */
  struct tm_pipeline_state *state;  /* shared */
  struct tm_out_tally *tally;       /* shared */
};

/* A pipeline writing a sink. */
struct tm_writer {
  struct tm_pipeline *pipeline;
  struct tm_out *out;
  struct tm_taken *taken;    /* shared */
};

/* A sink with its writers. LINK: its rows are the text of a source. */
struct tm_outlet {
  struct tm_sink sink;
  struct tm_writer *writers;
  int32_t writers_n;
  int32_t writers_cap;
  int32_t soft;              /* of each writer's out: beyond it the pipeline waits */
  struct tm_out *out;        /* what is written: the one writer's out, or where several are merged; NULL: discard */
  struct tm_source *link;    /* the source it feeds */
  int32_t dead_only;         /* takes dead letters alone */
  struct tm_columns *columns;  /* the fields its rows may have; NULL: any */
  struct tm_csv_out *csv;    /* how its rows are written as CSV or lines; NULL another format */
  int headed;                /* the merged out has the header in front; not its writers */
  int32_t island;            /* of its writers; -1: it keeps nothing, so anybody may write */
};

struct tm_script;
struct tm_epochs;
struct tm_plan;
struct tm_budget;
struct tm_changes;
struct tm_feed_entry;

struct tm_flows {
  const struct tm_io *io;
  struct tm_epochs *epochs;  /* what keeps the run in a data folder; NULL: nothing does */
  struct tm_shared *shared;
  struct tm_script *script;
  int32_t max_event;
  int32_t max_rows;
  struct tm_source *sources[TM_SOURCES_MAX];
  int32_t sources_n;
  struct tm_outlet *outlets[TM_SINKS_MAX];
  int32_t outlets_n;
  struct tm_pipeline *pipelines[TM_PIPELINES_MAX];
  int32_t pipelines_n;
  struct tm_outlet *links[TM_SOURCES_MAX];  /* the outlet that feeds a source; NULL for those that read the world */
  uint64_t waits[TM_SOURCES_MAX][TM_SOURCES_MAX / 64];  /* by source: a bit for each that is read to its end before it */
  int32_t shared_with[TM_SOURCES_MAX];  /* by source: another one of its island, in the end the island's first */
  int32_t island[TM_SOURCES_MAX];       /* by source */
  int32_t islands_n;
  struct tm_source *roots[TM_SOURCES_MAX];  /* by island: the source whose batch is moving through, or was last; links hang below it */
  uint64_t lists[TM_LISTS_MAX];  /* of files that were asked for while the script loads: hashes of their patterns */
  int32_t lists_n;
  int moved;                 /* events, rows or bytes have moved since it was last set to 0 */
  struct tm_changes *changes;  /* the log of changes of all keyed state, and its budget, which outlive a script; NULL: not made yet */
  struct tm_budget *budget;
  struct tm_plan *plan;      /* while it opens (flow_plan.h) */
  int replanned;             /* regions hold what the scripts before had, in this run */
  struct tm_texts *texts;    /* where what scripts are loaded from is left, and found; NULL: it is read of the disk each time */
  struct tm_texts *compiled; /* modules of the library as bytecode, for those who load it again; NULL: there is no place for them */
  int compiles;              /* this process leaves them there */
  int restored;              /* regions hold what another process left, maybe long ago (tm_flow_fresh) */
  const struct tm_feed_entry *fed;  /* batches come from another worker (feed.h): the one at hand; sources are not opened then */
  int is_fed;
};

/* Building (flow_build.c), called by the library while a script loads; NULL and err when refused. What an earlier
 * worker left in the regions is found again. */
struct tm_source *tm_flow_add_source(struct tm_flows *f, const char *kind, const char *name, const char **paths,
                                     int32_t paths_n, int32_t link_sink, int32_t format, const struct tm_csv_options *csv,
                                     const struct tm_fluent_options *fluent, struct tm_err *err);
/* The files that paths lead to, entries as tm_paths_find makes them, found once in a run: the n-th call gives the same ones in
 * every worker. *files is their number. NULL and err. */
char *tm_flow_files(struct tm_flows *f, const char **paths, int32_t n, int32_t *files, struct tm_err *err);
struct tm_sink *tm_flow_add_sink(struct tm_flows *f, const char *kind, const char *path, const char *name, int32_t source,
                                 int32_t format, const struct tm_csv_options *csv, struct tm_err *err);
/* How a source gives what it has, where that differs: all 0 is the usual way. */
struct tm_source_how {
  int follow;                /* files that grow */
  double rate;               /* events a second at most */
  double period_ms;          /* of a clock */
  double count;              /* of its ticks */
};
int tm_flow_source_how(struct tm_flows *f, int32_t source, const struct tm_source_how *how, struct tm_err *err);
/* Where a source's events have their time: it takes turns with other bounded ones (io/turns.h). */
void tm_flow_source_time(struct tm_flows *f, int32_t source, int32_t field, int32_t unit);
/* Batches of this source have one event: pipelines that read it share a state, and each sees what the ones before it did with that event. */
void tm_flow_source_one(struct tm_flows *f, int32_t source);
/* Of `source` nothing is read before `first` has been read to its end. */
void tm_flow_source_waits(struct tm_flows *f, int32_t source, int32_t first);
/* Pipelines that read these two have a state in common. */
void tm_flow_source_shares(struct tm_flows *f, int32_t source, int32_t other);
/* 1: it still waits for another one */
int tm_flow_is_held(const struct tm_flows *f, const struct tm_source *s);
/* A file sink that is more than one plain file. */
int tm_flow_sink_how(struct tm_flows *f, int32_t sink, const struct tm_files_how *how, struct tm_err *err);
/* A source that reads an event log, whose folder is its path; a sink that writes one. */
int tm_flow_source_log(struct tm_flows *f, int32_t source, const struct tm_log_source_how *how, struct tm_err *err);
int tm_flow_sink_log(struct tm_flows *f, int32_t sink, const struct tm_eventlog_options *options, struct tm_err *err);
/* A sink that compares with the log of its path; part: that may have more records. */
int tm_flow_sink_compare(struct tm_flows *f, int32_t sink, int part, struct tm_err *err);
/* The table that a sink of kind sqlite writes; of another kind (`check --sample`) the columns its rows have, as far as the script says
 * them. What how points at is taken over or copied. flow_sqlite.c */
int tm_flow_sink_sqlite(struct tm_flows *f, int32_t sink, const struct tm_sqlite_how *how, struct tm_err *err);
/* Memory that outlives the worker, called by what it is for, whose it is (its key, flow_plan.h), and a number: made with zeros, or found
 * again. NULL and err. */
void *tm_flow_region(struct tm_flows *f, const char *what, uint64_t key, int32_t n, size_t size, struct tm_err *err);
struct tm_pipeline *tm_flow_add_pipeline(struct tm_flows *f, const char *name, int32_t source, struct tm_err *err);
struct tm_out *tm_flow_add_out(struct tm_flows *f, int32_t pipeline, int32_t sink, int dead, struct tm_err *err);
/* When all is added: opens sources and sinks, makes the merged outs. */
int tm_flow_open(struct tm_flows *f, struct tm_err *err);
/* Nothing is added any more: another plan may be. Of sources of memory and of clocks, sinks of memory and links only: files
 * and what CSV is written by are not closed. What is shared is left (tm_shared_clear). */
void tm_flow_clear(struct tm_flows *f);

/* Islands (flow_island.c). When all is open: which there are. */
void tm_flow_islands(struct tm_flows *f);
static inline int32_t tm_flow_island(const struct tm_flows *f, const struct tm_source *s) { return f->island[s->index]; }
/* The source whose batch moves through the island of s; NULL: there was none yet. */
static inline struct tm_source *tm_flow_root(const struct tm_flows *f, const struct tm_source *s) {
  return f->roots[tm_flow_island(f, s)];
}
/* 1: a sink of the island must take rows first */
int tm_flow_is_blocked(const struct tm_flows *f, int32_t island);
/* 1: that, or a batch is on its way */
int tm_flow_is_at_work(const struct tm_flows *f, int32_t island);

/* Merging (flow_merge.c). */

/* Slots of the root batch that a pipeline has wholly passed: rows from slots below this are complete. */
int32_t tm_flow_passed(const struct tm_flows *f, const struct tm_pipeline *p);
/* Moves rows of several writers to the outlet's merged out, event by event, as many as it has room for: 1 some moved. */
int tm_flow_merge(struct tm_flows *f, struct tm_outlet *o);
/* 1 while a writer's out holds rows that are not merged yet. */
int tm_flow_unmerged(const struct tm_outlet *o);
/* An out whose rows are all taken begins anew; its caller has kept it. */
void tm_flow_out_clear(struct tm_out *out);

/* Keeping a run for a later process (flow_keep.c), between two batches of all islands. */

void tm_flow_keep(struct tm_flows *f, struct tm_keeper *k);
/* Its part of flow_build.c: the lists of files that were found. */
void tm_flow_lists_keep(struct tm_flows *f, struct tm_keeper *k);
/* What was kept lies in the regions again, in another process: clocks begin anew, and files that sinks wrote since are cut to what they
 * were. When all is added, before it is opened. */
void tm_flow_fresh(struct tm_flows *f);
/* Up to where the one source of a block that was kept has been taken: the number of its next event's line (msgpack: byte; a log: its
 * sequence). -1: it has several sources, or files that it follows. */
double tm_flow_place(struct tm_shared *s);
/* When it is open: event logs go back to where they were. 0, or -1 err. */
int tm_flow_ends_back(struct tm_flows *f, struct tm_err *err);
/* 1: rows were handed to a database that are not in it yet. */
int tm_flow_uncommitted(const struct tm_flows *f);
/* 1: somebody waits for an epoch: readers of an event log are given its rows when they are durable, and what was read of standard input
 * is held until then. Tables of a database are read by their own
 * commits, files by whoever likes, and standard output is gone: there nobody waits. */
int tm_flow_waits(const struct tm_flows *f);
/* 1: rows wait in a sink for the epoch that has taken them. */
int tm_flow_held_back(const struct tm_flows *f);
/* A batch makes more rows than a table's sink can keep, and no epoch can be cut before it is done: rows go before theirs is. */
void tm_flow_let_go(struct tm_flows *f);
/* What was kept last (tm_flow_keep) is durable: readers that wait are told, and what was held goes. 0, or -1 err. */
int tm_flow_durable(struct tm_flows *f, struct tm_err *err);
/* The run that was put back had ended, and may have been killed before it told of its last epoch: readers are told now. No script is
 * loaded. 0, or -1 err. */
int tm_flow_ended(struct tm_shared *s, const struct tm_io *io, struct tm_err *err);
/* Event logs that are written are on the disk as far as they are now; from any thread. 0, or -1 err. */
int tm_flow_sync(struct tm_flows *f, struct tm_err *err);

/* Running (flow.c). */

/* A batch of `source` was cut: every pipeline that reads it starts at its first row. Part of the change that makes the
 * batch be at hand. */
void tm_flow_begin(struct tm_flows *f, struct tm_source *source);
/* Moves the batch through: DRAINED, BLOCKED a sink must take rows first, LATER there is more to do at until_ns of the clock (0: it goes on), -1 err. */
enum { TM_FLOW_BLOCKED = 0, TM_FLOW_DRAINED, TM_FLOW_LATER };
int tm_flow_drain(struct tm_flows *f, struct tm_source *source, uint64_t until_ns, struct tm_err *err);
/* Writes what sinks of an island (-1: of all) take now; small: pieces below 64 KiB too. 0, or -1 err. */
int tm_flow_flush(struct tm_flows *f, int32_t island, int small, struct tm_err *err);
/* No more rows come: sinks complete what they hold when they are asked to write. */
void tm_flow_finish(struct tm_flows *f);
/* Events p has passed without a row of theirs. */
double tm_flow_dropped(const struct tm_pipeline *p);
/* What follows from outs, sinks and pipelines - rows, bytes, dropped events - into the counters. */
void tm_flow_count(struct tm_flows *f);
/* 1 while rows wait for a sink. */
int tm_flow_pending(const struct tm_flows *f);
/* The end of input (flow_fire.c): begins a pseudo batch of the source, whose slots steps fill; partial: the run ends before
 * its input does. When it is drained: 1 if nothing more comes of this source. */
void tm_flow_fire(struct tm_flows *f, struct tm_source *s, int partial);
int tm_flow_fire_done(struct tm_flows *f, struct tm_source *s);
/* Begins a pseudo batch of one slot that is passed already: loops do what is due behind it, as their clocks were moved from
 * outside, or as time has passed; part: the partition of which they are (tm_batch.part). When it is drained, tm_flow_settled. */
void tm_flow_settle(struct tm_flows *f, struct tm_source *s, int32_t part);
void tm_flow_settled(struct tm_source *s);
/* After a death, when all is open and what was half changed has been put back: batches are decoded again; the event at
 * which the worker died is undone, or quarantined when it was the second time. */
void tm_flow_recover(struct tm_flows *f);
/* Takes back the rows pipeline p made of this row of its batch; row + TM_AFTER: those of the unit at work behind it. */
void tm_flow_rollback(struct tm_pipeline *p, int32_t row);
/* Has p passed all of the batch at hand? */
static inline int tm_flow_at_end(const struct tm_pipeline *p) {
  return p->state->next >= p->source->batch->rows && !p->state->due;
}
/* Where a pipeline's row came from: "name:line" or "name:@byte" into out, and name and place apart (both may be NULL). */
void tm_flow_position(const struct tm_flows *f, const struct tm_pipeline *p, int32_t row, char *out, size_t out_size,
                      const char **name, double *line);

#endif
