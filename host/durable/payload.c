/* payload.c - an epoch's payload taken apart, in pieces of any size; payload.h draws it. */
#include "payload.h"

#include <inttypes.h>
#include <string.h>

#include "bytes.h"

/* What is being read. */
enum { START, HEAD, RANGE, LENGTH, BYTES };

void tm_payload_reader_init(struct tm_payload_reader *r, const struct tm_io *io, const struct tm_payload_visitor *to) {
  memset(r, 0, sizeof *r);
  r->io = io;
  r->to = *to;
}

void tm_payload_reader_fini(struct tm_payload_reader *r) {
  r->io->memory(r->io, r->head, 0);
  r->head = NULL;
  r->head_cap = 0;
}

static int broken(struct tm_err *err, const char *what, uint64_t a, uint64_t b) {
  return tm_err_set(err, 1, "payload-broken", "an epoch's payload is not what a payload is: %s (%" PRIu64 ", %" PRIu64
                    "); it was written by another program, or by another version of this one", what, a, b);
}

static int head_reserve(struct tm_payload_reader *r, int64_t n, struct tm_err *err) {
  unsigned char *more;

  if (n > TM_PAYLOAD_HEAD_MAX) return broken(err, "the head is too long", (uint64_t)n, TM_PAYLOAD_HEAD_MAX);
  if (n <= r->head_cap) return 0;
  more = r->io->memory(r->io, r->head, (size_t)n);
  if (more == NULL) return tm_err_set(err, 1, "no-memory", "no memory for the head of an epoch (%" PRId64 " bytes)", n);
  r->head = more;
  r->head_cap = n;
  return 0;
}

static int head_done(struct tm_payload_reader *r, struct tm_err *err) {
  r->state = RANGE;
  return r->to.head != NULL ? r->to.head(r->to.ctx, r->head, r->head_len, err) : 0;
}

/* A range's fixed part is there: 0, or -1 with err. */
static int range_begin(struct tm_payload_reader *r, struct tm_err *err) {
  uint32_t len = tm_bytes_get32(r->part + 8);

  r->offset = tm_bytes_get64(r->part);
  r->state = len > 0 ? BYTES : LENGTH;
  r->left = len;
  if (r->offset > TM_PAYLOAD_SPACE || len > TM_PAYLOAD_SPACE - r->offset)
    return broken(err, "a range lies outside the address space", r->offset, len);
  return 0;
}

static int zero(struct tm_payload_reader *r, struct tm_err *err) {
  uint64_t n = tm_bytes_get64(r->part + TM_PAYLOAD_RANGE);

  r->state = RANGE;
  if (n == 0 || n > TM_PAYLOAD_SPACE - r->offset) return broken(err, "a range lies outside the address space", r->offset, n);
  return r->to.zero != NULL ? r->to.zero(r->to.ctx, r->offset, n, err) : 0;
}

/* Gathers r->part up to n bytes: 1 they are there. */
static int gather(struct tm_payload_reader *r, int n, const unsigned char **p, int64_t *left) {
  while (r->part_n < n && *left > 0) {
    r->part[r->part_n++] = *(*p)++;
    --*left;
  }
  return r->part_n == n;
}

/* As much as the state can take: 0, or -1 with err. */
static int step(struct tm_payload_reader *r, const unsigned char **p, int64_t *left, struct tm_err *err) {
  int64_t part;

  switch (r->state) {
    case START:
      if (!gather(r, TM_PAYLOAD_START, p, left)) return 0;
      r->part_n = 0;
      r->head_len = tm_bytes_get32(r->part);
      r->head_n = 0;
      r->state = HEAD;
      if (head_reserve(r, r->head_len, err) != 0) return -1;
      return r->head_len == 0 ? head_done(r, err) : 0;
    case HEAD:
      part = r->head_len - r->head_n < *left ? r->head_len - r->head_n : *left;
      memcpy(r->head + r->head_n, *p, (size_t)part);
      r->head_n += part;
      *p += part;
      *left -= part;
      return r->head_n == r->head_len ? head_done(r, err) : 0;
    case RANGE:
      if (!gather(r, TM_PAYLOAD_RANGE, p, left)) return 0;
      if (range_begin(r, err) != 0) return -1;
      if (r->state == BYTES) r->part_n = 0;
      return 0;
    case LENGTH:
      if (!gather(r, TM_PAYLOAD_ZERO, p, left)) return 0;
      r->part_n = 0;
      return zero(r, err);
    default:
      part = (int64_t)r->left < *left ? (int64_t)r->left : *left;
      if (r->to.bytes != NULL && r->to.bytes(r->to.ctx, r->offset, *p, part, err) != 0) return -1;
      r->offset += (uint64_t)part;
      r->left -= (uint64_t)part;
      *p += part;
      *left -= part;
      if (r->left == 0) r->state = RANGE;
      return 0;
  }
}

int tm_payload_read(struct tm_payload_reader *r, const void *piece, int64_t n, int last, struct tm_err *err) {
  const unsigned char *p = piece;

  while (n > 0) {
    if (step(r, &p, &n, err) != 0) return -1;
  }
  if (!last) return 0;
  if (r->state != RANGE || r->part_n != 0) return broken(err, "it ends within an item", (uint64_t)r->state, r->left);
  r->state = START;
  return 0;
}
