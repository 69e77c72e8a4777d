/* data_dir.h - the data folder of a run (--data DIR): its lock, its version, and what is written of it once.
 *
 *   DIR/              made with mode 0700 if missing
 *     lock            flock by the process that uses the folder; its number as text
 *     version         "tidemill data 1\n"
 *     meta            one record (record.h): id, address, seed and bytes of the caller; written once, by a rename
 *     journal.N       segments (frame.h)
 *     durable         an epoch that was durable (witness.h)
 *     snapshot.E      snapshots (snapshot.h), manifest, snapshot.lock
 *     lost.N          segments that `journal repair --accept-loss` took out
 *     generation.N    the files that scripts were loaded from (engine/texts.h)
 *     control.sock    by which the run that uses it is told things
 *     resetting       meta, while the folder is reset
 *     *.new           being written; removed when the folder is opened
 * Other names are other owners' (folders of named logs) and are left alone.
 *
 * A folder that is neither empty nor ours is refused, and so is one of a newer version, another owner's, a read-only one,
 * and one in use. Nothing is changed in a folder that is refused. */
#ifndef TM_DURABLE_DATA_DIR_H
#define TM_DURABLE_DATA_DIR_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_DATA_VERSION = 1, TM_DATA_CALLER_MAX = 64 << 10, TM_DATA_PATH_MAX = 3800 };

/* How a folder is opened. */
enum {
  TM_DATA_USE = 0,      /* made if missing, locked, left-overs removed; a reset that a death cut off is done to its end */
  TM_DATA_RESET = 3,    /* the same, and what it keeps is forgotten, whatever is wrong with it */
  TM_DATA_LOCK = 1,     /* must be there; locked: for repair */
  TM_DATA_LOOK = 2      /* must be there; not locked, nothing changed: for commands that print */
};

struct tm_data_dir {
  const struct tm_io *io;           /* borrowed */
  char path[TM_DATA_PATH_MAX + 1];
  int lock_fd;                      /* -1: not locked */
  int in_use_by;                    /* LOOK: the process that has the lock, or 0 */
  int has_meta;                     /* 0: a new folder: tm_data_dir_meta_write comes next */
  uint64_t id;                      /* of meta: random, never 0 */
  uint64_t address;                 /* of meta: where the arena lies; the caller's */
  uint64_t seed;                    /* of meta: of hashes; the caller's */
  unsigned char *caller;            /* of meta: bytes of the caller; memory of io */
  int32_t caller_n;
};

/* Opens the folder: 0, or -1 with err (exit code 2 for what is wrong with the path that was given, 1 for what is wrong
 * inside it); then there is nothing to close. */
int tm_data_dir_open(struct tm_data_dir *d, const struct tm_io *io, const char *path, int how, struct tm_err *err);
/* Gives the lock back and frees memory. */
void tm_data_dir_close(struct tm_data_dir *d);

/* Writes meta of a new folder, with an id made here: atomically and durably. Once: asserts that there is none. address, seed
 * and at most TM_DATA_CALLER_MAX bytes are the caller's. 0, or -1 with err. */
int tm_data_dir_meta_write(struct tm_data_dir *d, uint64_t address, uint64_t seed, const void *caller, int32_t n,
                           struct tm_err *err);

/* Forgets all that is kept in a folder that is locked, before its meta was read: it is as new. Names of other owners stay. It begins by
 * giving meta the name 'resetting', so that one which was cut off is known as such. 0, or -1 with err. */
#define TM_DATA_RESETTING "resetting"
int tm_data_dir_reset(struct tm_data_dir *d, struct tm_err *err);

/* "PATH/name" into out, which has TM_DATA_PATH_MAX + 64 bytes; asserts that it fits. Returns out. */
char *tm_data_path(const char *dir, const char *name, char *out);

/* 1: this negative errno says that there is no room on the disk. */
int tm_data_is_no_room(int64_t code);
/* Writes a small file whole: DIR/name.new, synced, renamed to DIR/name, the folder synced. 0, or -1 with err, whose id is "data-room" when
 * the disk has no room for it: it may be tried again. */
int tm_data_file_write(const struct tm_io *io, const char *dir, const char *name, const void *bytes, int64_t n,
                       struct tm_err *err);

/* ---- taking up what a folder holds ------------------------------------------------------------ */

/* Where the state goes. Each returns 0, or -1 with err to stop. */
struct tm_data_load {
  void *ctx;
  /* bytes of the address space; those never given are zero */
  int (*bytes)(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err);
  int (*zero)(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err);
  /* the head of the last epoch, once, at the end: whole. Not called when the folder holds no epoch. */
  int (*head)(void *ctx, uint64_t epoch, const void *head, int64_t n, struct tm_err *err);
  /* NULL, or called behind each epoch that was given whole, and behind the snapshot */
  int (*ended)(void *ctx, uint64_t epoch, struct tm_err *err);
  uint64_t until;                   /* no epoch behind this one is given; 0: all are */
  int oldest;                       /* the older generation is taken, as the journal reaches back to it */
};

struct tm_journal_scan;

/* Takes up the last durable state: the newest snapshot that is whole (all of it is looked at before any of it is given; the
 * older generation with a warning on stderr when the newest is damaged), then the ranges of the journal's epochs after
 * it. *epoch: the last one, 0 none; *snapshot: that of the snapshot, 0 none. The scan goes to tm_journal_open, with
 * *snapshot as `after`, and is the caller's to end. 0, or -1 with err (exit code 1). */
int tm_data_load(const struct tm_data_dir *d, const struct tm_data_load *to, uint64_t *epoch, uint64_t *snapshot,
                 struct tm_journal_scan *scan, struct tm_err *err);
/* The same of a snapshot alone: that of this epoch, 0 the newest. 0, or -1 with err, which names those there are. */
int tm_data_load_snapshot(const struct tm_data_dir *d, const struct tm_data_load *to, uint64_t epoch, struct tm_err *err);

#endif
