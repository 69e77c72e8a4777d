/* texts_file.c - the files of a generation, in a data folder (texts.h): DIR/generation.N.
 *
 *   | "tidemill generation 1\n" | number, before, entries, used (words of this machine) | XXH3 of head and entries | entries as in the slot |
 *
 * A file is written whole under another name and renamed, before anything runs that it tells of. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../durable/data_dir.h"
#include "texts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SEVEN_DAYS_S = 7 * 24 * 3600, LISTED_MAX = 4096 };
static const char magic[24] = "tidemill generation 1\n";

struct head {
  char magic[24];
  int32_t number, before;
  int32_t entries, unused;
  uint64_t used, hash;
};

static char *name_of(int32_t number, char *out) {
  snprintf(out, 40, "generation.%" PRId32, number);
  return out;
}

/* ---- which there are ---- */

struct listed {
  int32_t numbers[LISTED_MAX];
  int n;
};

static int list_name(void *ctx, const char *name) {
  struct listed *l = ctx;
  char *end;
  if (strncmp(name, "generation.", 11) != 0) return 0;
  long number = strtol(name + 11, &end, 10);
  if (*end == '\0' && number > 0 && number < INT32_MAX && l->n < LISTED_MAX) l->numbers[l->n++] = (int32_t)number;
  return 0;
}

static int descending(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x < y) - (x > y);
}

int32_t tm_texts_newest(const struct tm_io *io, const char *dir) {
  struct listed *l = calloc(1, sizeof *l);
  if (l == NULL || io->list(io, dir, list_name, l) < 0) {
    free(l);
    return 0;
  }
  qsort(l->numbers, (size_t)l->n, sizeof l->numbers[0], descending);
  int32_t newest = l->n > 0 ? l->numbers[0] : 0;
  free(l);
  return newest;
}

/* What fails here leaves a file more than there need be. */
static void prune(const struct tm_texts *t, const struct tm_io *io, const char *dir) {
  struct listed *l = calloc(1, sizeof *l);
  char path[TM_DATA_PATH_MAX + 64], name[40];
  struct stat st;
  if (l != NULL && io->list(io, dir, list_name, l) >= 0) {
    qsort(l->numbers, (size_t)l->n, sizeof l->numbers[0], descending);
    for (int i = 0; i < l->n; i++) {
      if (l->numbers[i] >= t->number || l->numbers[i] == t->before) continue;
      tm_data_path(dir, name_of(l->numbers[i], name), path);
      int old = stat(path, &st) == 0 && st.st_mtime < time(NULL) - SEVEN_DAYS_S;
      if (old || i >= TM_TEXTS_FILES) io->unlink(io, path);
    }
  }
  free(l);
}

/* ---- one of them ---- */

/* Of the head, but for the hash itself, and of as many bytes of entries as it says. */
static uint64_t hash_of(const struct head *h, const struct tm_texts *t) {
  return XXH3_64bits_withSeed(t + 1, (size_t)h->used, XXH3_64bits(h, offsetof(struct head, hash)));
}

int tm_texts_save(const struct tm_texts *t, const struct tm_io *io, const char *dir, struct tm_err *err) {
  char name[40];
  struct head h = {.number = t->number, .before = t->before, .entries = t->entries, .used = t->used};
  if (t->broken) return 0;
  char *all = malloc(sizeof h + (size_t)t->used);
  if (all == NULL) return tm_err_set(err, 1, "memory", "no memory to keep a generation of scripts");
  memcpy(h.magic, magic, sizeof magic);
  h.hash = hash_of(&h, t);
  memcpy(all, &h, sizeof h);
  memcpy(all + sizeof h, t + 1, (size_t)t->used);
  int rc = tm_data_file_write(io, dir, name_of(t->number, name), all, (int64_t)(sizeof h + t->used), err);
  free(all);
  if (rc == 0) prune(t, io, dir);
  return rc;
}

static int damaged(const char *path, struct tm_err *err) {
  return tm_err_set(err, 1, "generation", "%.400s: is damaged; the scripts as they are on disk can be loaded all the same", path);
}

int tm_texts_load(struct tm_texts *t, int32_t number, const struct tm_io *io, const char *dir, struct tm_err *err) {
  char path[TM_DATA_PATH_MAX + 64], name[40];
  struct head h;
  tm_data_path(dir, name_of(number, name), path);
  int fd = tm_io_open(io, path, O_RDONLY, 0);
  if (fd == -ENOENT) return 1;
  if (fd < 0) return tm_err_set(err, 1, "generation", "%.400s: cannot be read: %s", path, strerror(-fd));
  int64_t n = tm_io_pread_all(io, fd, &h, sizeof h, 0);
  int whole = n == (int64_t)sizeof h && memcmp(h.magic, magic, sizeof magic) == 0 && h.number == number && h.used <= TM_TEXTS_BYTES;
  if (whole) {
    n = tm_io_pread_all(io, fd, t + 1, (size_t)h.used, sizeof h);
    whole = n == (int64_t)h.used && hash_of(&h, t) == h.hash;
  }
  io->close(io, fd);
  if (!whole) return damaged(path, err);
  t->before = h.before;
  t->entries = h.entries;
  t->used = h.used;
  t->number = number;
  return 0;
}
