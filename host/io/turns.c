/* turns.c - inputs that take turns (turns.h).
 *
 * What is shared are the places of files that wait. Times of next events are found out again by a new worker: the events at
 * those places are the same. A turn is changed in one change with what is cut, which the caller of tm_source_next has kept. */
#include "turns.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/log.h"

struct tm_turns {
  struct tm_turn_file *files;
  double *heads;             /* of each file: time of its next event; NaN not known, +inf it is over */
  double head;               /* of the source, where its files do not take turns */
  double upto;
  int too;
  double times[TM_BATCH_ROWS + 1];
};

int tm_turns_possible(const struct tm_source *s) {
  return s->kind != TM_SOURCE_LINK && s->kind != TM_SOURCE_EVERY && s->follow_state == NULL && s->batch->fluent == NULL &&
         tm_source_record(s) == NULL;
}

int tm_turns_of_files(const struct tm_source *s) {
  struct stat st;
  if (s->kind != TM_SOURCE_FILE || s->paths_n < 2) return 0;
  for (int32_t i = 0; i < s->paths_n; i++)
    if (stat(s->paths[i], &st) == 0 && !S_ISREG(st.st_mode)) return 0;
  return 1;
}

int tm_turns_begin(struct tm_source *s, struct tm_turn_file *files) {
  struct tm_turns *t = calloc(1, sizeof *t);
  if (t == NULL) return -1;
  t->head = NAN;
  t->upto = INFINITY;
  t->too = 1;
  if (files != NULL) {
    t->heads = calloc((size_t)s->paths_n, sizeof *t->heads);
    if (t->heads == NULL) {
      free(t);
      return -1;
    }
    t->files = files;
    for (int32_t i = 0; i < s->paths_n; i++) t->heads[i] = files[i].over ? INFINITY : NAN;
  }
  s->turns = t;
  s->turns_of_files = files != NULL;
  s->piece = TM_BLOCK;
  return 0;
}

void tm_turns_keep(const struct tm_source *s, struct tm_keeper *k) {
  if (s->turns->files != NULL) tm_keep(k, s->turns->files, (size_t)s->paths_n * sizeof *s->turns->files);
}

void tm_turns_free(struct tm_turns *t) {
  if (t != NULL) free(t->heads);
  free(t);
}

/* Time of the next event of what is at hand. */
static double *head_of(const struct tm_source *s) { return s->turns->files != NULL ? &s->turns->heads[s->state->file] : &s->turns->head; }

double tm_turns_time(const struct tm_source *s) { return s->state->done ? INFINITY : *head_of(s); }

void tm_turns_upto(struct tm_source *s, double upto, int too) {
  s->turns->upto = upto;
  s->turns->too = too;
}

/* The file that is to be looked at next: one whose next event is not known, or the one whose is oldest; -1 all are over. */
static int32_t next_turn(const struct tm_turns *t, int32_t n) {
  int32_t best = -1;
  for (int32_t i = 0; i < n; i++) {
    if (isnan(t->heads[i])) return i;
    if (t->heads[i] < INFINITY && (best < 0 || t->heads[i] < t->heads[best])) best = i;
  }
  return best;
}

static int may_go(const struct tm_turns *t, double time) { return time < t->upto || (time == t->upto && t->too); }

/* The file at hand waits at its next event, another one goes on where it waited. */
static void change(struct tm_source *s, int32_t to) {
  struct tm_source_state *st = s->state;
  struct tm_turn_file *at = &s->turns->files[st->file], *next = &s->turns->files[to];
  tm_undo_keep(s->undo, at, sizeof *at);
  at->offset = st->offset - (st->tail - st->head);
  st->bytes -= st->tail - st->head;  /* is read again */
  at->line = st->line;
  at->looked = st->looked;
  at->begun = st->begun;
  at->headed = st->headed;
  tm_source_leave(s);
  st->file = to;
  st->eof = TM_EOF_NOT;
  st->offset = next->offset;
  st->looked = next->looked;
  st->begun = next->begun;
  st->headed = next->headed;
  st->line = next->line > 0 || next->begun ? next->line : tm_format_of(s->batch)->first;
  st->head = st->tail = s->buf.len = 0;
}

enum tm_source_got tm_turns_pick(struct tm_source *s) {
  const struct tm_turns *t = s->turns;
  const struct tm_source_state *st = s->state;
  if (st->done || st->skipping || isnan(*head_of(s))) return TM_SOURCE_BATCH;
  if (t->files != NULL && st->looked != TM_LOOK_PACKED) {
    int32_t next = next_turn(t, s->paths_n);
    if (next >= 0 && next != st->file) {
      change(s, next);
      return TM_SOURCE_MORE;
    }
  }
  return may_go(t, *head_of(s)) ? TM_SOURCE_BATCH : TM_SOURCE_LATER;
}

int32_t tm_turns_rows(struct tm_source *s, int32_t most) {
  struct tm_turns *t = s->turns;
  const struct tm_batch *b = s->batch;
  double upto = t->upto;
  int32_t row = 0, too = t->too;
  if (s->turns_of_files && s->state->looked != TM_LOOK_PACKED) {
    for (int32_t i = 0; i < s->paths_n; i++) {
      double other = isnan(t->heads[i]) ? -INFINITY : t->heads[i];
      if (i == s->state->file || other > upto) continue;
      if (other < upto) too = 1;
      upto = other;
      too = too && i > s->state->file;
    }
  }
  tm_ffi_time_column(b, s->fields->list[s->time_field].cells, s->time_unit, t->times);
  while (row < most && !(t->times[row] > upto || (t->times[row] == upto && !too))) row++;
  *head_of(s) = row < b->rows ? t->times[row] : NAN;
  if (row > 0 && t->files != NULL && !t->files[s->state->file].gave) {
    struct tm_turn_file *at = &t->files[s->state->file];
    tm_undo_keep(s->undo, at, sizeof *at);
    at->gave = 1;
  }
  return row;
}

int tm_turns_over(struct tm_source *s) {
  struct tm_turns *t = s->turns;
  struct tm_turn_file *at = &t->files[s->state->file];
  if (s->state->over == s->paths_n) return 0;  /* none of them is read any more */
  tm_undo_keep(s->undo, at, sizeof *at);
  at->over = 1;
  s->state->over++;
  t->heads[s->state->file] = INFINITY;
  int32_t next = next_turn(t, s->paths_n);
  if (next < 0) return 0;
  change(s, next);
  return 1;
}

void tm_turns_headed(struct tm_source *s) {
  struct tm_turn_file *at = &s->turns->files[s->state->file];
  tm_undo_keep(s->undo, at, sizeof *at);
  at->head_len = (int32_t)(s->state->offset - (s->state->tail - s->state->head));
}

int tm_turns_head(struct tm_source *s, struct tm_err *err) {
  struct tm_turns *t = s->turns;
  struct tm_source_state *st = s->state;
  struct tm_cut cut;
  if (t == NULL || t->files == NULL || st->offset == 0 || tm_format_of(s->batch)->head == NULL) return 0;
  int32_t len = t->files[st->file].head_len;
  if (len == 0) return 0;
  char *text = s->buf.data + st->tail;
  if (lseek(s->fd, 0, SEEK_SET) < 0 || tm_io_read_all(s->io, s->fd, text, (size_t)len) != len || lseek(s->fd, st->offset, SEEK_SET) < 0)
    return tm_err_set(err, 1, "read", "%s: its first %d bytes cannot be read again: %s", tm_source_origin(s), len, strerror(errno));
  const char *mark = tm_format_of(s->batch)->mark;
  int32_t from = mark != NULL && len >= (int32_t)strlen(mark) && memcmp(text, mark, strlen(mark)) == 0 ? (int32_t)strlen(mark) : 0;
  memset(text + len, 0, TM_PAD);
  tm_format_of(s->batch)->head(s->batch, text + from, len - from, 1, &cut);
  return 0;
}

double tm_source_unbegun(const struct tm_source *s, int begins) {
  const struct tm_turns *t = s->turns;
  double least = INFINITY;
  if (s->seen != NULL) return s->seen->unbegun[begins != 0];
  if (s->state->done || s->kind == TM_SOURCE_LINK || s->follow_state != NULL) return INFINITY;
  if (t != NULL && t->files != NULL) {
    for (int32_t i = 0; i < s->paths_n; i++) {
      double head = isnan(t->heads[i]) ? -INFINITY : t->heads[i];
      if (!t->files[i].gave && !t->files[i].over && head < least) least = head;
    }
    return least;
  }
  if (s->kind == TM_SOURCE_FILE && s->state->file < s->paths_n - 1) return -INFINITY;
  if (begins || s->state->slots > 0 || s->live) return INFINITY;
  return t == NULL || isnan(t->head) ? -INFINITY : t->head;
}

int tm_source_part_over(const struct tm_source *s, int32_t part) {
  if (s->seen != NULL && s->seen_over != NULL) return s->seen->done || (part < s->seen_files && s->seen_over[part]);
  if (s->seen != NULL) return s->seen->done || (s->kind == TM_SOURCE_FILE && s->follow_state == NULL && part < s->seen->file);
  if (s->state->done) return 1;
  if (s->follow_state != NULL || s->kind != TM_SOURCE_FILE) return 0;
  return s->turns != NULL && s->turns->files != NULL ? s->turns->files[part].over : part < s->state->file;
}

int32_t tm_source_parts_over(const struct tm_source *s) {
  if (s->seen != NULL) return s->seen->over;
  if (s->state->done || s->follow_state != NULL || s->kind != TM_SOURCE_FILE) return s->state->done;
  return s->turns != NULL && s->turns->files != NULL ? s->state->over : s->state->file;
}
