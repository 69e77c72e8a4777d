/* sqlite.h - rows into a table of an SQLite database, each exactly once (sqlite_db.h: the token).
 *
 *   rows of JSON --take--> block | block --a helper thread: one transaction each--> table and token
 *
 * Two blocks: one is filled while the other is written, so a transaction holds what came while the last one was synced. When
 * both are full the sink takes nothing. Blocks and numbers lie in shared memory and are changed by the worker alone; what is in
 * the database the token says, so a new worker gives it the blocks again, and rows the token counts are passed over.
 *
 * Rows are numbered from 0 in a run, whatever workers, processes and batches were. In a run that is kept, rows go to the database when the
 * epoch that has taken them is durable (tm_sqlite_sink_allow); until then they lie in the blocks, which epochs keep. So what is in the
 * database never depends on input that a later process would have to read alike again. */
#ifndef TM_IO_SQLITE_H
#define TM_IO_SQLITE_H

#include "../base/err.h"
#include "../base/io.h"
#include "../base/keep.h"
#include "../base/undo.h"
#include "../codec/columns.h"

enum { TM_SQLITE_BATCH = 10000, TM_SQLITE_BATCH_MAX = 1000000, TM_SQLITE_RUN = 32 };

/* What a sink asked for. */
struct tm_sqlite_how {
  const char *table;               /* copied */
  const char *sink;                /* the token's key; copied */
  struct tm_csv_names *columns;    /* taken over; NULL: those of the table, or of the first row */
  int named;                       /* the script said them; else they are of select */
  struct tm_csv_names *keys;       /* taken over; NULL: rows are added and never changed */
  int32_t batch;                   /* rows in a transaction at most */
};

struct tm_sqlite_block {
  int64_t first;                   /* number of its first row */
  int32_t len, rows;
};

/* What of it survives the worker. */
struct tm_sqlite_state {
  char run[TM_SQLITE_RUN + 1];     /* what the token calls the run */
  int32_t opened;                  /* the token is in the database, and columns are known if they can be */
  int32_t given;                   /* they are */
  int32_t fill;                    /* the block at hand */
  int64_t taken;                   /* rows of the run so far */
  int64_t committed;               /* rows known to be in the database */
  struct tm_sqlite_block blocks[2];
};

struct tm_sqlite_memory {
  struct tm_sqlite_state *state;
  struct tm_csv_names *names;      /* the columns */
  char *texts[2];                  /* tm_sqlite_text_size(row_max) bytes each */
};

struct tm_sqlite;

size_t tm_sqlite_text_size(int32_t row_max);
/* path is borrowed. NULL and err. */
struct tm_sqlite *tm_sqlite_new(const char *path, const struct tm_sqlite_how *how, const struct tm_sqlite_memory *memory,
                                const struct tm_io *io, struct tm_undo *undo, struct tm_err *err);
/* One whose thread has ended, and which is closed or another process's. */
void tm_sqlite_free(struct tm_sqlite *q);
/* For tm_out.columns of those who write it. */
struct tm_columns *tm_sqlite_columns(struct tm_sqlite *q);
/* Finds out what can go wrong before anything is read, and starts the thread; a new worker only that. 0, or -1 err. */
int tm_sqlite_open(struct tm_sqlite *q, struct tm_err *err);

/* Takes whole rows from text[0..len): bytes, 0 there is no room now. They are its when *taken, which is kept here, is that much more. */
int32_t tm_sqlite_take(struct tm_sqlite *q, const char *text, int32_t len, int32_t *taken);
/* What the thread has done since: 1 there is something, 0 nothing; refused: errno of what it waits for, 0 nothing. finish: no more rows
 * come, and the database is closed when all are in it. -1 err: it never will be. */
int tm_sqlite_poll(struct tm_sqlite *q, int finish, int *refused, struct tm_err *err);
/* Is there something that is not in the database? finish: or is it open still? */
int tm_sqlite_busy(struct tm_sqlite *q, int finish);
/* Readable when tm_sqlite_poll has something to tell. */
int tm_sqlite_fd(const struct tm_sqlite *q);
/* Bytes of rows that were taken and are not known to be in the database. */
int64_t tm_sqlite_held(const struct tm_sqlite *q);
/* What it waits for, in words; valid until the next poll. */
const char *tm_sqlite_trouble(const struct tm_sqlite *q);

/* For a run that outlives its processes. */

/* Its memory is what an epoch kept: before tm_sqlite_open, which refuses a database that has fewer rows than the epoch knew of. */
void tm_sqlite_sink_resume(struct tm_sqlite *q);
/* What an epoch has to keep. */
void tm_sqlite_sink_keep(const struct tm_sqlite *q, struct tm_keeper *k);
/* Rows handed over so far, those in the blocks included: the number of the next one. */
int64_t tm_sqlite_sink_position(const struct tm_sqlite *q);
/* Rows known to be in the database. */
int64_t tm_sqlite_sink_committed(const struct tm_sqlite *q);
/* Rows from this number on wait, though they were taken; without this call none does. A number that is less than before changes nothing. */
void tm_sqlite_sink_allow(struct tm_sqlite *q, int64_t upto);
/* 1: some do wait for that. */
int tm_sqlite_sink_held_back(const struct tm_sqlite *q);
/* 1: both blocks have rows. */
int tm_sqlite_sink_full(const struct tm_sqlite *q);

#endif
