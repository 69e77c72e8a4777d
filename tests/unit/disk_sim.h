/* disk_sim.h - a disk in memory behind the whole of struct tm_io, which can lose power, fail and run out of room.
 *
 * What was written and not synced is kept apart, by sectors of 512 bytes; names (made, renamed, removed) are kept apart until the
 * folder is synced. A power loss keeps each unsynced sector and each unsynced change of names, or not, as the seed has it:
 * so writes are lost, torn at sectors and reordered. All randomness, also what tm_io.random gives, comes from the seed, and
 * the clock moves by one microsecond a call: the same calls give the same trace.
 *
 * Faults: the n-th call (of all, or of one kind) fails once with an errno, or is cut short. Memory is counted as calls of
 * its own. Not thread-safe. Descriptors begin at 1000, so that a mix-up with real ones is met. */
#ifndef TM_TESTS_DISK_SIM_H
#define TM_TESTS_DISK_SIM_H

#include "../../host/base/io.h"

enum disk_call {
  DISK_OPEN, DISK_CLOSE, DISK_READ, DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_SIZE, DISK_MKDIR, DISK_RENAME, DISK_UNLINK,
  DISK_SYNC_DIR, DISK_RANDOM, DISK_FALLOCATE, DISK_LOCK, DISK_LOOK, DISK_LIST, DISK_MEMORY, DISK_CALLS
};
enum { DISK_SHORT = 1 };            /* instead of an errno: reads and writes move half of the bytes, others are left alone */

struct disk;

struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *d);
const struct tm_io *disk_io(struct disk *d);

/* The fault: call number `nth` (0: the first) of all I/O calls, of memory when memory is 1. code: an errno, or DISK_SHORT.
 * disk_fault_met: 1 when it happened since. */
void disk_fault_set(struct disk *d, int memory, int64_t nth, int code);
void disk_fault_clear(struct disk *d);
int disk_fault_met(const struct disk *d);
/* From here on all syncs fail (a broken disk), or all that needs room does. */
void disk_room_set(struct disk *d, int64_t bytes);  /* -1: no bound */
/* 1: room is asked for at each write too, as on a disk that writes nothing in its old place. */
void disk_room_anew(struct disk *d, int anew);
/* The clock goes on by so much. */
void disk_clock_add(struct disk *d, uint64_t ns);
/* Calls so far: of I/O, of memory; of one kind. */
int64_t disk_calls(const struct disk *d, int memory);
int64_t disk_calls_of(const struct disk *d, enum disk_call kind);
/* A value over all calls with their arguments and results: equal traces are equal runs. */
uint64_t disk_trace(const struct disk *d);

/* The power is lost when `nth` more calls of I/O were made: from then on every call fails with EIO, as to a process that is gone.
 * -1: never. disk_is_off: it happened. */
void disk_power_off_after(struct disk *d, int64_t nth);
int disk_is_off(const struct disk *d);
/* The machine starts again: descriptors and locks are gone; of what was not synced a part is kept, by the seed. */
void disk_power_on(struct disk *d);
/* The process was killed, the machine goes on: descriptors and locks are gone, all that was written is there. */
void disk_kill(struct disk *d);

/* A copy with all files as they are now, all synced. */
struct disk *disk_copy(const struct disk *d);
/* Direct access for tests that cut and flip: bytes of a file (NULL: there is none), its size; both count as synced. */
unsigned char *disk_file(struct disk *d, const char *path, int64_t *size);
void disk_file_cut(struct disk *d, const char *path, int64_t size);
void disk_file_remove(struct disk *d, const char *path);
/* Makes all that was written durable. */
void disk_sync_all(struct disk *d);
/* The names of files, in order of their making; NULL behind the last. */
const char *disk_name(const struct disk *d, int64_t i);
int64_t disk_memory_used(const struct disk *d);
int disk_descriptors_used(const struct disk *d);

#endif
