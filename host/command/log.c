/* log.c - `tidemill log ls`, `log cat` and `log verify`: the event logs of a data folder, also while they are written.
 *
 * Reads alone, and nothing of it is locked: a log that is being written is read as far as it is there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "../eventlog/first.h"
#include "../eventlog/folder.h"
#include "../eventlog/point.h"
#include "../eventlog/reader.h"
#include "commands.h"
#include "settings.h"

enum { USAGE = 2, DAMAGED = 1, LOGS_MAX = 10000, LOOK_MS = 1000 };

struct request {
  const char *word;          /* ls, cat, verify */
  const char *name;          /* NULL: none was given */
  const char *data;
  struct tm_log_point from, to;
  int json, follow;
  char folder[TM_EVENTLOG_PATH];  /* of all logs */
};

static const char *const words[] = { "ls", "cat", "verify" };

/* ---- what is asked for ---- */

static int usage_word(const char *word) {
  const char *meant = word != NULL ? tm_suggest(word, words, 3) : NULL;

  if (word == NULL) tm_log_error("log takes ls, cat or verify: 'tidemill log ls --data DIR' lists the logs of a data folder");
  else if (meant != NULL) tm_log_error("log has no '%.80s'; did you mean 'log %s'?", word, meant);
  else tm_log_error("log has no '%.80s'; it takes ls, cat or verify first: 'tidemill help log' tells more", word);
  return USAGE;
}

static int take_point(const char *option, const char *text, struct tm_log_point *to) {
  char why[256];

  if (tm_log_point_parse(text, to, why, sizeof why) == 0) return 0;
  tm_log_error("--%s: %s", option, why);
  return USAGE;
}

/* The data folder, where no option says it: TIDEMILL_DATA, then `data` of tidemill.lua. */
static int find_data(struct request *q) {
  static struct tm_settings s;
  struct tm_err err;
  const char *text = getenv("TIDEMILL_DATA");

  if (q->data == NULL && text != NULL && text[0] != '\0') q->data = text;
  if (q->data == NULL && tm_settings_read(&s, &tm_io_real, &err) != 0) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  for (int32_t at = 0; q->data == NULL && at < s.entries.len;) {
    const char *key = s.entries.data + at, *entry = key + strlen(key) + 1;

    if (strcmp(key, "data") == 0 && strncmp(entry, ".s", 2) == 0) q->data = entry + 2;
    at = (int32_t)(entry + strlen(entry) + 1 - s.entries.data);
  }
  if (q->data == NULL) {
    tm_log_error("log %s: which data folder? Give --data DIR", q->word);
    return USAGE;
  }
  snprintf(q->folder, sizeof q->folder, "%s/logs", q->data);
  return 0;
}

/* One option with a value: 0 it was taken, 1 it is none of these, else the exit code. */
static int take_value(struct request *q, int argc, char *const *argv, int *i) {
  static const char *const names[] = { "data", "from", "to" };
  const char *value = NULL;
  int which = -1;

  for (int k = 0; k < 3; k++) {
    size_t n = strlen(names[k]);
    if (strncmp(argv[*i], "--", 2) != 0 || strncmp(argv[*i] + 2, names[k], n) != 0) continue;
    if (argv[*i][2 + n] == '=') value = argv[*i] + 3 + n;
    else if (argv[*i][2 + n] != '\0') continue;
    which = k;
  }
  if (which < 0) return 1;
  if (value == NULL && *i + 1 < argc) value = argv[++*i];
  if (value == NULL || value[0] == '\0') {
    tm_log_error("--%s needs a value", names[which]);
    return USAGE;
  }
  if (which == 0) q->data = value;
  return which == 0 ? 0 : take_point(names[which], value, which == 1 ? &q->from : &q->to);
}

static int parse(struct request *q, int argc, char *const *argv) {
  for (int i = 1; i < argc; i++) {
    int rc = take_value(q, argc, argv, &i);
    if (rc > 1) return rc;
    if (rc == 0) continue;
    if (strcmp(argv[i], "--json") == 0) {
      q->json = 1;
    } else if (strcmp(argv[i], "--follow") == 0) {
      q->follow = 1;
    } else if (argv[i][0] == '-') {
      tm_log_error("unknown option %.80s; log has --data DIR, --from, --to, --json and --follow", argv[i]);
      return USAGE;
    } else if (q->name != NULL) {
      tm_log_error("log %s takes one name, found '%.80s' too", q->word, argv[i]);
      return USAGE;
    } else {
      q->name = argv[i];
    }
  }
  if (q->name == NULL && strcmp(q->word, "cat") == 0) {
    tm_log_error("log cat takes the NAME of a log: 'tidemill log ls' lists them");
    return USAGE;
  }
  if (q->name != NULL && !tm_eventlog_name_ok(q->name)) {
    tm_log_error("'%.80s' is no name of a log: it has letters, digits and . _ -, and does not begin with a dot", q->name);
    return USAGE;
  }
  if (q->follow && q->to.kind == TM_LOG_POINT_TIME) {
    tm_log_error("--to: events of a time may always come later, so with --follow there is no end by time");
    return USAGE;
  }
  return find_data(q);
}

/* ---- the logs there are ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of the logs of the folder, sorted; the caller's. -1: told. */
static int32_t log_names(const struct request *q, char ***names) {
  DIR *d = opendir(q->folder);
  int32_t n = 0;

  *names = NULL;
  if (d == NULL && errno == ENOENT) return 0;
  if (d == NULL) {
    tm_log_error("%s: cannot be read: %s", q->folder, strerror(errno));
    return -1;
  }
  *names = calloc(LOGS_MAX, sizeof **names);
  for (struct dirent *e; *names != NULL && n < LOGS_MAX && (e = readdir(d)) != NULL;)
    if (tm_eventlog_name_ok(e->d_name) && ((*names)[n] = strdup(e->d_name)) != NULL) n++;
  closedir(d);
  if (n > 0) qsort(*names, (size_t)n, sizeof **names, by_name);
  return n;
}

static void names_free(char **names, int32_t n) {
  for (int32_t i = 0; i < n; i++) free(names[i]);
  free(names);
}

static void log_folder(const struct request *q, const char *name, char *out) {
  snprintf(out, TM_EVENTLOG_PATH, "%.4000s/%.64s", q->folder, name);
}

/* There is no log of that name: says which there are. */
static int no_log(const struct request *q) {
  char **names;
  int32_t n = log_names(q, &names);
  const char *meant = n > 0 ? tm_suggest(q->name, (const char *const *)names, n) : NULL;

  if (meant != NULL) tm_log_error("%s has no log '%s'; did you mean '%s'?", q->data, q->name, meant);
  else if (n > 0) tm_log_error("%s has no log '%s'; 'tidemill log ls' lists the %d there are", q->data, q->name, n);
  else if (n == 0) tm_log_error("%s has no log '%s', nor any other", q->data, q->name);
  names_free(names, n > 0 ? n : 0);
  return DAMAGED;
}

/* ---- ls ---- */

static const char *time_text(int64_t ms, char *out, size_t size) {
  time_t s = (time_t)(ms >= 0 ? ms / 1000 : -((999 - ms) / 1000));
  struct tm tm;

  if (gmtime_r(&s, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 8099) snprintf(out, size, "@%lld", (long long)ms);
  else
    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(ms - (int64_t)s * 1000));
  return out;
}

static int list(const struct request *q) {
  char **names, folder[TM_EVENTLOG_PATH], when[40];
  int32_t n = log_names(q, &names);
  int code = n < 0 ? DAMAGED : 0, shown = 0;

  if (q->json) printf("[");
  else if (n > 0) printf("%-24s %14s %14s %14s %9s %14s  %s\n", "LOG", "RECORDS", "FIRST", "LAST", "SEGMENTS", "BYTES", "FIRST TIME");
  for (int32_t i = 0; i < n; i++) {
    struct tm_eventlog_extent x;
    struct tm_err err;

    if (q->name != NULL && strcmp(q->name, names[i]) != 0) continue;
    log_folder(q, names[i], folder);
    int rc = tm_eventlog_extent_read(&tm_io_real, folder, &x, &err);
    if (rc < 0) {
      tm_log_error("%s", err.detail);
      code = DAMAGED;
    }
    if (q->json)
      printf("%s{\"name\":\"%s\",\"first\":%llu,\"end\":%llu,\"segments\":%d,\"packed\":%d,\"bytes\":%lld,\"first_time\":%lld}", shown ? ",\n " : "",
             names[i], (unsigned long long)x.first, (unsigned long long)x.durable, x.segments, x.packed, (long long)x.bytes, (long long)x.first_ms);
    else
      printf("%-24s %14llu %14llu %14llu %9d %14lld  %s\n", names[i], (unsigned long long)(x.durable - x.first), (unsigned long long)x.first,
             (unsigned long long)x.durable - 1, x.segments, (long long)x.bytes, x.segments > 0 ? time_text(x.first_ms, when, sizeof when) : "-");
    shown++;
  }
  if (q->json) printf("]\n");
  names_free(names, n > 0 ? n : 0);
  if (q->name != NULL && shown == 0 && code == 0) code = no_log(q);
  else if (n == 0 && !q->json) tm_log_info("%s has no logs", q->data);
  return tm_help_flush() != 0 ? 1 : code;
}

/* ---- cat ---- */

/* 1: what lies behind the range has come. */
static int print_rows(const struct request *q, const struct tm_eventlog_rows *rows) {
  for (int32_t i = rows->from; i < rows->count; i++) {
    uint64_t sequence = rows->first + (uint64_t)i;
    int64_t time = tm_eventlog_time(rows, i);
    int32_t from = tm_eventlog_end(rows, i - 1), len = tm_eventlog_end(rows, i) - from;

    if (q->to.kind == TM_LOG_POINT_SEQUENCE && (double)sequence > q->to.value) return 1;
    if (q->from.kind == TM_LOG_POINT_TIME && (double)time < q->from.value) continue;
    if (q->to.kind == TM_LOG_POINT_TIME && (double)time > q->to.value) continue;
    if (q->json)
      printf("{\"sequence\":%llu,\"time\":%lld,\"event\":%.*s}\n", (unsigned long long)sequence, (long long)time, len - 1, rows->text + from);
    else fwrite(rows->text + from, 1, (size_t)len, stdout);
  }
  return 0;
}

/* Waits for something to happen in the folder. */
static void wait_for_more(int notify, const char *folder, int *watched) {
  char events[4096];
  struct pollfd p = { .fd = notify, .events = POLLIN };

  if (notify >= 0 && !*watched) *watched = inotify_add_watch(notify, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0;
  poll(&p, notify >= 0 ? 1 : 0, *watched ? LOOK_MS : LOOK_MS / 4);
  while (notify >= 0 && read(notify, events, sizeof events) > 0) continue;
}

static int cat(const struct request *q) {
  char folder[TM_EVENTLOG_PATH];
  struct tm_eventlog_extent x;
  struct tm_eventlog_rows rows;
  struct tm_err err;
  int notify = -1, watched = 0, rc, code = 0;

  log_folder(q, q->name, folder);
  rc = tm_eventlog_extent_read(&tm_io_real, folder, &x, &err);
  if (rc > 0 && !q->follow) return no_log(q);
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  if (r == NULL) {
    tm_log_error("no memory to read a log");
    return 1;
  }
  tm_eventlog_reader_durable(r);
  uint64_t from = q->from.kind == TM_LOG_POINT_END ? x.durable : q->from.kind == TM_LOG_POINT_SEQUENCE ? (uint64_t)q->from.value : 0;
  tm_eventlog_reader_times(r, q->from.kind == TM_LOG_POINT_TIME ? (int64_t)ceil(q->from.value) : INT64_MIN,
                           q->to.kind == TM_LOG_POINT_TIME ? (int64_t)floor(q->to.value) : INT64_MAX);
  tm_eventlog_reader_seek(r, from);
  if (q->follow) notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  for (;;) {
    rc = tm_eventlog_reader_next(r, &rows, &err);
    uint64_t lost = tm_eventlog_reader_lost(r);
    if (lost > 0) tm_log_warning("%s: %llu records were deleted by its retention", q->name, (unsigned long long)lost);
    if (rc < 0 || (rc == 0 && !q->follow)) break;
    if (rc == 0) {
      if (tm_help_flush() != 0) code = 1;
      if (code != 0) break;
      wait_for_more(notify, folder, &watched);
    } else if (print_rows(q, &rows) || (q->to.kind == TM_LOG_POINT_SEQUENCE && (double)tm_eventlog_reader_at(r) > q->to.value)) {
      rc = 0;
      break;
    }
    if (ferror(stdout)) break;
  }
  if (rc < 0) {
    tm_help_flush();
    tm_log_error("%s", err.detail);
    code = DAMAGED;
  }
  tm_eventlog_reader_free(r);
  if (notify >= 0) close(notify);
  return tm_help_flush() != 0 ? 1 : code;
}

/* ---- verify ---- */

/* Reads a segment, up to where the next one begins (0: it is the newest): 0, 1 it is damaged, which is told. */
static int verify_segment(const char *name, const char *folder, uint64_t first, uint64_t end, uint64_t *records) {
  struct tm_eventlog_reader *r = tm_eventlog_reader_new(&tm_io_real, folder);
  struct tm_eventlog_rows rows;
  struct tm_err err;
  uint64_t segment, at = first;
  int64_t offset;
  int rc = 1;

  if (r == NULL) {
    tm_log_error("no memory to read a log");
    return 1;
  }
  tm_eventlog_reader_seek(r, first);
  while ((end == 0 || at < end) && (rc = tm_eventlog_reader_next(r, &rows, &err)) > 0) {
    at = tm_eventlog_reader_at(r);
    *records += (uint64_t)(rows.count - rows.from);
  }
  tm_eventlog_reader_place(r, &segment, &offset);
  if (rc < 0) printf("%s: damaged: %s\n", name, err.detail);
  else if (end != 0 && at != end) {
    printf("%s: damaged: segment %020llu ends at record %llu, and the next one begins with %llu\n", name, (unsigned long long)first,
           (unsigned long long)at, (unsigned long long)end);
    rc = -1;
  } else if (end == 0 && segment == first) {
    char path[TM_EVENTLOG_PATH];
    tm_eventlog_path(path, folder, first, ".events");
    int fd = tm_io_real.open(&tm_io_real, path, O_RDONLY, 0);
    int64_t size = fd >= 0 ? tm_io_real.size(&tm_io_real, fd) : 0;
    if (fd >= 0) tm_io_real.close(&tm_io_real, fd);
    if (size > offset) tm_log_info("%s: the last %lld bytes of segment %020llu are of a write that is under way, or was cut off", name,
                                   (long long)(size - offset), (unsigned long long)first);
  }
  tm_eventlog_reader_free(r);
  return rc < 0;
}

static int verify_log(const struct request *q, const char *name) {
  char folder[TM_EVENTLOG_PATH];
  struct tm_eventlog_list segments;
  struct tm_err err;
  uint64_t records = 0;
  int damaged = 0;

  log_folder(q, name, folder);
  if (tm_eventlog_list_read(folder, &segments, &err) < 0) {
    tm_log_error("%s", err.detail);
    return 1;
  }
  if (tm_eventlog_first_check(&tm_io_real, folder, &segments, &err) != 0) {
    printf("%s: damaged: %s\n", name, err.detail);
    damaged++;
  }
  for (int32_t i = 0; i < segments.n; i++)
    damaged += verify_segment(name, folder, segments.items[i].first, i + 1 < segments.n ? segments.items[i + 1].first : 0, &records);
  printf("%s: %s: %llu records in %d segments%s\n", name, damaged > 0 ? "damaged" : "ok", (unsigned long long)records, segments.n,
         damaged > 0 ? " could be read" : "");
  tm_eventlog_list_fini(&segments);
  return damaged > 0;
}

static int verify(const struct request *q) {
  char **names;
  int32_t n = log_names(q, &names);
  int damaged = 0, seen = 0;

  for (int32_t i = 0; i < n; i++) {
    if (q->name != NULL && strcmp(names[i], q->name) != 0) continue;
    seen++;
    damaged |= verify_log(q, names[i]);
  }
  names_free(names, n > 0 ? n : 0);
  if (q->name != NULL && seen == 0) return no_log(q);
  if (n == 0) tm_log_info("%s has no logs", q->data);
  return tm_help_flush() != 0 || n < 0 ? 1 : damaged ? DAMAGED : 0;
}

int tm_command_log(int argc, char *const *argv) {
  struct request q = { .to = { TM_LOG_POINT_END, 0 } };
  int rc, i = 0;

  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("log");
  while (argc > 0 && i < 3 && strcmp(argv[0], words[i]) != 0) i++;
  if (argc == 0 || i == 3) return usage_word(argc > 0 ? argv[0] : NULL);
  for (int k = 1; k < argc; k++)
    if (strcmp(argv[k], "-h") == 0 || strcmp(argv[k], "--help") == 0) return tm_help_print("log");
  q.word = words[i];
  if ((rc = parse(&q, argc, argv)) != 0) return rc;
  return i == 0 ? list(&q) : i == 1 ? cat(&q) : verify(&q);
}
