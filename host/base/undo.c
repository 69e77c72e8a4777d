/* undo.c - the log of undo.h: entries with their header behind the bytes, so that they are read from the last one
 * back; a place kept twice then ends with its oldest bytes. */
#include "undo.h"

#include <string.h>

#include "err.h"

struct entry {
  char *at;
  int64_t len;
};

static int64_t room(int64_t len) {
  return (len + 15) & ~(int64_t)15;
}

void tm_undo_keep(struct tm_undo *u, void *at, size_t len) {
  struct entry e = {at, (int64_t)len};
  int64_t end = u->used + room(e.len);
  TM_ASSERT(end + (int64_t)sizeof e <= TM_UNDO_BYTES);
  memcpy(u->log + u->used, at, len);
  memcpy(u->log + end, &e, sizeof e);
  tm_undo_fence();
  u->used = end + (int64_t)sizeof e;
  tm_undo_fence();
}

void tm_undo_done(struct tm_undo *u) {
  tm_undo_fence();
  u->used = 0;
  tm_undo_fence();
}

void tm_undo_restore(struct tm_undo *u) {
  int64_t at = u->used;
  while (at > 0) {
    struct entry e;
    at -= (int64_t)sizeof e;
    memcpy(&e, u->log + at, sizeof e);
    at -= room(e.len);
    memcpy(e.at, u->log + at, (size_t)e.len);
  }
  tm_undo_done(u);
}
