/* snapshot_list.c - the manifest of snapshots: which generations there are, newest first; swapped whole by a rename. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/msgpack_bytes.h"
#include "snapshot_core.h"

enum { MANIFEST_MAX = 512, DIGITS = 16 };
static const char prefix[] = "snapshot.";

char *tm_snapshot_name(uint64_t epoch, char *out) {
  snprintf(out, TM_SNAPSHOT_NAME, "%s%016" PRIx64, prefix, epoch);
  return out;
}

uint64_t tm_snapshot_name_epoch(const char *name) {
  const char *digits = name + sizeof prefix - 1;

  if (strncmp(name, prefix, sizeof prefix - 1) != 0 || strlen(digits) != DIGITS) return 0;
  return strspn(digits, "0123456789abcdef") == DIGITS ? strtoull(digits, NULL, 16) : 0;
}

/* An array of numbers: behind it, or NULL. */
static const char *numbers(const char *p, const char *end, uint64_t *out, uint32_t n) {
  struct tm_msgpack_head h;
  int negative;

  TM_ASSERT(tm_msgpack_head_read(p, end - p, &h));  /* it lies in a value that was passed over as a whole */
  if (h.type != TM_MSGPACK_ARRAY || h.count != n) return NULL;
  p += h.len;
  for (uint32_t i = 0; i < n; i++, p += h.len) {
    TM_ASSERT(tm_msgpack_head_read(p, end - p, &h));
    if (h.type != TM_MSGPACK_INT) return NULL;
    out[i] = tm_msgpack_int_read(p, &negative);
    if (negative) return NULL;
  }
  return p;
}

/* What a body of the manifest says: 1, or 0 it is broken. */
static int take(const unsigned char *body, int64_t n, uint64_t id, struct tm_snapshot_list *list) {
  const char *end = (const char *)body + n, *p = (const char *)tm_map_find(body, n, "generations");
  uint64_t version, folder, v[3] = {0};
  struct tm_msgpack_head h;

  if (!tm_map_has_text(body, n, "format", "tidemill manifest") || !tm_map_get_number(body, n, "version", &version) ||
      version != TM_SNAPSHOT_VERSION || !tm_map_get_number(body, n, "id", &folder) || folder != id)
    return 0;
  if (p == NULL) return 0;
  TM_ASSERT(tm_msgpack_head_read(p, end - p, &h));
  if (h.type != TM_MSGPACK_ARRAY || h.count > TM_SNAPSHOT_KEPT) return 0;
  p += h.len;
  for (uint32_t i = 0; i < h.count; i++) {
    p = numbers(p, end, v, 3);
    if (p == NULL || v[1] > INT64_MAX || v[2] > UINT32_MAX) return 0;
    list->kept[i] = (struct tm_snapshot){ .epoch = v[0], .size = (int64_t)v[1], .chain = (uint32_t)v[2] };
  }
  list->n = (int)h.count;
  return 1;
}

int tm_snapshot_list_read(const struct tm_io *io, const char *dir, uint64_t id, struct tm_snapshot_list *list, struct tm_err *err) {
  char path[TM_SNAPSHOT_PATH];
  unsigned char bytes[MANIFEST_MAX];
  struct tm_record record;
  int64_t n;
  int fd;

  memset(list, 0, sizeof *list);
  fd = tm_io_open(io, tm_data_path(dir, "manifest", path), O_RDONLY, 0);
  if (fd == -ENOENT) return 0;
  if (fd < 0) return tm_err_set(err, 1, "snapshot-io", "cannot open %.400s: %s", path, strerror(-fd));
  n = tm_io_pread_all(io, fd, bytes, sizeof bytes, 0);
  io->close(io, fd);
  if (n < 0) return tm_err_set(err, 1, "snapshot-io", "cannot read %.400s: %s", path, strerror((int)-n));
  if (n >= TM_RECORD_HEAD && tm_record_read(bytes, &record) && record.type == 'M' && record.offset == 0 &&
      (int64_t)record.length == n - TM_RECORD_HEAD && tm_record_fits(bytes, &record, bytes + TM_RECORD_HEAD) &&
      take(bytes + TM_RECORD_HEAD, record.length, id, list))
    return 0;
  memset(list, 0, sizeof *list);
  return tm_err_set(err, 1, "manifest-damaged", "%.400s: the manifest of the snapshots is damaged, or another folder's. Put back a copy of the "
                    "folder, or have it made anew from the snapshots that are whole: tidemill journal repair --accept-loss %.200s", path, dir);
}

int tm_snapshot_list_write(const struct tm_io *io, const char *dir, uint64_t id, const struct tm_snapshot_list *list, struct tm_err *err) {
  unsigned char bytes[MANIFEST_MAX], *body = bytes + TM_RECORD_HEAD, *p = tm_map_begin(body, 4);

  p = tm_map_text(p, "format", "tidemill manifest");
  p = tm_map_number(p, "version", TM_SNAPSHOT_VERSION);
  p = tm_map_number(p, "id", id);
  p = tm_map_array(p, "generations", list->n);
  for (int i = 0; i < list->n; i++) {
    p = tm_map_item_array(p, 3);
    p = tm_map_item(p, list->kept[i].epoch);
    p = tm_map_item(p, (uint64_t)list->kept[i].size);
    p = tm_map_item(p, list->kept[i].chain);
  }
  TM_ASSERT(p <= bytes + sizeof bytes);
  tm_record_write(bytes, 'M', 0, body, (uint32_t)(p - body));
  return tm_data_file_write(io, dir, "manifest", bytes, p - bytes, err);
}

int tm_snapshot_due(const struct tm_snapshot_list *list, int64_t journal_bytes) {
  enum { LEAST = 64 << 20 };

  return journal_bytes >= LEAST && (list->n == 0 || journal_bytes >= list->kept[0].size);
}
