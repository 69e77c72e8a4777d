/* payload.h - the outer form of an epoch's payload: what the engine puts into the journal and the snapshot's maker reads.
 *
 *   u32 head_len | head | item | item | ...            little-endian, nothing between
 *   item   u64 offset, u32 len > 0, len bytes          these bytes of the address space are now so
 *   item   u64 offset, u32 0, u64 length > 0           these bytes became zero
 *
 * Offsets and ends are at most 2^46. Of items that overlap the later one holds. What the head says is its writer's; here
 * it is bytes (msgpack), at most TM_PAYLOAD_HEAD_MAX. */
#ifndef TM_DURABLE_PAYLOAD_H
#define TM_DURABLE_PAYLOAD_H

#include <stdint.h>

#include "../base/err.h"
#include "../base/io.h"

enum { TM_PAYLOAD_START = 4, TM_PAYLOAD_RANGE = 12, TM_PAYLOAD_ZERO = 20, TM_PAYLOAD_HEAD_MAX = 256 << 20 };
#define TM_PAYLOAD_SPACE (UINT64_C(1) << 46)

/* ---- writing: the fixed parts; the caller puts them, then the bytes they announce ---------------------- */

static inline void tm_payload_put(unsigned char *out, uint64_t v, int n) {
  for (int i = 0; i < n; i++) out[i] = (unsigned char)(v >> 8 * i);
}
/* 4 bytes in front of the head */
static inline void tm_payload_start(unsigned char *out, uint32_t head_len) {
  tm_payload_put(out, head_len, 4);
}
/* 12 bytes in front of the bytes of a range */
static inline void tm_payload_range(unsigned char *out, uint64_t offset, uint32_t len) {
  tm_payload_put(out, offset, 8);
  tm_payload_put(out + 8, len, 4);
}
/* 20 bytes: all of a range that became zero */
static inline void tm_payload_zero(unsigned char *out, uint64_t offset, uint64_t length) {
  tm_payload_put(out, offset, 8);
  tm_payload_put(out + 8, 0, 4);
  tm_payload_put(out + 12, length, 8);
}

/* ---- reading: pieces of any size go in, heads and ranges come out --------------------------------------- */

/* What is called; any may be NULL. Each returns 0, or -1 with err to stop. */
struct tm_payload_visitor {
  void *ctx;
  /* once an epoch, whole; borrowed for the call */
  int (*head)(void *ctx, const void *head, int64_t n, struct tm_err *err);
  /* a range or a part of one */
  int (*bytes)(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err);
  int (*zero)(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err);
};

struct tm_payload_reader {
  const struct tm_io *io;           /* for memory */
  struct tm_payload_visitor to;
  unsigned char *head;              /* the head being gathered; kept for the next epoch */
  int64_t head_cap, head_n, head_len;
  uint64_t offset, left;            /* of the range at hand */
  unsigned char part[TM_PAYLOAD_ZERO];
  int part_n, state;
};

void tm_payload_reader_init(struct tm_payload_reader *r, const struct tm_io *io, const struct tm_payload_visitor *to);
void tm_payload_reader_fini(struct tm_payload_reader *r);
/* The next piece of the epoch; last: the epoch ends with it, and the reader begins anew. 0, or -1 with err: the visitor's,
 * or these bytes are no payload. */
int tm_payload_read(struct tm_payload_reader *r, const void *piece, int64_t n, int last, struct tm_err *err);

#endif
