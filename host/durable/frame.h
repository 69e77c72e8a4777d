/* frame.h - the bytes of the journal: heads of segments and of frames, and what makes them valid.
 *
 * A journal is a row of files of one size, journal.0000000000000001, journal.0000000000000002, ...: its segments.
 *
 *   segment   | head, 64 bytes | frame | frame | ... | rest: zeros, or what a recycled file held before |
 *   frame     | head, 64 bytes | payload, 0 .. 1 MiB |                  (not padded, never cut by a segment's end)
 *   epoch     the payloads of one or more frames in a row; the first has FIRST, the last LAST; an epoch without LAST
 *             never happened; it may go over from one segment to the next
 *
 *   head of a segment                                 head of a frame
 *    0  "tmJsegm\n"                                    0  u32  "tmJf"
 *    8  u32  version, 1                                4  u8   version, 1
 *   12  u32  0                                         5  u8   type: 1 part of an epoch, 2 mark
 *   16  u64  number, that of the file's name           6  u16  flags: 1 FIRST, 2 LAST
 *   24  u64  id of the data folder                     8  u32  length of the payload
 *   32  u64  salt: random, another one at each use    12  u32  CRC32C of the payload
 *   40  20 bytes of 0                                 16  u64  sequence: of all frames of the journal, by one
 *   60  u32  CRC32C of bytes 0..59                    24  u64  epoch; of a mark the last one that ended
 *                                                     32  u64  durable_upto: all epochs up to it were synced before
 *                                                              this frame was written; 0 none
 *                                                     40  u64  salt of the segment
 *                                                     48  u64  id of the data folder
 *                                                     56  u32  0
 *                                                     60  u32  CRC32C of bytes 0..59
 *
 * Numbers are little-endian. A mark has no payload; one is written when a journal is closed in order, so that damage to
 * what lies before it is never taken for a torn tail. The salt tells frames of a recycled file from new ones.
 *
 * A head is valid if magic, version, reserved bytes and CRC are right; whether it is the right one in its place (number,
 * id, salt, sequence) is the reader's question. Nothing here does I/O. */
#ifndef TM_DURABLE_FRAME_H
#define TM_DURABLE_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum {
  TM_FRAME_HEAD = 64,               /* bytes in front of a payload */
  TM_SEGMENT_HEAD = 64,             /* bytes in front of a segment's frames */
  TM_FRAME_PAYLOAD_MAX = 1 << 20,
  TM_FRAME_EPOCH = 1, TM_FRAME_MARK = 2,
  TM_FRAME_FIRST = 1, TM_FRAME_LAST = 2
};

struct tm_frame {
  int type;
  unsigned flags;
  uint32_t length;                  /* of the payload */
  uint32_t payload_crc;
  uint64_t sequence;
  uint64_t epoch;
  uint64_t durable_upto;
  uint64_t salt;
  uint64_t id;
};

struct tm_segment_head {
  uint64_t number;
  uint64_t id;
  uint64_t salt;
};

/* Writes the 64 bytes of a head, its CRC included. */
void tm_frame_write(unsigned char *out, const struct tm_frame *f);
void tm_segment_head_write(unsigned char *out, const struct tm_segment_head *h);

/* Reads a head from 64 bytes: 1, or 0 it is none (then *f, *h are not to be used). A length over the maximum, an unknown
 * type or flag, a mark with payload are "none" too. */
int tm_frame_read(const unsigned char *in, struct tm_frame *f);
int tm_segment_head_read(const unsigned char *in, struct tm_segment_head *h);

/* The next place in bytes[from, n) where the four bytes of a frame's magic stand, or n. */
size_t tm_frame_find(const unsigned char *bytes, size_t from, size_t n);

#endif
