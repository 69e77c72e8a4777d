/* files.h - rows spread over files: by fields of theirs (path_template.h), rolled by size or time, compressed (pack.h).
 *
 *   rows --take--> stage --plan--> pieces of one file each --write--> files
 *
 * All of it lies in shared memory, and each arrow ends with one store that a death in between takes back (undo.h): a
 * piece is written as plain files are, with the file's size as witness of a write that was cut off. Rows of one file
 * keep their order. Which row goes to which file, and where a file is rolled by size, depends on the rows alone.
 *
 * A rolled file is written as NAME-000001.EXT.part and gets its name, NAME-000001.EXT, when it is complete: synced,
 * renamed, the folder synced. Numbers go on behind those that are there. Compressed rows wait for a piece that is worth
 * it, TM_FILES_HOLD_S at most. At most OPEN files are open at a time; a run knows at most `max_files`.
 *
 * Rows of CSV come without a header: each file that has nothing in it begins with one, which no roll counts. */
#ifndef TM_IO_FILES_H
#define TM_IO_FILES_H

#include "../abi_c.h"
#include "../base/err.h"
#include "../base/io.h"
#include "../base/keep.h"
#include "../base/undo.h"
#include "../codec/csv_write.h"
#include "pack.h"

enum { TM_FILES_MAX = 100000, TM_FILES_HOLD_S = 10, TM_FILES_ROWS = 8192 };

/* What a sink asked for; all 0: one plain file, for which none of this is needed. */
struct tm_files_how {
  int template;              /* the path has fields in it */
  enum tm_pack_kind pack;
  double roll_size;          /* bytes of rows, before compression; 0 never */
  double roll_every_ms;      /* at multiples of it since 1970; 0 never */
  int32_t max_files;
};

struct tm_files;

/* What of it survives the worker. */
struct tm_files_memory {
  struct tm_files_state *state;
  char *names;               /* paths, each with its NUL */
  char *stage, *sorted, *packed;
};
size_t tm_files_state_size(int32_t max_files);
size_t tm_files_names_size(int32_t max_files);
size_t tm_files_stage_size(int32_t row_max);
size_t tm_files_sorted_size(int32_t row_max);
size_t tm_files_packed_size(int32_t row_max);

/* path and csv are borrowed. NULL and err. `format`: of the rows; csv: how those of CSV and lines are written, else NULL. */
struct tm_files *tm_files_new(const char *path, const struct tm_files_how *how, int32_t format, const struct tm_csv_out *csv,
                              int32_t row_max, const struct tm_files_memory *memory, const struct tm_io *io, struct tm_undo *undo,
                              struct tm_err *err);
/* Nothing is written any more. */
void tm_files_free(struct tm_files *f);
/* The run is kept: `begun` is where it is said which files were begun. Before it is opened. 0, or -1 no memory. */
int tm_files_kept(struct tm_files *f, const char *begun);
/* Finds out what can go wrong before anything is read; again after a death. 0, or -1 err. */
int tm_files_open(struct tm_files *f, struct tm_err *err);
/* After a death: what of a write was done. */
void tm_files_resume(struct tm_files *f);

/* Takes whole rows from text[0..len): bytes, 0 there is no room now. They are its when *taken, which is kept here, is that
 * much more. -1 err. */
int32_t tm_files_take(struct tm_files *f, const char *text, int32_t len, int32_t *taken, struct tm_err *err);
/* Goes on writing: 1 something moved, 0 nothing to do or refused (*refused is the errno), -1 err. all: rows are not held back;
 * finish: files are completed. */
int tm_files_write(struct tm_files *f, int all, int finish, int *refused, struct tm_err *err);
/* Is there something to do? */
int tm_files_busy(const struct tm_files *f, int all, int finish);
/* The clock at which it wants to be asked; 0 none. */
uint64_t tm_files_due(const struct tm_files *f);
/* Bytes of rows that were taken and are in no file yet. */
int64_t tm_files_held(const struct tm_files *f);
/* The file at hand, for messages. */
const char *tm_files_name(const struct tm_files *f);
/* As tm_sink_written, of all that are open. */
int32_t tm_files_written(struct tm_files *f, int *fds, int32_t most);
/* What of its memory must be kept for a later process. */
void tm_files_keep(const struct tm_files *f, struct tm_keeper *k);
/* Is that file one of those that are open? */
int tm_files_has(const struct tm_files *f, uint64_t dev, uint64_t ino);

#endif
