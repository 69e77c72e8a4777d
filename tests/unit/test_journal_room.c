/* test_journal_room.c - a journal on a disk that fills up and has room again: it says so, loses nothing, doubles nothing, goes on by itself.
 *
 * Room is taken away from the simulated disk, at the preparation of a segment or at each write, at chosen places and at random ones with
 * losses of power between. A run in which the disk was never full has failed. TM_CRASHES: how many random points (500). */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "journal_run.h"

enum { SEGMENT = 8192, SECOND = 1000000000 };

static struct put_list list;

static int64_t used(struct disk *d) {
  int64_t n = 0, sum = 0;

  for (int64_t i = 0; disk_name(d, i) != NULL; i++) {
    if (disk_file(d, disk_name(d, i), &n) != NULL) sum += n;
  }
  return sum;
}

static void rounds(struct tm_journal *j) {
  while (tm_journal_step(j) > 0) {}
}

/* Puts epochs of 1,000 bytes until the journal says `room`: the last epoch. */
static uint64_t put_until(struct tm_journal *j, uint64_t *x, uint64_t epoch, enum tm_journal_room room) {
  for (int i = 0; i < 100 && tm_journal_room(j, NULL) != room; i++) {
    epoch = run_put(j, &list, x, 1000, epoch + 1);
    rounds(j);
  }
  CHECK(tm_journal_room(j, NULL) == room && !tm_journal_failed(j, NULL), "room %d for %d", (int)tm_journal_room(j, NULL), (int)room);
  return epoch;
}

/* All epochs are there, none twice: the list is what was put. */
static void all_there(struct disk *d, uint64_t last, int closed) {
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g;
  int r = run_recover(d, &list, 0, &g, &scan, &err);

  CHECK(r == 0 && g.wrong == 0 && g.last == last && scan.closed == closed, "%s, epoch %" PRIu64 " of %" PRIu64, r != 0 ? err.detail : "", g.last, last);
  if (r == 0) tm_journal_scan_fini(disk_io(d), &scan);
}

/* From good over low to none and back; anew: what has no room is a write, not the next segment. */
static void states(int anew) {
  struct disk *d = run_disk(5);
  struct tm_journal_options o = run_options(d, SEGMENT);
  uint64_t x = 3, epoch, synced;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  int64_t tried;
  int r = TM_JOURNAL_OK;

  rounds(j);
  epoch = put_until(j, &x, 0, TM_JOURNAL_ROOM_GOOD);
  epoch = run_put(j, &list, &x, 1000, epoch + 1);
  rounds(j);
  CHECK(tm_journal_synced(j) == epoch, "well");
  disk_room_anew(d, anew);
  disk_room_set(d, anew ? 0 : used(d) + SEGMENT / 2);
  if (!anew) {
    epoch = put_until(j, &x, epoch, TM_JOURNAL_ROOM_LOW);
    CHECK(tm_journal_synced(j) == epoch, "what is left of the segment is used");
    CHECK(tm_journal_room(j, &err) == TM_JOURNAL_ROOM_LOW && strstr(err.detail, "No space left on device") != NULL &&
            strstr(err.detail, "journal.new") != NULL && strstr(err.detail, "make room") != NULL, "%s", err.detail);
    tried = disk_calls_of(d, DISK_FALLOCATE);
    for (int i = 0; i < 10; i++) tm_journal_step(j);
    CHECK(disk_calls_of(d, DISK_FALLOCATE) == tried, "not tried all the time");
    disk_clock_add(d, SECOND);
    tm_journal_step(j);
    CHECK(disk_calls_of(d, DISK_FALLOCATE) == tried + 1, "tried again after a second");
    CHECK(disk_file(d, RUN_DIR "/journal.new", &tried) == NULL, "what was had of the room is given back");
  }
  synced = epoch;
  epoch = put_until(j, &x, epoch, TM_JOURNAL_ROOM_NONE);
  CHECK(tm_journal_synced(j) >= synced && tm_journal_synced(j) < epoch, "not acknowledged");
  CHECK(tm_journal_room(j, &err) == TM_JOURNAL_ROOM_NONE && strstr(err.detail, "No space left on device") != NULL, "%s", err.detail);
  synced = tm_journal_synced(j);
  for (int i = 0; i < 20; i++) CHECK(tm_journal_step(j) == 0 && tm_journal_synced(j) == synced, "waits");
  all_there(d, synced, 0);  /* what a death would leave now: all that was acknowledged, nothing that was not */
  disk_room_set(d, -1);
  rounds(j);
  CHECK(tm_journal_room(j, &err) == TM_JOURNAL_ROOM_GOOD && tm_journal_synced(j) == epoch, "goes on by itself");
  epoch = run_put(j, &list, &x, 30000, epoch + 1);
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  CHECK(disk_memory_used(d) == 0 && r == TM_JOURNAL_OK, "memory");
  all_there(d, epoch, 1);
  disk_free(d);
  put_list_free(&list);
}

/* What is put fills the buffer, then no more is taken; with room again all of it is written. */
static void buffer(void) {
  struct disk *d = run_disk(6);
  struct tm_journal_options o = run_options(d, SEGMENT);
  static unsigned char piece[2000];
  uint64_t epoch = 1;
  struct tm_err err;
  struct got g;
  int r = TM_JOURNAL_OK, puts = 0;

  o.buffered_max = 20000;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);
  rounds(j);
  disk_room_set(d, 0);
  list.bytes[1] = calloc(1, 100 * sizeof piece);
  CHECK(tm_journal_begin(j) == TM_JOURNAL_OK, "begin");
  for (int i = 0; i < 100 && r != TM_JOURNAL_FULL; i++) {
    r = tm_journal_put(j, piece, sizeof piece);
    if (r == TM_JOURNAL_OK) puts++;
    rounds(j);
  }
  CHECK(r == TM_JOURNAL_FULL && puts > 10 && puts < 25 && tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_NONE, "full after %d", puts);
  disk_room_set(d, -1);
  rounds(j);
  CHECK(tm_journal_put(j, piece, sizeof piece) == TM_JOURNAL_OK && tm_journal_end(j) == epoch, "room");
  list.n[1] = (puts + 1) * (int64_t)sizeof piece;
  rounds(j);
  CHECK(tm_journal_synced(j) == 1 && tm_journal_close(j, &err) == 0, "one epoch over all of it");
  all_there(d, 1, 1);
  disk_free(d);
  put_list_free(&list);
}

/* One byte more than a segment takes beside the mark has no room in it. */
static void mark(void) {
  struct disk *d = run_disk(7);
  struct tm_journal_options o = run_options(d, SEGMENT);
  struct tm_journal_scan scan;
  uint64_t x = 5, epoch = 0;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);

  rounds(j);
  disk_room_set(d, used(d));
  epoch = put_until(j, &x, 0, TM_JOURNAL_ROOM_LOW);
  for (int64_t left = SEGMENT; left > 1600;) {
    epoch = run_put(j, &list, &x, 200, epoch + 1);
    rounds(j);
    CHECK(tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) == 0, "scan");
    left = scan.segments[scan.tail_segment].size - scan.tail_end;
    tm_journal_scan_fini(disk_io(d), &scan);
    if (left > 1600) continue;
    run_put(j, &list, &x, left - 2 * 64 + 1, epoch + 1);
    rounds(j);
  }
  CHECK(tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_NONE && tm_journal_synced(j) == epoch, "the mark's place is kept");
  CHECK(tm_journal_close(j, &err) == -1 && strcmp(err.id, "journal-room") == 0, "%s", err.detail);
  all_there(d, epoch, 0);
  disk_free(d);
  put_list_free(&list);
}

/* A journal that is ended without room: what has none is said; where only the next segment has none it is closed in order. */
static void ends(void) {
  for (int none = 0; none < 2; none++) {
    struct disk *d = run_disk(7);
    struct tm_journal_options o = run_options(d, SEGMENT);
    uint64_t x = 5, epoch, synced;
    struct tm_err err;
    struct got g;
    struct tm_journal *j = run_open(d, &o, &list, &g, &err);
    int r;

    rounds(j);
    disk_room_set(d, used(d));
    epoch = put_until(j, &x, 0, TM_JOURNAL_ROOM_LOW);
    for (int64_t left = SEGMENT; !none && left > 0;) {
      struct tm_journal_scan scan;

      CHECK(tm_journal_scan(disk_io(d), RUN_DIR, RUN_ID, &scan, &err) == 0, "scan");
      left = scan.segments[scan.tail_segment].size - scan.tail_end;
      tm_journal_scan_fini(disk_io(d), &scan);
      /* to the last byte: a frame's head, its payload, and what the mark needs */
      epoch = run_put(j, &list, &x, left > 1600 ? 200 : left - 2 * 64, epoch + 1);
      rounds(j);
      if (left <= 1600) break;
    }
    CHECK(none || tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_LOW, "all of the segment is used, and no more");
    if (none) epoch = put_until(j, &x, epoch, TM_JOURNAL_ROOM_NONE);
    synced = tm_journal_synced(j);
    CHECK(none ? synced < epoch : synced == epoch, "%" PRIu64 " of %" PRIu64, synced, epoch);
    r = tm_journal_close(j, &err);
    CHECK(r == (none ? -1 : 0), "closed: %d", r);
    if (none) CHECK(strcmp(err.id, "journal-room") == 0 && strstr(err.detail, "What was acknowledged is safe") != NULL, "%s", err.detail);
    all_there(d, synced, !none);
    disk_room_set(d, -1);
    j = run_open(d, &o, &list, &g, &err);
    CHECK(j != NULL && run_put(j, &list, &x, 9000, synced + 1) == synced + 1 && tm_journal_close(j, &err) == 0, "another life");
    all_there(d, synced + 1, 1);
    disk_free(d);
    put_list_free(&list);
  }
}

/* Segments that a snapshot makes free are room too. */
static void released(void) {
  struct disk *d = run_disk(8);
  struct tm_journal_options o = run_options(d, SEGMENT);
  uint64_t x = 5, epoch;
  struct tm_err err;
  struct got g;
  struct tm_journal *j = run_open(d, &o, &list, &g, &err);

  rounds(j);
  disk_room_set(d, used(d) + 3 * SEGMENT);
  epoch = put_until(j, &x, 0, TM_JOURNAL_ROOM_NONE);
  tm_journal_release(j, tm_journal_synced(j) - 1);
  rounds(j);
  CHECK(tm_journal_synced(j) == epoch && tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_GOOD, "made of what is no longer needed");
  for (int i = 0; i < 100; i++) {
    epoch = run_put(j, &list, &x, 2000, epoch + 1);
    rounds(j);
    tm_journal_release(j, tm_journal_synced(j) - 1);
  }
  CHECK(tm_journal_synced(j) == epoch && tm_journal_close(j, &err) == 0, "as long as it is released");
  disk_free(d);
  put_list_free(&list);
}

/* A disk without room for another segment refuses a start, which is no damage. */
static void starts(void) {
  struct disk *d = run_disk(9);
  struct tm_journal_options o = run_options(d, SEGMENT);
  uint64_t x = 5, epoch = 0;
  struct tm_err err = { 0 };
  struct got g;
  struct tm_journal *j;

  disk_room_set(d, SEGMENT / 2);
  CHECK(run_open(d, &o, &list, &g, &err) == NULL && strcmp(err.id, "journal-room") == 0, "the first: %s", err.detail);
  disk_room_set(d, -1);
  j = run_open(d, &o, &list, &g, &err);
  epoch = put_until(j, &x, epoch, TM_JOURNAL_ROOM_GOOD);
  epoch = run_put(j, &list, &x, 20000, epoch + 1);
  rounds(j);
  tm_journal_abandon(j);
  disk_kill(d);
  disk_room_set(d, used(d) - SEGMENT);
  CHECK(run_open(d, &o, &list, &g, &err) == NULL && strcmp(err.id, "journal-room") == 0, "the tail: %s", err.detail);
  CHECK(g.last == epoch && disk_memory_used(d) == 0, "taken up, not gone on with");
  disk_room_set(d, -1);
  all_there(d, epoch, 0);
  disk_free(d);
  put_list_free(&list);
}

/* ---- at random ------------------------------------------------------------------------------------------- */

static int was_none, was_low;

/* Some lives with room that comes and goes: the losses of power. */
static int lives(uint64_t seed, uint64_t *trace) {
  uint64_t x = seed * 2654435761u + 88172645463325252u, synced = 0;
  struct disk *d = run_disk(seed);
  struct tm_journal_options o = run_options(d, 4096 << run_random(&x) % 2);
  struct tm_journal_scan scan;
  struct tm_err err = { 0 };
  struct got g;
  int crashes = 0;

  for (int life = 0; life < 5; life++) {
    struct tm_journal *j = NULL;
    uint64_t epoch = 0;
    int r;

    disk_room_set(d, -1);
    disk_room_anew(d, run_random(&x) % 3 == 0);
    r = run_recover(d, &list, 0, &g, &scan, &err);
    CHECK(r == 0 && g.wrong == 0 && g.last >= synced, "seed %" PRIu64 " life %d: %s, %" PRIu64 " of %" PRIu64, seed, life, r != 0 ? err.detail : "", g.last, synced);
    if (r != 0) break;
    epoch = g.last;
    j = tm_journal_open(&o, &scan, 0, &err);
    tm_journal_scan_fini(disk_io(d), &scan);
    CHECK(j != NULL, "seed %" PRIu64 " life %d: %s", seed, life, err.detail);
    if (j == NULL) break;
    disk_power_off_after(d, (int64_t)(run_random(&x) % 300));
    for (int i = 0; i < 60 && !disk_is_off(d); i++) {
      uint64_t e;

      if (run_random(&x) % 4 == 0) disk_room_set(d, run_random(&x) % 2 == 0 ? -1 : used(d) + (int64_t)(run_random(&x) % 9000));
      e = run_put(j, &list, &x, (int64_t)(run_random(&x) % (run_random(&x) % 5 == 0 ? 9000 : 500)), epoch + 1);
      if (e == 0) break;
      epoch = e;
      if (run_random(&x) % 8 == 0) disk_clock_add(d, SECOND);
      if (run_random(&x) % 2 == 0) rounds(j);
      was_none += tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_NONE;
      was_low += tm_journal_room(j, NULL) == TM_JOURNAL_ROOM_LOW;
      CHECK(disk_is_off(d) || !tm_journal_failed(j, &err), "seed %" PRIu64 " life %d: failed: %s", seed, life, err.detail);
    }
    if (run_random(&x) % 3 == 0) {
      /* room again, and all that was put becomes durable */
      disk_room_set(d, -1);
      disk_clock_add(d, SECOND);
      rounds(j);
      CHECK(disk_is_off(d) || tm_journal_synced(j) == epoch, "seed %" PRIu64 " life %d: %" PRIu64 " of %" PRIu64, seed, life, tm_journal_synced(j), epoch);
    }
    if (tm_journal_synced(j) > synced) synced = tm_journal_synced(j);
    if (run_random(&x) % 2 == 0) {
      if (tm_journal_close(j, &err) == 0) synced = epoch;
    } else {
      tm_journal_abandon(j);
    }
    CHECK(disk_memory_used(d) == 0, "seed %" PRIu64 ": %" PRId64 " bytes left", seed, disk_memory_used(d));
    disk_power_on(d);
    crashes++;
  }
  disk_room_set(d, -1);
  *trace = disk_trace(d);
  disk_free(d);
  put_list_free(&list);
  return crashes;
}

static void random_lives(void) {
  const char *wanted = getenv("TM_CRASHES");
  int64_t crashes = 0, points = wanted != NULL ? strtoll(wanted, NULL, 10) : 500;
  uint64_t trace, again;

  for (uint64_t seed = 1; crashes < points && unit_failed == 0; seed++) {
    crashes += lives(seed, &trace);
    if (seed % 25 != 0) continue;
    lives(seed, &again);
    CHECK(trace == again, "seed %" PRIu64 " gives two traces", seed);
  }
  CHECK(was_none > points / 4 && was_low > points / 4, "%d times none, %d times low", was_none, was_low);
  printf("test_journal_room: %" PRId64 " losses of power, %d times no room\n", crashes, was_none);
}

/* ---- the helper thread ---------------------------------------------------------------------------------------- */

static atomic_int no_room;

static int scarce_fallocate(const struct tm_io *io, int fd, int64_t at, int64_t n) {
  return atomic_load(&no_room) ? -EDQUOT : tm_io_real.fallocate(io, fd, at, n);
}

/* Over real files: who waits is told, and told again when it goes on. */
static void thread(void) {
  char dir[] = "/tmp/test_journal_room.XXXXXX", command[300];
  struct tm_io io = tm_io_real;
  struct tm_journal_options o = { .io = &io, .dir = dir, .id = RUN_ID, .segment_size = SEGMENT };
  struct tm_journal_scan scan;
  struct tm_err err;
  struct got g = { .list = &list };
  static unsigned char piece[3000];
  uint64_t count, e = 0;
  int r = TM_JOURNAL_OK;

  io.fallocate = scarce_fallocate;
  CHECK(mkdtemp(dir) != NULL, "a folder");
  CHECK(tm_journal_recover(&io, dir, RUN_ID, 0, got_piece, &g, &scan, &err) == 0, "%s", err.detail);
  struct tm_journal *j = tm_journal_open(&o, &scan, 0, &err);
  tm_journal_scan_fini(&io, &scan);
  CHECK(j != NULL && tm_journal_start(j, &err) == 0, "%s", err.detail);
  atomic_store(&no_room, 1);
  for (int i = 0; i < 20 && r == TM_JOURNAL_OK; i++) {
    e++;
    list.bytes[e] = calloc(1, sizeof piece);
    list.n[e] = sizeof piece;
    CHECK(tm_journal_begin(j) == TM_JOURNAL_OK && tm_journal_put(j, piece, sizeof piece) == TM_JOURNAL_OK && tm_journal_end(j) == e, "put");
    r = tm_journal_wait(j);
  }
  CHECK(r == TM_JOURNAL_FULL && tm_journal_synced(j) == e - 1, "no room at epoch %" PRIu64, e);
  CHECK(tm_journal_room(j, &err) == TM_JOURNAL_ROOM_NONE && strstr(err.detail, "quota") != NULL, "%s", err.detail);
  struct pollfd p = { .fd = tm_journal_fd(j), .events = POLLIN };
  while (read(p.fd, &count, sizeof count) > 0) {}
  CHECK(poll(&p, 1, 0) == 0, "nothing is told while it waits");
  atomic_store(&no_room, 0);
  while (tm_journal_synced(j) < e && poll(&p, 1, 30000) == 1) CHECK(read(p.fd, &count, sizeof count) > 0, "read");
  CHECK(tm_journal_wait(j) == TM_JOURNAL_OK && tm_journal_synced(j) == e, "told");
  CHECK(tm_journal_close(j, &err) == 0, "%s", err.detail);
  g = (struct got){ .list = &list };
  CHECK(tm_journal_recover(&io, dir, RUN_ID, 0, got_piece, &g, &scan, &err) == 0 && g.wrong == 0 && g.last == e && scan.closed, "%s", err.detail);
  tm_journal_scan_fini(&io, &scan);
  snprintf(command, sizeof command, "rm -r %s", dir);
  CHECK(system(command) == 0, "removed");
  put_list_free(&list);
}

int main(void) {
  states(0);
  states(1);
  buffer();
  ends();
  mark();
  released();
  starts();
  random_lives();
  thread();
  return unit_end("test_journal_room");
}
