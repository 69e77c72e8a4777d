/* input_ring.h - what was read of a stream that nobody can read again, until an epoch that covers it is durable.
 *
 *   stream    ... ---- from ------------- offset ------------ to ----> descriptor
 *                      | durable from here | read by the worker at hand | by one that died
 *
 * A run that is kept (--data) puts what it reads of standard input here first, in memory that control makes and that outlives a worker. One that
 * follows a dead worker begins where the last durable epoch ended, and reads from here what its predecessor had read since, before it
 * asks the descriptor for more. Bound: SIZE bytes; when it is full nothing is read until an epoch is durable, which is asked for from
 * half of it on. With the end of all processes it is gone.
 *
 * A read may be cut off between the system's part and ours. Of a pipe it is known before how many bytes a read takes, so the last of
 * their places are preset: whether they are still so tells whether the read took place. */
#ifndef TM_IO_INPUT_RING_H
#define TM_IO_INPUT_RING_H

#include <stdint.h>

enum { TM_INPUT_RING = 16 << 20 };   /* bytes */

struct tm_input_ring;

/* Shared memory, of which pages are taken as they are used; NULL: there is none. Control's, before it starts a worker. */
struct tm_input_ring *tm_input_ring_new(void);
void tm_input_ring_free(struct tm_input_ring *r);

/* A worker begins at this offset of the stream: its first one with nothing in the ring, one that follows with what is there behind it. A
 * read that was cut off is taken up. Returns 1 when the stream is the one it was, 0 a new one. */
int tm_input_ring_begin(struct tm_input_ring *r, int64_t offset);
/* Bytes there from an offset on. */
int64_t tm_input_ring_rest(const struct tm_input_ring *r, int64_t offset);
/* Copies n of them, as many as are there. */
void tm_input_ring_copy(const struct tm_input_ring *r, int64_t offset, char *to, int32_t n);
/* Where the next bytes go, in one piece: *n, 0 it is full. */
char *tm_input_ring_room(struct tm_input_ring *r, int32_t *n);
/* A read of a pipe will take n bytes there, if it takes any. */
void tm_input_ring_expect(struct tm_input_ring *r, int32_t n, uint64_t seed);
/* It took n; 0: none. */
void tm_input_ring_took(struct tm_input_ring *r, int32_t n);
/* An epoch is cut that covers what is before that offset. */
void tm_input_ring_cut(struct tm_input_ring *r, int64_t offset);
/* And it is durable: that goes. */
void tm_input_ring_release(struct tm_input_ring *r);
/* 1: it is half full, and waits for an epoch; full: nothing can be read. */
int tm_input_ring_waits(const struct tm_input_ring *r);
int tm_input_ring_full(const struct tm_input_ring *r);

#endif
