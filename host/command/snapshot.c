/* snapshot.c - `tidemill snapshot ls|verify|make|export`: the snapshots of a data folder.
 *
 * export is `state export` of one of them. make is what a run starts by itself, with --of and its own process number: then the process lowers its priority, dies with the
 * run, and says nothing when all went well. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "../durable/data_dir.h"
#include "../durable/snapshot.h"
#include "../engine/control.h"
#include "commands.h"
#include "options.h"

enum { USAGE = 2, FAILED = 1, NICE = 19 };

struct words {
  const char *what, *dir;
  int json;
  long of;                          /* the run's process; 0: somebody typed it */
};

static int words_parse(struct words *w, int argc, char *const *argv) {
  static const char *const names[] = { "ls", "verify", "make", "export" };
  const char *meant;
  int known = 0;

  memset(w, 0, sizeof *w);
  for (int i = 0; argc > 0 && i < 4; i++) known |= strcmp(argv[0], names[i]) == 0;
  if (!known) {
    meant = argc > 0 ? tm_suggest(argv[0], names, 4) : NULL;
    if (meant != NULL) tm_log_error("snapshot has no '%.80s'; did you mean 'snapshot %s'?", argv[0], meant);
    else tm_log_error("snapshot takes ls, verify or make and the data folder, or export and a script: tidemill snapshot ls DIR");
    return USAGE;
  }
  w->what = argv[0];
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      w->json = 1;
    } else if (strcmp(argv[i], "--of") == 0 && i + 1 < argc && strcmp(w->what, "make") == 0) {
      w->of = strtol(argv[++i], NULL, 10);
    } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
      tm_log_error("unknown option %.80s; snapshot has --json", argv[i]);
      return USAGE;
    } else if (w->dir != NULL) {
      tm_log_error("snapshot %s takes one folder, found '%.200s' too", w->what, argv[i]);
      return USAGE;
    } else {
      w->dir = argv[i];
    }
  }
  if (w->dir != NULL) return 0;
  tm_log_error("snapshot %s: name the data folder: tidemill snapshot %s DIR", w->what, w->what);
  return USAGE;
}

/* ls, and verify, which reads each. */
static int list_print(const struct tm_data_dir *d, const struct words *w) {
  static const struct tm_snapshot_visitor nobody = { 0 };
  int check = strcmp(w->what, "verify") == 0, bad = 0;
  struct tm_snapshot_list list;
  char name[TM_SNAPSHOT_NAME];
  struct tm_err err;

  if (tm_snapshot_list_read(d->io, d->path, d->id, &list, &err) != 0) {
    tm_log_error("%s", err.detail);
    return FAILED;
  }
  if (w->json) printf("[");
  else printf("%-26s  %20s  %14s%s\n", "SNAPSHOT", "EPOCH", "BYTES", check ? "  STATE" : "");
  for (int i = 0; i < list.n; i++) {
    const struct tm_snapshot *s = &list.kept[i];
    int whole = !check || tm_snapshot_read(d->io, d->path, d->id, s, &nobody, &err) == 0;

    if (!whole) tm_log_error("%s", err.detail);
    bad |= !whole;
    tm_snapshot_name(s->epoch, name);
    if (w->json)
      printf("%s{\"snapshot\":\"%s\",\"epoch\":%" PRIu64 ",\"bytes\":%" PRId64 "%s}", i > 0 ? ",\n " : "", name, s->epoch, s->size,
             !check ? "" : whole ? ",\"whole\":true" : ",\"whole\":false");
    else
      printf("%-26s  %20" PRIu64 "  %14" PRId64 "%s\n", name, s->epoch, s->size, !check ? "" : whole ? "  whole" : "  damaged");
  }
  if (w->json) printf("]\n");
  return tm_help_flush() != 0 || bad ? FAILED : 0;
}

/* A run's child: out of its way, and gone when it is. 0, or -1 the run is gone already. */
static int priority_lower(long of) {
  enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13 };

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if ((long)getppid() != of) return -1;
  setpriority(PRIO_PROCESS, 0, NICE);
  syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
  return 0;
}

static int make(const struct tm_data_dir *d, const struct words *w) {
  struct tm_snapshot_made made;
  struct tm_err err;

  if (tm_snapshot_merge(d->io, d->path, d->id, 0, &made, &err) != 0) {
    tm_log_error("%s", err.detail);
    return FAILED;
  }
  if (w->of != 0) return 0;
  if (w->json)
    printf("{\"made\":%s,\"epoch\":%" PRIu64 ",\"bytes\":%" PRId64 ",\"blocks\":%" PRId64 ",\"passes\":%" PRId64 "}\n", made.made ? "true" : "false",
           made.epoch, made.size, made.blocks, made.passes);
  else if (made.made)
    printf("snapshot of epoch %" PRIu64 ": %" PRId64 " bytes, %" PRId64 " blocks, the journal was read %" PRId64 " times\n", made.epoch, made.size,
           made.blocks, made.passes);
  else
    printf("nothing new since epoch %" PRIu64 "\n", made.epoch);
  return tm_help_flush();
}

/* export [EPOCH] SCRIPT --data DIR */
static int export(int argc, char *const *argv) {
  struct tm_options o;
  struct tm_err err;
  int has_epoch = argc > 0 && argv[0][0] >= '0' && argv[0][0] <= '9' && argv[0][strspn(argv[0], "0123456789")] == '\0', r;

  r = tm_options_parse(&o, TM_OPTIONS_STATE_LS, argc - has_epoch, argv + has_epoch, &tm_io_real, &err);
  if (r == TM_OPTIONS_HELP) return tm_help_print("snapshot");
  if (r != TM_OPTIONS_OK) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  if (o.data == NULL) {
    tm_log_error("snapshot export needs the folder in which the run is kept: tidemill snapshot export [EPOCH] SCRIPT --data DIR");
    return USAGE;
  }
  o.state = "export";
  o.quiet = 1;
  o.snapshot = has_epoch ? strtoll(argv[0], NULL, 10) : 0;
  return tm_control_run(&o, &tm_io_real);
}

int tm_command_snapshot(int argc, char *const *argv) {
  struct tm_data_dir d;
  struct words w;
  struct tm_err err;
  int r;

  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("snapshot");
  if (argc > 0 && strcmp(argv[0], "export") == 0) return export(argc - 1, argv + 1);
  r = words_parse(&w, argc, argv);
  if (r != 0) return r;
  if (w.of != 0 && priority_lower(w.of) != 0) return FAILED;
  if (tm_data_dir_open(&d, &tm_io_real, w.dir, TM_DATA_LOOK, &err) != 0) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  r = strcmp(w.what, "make") == 0 ? make(&d, &w) : list_print(&d, &w);
  tm_data_dir_close(&d);
  return r;
}
