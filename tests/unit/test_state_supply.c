/* test_state_supply.c - pages made ready by another thread: what the kernel says of them (mincore, /proc), never what we think.
 *
 * Regions are opened, asked for and given up in every order, while the thread is at work and after it; tables grow and
 * shrink over it. Where large pages can be had, they come from the thread alone. */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <dirent.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../../host/state/key.h"
#include "../../host/state/table.h"
#include "state_run.h"

enum { MIB = 1024 * 1024, RESERVE = 256 * MIB };

/* AddressSanitizer ends a process that may have no more addresses: there the thread is refused by hand. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static struct tm_supply supply;
static struct tm_budget budget;
static double share;
static struct tm_account account = {&budget, &share, &supply, NULL};

/* 1 when all that was asked for is met, within ten seconds */
static int supply_waits(struct tm_supply *s) {
  static const struct timespec ms = {0, 1000000};
  for (int i = 0; i < 10000; i++) {
    if (__atomic_load_n(&s->done, __ATOMIC_ACQUIRE) == s->asked) return 1;
    nanosleep(&ms, NULL);
  }
  return 0;
}

static size_t resident(const char *p, size_t n) {
  static unsigned char pages[RESERVE / TM_PAGE];
  size_t have = 0;
  if (mincore((void *)(uintptr_t)p, n, pages) != 0) return (size_t)-1;
  for (size_t i = 0; i < n / TM_PAGE; i++) have += pages[i] & 1;
  return have * TM_PAGE;
}

/* bytes of large pages in mappings that begin in [from, to) */
static size_t large_bytes(const char *from, const char *to) {
  FILE *f = fopen("/proc/self/smaps", "r");
  char line[512];
  unsigned long begin = 0, at, end, kib;
  size_t sum = 0;
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "%lx-%lx ", &at, &end) == 2) begin = at;
    if (begin >= (unsigned long)from && begin < (unsigned long)to && sscanf(line, "AnonHugePages: %lu", &kib) == 1) sum += kib * 1024;
  }
  if (f != NULL) fclose(f);
  return sum;
}

/* whether the system gives large pages to who asks */
static int large_pages(void) {
  char text[64] = "";
  FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
  if (f == NULL) return 0;
  int there = fgets(text, sizeof text, f) != NULL && strstr(text, "[never]") == NULL;
  fclose(f);
  return there;
}

static void write_pages(struct tm_region *r, size_t from, size_t to) {
  for (; from < to; from += TM_PAGE) r->base[from] = 1;
}

static void asked_pages_come(void) {
  struct tm_region r;
  CHECK(tm_region_init(&r, &account, RESERVE) == 0 && tm_region_open(&r, TM_PAGE) == 0, "init");
  write_pages(&r, 0, TM_PAGE);
  tm_region_expect(&r, &account, TM_PAGE, 16 * MIB);
  CHECK(r.asked >= 16 * MIB && r.asked < 20 * MIB, "asked up to %zu", r.asked);
  CHECK(supply_waits(&supply), "the thread stands");
  size_t from = r.asked - 16 * MIB + 2 * MIB;
  CHECK(resident(r.base + from, r.asked - from) == r.asked - from, "not all is there");
  if (large_pages()) CHECK(large_bytes(r.base, r.base + RESERVE) > 0, "no large page");
  CHECK(tm_region_open(&r, 16 * MIB) == 0, "open");
  write_pages(&r, 0, 16 * MIB);
  CHECK(budget.used == 0, "what nobody uses was counted");
  tm_region_fini(&r);
}

/* Open ends inside a piece that is asked for, is being made or is made: all that was opened can be written. */
static void opening_overtakes(void) {
  for (int turn = 0; turn < 60; turn++) {
    struct tm_region r;
    uint64_t size = TM_PAGE;
    if (tm_region_init(&r, &account, RESERVE) != 0) exit(1);
    for (int i = 0; i < 8; i++) {
      size_t to = size + run_random() % (3 * MIB) / TM_PAGE * TM_PAGE;
      if (tm_region_open(&r, to) != 0) exit(1);
      write_pages(&r, size - TM_PAGE, to);
      size = to;
      if (turn % 3 == 2) supply_waits(&supply);
      if (i % 2 == 0) tm_region_expect(&r, &account, size, size + run_random() % (8 * MIB));
    }
    CHECK(resident(r.base, size) == size, "turn %d", turn);
    tm_region_fini(&r);
  }
}

/* Nothing is made where a region was, also when that begins anew at the same place. */
static void ends_while_at_work(void) {
  size_t dirty = 0;
  for (int turn = 0; turn < 20; turn++) {
    struct tm_region r;
    if (tm_region_init(&r, &account, RESERVE) != 0) exit(1);
    tm_region_expect(&r, &account, 0, (size_t)(2 + turn) * MIB);
    char *at = r.base;
    tm_region_fini(&r);
    void *again = mmap(at, RESERVE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (again != at) exit(1);
    supply_waits(&supply);
    dirty += resident(at, 32 * MIB);
    munmap(at, RESERVE);
  }
  CHECK(dirty == 0, "%zu bytes in what is not the region's", dirty);
}

static void forgotten_goes_back(void) {
  for (int wait = 0; wait < 2; wait++) {
    struct tm_region r;
    int calls = 0;
    if (tm_region_init(&r, &account, RESERVE) != 0 || tm_region_open(&r, 3 * MIB) != 0) exit(1);
    write_pages(&r, 0, 3 * MIB);
    tm_region_expect(&r, &account, 3 * MIB, 40 * MIB);
    if (wait) supply_waits(&supply);
    while (!tm_region_forget(&r, 3 * MIB) && calls++ < 10000000) {}
    CHECK(supply_waits(&supply) && resident(r.base, 64 * MIB) == 3 * MIB, "%zu are there", resident(r.base, 64 * MIB));
    CHECK(r.base[3 * MIB - TM_PAGE] == 1 && tm_region_forget(&r, 0) == 1, "forgotten twice");
    /* and it can grow again */
    tm_region_expect(&r, &account, 3 * MIB, 9 * MIB);
    CHECK(tm_region_open(&r, 9 * MIB) == 0, "open");
    write_pages(&r, 3 * MIB, 9 * MIB);
    tm_region_fini(&r);
  }
}

static void budget_bounds(void) {
  struct tm_region r;
  if (tm_region_init(&r, &account, RESERVE) != 0 || tm_region_open(&r, MIB) != 0) exit(1);
  budget.limit = 10 * MIB;
  budget.used = 1 * MIB;
  tm_region_expect(&r, &account, MIB, 64 * MIB);
  CHECK(r.asked <= 10 * MIB, "asked up to %zu of 10 MiB", r.asked);
  budget.limit = budget.used = 0;
  tm_region_expect(&r, &account, MIB, RESERVE);
  CHECK(r.asked > 10 * MIB, "asked up to %zu without a limit", r.asked);
  tm_region_fini(&r);
}

/* every signal that can be blocked is, in the thread and nowhere else */
static void signals_blocked(void) {
  DIR *d = opendir("/proc/self/task");
  int found = 0;
  for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
    char path[300], line[256];
    unsigned long long blocked = 0;
    int ours = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
      ours |= strcmp(line, "Name:\ttm-supply\n") == 0;
      sscanf(line, "SigBlk: %llx", &blocked);
    }
    if (f != NULL) fclose(f);
    if (!ours) continue;
    found++;
    for (int sig = 1; sig < 32; sig++) {
      if (sig == SIGKILL || sig == SIGSTOP) continue;
      CHECK((blocked >> (sig - 1) & 1) == 1, "signal %d reaches the thread", sig);
    }
  }
  if (d != NULL) closedir(d);
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, NULL, &mine);
  CHECK(found == 1 && !sigismember(&mine, SIGTERM), "%d threads", found);
}

/* No thread can be had: what is asked is refused, and regions work as they would without. In a process of its own. */
static void no_thread(void) {
  int status = -1;
  pid_t pid = fork();
  if (pid == 0) {
    struct tm_supply none = {0};
    struct tm_account a = {&budget, &share, &none, NULL};
    struct tm_region r;
    struct rlimit as = {1, 1};
    if (SANITIZED) none.state = TM_SUPPLY_BROKEN;
    if (tm_region_init(&r, &a, RESERVE) != 0 || tm_region_open(&r, 4 * MIB) != 0) _exit(2);
    if (!SANITIZED && setrlimit(RLIMIT_AS, &as) != 0) _exit(3);
    tm_region_expect(&r, &a, MIB, 32 * MIB);
    if (none.state != TM_SUPPLY_BROKEN || r.asked != 0) _exit(4);
    if (tm_region_open(&r, 32 * MIB) != 0) _exit(5);
    write_pages(&r, 0, 32 * MIB);
    tm_region_fini(&r);
    tm_supply_fini(&none);
    _exit(0);
  }
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "status %x", (unsigned)status);
}

static struct tm_key key;

static void key_put(uint64_t id) {
  char text[24];
  int len = snprintf(text, sizeof text, "key-%llu", (unsigned long long)id);
  key.len = 0;
  tm_ffi_key_string(&key, text, len);
}

/* A table that grows to so many keys; then all but a few go. The supply has been at work, its pages come and go. */
static void table_over_it(void) {
  enum { KEYS = 700000, LEFT = 1000 };
  struct tm_budget own = {0};
  struct tm_changes *c = tm_ffi_changes_new(&own, 1);
  struct tm_state_options o = {"t", NULL, 1, 0, 32, TM_ON_FULL_REFUSE, 0, 0, 0, NULL, 0, 0};
  struct tm_state *s = tm_ffi_state_new(c, &o);
  struct tm_table *t = tm_table_of(s);
  struct tm_supply *its = t->log->supply;
  for (uint64_t i = 0; i < KEYS; i++) {
    key_put(i);
    uint64_t *r = tm_ffi_state_write(s, &key);
    if (r == NULL) exit(1);
    r[0] = i;
    tm_ffi_changes_commit(c);
  }
  CHECK(its->asked > 4 && supply_waits(its), "%u asks", its->asked);
  CHECK(t->core.heap.mem.asked > 0 && t->core.index.mem.asked > 0, "of heap and index");
  const struct tm_region *heap = &t->core.heap.mem;
  if (large_pages()) CHECK(large_bytes(heap->base, heap->base + heap->reserved) > 4 * MIB, "large pages in the heap");
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < KEYS; i++) {
    key_put(i);
    const uint64_t *r = tm_ffi_state_find(s, &key);
    wrong += r == NULL || r[0] != i || r[1] != 0;
  }
  CHECK(wrong == 0, "%llu wrong", (unsigned long long)wrong);
  for (uint64_t i = LEFT; i < KEYS; i++) {
    key_put(i);
    tm_ffi_state_remove(s, (void *)(uintptr_t)tm_ffi_state_find(s, &key));
    tm_ffi_changes_commit(c);
  }
  while (tm_ffi_changes_care(c, 1000)) {}
  CHECK(t->core.index.mem.asked == 0, "the index still has %zu asked for", t->core.index.mem.asked);
  const struct tm_region *index = &t->core.index.mem;
  CHECK(resident(index->base, 64 * MIB) < 256 * 1024, "%zu bytes left in the index", resident(index->base, 64 * MIB));
  /* and a state that is cleared while asks are out */
  for (uint64_t i = 0; i < KEYS; i++) {
    key_put(i);
    if (tm_ffi_state_write(s, &key) == NULL) exit(1);
    if (i % 350000 == 349999) CHECK(tm_ffi_state_clear(s) == 0, "clear");
    tm_ffi_changes_commit(c);
  }
  CHECK(s->keys == 0, "%g keys", s->keys);
  tm_ffi_changes_free(c);
  CHECK(own.used == 0, "%g bytes not given back", own.used);
}

int main(void) {
  no_thread();  /* first: a thread's stack stays for the next one */
  asked_pages_come();
  opening_overtakes();
  ends_while_at_work();
  forgotten_goes_back();
  budget_bounds();
  signals_blocked();
  tm_supply_fini(&supply);
  table_over_it();
  return unit_end("state_supply");
}
