/* supply.c - the ring of asks and the thread that meets them.
 *
 * The owner writes `asked`, the thread `done`. The thread begins a piece by making its address odd, the owner takes one back
 * by making it 0, both by exchange: one of them is first. A piece is opened, marked for large pages, touched and unmarked: the
 * mark must not stay, or the kernel would fill again what the heap gives back out of the middle of a large page.
 * A touch is an exchange of 0 for 0, since the owner may have come there meanwhile. It is not MADV_POPULATE_WRITE, which
 * holds the lock of the whole address space while it zeroes: the owner's next mmap would wait for it. */
#include "supply.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "region.h"

enum { STACK = 64 * 1024, LOOK_NS = 100000 };

static void piece_touch(char *p) {
  for (char *end = p + TM_SUPPLY_PIECE; p < end; p += TM_PAGE) {
    char none = 0;
    __atomic_compare_exchange_n(p, &none, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
}

static int piece_make(char *p) {
  if (mprotect(p, TM_SUPPLY_PIECE, PROT_READ | PROT_WRITE) != 0) return -1;
  /* a system without large pages refuses; then small ones are made ready */
  madvise(p, TM_SUPPLY_PIECE, MADV_HUGEPAGE);
  piece_touch(p);
  madvise(p, TM_SUPPLY_PIECE, MADV_NOHUGEPAGE);
  return 0;
}

static int slot_exchange(uintptr_t *slot, uintptr_t from, uintptr_t to) {
  return __atomic_compare_exchange_n(slot, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void *thread_run(void *arg) {
  struct tm_supply *s = arg;
  prctl(PR_SET_NAME, "tm-supply");
  for (;;) {
    while (sem_wait(&s->wake) != 0) {}
    if (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) return NULL;
    uintptr_t *slot = s->ring + s->done % TM_SUPPLY_RING, at = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (at != 0 && slot_exchange(slot, at, at | 1) && piece_make((char *)at) != 0) {
      __atomic_store_n(&s->state, TM_SUPPLY_BROKEN, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&s->done, s->done + 1, __ATOMIC_RELEASE);
  }
}

/* Once: 0, or -1 with the supply broken. */
static int thread_start(struct tm_supply *s) {
  pthread_attr_t attr;
  sigset_t all, before;
  s->state = TM_SUPPLY_BROKEN;
  if (sem_init(&s->wake, 0, 0) != 0) return -1;
  if (pthread_attr_init(&attr) == 0) {
    pthread_attr_setstacksize(&attr, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->state = TM_SUPPLY_RUNS;
    if (pthread_create(&s->thread, &attr, thread_run, s) != 0) s->state = TM_SUPPLY_BROKEN;
    else s->started = 1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
  }
  if (s->started) return 0;
  sem_destroy(&s->wake);
  return -1;
}

static int32_t state_of(const struct tm_supply *s) { return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE); }

void tm_supply_fini(struct tm_supply *s) {
  if (!s->started) return;
  __atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
  sem_post(&s->wake);
  pthread_join(s->thread, NULL);
  sem_destroy(&s->wake);
  s->started = 0;
}

int tm_supply_ask(struct tm_supply *s, char *p) {
  if (state_of(s) == TM_SUPPLY_IDLE) thread_start(s);
  if (state_of(s) != TM_SUPPLY_RUNS) return -1;
  if (s->asked - __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) >= TM_SUPPLY_RING) return -1;
  __atomic_store_n(s->ring + s->asked % TM_SUPPLY_RING, (uintptr_t)p, __ATOMIC_RELEASE);
  s->asked++;
  sem_post(&s->wake);
  return 0;
}

/* the address of ask i if a part of its piece lies in [from, to), else 0 */
static uintptr_t within(const struct tm_supply *s, uint32_t i, const char *from, const char *to) {
  uintptr_t at = __atomic_load_n(s->ring + i % TM_SUPPLY_RING, __ATOMIC_ACQUIRE);
  uintptr_t p = at & ~(uintptr_t)1;
  return p + TM_SUPPLY_PIECE > (uintptr_t)from && p < (uintptr_t)to ? at : 0;
}

const char *tm_supply_ready(struct tm_supply *s, const char *from, const char *to) {
  if (state_of(s) != TM_SUPPLY_RUNS) return from;
  for (uint32_t i = __atomic_load_n(&s->done, __ATOMIC_ACQUIRE); i != s->asked; i++) {
    const char *p = (const char *)(within(s, i, from, to) & ~(uintptr_t)1);
    if (p != NULL) return p > from ? p : from;
  }
  /* it may have broken while we looked */
  return state_of(s) == TM_SUPPLY_RUNS ? to : from;
}

int tm_supply_cancel(struct tm_supply *s, const char *from, const char *to) {
  int idle = 1;
  for (uint32_t i = __atomic_load_n(&s->done, __ATOMIC_ACQUIRE); i != s->asked; i++) {
    uintptr_t at = within(s, i, from, to);
    if (at == 0 || ((at & 1) == 0 && slot_exchange(s->ring + i % TM_SUPPLY_RING, at, 0))) continue;
    /* begun, and perhaps met since */
    idle &= (int32_t)(__atomic_load_n(&s->done, __ATOMIC_ACQUIRE) - i) > 0;
  }
  return idle;
}

void tm_supply_settle(struct tm_supply *s, const char *from, const char *to) {
  static const struct timespec look = {0, LOOK_NS};
  while (!tm_supply_cancel(s, from, to)) nanosleep(&look, NULL);
}
