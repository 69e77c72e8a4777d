/* texts.h - the files that scripts were loaded from, as they were read then: scripts, modules, packs, lists. One *generation*.
 *
 * Control makes some slots before the first fork, so that each process of the run sees them at the same address:
 *
 *   slot   | number, used, ... | entry | entry | ...
 *   entry  | kind 'f' or 'd' | errno | length of path, of text | path | text | padded to 8
 *
 * What is loaded asks here first and reads the disk only for what is not there yet, which it leaves here. So the trial of new scripts
 * fills a slot, the worker that then switches loads exactly what was tried, a worker that follows a dead one loads what the dead one had,
 * and going back is loading an older slot. With a data folder each generation is also a file there: DIR/generation.N.
 * A generation larger than a slot (TM_TEXTS_BYTES) is not kept: its files are read each time, and nothing goes back to it. */
#ifndef TM_ENGINE_TEXTS_H
#define TM_ENGINE_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_TEXTS_SLOTS = 5, TM_TEXTS_BYTES = 32 << 20, TM_TEXTS_FILES = 64 };

/* COMPILED: a module of the library as bytecode; in a slot of their own */
enum tm_texts_kind { TM_TEXTS_FILE = 'f', TM_TEXTS_FOLDER = 'd', TM_TEXTS_COMPILED = 'b' };

struct tm_texts {
  volatile int32_t number;     /* of the generation; 0: the slot is free */
  volatile int32_t before;     /* the one that going back leads to; 0: there is none */
  volatile int32_t broken;     /* there was too much, or it changed under the reader: nothing of it holds */
  volatile int32_t entries;
  volatile uint64_t used;      /* bytes of entries */
};

/* An entry; text is borrowed. */
struct tm_text {
  enum tm_texts_kind kind;
  int32_t error;               /* errno of reading it, 0 none */
  const char *path;
  const char *text;            /* of a folder: names, each with a zero behind it */
  size_t n;
};

/* A slot, mapped for this process and its children; NULL: no memory. */
struct tm_texts *tm_texts_new(void);
void tm_texts_free(struct tm_texts *t);
void tm_texts_clear(struct tm_texts *t, int32_t number, int32_t before);
/* 1: it is there. */
int tm_texts_find(const struct tm_texts *t, enum tm_texts_kind kind, const char *path, struct tm_text *out);
/* Leaves it there; what finds no room breaks the slot. */
void tm_texts_put(struct tm_texts *t, const struct tm_text *what);
/* The entry behind *at (from 0 on), which moves: 1, or 0 there is none. */
int tm_texts_next(const struct tm_texts *t, uint64_t *at, struct tm_text *out);
/* 1: each entry of a is in b as well, and the same. */
int tm_texts_within(const struct tm_texts *a, const struct tm_texts *b);
void tm_texts_copy(struct tm_texts *to, const struct tm_texts *from);

/* The file of a generation in a data folder. load: 0; 1 there is none; -1 err, it cannot be read. save prunes: of files older than
 * seven days, and beyond TM_TEXTS_FILES, the oldest go, but for the one that going back leads to. 0, or -1 err. */
int tm_texts_save(const struct tm_texts *t, const struct tm_io *io, const char *dir, struct tm_err *err);
int tm_texts_load(struct tm_texts *t, int32_t number, const struct tm_io *io, const char *dir, struct tm_err *err);
/* The number of the newest file there; 0 none. */
int32_t tm_texts_newest(const struct tm_io *io, const char *dir);

#endif
