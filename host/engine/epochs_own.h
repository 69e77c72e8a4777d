/* epochs_own.h - the inside of a run that is kept (epochs.h): for epochs.c, which writes it, and epochs_load.c, which puts it back. */
#ifndef TM_ENGINE_EPOCHS_OWN_H
#define TM_ENGINE_EPOCHS_OWN_H

#include <sys/types.h>

#include "../base/buf.h"
#include "../base/keep.h"
#include "../durable/data_dir.h"
#include "../durable/snapshot.h"
#include "epochs.h"

enum { TM_EPOCHS_SYNCS = 4096, TM_EPOCHS_GATHERED = 64 * 1024 };
#define TM_EPOCHS_SHARED_AT ((void *)(uintptr_t)0x1f0000000000)
/* Offsets of a payload from here on are those of the shared block. */
#define TM_EPOCHS_SHARED (UINT64_C(1) << 45)


/* A piece of the shared block as it was kept last. */
struct piece {
  const void *at;
  size_t n;
  uint64_t hash;
  uint64_t *parts;                 /* of a larger one: hashes of its parts; NULL: of none */
  size_t parts_n;
};

struct tm_epochs {
  struct tm_keeper keeper;         /* first, as pieces find the rest from it */
  const struct tm_io *io;
  struct tm_shared *shared;
  size_t shared_size;
  struct tm_flows *flows;
  struct tm_script *script;
  struct tm_data_dir dir;
  struct tm_arena *arena;
  struct tm_journal *journal;
  struct tm_snapshot_list snapshots;
  pid_t snapshot;                  /* the process that makes the next one; 0 none */
  uint64_t snapshot_ns;            /* none is begun before this, as the last one failed */
  int look;                        /* nothing is written */
  int again;                       /* besides, the run goes on from an epoch that is over (epochs_back.c) */
  int found, ended;
  int32_t generation;              /* of the run that was put back; 0: not known */
  char *head;                      /* of the epoch that was put back */
  const char *library;             /* in it */
  size_t library_n;
  uint64_t epoch_ns, epoch_min_ns;
  uint64_t work_ns;                /* what the worker spent on the epoch at hand, or on the last one */
  uint64_t cut_ns;                 /* when the last one was cut */
  uint64_t moves;                  /* of the shared block then */
  uint64_t last;                   /* the last that was ended */
  uint64_t noted;                  /* the last that is durable, as far as was looked at */
  int copying;
  int room;                        /* enum tm_journal_room, as it was told last */
  int given_up;                    /* a run that is to end did not wait for room: nothing more is put */
  struct tm_buf text;              /* the library's, for the head */
  char gathered[TM_EPOCHS_GATHERED];         /* on its way to the journal */
  size_t gathered_n;
  struct piece *pieces;
  int32_t pieces_n, pieces_cap, piece;
  int syncs[TM_EPOCHS_SYNCS];            /* descriptors, ours, to be synced before the epoch under way */
  int32_t syncs_n;
};

/* epochs.c: a piece of the shared block, for the epoch at hand, if it is not as it was. */
void tm_epochs_piece(struct tm_keeper *k, const void *at, size_t n);
/* The journal's, before it syncs: files that were written. */
int tm_epochs_sync_files(void *ctx, uint64_t epoch, struct tm_err *err);
/* epochs_back.c: the last epoch that lies before the first of the decisions that are asked about: *until, 0 none is there. 0, or -1 err. */
int tm_epochs_back_find(struct tm_epochs *e, const struct tm_options *o, uint64_t *until, struct tm_err *err);
/* Of what was put back only places of sources and keyed state are left. */
void tm_epochs_back_settle(struct tm_epochs *e);

#endif
