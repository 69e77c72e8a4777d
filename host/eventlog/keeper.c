/* keeper.c - syncing, packing and deleting beside the stream (keeper.h). */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "../base/log.h"
#include "first.h"
#include "folder.h"
#include "format.h"
#include "rewrite.h"

enum { LOOK_S = 10 };   /* between looks at the folder without a segment sealed: age passes by itself */

struct tm_eventlog_keeper {
  const struct tm_io *io;
  const char *folder;
  const struct tm_eventlog_options *options;
  struct tm_eventlog_writer *writer;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int sealed;                /* a segment was */
  volatile int stop;         /* set: what is under way is given up */
  int finish;                /* ends when all is done */
  int told;
};

int tm_eventlog_pack(const struct tm_io *io, const char *folder, uint64_t first, uint64_t end, const volatile int *stop, struct tm_err *err) {
  return tm_eventlog_rewrite(io, folder, first, end, 1, stop, err);
}

/* When a segment was made, by its head; INT64_MAX: not known. */
static int64_t made_ms(const struct tm_io *io, const char *folder, const struct tm_eventlog_segment *s) {
  char path[TM_EVENTLOG_PATH], bytes[TM_EVENTLOG_HEAD];
  struct tm_eventlog_head head;
  uint32_t version;
  tm_eventlog_path(path, folder, s->first, s->packed ? ".packed" : ".events");
  int fd = io->open(io, path, O_RDONLY, 0);
  if (fd < 0) return INT64_MAX;
  int64_t n = io->pread(io, fd, bytes, sizeof bytes, 0);
  io->close(io, fd);
  return n == TM_EVENTLOG_HEAD && tm_eventlog_head_get(bytes, &head, &version) == 0 ? head.made_ms : INT64_MAX;
}

static int64_t bytes_of(const char *folder, const struct tm_eventlog_segment *s) {
  char path[TM_EVENTLOG_PATH];
  struct stat st;
  tm_eventlog_path(path, folder, s->first, s->packed ? ".packed" : ".events");
  return stat(path, &st) == 0 ? st.st_size : 0;
}

int tm_eventlog_retain(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options, struct tm_err *err) {
  struct tm_eventlog_list list;
  char path[TM_EVENTLOG_PATH];
  int64_t all = 0, now = io->real_ms(io);
  int gone = 0;
  if (options->retain_ms == 0 && options->retain_bytes == 0) return 0;
  int rc = tm_eventlog_list_read(folder, &list, err);
  if (rc != 0) return rc < 0 ? -1 : 0;
  for (int32_t i = 0; i < list.n; i++) all += bytes_of(folder, &list.items[i]);
  for (; gone + 1 < list.n; gone++) {
    int64_t sealed = options->retain_ms > 0 ? made_ms(io, folder, &list.items[gone + 1]) : INT64_MAX;
    int old = sealed != INT64_MAX && now - sealed > options->retain_ms, large = options->retain_bytes > 0 && all > options->retain_bytes;
    if (!old && !large) break;
    all -= bytes_of(folder, &list.items[gone]);
  }
  if (gone > 0 && tm_eventlog_first_move(io, folder, list.items[gone].first, err) != 0) gone = -1;
  for (int32_t i = 0; i < gone; i++) {
    tm_eventlog_path(path, folder, list.items[i].first, ".packed");
    io->unlink(io, path);
    tm_eventlog_path(path, folder, list.items[i].first, ".events");
    io->unlink(io, path);
  }
  tm_eventlog_list_fini(&list);
  return gone;
}

/* Packs what is sealed: 0, -1 err. */
static int pack_sealed(struct tm_eventlog_keeper *k, struct tm_err *err) {
  struct tm_eventlog_list list;
  int rc = tm_eventlog_list_read(k->folder, &list, err);
  if (rc != 0) return rc < 0 ? -1 : 0;
  for (int32_t i = 0; i + 1 < list.n && rc == 0 && !k->stop; i++)
    if (!list.items[i].packed) rc = tm_eventlog_pack(k->io, k->folder, list.items[i].first, list.items[i + 1].first, &k->stop, err);
  tm_eventlog_list_fini(&list);
  return rc < 0 ? -1 : 0;
}

static void look(struct tm_eventlog_keeper *k) {
  struct tm_err err;
  if (tm_eventlog_retain(k->io, k->folder, k->options, &err) >= 0 && pack_sealed(k, &err) == 0) {
    k->told = 0;
    return;
  }
  if (!k->told) tm_log_warning("%s; the segment stays as it is, and this is tried again", err.detail);
  k->told = 1;
}

static void *run(void *arg) {
  struct tm_eventlog_keeper *k = arg;
  int quiet_s = 0, sealed = 1;
  setpriority(PRIO_PROCESS, 0, 19);  /* of this thread */
  for (;;) {
    if (sealed || ++quiet_s >= LOOK_S) {
      quiet_s = 0;
      look(k);
    }
    tm_eventlog_writer_sync(k->writer, NULL);  /* whoever appends next is told of a failure */
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&k->lock);
    int rc = 0;
    while (!k->sealed && !k->stop && !k->finish && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&k->changed, &k->lock, &until);
    sealed = k->sealed;
    k->sealed = 0;
    int ends = k->stop || (k->finish && !sealed);
    pthread_mutex_unlock(&k->lock);
    if (ends) return NULL;
  }
}

struct tm_eventlog_keeper *tm_eventlog_keeper_start(const struct tm_io *io, const char *folder, const struct tm_eventlog_options *options,
                                                    struct tm_eventlog_writer *w) {
  struct tm_eventlog_keeper *k = calloc(1, sizeof *k);
  pthread_condattr_t clock;
  sigset_t all, old;
  if (k == NULL) return NULL;
  k->io = io;
  k->folder = folder;
  k->options = options;
  k->writer = w;
  pthread_mutex_init(&k->lock, NULL);
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&k->changed, &clock);
  pthread_condattr_destroy(&clock);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &old);
  int rc = pthread_create(&k->thread, NULL, run, k);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (rc == 0) return k;
  free(k);
  return NULL;
}

void tm_eventlog_keeper_wake(struct tm_eventlog_keeper *k) {
  pthread_mutex_lock(&k->lock);
  k->sealed = 1;
  pthread_cond_signal(&k->changed);
  pthread_mutex_unlock(&k->lock);
}

void tm_eventlog_keeper_stop(struct tm_eventlog_keeper *k, int finish) {
  pthread_mutex_lock(&k->lock);
  if (finish) k->finish = k->sealed = 1;
  else k->stop = 1;
  pthread_cond_signal(&k->changed);
  pthread_mutex_unlock(&k->lock);
  pthread_join(k->thread, NULL);
  pthread_mutex_destroy(&k->lock);
  pthread_cond_destroy(&k->changed);
  free(k);
}
