/* step.h - a process killed at every single instruction of a function, without killing it.
 *
 * A child runs the function one instruction at a time (ptrace). Whenever one of them has changed the memory they share,
 * the parent finds it exactly as a SIGKILL there would leave it and calls `look`, which may do to it what the next worker
 * would do; then the memory is put back and the child takes its next step and has noticed nothing. What lies outside
 * of memory (a file) is told from by `outside`, and put back by `look` itself. */
#ifndef TM_TESTS_STEP_H
#define TM_TESTS_STEP_H

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_AREAS_MAX = 32 };

struct step {
  void (*act)(void);            /* the child's */
  void (*look)(void);           /* the parent's */
  int64_t (*outside)(void);     /* changes when something outside of memory has; may be NULL */
  struct step_area {
    void *at;
    size_t size;
    void *kept;
  } areas[STEP_AREAS_MAX];      /* shared memory that act changes, ended by NULL */
  long looks;                   /* how many states there were */
};

/* Zeroed memory that a child shares. */
static void *step_memory(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) abort();
  return p;
}

/* Keeps all areas: 1 if any differs from what was kept before. */
static int step_keep(struct step *s) {
  int changed = 0;
  for (struct step_area *a = s->areas; a->at != NULL; a++) {
    if (memcmp(a->kept, a->at, a->size) == 0) continue;
    memcpy(a->kept, a->at, a->size);
    changed = 1;
  }
  return changed;
}

static void step_look(struct step *s) {
  s->looks++;
  s->look();
  for (struct step_area *a = s->areas; a->at != NULL; a++) memcpy(a->at, a->kept, a->size);
}

static void step_child(void (*act)(void), int *done) {
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
  raise(SIGSTOP);
  act();
  __atomic_store_n(done, 1, __ATOMIC_SEQ_CST);
  for (;;) pause();
}

/* 1, or 0: this system lets nobody trace (some containers), nothing was looked at. act ends as it would have. */
static int step_through(struct step *s) {
  int *done = step_memory(sizeof *done), status;
  int64_t outside = s->outside != NULL ? s->outside() : 0;
  for (struct step_area *a = s->areas; a->at != NULL; a++)
    if ((a->kept = calloc(1, a->size)) == NULL) abort();
  s->looks = 0;
  pid_t pid = fork();
  if (pid == 0) step_child(s->act, done);
  step_keep(s);
  step_look(s);
  while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && *done == 0) {
    int64_t now = s->outside != NULL ? s->outside() : 0;
    if (step_keep(s) || now != outside) step_look(s);
    outside = now;
    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0) break;
  }
  int refused = WIFEXITED(status) && *done == 0;
  if (!refused) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  for (struct step_area *a = s->areas; a->at != NULL; a++) free(a->kept);
  munmap(done, sizeof *done);
  return !refused;
}

#endif
