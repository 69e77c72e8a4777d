/* kept.h - how the run of a data folder stands, read from its files: for whoever asks while nothing runs, or beside a run.
 *
 * The newest snapshot and the epochs behind it are put together as a start would; keyed state is passed over. It writes nothing, takes no
 * lock and runs no Lua. Of a folder that is in use it tells the last epoch that was durable when it looked. */
#ifndef TM_ENGINE_KEPT_H
#define TM_ENGINE_KEPT_H

#include "../durable/data_dir.h"
#include "../durable/journal.h"
#include "../durable/snapshot.h"
#include "shared.h"

struct tm_kept {
  struct tm_data_dir dir;
  struct tm_shared *shared;           /* as of `epoch`; NULL: nothing is kept yet */
  size_t arena_size;                  /* of it */
  uint64_t epoch, snapshot;           /* the last durable one; that of the snapshot it was begun from, 0 none */
  struct tm_snapshot_list snapshots;
  int64_t journal_bytes, journal_segments;
  int closed;                         /* the journal was closed in order */
  int ended;                          /* the run had come to the end of its input */
  char version[32];                   /* of the program that wrote it */
};

/* A source or sink. */
struct tm_kept_place {
  const char *name, *kind;            /* "source", "sink" */
  const char *how;                    /* of a sink: file, files, log, sqlite, stdout; of a source NULL */
  const char *guarantee;              /* of a sink: how often a row reaches it */
  double events, bytes;               /* of a source: read so far */
};

/* 0, or -1 with err (exit code 1 or 2): the folder is damaged, or none; then there is nothing to close. */
int tm_kept_load(struct tm_kept *k, const char *path, struct tm_err *err);
void tm_kept_close(struct tm_kept *k);
/* The place behind *at (0 first), which moves: 1, or 0 there is none. */
int tm_kept_next(const struct tm_kept *k, int32_t *at, struct tm_kept_place *out);

#endif
