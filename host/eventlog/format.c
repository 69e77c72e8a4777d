/* format.c - heads, blocks and records as bytes (format.h). */
#include "format.h"

#include "../base/crc32c.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little endian, and read as they lie");

static const char magic[8] = {'T', 'M', 'E', 'V', 'L', 'O', 'G', '\n'};

static void put32(char *to, uint32_t v) { memcpy(to, &v, sizeof v); }
static void put64(char *to, uint64_t v) { memcpy(to, &v, sizeof v); }
static uint32_t get32(const char *from) {
  uint32_t v;
  memcpy(&v, from, sizeof v);
  return v;
}
static uint64_t get64(const char *from) {
  uint64_t v;
  memcpy(&v, from, sizeof v);
  return v;
}

void tm_eventlog_head_put(char *to, const struct tm_eventlog_head *head) {
  memset(to, 0, TM_EVENTLOG_HEAD);
  memcpy(to, magic, sizeof magic);
  put32(to + 8, TM_EVENTLOG_VERSION);
  put32(to + 12, head->packed != 0);
  put64(to + 16, head->salt);
  put64(to + 24, head->first);
  put64(to + 32, (uint64_t)head->first_ms);
  put64(to + 40, (uint64_t)head->made_ms);
  put32(to + 60, tm_crc32c(0, to, 60));
}

int tm_eventlog_head_get(const char *from, struct tm_eventlog_head *head, uint32_t *version) {
  if (memcmp(from, magic, sizeof magic) != 0 || get32(from + 60) != tm_crc32c(0, from, 60)) return -1;
  *version = get32(from + 8);
  if (*version != TM_EVENTLOG_VERSION) return 1;
  *head = (struct tm_eventlog_head){.packed = get32(from + 12) != 0, .salt = get64(from + 16), .first = get64(from + 24),
                                    .first_ms = (int64_t)get64(from + 32), .made_ms = (int64_t)get64(from + 40)};
  return head->first > 0 ? 0 : -1;
}

void tm_eventlog_block_put(char *to, const struct tm_eventlog_block *block) {
  put32(to, block->magic);
  put32(to + 4, block->stored);
  put32(to + 8, block->raw);
  put32(to + 12, block->count);
  put64(to + 16, block->first);
  put64(to + 24, block->synced);
  put64(to + 32, (uint64_t)block->time_min);
  put64(to + 40, (uint64_t)block->time_max);
  put64(to + 48, block->salt);
  put32(to + 56, block->crc);
  put32(to + 60, tm_crc32c(0, to, 60));
}

int tm_eventlog_block_get(const char *from, uint64_t salt, struct tm_eventlog_block *block) {
  uint32_t kind = get32(from);
  if (kind != TM_EVENTLOG_BLK && kind != TM_EVENTLOG_IDX && kind != TM_EVENTLOG_END) return -1;
  if (get64(from + 48) != salt || get32(from + 60) != tm_crc32c(0, from, 60)) return -1;
  *block = (struct tm_eventlog_block){.magic = kind, .stored = get32(from + 4), .raw = get32(from + 8), .count = get32(from + 12),
                                      .first = get64(from + 16), .synced = get64(from + 24), .time_min = (int64_t)get64(from + 32),
                                      .time_max = (int64_t)get64(from + 40), .salt = salt, .crc = get32(from + 56)};
  return block->raw <= TM_EVENTLOG_RAW_MAX && block->stored <= TM_EVENTLOG_RAW_MAX && block->first > 0 ? 0 : -1;
}

int tm_eventlog_rows_get(const struct tm_eventlog_block *block, const char *raw, struct tm_eventlog_rows *rows) {
  uint64_t table = (uint64_t)block->count * TM_EVENTLOG_RECORD;
  if (block->count == 0 || table >= block->raw) return -1;
  *rows = (struct tm_eventlog_rows){.first = block->first, .count = (int32_t)block->count, .times = raw,
                                    .ends = raw + 8 * (size_t)block->count, .text = raw + table,
                                    .text_len = (int32_t)(block->raw - table)};
  int32_t at = 0;
  for (int32_t i = 0; i < rows->count; i++) {
    int32_t end = tm_eventlog_end(rows, i);
    if (end <= at || end > rows->text_len || rows->text[end - 1] != '\n') return -1;
    at = end;
  }
  return at == rows->text_len ? 0 : -1;
}

void tm_eventlog_entry_put(char *to, const struct tm_eventlog_entry *entry) {
  put64(to, entry->offset);
  put64(to + 8, entry->first);
  put64(to + 16, (uint64_t)entry->time_min);
  put64(to + 24, (uint64_t)entry->time_max);
}

void tm_eventlog_entry_get(const char *from, struct tm_eventlog_entry *entry) {
  *entry = (struct tm_eventlog_entry){get64(from), get64(from + 8), (int64_t)get64(from + 16), (int64_t)get64(from + 24)};
}

int tm_eventlog_name_ok(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t len = strlen(name);
  return len > 0 && len <= TM_EVENTLOG_NAME && name[0] != '.' && strspn(name, allowed) == len;
}
