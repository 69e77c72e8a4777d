/* flow.h - pipelines and how rows move between sources and sinks. No Lua here, no waiting.
 *
 *   source -> batch -> pipelines -> outs -> sink            (direct: one pipeline writes the sink)
 *                                -> outs -> merged -> sink  (several: merged by event, so that the order of rows
 *                                                            never depends on where a batch ended)
 *                                -> outs -> link -> batch of the pipelines that read the stream
 *
 * All that must outlive a worker - buffers, batches, outs, how far each pipeline is - lies in shared regions named
 * after the thing; the structs here point at them. A batch of a source is drained when each of its pipelines has
 * passed all rows and so have the links they feed; only then is the next one cut. */
#ifndef TM_ENGINE_FLOW_H
#define TM_ENGINE_FLOW_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"
#include "../io/sink.h"
#include "../io/source.h"
#include "shared.h"

enum { TM_SOURCES_MAX = 256, TM_SINKS_MAX = 1024, TM_PIPELINES_MAX = 1024, TM_OUTS_MAX = 64 };
enum { TM_ROW_BYTES_MAX = 16 * 1024 * 1024, TM_SOFT = 64 * 1024 };

struct tm_pipeline_state {
  int32_t next;              /* first row of the batch at hand that is not passed */
};

struct tm_pipeline {
  int32_t index;
  char name[64];
  struct tm_source *source;
  struct tm_out *outs[TM_OUTS_MAX];
  struct tm_sink *out_sinks[TM_OUTS_MAX];
  struct tm_flow_count *out_counts[TM_OUTS_MAX];
  int32_t outs_n;
  struct tm_pipeline_state *state;  /* shared */
  struct tm_out_tally *tally;       /* shared */
  double passed;             /* of the batch at hand: good events passed, ... */
  double failed;             /* ... of which failed, ... */
  double with_rows;          /* ... and rows and tally before it, to tell the dropped ones */
};

/* A pipeline writing a sink. */
struct tm_writer {
  struct tm_pipeline *pipeline;
  struct tm_out *out;
};

/* A sink with its writers. LINK: its rows are the text of a source. */
struct tm_outlet {
  struct tm_sink sink;
  struct tm_writer *writers;
  int32_t writers_n;
  int32_t writers_cap;
  struct tm_out *out;        /* what is written: the one writer's out, or where several are merged; NULL: discard */
  struct tm_source *link;    /* the source it feeds */
  int32_t dead_only;         /* takes dead letters alone */
};

struct tm_script;

struct tm_flows {
  const struct tm_io *io;
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
  struct tm_source *root;    /* the source whose batch is moving through; links hang below it */
};

/* Building (flow_build.c), called by the library while a script loads; NULL and err when refused. What an earlier
 * worker left in the regions is found again. */
struct tm_source *tm_flow_add_source(struct tm_flows *f, const char *kind, const char *name, const char **paths,
                                     int32_t paths_n, int32_t link_sink, struct tm_err *err);
struct tm_sink *tm_flow_add_sink(struct tm_flows *f, const char *kind, const char *path, const char *name, int32_t source,
                                 struct tm_err *err);
struct tm_pipeline *tm_flow_add_pipeline(struct tm_flows *f, const char *name, int32_t source, struct tm_err *err);
struct tm_out *tm_flow_add_out(struct tm_flows *f, int32_t pipeline, int32_t sink, int dead, struct tm_err *err);
/* When all is added: opens sources and sinks, makes the merged outs. */
int tm_flow_open(struct tm_flows *f, struct tm_err *err);

/* Running (flow.c). */

/* A batch of `source` is at hand: every pipeline that reads it starts at its first row. */
void tm_flow_begin(struct tm_flows *f, struct tm_source *source);
/* Moves the batch through: 1 drained, 0 a sink must take rows first, -1 err. */
int tm_flow_drain(struct tm_flows *f, struct tm_source *source, struct tm_err *err);
/* Writes what sinks take now; small: pieces below 64 KiB too. 0, or -1 err. */
int tm_flow_flush(struct tm_flows *f, int small, struct tm_err *err);
/* Rows and bytes of all outs into the counters. */
void tm_flow_count(struct tm_flows *f);
/* 1 while rows wait for a sink. */
int tm_flow_pending(const struct tm_flows *f);
/* After a death: batches are decoded again; the event at which the worker died is undone, or quarantined when it
 * was the second time. */
void tm_flow_recover(struct tm_flows *f);
/* Takes back the rows pipeline p made of this row of its batch. */
void tm_flow_rollback(struct tm_pipeline *p, int32_t row);
/* Where a pipeline's row came from: "name:line" into out, and name and line apart (both may be NULL). */
void tm_flow_position(const struct tm_flows *f, const struct tm_pipeline *p, int32_t row, char *out, size_t out_size,
                      const char **name, double *line);

#endif
