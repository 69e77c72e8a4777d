/* files_state.h - what files.c and files_roll.c share. */
#ifndef TM_IO_FILES_STATE_H
#define TM_IO_FILES_STATE_H

#include "../base/buf.h"
#include "../codec/format.h"
#include "../event/fields.h"
#include "files.h"
#include "path_template.h"
#include "tail.h"

enum { TM_FILES_OPEN = 128 };

/* One file; a rolled one: the number at hand. */
struct tm_file {
  int32_t name;              /* place of its path in names */
  int32_t number;            /* rolled: of the file at hand; chosen when `open` is set */
  int32_t open;              /* it has begun: rolled ones are a .part */
  int32_t chain;             /* for planning: no more than a hint */
  int64_t size;              /* its bytes up to the piece at hand; -1 not known yet */
  double text;               /* bytes of rows in it */
  int64_t period;            /* of time, in which it began */
  struct tm_tail tail;       /* the last bytes of `size`, as far as they are the run's */
};

struct tm_files_piece {
  int32_t file;
  int32_t off, len;          /* in sorted */
  int32_t roll;              /* the file is completed first */
};

struct tm_files_state {
  uint64_t stage_ns;         /* when the first of the rows in the stage came */
  int32_t stage_len;         /* bytes of whole rows in it */
  int32_t stage_rows;        /* counted where they are told apart */
  int32_t files_n;
  int32_t names_len;
  int32_t pieces_n;          /* 0 nothing is to be written */
  int32_t piece;             /* the one at hand */
  int32_t sent;              /* bytes of it that its file has */
  int32_t packed_len;        /* bytes of it when compressed, or with the header; 0 not done yet */
  int64_t noted;             /* lines of files_fresh.c, with the head, that a run which is kept has written; 0: it has not begun to */
  struct tm_files_piece pieces[TM_FILES_ROWS + 1];
  struct tm_file files[];
};

struct tm_files_row { int32_t file, off, end, next; };   /* off, end: in the stage; next of the same file */
struct tm_files_chain { int32_t file, first, last; };

struct tm_files {
  const char *path;
  struct tm_files_how how;
  const struct tm_io *io;
  struct tm_undo *undo;
  struct tm_files_memory mem;
  int32_t row_max;
  struct tm_path_template *template;   /* NULL: one path */
  struct tm_batch *batch;    /* rows of the stage, with the fields of the template */
  struct tm_batch *counted;  /* rows that are taken: how many, no fields */
  const struct tm_csv_out *csv;  /* how rows of CSV and lines are written; NULL another format */
  int headed;                /* files begin with the header of csv */
  int32_t nothing;           /* a file of so many bytes has no row: 0, or those of no rows compressed */
  struct tm_buf head;        /* scratch */
  int32_t *slots;            /* hash of paths: number of the file + 1 */
  int32_t slots_n;
  int32_t planned_n, planned_names, pieces_n;  /* with what the plan under way adds */
  int *fds;                  /* by file; -1 closed */
  int32_t open[TM_FILES_OPEN];   /* files that are open, the one used last at the end */
  int32_t open_n;
  int32_t at;                /* the file at hand, for messages */
  int64_t period;            /* of time, in which all were looked at */
  int finished;              /* at the end: what has to be there is */
  char *begun_path;          /* where it is said which files were begun (files_fresh.c); NULL: the run is not kept */
  int begun_fd;              /* -1 not open */
  int count_fd;              /* of the file that counts its lines; -1 not open */
  int unsynced;              /* errno of a sync that failed: what was written may be gone; 0 none */
  int64_t begun_n, begun_cut;  /* bytes in it; when an epoch was last cut; 0: not open */
  int32_t rows_n;
  struct tm_files_row rows[TM_FILES_ROWS];
  struct tm_files_chain firsts[TM_FILES_ROWS];
};

const char *tm_file_path(const struct tm_files *f, int32_t i);
/* The number of a path in the table; -1 it is not there. */
int32_t tm_files_find(const struct tm_files *f, const char *path);

enum { TM_FILES_NAME_ROOM = TM_PATH_TEMPLATE_MAX + 32 };

/* files_fresh.c */

/* To file i, which had so many bytes (-1: it was not there), the first ones are about to go: 0, or -errno. */
int tm_files_begun(struct tm_files *f, int32_t i, int64_t had);
/* What another process left of the table is there again: files become what it says. 0, or -1 err. */
int tm_files_fresh(struct tm_files *f, const char *begun, struct tm_err *err);

/* The name of a rolled file: out has TM_FILES_NAME_ROOM bytes. */
void tm_file_rolled_name(const char *path, int32_t number, int complete, char *out);

/* files_roll.c. Those with `refused`: 1 done, 0 refused for now, -1 err. */

/* Can this sink write at all? */
int tm_file_try(struct tm_files *f, struct tm_err *err);
/* Is open for the next piece, made if need be, its size known. */
int tm_file_ready(struct tm_files *f, int32_t i, int *refused, struct tm_err *err);
/* Synced and renamed. */
int tm_file_complete(struct tm_files *f, int32_t i, int *refused, struct tm_err *err);
/* At the end: a compressed file without a row is one of no rows. */
int tm_file_unfinished(const struct tm_files *f);
int tm_file_finish(struct tm_files *f, int *refused, struct tm_err *err);
/* After a death: bytes in it, -1 it is not there. */
int64_t tm_file_size(struct tm_files *f, int32_t i);
/* An errno that may get better is a refusal, another an error. */
int tm_file_refused(struct tm_files *f, int why, const char *what, int *refused, struct tm_err *err);

#endif
