/* owned.c - memory of what was made for the scripts that are loaded (owned.h): blocks with a link in front, in a ring. */
#include "owned.h"

#include <stdint.h>
#include <stdlib.h>

#include "err.h"

/* In front of each block; 16 bytes, so that what follows is aligned as malloc's is. */
struct tm_owned {
  struct tm_owned *before, *after;
};

enum { CALLS_MAX = 8 };

static struct tm_owned all = {&all, &all};
static void (*calls[CALLS_MAX])(void);
static int calls_n;

static void *linked(struct tm_owned *o) {
  if (o == NULL) return NULL;
  o->before = &all;
  o->after = all.after;
  all.after->before = o;
  all.after = o;
  return o + 1;
}

static void unlinked(struct tm_owned *o) {
  o->before->after = o->after;
  o->after->before = o->before;
}

void *tm_owned_malloc(size_t n) { return n > SIZE_MAX - sizeof(struct tm_owned) ? NULL : linked(malloc(sizeof(struct tm_owned) + n)); }

void *tm_owned_calloc(size_t n, size_t size) {
  if (size > 0 && n > (SIZE_MAX - sizeof(struct tm_owned)) / size) return NULL;
  return linked(calloc(1, sizeof(struct tm_owned) + n * size));
}

void *tm_owned_realloc(void *p, size_t n) {
  struct tm_owned *o = p;
  if (o == NULL) return tm_owned_malloc(n);
  o--;
  if (n > SIZE_MAX - sizeof *o) return NULL;
  struct tm_owned *moved = realloc(o, sizeof *o + n);
  if (moved == NULL) return NULL;
  moved->before->after = moved;
  moved->after->before = moved;
  return moved + 1;
}

void tm_owned_free(void *p) {
  struct tm_owned *o = p;
  if (o == NULL) return;
  unlinked(o - 1);
  free(o - 1);
}

void tm_owned_ending(void (*call)(void)) {
  for (int i = 0; i < calls_n; i++)
    if (calls[i] == call) return;
  TM_ASSERT(calls_n < CALLS_MAX);
  calls[calls_n++] = call;
}

void tm_owned_end(void) {
  while (calls_n > 0) calls[--calls_n]();
  struct tm_owned *o = all.after;
  all.before = all.after = &all;
  while (o != &all) {
    struct tm_owned *after = o->after;
    free(o);
    o = after;
  }
}
