/* journal.c - `tidemill journal ls|verify|cat|repair`: what the journal of a data folder holds, and the way out of damage.
 *
 * Reads the files as a recovery does, by host/durable; only repair locks the folder and changes something. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/log.h"
#include "../base/suggest.h"
#include "../durable/data_dir.h"
#include "../durable/journal.h"
#include "../durable/payload.h"
#include "commands.h"

enum { USAGE = 2, FAILED = 1 };

struct words {
  const char *what, *dir;
  int json, accept;
};

static const char *const subcommands[] = { "ls", "verify", "cat", "repair" };
enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static int unknown_word(const char *word) {
  const char *meant = word != NULL ? tm_suggest(word, subcommands, SUBCOMMANDS) : NULL;

  if (word == NULL) tm_log_error("journal takes ls, verify, cat or repair, and the data folder: tidemill journal ls DIR");
  else if (meant != NULL) tm_log_error("journal has no '%.80s'; did you mean 'journal %s'?", word, meant);
  else tm_log_error("journal has no '%.80s'; it takes ls, verify, cat or repair first: 'tidemill help journal' tells more", word);
  return USAGE;
}

static int words_parse(struct words *w, int argc, char *const *argv) {
  int known = 0;

  memset(w, 0, sizeof *w);
  for (int i = 0; argc > 0 && i < SUBCOMMANDS; i++) known |= strcmp(argv[0], subcommands[i]) == 0;
  if (!known) return unknown_word(argc > 0 ? argv[0] : NULL);
  w->what = argv[0];
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0 && (strcmp(w->what, "ls") == 0 || strcmp(w->what, "verify") == 0)) {
      w->json = 1;
    } else if (strcmp(argv[i], "--accept-loss") == 0 && strcmp(w->what, "repair") == 0) {
      w->accept = 1;
    } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
      tm_log_error("unknown option %.80s; 'tidemill help journal' tells what journal %s takes", argv[i], w->what);
      return USAGE;
    } else if (w->dir != NULL) {
      tm_log_error("journal %s takes one folder, found '%.200s' too", w->what, argv[i]);
      return USAGE;
    } else {
      w->dir = argv[i];
    }
  }
  if (w->dir != NULL) return 0;
  tm_log_error("journal %s: name the data folder: tidemill journal %s DIR", w->what, w->what);
  return USAGE;
}

static void in_use_say(const struct tm_data_dir *d) {
  if (d->in_use_by != 0) tm_log_info("the data folder is in use by process %d: it may be changing", d->in_use_by);
}

/* ---- ls ----------------------------------------------------------------------------------- */

static const char *segment_state(const struct tm_journal_scan *s, int64_t i) {
  if (s->damaged && s->segments[i].number == s->damage_segment) return "damaged";
  if (s->segments[i].end == 0) return "no head";
  if (s->segments[i].frames == 0) return "ready";
  if (i < s->tail_segment) return "sealed";
  return s->closed ? "closed" : "open";
}

static int list_print(const struct tm_journal_scan *s, int json) {
  if (!json) printf("%-16s  %12s  %10s  %-24s  %s\n", "SEGMENT", "BYTES", "FRAMES", "EPOCHS", "STATE");
  else printf("[");
  for (int64_t i = 0; i < s->segments_n; i++) {
    const struct tm_segment *g = &s->segments[i];
    char epochs[64] = "-";

    if (g->frames > 0) snprintf(epochs, sizeof epochs, "%" PRIu64 " - %" PRIu64, g->epoch_first, g->epoch_last);
    if (json)
      printf("%s{\"segment\":\"%016" PRIx64 "\",\"bytes\":%" PRId64 ",\"frames\":%" PRIu64 ",\"epoch_first\":%" PRIu64
             ",\"epoch_last\":%" PRIu64 ",\"state\":\"%s\"}", i > 0 ? ",\n " : "", g->number, g->end, g->frames, g->epoch_first, g->epoch_last,
             segment_state(s, i));
    else
      printf("%016" PRIx64 "  %12" PRId64 "  %10" PRIu64 "  %-24s  %s\n", g->number, g->end, g->frames, epochs, segment_state(s, i));
  }
  if (json) printf("]\n");
  return tm_help_flush();
}

/* ---- verify ---------------------------------------------------------------------------------- */

/* Would a run start? The state is read as it would be, and thrown away. */
static int bytes_drop(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  (void)offset, (void)bytes, (void)err;
  *(int64_t *)ctx += n;
  return 0;
}

static int zero_drop(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  (void)ctx, (void)offset, (void)n, (void)err;
  return 0;
}

static int verify(const struct tm_data_dir *d, int json) {
  struct tm_journal_scan scan;
  struct tm_err err;
  int64_t bytes = 0;
  const struct tm_data_load to = { .ctx = &bytes, .bytes = bytes_drop, .zero = zero_drop };
  uint64_t epoch, snapshot;

  if (tm_data_load(d, &to, &epoch, &snapshot, &scan, &err) != 0) {
    tm_log_error("%s", err.detail);
    return FAILED;
  }
  if (json)
    printf("{\"epoch\":%" PRIu64 ",\"snapshot\":%" PRIu64 ",\"segments\":%" PRId64 ",\"bytes\":%" PRId64 ",\"torn_bytes\":%" PRId64
           ",\"closed\":%s}\n", epoch, snapshot, scan.segments_n, scan.bytes, scan.torn_bytes, scan.closed ? "true" : "false");
  else
    printf("whole up to epoch %" PRIu64 " (snapshot of epoch %" PRIu64 ", %" PRId64 " segments with %" PRId64 " bytes of frames, %s; torn: %" PRId64
           " bytes)\n", epoch, snapshot, scan.segments_n, scan.bytes, scan.closed ? "closed in order" : "not closed", scan.torn_bytes);
  tm_journal_scan_fini(d->io, &scan);
  return tm_help_flush();
}

/* ---- cat -------------------------------------------------------------------------------------- */

struct epoch_sum {
  struct tm_payload_reader reader;
  int64_t bytes, head, ranges, changed;
  uint64_t zeroed;
};

static int sum_head(void *ctx, const void *head, int64_t n, struct tm_err *err) {
  (void)head, (void)err;
  ((struct epoch_sum *)ctx)->head = n;
  return 0;
}

static int sum_bytes(void *ctx, uint64_t offset, const void *bytes, int64_t n, struct tm_err *err) {
  struct epoch_sum *s = ctx;

  (void)offset, (void)bytes, (void)err;
  /* a range may come in parts: it is counted with its last */
  s->ranges += (int64_t)s->reader.left == n;
  s->changed += n;
  return 0;
}

static int sum_zero(void *ctx, uint64_t offset, uint64_t n, struct tm_err *err) {
  struct epoch_sum *s = ctx;

  (void)offset, (void)err;
  s->ranges++;
  s->zeroed += n;
  return 0;
}

static int sum_piece(void *ctx, uint64_t epoch, const void *piece, int64_t n, int last, struct tm_err *err) {
  struct epoch_sum *s = ctx;

  s->bytes += n;
  if (tm_payload_read(&s->reader, piece, n, last, err) != 0) return -1;
  if (!last) return 0;
  printf("{\"epoch\":%" PRIu64 ",\"bytes\":%" PRId64 ",\"head\":%" PRId64 ",\"ranges\":%" PRId64 ",\"changed\":%" PRId64 ",\"zeroed\":%" PRIu64 "}\n",
         epoch, s->bytes, s->head, s->ranges, s->changed, s->zeroed);
  s->bytes = s->head = s->ranges = s->changed = 0;
  s->zeroed = 0;
  return 0;
}

static int cat(const struct tm_data_dir *d, const struct tm_journal_scan *s) {
  struct epoch_sum sum = { .bytes = 0 };
  const struct tm_payload_visitor to = { &sum, sum_head, sum_bytes, sum_zero };
  uint64_t after = s->epoch_first > 0 ? s->epoch_first - 1 : s->epoch_last;
  struct tm_err err;
  int r;

  tm_payload_reader_init(&sum.reader, d->io, &to);
  r = tm_journal_replay(d->io, d->path, d->id, s, after, UINT64_MAX, sum_piece, &sum, &err);
  tm_payload_reader_fini(&sum.reader);
  if (r != 0) tm_log_error("%s", err.detail);
  return tm_help_flush() != 0 || r != 0 ? FAILED : 0;
}

/* ---- repair ------------------------------------------------------------------------------------- */

static int repair(const struct tm_data_dir *d, int accept) {
  struct tm_journal_loss loss;
  struct tm_err err;

  if (tm_journal_repair(d->io, d->path, d->id, accept, &loss, &err) != 0) {
    tm_log_error("%s", err.detail);
    return FAILED;
  }
  if (!loss.damaged && !loss.manifest) {
    tm_log_info("nothing is damaged; nothing was changed");
    return 0;
  }
  if (!accept) {
    tm_log_error("damaged: %s. What is kept ends with epoch %" PRIu64 "; up to epoch %" PRIu64 " was durable or is there. Copy the folder first, "
                 "then give the rest up with: tidemill journal repair --accept-loss %.300s", loss.what, loss.kept, loss.lost, d->path);
    return FAILED;
  }
  tm_log_info("repaired: the state is that of epoch %" PRIu64 "%s; %" PRId64 " segments were renamed to lost.N and may be removed", loss.kept,
              loss.manifest ? ", the manifest of the snapshots was made anew" : "", loss.segments);
  return 0;
}

/* ls and cat: of what a scan found. */
static int scanned(const struct tm_data_dir *d, const struct words *w) {
  struct tm_journal_scan scan;
  struct tm_err err;
  int r;

  if (tm_journal_scan(d->io, d->path, d->id, &scan, &err) != 0) {
    tm_log_error("%s", err.detail);
    return FAILED;
  }
  r = strcmp(w->what, "ls") == 0 ? list_print(&scan, w->json) : cat(d, &scan);
  if (scan.damaged) {
    tm_journal_refuse(d->path, &scan, 0, &err);
    tm_log_error("%s", err.detail);
    r = FAILED;
  }
  tm_journal_scan_fini(d->io, &scan);
  return r;
}

int tm_command_journal(int argc, char *const *argv) {
  struct tm_data_dir d;
  struct words w;
  struct tm_err err;
  int r, repairing;

  if (argc > 0 && (strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0)) return tm_help_print("journal");
  r = words_parse(&w, argc, argv);
  if (r != 0) return r;
  repairing = strcmp(w.what, "repair") == 0;
  if (tm_data_dir_open(&d, &tm_io_real, w.dir, repairing ? TM_DATA_LOCK : TM_DATA_LOOK, &err) != 0) {
    tm_log_error("%s", err.detail);
    return err.exit_code;
  }
  in_use_say(&d);
  if (repairing) r = repair(&d, w.accept);
  else if (strcmp(w.what, "verify") == 0) r = verify(&d, w.json);
  else r = scanned(&d, &w);
  tm_data_dir_close(&d);
  return r;
}
