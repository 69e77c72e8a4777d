/* csv_read.c - CSV and lines to batches: framing, rows, places, bad rows, headers (csv.h).
 *
 * The scanner (csv_scan.h) takes a piece of text and reads rows without quotes out of its index; where it stops, one row goes the
 * slow way (csv_walk.c), which also decides what is no row. A row whose quotes make no sense is bad up to its first LF and reading
 * goes on behind that: from there to the place where it stopped making sense no quote stands alone, so nothing there is
 * opened again and every byte is walked over twice at most. A row that fits the quotes but not the columns, or is not
 * UTF-8, is bad as a whole. Which lines are one record is record.c's to say. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "cell.h"
#include "csv_scanner.h"
#include "json.h"
#include "msgpack_bytes.h"

enum { BATCH_BYTES = 1 << 20, EVENT_BYTES = (1 << 27) - 1, GIVEN_UP_MAX = 1000 };

/* Where the fields of scripts stand in the file at hand. */
struct tm_csv_map {
  int32_t version;                   /* of the fields it was made from */
  double serial;                     /* of the names */
  struct tm_csv_want *wants;
  int32_t wants_n;
  int32_t wants_cap;
  struct tm_csv_span *spans;         /* of one row */
  int32_t spans_cap;
  struct tm_csv_scan scan;
};

struct reader {
  struct tm_batch *b;
  struct tm_csv_map *map;
  int32_t len;
  int final;
  int32_t max_event;
  int32_t lines;
  int32_t blank;
};

/* The instruction set is that of the JSON reader. */
static const struct tm_csv_scanner *scanner(void) {
#if defined(__x86_64__)
  if (strcmp(tm_json_used(), "avx2") == 0) return &tm_csv_scanner_avx2;
#endif
  return &tm_csv_scanner_portable;
}

/* ---- columns ---- */

struct tm_csv *tm_csv_new(int32_t format, char delimiter, int header, const struct tm_csv_names *given, struct tm_csv_names *shared) {
  struct tm_csv *csv = calloc(1, sizeof *csv);
  struct tm_csv_map *map = calloc(1, sizeof *map);
  if (csv == NULL || map == NULL) {
    free(csv);
    free(map);
    return NULL;
  }
  csv->delimiter = format == TM_FORMAT_LINES ? TM_CSV_NO_DELIMITER : delimiter;
  csv->header = header;
  csv->given = given;
  csv->shared = shared;
  csv->names = given != NULL ? given : shared;
  csv->map = map;
  return csv;
}

void tm_csv_free(struct tm_csv *csv) {
  if (csv == NULL) return;
  tm_csv_members_free(csv->members);
  tm_record_free(csv->record);
  free(csv->map->wants);
  free(csv->map->spans);
  free(csv->map);
  free(csv);
}

static void want_add(struct tm_csv_map *map, const struct tm_field *f, int32_t id, int32_t column, int32_t columns) {
  if (map->wants_n == map->wants_cap) {
    map->wants_cap = map->wants_cap == 0 ? 16 : 2 * map->wants_cap;
    map->wants = realloc(map->wants, (size_t)map->wants_cap * sizeof *map->wants);
    TM_ASSERT(map->wants != NULL);
  }
  map->wants[map->wants_n++] = (struct tm_csv_want){
      .column = column, .last = column == columns - 1, .type = f->type, .id = id, .cells = f->cells, .words = f->words};
}

/* Room for the fields of a row. */
static struct tm_csv_span *spans_get(const struct tm_csv *csv) {
  struct tm_csv_map *map = csv->map;
  if (map->spans_cap >= csv->names->n + 1) return map->spans;
  map->spans_cap = csv->names->n + 1;
  map->spans = realloc(map->spans, (size_t)map->spans_cap * sizeof *map->spans);
  TM_ASSERT(map->spans != NULL);
  return map->spans;
}

/* Rows of a column are absent for good where the file has no such column, else the reader writes each. */
static struct tm_csv_map *map_get(struct tm_batch *b) {
  struct tm_csv *csv = b->csv;
  struct tm_csv_map *map = csv->map;
  const struct tm_csv_names *names = csv->names;
  if (map->version == b->fields->version && map->serial == csv->serial) return map;
  int32_t column = -1;
  map->wants_n = 0;
  for (int32_t id = 1; id < b->fields->n; id++) {
    const struct tm_field *f = &b->fields->list[id];
    if (f->parent != 0) continue;
    int32_t found = tm_csv_names_find(names, f->name, f->name_len, column + 1);
    if (found < 0) continue;
    column = found;
    want_add(map, f, id, found, names->n);
  }
  tm_fields_clear(b->fields, TM_BATCH_ROWS);
  map->version = b->fields->version;
  map->serial = csv->serial;
  return map;
}

/* ---- rows ---- */

/* A value that is not what its bytes are is written out beside the text: the cell knows where it came from. */
static void put_beside(struct tm_batch *b, const struct tm_csv_want *w, int32_t row, const struct tm_csv_span *span) {
  struct tm_buf room;
  struct tm_cell_origin from = {.off = span->off - span->quoted, .len = span->len + 2 * span->quoted};
  struct tm_cell *c = &w->cells[row];
  tm_buf_init_fixed(&room, b->side, b->side_cap);
  room.len = b->side_len;
  int32_t rc = tm_buf_put(&room, (const char *)&from, sizeof from), at = room.len;
  if (rc == 0) rc = tm_csv_span_put(&room, b->raw, span);
  /* a text of each column that is read once or twice: far less than the region holds */
  TM_ASSERT(rc == 0);
  b->side_len = room.len;
  c->off = (int32_t)(b->side + at - b->raw);
  c->tag = (int32_t)((uint32_t)(room.len - at) << 4 | TM_KIND_STRING);
  c->num = tm_cell_num(TM_CSV_UNDOUBLED);
  if (w->words != NULL && w->type == TM_TEXT_STRING) w->words->codes[row] = tm_words_id(w->words, b->raw + c->off, room.len - at);
}

static void put_span(struct tm_batch *b, const struct tm_csv_want *w, int32_t row, const struct tm_csv_span *span) {
  if (!tm_csv_span_plain(span)) put_beside(b, w, row, span);
  else scanner()->put(w, row, b->raw, span->off, span->len);
}

static void row_put(struct reader *r, int32_t at, int32_t stop, int32_t status) {
  struct tm_batch *b = r->b;
  int32_t row = b->rows++;
  for (int32_t i = 0; i < r->map->wants_n; i++) {
    const struct tm_csv_want *w = &r->map->wants[i];
    if (status == TM_LINE_OK) put_span(b, w, row, &r->map->spans[w->column]);
    else tm_field_absent(&b->fields->list[w->id], row);
  }
  b->off[row] = at;
  b->len[row] = stop - at;
  b->line[row] = r->lines;
  b->status[row] = (uint8_t)status;
  b->twice[row] = 0;
  b->bad += status != TM_LINE_OK;
}

/* How a row left to the slow way went: where the next one begins, or one of these. */
enum { WAIT = -1, TOO_LONG = -2, NO_ROOM = -3 };

/* The row at `at` makes no sense: its first line is bad. `end` is how far it was looked at. */
static int32_t line_refuse(struct reader *r, int32_t at, int32_t end, int whole) {
  const char *text = r->b->raw, *lf = memchr(text + at, '\n', (size_t)(end - at));
  if (lf == NULL && end - at > r->max_event) return TOO_LONG;
  if (lf == NULL && !whole) return WAIT;
  int32_t stop = lf == NULL ? end : (int32_t)(lf - text);
  row_put(r, at, stop - (stop > at && text[stop - 1] == '\r'), TM_LINE_SYNTAX);
  r->lines++;
  return lf == NULL ? end : stop + 1;
}

static int is_blank(const char *p, int32_t len, char delimiter) {
  for (int32_t i = 0; i < len; i++)
    if ((p[i] != ' ' && p[i] != '\t') || p[i] == delimiter) return 0;
  return 1;
}

static int32_t row_slow(struct reader *r, int32_t at) {
  struct tm_batch *b = r->b;
  const struct tm_csv *csv = b->csv;
  struct tm_csv_span *spans = spans_get(csv);
  struct tm_csv_row row;
  int32_t columns = csv->names->n;
  int32_t end = r->len - at > r->max_event ? at + r->max_event + 1 : r->len;
  int whole = r->final && end == r->len;
  enum tm_csv_walked walked = tm_csv_walk(b->raw, at, end, whole, csv->delimiter, &row, spans, columns + 1);
  if (walked == TM_CSV_MORE && end - at <= r->max_event) return WAIT;
  if (walked != TM_CSV_DONE) return line_refuse(r, at, end, whole);
  int32_t ends = row.next - (row.next > row.stop && b->raw[row.next - 1] == '\n');
  if (ends - at > r->max_event) return line_refuse(r, at, end, whole);
  if (csv->delimiter != TM_CSV_NO_DELIMITER && row.fields == 1 && !spans[0].quoted &&
      (spans[0].len == 0 || (columns > 1 && is_blank(b->raw + spans[0].off, spans[0].len, csv->delimiter)))) {
    r->blank++;
  } else {
    int status = TM_LINE_OK;
    if (row.next > BATCH_BYTES && b->rows > 0) return NO_ROOM;
    if (!tm_msgpack_utf8(b->raw + at, (uint32_t)(row.stop - at))) status = TM_LINE_SYNTAX;
    else if (row.fields != columns) status = TM_LINE_FIELDS;
    row_put(r, at, row.stop, status);
  }
  r->lines += row.lines;
  return row.next;
}

/* A record of several lines. */
static int32_t record_read(struct reader *r, int32_t at, struct tm_cut *cut) {
  struct tm_batch *b = r->b;
  struct tm_record *record = b->csv->record;
  struct tm_record_row row;
  enum tm_record_end why = record->why;
  enum tm_record_walked walked = tm_record_walk(record, b->raw, at, r->len, r->final, r->max_event, &row);
  if (walked != TM_RECORD_DONE) return walked == TM_RECORD_MORE ? WAIT : TOO_LONG;
  if (row.next > BATCH_BYTES && b->rows > 0) {
    tm_record_forget(record);
    record->begins = row.begins;
    record->why = why;
    return NO_ROOM;
  }
  if (!row.begins && b->line_first + r->lines > 1 && cut->parts++ == 0) {
    cut->parts_at = r->lines;
    cut->parts_why = (int32_t)why;
  }
  *spans_get(b->csv) = (struct tm_csv_span){.off = at, .len = row.stop - at, .crlf = (uint8_t)row.crlf};
  row_put(r, at, row.stop, tm_msgpack_utf8(b->raw + at, (uint32_t)(row.stop - at)) ? TM_LINE_OK : TM_LINE_SYNTAX);
  r->lines += row.lines;
  return row.next;
}

/* Where it stopped: *next says why. A batch of lines that the pattern does not get through with ends sooner, as each takes its time. */
static int32_t records_read(struct reader *r, int32_t *next, struct tm_cut *cut) {
  struct tm_record *record = r->b->csv->record;
  int32_t at = 0;
  while (at < r->len && r->b->rows < TM_BATCH_ROWS && (r->b->rows == 0 || record->broken_off < GIVEN_UP_MAX)) {
    if ((*next = record_read(r, at, cut)) < 0) break;
    at = *next;
  }
  cut->given_up = record->broken_off;
  record->broken_off = 0;
  return at;
}

/* Indexes the text from `at` on. */
static void piece_begin(const struct tm_csv_scanner *sc, struct tm_csv_scan *s, const struct reader *r, int32_t at) {
  s->piece = r->b->raw + at;
  s->base = at;
  s->len = r->len - at < TM_CSV_PIECE ? r->len - at : TM_CSV_PIECE;
  s->delimiter = r->b->csv->delimiter;
  s->row_at = s->mark = s->line = s->quote = 0;
  s->columns = r->b->csv->names->n;
  s->wants = r->map->wants;
  s->wants_n = r->map->wants_n;
  sc->index(s);
}

/* The next row begins at `at` of the piece. */
static void piece_go_on(struct tm_csv_scan *s, int32_t at) {
  s->row_at = at;
  while (s->line < s->lines_n && s->marks[s->lines[s->line]] < at) s->line++;
  while (s->quotes[s->quote] < at) s->quote++;
  s->mark = s->line == 0 ? 0 : s->lines[s->line - 1] + 1;
}

/* As records_read, of rows that are no records. */
static int32_t rows_read(struct reader *r, int32_t *next) {
  const struct tm_csv_scanner *sc = scanner();
  struct tm_csv_scan *s = &r->map->scan;
  struct tm_batch *b = r->b;
  int32_t at = 0, len = r->len;
  int indexed = 0;
  while (at < len && b->rows < TM_BATCH_ROWS) {
    if (!indexed) piece_begin(sc, s, r, at);
    indexed = 1;
    sc->rows(s, b, BATCH_BYTES, r->max_event, &r->lines);
    at = s->base + s->row_at;
    if (b->rows == TM_BATCH_ROWS || at == len) break;
    /* the piece ends inside a row that began behind its start: the next one begins there */
    if (s->line == s->lines_n && s->row_at > 0 && s->quotes[s->quote] == INT32_MAX) {
      indexed = 0;
      continue;
    }
    if ((*next = row_slow(r, at)) < 0) break;
    at = *next;
    if (at - s->base < s->len) piece_go_on(s, at - s->base);
    else indexed = 0;
  }
  return at;
}

void tm_csv_decode(struct tm_batch *b, const char *text, int32_t len, int final, int32_t max_event, struct tm_cut *cut) {
  struct reader r = {.b = b, .map = map_get(b), .len = len, .final = final, .max_event = max_event < EVENT_BYTES ? max_event : EVENT_BYTES};
  int32_t next = 0;
  b->raw = text;
  b->rows = b->bad = b->side_len = b->text_row = 0;
  *cut = (struct tm_cut){0};
  int32_t at = b->csv->record != NULL ? records_read(&r, &next, cut) : rows_read(&r, &next);
  cut->used = at;
  cut->lines = r.lines;
  cut->blank = r.blank;
  /* so many bytes may still turn out to be a row and its LF */
  if (at == 0 && next == WAIT) cut->need = len < r.max_event ? len + 1 : 0;
  if (at == 0 && next == TOO_LONG) cut->need = r.max_event + 1;
}

/* A line, or a record of several, is its own only field. */
static void line_span(const struct tm_batch *b, int32_t row, struct tm_csv_span *span) {
  *span = (struct tm_csv_span){.off = b->off[row], .len = b->len[row]};
  span->crlf = b->csv->record != NULL && memmem(b->raw + span->off, (size_t)span->len, "\r\n", 2) != NULL;
}

const struct tm_csv_span *tm_csv_row_spans(const struct tm_batch *b, int32_t row) {
  struct tm_csv_span *spans = spans_get(b->csv);
  struct tm_csv_row walked;
  if (b->csv->delimiter == TM_CSV_NO_DELIMITER) line_span(b, row, spans);
  else tm_csv_walk(b->raw, b->off[row], b->off[row] + b->len[row], TM_CSV_WHOLE, b->csv->delimiter, &walked, spans, b->csv->names->n);
  return spans;
}

void tm_csv_fill(struct tm_batch *b, int32_t id) {
  struct tm_fields *f = b->fields;
  if (id <= 0 || id >= f->n || f->list[id].parent != 0) return;
  const struct tm_field *field = &f->list[id];
  const struct tm_csv_names *names = b->csv->names;
  struct tm_csv_want w = {.id = id, .type = field->type, .cells = field->cells, .words = field->words};
  w.column = tm_csv_names_find(names, field->name, field->name_len, 0);
  for (int32_t row = 0; row < b->rows; row++) {
    if (w.column < 0 || b->status[row] != TM_LINE_OK) tm_field_absent(&f->list[id], row);
    else put_span(b, &w, row, &tm_csv_row_spans(b, row)[w.column]);
  }
}

/* ---- headers ---- */

static char head_why[320];

static int head_refuse(struct tm_cut *cut, int32_t line, const char *why) {
  if (why != NULL) snprintf(head_why, sizeof head_why, "%s", why);
  cut->broken = head_why;
  cut->broken_at = line;
  return -1;
}

static int head_names(struct tm_csv_names *names, const char *text, const struct tm_csv_span *spans, int32_t n) {
  static struct tm_buf name;
  if (name.cap_max == 0) tm_buf_init(&name, INT32_MAX - TM_PAD);
  names->n = 0;
  for (int32_t i = 0; i < n; i++) {
    name.len = 0;
    if (tm_csv_span_put(&name, text, &spans[i]) != 0 || tm_csv_names_add(names, name.data, name.len) != 0) return -1;
  }
  return 0;
}

int tm_csv_head(struct tm_batch *b, const char *text, int32_t len, int final, struct tm_cut *cut) {
  static struct tm_csv_span spans[TM_CSV_COLUMNS_MAX];
  struct tm_csv *csv = b->csv;
  struct tm_csv_names *names = csv->shared;
  struct tm_csv_row row = {0};
  int32_t at = 0;
  *cut = (struct tm_cut){0};
  csv->serial += 1;
  if (csv->given != NULL && !csv->header) return 1;
  names->n = 0;
  while (at < len) {
    enum tm_csv_walked walked = tm_csv_walk(text, at, len, final, csv->delimiter, &row, spans, TM_CSV_COLUMNS_MAX);
    int32_t used = walked == TM_CSV_DONE ? row.next - at : len - at;
    if (walked == TM_CSV_MORE && used <= TM_CSV_NAMES_BYTES) return 0;
    if (walked == TM_CSV_OPEN || walked == TM_CSV_BEHIND)
      return head_refuse(cut, cut->lines, "the first row should name the columns, and a quote in it is not closed");
    if (used > TM_CSV_NAMES_BYTES || row.fields > TM_CSV_COLUMNS_MAX) {
      snprintf(head_why, sizeof head_why, "the first row should name the columns; it has %s", used > TM_CSV_NAMES_BYTES ?
               "more than 1 MiB" : "more than 16384 fields");
      return head_refuse(cut, cut->lines, NULL);
    }
    if (row.fields > 1 || spans[0].quoted || spans[0].len > 0) break;
    at = row.next;
    cut->lines += row.lines;
    cut->blank++;
    row.fields = 0;
  }
  if (row.fields > 0 && csv->given == NULL) {
    if (!tm_msgpack_utf8(text + at, (uint32_t)(row.stop - at)))
      return head_refuse(cut, cut->lines, "the first row should name the columns; it is not UTF-8");
    if (head_names(names, text, spans, row.fields) != 0) return head_refuse(cut, cut->lines, "the names of the columns have more than 1 MiB");
    if (tm_csv_names_fault(names, head_why, sizeof head_why)) return head_refuse(cut, cut->lines, NULL);
  }
  if (row.fields == 0 && !final) return 0;
  cut->used = row.fields > 0 ? row.next : at;
  cut->lines += row.lines * (row.fields > 0);
  return 1;
}

/* ---- faults ---- */

static void explain_fields(const struct tm_csv_names *names, int32_t fields, char *why, int32_t why_size) {
  int n = snprintf(why, (size_t)why_size, "the row has %d field%s, expected %d: ", fields, fields == 1 ? "" : "s", names->n);
  for (int32_t i = 0; i < names->n && n < why_size - 1; i++) {
    int32_t len;
    const char *name = tm_csv_name(names, i, &len);
    if (n + len + 8 > why_size) {
      snprintf(why + n, (size_t)(why_size - n), "…");
      return;
    }
    n += snprintf(why + n, (size_t)(why_size - n), "%s%.*s", i == 0 ? "" : ",", len, name);
  }
}

void tm_csv_explain(const struct tm_batch *b, int32_t row, char *why, int32_t why_size) {
  const char *text = b->raw + b->off[row];
  int32_t len = b->len[row];
  struct tm_csv_row walked;
  enum tm_csv_walked how = tm_csv_walk(text, 0, len, TM_CSV_WHOLE, b->csv->delimiter, &walked, NULL, 0);
  if (b->status[row] == TM_LINE_FIELDS) {
    explain_fields(b->csv->names, walked.fields, why, why_size);
  } else if (how == TM_CSV_OPEN) {
    snprintf(why, (size_t)why_size, "byte %d: the quote that opens this field is not closed, or not followed by the delimiter "
             "or the row's end within --max-event; only this line is left out", walked.at);
  } else if (how == TM_CSV_BEHIND) {
    int32_t more = 1;  /* a character, of several bytes perhaps */
    while (more < 4 && walked.at + more < len && ((unsigned char)text[walked.at + more] & 0xc0) == 0x80) more++;
    int shown = tm_msgpack_utf8(text + walked.at, (uint32_t)more) && (unsigned char)text[walked.at] >= ' ';
    snprintf(why, (size_t)why_size, "byte %d: expected the delimiter or the row's end behind a closing quote, found %s%.*s%s; a quote "
             "inside a quoted field stands twice", walked.at, shown ? "'" : "a byte that is no text", shown ? more : 0, text + walked.at,
             shown ? "'" : "");
  } else {
    int32_t good = (int32_t)tm_msgpack_utf8_good(text, (uint32_t)len);
    snprintf(why, (size_t)why_size, "byte %d: not UTF-8 (found 0x%02x)", good, good < len ? (unsigned char)text[good] : 0);
  }
}
