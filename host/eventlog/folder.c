/* folder.c - listing segments (folder.h). */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 20 };

/* What a name says: 1 a segment, 0 something else. */
static int parse(const char *name, uint64_t *first, int *packed) {
  uint64_t n = 0;
  for (int i = 0; i < DIGITS; i++) {
    if (name[i] < '0' || name[i] > '9') return 0;
    if (n > (UINT64_MAX - 9) / 10) return 0;
    n = n * 10 + (uint64_t)(name[i] - '0');
  }
  *first = n;
  *packed = strcmp(name + DIGITS, ".packed") == 0;
  return n > 0 && (*packed || strcmp(name + DIGITS, ".events") == 0);
}

static int by_first(const void *a, const void *b) {
  const struct tm_eventlog_segment *x = a, *y = b;
  return x->first < y->first ? -1 : x->first > y->first;
}

/* One entry a segment, in order. */
static void settle(struct tm_eventlog_list *list) {
  int32_t n = 0;
  if (list->n == 0) return;
  qsort(list->items, (size_t)list->n, sizeof *list->items, by_first);
  for (int32_t i = 0; i < list->n; i++) {
    if (n > 0 && list->items[n - 1].first == list->items[i].first) {
      list->items[n - 1].packed |= list->items[i].packed;
      list->items[n - 1].plain |= list->items[i].plain;
    } else {
      list->items[n++] = list->items[i];
    }
  }
  list->n = n;
}

int tm_eventlog_list_read(const char *folder, struct tm_eventlog_list *list, struct tm_err *err) {
  *list = (struct tm_eventlog_list){0};
  int32_t cap = 0, rc = 0;
  DIR *d = opendir(folder);
  if (d == NULL && errno == ENOENT) return 1;
  if (d == NULL) return tm_err_set(err, 1, "log-folder", "%.400s: cannot be read: %s", folder, strerror(errno));
  for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
    uint64_t first;
    int packed;
    if (!parse(e->d_name, &first, &packed)) continue;
    if (list->n == cap) {
      cap = cap == 0 ? 64 : 2 * cap;
      struct tm_eventlog_segment *more = cap <= TM_EVENTLOG_SEGMENTS_MAX * 2 ? realloc(list->items, (size_t)cap * sizeof *more) : NULL;
      if (more == NULL) {
        rc = tm_err_set(err, 1, "memory", "%.400s: no memory for the list of its segments", folder);
        break;
      }
      list->items = more;
    }
    list->items[list->n++] = (struct tm_eventlog_segment){first, packed, !packed};
  }
  closedir(d);
  if (rc != 0) tm_eventlog_list_fini(list);
  else settle(list);
  return rc;
}

void tm_eventlog_list_fini(struct tm_eventlog_list *list) {
  free(list->items);
  *list = (struct tm_eventlog_list){0};
}

void tm_eventlog_path(char *out, const char *folder, uint64_t first, const char *ending) {
  snprintf(out, TM_EVENTLOG_PATH, "%s/%020llu%s", folder, (unsigned long long)first, ending);
}
