/* source_cut.c - cutting what was read into decoded batches (source.h): marks and heads of files, events that are too long, records
 * that are held, what passes under a rate, where an input ends.
 *
 * A batch is cut in one change with all that counts it, which its caller has kept; whatever is read between two cuts, the same
 * batches' events come out. What is learnt of the event at the head of the text (`need`, `least`, of a record what was
 * looked at) saves time alone, and is forgotten when other text is at the head. */
#include "source.h"

#include <stdio.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/log.h"
#include "follow.h"
#include "turns.h"

enum {
  LONG_SAMPLE = 1024,        /* bytes kept of an event that is too long */
  NEED_SOME = 1 << 20,       /* an event that is larger is looked at again when there is a quarter more of it */
  PIECE_SMALL = 256,         /* of text, the least that is cut at a time under a rate */
  PIECES_A_SECOND = 50
};

static const struct tm_format *format_of(const struct tm_source *s) { return tm_format_of(s->batch); }

void tm_source_forget(struct tm_source *s) {
  struct tm_record *record = tm_source_record(s);
  s->need = s->least = 0;
  if (record != NULL) tm_record_forget(record);
}

/* ---- the ends of inputs ---- */

void tm_source_leave(struct tm_source *s) {
  if (s->fd >= 0) s->io->close(s->io, s->fd);
  s->fd = -1;
  s->live = s->fifo = 0;  /* of the file that was at hand */
  tm_source_forget(s);
}

static void next_file(struct tm_source *s) {
  tm_source_leave(s);
  s->state->file++;
  s->state->offset = 0;
  s->state->eof = 0;
  s->state->looked = TM_LOOK_NOT;
  s->state->begun = s->state->headed = 0;
  s->state->at = (struct tm_fluent_at){0};
  s->state->line = format_of(s)->first;
}

/* The file at hand is over: 1 another one is. */
static int go_on(struct tm_source *s) {
  if (s->kind != TM_SOURCE_FILE || s->follow != NULL) return 0;
  if (s->turns != NULL && s->turns_of_files) return tm_turns_over(s);
  if (s->state->file + 1 >= s->paths_n) return 0;
  next_file(s);
  return 1;
}

int32_t tm_source_stop(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  int32_t rest = st->eof || st->done ? 0 : st->tail - st->head;
  tm_undo_keep(s->undo, st, sizeof *st);
  if (!st->eof) {
    st->head = st->tail;
    st->at = (struct tm_fluent_at){0};
    st->eof = TM_EOF_REACHED;
  }
  if (s->kind == TM_SOURCE_FILE && s->follow == NULL) {
    if (!s->turns_of_files) st->file = s->paths_n - 1;
    st->over = s->paths_n;
  }
  tm_undo_done(s->undo);
  return rest;
}

/* ---- what stands in front of events, or is too long for one ---- */

/* A byte order mark at the start of a file is no part of its first line. */
static int skip_mark(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  const char *mark = format_of(s)->mark;
  if (st->begun) return 1;
  if (st->looked == TM_LOOK_NOT && !st->eof && s->kind <= TM_SOURCE_STDIN) return 0;
  if (mark != NULL) {
    int32_t n = st->tail - st->head, len = (int32_t)strlen(mark);
    if (n < len && !st->eof) return 0;
    if (n >= len && memcmp(s->buf.data + st->head, mark, (size_t)len) == 0) st->head += len;
  }
  st->begun = 1;
  return 1;
}

/* Nothing behind this place of the input makes sense: what is left of the file is not read. */
static void give_up(struct tm_source *s, double at, const char *why) {
  struct tm_source_state *st = s->state;
  tm_log_error("%s: byte %.0f: %s; nothing behind it can be read", tm_source_origin(s), at, why);
  st->head = st->tail;
  st->eof = TM_EOF_REACHED;
  st->skipping = 0;
  st->at = (struct tm_fluent_at){0};
  st->broken = 1;
}

/* What a file begins with that is no event. Nothing of the file before is at hand any more, and until `headed` holds for good it is
 * read again. */
static int read_head(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  struct tm_cut cut;
  if (st->headed || format_of(s)->head == NULL) return 1;
  int rc = format_of(s)->head(s->batch, s->buf.data + st->head, st->tail - st->head, st->eof != 0, &cut);
  if (rc == 0) return 0;
  st->headed = 1;
  st->line += cut.lines;
  s->lines_blank += cut.blank;
  if (rc > 0) {
    st->head += cut.used;
    if (s->turns_of_files) tm_turns_headed(s);
    return 1;
  }
  tm_log_error("%s:%.0f: %s; nothing of it is read. Name the columns with columns = {…} or --columns, and header = true "
               "where the file has a header all the same", tm_source_origin(s), st->line, cut.broken);
  st->head = st->tail;
  st->eof = TM_EOF_REACHED;
  st->broken = 1;
  return 1;
}

/* Inside an event that is too long: drops bytes up to its end. 1 when it is over. */
static int skip_long(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  const char *broken;
  int32_t n = format_of(s)->skip(&st->skip, s->buf.data + st->head, st->tail - st->head, &broken);
  int in_bytes = st->skip.begun;
  st->head += n;
  if (in_bytes) st->line += n;
  if (broken == NULL && !st->skip.over) {
    if (!st->eof) return 0;
    if (in_bytes) broken = "the input ends inside a message";
  }
  if (broken != NULL) give_up(s, st->line, broken);
  else if (!in_bytes) st->line += 1;
  st->skipping = 0;
  return 1;
}

static void origins(struct tm_batch *b) {
  if (b->rows > 0 && b->origin[b->rows - 1] == b->rows - 1) return;  /* never changes for a source of its own */
  for (int32_t i = 0; i < TM_BATCH_ROWS; i++) b->origin[i] = i;
}

/* One bad slot that stands for an event longer than max_event. */
static void long_batch(struct tm_source *s) {
  struct tm_batch *b = s->batch;
  tm_fields_clear(s->fields, 1);
  b->raw = s->buf.data + s->state->batch_off;
  b->rows = b->bad = 1;
  b->off[0] = 0;
  b->len[0] = s->state->batch_len < LONG_SAMPLE ? s->state->batch_len : LONG_SAMPLE;
  b->line[0] = 0;
  b->status[0] = TM_LINE_TOO_LONG;
  b->line_first = s->state->batch_line;
  origins(b);
}

static void decode(struct tm_source *s, int32_t off, int32_t len, int final, struct tm_cut *cut) {
  struct tm_batch *b = s->batch;
  b->line_first = s->state->batch_line;
  if (b->fluent != NULL) tm_fluent_set(b, &s->state->batch_at);
  format_of(s)->decode(b, s->buf.data + off, len, final, s->max_event, cut);
  origins(b);
}

/* Only the first rows of what was cut are the batch. */
static void shorten(struct tm_batch *b, int32_t rows) {
  b->rows = rows;
  b->bad = 0;
  for (int32_t i = 0; i < rows; i++) b->bad += b->status[i] != TM_LINE_OK;
}

/* Lines without anything in front of row `row`: each line end between rows that is not the one of the row before it. */
static int32_t blank_before(const struct tm_batch *b, int32_t row) {
  int32_t n = 0, at = 0;
  if (b->format == TM_FORMAT_MSGPACK) return 0;
  for (int32_t i = 0; i <= row; i++) {
    for (const char *p = b->raw + at, *end = b->raw + b->off[i]; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) n++;
    at = b->off[i] + b->len[i];
  }
  return n - row;
}

/* The rows of what was cut whose turn it is: 0 another one's; else *cut is what they take. */
static int take_turn(struct tm_source *s, struct tm_cut *cut) {
  struct tm_batch *b = s->batch;
  int32_t rows = s->one && b->rows > 1 ? 1 : b->rows;
  if (s->turns != NULL) rows = tm_turns_rows(s, rows);
  if (s->rate == 0) {
    int32_t len = rows < b->rows ? b->off[rows] : cut->used;
    s->piece = rows < b->rows ? (len < PIECE_SMALL ? 2 * PIECE_SMALL : 2 * len) : s->piece < TM_BLOCK ? 2 * s->piece : s->piece;
  }
  s->state->batch_rows = 0;
  if (rows == b->rows) return 1;
  if (rows > 0) {
    *cut = (struct tm_cut){.used = b->off[rows], .lines = b->line[rows], .blank = blank_before(b, rows)};
    s->state->batch_rows = rows;
  }
  shorten(b, rows);
  return rows > 0;
}

/* What of the event at head must be there before it is worth looking at it again. More of a file comes at once, and its end
 * is found; what a live source has not sent it may not send for long. */
static int32_t need_of(const struct tm_source *s, int32_t len, int32_t need) {
  return s->live || len < NEED_SOME || need > len + len / 4 ? need : len + len / 4;
}

/* How much text a full batch takes, to judge by the last one, and some to spare. What can be read at once is read until
 * there is as much: a rest of some dozen rows costs every pipeline nearly as much as a whole batch. */
static int32_t whole_batch(int32_t used, int32_t rows) {
  int64_t text = (int64_t)used * TM_BATCH_ROWS / rows;
  text += text / 32;
  return text < 2 * TM_BLOCK ? (int32_t)text : 2 * TM_BLOCK;
}

/* Records that are no record's start, each a part of another one, and lines that took the pattern too long: told once each. */
static void tell_records(struct tm_source *s, const struct tm_cut *cut) {
  const struct tm_record *record = tm_source_record(s);
  char why[160] = "max_lines, --max-event, a line that is too long, or timeout ended the one before";
  TM_ASSERT(record != NULL);
  s->records_cut += cut->parts;
  if (cut->parts > 0 && !s->parts_told) {
    if (cut->parts_why == TM_RECORD_BY_LINES) snprintf(why, sizeof why, "the one before has max_lines = %d lines", record->lines_max);
    if (cut->parts_why == TM_RECORD_BY_BYTES) snprintf(why, sizeof why, "with it the one before would have more than %d bytes (--max-event)", s->max_event);
    if (cut->parts_why == TM_RECORD_BY_SILENCE) snprintf(why, sizeof why, "behind the one before nothing came for %g s (timeout)", record->timeout_ms / 1000);
    tm_log_warning("%s:%.0f: this line is no start of a record, and begins one all the same: %s (further ones are counted: records_cut)",
                   tm_source_origin(s), s->state->batch_line + cut->parts_at, why);
    s->parts_told = 1;
  }
  if (cut->given_up > 0 && !s->given_up_told) {
    tm_log_warning("%s: the pattern '%.200s' takes too many steps on a line near %.0f, which then counts as no start of a record; anchor it "
                   "with ^, or use sets such as [^,]* for .* (told once)", tm_source_origin(s), record->text, s->state->batch_line);
    s->given_up_told = 1;
  }
}

static enum tm_source_got begin_long(struct tm_source *s, int32_t len) {
  struct tm_source_state *st = s->state;
  st->batch_off = st->head;
  st->batch_len = len;
  st->batch_long = 1;
  st->batch_line = st->line;
  long_batch(s);
  st->active = 1;
  st->skipping = 1;
  st->skip = (struct tm_skip){0};
  tm_source_forget(s);
  return TM_SOURCE_BATCH;
}

static enum tm_source_got begin_batch(struct tm_source *s, int32_t len, int final) {
  struct tm_source_state *st = s->state;
  st->batch_off = st->head;
  st->batch_seen = len;
  st->batch_final = final;
  st->batch_long = 0;
  st->batch_line = st->line;
  st->batch_at = st->at;
  struct tm_cut cut;
  decode(s, st->head, len, final, &cut);
  if (s->batch->fluent != NULL) tm_fluent_get(s->batch, &st->at);
  if (s->batch->rows > 0) s->whole = whole_batch(cut.used, s->batch->rows + cut.blank);
  if (s->batch->rows > 0 && (s->turns != NULL || s->one) && !take_turn(s, &cut)) return TM_SOURCE_LATER;
  s->least = cut.used == 0 ? cut.need : 0;
  s->need = cut.used == 0 ? need_of(s, len, cut.need) : 0;
  st->batch_len = cut.used;
  st->head += cut.used;
  st->line += cut.lines;
  s->lines_blank += cut.blank;
  if (cut.parts > 0 || cut.given_up > 0) tell_records(s, &cut);
  if (cut.broken != NULL) give_up(s, st->batch_line + cut.broken_at, cut.broken);
  if (s->batch->rows == 0) return TM_SOURCE_MORE;
  st->active = 1;
  return TM_SOURCE_BATCH;
}

/* The rest of an input that was cut off is no event, though it may look like one. */
static void drop_rest(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  if (st->tail > st->head) tm_log_info("%s: the last %d bytes before that are no whole line and left out", tm_source_origin(s), st->tail - st->head);
  st->head = st->tail;
}

/* Under a rate a batch is what may pass in a fiftieth of a second, about; what it holds is counted against the rate. */
static void pace(struct tm_source *s) {
  double rows = s->rate / PIECES_A_SECOND, bytes = s->batch->rows > 0 ? (double)s->state->batch_len / s->batch->rows : PIECE_SMALL;
  uint64_t now = s->io->mono_ns(s->io);
  bytes *= rows < 1 ? 1 : rows;
  s->piece = bytes > TM_BLOCK ? TM_BLOCK : bytes < PIECE_SMALL ? PIECE_SMALL : (int32_t)bytes;
  s->next_ns = (s->next_ns > now ? s->next_ns : now) + (uint64_t)(s->batch->rows * 1e9 / s->rate);
}

int tm_source_end_held(struct tm_source *s) {
  if (!s->live || !tm_source_holds(s)) return 0;
  s->ends_held = 1;
  return 1;
}

/* The record that is held ends where its whole lines do: nothing has come for long, or nothing will. */
static enum tm_source_got begin_held(struct tm_source *s) {
  struct tm_record *record = tm_source_record(s);
  TM_ASSERT(record != NULL);
  s->ends_held = 0;
  enum tm_source_got got = begin_batch(s, record->held, 1);
  record->why = TM_RECORD_BY_SILENCE;
  return got;
}

enum tm_source_got tm_source_next(struct tm_source *s) {
  struct tm_source_state *st = s->state;
  for (;;) {
    if (st->done) return TM_SOURCE_END;
    enum tm_source_got turn = s->turns != NULL ? tm_turns_pick(s) : TM_SOURCE_BATCH;
    if (turn != TM_SOURCE_BATCH) return turn;
    int32_t before = st->head;
    int final = st->eof && st->eof != TM_EOF_CUT;
    if (skip_mark(s) && read_head(s) && (!st->skipping || skip_long(s))) {
      int32_t len = st->tail - st->head;
      int by_pieces = s->rate > 0 || s->turns != NULL || s->one;
      if (by_pieces && len > s->piece) len = s->piece;
      if (s->rate == 0 && len < s->whole && len <= TM_BLOCK && !s->live && !st->eof && !(by_pieces && len == s->piece)) return TM_SOURCE_MORE;
      if (len > 0 || (final && tm_fluent_inside(&st->at))) {
        if (len >= s->need || st->eof || len > s->max_event) {
          enum tm_source_got got = begin_batch(s, len, final && len == st->tail - st->head);
          if (got == TM_SOURCE_BATCH && s->rate > 0) pace(s);
          if (got == TM_SOURCE_BATCH) return got;
          if (got == TM_SOURCE_LATER) continue;
        }
        if (st->head == before && len < st->tail - st->head) {
          s->piece *= 2;
          continue;
        }
        if (st->head == before && (len > s->max_event || s->least > s->max_event)) return begin_long(s, len);
        if (st->head != before && st->tail > st->head) continue;
        if ((s->ends_held || st->eof == TM_EOF_CUT) && tm_source_holds(s)) {
          if (begin_held(s) == TM_SOURCE_BATCH && s->rate > 0) pace(s);
          return TM_SOURCE_BATCH;
        }
      }
    }
    if (!st->eof) return TM_SOURCE_MORE;
    if (st->eof == TM_EOF_CUT) drop_rest(s);
    if (s->follow != NULL && !s->closing) {
      tm_follow_done(s);
      return TM_SOURCE_MORE;
    }
    s->files_empty += st->eof == TM_EOF_EMPTY;
    s->files_gone += st->eof == TM_EOF_GONE;
    if (go_on(s)) return TM_SOURCE_MORE;
    st->done = 1;
  }
}

void tm_source_batch_done(struct tm_source *s) {
  tm_undo_fence();
  s->state->active = 0;
  tm_undo_fence();
  s->last_rows = s->batch->rows;
}

void tm_source_cut_again(struct tm_source *s) {
  struct tm_cut cut;
  if (s->state->batch_long) long_batch(s);
  else decode(s, s->state->batch_off, s->state->batch_seen, s->state->batch_final, &cut);
  if (s->state->batch_rows > 0) shorten(s->batch, s->state->batch_rows);
}
