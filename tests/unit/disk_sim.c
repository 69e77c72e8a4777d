/* disk_sim.c - the simulated disk; disk_sim.h says what it does. Included by the tests that use it. */
#include "disk_sim.h"

#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/base/err.h"

enum { SECTOR = 512, FD_FIRST = 1000, PATH = 256, PREFIX = 16 };

struct node {
  int is_dir;
  uint64_t number;                  /* each another one; in a copy of the disk the same */
  unsigned char *now, *safe;        /* what a reader sees; what a power loss leaves */
  int64_t now_n, safe_n, now_cap, safe_cap;
  unsigned char *dirty;             /* a byte a sector of `now` */
  int64_t dirty_cap;
  int locked_by;                    /* a descriptor, or 0 */
  struct node *next;
};

struct name {
  char path[PATH];
  struct node *node;
};
struct names {
  struct name *list;
  int64_t n, cap;
};

/* A change of names that is not synced: node NULL: `path` is removed; to: `path` is renamed. */
struct change {
  char path[PATH], to[PATH];
  struct node *node;
};

struct descriptor {
  struct node *node;                /* NULL: closed */
  int64_t at;
  int writable;
};

struct disk {
  struct tm_io io;                  /* first */
  struct node *nodes;
  struct names now, safe;
  struct change *changes;
  int64_t changes_n, changes_cap;
  struct descriptor *fds;
  int64_t fds_n, fds_bytes;
  uint64_t random, trace, clock, numbers;
  int64_t calls, memory_calls, of[DISK_CALLS];
  int64_t fault_at, short_calls;    /* fault_at -1: none */
  int fault_memory, fault_code, fault_met;
  int64_t power_at, room, memory_used;
  int off, room_anew;
};

static uint64_t disk_random(struct disk *d) {
  uint64_t z = d->random += UINT64_C(0x9e3779b97f4a7c15);  /* splitmix64 */

  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static void trace_add(struct disk *d, const void *bytes, size_t n) {
  const unsigned char *p = bytes;

  while (n-- > 0) d->trace = (d->trace ^ *p++) * UINT64_C(0x100000001b3);
}

/* Counts a call: 0 go on, DISK_SHORT, or -errno. */
static int call(struct disk *d, enum disk_call kind, const void *what, size_t n) {
  int fault = 0, memory = kind == DISK_MEMORY;
  int64_t number = memory ? d->memory_calls++ : d->calls++;

  d->of[kind]++;
  d->clock += 1000;
  trace_add(d, &kind, sizeof kind);
  trace_add(d, what, n);
  if (!memory && d->power_at >= 0 && d->power_at-- == 0) d->off = 1;
  if (!memory && d->off) return -EIO;
  if (d->fault_code == DISK_SHORT) number = kind == DISK_READ || kind == DISK_WRITE ? d->short_calls++ : -2;
  if (d->fault_at >= 0 && memory == d->fault_memory && number == d->fault_at) {
    fault = d->fault_code == DISK_SHORT ? DISK_SHORT : -d->fault_code;
    d->fault_met = 1;
  }
  return fault;
}

static struct disk *of(const struct tm_io *io) {
  return (struct disk *)(uintptr_t)io;
}

/* ---- files ------------------------------------------------------------------------ */

static void *grown(void *p, int64_t *cap, int64_t need) {
  int64_t more = *cap > 0 ? *cap : 256;

  if (need <= *cap) return p;
  while (more < need) more *= 2;
  p = realloc(p, (size_t)more);
  TM_ASSERT(p != NULL);
  memset((char *)p + *cap, 0, (size_t)(more - *cap));
  *cap = more;
  return p;
}

static void dirty_set(struct node *f, int64_t at, int64_t n) {
  f->dirty = grown(f->dirty, &f->dirty_cap, (at + n) / SECTOR + 2);
  for (int64_t s = at / SECTOR; n > 0 && s <= (at + n - 1) / SECTOR; s++) f->dirty[s] = 1;
}

static void now_resize(struct node *f, int64_t n) {
  f->now = grown(f->now, &f->now_cap, n + 1);
  if (n < f->now_n) memset(f->now + n, 0, (size_t)(f->now_n - n));
  dirty_set(f, n < f->now_n ? n : f->now_n, n < f->now_n ? f->now_n - n : n - f->now_n);
  f->now_n = n;
}

static void sector_keep(struct node *f, int64_t s) {
  int64_t at = s * SECTOR, n = f->safe_n - at < SECTOR ? f->safe_n - at : SECTOR;

  if (n <= 0) return;
  memset(f->safe + at, 0, (size_t)n);
  if (f->now_n - at < n) n = f->now_n - at;
  if (n > 0) memcpy(f->safe + at, f->now + at, (size_t)n);
}

static void safe_resize(struct node *f, int64_t n) {
  f->safe = grown(f->safe, &f->safe_cap, n + 1);
  if (n < f->safe_n) memset(f->safe + n, 0, (size_t)(f->safe_n - n));
  f->safe_n = n;
}

static void node_sync(struct node *f) {
  safe_resize(f, f->now_n);
  for (int64_t s = 0; s < f->dirty_cap; s++) {
    if (f->dirty[s]) sector_keep(f, s);
  }
  if (f->dirty_cap > 0) memset(f->dirty, 0, (size_t)f->dirty_cap);
}

/* ---- names ---------------------------------------------------------------------------- */

static struct name *name_find(struct names *t, const char *path) {
  for (int64_t i = 0; i < t->n; i++) {
    if (strcmp(t->list[i].path, path) == 0) return &t->list[i];
  }
  return NULL;
}

static void name_put(struct names *t, const char *path, struct node *f) {
  struct name *e = name_find(t, path);

  if (e == NULL) {
    if (t->n == t->cap) {
      t->cap = t->cap > 0 ? 2 * t->cap : 16;
      t->list = realloc(t->list, (size_t)t->cap * sizeof *t->list);
      TM_ASSERT(t->list != NULL);
    }
    e = &t->list[t->n++];
    snprintf(e->path, sizeof e->path, "%s", path);
  }
  e->node = f;
}

static void name_remove(struct names *t, const char *path) {
  struct name *e = name_find(t, path);

  if (e == NULL) return;
  memmove(e, e + 1, (size_t)(t->list + t->n - e - 1) * sizeof *e);
  t->n--;
}

static void change_apply(struct names *t, const struct change *c) {
  if (c->to[0] != '\0') {
    struct name *from = name_find(t, c->path);
    struct node *f = from != NULL ? from->node : NULL;

    if (f == NULL) return;
    name_remove(t, c->path);
    name_put(t, c->to, f);
  } else if (c->node != NULL) {
    name_put(t, c->path, c->node);
  } else {
    name_remove(t, c->path);
  }
}

static void change_add(struct disk *d, const char *path, const char *to, struct node *f) {
  struct change *c;

  if (d->changes_n == d->changes_cap) {
    d->changes_cap = d->changes_cap > 0 ? 2 * d->changes_cap : 16;
    d->changes = realloc(d->changes, (size_t)d->changes_cap * sizeof *d->changes);
    TM_ASSERT(d->changes != NULL);
  }
  c = &d->changes[d->changes_n++];
  snprintf(c->path, sizeof c->path, "%s", path);
  snprintf(c->to, sizeof c->to, "%s", to);
  c->node = f;
  change_apply(&d->now, c);
}

/* 1 if the path is an entry of the folder. */
static int is_in(const char *path, const char *dir) {
  const char *slash = strrchr(path, '/');
  size_t n = slash != NULL ? (size_t)(slash - path) : 0, dir_n = strlen(dir);

  if (strcmp(dir, "/") == 0) return n == 0;
  return n == dir_n && memcmp(path, dir, n) == 0;
}

static struct node *node_new(struct disk *d, int is_dir) {
  struct node *f = calloc(1, sizeof *f);

  TM_ASSERT(f != NULL);
  f->is_dir = is_dir;
  f->number = ++d->numbers;
  f->next = d->nodes;
  d->nodes = f;
  return f;
}

/* ---- the table ---------------------------------------------------------------------------- */

static struct descriptor *fd_get(struct disk *d, int fd) {
  int64_t i = fd - FD_FIRST;

  return i >= 0 && i < d->fds_n && d->fds[i].node != NULL ? &d->fds[i] : NULL;
}

static int64_t done(struct disk *d, int64_t r) {
  trace_add(d, &r, sizeof r);
  return r;
}

static int sim_open(const struct tm_io *io, const char *path, int flags, int mode) {
  struct disk *d = of(io);
  int r = call(d, DISK_OPEN, path, strlen(path));
  struct name *e = name_find(&d->now, path);
  struct node *f;

  (void)mode;
  if (r < 0) return (int)done(d, r);
  TM_ASSERT(strlen(path) < PATH);
  if (e == NULL) {
    if ((flags & O_CREAT) == 0) return (int)done(d, -ENOENT);
    f = node_new(d, 0);
    change_add(d, path, "", f);
  } else {
    f = e->node;
    if ((flags & O_EXCL) != 0) return (int)done(d, -EEXIST);
    if (f->is_dir && (flags & O_ACCMODE) != O_RDONLY) return (int)done(d, -EISDIR);
    if ((flags & O_TRUNC) != 0) now_resize(f, 0);
  }
  d->fds = grown(d->fds, &d->fds_bytes, (d->fds_n + 1) * (int64_t)sizeof *d->fds);
  d->fds[d->fds_n] = (struct descriptor){ .node = f, .writable = (flags & O_ACCMODE) != O_RDONLY };
  return (int)done(d, FD_FIRST + d->fds_n++);
}

static int sim_close(const struct tm_io *io, int fd) {
  struct disk *d = of(io);
  int r = call(d, DISK_CLOSE, &fd, sizeof fd);
  struct descriptor *x = fd_get(d, fd);

  if (x == NULL) return (int)done(d, -EBADF);
  if (x->node->locked_by == fd) x->node->locked_by = 0;
  x->node = NULL;
  return (int)done(d, r < 0 ? r : 0);
}

static int64_t sim_pread(const struct tm_io *io, int fd, void *data, size_t n, int64_t at) {
  struct disk *d = of(io);
  int r = call(d, DISK_READ, &at, sizeof at);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return done(d, r);
  if (x == NULL) return done(d, -EBADF);
  if (x->node->is_dir) return done(d, -EISDIR);
  if (at >= x->node->now_n) return done(d, 0);
  if (r == DISK_SHORT && n > 1) n /= 2;
  if ((int64_t)n > x->node->now_n - at) n = (size_t)(x->node->now_n - at);
  memcpy(data, x->node->now + at, n);
  return done(d, (int64_t)n);
}

static int64_t sim_read(const struct tm_io *io, int fd, void *data, size_t n) {
  struct descriptor *x = fd_get(of(io), fd);
  int64_t got = sim_pread(io, fd, data, n, x != NULL ? x->at : 0);

  if (got > 0) x->at += got;
  return got;
}

static int64_t room_left(const struct disk *d) {
  int64_t used = 0;

  if (d->room < 0) return INT64_MAX / 2;
  for (int64_t i = 0; i < d->now.n; i++) used += d->now.list[i].node->now_n;
  return d->room > used ? d->room - used : 0;
}

static int64_t sim_pwrite(const struct tm_io *io, int fd, const void *data, size_t n, int64_t at) {
  struct disk *d = of(io);
  int r = call(d, DISK_WRITE, data, n);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return done(d, r);
  if (x == NULL || !x->writable) return done(d, -EBADF);
  if (n == 0) return done(d, 0);
  if (r == DISK_SHORT && n > 1) n /= 2;
  if (d->room_anew && (int64_t)n > room_left(d)) return done(d, -ENOSPC);
  if (at + (int64_t)n > x->node->now_n) {
    if (at + (int64_t)n - x->node->now_n > room_left(d)) return done(d, -ENOSPC);
    now_resize(x->node, at + (int64_t)n);
  }
  memcpy(x->node->now + at, data, n);
  dirty_set(x->node, at, (int64_t)n);
  return done(d, (int64_t)n);
}

static int64_t sim_write(const struct tm_io *io, int fd, const void *data, size_t n) {
  struct descriptor *x = fd_get(of(io), fd);
  int64_t put = sim_pwrite(io, fd, data, n, x != NULL ? x->at : 0);

  if (put > 0) x->at += put;
  return put;
}

/* A failed sync leaves what was not written where readers see it, and forgets that it was not written. */
static int sim_fdatasync(const struct tm_io *io, int fd) {
  struct disk *d = of(io);
  int r = call(d, DISK_SYNC, &fd, sizeof fd);
  struct descriptor *x = fd_get(d, fd);

  if (x == NULL) return (int)done(d, -EBADF);
  if (r < 0) {
    if (!d->off && x->node->dirty_cap > 0) memset(x->node->dirty, 0, (size_t)x->node->dirty_cap);
    return (int)done(d, r);
  }
  node_sync(x->node);
  return (int)done(d, 0);
}

static int sim_ftruncate(const struct tm_io *io, int fd, int64_t size) {
  struct disk *d = of(io);
  int r = call(d, DISK_TRUNCATE, &size, sizeof size);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return (int)done(d, r);
  if (x == NULL || !x->writable) return (int)done(d, -EBADF);
  now_resize(x->node, size);
  return (int)done(d, 0);
}

static int sim_fallocate(const struct tm_io *io, int fd, int64_t at, int64_t n) {
  struct disk *d = of(io);
  int r = call(d, DISK_FALLOCATE, &n, sizeof n);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return (int)done(d, r);
  if (x == NULL || !x->writable) return (int)done(d, -EBADF);
  if (at + n > x->node->now_n) {
    if (at + n - x->node->now_n > room_left(d)) return (int)done(d, -ENOSPC);
    now_resize(x->node, at + n);
  }
  return (int)done(d, 0);
}

static int64_t sim_size(const struct tm_io *io, int fd) {
  struct disk *d = of(io);
  int r = call(d, DISK_SIZE, &fd, sizeof fd);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return done(d, r);
  if (x == NULL) return done(d, -EBADF);
  return done(d, x->node->is_dir ? -EISDIR : x->node->now_n);
}

static int sim_mkdir(const struct tm_io *io, const char *path, int mode) {
  struct disk *d = of(io);
  int r = call(d, DISK_MKDIR, path, strlen(path));

  (void)mode;
  if (r < 0) return (int)done(d, r);
  if (name_find(&d->now, path) != NULL) return (int)done(d, -EEXIST);
  change_add(d, path, "", node_new(d, 1));
  return (int)done(d, 0);
}

static int sim_rename(const struct tm_io *io, const char *from, const char *to) {
  struct disk *d = of(io);
  int r = call(d, DISK_RENAME, from, strlen(from));

  if (r < 0) return (int)done(d, r);
  if (name_find(&d->now, from) == NULL) return (int)done(d, -ENOENT);
  change_add(d, from, to, NULL);
  return (int)done(d, 0);
}

static int sim_unlink(const struct tm_io *io, const char *path) {
  struct disk *d = of(io);
  int r = call(d, DISK_UNLINK, path, strlen(path));

  if (r < 0) return (int)done(d, r);
  if (name_find(&d->now, path) == NULL) return (int)done(d, -ENOENT);
  change_add(d, path, "", NULL);
  return (int)done(d, 0);
}

static int sim_fsync_dir(const struct tm_io *io, const char *path) {
  struct disk *d = of(io);
  int r = call(d, DISK_SYNC_DIR, path, strlen(path));
  int64_t kept = 0;

  if (r < 0) return (int)done(d, r);
  for (int64_t i = 0; i < d->changes_n; i++) {
    if (is_in(d->changes[i].path, path)) change_apply(&d->safe, &d->changes[i]);
    else d->changes[kept++] = d->changes[i];
  }
  d->changes_n = kept;
  return (int)done(d, 0);
}

static uint64_t sim_mono_ns(const struct tm_io *io) {
  return of(io)->clock += 1000;
}

static int64_t sim_real_ms(const struct tm_io *io) {
  return 1700000000000 + (int64_t)(sim_mono_ns(io) / 1000000);
}

static int sim_random(const struct tm_io *io, void *data, size_t n) {
  struct disk *d = of(io);
  int r = call(d, DISK_RANDOM, &n, sizeof n);
  unsigned char *p = data;

  if (r < 0) return (int)done(d, r);
  while (n-- > 0) *p++ = (unsigned char)disk_random(d);
  return (int)done(d, 0);
}

static int sim_lock(const struct tm_io *io, int fd) {
  struct disk *d = of(io);
  int r = call(d, DISK_LOCK, &fd, sizeof fd);
  struct descriptor *x = fd_get(d, fd);

  if (r < 0) return (int)done(d, r);
  if (x == NULL) return (int)done(d, -EBADF);
  if (x->node->locked_by != 0 && x->node->locked_by != fd) return (int)done(d, -EWOULDBLOCK);
  x->node->locked_by = fd;
  return (int)done(d, 0);
}

static int sim_look(const struct tm_io *io, const char *path, struct tm_io_look *out) {
  struct disk *d = of(io);
  int r = call(d, DISK_LOOK, path, strlen(path));
  struct name *e = name_find(&d->now, path);

  if (r < 0) return (int)done(d, r);
  if (e == NULL) return (int)done(d, -ENOENT);
  *out = (struct tm_io_look){ .is_dir = e->node->is_dir, .is_file = !e->node->is_dir, .mine = 1, .size = e->node->now_n,
                              .number = e->node->number };
  return (int)done(d, 0);
}

static int sim_list(const struct tm_io *io, const char *path, int (*name)(void *ctx, const char *name), void *ctx) {
  struct disk *d = of(io);
  int r = call(d, DISK_LIST, path, strlen(path));

  if (r < 0) return (int)done(d, r);
  if (name_find(&d->now, path) == NULL) return (int)done(d, -ENOENT);
  for (int64_t i = 0; i < d->now.n && r == 0; i++) {
    if (is_in(d->now.list[i].path, path)) r = name(ctx, strrchr(d->now.list[i].path, '/') + 1);
  }
  return (int)done(d, r);
}

/* Large blocks come and go thousands of times, and a sanitizer's allocator maps each anew: a few are kept, poisoned,
 * until the program ends. */
static struct { void *block; size_t size; } spares[4];
enum { SPARE_MIN = 64 << 10 };

static void block_free(void *block, size_t size) {
  for (size_t i = 0; size >= SPARE_MIN && i < sizeof spares / sizeof spares[0]; i++) {
    if (spares[i].block != NULL) continue;
    spares[i].block = block;
    spares[i].size = size;
    ASAN_POISON_MEMORY_REGION(block, size);
    return;
  }
  free(block);
}

static void *block_new(size_t size) {
  for (size_t i = 0; size >= SPARE_MIN && i < sizeof spares / sizeof spares[0]; i++) {
    void *block = spares[i].block;

    if (block == NULL || spares[i].size != size) continue;
    spares[i].block = NULL;
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    return block;
  }
  return malloc(size);
}

static void *sim_memory(const struct tm_io *io, void *p, size_t n) {
  struct disk *d = of(io);
  char *block = p != NULL ? (char *)p - PREFIX : NULL;
  size_t had = 0;

  if (block != NULL) memcpy(&had, block, sizeof had);
  if (n == 0) {
    d->memory_used -= (int64_t)had;
    if (block != NULL) block_free(block, PREFIX + had);
    return NULL;
  }
  if (call(d, DISK_MEMORY, &n, sizeof n) < 0) return NULL;
  block = block == NULL ? block_new(PREFIX + n) : realloc(block, PREFIX + n);
  TM_ASSERT(block != NULL);
  memcpy(block, &n, sizeof n);
  d->memory_used += (int64_t)n - (int64_t)had;
  return block + PREFIX;
}

/* ---- the tests' side -------------------------------------------------------------------------- */

struct disk *disk_new(uint64_t seed) {
  struct disk *d = calloc(1, sizeof *d);

  TM_ASSERT(d != NULL);
  d->io = (struct tm_io){
    .open = sim_open, .close = sim_close, .read = sim_read, .pread = sim_pread, .write = sim_write, .pwrite = sim_pwrite,
    .fdatasync = sim_fdatasync, .ftruncate = sim_ftruncate, .size = sim_size, .mkdir = sim_mkdir, .rename = sim_rename,
    .unlink = sim_unlink, .fsync_dir = sim_fsync_dir, .mono_ns = sim_mono_ns, .real_ms = sim_real_ms, .random = sim_random,
    .fallocate = sim_fallocate, .lock = sim_lock, .look = sim_look, .list = sim_list, .memory = sim_memory,
  };
  d->random = seed;
  d->trace = UINT64_C(0xcbf29ce484222325);
  d->fault_at = d->power_at = d->room = -1;
  return d;
}

void disk_free(struct disk *d) {
  for (struct node *f = d->nodes, *next; f != NULL; f = next) {
    next = f->next;
    free(f->now);
    free(f->safe);
    free(f->dirty);
    free(f);
  }
  free(d->now.list);
  free(d->safe.list);
  free(d->changes);
  free(d->fds);
  free(d);
}

const struct tm_io *disk_io(struct disk *d) {
  return &d->io;
}

void disk_fault_set(struct disk *d, int memory, int64_t nth, int code) {
  d->fault_memory = memory;
  d->fault_code = code;
  d->fault_at = (memory ? d->memory_calls : code == DISK_SHORT ? 0 : d->calls) + nth;
  d->fault_met = 0;
  d->short_calls = 0;
}

void disk_fault_clear(struct disk *d) {
  d->fault_at = -1;
}

int disk_fault_met(const struct disk *d) {
  return d->fault_met;
}

void disk_room_set(struct disk *d, int64_t bytes) {
  d->room = bytes;
}

void disk_room_anew(struct disk *d, int anew) {
  d->room_anew = anew;
}

void disk_clock_add(struct disk *d, uint64_t ns) {
  d->clock += ns;
}

int64_t disk_calls(const struct disk *d, int memory) {
  return memory ? d->memory_calls : d->calls;
}

int64_t disk_calls_of(const struct disk *d, enum disk_call kind) {
  return d->of[kind];
}

uint64_t disk_trace(const struct disk *d) {
  return d->trace;
}

void disk_power_off_after(struct disk *d, int64_t nth) {
  d->power_at = nth;
}

int disk_is_off(const struct disk *d) {
  return d->off;
}

void disk_kill(struct disk *d) {
  d->fds_n = 0;
  for (struct node *f = d->nodes; f != NULL; f = f->next) f->locked_by = 0;
}

/* 1 with a chance of p in 4. */
static int keeps(struct disk *d, unsigned p) {
  return (disk_random(d) >> 20 & 3) < p;
}

void disk_power_on(struct disk *d) {
  unsigned p = (unsigned)(disk_random(d) >> 33) % 5;

  for (int64_t i = 0; i < d->changes_n; i++) {
    if (keeps(d, p)) change_apply(&d->safe, &d->changes[i]);
  }
  d->changes_n = 0;
  d->now.n = 0;
  for (int64_t i = 0; i < d->safe.n; i++) name_put(&d->now, d->safe.list[i].path, d->safe.list[i].node);
  for (struct node *f = d->nodes; f != NULL; f = f->next) {
    if (f->now_n != f->safe_n && keeps(d, p)) safe_resize(f, f->now_n);
    for (int64_t s = 0; s < f->dirty_cap; s++) {
      if (f->dirty[s] && keeps(d, p)) sector_keep(f, s);
    }
    if (f->dirty_cap > 0) memset(f->dirty, 0, (size_t)f->dirty_cap);
    f->now = grown(f->now, &f->now_cap, f->safe_n + 1);
    memset(f->now, 0, (size_t)f->now_cap);
    if (f->safe_n > 0) memcpy(f->now, f->safe, (size_t)f->safe_n);
    f->now_n = f->safe_n;
  }
  disk_kill(d);
  d->off = 0;
  d->power_at = -1;
}

void disk_sync_all(struct disk *d) {
  for (struct node *f = d->nodes; f != NULL; f = f->next) node_sync(f);
  for (int64_t i = 0; i < d->changes_n; i++) change_apply(&d->safe, &d->changes[i]);
  d->changes_n = 0;
}

struct disk *disk_copy(const struct disk *d) {
  struct disk *c = disk_new(d->random);

  for (int64_t i = 0; i < d->now.n; i++) {
    const struct node *from = d->now.list[i].node;
    struct node *f = node_new(c, from->is_dir);

    f->number = from->number;
    now_resize(f, from->now_n);
    if (from->now_n > 0) memcpy(f->now, from->now, (size_t)from->now_n);
    name_put(&c->now, d->now.list[i].path, f);
    name_put(&c->safe, d->now.list[i].path, f);
  }
  c->numbers = d->numbers;
  disk_sync_all(c);
  return c;
}

unsigned char *disk_file(struct disk *d, const char *path, int64_t *size) {
  struct name *e = name_find(&d->now, path);

  if (e == NULL) return NULL;
  *size = e->node->now_n;
  return e->node->now;
}

void disk_file_cut(struct disk *d, const char *path, int64_t size) {
  struct name *e = name_find(&d->now, path);

  TM_ASSERT(e != NULL);
  now_resize(e->node, size);
  node_sync(e->node);
}

void disk_file_remove(struct disk *d, const char *path) {
  name_remove(&d->now, path);
  name_remove(&d->safe, path);
}

const char *disk_name(const struct disk *d, int64_t i) {
  return i < d->now.n ? d->now.list[i].path : NULL;
}

int64_t disk_memory_used(const struct disk *d) {
  return d->memory_used;
}

int disk_descriptors_used(const struct disk *d) {
  int n = 0;

  for (int64_t i = 0; i < d->fds_n; i++) n += d->fds[i].node != NULL;
  return n;
}
