/* files.c - taking rows, planning and writing pieces (files.h); files_roll.c has names, opening and completing of files. */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"
#include "files_state.h"

enum { STAGE_PLAIN = 256 * 1024, STAGE_PACKED = 1024 * 1024, STAGE_MORE = 2 * STAGE_PACKED, NAME_MEAN = 256, WRITE_MAX = 1024 * 1024 };
/* Texts written out beside a batch of CSV: of each field of the path once, with their origins; each name and its delimiter of a header,
 * were all its characters quotes. */
enum { SIDE_MORE = STAGE_PACKED + TM_BATCH_ROWS * 32 * 16, HEAD_MAX = 2 * TM_CSV_NAMES_BYTES + 3 * TM_CSV_COLUMNS_MAX + 2 };

size_t tm_files_state_size(int32_t max_files) { return sizeof(struct tm_files_state) + (size_t)max_files * sizeof(struct tm_file); }
size_t tm_files_names_size(int32_t max_files) { return (size_t)max_files * NAME_MEAN + TM_PATH_TEMPLATE_MAX + 1; }
static size_t side_size(int32_t row_max) { return (size_t)row_max + SIDE_MORE; }
size_t tm_files_sorted_size(int32_t row_max) { return (size_t)row_max + STAGE_MORE + 2 * TM_PAD; }
size_t tm_files_stage_size(int32_t row_max) { return tm_files_sorted_size(row_max) + side_size(row_max) + TM_PAD; }
size_t tm_files_packed_size(int32_t row_max) {
  size_t most = 0;
  for (enum tm_pack_kind kind = TM_PACK_GZIP; kind <= TM_PACK_ZSTD; kind++) {
    size_t n = tm_pack_bound(kind, HEAD_MAX) + tm_pack_bound(kind, tm_files_sorted_size(row_max));
    if (n > most) most = n;
  }
  return most;
}

static void batch_free(struct tm_batch *b) {
  if (b == NULL) return;
  tm_csv_free(b->csv);
  tm_fields_free(b->fields);
  free(b);
}

/* Reads rows back as they were written; NULL: no memory. */
static struct tm_batch *batch_new(int32_t format, const struct tm_csv_out *csv) {
  struct tm_batch *b = calloc(1, sizeof *b);
  if (b == NULL) return NULL;
  b->format = format;
  b->fields = tm_fields_new();
  if (csv != NULL) b->csv = tm_csv_new(format, csv->delimiter, 0, csv->names, NULL);
  if (b->fields != NULL && (csv == NULL || b->csv != NULL)) return b;
  batch_free(b);
  return NULL;
}

void tm_files_free(struct tm_files *f) {
  if (f == NULL) return;
  free(f->fds);
  free(f->slots);
  free(f->begun_path);
  batch_free(f->batch);
  batch_free(f->counted);
  tm_path_template_free(f->template);
  free(f);
}

static struct tm_files *drop(struct tm_files *f) {
  tm_files_free(f);
  return NULL;
}

/* Of rows of CSV and lines; and where texts of theirs go that are written out. */
static void set_csv(struct tm_files *f, const struct tm_csv_out *csv) {
  char nothing[128];
  f->csv = csv;
  f->headed = csv != NULL && csv->header;
  f->nothing = f->how.pack != TM_PACK_NOT ? tm_pack(f->how.pack, nothing, sizeof nothing, "", 0) : 0;
  tm_buf_init(&f->head, HEAD_MAX + TM_PAD);
  f->batch->side = f->mem.stage + f->row_max + STAGE_MORE + TM_PAD;
  f->batch->side_cap = (int32_t)side_size(f->row_max);
}

struct tm_files *tm_files_new(const char *path, const struct tm_files_how *how, int32_t format, const struct tm_csv_out *csv,
                              int32_t row_max, const struct tm_files_memory *memory, const struct tm_io *io, struct tm_undo *undo,
                              struct tm_err *err) {
  struct tm_files *f = calloc(1, sizeof *f);
  if (f != NULL) {
    f->slots_n = 2048;
    while (f->slots_n < 2 * how->max_files) f->slots_n *= 2;
    f->fds = malloc((size_t)how->max_files * sizeof *f->fds);
    f->slots = calloc((size_t)f->slots_n, sizeof *f->slots);
    f->batch = batch_new(format, csv);
    f->counted = batch_new(format, csv);
  }
  if (f == NULL || f->fds == NULL || f->slots == NULL || f->batch == NULL || f->counted == NULL) {
    tm_err_set(err, 1, "memory", "no memory for the files of %s", path);
    return drop(f);
  }
  f->path = path;
  f->how = *how;
  f->io = io;
  f->undo = undo;
  f->mem = *memory;
  f->mem.stage += TM_PAD;
  f->row_max = row_max;
  f->begun_fd = f->count_fd = -1;
  set_csv(f, csv);
  for (int32_t i = 0; i < how->max_files; i++) f->fds[i] = -1;
  if (how->template && (f->template = tm_path_template_new(path, f->batch->fields, err)) == NULL) return drop(f);
  return f;
}

int tm_files_kept(struct tm_files *f, const char *begun) {
  f->begun_path = strdup(begun);
  return f->begun_path != NULL ? 0 : -1;
}

/* ---- the table of files ---- */

static uint64_t hash(const char *p) {
  uint64_t h = 0xCBF29CE484222325u;
  for (; *p != '\0'; p++) h = (h ^ (unsigned char)*p) * 0x100000001B3u;
  return h;
}

const char *tm_file_path(const struct tm_files *f, int32_t i) { return f->mem.names + f->mem.state->files[i].name; }

/* Where a path's number is, or would be. */
static int32_t *slot_of(const struct tm_files *f, const char *path) {
  int32_t at = (int32_t)(hash(path) & (uint64_t)(f->slots_n - 1));
  while (f->slots[at] != 0 && strcmp(tm_file_path(f, f->slots[at] - 1), path) != 0) at = (at + 1) & (f->slots_n - 1);
  return &f->slots[at];
}

/* The number of a path, made if new; -1 and err. New ones count when the plan does. */
static int32_t file_of(struct tm_files *f, const char *path, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  int32_t *slot = slot_of(f, path), len = (int32_t)strlen(path) + 1;
  if (*slot != 0) return *slot - 1;
  if (f->planned_n == f->how.max_files || (size_t)(f->planned_names + len) > tm_files_names_size(f->how.max_files))
    return tm_err_set(err, 1, "files", "%s: a row asks for one more file than the %d of max_files (%.200s); is a field of the path "
                      "different in each row? Give a coarser one, or a larger max_files", f->path, f->how.max_files, path);
  memcpy(f->mem.names + f->planned_names, path, (size_t)len);
  st->files[f->planned_n] = (struct tm_file){.name = f->planned_names, .size = -1};
  f->planned_names += len;
  *slot = ++f->planned_n;
  return f->planned_n - 1;
}

/* What a dead worker, or a plan that failed, knew is found again. */
static void index_files(struct tm_files *f) {
  const struct tm_files_state *st = f->mem.state;
  memset(f->slots, 0, (size_t)f->slots_n * sizeof *f->slots);
  f->planned_n = st->files_n;
  f->planned_names = st->names_len;
  for (int32_t i = 0; i < st->files_n; i++) *slot_of(f, tm_file_path(f, i)) = i + 1;
}

int32_t tm_files_find(const struct tm_files *f, const char *path) { return *slot_of(f, path) - 1; }

int tm_files_open(struct tm_files *f, struct tm_err *err) {
  index_files(f);
  if (f->begun_path != NULL && tm_files_fresh(f, f->begun_path, err) != 0) return -1;
  return tm_file_try(f, err);
}

/* ---- taking ---- */

/* Rows are told apart where they may go different ways. */
static int by_row(const struct tm_files *f) { return f->template != NULL || f->how.roll_size > 0 || f->how.roll_every_ms > 0; }

static int32_t decode(const struct tm_files *f, struct tm_batch *b, const char *text, int32_t len) {
  struct tm_cut cut = {0};
  tm_formats[b->format].decode(b, text, len, 1, f->row_max, &cut);
  return cut.used;
}

static int32_t stage_soft(const struct tm_files *f) { return f->how.pack != TM_PACK_NOT ? STAGE_PACKED : STAGE_PLAIN; }

int32_t tm_files_take(struct tm_files *f, const char *text, int32_t len, int32_t *taken, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  int32_t n = len, rows = 0, room = f->row_max + STAGE_PACKED - st->stage_len;
  if (st->stage_len >= stage_soft(f) || st->stage_rows + TM_BATCH_ROWS > TM_FILES_ROWS) return 0;
  if (by_row(f)) {
    n = decode(f, f->counted, text, len);
    rows = f->counted->rows;
    if (n <= 0) return tm_err_set(err, 1, "files", "%s: a row could not be read back", f->path);
  }
  if (n > room) n = room;  /* only where rows are not told apart: a batch of them always has room */
  TM_ASSERT(n == room || n == len || by_row(f));
  memcpy(f->mem.stage + st->stage_len, text, (size_t)n);
  tm_undo_keep(f->undo, taken, sizeof *taken);
  tm_undo_keep(f->undo, &st->stage_len, sizeof st->stage_len);
  tm_undo_keep(f->undo, &st->stage_rows, sizeof st->stage_rows);
  tm_undo_keep(f->undo, &st->stage_ns, sizeof st->stage_ns);
  if (st->stage_len == 0) st->stage_ns = f->io->mono_ns(f->io);
  st->stage_len += n;
  st->stage_rows += rows;
  *taken += n;
  tm_undo_done(f->undo);
  return n;
}

/* ---- planning ---- */

static int64_t period_now(const struct tm_files *f) {
  return f->how.roll_every_ms > 0 ? f->io->real_ms(f->io) / (int64_t)f->how.roll_every_ms : 0;
}

/* The rows of the stage: which file each goes to, and where it ends. -1 err. */
static int read_rows(struct tm_files *f, struct tm_err *err) {
  const struct tm_files_state *st = f->mem.state;
  char path[TM_PATH_TEMPLATE_MAX + 1];
  int32_t at = 0, last = -1;
  f->rows_n = 0;
  while (at < st->stage_len) {
    int32_t used = decode(f, f->batch, f->mem.stage + at, st->stage_len - at);
    TM_ASSERT(used > 0 && f->rows_n + f->batch->rows <= TM_FILES_ROWS);
    for (int32_t i = 0; i < f->batch->rows; i++) {
      struct tm_files_row *row = &f->rows[f->rows_n++];
      const char *name = f->path;
      if (f->template != NULL) {
        if (tm_path_template_make(f->template, f->batch, i, path, sizeof path) < 0)
          return tm_err_set(err, 1, "files", "%s: the path of a row is longer than %d bytes", f->path, TM_PATH_TEMPLATE_MAX);
        name = path;
      }
      row->file = last >= 0 && strcmp(tm_file_path(f, last), name) == 0 ? last : file_of(f, name, err);
      if (row->file < 0) return -1;
      last = row->file;
      row->off = f->rows_n == 1 ? 0 : f->rows[f->rows_n - 2].end;
      row->end = i + 1 < f->batch->rows ? at + f->batch->off[i + 1] : at + used;
      row->next = -1;
    }
    at += used;
  }
  return 0;
}

/* Chains the rows of each file, in the order in which files first appear. Returns how many files there are. */
static int32_t chain_rows(struct tm_files *f) {
  int32_t n = 0;
  for (int32_t i = 0; i < f->rows_n; i++) {
    struct tm_file *file = &f->mem.state->files[f->rows[i].file];
    if (file->chain == 0 || file->chain > n || f->firsts[file->chain - 1].file != f->rows[i].file) {
      f->firsts[n] = (struct tm_files_chain){f->rows[i].file, i, i};
      file->chain = ++n;  /* a hint: it is checked above */
      continue;
    }
    struct tm_files_chain *chain = &f->firsts[file->chain - 1];
    f->rows[chain->last].next = i;
    chain->last = i;
  }
  return n;
}

/* Pieces of one file: its rows one behind the other in sorted, cut where it is rolled. Returns the bytes in sorted so far. */
static int32_t plan_file(struct tm_files *f, int32_t n, const struct tm_files_chain *chain, int32_t at, int64_t period) {
  struct tm_files_state *st = f->mem.state;
  const struct tm_file *file = &st->files[chain->file];
  double text = file->open ? file->text : 0;
  int roll = file->open && file->period != period && f->how.roll_every_ms > 0;
  if (roll) text = 0;
  st->pieces[n] = (struct tm_files_piece){chain->file, at, 0, roll};
  for (int32_t i = chain->first; i >= 0; i = f->rows[i].next) {
    int32_t len = f->rows[i].end - f->rows[i].off;
    if (f->how.roll_size > 0 && text > 0 && text + len > f->how.roll_size) {
      if (st->pieces[n].len > 0) st->pieces[++n] = (struct tm_files_piece){chain->file, at, 0, 1};
      st->pieces[n].roll = 1;
      text = 0;
    }
    memcpy(f->mem.sorted + at, f->mem.stage + f->rows[i].off, (size_t)len);
    st->pieces[n].len += len;
    text += len;
    at += len;
  }
  f->pieces_n = n + 1;
  return at;
}

/* Makes pieces of the stage. Until the last store nothing of it counts. 1, or -1 err. */
static int plan(struct tm_files *f, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  int64_t period = period_now(f);
  int32_t at = 0;
  f->pieces_n = 0;
  if (by_row(f)) {
    if (read_rows(f, err) != 0) return -1;
    int32_t files = chain_rows(f);
    for (int32_t i = 0; i < files; i++) at = plan_file(f, f->pieces_n, &f->firsts[i], at, period);
  } else {
    int32_t file = file_of(f, f->path, err);
    if (file < 0) return -1;
    memcpy(f->mem.sorted, f->mem.stage, (size_t)st->stage_len);
    st->pieces[f->pieces_n++] = (struct tm_files_piece){file, 0, st->stage_len, 0};
  }
  tm_undo_keep(f->undo, st, offsetof(struct tm_files_state, pieces));
  st->files_n = f->planned_n;
  st->names_len = f->planned_names;
  st->pieces_n = f->pieces_n;
  st->piece = st->sent = st->packed_len = 0;
  st->stage_len = st->stage_rows = 0;
  tm_undo_done(f->undo);
  return 1;
}

/* ---- writing ---- */

/* Is the piece at hand its file's first? The size stands still until all of the piece is written, so that a death changes nothing. */
static int is_headed(const struct tm_files *f) {
  const struct tm_files_state *st = f->mem.state;
  return f->headed && st->files[st->pieces[st->piece].file].size <= f->nothing;
}

/* Adds text to packed[at..), as a member of its own where files are compressed. Where it ends; -1 no memory. */
static int32_t packed_put(struct tm_files *f, int32_t at, const char *text, int32_t len) {
  char *to = f->mem.packed + at;
  if (f->how.pack != TM_PACK_NOT) {
    int32_t n = tm_pack(f->how.pack, to, tm_files_packed_size(f->row_max) - (size_t)at, text, len);
    return n < 0 ? n : at + n;
  }
  memcpy(to, text, (size_t)len);
  return at + len;
}

/* What is to be written of the piece at hand. -1 err. */
static int32_t data_of(struct tm_files *f, const char **data, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  const struct tm_files_piece *p = &st->pieces[st->piece];
  int head = is_headed(f);
  int32_t n = 0;
  *data = f->mem.sorted + p->off;
  if (f->how.pack == TM_PACK_NOT && !head) return p->len;
  *data = f->mem.packed;
  if (st->packed_len > 0) return st->packed_len;
  if (head) {
    f->head.len = 0;
    n = tm_csv_head_put(&f->head, f->csv) != 0 ? -1 : packed_put(f, 0, f->head.data, f->head.len);
  }
  if (n >= 0) n = packed_put(f, n, f->mem.sorted + p->off, p->len);
  if (n < 0) return tm_err_set(err, 1, "memory", "%s: no memory to write a piece", f->path);
  tm_undo_fence();
  st->packed_len = n;
  return n;
}

static void piece_done(struct tm_files *f, const char *data, int32_t len) {
  struct tm_files_state *st = f->mem.state;
  struct tm_files_piece *p = &st->pieces[st->piece];
  struct tm_file *file = &st->files[p->file];
  tm_undo_keep(f->undo, st, offsetof(struct tm_files_state, pieces));
  tm_undo_keep(f->undo, file, sizeof *file);
  tm_tail_set(&file->tail, data, len);
  file->size += len;
  file->text += p->len;
  st->sent = st->packed_len = 0;
  if (++st->piece == st->pieces_n) st->piece = st->pieces_n = 0;
  tm_undo_done(f->undo);
}

/* Some of the piece at hand: 1, 0 refused, -1 err. */
static int write_piece(struct tm_files *f, int *refused, struct tm_err *err) {
  struct tm_files_state *st = f->mem.state;
  struct tm_files_piece *p = &st->pieces[st->piece];
  const char *data;
  f->at = p->file;
  if (p->roll && st->sent == 0) {
    int rc = tm_file_complete(f, p->file, refused, err);
    if (rc <= 0) return rc;
    p->roll = 0;  /* what is complete is not completed again */
  }
  int rc = tm_file_ready(f, p->file, refused, err);
  if (rc <= 0) return rc;
  int32_t len = data_of(f, &data, err);
  if (len < 0) return -1;
  int64_t n = 0;
  if (st->sent < len) {
    int32_t most = len - st->sent < WRITE_MAX ? len - st->sent : WRITE_MAX;
    do n = f->io->write(f->io, f->fds[p->file], data + st->sent, (size_t)most);
    while (n == -EINTR);
    if (n < 0) return tm_file_refused(f, (int)-n, "cannot write", refused, err);
    tm_undo_fence();
    st->sent += (int32_t)n;
  }
  if (st->sent == len) piece_done(f, data, len);
  return 1;
}

static int held_long(const struct tm_files *f) {
  const struct tm_files_state *st = f->mem.state;
  return st->stage_len > 0 && f->io->mono_ns(f->io) - st->stage_ns >= (uint64_t)TM_FILES_HOLD_S * 1000000000U;
}

static int stage_is_due(const struct tm_files *f, int all, int finish) {
  const struct tm_files_state *st = f->mem.state;
  if (st->stage_len == 0) return 0;
  if (finish || st->stage_len >= stage_soft(f) || st->stage_rows + TM_BATCH_ROWS > TM_FILES_ROWS) return 1;
  return f->how.pack != TM_PACK_NOT ? held_long(f) : all;
}

/* The first file that is to be completed now; -1 none. */
static int32_t complete_next(const struct tm_files *f, int finish) {
  const struct tm_files_state *st = f->mem.state;
  int rolls = f->how.roll_size > 0 || f->how.roll_every_ms > 0;
  int64_t period;
  if (!rolls || (!finish && f->how.roll_every_ms == 0)) return -1;
  period = period_now(f);
  if (!finish && period == f->period) return -1;
  for (int32_t i = 0; i < st->files_n; i++)
    if (st->files[i].open && st->files[i].size >= 0 && (finish || st->files[i].period != period)) return i;
  return -1;
}

int tm_files_busy(const struct tm_files *f, int all, int finish) {
  if (f->mem.state->pieces_n > 0 || stage_is_due(f, all, finish) || complete_next(f, finish) >= 0) return 1;
  return finish && tm_file_unfinished(f);
}

int tm_files_write(struct tm_files *f, int all, int finish, int *refused, struct tm_err *err) {
  *refused = 0;
  if (f->unsynced != 0)
    return tm_err_set(err, 1, "sync", "%s: a file could not be synced: %s; start again with the same --data, to write it anew",
                      f->path, strerror(f->unsynced));
  if (f->mem.state->pieces_n > 0) return write_piece(f, refused, err);
  if (stage_is_due(f, all, finish)) {
    int rc = plan(f, err);
    if (rc < 0) index_files(f);
    return rc;
  }
  int32_t i = complete_next(f, finish);
  if (i >= 0) {
    f->at = i;
    return tm_file_complete(f, i, refused, err);
  }
  f->period = period_now(f);
  return finish && tm_file_unfinished(f) ? tm_file_finish(f, refused, err) : 0;
}

uint64_t tm_files_due(const struct tm_files *f) {
  const struct tm_files_state *st = f->mem.state;
  uint64_t due = st->stage_len > 0 ? st->stage_ns + (uint64_t)TM_FILES_HOLD_S * 1000000000U : 0;
  int open = 0;
  for (int32_t i = 0; f->how.roll_every_ms > 0 && i < st->files_n && !open; i++) open = st->files[i].open;
  if (!open) return due;
  int64_t left = (int64_t)f->how.roll_every_ms - f->io->real_ms(f->io) % (int64_t)f->how.roll_every_ms;
  uint64_t roll = f->io->mono_ns(f->io) + (uint64_t)left * 1000000U;
  return due == 0 || roll < due ? roll : due;
}

int64_t tm_files_held(const struct tm_files *f) {
  const struct tm_files_state *st = f->mem.state;
  int64_t n = st->stage_len;
  for (int32_t i = st->piece; i < st->pieces_n; i++) n += st->pieces[i].len;
  return n;
}

int tm_files_has(const struct tm_files *f, uint64_t dev, uint64_t ino) {
  struct stat st;
  for (int32_t i = 0; i < f->open_n; i++)
    if (fstat(f->fds[f->open[i]], &st) == 0 && (uint64_t)st.st_dev == dev && (uint64_t)st.st_ino == ino) return 1;
  return 0;
}

const char *tm_files_name(const struct tm_files *f) { return f->mem.state->files_n > f->at ? tm_file_path(f, f->at) : f->path; }

void tm_files_keep(const struct tm_files *f, struct tm_keeper *k) {
  const struct tm_files_state *st = f->mem.state;
  int32_t sorted = 0;
  for (int32_t i = 0; i < st->pieces_n; i++)
    if (st->pieces[i].off + st->pieces[i].len > sorted) sorted = st->pieces[i].off + st->pieces[i].len;
  tm_keep(k, st, offsetof(struct tm_files_state, pieces));
  tm_keep(k, st->pieces, (size_t)st->pieces_n * sizeof st->pieces[0]);
  tm_keep(k, st->files, (size_t)st->files_n * sizeof st->files[0]);
  tm_keep(k, f->mem.names, (size_t)st->names_len);
  tm_keep(k, f->mem.stage, (size_t)st->stage_len);
  tm_keep(k, f->mem.sorted, (size_t)sorted);
  tm_keep(k, f->mem.packed, (size_t)st->packed_len);
}

/* ---- after a death ---- */

void tm_files_resume(struct tm_files *f) {
  struct tm_files_state *st = f->mem.state;
  index_files(f);
  if (st->pieces_n == 0) return;
  const struct tm_files_piece *p = &st->pieces[st->piece];
  const struct tm_file *file = &st->files[p->file];
  int32_t len = f->how.pack != TM_PACK_NOT || is_headed(f) ? st->packed_len : p->len;
  int64_t size = file->size < 0 ? -1 : tm_file_size(f, p->file);
  if (size < 0) return;
  int64_t more = size - (file->size + st->sent);
  if (more < 0 || more > len - st->sent) {
    tm_log_warning("%s: somebody else changes its size too; some rows may be in it twice, or torn", tm_file_path(f, p->file));
    return;
  }
  st->sent += (int32_t)more;
}
