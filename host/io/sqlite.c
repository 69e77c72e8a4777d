/* sqlite.c - blocks of rows, and the thread that writes them (sqlite.h).
 *
 * The lock covers what both threads change: which block is at work or done, and what is wrong. Blocks are changed by the worker under
 * it, and never the one at work; their text behind `len` is nobody's yet. The thread blocks every signal, so that they go on to reach the
 * worker. It is never ended but by the end of the process: a transaction that is cut off never was. */
#include "sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "sqlite_db.h"

enum {
  SOFT = 1024 * 1024,          /* bytes after which a block takes no more */
  BUSY_FIRST_MS = 5000,        /* for which others may hold the database while the run starts */
  RETRY_MS = 250,
  PATIENCE = 8                 /* times in a row that others had it, before it is told */
};
static const int64_t NO_LIMIT = INT64_MAX;

struct tm_sqlite {
  struct tm_sqlite_memory mem;
  struct tm_columns *columns;
  struct tm_sqlite_how how;
  const struct tm_io *io;
  struct tm_undo *undo;
  int resumed;                 /* the run is one of an earlier process */
  int ready;                   /* the connection is open: the worker's before the thread is there, then the thread's */
  struct tm_sqlite_db db;
  int fd;                      /* eventfd */
  pthread_mutex_t lock;
  pthread_cond_t work;
  /* under the lock */
  int at_work;                 /* block; -1 none */
  int done[2];                 /* blocks that are in the database */
  int64_t written;             /* rows that are in it, by the token */
  int64_t limit;
  int closing, closed;
  int refused;                 /* errno */
  int failed;
  struct tm_err err;           /* of refused and failed */
  char trouble[sizeof((struct tm_err *)0)->detail];  /* the worker's copy */
};

size_t tm_sqlite_text_size(int32_t row_max) { return (size_t)SOFT + (size_t)row_max + 2 * TM_PAD; }

struct tm_sqlite *tm_sqlite_new(const char *path, const struct tm_sqlite_how *how, const struct tm_sqlite_memory *memory,
                                const struct tm_io *io, struct tm_undo *undo, struct tm_err *err) {
  struct tm_sqlite *q = calloc(1, sizeof *q);
  struct tm_columns *columns = tm_columns_new(memory->names, how->keys, memory->state->given);
  char *table = strdup(how->table), *sink = strdup(how->sink);
  pthread_condattr_t attr;
  if (q == NULL || columns == NULL || table == NULL || sink == NULL) {
    tm_err_set(err, 1, "memory", "no memory for a sink");
    tm_columns_free(columns);
    free(q);
    free(table);
    free(sink);
    return NULL;
  }
  q->columns = columns;
  q->mem = *memory;
  q->how = *how;
  q->how.table = table;
  q->how.sink = sink;
  q->io = io;
  q->undo = undo;
  q->fd = -1;
  q->at_work = -1;
  q->limit = NO_LIMIT;
  q->db = (struct tm_sqlite_db){.path = path, .table = table, .sink = sink, .run = memory->state->run, .columns = columns, .rows = -1};
  pthread_mutex_init(&q->lock, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&q->work, &attr);
  pthread_condattr_destroy(&attr);
  return q;
}

void tm_sqlite_free(struct tm_sqlite *q) {
  if (q == NULL) return;
  tm_columns_free(q->columns);
  free((char *)(uintptr_t)q->how.table);
  free((char *)(uintptr_t)q->how.sink);
  free(q);
}

struct tm_columns *tm_sqlite_columns(struct tm_sqlite *q) { return q->columns; }
int tm_sqlite_fd(const struct tm_sqlite *q) { return q->fd; }
const char *tm_sqlite_trouble(const struct tm_sqlite *q) { return q->trouble; }

/* ---- the thread ---- */

static void tell_worker(const struct tm_sqlite *q) {
  uint64_t one = 1;
  ssize_t n = write(q->fd, &one, sizeof one);
  (void)n;  /* a counter that is full tells as well */
}

/* The lock is held; it is again when the time is over or there is work. */
static void wait_ms(struct tm_sqlite *q, int ms) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += (long)ms * 1000000L;
  at.tv_sec += at.tv_nsec / 1000000000L;
  at.tv_nsec %= 1000000000L;
  pthread_cond_timedwait(&q->work, &q->lock, &at);
}

/* The older block that has rows which may be written; -1 none. */
static int pick(const struct tm_sqlite *q) {
  const struct tm_sqlite_block *b = q->mem.state->blocks;
  int found = -1;
  for (int i = 0; i < 2; i++) {
    if (b[i].rows == 0 || q->done[i]) continue;
    if (found < 0 || b[i].first < b[found].first) found = i;
  }
  return found >= 0 && b[found].first < q->limit && q->written < q->limit ? found : -1;
}

/* No rows are left to be written, now or later. */
static int is_empty(const struct tm_sqlite *q) {
  const struct tm_sqlite_block *b = q->mem.state->blocks;
  return (b[0].rows == 0 || q->done[0]) && (b[1].rows == 0 || q->done[1]);
}

/* How a try ended. What may pass is tried again, and told when it takes long. */
static void ended(struct tm_sqlite *q, enum tm_sqlite_did did, const struct tm_err *err, int *tries) {
  int tell = did == TM_SQLITE_DONE || did == TM_SQLITE_FAILED;
  *tries = did == TM_SQLITE_AGAIN ? *tries + 1 : 0;
  if (did == TM_SQLITE_AGAIN && (q->db.why != EBUSY || *tries >= PATIENCE)) {
    tell = q->refused == 0;
    q->refused = q->db.why;
    q->err = *err;
  }
  if (did == TM_SQLITE_DONE) q->refused = 0;
  if (did == TM_SQLITE_FAILED) {
    q->failed = 1;
    q->err = *err;
    q->err.exit_code = 1;
  }
  if (tell) tell_worker(q);
  if (did == TM_SQLITE_AGAIN) wait_ms(q, RETRY_MS);
}

/* One try at the block, outside of the lock. */
static enum tm_sqlite_did write_block(struct tm_sqlite *q, const struct tm_sqlite_block *b, const char *text, int64_t upto, int64_t least,
                                      struct tm_err *err) {
  if (!q->ready) {
    enum tm_sqlite_did did = tm_sqlite_db_open(&q->db, NULL, least, TM_SQLITE_BUSY_MS, err);
    if (did != TM_SQLITE_DONE) return did;
    q->ready = 1;
  }
  return tm_sqlite_db_apply(&q->db, text, b->len, b->first, upto, err);
}

static void *thread_main(void *arg) {
  struct tm_sqlite *q = arg;
  int tries = 0;
  pthread_mutex_lock(&q->lock);
  for (;;) {
    int i = q->failed ? -1 : pick(q);
    if (i < 0 && q->closing && !q->closed && !q->failed && is_empty(q)) {
      pthread_mutex_unlock(&q->lock);
      if (q->ready) tm_sqlite_db_close(&q->db);
      pthread_mutex_lock(&q->lock);
      q->ready = 0;
      q->closed = 1;
      tell_worker(q);
      continue;  /* rows may have come in between; then it is opened again */
    }
    if (i < 0) {
      pthread_cond_wait(&q->work, &q->lock);
      continue;
    }
    struct tm_sqlite_block b = q->mem.state->blocks[i];
    int64_t upto = b.first + b.rows < q->limit ? b.first + b.rows : q->limit, least = q->mem.state->committed;
    struct tm_err err = {0};
    q->at_work = i;
    q->closed = 0;
    pthread_mutex_unlock(&q->lock);
    enum tm_sqlite_did did = write_block(q, &b, q->mem.texts[i] + TM_PAD, upto, least, &err);
    pthread_mutex_lock(&q->lock);
    q->at_work = -1;
    if (did == TM_SQLITE_DONE) {
      q->written = upto;
      q->done[i] = upto == b.first + b.rows;
    }
    ended(q, did, &err, &tries);
  }
  return NULL;
}

static int thread_start(struct tm_sqlite *q, struct tm_err *err) {
  sigset_t all, old;
  pthread_t thread;
  q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (q->fd < 0) return tm_err_set(err, 1, "sqlite", "%s: no descriptor for its thread: %s", q->db.path, strerror(errno));
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &old);
  int rc = pthread_create(&thread, NULL, thread_main, q);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (rc != 0) return tm_err_set(err, 1, "sqlite", "%s: cannot start its thread: %s", q->db.path, strerror(rc));
  pthread_detach(thread);
  return 0;
}

/* ---- the worker ---- */

/* A run begins, or goes on in this process: what is to be known before anything is read. */
static int open_first(struct tm_sqlite *q, struct tm_err *err) {
  struct tm_sqlite_state *st = q->mem.state;
  struct tm_sqlite_wish wish = {q->how.columns, q->how.named};
  unsigned char lot[TM_SQLITE_RUN / 2];
  if (!st->opened) {
    int rc = q->io->random(q->io, lot, sizeof lot);
    if (rc < 0) return tm_err_set(err, 1, "sqlite", "%s: no random name for the run: %s", q->db.path, strerror(-rc));
    for (size_t i = 0; i < sizeof lot; i++) snprintf(st->run + 2 * i, 3, "%02x", lot[i]);
  }
  if (tm_sqlite_db_open(&q->db, q->columns->given ? NULL : &wish, st->opened ? st->committed : -1, BUSY_FIRST_MS, err) != TM_SQLITE_DONE) {
    err->exit_code = 3;
    return -1;
  }
  q->ready = 1;
  st->given = q->columns->given;
  tm_undo_fence();
  st->opened = 1;
  return 0;
}

int tm_sqlite_open(struct tm_sqlite *q, struct tm_err *err) {
  if ((!q->mem.state->opened || q->resumed) && open_first(q, err) != 0) return -1;
  q->written = q->mem.state->committed;
  return thread_start(q, err);
}

/* Blocks that are in the database are free. The lock is held. */
static int harvest(struct tm_sqlite *q) {
  struct tm_sqlite_state *st = q->mem.state;
  int any = q->written > st->committed;
  if (!any && !q->done[0] && !q->done[1]) return 0;
  tm_undo_keep(q->undo, st, sizeof *st);
  if (any) st->committed = q->written;
  for (int i = 0; i < 2; i++) {
    if (!q->done[i]) continue;
    st->blocks[i] = (struct tm_sqlite_block){0};
    q->done[i] = 0;
  }
  tm_undo_done(q->undo);
  return 1;
}

/* Whole rows of text[0..len) that block b still takes: bytes, *rows. */
static int32_t measure(const struct tm_sqlite *q, const struct tm_sqlite_block *b, const char *text, int32_t len, int32_t *rows) {
  int32_t at = 0;
  *rows = 0;
  while (at < len && b->len + at < SOFT && b->rows + *rows < q->how.batch) {
    const char *end = memchr(text + at, '\n', (size_t)(len - at));
    TM_ASSERT(end != NULL);
    at = (int32_t)(end + 1 - text);
    ++*rows;
  }
  return at;
}

/* The lock is held. */
static int32_t take(struct tm_sqlite *q, const char *text, int32_t len, int32_t *taken) {
  struct tm_sqlite_state *st = q->mem.state;
  int i = st->fill;
  int32_t rows = 0, n = 0;
  if (q->at_work != i && !q->done[i]) n = measure(q, &st->blocks[i], text, len, &rows);
  if (n == 0 && st->blocks[!i].rows == 0) {
    i = !i;
    n = measure(q, &st->blocks[i], text, len, &rows);
  }
  if (n == 0) return 0;
  struct tm_sqlite_block *b = &st->blocks[i];
  memcpy(q->mem.texts[i] + TM_PAD + b->len, text, (size_t)n);
  tm_undo_keep(q->undo, st, sizeof *st);
  tm_undo_keep(q->undo, taken, sizeof *taken);
  if (b->rows == 0) b->first = st->taken;
  b->len += n;
  b->rows += rows;
  st->taken += rows;
  st->fill = i;
  *taken += n;
  tm_undo_done(q->undo);
  return n;
}

int32_t tm_sqlite_take(struct tm_sqlite *q, const char *text, int32_t len, int32_t *taken) {
  pthread_mutex_lock(&q->lock);
  harvest(q);
  int32_t n = take(q, text, len, taken);
  if (n > 0) pthread_cond_signal(&q->work);
  pthread_mutex_unlock(&q->lock);
  return n;
}

int tm_sqlite_poll(struct tm_sqlite *q, int finish, int *refused, struct tm_err *err) {
  uint64_t told;
  ssize_t n = read(q->fd, &told, sizeof told);
  (void)n;  /* EAGAIN: nothing was told */
  pthread_mutex_lock(&q->lock);
  int any = harvest(q), failed = q->failed;
  *refused = q->refused;
  if (q->refused != 0 || failed) memcpy(q->trouble, q->err.detail, sizeof q->trouble);
  if (failed) *err = q->err;
  if (finish && !q->closing) {
    q->closing = 1;
    pthread_cond_signal(&q->work);
  }
  pthread_mutex_unlock(&q->lock);
  return failed ? -1 : any;
}

int tm_sqlite_busy(struct tm_sqlite *q, int finish) {
  const struct tm_sqlite_block *b = q->mem.state->blocks;
  pthread_mutex_lock(&q->lock);
  int busy = b[0].rows > 0 || b[1].rows > 0 || (finish && !q->closed);
  pthread_mutex_unlock(&q->lock);
  return busy;
}

int64_t tm_sqlite_held(const struct tm_sqlite *q) { return q->mem.state->blocks[0].len + q->mem.state->blocks[1].len; }

/* ---- a run that outlives its processes ---- */

int64_t tm_sqlite_sink_position(const struct tm_sqlite *q) { return q->mem.state->taken; }
int64_t tm_sqlite_sink_committed(const struct tm_sqlite *q) { return q->mem.state->committed; }

void tm_sqlite_sink_resume(struct tm_sqlite *q) {
  TM_ASSERT(q->fd < 0);
  q->resumed = 1;
}

void tm_sqlite_sink_keep(const struct tm_sqlite *q, struct tm_keeper *k) {
  const struct tm_sqlite_state *st = q->mem.state;
  tm_keep(k, st, sizeof *st);
  tm_csv_names_keep(q->mem.names, k);
  for (int i = 0; i < 2; i++) tm_keep(k, q->mem.texts[i] + TM_PAD, (size_t)st->blocks[i].len);
}

int tm_sqlite_sink_held_back(const struct tm_sqlite *q) { return q->mem.state->taken > q->limit; }

int tm_sqlite_sink_full(const struct tm_sqlite *q) { return q->mem.state->blocks[0].rows > 0 && q->mem.state->blocks[1].rows > 0; }

void tm_sqlite_sink_allow(struct tm_sqlite *q, int64_t upto) {
  pthread_mutex_lock(&q->lock);
  if (q->limit == NO_LIMIT || upto > q->limit) q->limit = upto;
  pthread_cond_signal(&q->work);
  pthread_mutex_unlock(&q->lock);
}
