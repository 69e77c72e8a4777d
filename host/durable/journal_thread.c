/* journal_thread.c - the helper thread of a journal: waits for work, makes rounds, says on a descriptor that something moved.
 *
 * It has all signals blocked, so that none of the process is delivered to it and none of its calls is interrupted. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "journal_core.h"

/* Waits until the disk may have room again, or for the end; under the lock. */
static void room_wait(struct tm_journal *j) {
  struct timespec until;

  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += TM_JOURNAL_RETRY_MS / 1000;
  while (!j->stop && pthread_cond_timedwait(&j->work, &j->lock, &until) != ETIMEDOUT) {}  /* not reached: asked to stop before it waits, a race */
}

static void *run(void *arg) {
  struct tm_journal *j = arg;
  int stop = 0;

  while (!stop) {
    pthread_mutex_lock(&j->lock);
    if (atomic_load(&j->room) == TM_JOURNAL_ROOM_NONE) room_wait(j);
    while (!j->stop && !tm_journal_has_work(j)) pthread_cond_wait(&j->work, &j->lock);
    stop = j->stop;
    pthread_mutex_unlock(&j->lock);
    if (!stop) stop = tm_journal_step(j) < 0;
  }
  return NULL;
}

int tm_journal_start(struct tm_journal *j, struct tm_err *err) {
  sigset_t all, before;
  int r;

  TM_ASSERT(!j->started);
  j->stop = 0;
  if (j->event_fd < 0) j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (j->event_fd < 0) return tm_err_set(err, 1, "journal-thread", "cannot make an eventfd for the journal: %s", strerror(errno));
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  r = pthread_create(&j->thread, NULL, run, j);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (r != 0) return tm_err_set(err, 1, "journal-thread", "cannot start the journal's thread: %s", strerror(r));
  j->started = 1;
  return 0;
}

void tm_journal_stop(struct tm_journal *j) {
  if (!j->started) return;
  pthread_mutex_lock(&j->lock);
  j->stop = 1;
  pthread_cond_signal(&j->work);
  pthread_mutex_unlock(&j->lock);
  pthread_join(j->thread, NULL);
  j->started = 0;
}

void tm_journal_pause(struct tm_journal *j) { tm_journal_stop(j); }

int tm_journal_fds(const struct tm_journal *j, int *fds, int most) {
  const int all[] = { j->fd, j->next_fd, j->witness.fd, j->event_fd };
  int n = 0;

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (all[i] >= 0 && n < most) fds[n++] = all[i];
  return n;
}

void tm_journal_signal(struct tm_journal *j) {
  uint64_t one = 1;

  /* full (the caller did not read it for long) is readable too */
  if (j->event_fd >= 0 && write(j->event_fd, &one, sizeof one) < 0) return;
}

int tm_journal_fd(const struct tm_journal *j) {
  return j->event_fd;
}

int tm_journal_wait(struct tm_journal *j) {
  int synced;

  pthread_mutex_lock(&j->lock);
  while (!atomic_load(&j->failed) && atomic_load(&j->room) != TM_JOURNAL_ROOM_NONE && atomic_load(&j->synced) < j->ended)
    pthread_cond_wait(&j->moved, &j->lock);
  synced = atomic_load(&j->synced) >= j->ended;
  pthread_mutex_unlock(&j->lock);
  if (atomic_load(&j->failed)) return TM_JOURNAL_FAILED;
  return synced ? TM_JOURNAL_OK : TM_JOURNAL_FULL;
}
