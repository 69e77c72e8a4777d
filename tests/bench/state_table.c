/* state_table.c - what a keyed table costs: ns a call, bytes a key, the longest call, from 10,000 to 10,000,000 keys.
 *
 *   state_table [KEYS ...]        default 10000 100000 1000000 10000000
 *
 * Keys are strings of 8 bytes from the cells of a batch, records 32 bytes; an event is one key's lookup, announced
 * change, a few additions and the commit. All figures are thread cpu time (wall time counts the neighbours).
 *   insert    a new key an event, from an empty table to the full one
 *   update    events on random keys of the full table; ahead: with tm_ffi_state_ahead before each batch
 *   no log    as ahead, without announcing the change and without commit: what roll-back costs where nothing fails.
 *             Of these three the median of 21 turns, one after the other
 *   miss      a read at random in as many bytes as the table has, each address from the one before: what waiting for
 *             memory costs at this size. An event looks at the index, the key and record, and the links of its heap
 *   barest    what no table can go below: a random number's slot in an array as large as the index, and adding to the
 *             item of 56 bytes it names, both asked for as far ahead as tm_ffi_state_ahead does; no key, no text, no log. In
 *             pages of 2 MiB, and of 4 KiB
 *   worst     the largest bytes a key after 10,000, with key 8 + record 32 = 40 bytes the bar is 80
 *   longest   the longest single call among all inserts, removals of 90 % at random, and updates of a tenth after them,
 *             each timed by itself. On a shared machine any call may seem long, so the same events are run four times,
 *             and a call's time is the least of its four. The clock's own cost is in it. Behind it: bytes a key at the
 *             end, as a multiple of a fresh table's
 *   due       of a timed table whose keys are all there, times at random within an hour: arming each, moving so many at
 *             random, 64 records an event, each looked up before; taking each in order, one an event, while the
 *             watermark goes by seconds. Longest: a call of those that take, as above, also with all due
 *             in two ms
 * QUICK in the environment leaves the longest calls out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../../host/abi_c.h"

enum { ROWS = 1024, KEY_LEN = 8, RECORD = 32, GROUP = 64 };

static struct tm_batch batch;
static struct tm_cell cells[TM_BATCH_ROWS + 1];
static struct tm_key_columns cols;
static char text[ROWS * (KEY_LEN + 1) + 2 * TM_PAD];
static struct tm_budget budget;
static double serial;

static uint64_t random_state = 1;
static uint64_t random_next(void) {
  uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void batch_init(void) {
  batch.raw = text + TM_PAD;
  batch.rows = ROWS;
  cols.cells[0] = cells;
  cols.n = 1;
}

static void row_set(int32_t row, uint64_t id) {
  char *p = text + TM_PAD + row * (KEY_LEN + 1);
  p[0] = 'c';
  for (int i = KEY_LEN - 1; i > 0; i--, id /= 10) p[i] = (char)('0' + id % 10);
  cells[row].off = row * (KEY_LEN + 1);
  cells[row].tag = KEY_LEN << 4 | TM_KIND_STRING;
}

static struct tm_state *table_new(struct tm_changes **c, int timed) {
  struct tm_state_options o = {"bench", NULL, 5, 0, RECORD, TM_ON_FULL_REFUSE, 0, timed, 0, NULL, 0, 0};
  *c = tm_ffi_changes_new(&budget, 12345);
  struct tm_state *s = *c == NULL ? NULL : tm_ffi_state_new(*c, &o);
  if (s == NULL) exit(1);
  return s;
}

static void event(struct tm_changes *c, struct tm_state *s, int32_t row) {
  double *r = tm_ffi_state_write_row(s, &batch, &cols, row, serial);
  if (r == NULL) exit(1);
  r[0] += 1;
  r[1] += row;
  if (r[2] < row) r[2] = row;
  tm_ffi_changes_commit(c);
}

/* ids in a shuffled order without a list: an odd multiplier modulo a power of two */
static uint64_t shuffled(uint64_t i, uint64_t n) {
  uint64_t mask = 1;
  while (mask < n) mask *= 2;
  mask--;
  do i = (i * 0x5851F42D4C957F2Du + 12345) & mask;
  while (i >= n);
  return i;
}

static double insert_all(struct tm_changes *c, struct tm_state *s, uint64_t n, double *worst) {
  double spent = 0;
  *worst = 0;
  for (uint64_t i = 0; i < n;) {
    int32_t rows = n - i < ROWS ? (int32_t)(n - i) : ROWS;
    for (int32_t r = 0; r < rows; r++) row_set(r, i + (uint64_t)r);
    serial++;
    double from = now_ns();
    for (int32_t r = 0; r < rows; r++) event(c, s, r);
    spent += now_ns() - from;
    i += (uint64_t)rows;
    if (i >= 10000 && s->bytes / (double)i > *worst) *worst = s->bytes / (double)i;
  }
  return spent / (double)n;
}

/* as event(), but nothing could take it back */
static void event_for_good(struct tm_state *s, int32_t row) {
  double *r = (void *)(uintptr_t)tm_ffi_state_find_row(s, &batch, &cols, row, serial);
  if (r == NULL) exit(1);
  r[0] += 1;
  r[1] += row;
  if (r[2] < row) r[2] = row;
}

enum how { UPDATE, AHEAD, NO_LOG, WAYS };

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double update_batches(struct tm_changes *c, struct tm_state *s, uint64_t n, enum how how, int batches) {
  double spent = 0;
  for (int b = 0; b < batches; b++) {
    for (int32_t r = 0; r < ROWS; r++) row_set(r, random_next() % n);
    serial++;
    double from = now_ns();
    if (how != UPDATE) tm_ffi_state_ahead(s, &batch, &cols, 0, ROWS, serial);
    for (int32_t r = 0; r < ROWS; r++) {
      if (how == NO_LOG) event_for_good(s, r);
      else event(c, s, r);
    }
    spent += now_ns() - from;
  }
  return spent / batches / ROWS;
}

/* the ways in turn, of each the median */
static void update_all(struct tm_changes *c, struct tm_state *s, uint64_t n, double median[WAYS]) {
  enum { TURNS = 21, BATCHES = 100 };
  double took[WAYS][TURNS];
  for (int turn = 0; turn < TURNS; turn++) {
    for (enum how how = UPDATE; how < WAYS; how++) took[how][turn] = update_batches(c, s, n, how, BATCHES);
  }
  for (enum how how = UPDATE; how < WAYS; how++) {
    qsort(took[how], TURNS, sizeof took[how][0], by_value);
    median[how] = took[how][TURNS / 2];
  }
}

/* one cycle through all of so many bytes, in an order nothing foresees */
static double miss(double bytes) {
  enum { READS = 2000000, LINE = 64 };
  uint64_t n = (uint64_t)bytes / LINE;
  struct line { uint64_t next; char rest[LINE - sizeof(uint64_t)]; } *lines = calloc(n, sizeof *lines);
  if (lines == NULL) exit(1);
  for (uint64_t i = 0; i < n; i++) lines[i].next = i;
  for (uint64_t i = n - 1; i > 0; i--) {
    uint64_t k = random_next() % i, next = lines[i].next;
    lines[i].next = lines[k].next;
    lines[k].next = next;
  }
  uint64_t at = 0;
  for (int i = 0; i < READS / 10; i++) at = lines[at].next;
  double from = now_ns();
  for (int i = 0; i < READS; i++) at = lines[at].next;
  double spent = now_ns() - from;
  if (at >= n) exit(1);
  free(lines);
  return spent / READS;
}

/* memory in pages of 2 MiB, if the system has them, or of 4 KiB */
static void *pages(size_t bytes, int large) {
  enum { LARGE = 2 << 20 };
  char *p = mmap(NULL, bytes + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) exit(1);
  p += LARGE - ((uintptr_t)p & (LARGE - 1));
  madvise(p, bytes, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return p;
}

static double barest(uint64_t n, int large) {
  enum { EVENTS = 2000000, NEAR = 32, FAR = 64, ITEM = 7 };
  uint64_t cap = n * 5 / 4, ring[2 * FAR];
  struct slot { uint32_t hash, at; } *slots = pages(cap * sizeof *slots, large);
  uint64_t *items = pages(n * ITEM * sizeof *items, large);
  for (uint64_t i = 0; i < cap; i++) slots[i] = (struct slot){1, (uint32_t)(random_next() % n)};
  for (uint64_t i = 0; i < n * ITEM; i++) items[i] = i;
  double from = 0;
  for (uint64_t i = 0; i < EVENTS + 100000; i++) {
    if (i == 100000) from = now_ns();
    uint64_t slot = (random_next() >> 32) * cap >> 32;
    ring[i % (2 * FAR)] = slot;
    __builtin_prefetch(slots + slot);
    if (i < FAR) continue;
    uint64_t *next = items + ITEM * (uint64_t)slots[ring[(i - FAR + NEAR) % (2 * FAR)]].at;
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + ITEM - 1, 1);
    uint64_t *item = items + ITEM * (uint64_t)slots[ring[(i - FAR) % (2 * FAR)]].at;
    item[0] += 1;
    item[ITEM - 1] += i;
  }
  double spent = now_ns() - from;
  munmap(slots, cap * sizeof *slots);
  munmap(items, n * ITEM * sizeof *items);
  return spent / EVENTS;
}

/* one event that is timed; *least is the shortest time of this very call in all passes */
static void timed(struct tm_changes *c, struct tm_state *s, float *least, int removing) {
  double from = now_ns();
  if (removing) {
    void *record = (void *)(uintptr_t)tm_ffi_state_find_row(s, &batch, &cols, 0, serial);
    if (record != NULL) tm_ffi_state_remove(s, record);
    tm_ffi_changes_commit(c);
  } else {
    event(c, s, 0);
  }
  float took = (float)(now_ns() - from);
  if (*least == 0 || took < *least) *least = took;
}

/* the same events each time; returns bytes a key at the end */
static double pass(uint64_t n, float *times) {
  struct tm_changes *c;
  struct tm_state *s = table_new(&c, 0);
  random_state = 7;
  for (uint64_t i = 0; i < n; i++) {
    row_set(0, i);
    serial++;
    timed(c, s, times++, 0);
  }
  for (uint64_t i = 0; i < n / 10 * 9; i++) {
    row_set(0, shuffled(i, n));
    serial++;
    timed(c, s, times++, 1);
  }
  for (uint64_t i = 0; i < n / 10; i++) {
    row_set(0, shuffled(n - 1 - random_next() % (n / 10), n));
    serial++;
    timed(c, s, times++, 0);
  }
  double left = s->bytes / s->keys;
  tm_ffi_changes_free(c);
  return left;
}

static float most(const float *times, uint64_t n) {
  float m = 0;
  for (uint64_t i = 0; i < n; i++) m = times[i] > m ? times[i] : m;
  return m / 1000;
}

static void longest(uint64_t n, double fresh) {
  enum { PASSES = 4 };
  float *times = calloc(2 * n + 16, sizeof *times);
  double left = 0;
  if (times == NULL) exit(1);
  for (int i = 0; i < PASSES; i++) left = pass(n, times);
  uint64_t gone = n / 10 * 9;
  printf("  longest call, us: insert %.0f, remove %.0f, after %.0f; then %.2f times a fresh table\n", most(times, n),
         most(times + n, gone), most(times + n + gone, n / 10), left / fresh);
  free(times);
}

/* ---- due ---- */

enum { HOUR = 3600000 };

/* Arms or moves all, or as many at random, to some time of so many ms from `from` on; ns each. */
static double arm_all(struct tm_changes *c, struct tm_state *s, uint64_t n, double from, uint64_t ms, int at_random) {
  double spent = 0;
  for (uint64_t i = 0; i < n;) {
    void *records[GROUP];
    double times[GROUP];
    int32_t rows = n - i < GROUP ? (int32_t)(n - i) : GROUP;
    for (int32_t r = 0; r < rows; r++) row_set(r, at_random ? random_next() % n : i + (uint64_t)r);
    serial++;
    for (int32_t r = 0; r < rows; r++) {
      records[r] = (void *)(uintptr_t)tm_ffi_state_find_row(s, &batch, &cols, r, serial);
      times[r] = from + (double)(random_next() % ms);
    }
    double began = now_ns();
    for (int32_t r = 0; r < rows; r++) {
      if (tm_ffi_due_set(s, records[r], times[r]) < 0) exit(1);
    }
    tm_ffi_changes_commit(c);
    spent += now_ns() - began;
    i += (uint64_t)rows;
  }
  return spent / (double)n;
}

/* Takes all; times, if given, get each call's shortest. ns a record, with all calls that found none. */
static double take_all(struct tm_changes *c, struct tm_state *s, double from, uint64_t n, float *times) {
  uint64_t got = 0, calls = 0;
  double began = now_ns();
  for (double upto = from; s->due < from + 3 * HOUR; upto += 1000) {
    while (s->due <= upto) {
      double call = times == NULL ? 0 : now_ns();
      got += tm_ffi_due_pop(s, upto) != NULL;
      tm_ffi_changes_commit(c);
      if (times == NULL) continue;
      float took = (float)(now_ns() - call), *least = times + calls++;
      if (*least == 0 || took < *least) *least = took;
    }
  }
  if (got != n) exit(1);
  return (now_ns() - began) / (double)n;
}

static void due(uint64_t n) {
  enum { PASSES = 3 };
  static const double base = 1.7e12;
  struct tm_changes *c;
  struct tm_state *s = table_new(&c, 1);
  double worst;
  insert_all(c, s, n, &worst);
  double set = arm_all(c, s, n, base, HOUR, 0), move = arm_all(c, s, n, base + HOUR, HOUR, 1);
  printf("  due, ns: set %.1f, move %.1f, pop %.1f", set, move, take_all(c, s, base, n, NULL));
  for (int two_ms = 0; two_ms < 2 && getenv("QUICK") == NULL; two_ms++) {
    float *times = calloc(2 * n + 10000, sizeof *times);
    if (times == NULL) exit(1);
    for (int i = 0; i < PASSES; i++) {
      /* the same digits of time in each pass, so the same calls */
      double from = base + i * (double)(1 << 24);
      random_state = 7;
      arm_all(c, s, n, from + HOUR, two_ms ? 1 : HOUR, 0);
      arm_all(c, s, n, from, two_ms ? 1 : HOUR, 1);
      take_all(c, s, from, n, times);
    }
    printf(two_ms ? ", all in two ms %.0f" : "; longest pop, us: %.0f", most(times, 2 * n));
    free(times);
  }
  printf("\n");
  tm_ffi_changes_free(c);
}

int main(int argc, char **argv) {
  static const char *const defaults[] = {"10000", "100000", "1000000", "10000000"};
  int n = argc > 1 ? argc - 1 : 4;
  batch_init();
  printf("    keys  insert ns  update ns  ahead ns  no log ns  barest ns: large, small   miss ns   bytes/key   worst\n");
  for (int i = 0; i < n; i++) {
    uint64_t keys = strtoull(argc > 1 ? argv[i + 1] : defaults[i], NULL, 10);
    struct tm_changes *c;
    struct tm_state *s = table_new(&c, 0);
    double worst, insert = insert_all(c, s, keys, &worst), fresh = s->bytes / s->keys;
    double update[WAYS];
    update_all(c, s, keys, update);
    printf("%8" PRIu64 "  %9.1f  %9.1f  %8.1f  %9.1f  %16.1f  %5.1f  %8.1f   %9.1f  %6.1f\n", keys, insert, update[UPDATE],
           update[AHEAD], update[NO_LOG], barest(keys, 1), barest(keys, 0), miss(s->bytes), fresh, worst);
    fflush(stdout);
    tm_ffi_changes_free(c);
    if (getenv("QUICK") == NULL) longest(keys, fresh);
    due(keys);
    fflush(stdout);
  }
  return 0;
}
