/* format.h - the bytes of an event log: how segments, blocks and records lie in files. Nothing here reads or writes a file.
 *
 * A log is a folder of segments. Each is a file named after the sequence number of its first record, 20 digits, and ends in .events while
 * it is written or waits to be compressed, in .packed when it was. Numbers count from 1 and have no gap. Little endian throughout.
 *
 *   segment   | head 64 | block | block | ...                                            N.events
 *             | head 64 | block | block | ... | index | end 64 |                         N.packed
 *
 *   head      0 "TMEVLOG\n"   8 version u32   12 1 packed, 0 not, u32   16 salt u64   24 first sequence u64   32 its time i64
 *            40 made at i64   48 zeros        60 CRC of the 60 bytes before
 *   block     0 "BLK1"        4 stored u32    8 raw u32   12 records u32   16 first sequence u64   24 synced u64
 *            32 least time i64   40 largest time i64   48 salt u64   56 CRC of what is stored u32   60 CRC of the 60 bytes before
 *            64 what is stored: `stored` bytes, `raw` when decompressed (zstd, where the segment is packed)
 *   raw      | time i64 * records | end u32 * records | text |       end: of the record's text, from the text's start
 *   index     as a block, "IDX1": records counts entries, first is the sequence behind the segment's last record.
 *             What is stored: | offset u64, first sequence u64, least time i64, largest time i64 | for each block
 *   end       as a block without anything stored, "END1": synced is the offset of the index, records and times the segment's
 *
 * A record is an event as JSON text with its LF, and a time: ms since 1970. `synced`: all records below that sequence were on the disk
 * when the block was written; so a block that is broken though a later one says it was synced is damage, and a torn end is not.
 * The salt is drawn by lot for each segment: no event can look like a block, and no block of another file like one of this. */
#ifndef TM_EVENTLOG_FORMAT_H
#define TM_EVENTLOG_FORMAT_H

#include <stdint.h>
#include <string.h>

enum {
  TM_EVENTLOG_VERSION = 1, TM_EVENTLOG_HEAD = 64, TM_EVENTLOG_BLOCK = 64, TM_EVENTLOG_RECORD = 12, TM_EVENTLOG_ENTRY = 32,
  TM_EVENTLOG_RAW_MAX = 96 << 20,      /* of one block: the longest row, and some */
  TM_EVENTLOG_NAME = 64                /* bytes of a log's name at most */
};

struct tm_eventlog_head {
  int packed;
  uint64_t salt;
  uint64_t first;
  int64_t first_ms;
  int64_t made_ms;
};

enum tm_eventlog_magic { TM_EVENTLOG_BLK = 0x314B4C42, TM_EVENTLOG_IDX = 0x31584449, TM_EVENTLOG_END = 0x31444E45 };

struct tm_eventlog_block {
  uint32_t magic;                      /* enum tm_eventlog_magic */
  uint32_t stored, raw, count;
  uint64_t first, synced;
  int64_t time_min, time_max;
  uint64_t salt;
  uint32_t crc;                        /* of what is stored */
};

struct tm_eventlog_entry {             /* of a packed segment's index */
  uint64_t offset, first;
  int64_t time_min, time_max;
};

/* Records of a block, decoded; borrowed of who decoded it. */
struct tm_eventlog_rows {
  uint64_t first;                      /* sequence of record 0 */
  int32_t count;
  int32_t from;                        /* the first one that was asked for */
  int32_t text_len;
  const char *times, *ends;            /* as they lie in the block */
  const char *text;
};

static inline int64_t tm_eventlog_time(const struct tm_eventlog_rows *rows, int32_t i) {
  int64_t t;
  memcpy(&t, rows->times + 8 * (size_t)i, sizeof t);
  return t;
}
/* Where record i's text ends; that of record -1 at 0. */
static inline int32_t tm_eventlog_end(const struct tm_eventlog_rows *rows, int32_t i) {
  uint32_t end = 0;
  if (i >= 0) memcpy(&end, rows->ends + 4 * (size_t)i, sizeof end);
  return (int32_t)end;
}

void tm_eventlog_head_put(char *to, const struct tm_eventlog_head *head);
/* 0; -1: no head of a segment; 1: one of another version, which is in *version. */
int tm_eventlog_head_get(const char *from, struct tm_eventlog_head *head, uint32_t *version);
/* The 64 bytes of a block; crc is that of what will be stored. */
void tm_eventlog_block_put(char *to, const struct tm_eventlog_block *block);
/* 0; -1: these are not the 64 bytes of a block of this segment. */
int tm_eventlog_block_get(const char *from, uint64_t salt, struct tm_eventlog_block *block);
/* Checks a block's raw bytes and makes rows of them: 0, -1 they make no sense. */
int tm_eventlog_rows_get(const struct tm_eventlog_block *block, const char *raw, struct tm_eventlog_rows *rows);
void tm_eventlog_entry_put(char *to, const struct tm_eventlog_entry *entry);
void tm_eventlog_entry_get(const char *from, struct tm_eventlog_entry *entry);
/* May a log be called so? Letters, digits and . _ -, not beginning with a dot. */
int tm_eventlog_name_ok(const char *name);

#endif
