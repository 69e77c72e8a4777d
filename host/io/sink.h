/* sink.h - where rows go: a file (append), standard output, a table of a database, nowhere, or a link to other pipelines.
 *
 * A sink writes the bytes of one tm_out from its front; what it could not write yet stays there and holds the
 * pipelines back. Descriptors do not block, where the system lets us ask for that.
 *
 * A write may be cut off by SIGKILL between the system's part and ours. How much of it took place is read from the
 * file's position, or, for standard output that is a pipe, from the relay: a pipe of the program's own, filled only when
 * empty and emptied into standard output by splice, so that what is in it tells how far the write came. */
#ifndef TM_IO_SINK_H
#define TM_IO_SINK_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"
#include "../base/undo.h"
#include "files.h"
#include "sqlite.h"
#include "tail.h"

/* MEMORY: rows stay in the out until somebody takes them there (engine/testing.c) */
enum tm_sink_kind { TM_SINK_FILE, TM_SINK_STDOUT, TM_SINK_DISCARD, TM_SINK_LINK, TM_SINK_MEMORY, TM_SINK_LOG, TM_SINK_COMPARE, TM_SINK_SQLITE };

/* What survives the worker. */
struct tm_sink_state {
  int32_t sent;              /* bytes at the front of the out that the sink has taken */
  int32_t in_relay;          /* of these, bytes that may still be in the relay */
  int32_t opened;            /* `base` is known */
  int32_t appended;          /* regular file: it was not empty when the run began */
  int64_t base;              /* regular file: where the first byte of the out goes */
  struct tm_tail tail;       /* regular file: its last bytes, as far as they are the run's */
  double before;             /* bytes taken before those in the out */
  double rows_thrown;        /* rows and bytes thrown away because the reader had gone */
  double bytes_thrown;
};

struct tm_log_sink;
struct tm_compare_sink;

struct tm_sink {
  int32_t index;
  uint64_t key;              /* its own, from its name: the same in every process that keeps a run */
  enum tm_sink_kind kind;
  int table;                 /* DISCARD: its rows went into a table, and are none that left */
  int32_t format;            /* enum tm_format_id: of its rows */
  char name[256];
  char *path;
  int fd;
  const int *relay;          /* standard output that is a pipe: read and write end of the relay; NULL none */
  int regular;               /* 1: a regular file; 2: one that is appended to */
  int polled;                /* fd may refuse: wait with a watcher */
  int piece;                 /* bytes in one write at most */
  int blocked;               /* the last write was refused */
  int refused;               /* errno of a refusal that is no full pipe (ENOSPC ...): retried later; 0 none */
  int told;                  /* and that was said */
  struct tm_files *files;    /* rows spread over files, rolled or compressed (files.h); NULL: as they are to one place */
  struct tm_log_sink *log;   /* LOG: log_sink.h */
  struct tm_compare_sink *compare;  /* COMPARE: compare_sink.h */
  int small;                 /* files: rows are not held back for more of them */
  int finish;                /* files, logs, sqlite: no more rows come */
  int restored;              /* its state is what another process left */
  int kept;                  /* the run is kept (--data): what is behind its last durable epoch may be cut back */
  int64_t synced;            /* a plain file: its bytes when it was last asked what to sync */
  struct tm_sqlite *sqlite;  /* rows into a table (sqlite.h); fd then tells that something was done there; NULL: another kind */
  int gone;                  /* its reader has gone: bytes are thrown away */
  const struct tm_io *io;
  struct tm_undo *undo;         /* shared */
  struct tm_sink_state *state;  /* shared */
};

/* The relay for standard output, made before the first worker; both ends -1: it is of no use. 0, or -1 no descriptors. */
int tm_sink_relay_open(int relay[2]);
/* Its state is what another process left: what the file has got since then is cut off when it is opened. */
void tm_sink_fresh(struct tm_sink *s);
/* Opens it: 0, or -1 and err. */
int tm_sink_open(struct tm_sink *s, struct tm_err *err);
/* After a death: what of data[0..len) an earlier worker wrote without saying so. */
void tm_sink_resume(struct tm_sink *s, const char *data, int32_t len);
/* Hands on what is in the relay, then writes data[state->sent, len): 1 something moved, 0 refused (`blocked` is set),
 * -1 and err. */
int tm_sink_write(struct tm_sink *s, const char *data, int32_t len, struct tm_err *err);
/* Is there something to write, though all rows were taken? */
int tm_sink_busy(const struct tm_sink *s);
/* Descriptors, as copies that are the caller's, of regular files that were written since it was last asked, at most `most`: how many. */
int32_t tm_sink_written(struct tm_sink *s, int *fds, int32_t most);
/* Another process is about to write it: all that was taken is in it, and nothing of it is open or at work that two processes cannot have.
 * 0, or -1 err. wake: that did not come to pass, and this one goes on. */
int tm_sink_rest(struct tm_sink *s, struct tm_err *err);
int tm_sink_wake(struct tm_sink *s, struct tm_err *err);
/* Bytes of rows that were taken and lie nowhere yet. */
int64_t tm_sink_held(const struct tm_sink *s);
/* What a message calls it: of several files the one at hand. */
const char *tm_sink_where(const struct tm_sink *s);
/* What it waits for, where `refused` says that it does. */
const char *tm_sink_why(const struct tm_sink *s);
/* All of the out was taken and it begins anew. In several places, which its caller has kept (undo.h). */
void tm_sink_begin_anew(struct tm_sink *s);

#endif
