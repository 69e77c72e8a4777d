/* abi.h - all that Lua knows of C.
 *
 * The only declarations LuaJIT's FFI sees: this text is embedded in the
 * binary, handed to ffi.cdef as it stands, and included by the C side, so the
 * two cannot drift; sizes and offsets are compared at start all the same.
 * Plain C without macros or preprocessor lines.
 *
 * Rules: a tm_ffi_ function never touches a Lua state, never enters Lua,
 * never blocks and never jumps. Arguments are doubles, int32 and pointers with
 * lengths. Pointers handed out stay valid as long as their owner says here.
 */

/* ---- limits ---------------------------------------------------------- */

enum {
  TM_ABI_VERSION = 1,
  TM_BATCH_ROWS = 1024,     /* events in a batch at most */
  TM_ROW_EMPTY = 1024,      /* a row of every column that is always absent */
  TM_EXT_TIMESTAMP = -1,    /* the extension type of msgpack that is a point in time */
  TM_WORDS_MAX = 255,       /* texts of a column that are known by an id */
  TM_PAD = 64               /* readable bytes behind every text handed to a scanner */
};

/* ---- values ---------------------------------------------------------- */

/* What a cell holds. The low 4 bits of tm_cell.tag. */
enum tm_kind {
  TM_KIND_ABSENT = 0,
  TM_KIND_NULL = 1,
  TM_KIND_FALSE = 2,
  TM_KIND_TRUE = 3,
  TM_KIND_NUMBER = 4,       /* a number a double holds: num is its value, if the column wants numbers */
  TM_KIND_BIGINT = 5,       /* an integer outside +-2^53: digits in the text */
  TM_KIND_HUGE = 6,         /* a number beyond a double's range */
  TM_KIND_STRING = 7,       /* text without escapes; the span leaves the quotes out */
  TM_KIND_ESCAPED = 8,      /* text with backslash escapes; the span leaves the quotes out */
  TM_KIND_OBJECT = 9,       /* the span covers the braces */
  TM_KIND_ARRAY = 10,       /* the span covers the brackets */
  TM_KIND_OPAQUE = 11       /* bytes, an extension or a timestamp of msgpack; in JSON text a marked string (codec/note.h) */
};

/* How events and rows are written. */
enum tm_format_id {
  TM_FORMAT_JSON = 0,       /* one object a line */
  TM_FORMAT_MSGPACK = 1,    /* maps, one behind the other */
  TM_FORMAT_CSV = 2,        /* RFC 4180 */
  TM_FORMAT_LINES = 3,      /* plain text: { line = ... } */
  TM_FORMAT_FLUENT = 4,     /* messages of Fluent Bit, which become events of MSGPACK; of sources alone */
  TM_FORMATS = 5
};

/* One value of one event: where its text lies and, for numbers, its value.
 * num is a (canonical) NaN unless kind is NUMBER and the column wants numbers,
 * so that "num == num" is the whole test for a number. In a batch of msgpack the
 * text is the value's own bytes, a STRING's without their head (whose length is in
 * bits 32 to 39 of its NaN), until tm_ffi_cell_text has made JSON of them. In one of CSV or lines a STRING's text is what
 * it says, and may hold quotes and controls, until then. */
struct tm_cell {
  double num;
  int32_t off;              /* of the text, from the base the cell belongs to (batch: raw) */
  int32_t tag;              /* length of the text << 4 | kind */
};

/* tm_buf.fixed: FIXED data never moves (a reserved region); OWNED it is of what was made for the scripts (base/owned.h). */
enum tm_buf_kind { TM_BUF_HEAP = 0, TM_BUF_FIXED = 1, TM_BUF_OWNED = 2 };

/* Growing bytes. Writers return 0, or -1 when cap_max is reached. */
struct tm_buf {
  char *data;
  int32_t len;
  int32_t cap;              /* bytes allocated, TM_PAD more are readable and writable */
  int32_t cap_max;          /* never beyond this */
  int32_t fixed;            /* enum tm_buf_kind */
};

/* ---- events ---------------------------------------------------------- */

/* Why a line is no event. tm_batch.status. */
enum tm_line_status {
  TM_LINE_OK = 0,
  TM_LINE_SYNTAX = 1,       /* not JSON, or not UTF-8 */
  TM_LINE_NOT_OBJECT = 2,   /* valid, but not an object */
  TM_LINE_TOO_DEEP = 3,
  TM_LINE_TOO_LONG = 4,
  TM_LINE_QUARANTINED = 5,  /* killed the worker twice */
  TM_LINE_FIELDS = 6        /* CSV: too few or too many */
};

struct tm_fields;           /* the fields of a source that scripts read: a tree, root is 0 */
struct tm_csv;              /* how a source of CSV or lines is read (codec/csv.h) */
struct tm_fluent;           /* how a source of Fluent Bit is read (codec/fluent.h) */

/* Up to TM_BATCH_ROWS events of one source, decoded. Bad lines keep a slot (status != 0)
 * and are never given to a loop. Written by C alone. */
struct tm_batch {
  const char *raw;                     /* base of the text; TM_PAD readable bytes behind it */
  struct tm_fields *fields;
  struct tm_csv *csv;                  /* NULL: another format */
  struct tm_fluent *fluent;            /* NULL: events are messages of their own */
  int32_t rows;                        /* slots used, bad ones included */
  int32_t bad;                         /* how many of them are bad */
  int32_t format;                      /* enum tm_format_id: of the events; never FLUENT */
  int32_t side_len;                    /* bytes used of `side` */
  char *side;                          /* room for texts made of cells (not in JSON); TM_PAD readable bytes behind it */
  int32_t side_cap;
  int32_t text_row;                    /* row whose text tm_ffi_batch_text made last, from 1; 0 none */
  double line_first;                   /* number of slot 0's line in its source, from 1 */
  double before;                       /* slots of the source before this batch, whatever their batches were */
  double received_ms;                  /* host clock at arrival */
  int32_t part;                        /* which partition of the input it is from: one a source and file */
  int32_t live;                        /* 1: of one that is taken as it comes, 0: of one that ends */
  int32_t parts_over;                  /* partitions of all inputs that have ended */
  int32_t pad;
  double unbegun;                      /* where bounded partitions begin of which nothing was read yet: the least; +inf there are
                                          none, -inf not known */
  int32_t off[1025];                   /* the object's text (bad: the line's), without white space around */
  int32_t len[1025];
  int32_t line[1025];                  /* line number - line_first */
  int32_t origin[1025];                /* slot of the source batch this row came from (itself in a source batch) */
  uint8_t status[1025];                /* enum tm_line_status */
  uint8_t twice[1025];                 /* 1: a field that scripts read stands in the event more than once */
};

/* fields: returns the id of child `name` of field `parent`, made if new; -1 when there are 4096.
 * A new field's column is all absent: fill it for the batch at hand with tm_ffi_batch_fill. */
int32_t tm_ffi_fields_add(struct tm_fields *f, int32_t parent, const char *name, int32_t name_len);
/* the column: TM_BATCH_ROWS + 1 cells, row TM_ROW_EMPTY absent for ever; valid as long as the fields */
struct tm_cell *tm_ffi_fields_cells(struct tm_fields *f, int32_t id);
/* from now on num is filled for numbers of this field; 1 if that is new */
int32_t tm_ffi_fields_want_number(struct tm_fields *f, int32_t id);
/* From now on short strings of this field that come often get ids, the same ones for good: those of the batch's rows, 0
 * for what has none; valid as long as the fields. NULL: no memory. */
const uint8_t *tm_ffi_fields_words(struct tm_fields *f, int32_t id);
/* What texts of CSV are taken for where :schema says so. A text that is none stays a STRING. */
enum tm_text_type { TM_TEXT_STRING = 0, TM_TEXT_NUMBER = 1, TM_TEXT_BOOLEAN = 2 };
/* The same field read as that type: a column of its own beside the other one. Its id, made if new; -1 as above. */
int32_t tm_ffi_fields_typed(struct tm_fields *f, int32_t id, int32_t type);
/* Which fields of a source of CSV a view reads as what, for its rows as a whole. */
struct tm_types;
struct tm_types *tm_ffi_types_new(const struct tm_fields *f);                         /* goes with the scripts (base/owned.h); NULL: no memory */
int32_t tm_ffi_types_add(struct tm_types *t, int32_t id);                             /* a typed field; 0, or -1 no memory */
/* a text that a script has, taken for that type: its kind; *num gets a number's value, else NaN */
int32_t tm_ffi_text_value(const char *text, int32_t len, int32_t type, double *num);
/* extract one field over all rows of a batch already decoded (a field met late) */
void tm_ffi_batch_fill(struct tm_batch *b, int32_t id);
/* The event in `row` as JSON text, until this is called for another row: its pointer, the length in *len; NULL no memory.
 * types: of CSV; may be NULL. */
const char *tm_ffi_batch_text(struct tm_batch *b, int32_t row, const struct tm_types *types, int32_t *len);
/* makes the text of a cell of this batch JSON where it is not: strings too have their quotes around the span then; 0, or -1 no
 * memory */
int32_t tm_ffi_cell_text(struct tm_batch *b, struct tm_cell *c);
/* appends the value of a cell of this batch as JSON text, with notes (see tm_ffi_note_number): 0, or -1 out of space */
int32_t tm_ffi_cell_put(struct tm_buf *out, const struct tm_batch *b, const struct tm_cell *c);

/* Which rows a filter surely drops (event/filter.c): a graph of tests of a field against a constant. */
enum tm_filter_op {
  TM_FILTER_EQ_TEXT = 0, TM_FILTER_EQ_NUMBER, TM_FILTER_LT, TM_FILTER_LE, TM_FILTER_GT, TM_FILTER_GE,
  TM_FILTER_TRUTH,          /* neither nil nor false */
  TM_FILTER_EQ_NIL, TM_FILTER_EQ_FALSE, TM_FILTER_EQ_TRUE,
  TM_FILTER_KINDS           /* its kind is one of those whose bits num has */
};
enum tm_filter_end { TM_FILTER_DROP = -1, TM_FILTER_KEEP = -2, TM_FILTER_MATCH = -3 /* of rules: surely true */ };
struct tm_filter;
struct tm_filter *tm_ffi_filter_new(struct tm_fields *f);                             /* goes with the scripts (base/owned.h); NULL: no memory */
/* Appends a test; the first is where all rows begin. on_true, on_false: the number of a later test, or how it ends.
 * 0, or -1 no memory or too many */
int32_t tm_ffi_filter_add(struct tm_filter *f, int32_t field, int32_t op, double num, const char *text, int32_t len,
                          int32_t on_true, int32_t on_false);
/* the rows of [first, last] that are not surely dropped, in order: how many; f NULL: all of them */
int32_t tm_ffi_filter_rows(struct tm_filter *f, const struct tm_batch *b, int32_t first, int32_t last, int32_t *rows);
/* `bit` comes into flags[row] where the filter surely holds (it ends in MATCH), 1 into unsure[row] where only Lua can tell; rows from 0
 * to before n */
void tm_ffi_filter_flags(struct tm_filter *f, const struct tm_batch *b, int32_t n, uint32_t bit, uint32_t *flags, uint8_t *unsure);

/* fine[i] becomes 1 where the kinds of row i are, in each of some fields, among those whose bits kinds[field] has; else 0 (event/kinds.c) */
void tm_ffi_kinds_rows(const struct tm_cell *const *cells, const int32_t *kinds, int32_t fields, int32_t rows, uint8_t *fine);

/* The conditions of many rules over columns of numbers, a chunk of rows at a time (event/rules.c). Rules, columns and rows count from 0.
 * Columns are read 64 rows at a time. known: 0 nil, 1 a number (of a boolean 0 or 1), 2 one that is warming, 3 another value */
enum { TM_RULES_ROWS = 1024 };
struct tm_rule_stat {
  double looked;            /* rows for which it was asked */
  double hits;
  double errors;
  double unknowns;
  double called;            /* rows for which its function was asked */
  double ns;                /* processor time of some chunks, which had `timed` rows */
  double timed;
};
struct tm_rules {
  int32_t chunk;            /* rows of the chunk that was judged */
  int32_t measuring;        /* 1: time is measured in this chunk */
  int32_t asking_n;         /* rules that Lua must be asked, by tm_ffi_rules_asked */
  int32_t plain_n;          /* of `rows`, the first ones that are plain */
  int32_t *asking;
  int32_t *rows;            /* of the last tm_ffi_rules_asked */
  int32_t *from;            /* by row: where its entries of list begin; one more for the end */
  int32_t *list;            /* by row, in order of rules: rule * 2, and 1 more where it raised */
  struct tm_rule_stat *stats;
};
struct tm_rules *tm_ffi_rules_new(int32_t rules, int32_t columns);                    /* NULL: no memory */
void tm_ffi_rules_free(struct tm_rules *r);
void tm_ffi_rules_column(struct tm_rules *r, int32_t column, const double *num, const uint8_t *known);
/* A rule: indexed, it is looked at only for rows of tm_ffi_rules_add; needs: columns without which it is unknown; reads: those that may be
 * nil, but not warming. 0, or -1 no memory */
int32_t tm_ffi_rules_put(struct tm_rules *r, int32_t rule, int32_t indexed, const int32_t *needs, int32_t needs_n, const int32_t *reads,
                         int32_t reads_n);
/* What the nodes of a condition do beside tests of a column or a temporary against num (enum tm_filter_op, not EQ_TEXT and KINDS; TRUTH is
 * of what is no boolean). Numbers are columns; -1 - t is the temporary t; TM_RULE_CONSTANT is num. */
enum tm_rule_op {
  TM_RULE_LT = 16, TM_RULE_LE, TM_RULE_EQ,      /* a test of the numbers a and b */
  TM_RULE_ADD, TM_RULE_SUB, TM_RULE_MUL, TM_RULE_DIV, TM_RULE_MOD, TM_RULE_MIN, TM_RULE_MAX,   /* of a and b to the temporary `to` */
  TM_RULE_NEGATIVE, TM_RULE_ABS, TM_RULE_FLOOR, TM_RULE_CEIL, TM_RULE_SQRT                     /* of a; b is TM_RULE_CONSTANT */
};
enum { TM_RULE_CONSTANT = -1000, TM_RULE_TEMPORARIES = 16 };
/* Appends a node to its condition, the first is where rows begin; without any Lua is asked. on_true, where arithmetic goes on too, and
 * on_false are later nodes or ends. 0, or -1 too many */
int32_t tm_ffi_rules_node(struct tm_rules *r, int32_t rule, int32_t op, int32_t a, int32_t b, int32_t to, double num, int32_t on_true,
                          int32_t on_false);
/* fills a column for the first n rows of a chunk from a field's, whose rows are home[0] …: numbers between -below and below */
void tm_ffi_rules_gather(const struct tm_cell *cells, const int32_t *home, int32_t n, double below, double *num, uint8_t *known);
void tm_ffi_rules_add(struct tm_rules *r, int32_t rule, int32_t row);
void tm_ffi_rules_judge(struct tm_rules *r, int32_t n);
/* rows are plain for a rule where all of these columns are known; without this none are. 0, or -1 no memory */
int32_t tm_ffi_rules_plain(struct tm_rules *r, int32_t rule, const int32_t *columns, int32_t n);
int32_t tm_ffi_rules_asked(struct tm_rules *r, int32_t rule);                         /* how many rows; they are in `rows`, plain ones first */
void tm_ffi_rules_answer(struct tm_rules *r, int32_t rule, int32_t row, int32_t error);
void tm_ffi_rules_clock(struct tm_rules *r, int32_t rule, int32_t ends);              /* around asking Lua, while measuring */
void tm_ffi_rules_leave_out(struct tm_rules *r, int32_t row);                         /* it has failed: nothing of it counts */
int32_t tm_ffi_rules_collect(struct tm_rules *r);                                     /* how many entries; -1 no memory */

/* ---- JSON text ------------------------------------------------------- */
/* Texts given to these are valid JSON and have TM_PAD readable bytes behind them, unless said otherwise. */

/* member `name` (unescaped UTF-8) of an object's text: the last one of that name; ABSENT if none.
 * Offsets from text; num is filled for numbers. */
void tm_ffi_json_find(const char *text, int32_t len, const char *name, int32_t name_len, struct tm_cell *out);
/* decodes the inside of an ESCAPED string and appends it to out; 0, or -1 out of space */
int32_t tm_ffi_json_unescape(const char *text, int32_t len, struct tm_buf *out);
/* parses the whole of any text (no padding needed); 0 or -1 with *err_at = byte offset of the first error */
int32_t tm_ffi_json_check(const char *text, int32_t len, int32_t *err_at);

/* A value flattened in pre-order, for making Lua tables. For OBJECT and ARRAY num is the number of
 * members; an object's members are a key cell (STRING or ESCAPED) and the value's cells each.
 * Duplicate keys: only the last one of a name is listed, at its own place. */
struct tm_tape {
  struct tm_cell *cells;    /* valid until the tape's next use */
  int32_t n;
  int32_t cap;
};
/* 0, or -1 out of memory */
int32_t tm_ffi_json_tape(const char *text, int32_t len, struct tm_tape *t);

/* writers: append to out; 0, -1 out of space, -2 the value cannot be written (NaN, infinity; invalid UTF-8) */
int32_t tm_ffi_json_number(struct tm_buf *out, double v);
int32_t tm_ffi_json_string(struct tm_buf *out, const char *s, int32_t len);          /* with quotes */
int32_t tm_ffi_json_lossy(struct tm_buf *out, const char *s, int32_t len);           /* the same, invalid bytes as U+FFFD */
int32_t tm_ffi_json_decimal(struct tm_buf *out, double v, int32_t digits);           /* rounded to that many decimals, half to even of the exact value */
int32_t tm_ffi_buf_put(struct tm_buf *out, const char *s, int32_t len);              /* bytes as they are */
/* A row or value on its way to a sink is JSON text that may have notes (codec/note.h), which tell what JSON does not; these
 * write them. note_number: an integral double that JSON digits would make an integer beyond 2^53 keeps being a double.
 * opaque: lead c4 bytes, c7 an extension of that type. clean: makes JSON for others of data[from..len). */
int32_t tm_ffi_note_number(struct tm_buf *out, double v);
int32_t tm_ffi_note_opaque(struct tm_buf *out, int32_t lead, int32_t type, const char *s, int32_t len);
int32_t tm_ffi_note_clean(struct tm_buf *out, int32_t from);
/* what an OPAQUE text (without its quotes) holds: its bytes are appended to out; *type -1000: bytes, else an extension's; 0, -1 */
int32_t tm_ffi_note_read(const char *text, int32_t len, struct tm_buf *out, int32_t *type);
/* a point in time of an extension's bytes: 1, 0 they are none */
int32_t tm_ffi_timestamp_read(const char *s, int32_t len, double *seconds, double *nanoseconds);
/* appends the bytes of one (8 or 12, or 4); 0, -1 out of space, -2 no such point in time */
int32_t tm_ffi_timestamp_put(struct tm_buf *out, double seconds, double nanoseconds);
/* like json_number, into at most 32 bytes; returns the length (for tm.i64 and tostring) */
int32_t tm_ffi_number_text(double v, char *out);

/* what :schema asks of a text (no padding needed): is it an int64, a date-time (ISO 8601 / RFC 3339)? 1 or 0 */
int32_t tm_ffi_text_int64(const char *text, int32_t len);
int32_t tm_ffi_text_iso8601(const char *text, int32_t len);
/* how many decimals a number's text needs (12.30: 1, 1e2: -2 or less); -2147483648: it is no number */
int32_t tm_ffi_text_decimals(const char *text, int32_t len);

/* Points in time (codec/time.c): milliseconds since 1970, rounded down. What is none, or further away than 2^53, is NaN. */
enum tm_time_unit {
  TM_TIME_S = 0,            /* a decimal number, as a number or as text */
  TM_TIME_MS = 1,
  TM_TIME_US = 2,
  TM_TIME_NS = 3,
  TM_TIME_ISO8601 = 4       /* text as tm_ffi_text_iso8601 takes it; without a zone: UTC */
};
/* of a text (no padding needed) */
double tm_ffi_time_text(const char *text, int32_t len, int32_t unit);
/* Of a column of this batch: times has room for TM_BATCH_ROWS. NaN too where the text must be made first (escapes, values of
 * msgpack that are no plain numbers or strings). Returns how many rows that are events have none. */
int32_t tm_ffi_time_column(const struct tm_batch *b, const struct tm_cell *cells, int32_t unit, double *times);

/* The event time of a pipeline's rows, written by its loop. Points in time are ms. */
struct tm_clock {
  double highest;           /* the largest time of the partition at hand so far; -inf none */
  double w;                 /* the watermark before the event at hand */
  double trip;              /* when highest reaches this, something is due */
  double due;               /* the least watermark at which it is */
  double distance;          /* from highest to the watermark: out_of_order + 1 */
  double limit;             /* times beyond are too far ahead of the clock */
  double cap;               /* the watermark of the other partitions, the least; +inf there are none */
  double low;               /* the watermark before this batch: it never goes back */
};
/* Watermarks: highest[i] gets the greatest of `from` and the times of rows [0, i), those beyond `limit` left out; i up to rows. */
void tm_ffi_time_highest(const double *times, int32_t rows, double from, double limit, double *highest);
/* the first row of [first, last] behind which highest has reached `trip`; last + 1: none */
int32_t tm_ffi_time_trip(const double *highest, int32_t first, int32_t last, double trip);

/* Changes to one object, applied to its text in one walk. Keys and texts must live until it is applied.
 * Later changes to the same key replace earlier ones, in the earlier one's place. */
struct tm_patch;
struct tm_patch *tm_ffi_patch_new(void);                                              /* goes with the scripts */
void tm_ffi_patch_reset(struct tm_patch *p);
int32_t tm_ffi_patch_set(struct tm_patch *p, const char *key, int32_t key_len, int32_t off, int32_t len); /* text in `texts` of apply */
int32_t tm_ffi_patch_remove(struct tm_patch *p, const char *key, int32_t key_len);
/* Writes the object with its changes: members keep their place and bytes; a set key replaces the last
 * member of that name and drops its duplicates; keys not found are appended in order of their first change. */
int32_t tm_ffi_patch_apply(struct tm_patch *p, const char *text, int32_t len, const char *texts, struct tm_buf *out);
/* The keys of the object so changed, in its order: STRING or ESCAPED cells. Offsets from text; a key that the
 * patch appends has off = -1 - (its index in order of the patch's changes). */
int32_t tm_ffi_patch_keys(struct tm_patch *p, const char *text, int32_t len, struct tm_tape *keys);

/* ---- Lua tables ------------------------------------------------------ */
/* Does nothing, as the next call behind each next(): for the registers it empties (lua/tidemill/walk.lua). */
void tm_ffi_table_walked(void);

/* ---- values of type any ---------------------------------------------- */

/* Lua tables as msgpack, one form for each value, by way of the bytes of LuaJIT's string.buffer (codec/any.h). */
enum {
  TM_ANY_OTHER = 1,         /* there is something in it that this way cannot carry: another one is to be tried */
  TM_ANY_VIEW = 2,          /* a view of an event */
  TM_ANY_BYTES = -1000      /* in place of an extension's type: bytes */
};
/* Appends what Lua bytes say as msgpack: 0, -1 out of space, or OTHER, VIEW */
int32_t tm_ffi_any_pack(struct tm_buf *out, const char *lua, int32_t len);
/* Appends Lua bytes: 0, -1 out of space, -2 that is no such value, or OTHER (null, bytes, an extension, deep nesting) */
int32_t tm_ffi_any_unpack(struct tm_buf *out, const char *p, int32_t len);
/* The value flattened in pre-order, as by tm_ffi_json_tape, but keys may be numbers and booleans, and OPAQUE is the value's
 * own bytes: 0, -1 out of memory, -2 that is no such value. Offsets from p. */
int32_t tm_ffi_any_tape(const char *p, int32_t len, struct tm_tape *t);
/* of an OPAQUE cell's bytes: how many stand in front of its content; *type: BYTES, or the extension's */
int32_t tm_ffi_any_opaque(const char *p, int32_t len, int32_t *type);

/* ---- output ---------------------------------------------------------- */

/* Rows of one pipeline for one sink, until the sink takes them. The rows of the event at hand are taken back by
 * cutting `buf` at `mark`. */
struct tm_out {
  struct tm_buf buf;
  int32_t event;            /* slot of the event at hand; -1 none yet in this batch */
  int32_t mark;             /* buf.len before its first row */
  int32_t event_rows;       /* its rows so far */
  int32_t events_n;         /* entries used in `events` */
  struct tm_out_event *events;  /* where each event's rows begin; TM_BATCH_ROWS entries */
  double rows;              /* rows finished since the start */
  double rows_mark;         /* rows before the event at hand */
  int32_t soft;             /* beyond this many bytes tm_flow.stop is set */
  int32_t max_rows;         /* of one event */
  int32_t max_bytes;        /* of one event */
  int32_t sink;
  int32_t format;           /* enum tm_format_id */
  int32_t row;              /* where the row at hand starts in buf */
  struct tm_out_tally *tally;   /* shared by the outs of a pipeline; may be null */
  struct tm_csv_out *csv;   /* how rows of CSV or lines are written (codec/csv_write.h); set by each worker */
  struct tm_columns *columns;   /* the fields that rows of JSON may have (codec/columns.h); null: any; set by each worker */
  int32_t after;            /* TM_AFTER while the rows made are none of the event's: `event` is its slot + after then */
  int32_t timed;            /* rows of JSON end in a tab and their time, for a sink that keeps it (io/log_sink.h) */
  double time;              /* of the row being written, ms; NaN none. Set by the loop before each row, and spent by it */
};
struct tm_out_event { int32_t event; int32_t off; };
/* Events of a pipeline that made at least one row: the others were dropped. `before` the event at hand there were so
 * many; it is stored first, then event, then events, so that a process killed in between can be taken up. */
struct tm_out_tally {
  double events; double before; int32_t event;
  int32_t late_event;       /* the same for late events: counted by tm_ffi_late */
  double late; double late_before;
  double timers_dropped;    /* due after the end of input, or not yet when it came early */
  double matches_dropped;   /* partial matches of patterns beyond their bound */
  /* lookups without a row, and those of them whose key is of another type than the table's; the same for them */
  double missed; double missed_before;
  double mistyped; double mistyped_before;
  int32_t missed_event;
  int32_t pad;
};
/* What follows an event that is done: timers and windows that became due with it. Their rows belong to its slot, but each is
 * taken back by itself. The marker's row, and the event of an out, are the slot + TM_AFTER then. */
enum { TM_AFTER = -2147483647 - 1 };
/* an event of this row came too late for a step: counted once for each event and call */
void tm_ffi_late(struct tm_out_tally *t, int32_t row);
/* a lookup of this row's event found nothing; mistyped: 1 as its key is of another type */
void tm_ffi_missed(struct tm_out_tally *t, int32_t row, int32_t mistyped);

/* Where the worker is: read by the deadline's signal handler and, after a death, by the next worker. */
struct tm_marker {
  double serial;            /* counts calls into Lua; 0: no user code is running */
  int32_t pipeline;
  int32_t row;              /* below 0: the event of slot row - TM_AFTER is done, what follows it is at work */
  int32_t step;
  int32_t sub;              /* row held inside an event (flat_map) */
};

/* One view's place, written by its loop and accessors. */
struct tm_view {
  double gen;               /* generation of the writes in force */
  double gen_top;           /* the last generation given out */
  double time;              /* event time in ms; NaN: none */
  int32_t row;              /* row whose columns are read; TM_ROW_EMPTY: none */
  int32_t home;             /* row of the event itself */
  int32_t writes;           /* slots written in this generation */
  int32_t base;             /* where this generation's entries begin in the list of written slots */
  int32_t log;              /* entries in the undo log */
  int32_t arrays;           /* arrays handed out in this call */
  int32_t dirty;            /* 1: the overlay was used, or an array handed out, in this event */
  int32_t extra;            /* nodes of names met as data beyond the bound */
  int32_t last;             /* row at which the loop ends; with a list of rows (tm_ffi_filter_rows) its last place */
  int32_t at;               /* place in that list */
  struct tm_types *types;   /* of CSV: what its fields are read as; may be null */
};

/* What a written slot holds, for the encoder. */
enum tm_slot_kind {
  TM_SLOT_LUA = 0,          /* something only Lua can write: an object, a nested field */
  TM_SLOT_NUMBER = 1,       /* num */
  TM_SLOT_STRING = 2,       /* text, not yet escaped */
  TM_SLOT_TRUE = 3,
  TM_SLOT_FALSE = 4,
  TM_SLOT_NULL = 5,
  TM_SLOT_REMOVED = 6,
  TM_SLOT_TEXT = 7,         /* text, JSON as it stands */
  TM_SLOT_CELL = 8,         /* the bytes of a field of the event: cell's column, row tm_view.home */
  TM_SLOT_DECIMAL = 9       /* num, with the decimals of the field */
};

/* A value written in a view. text is anchored by Lua as long as the value is in force. */
struct tm_slot {
  double num;
  const char *text;
  int32_t len;
  int32_t kind;
};

/* The field a slot belongs to. */
struct tm_slot_field {
  char *name;               /* unescaped; owned by the overlay, like key and packed */
  char *key;                /* ,"name": */
  char *packed;             /* the name as msgpack */
  const struct tm_cell *cells;  /* its column; null: none */
  int32_t name_len;
  int32_t key_len;
  int32_t packed_len;
  int32_t top;              /* 1: a field of the event itself, not of a nested object */
  int32_t decimals;
};

/* The written values of a view, fixed in place so that their addresses are constants to the compiler; pages are
 * touched only as used. */
enum { TM_SLOTS_MAX = 65536 };
struct tm_overlay {
  double gens[65536];       /* the generation in which each slot was last written */
  struct tm_slot slots[65536];
  struct tm_slot_field fields[65536];
  int32_t written[131072];  /* slots in order of writing: tm_view.writes of them from base + 1 on */
};
struct tm_overlay *tm_ffi_overlay_new(void);                                          /* zeroed, goes with the scripts; NULL: no memory */
/* slot is that field's from now on; 0, or -1 no memory */
int32_t tm_ffi_overlay_field(struct tm_overlay *ov, int32_t slot, const char *name, int32_t len, const struct tm_cell *cells, int32_t top);

/* What all loops of a worker share. */
struct tm_flow {
  struct tm_marker marker;
  int32_t stop;             /* a loop returns after the event at hand */
  int32_t max_rows;
  int32_t firing;           /* 1: the rows are slots for what steps give at the end of input; 2: which came early */
  int32_t fired;            /* slots used */
  int32_t due;              /* 1: the loop returned, or the event before `next` failed, before all that follows it was done */
  int32_t taken;            /* a loop takes events in before it passes them on: 1 + the first row that it holds; 0: none */
  int32_t careful;          /* 1: a worker died while it did: they go one by one */
  int32_t watched;          /* 1: decisions of packs are noted (tm_ffi_decided) */
};

/* All emitters: 0, -1 the row or the event's rows are too large, -2 a value cannot be written, -3 the row does not fit the
 * format or the columns of its table (tm_ffi_out_why).
 * out_begin names the event the row belongs to (slot of its batch); out_end ends the row. */
int32_t tm_ffi_out_begin(struct tm_out *o, struct tm_batch *b, int32_t row);
int32_t tm_ffi_out_end(struct tm_out *o, struct tm_flow *f);
/* the event's own bytes, or what they say in the out's format; types: as for tm_ffi_batch_text */
int32_t tm_ffi_out_raw(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t row, const struct tm_types *types);
/* why the last emitter gave -3: appends a sentence; 0, or -1 */
int32_t tm_ffi_out_why(const struct tm_out *o, struct tm_buf *why);
/* Of a row as JSON text, with notes or without, that this format cannot carry: appends the name of the first member at fault; 1,
 * or 0 there is none */
int32_t tm_ffi_out_fault(const char *text, int32_t len, int32_t format, struct tm_buf *name);

/* Some fields of an event, in the order they were added, bytes untouched. */
struct tm_select;
struct tm_select *tm_ffi_select_new(void);                                            /* goes with the scripts */
/* cells, slot: the field's column, and its place in the view */
int32_t tm_ffi_select_add(struct tm_select *s, const struct tm_cell *cells, int32_t slot, const char *key, int32_t key_len);
int32_t tm_ffi_out_select(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t row, struct tm_select *s);
/* the same of an event with what was written in the generation in force. 1: Lua must write it, nothing was written */
int32_t tm_ffi_out_select_written(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, const struct tm_view *v,
                                  const struct tm_overlay *ov, const struct tm_select *s);
/* The event with what was written in the generation in force (v), as one row. Without a base: its fields in byte order
 * of their names, or in order of writing when `ordered`. 1: Lua must write it, nothing was written. */
int32_t tm_ffi_out_written(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, const struct tm_view *v,
                           struct tm_overlay *ov, int32_t ordered);


/* ---- keyed state ----------------------------------------------------- */

/* What a pipeline remembers: tables from a key to a record of fixed size, with texts, lists, maps and sets hanging off
 * it. Off the Lua heap, one worker's, never shared.
 *
 * Every change is announced by the call that makes it or makes it possible: it goes to the worker's log of changes
 * first, so that one event can be taken back. Between two commits nothing moves and no byte given back is used again:
 * a pointer into a state (record, text, key) is valid until the next tm_ffi_changes_commit, _rollback or _care.
 * A call that fails has changed nothing. */

/* Results: OK and what is above it are success. */
enum tm_state_code {
  TM_STATE_OK = 0,
  TM_STATE_NEW = 1,         /* done, and the key or element was not there before */
  TM_STATE_MORE = 2,        /* not done within the bounds of one call: ask again */
  TM_STATE_NO_MEMORY = -1,  /* the budget is used up, or the system has no more */
  TM_STATE_FULL = -2,       /* max or max_keys reached, on_full is refuse: the event fails */
  TM_STATE_STOP = -3,       /* the same, on_full is stop: the run ends in order */
  TM_STATE_TOO_LONG = -4,   /* a key beyond 65,534 bytes, a text beyond 16 MiB, a list or map beyond 2^27 */
  TM_STATE_NOT_KEY = -5,    /* an object, an array, NaN, or a number beyond a double's range */
  TM_STATE_NO_KEY = -6,     /* absent or null */
  TM_STATE_RANGE = -7,      /* no element at that place */
  TM_STATE_TYPE = -8,       /* a value of another type than declared */
  TM_STATE_GONE = -9        /* the record was removed in this event, by hand or to make room */
};
enum tm_on_full { TM_ON_FULL_OLDEST = 0, TM_ON_FULL_REFUSE = 1, TM_ON_FULL_STOP = 2 };

/* A value on its way in or out. text of a value given out lies in the state. */
enum tm_value_kind {
  TM_VALUE_NIL = 0,
  TM_VALUE_NUMBER = 1,      /* num */
  TM_VALUE_STRING = 2,      /* text, len */
  TM_VALUE_FALSE = 3,
  TM_VALUE_TRUE = 4,
  TM_VALUE_ANY = 5,         /* text, len: one value as msgpack */
  TM_VALUE_INTEGER = 6      /* text, len: the digits of an integer beyond 2^53; parts of keys alone */
};
struct tm_value {
  double num;
  const char *text;
  int32_t len;
  int32_t kind;             /* enum tm_value_kind */
};

/* Bytes that all states of a worker may have mapped. The caller's, and outlives them. */
struct tm_budget {
  double limit;             /* 0: none */
  double used;
  double fail_in;           /* for tests: so many-th allocation from now fails; 0: none */
};

/* The log of changes, one a worker. */
struct tm_changes {
  int32_t used;             /* bytes in the log: 0 = nothing to commit; also a mark to roll back to */
  int32_t care;             /* 1: there is housekeeping to do (tm_ffi_changes_care) */
  struct tm_budget *budget;
  struct tm_state *states;  /* all states, by tm_state.next, the last made first */
  int32_t refused;          /* enum tm_refused: why the last tm_ffi_state_new gave NULL */
  int32_t refused_field;    /* FIELD: which one, from 0 */
};
/* Why there is no state: no memory, options that cannot be, or what was put back from a data folder under that name is another one. */
enum tm_refused {
  TM_REFUSED_NOT = 0,
  TM_REFUSED_MEMORY,
  TM_REFUSED_OPTIONS,
  TM_REFUSED_RECORD,        /* its records are of another size */
  TM_REFUSED_FIELDS,        /* it has more fields, or fewer */
  TM_REFUSED_FIELD,         /* field refused_field is of another kind, or of other elements or keys, or lies elsewhere */
  TM_REFUSED_TIMED,         /* its records can be due, and these not, or the other way round */
  TM_REFUSED_SECTIONS,      /* it has sections, and this not, or the other way round */
  TM_REFUSED_ORDER,         /* it knows which key was not written for longest (max_keys with on_full 'oldest'), and this not, or the other way */
  TM_REFUSED_LAYOUT         /* its layout has other words (tm_state_options.layout) */
};
/* seed: of the hashes; may decide speed and nothing else. NULL: no memory. */
struct tm_changes *tm_ffi_changes_new(struct tm_budget *budget, double seed);
/* frees the states too */
void tm_ffi_changes_free(struct tm_changes *c);
/* What was changed stays so; a bounded amount of housekeeping is done. Pointers into states are void. */
void tm_ffi_changes_commit(struct tm_changes *c);
/* Puts everything back as it was when `used` was mark, exactly: 0 for the last commit. Cannot fail. */
void tm_ffi_changes_rollback(struct tm_changes *c, int32_t mark);
/* Housekeeping when there is time, only while used is 0: at most about `steps` elements looked at; 1 if there is more. */
int32_t tm_ffi_changes_care(struct tm_changes *c, int32_t steps);

/* What a record's field that is no fixed field holds: declared when the state is made. */
enum tm_field_kind {
  TM_FIELD_TEXT = 0,        /* one string or msgpack value */
  TM_FIELD_LIST = 1,
  TM_FIELD_MAP = 2,
  TM_FIELD_SET = 3,
  TM_FIELD_SERIES = 4,      /* entries in order of time, changed by tm_ffi_slide_ calls alone */
  TM_FIELD_MARKS = 5        /* numbers of several sets, changed by tm_ffi_marks_add alone */
};
/* In the record: 8 bytes at an offset divisible by 4, zero when new. Read by Lua, written by C alone.
 * n: bytes of a text, elements of the others. An empty text has at = 0xffffffff and is not nil, at = 0 is nil. */
struct tm_state_ref { uint32_t at; uint32_t n; };
struct tm_state_field {
  int32_t off;              /* of the tm_state_ref in the record */
  int32_t kind;             /* enum tm_field_kind */
  int32_t key;              /* MAP, SET: NUMBER, STRING or TRUE (boolean) of enum tm_value_kind; NIL: any of the three */
  int32_t of;               /* LIST, MAP: NUMBER, STRING, TRUE (boolean) or ANY; SERIES: cells of an entry, 1 to 64, a power of two */
  int32_t on_full;          /* MAP, SET: enum tm_on_full; oldest: the element set first goes. A full list drops its oldest. */
  int32_t max;              /* 0: none; SERIES: entries for which there is room in the record, behind the reference */
};
struct tm_state_options {
  const char *name;         /* copied, as are the fields */
  const struct tm_state_field *fields;
  int32_t name_len;
  int32_t fields_n;         /* at most 255 */
  int32_t record_size;      /* at most 32 KiB; rounded up to 8 */
  int32_t on_full;          /* enum tm_on_full; oldest: the key not written for longest goes */
  double max_keys;          /* 0: none */
  int32_t timed;            /* 1: a record can be due (tm_ffi_due_set), which costs it 16 bytes */
  int32_t sections;         /* 1: it has sections; the last field is a LIST of STRING, which is theirs; neither max_keys nor timed */
  const char *layout;       /* what its records' cells are, in the owner's words: copied and kept with it. One that is adopted has the same */
  int32_t layout_len;       /* 0: nothing is said, and nothing compared */
  int32_t beside;           /* 1: a new one, though one of that name was put back: what comes in its place (tm_ffi_state_replace) */
};

/* A state. Read by Lua, written by C alone. */
struct tm_state {
  char *base;               /* a text of a tm_state_ref lies at base + 8 * at */
  double keys;
  double evicted;           /* keys that on_full = oldest dropped, since the start */
  double bytes;             /* its share of tm_budget.used */
  const char *name;
  int32_t name_len;
  int32_t code;             /* why the last call that returns a pointer gave NULL; else OK, or NEW from a write */
  struct tm_state *next;
  double due;               /* nothing is due before, ms: a lower bound, kept up by every call; +inf: nothing is armed */
  double due_popped;        /* when the record that tm_ffi_due_pop gave last was due */
  int32_t adopted;          /* 0: it was put back from a data folder, and nobody has asked for it yet */
  int32_t layout_len;
  const char *layout;       /* of the options it was made with */
};
/* NULL: c->refused. Where states were put back from a data folder, that of the same name which was made first and is not adopted yet is
 * given instead, as it was; its options for what comes (max_keys, on_full, a field's max) are these. */
struct tm_state *tm_ffi_state_new(struct tm_changes *c, const struct tm_state_options *o);
/* The one that lay at this address when it was put back, now adopted; NULL: there is none, or it was adopted before. */
struct tm_state *tm_ffi_state_adopt(struct tm_changes *c, double address);
double tm_ffi_state_address(const struct tm_state *s);
/* The one that tm_ffi_state_new would give for this name if its options fit; NULL: there is none. */
struct tm_state *tm_ffi_state_kept(const struct tm_changes *c, const char *name, int32_t len);
/* `made`, which was made beside `old`, takes its place: from now on its bounds (max_keys, on_full, those of fields) are these of `o`, keys that
 * `old` dropped count as dropped by it, keys were written in the same order as in `old`, and `old` is freed. The log is empty. */
void tm_ffi_state_replace(struct tm_state *made, struct tm_state *old, const struct tm_state_options *o);
/* nothing of it may be in the log */
void tm_ffi_state_free(struct tm_state *s);
/* The next of those that nobody has got yet behind this one (NULL: the first); NULL: there are no more. */
const struct tm_state *tm_ffi_states_left(const struct tm_changes *c, const struct tm_state *behind);
/* All states count as left by a run before: nobody knows them any more. The log is empty. */
void tm_ffi_states_orphan(struct tm_changes *c);

/* Keys: canonical bytes that keep the type. 1 and 1.0 are equal, -0 and 0 too; 1, "1" and true differ, also beyond
 * 2^53, where an integer is its digits. At most 16 parts in a row make a composite key. */
struct tm_key {
  int32_t len;              /* 0 to begin anew */
  int32_t pad;
  char bytes[65536];
};
/* each appends one part: 0, or TOO_LONG, NOT_KEY, NO_KEY with the key as it was */
int32_t tm_ffi_key_string(struct tm_key *k, const char *s, int32_t len);
int32_t tm_ffi_key_number(struct tm_key *k, double v);
int32_t tm_ffi_key_integer(struct tm_key *k, const char *digits, int32_t len);        /* beyond 2^53, as JSON writes it */
int32_t tm_ffi_key_boolean(struct tm_key *k, int32_t v);
int32_t tm_ffi_key_nil(struct tm_key *k);                                             /* a missing part that is kept */
int32_t tm_ffi_key_cell(struct tm_key *k, const struct tm_batch *b, const struct tm_cell *cells, int32_t row);
/* the parts of a key: how many; kinds NIL NUMBER STRING FALSE TRUE INTEGER, texts lie in bytes. out has room for 16 */
int32_t tm_ffi_key_parts(const char *bytes, int32_t len, struct tm_value *out);

/* Part `part` of a record's key becomes the written slot of a view: 1, or 0 where it is no text and nothing was done. The text lies
 * in the state. */
int32_t tm_ffi_key_slot(struct tm_state *s, const void *record, int32_t part, struct tm_view *v, struct tm_overlay *ov, int32_t slot);

/* Where a key falls in [0, 1): XXH64 of its bytes with this seed (a whole number), the same on every machine and in every run. */
double tm_ffi_key_share(const struct tm_key *k, double seed);

/* Columns of a batch that make a key. */
struct tm_key_columns {
  const struct tm_cell *cells[16];
  int32_t n;
  int32_t missing;          /* 1: an absent or null part is kept, 0: it is NO_KEY */
};
/* the key of one row, in place of what k held: 0 or as above */
int32_t tm_ffi_key_row(struct tm_key *k, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row);

/* The record of a key, about to be written: made (zeroed) if it is new, its bytes kept in the log, so that fixed fields
 * may be written freely until the event ends. NULL: see code. */
void *tm_ffi_state_write(struct tm_state *s, const struct tm_key *k);
/* the same for a record at hand, which was only read so far: 0, NO_MEMORY or GONE */
int32_t tm_ffi_state_announce(struct tm_state *s, void *record);
/* the record, only to be read; NULL (code OK): there is none */
const void *tm_ffi_state_find(struct tm_state *s, const struct tm_key *k);
/* The same two for a row of a batch, without a key in Lua's hands; also NULL with NO_KEY, NOT_KEY, TOO_LONG. serial:
 * any number that is another one for each batch; with it what tm_ffi_state_ahead found out is used. */
void *tm_ffi_state_write_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row, double serial);
const void *tm_ffi_state_find_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row, double serial);
/* What rows [first, last) will need is fetched into the caches, some rows before a call by row comes to them, and what was found is
 * remembered. A hint: it changes no answer. */
void tm_ffi_state_ahead(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t first, int32_t last, double serial);
/* removes a key with all it holds: 0, NO_MEMORY (the log) or GONE */
int32_t tm_ffi_state_remove(struct tm_state *s, void *record);
/* removes all keys, however many, at once; 0 or NO_MEMORY */
int32_t tm_ffi_state_clear(struct tm_state *s);
/* The same, for good if nothing is to be committed: up to 9 MiB of memory stay for the keys to come, which then find an index of the
 * size they need. For states that are filled and emptied again and again. */
int32_t tm_ffi_state_recycle(struct tm_state *s);
/* the bytes of a record's key; *len gets their number */
const char *tm_ffi_state_key(struct tm_state *s, const void *record, int32_t *len);

/* A walk over a state in order of the keys' first arrival; keys that come meanwhile come last, keys removed meanwhile
 * are left out. It may rest across commits. NULL: no memory. */
struct tm_state_cursor {
  int32_t done;             /* 1: there are no more keys */
  int32_t pad;
};
struct tm_state_cursor *tm_ffi_cursor_new(struct tm_state *s);
/* the next record, only to be read; NULL: see done; not done: a long gap, ask again */
void *tm_ffi_cursor_next(struct tm_state_cursor *w);
/* what it returned last, if that is still there; NULL */
const void *tm_ffi_cursor_at(const struct tm_state_cursor *w);
void tm_ffi_cursor_free(struct tm_state_cursor *w);

/* Sections (state/sections.c): many small states in one. A section is told by a number, other than NaN; each has its own keys, in order of
 * first arrival, and is there as long as it has one. A record's key is that within its section, for every call that reads it. */
/* as tm_ffi_state_write, tm_ffi_state_write_row */
void *tm_ffi_section_write(struct tm_state *s, double section, const struct tm_key *k);
void *tm_ffi_section_write_row(struct tm_state *s, double section, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row);
/* the i-th record of a section, from 1, only to be read; NULL: there is none */
void *tm_ffi_section_at(struct tm_state *s, double section, double i);
/* the record of a section that has the key of another record; NULL: there is none */
void *tm_ffi_section_peer(struct tm_state *s, double section, const void *record);
/* Removes at most so many records, the first ones: OK (the section is gone), MORE, or NO_MEMORY. */
int32_t tm_ffi_section_drop(struct tm_state *s, double section, int32_t most);

/* Sections that become one: their records are visited in order of the cell `first`, a number that each section's records have in
 * ascending order. */
enum { TM_SECTIONS_MERGED = 64 };
struct tm_section_merge {
  double sections[64];      /* what becomes one */
  double into;              /* a section of its own */
  int32_t n;
  int32_t first;            /* the cell's offset in a record */
  void *record;             /* of the visited record's key in `into`; announced */
  void *from;               /* the record visited, only to be read */
  int32_t fresh;            /* 1: `record` is new, and has the same `first`, all else is zero */
  int32_t pad;
  double next[64];          /* C's own: which record of each section comes next, and its `first` */
  double firsts[64];
};
void tm_ffi_section_merge_begin(struct tm_state *s, struct tm_section_merge *m);
/* the next visit: 1; 0: there is none; or a negative code, after which it is left out. It may rest across commits. */
int32_t tm_ffi_section_merge_next(struct tm_state *s, struct tm_section_merge *m);

/* What is due, of a timed state: each record has at most one time, whole ms of either sign up to 2^53. Their order is that
 * of times, and among equal times that of arming. They go with their record, and come back with it, to the same place. */
/* Arms a record, or moves it, as if it were armed now; its own time again changes nothing, NaN is tm_ffi_due_cancel.
 * OK, NEW (it was not armed), NO_MEMORY, GONE, or RANGE: no such time. */
int32_t tm_ffi_due_set(struct tm_state *s, void *record, double time_ms);
int32_t tm_ffi_due_cancel(struct tm_state *s, void *record);                          /* OK, also if it was not; NO_MEMORY, GONE */
double tm_ffi_due_time(struct tm_state *s, const void *record);                       /* NaN: not armed */
/* Takes the first that is due by upto_ms (+inf: by any time) off the wheel; its record is not announced. NULL: see code.
 * OK: none, and tm_state.due is later than upto_ms. MORE: so many are due about now that finding the first goes on with
 * the next call. NO_MEMORY (the log). Worth a call while due <= upto_ms, and due < inf. */
void *tm_ffi_due_pop(struct tm_state *s, double upto_ms);
/* The first time exactly, which is tm_state.due from then on until something changes; +inf: none. Code MORE: still a
 * lower bound, as above. Who waits for a time has no need of it: tm_state.due costs no call. */
double tm_ffi_due_first(struct tm_state *s);

/* Values hanging off a record. `field` is an index into the options' fields. Each announces what it changes, the
 * record's key counts as written. Results: OK, NEW, or a negative code. */
int32_t tm_ffi_text_set(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len);
/* the same, and only where the text is another one: NEW if it was, OK if all is as before */
int32_t tm_ffi_text_change(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len);
/* The same for who holds no pointer to the text as it was: one of the same length is changed in its place, so that only what differs is
 * written, to a data folder too. */
int32_t tm_ffi_text_patch(struct tm_state *s, void *record, int32_t field, const char *text, int32_t len);
/* empties the field, of whatever kind: a text becomes nil */
int32_t tm_ffi_state_empty(struct tm_state *s, void *record, int32_t field);

/* Lists count from 1. out may be NULL. */
int32_t tm_ffi_list_push(struct tm_state *s, void *record, int32_t field, const struct tm_value *v);
int32_t tm_ffi_list_set(struct tm_state *s, void *record, int32_t field, double i, const struct tm_value *v);
int32_t tm_ffi_list_get(struct tm_state *s, const void *record, int32_t field, double i, struct tm_value *out);
int32_t tm_ffi_list_pop(struct tm_state *s, void *record, int32_t field, struct tm_value *out);    /* the last */
int32_t tm_ffi_list_shift(struct tm_state *s, void *record, int32_t field, struct tm_value *out);  /* the first */

/* Maps, and sets, which have no values: v is NULL, or out. get: RANGE if the key is not there. set: NEW if it is new. */
int32_t tm_ffi_map_set(struct tm_state *s, void *record, int32_t field, const struct tm_value *k, const struct tm_value *v);
int32_t tm_ffi_map_get(struct tm_state *s, const void *record, int32_t field, const struct tm_value *k, struct tm_value *out);
int32_t tm_ffi_map_remove(struct tm_state *s, void *record, int32_t field, const struct tm_value *k);
/* The element behind place `at` (0 to begin), in order of first setting: its place, or 0 at the end. While a map is
 * walked its elements may be set and removed; after a new key the walk may give some again or leave some out. k and v
 * may be NULL. */
double tm_ffi_map_next(struct tm_state *s, const void *record, int32_t field, double at, struct tm_value *k, struct tm_value *v);

/* Sets of numbers that share a field of MARKS (state/marks.c): each number once, with a bit for each set that it is in. */
struct tm_marks {
  int32_t field;
  int32_t counts;           /* where in the record the sizes of the sets are: doubles, one behind the other */
  int32_t n;                /* sets, at most 8 */
  int32_t pad;
  double max;               /* of numbers in a set; 0: any */
};
/* A number, no NaN, comes into the sets of `marks`: the bits of those that did not have it, whose sizes are raised; or a code, FULL too. */
int32_t tm_ffi_marks_add(struct tm_state *s, void *record, const struct tm_marks *m, double v, int32_t marks);
/* The same for a value that is kept elsewhere: only raises sizes, of sets of `fresh`. OK or FULL. */
int32_t tm_ffi_marks_count(const struct tm_marks *m, void *record, int32_t fresh);
/* The number behind place `at` (0 to begin), in no order: its place, or 0 at the end. out: the number, its marks. */
double tm_ffi_marks_next(struct tm_state *s, const void *record, int32_t field, double at, double *out);
/* What a record knows of the times of a container whose elements go by age (state/aging.c): they stand in `times`, a LIST or MAP of NUMBER
 * beside it, or, of a set, the same field. */
struct tm_ages {
  double least;             /* none is smaller; +inf: there are none */
  double top;               /* the largest */
  double slack;             /* how far one was behind the largest before it, at most */
};
/* Elements whose times are up to `upto` go, and ages, which lies in the record, is what holds for the others, least exactly; the key does
 * not count as written. 0 or a negative code. */
int32_t tm_ffi_aging_pass(struct tm_state *s, void *record, int32_t field, int32_t times, struct tm_ages *ages, double upto);

/* Rows that hold from a time on (state/versions.c): `field` is a LIST of NUMBER, the one behind it a LIST of STRING. Times are not NaN. */
/* The row of that time, in place of one that has the same (OK), or a new one (NEW); an empty one: from then on there is none. */
int32_t tm_ffi_versions_put(struct tm_state *s, void *record, int32_t field, double time, const char *row, int32_t len);
/* the one that holds at that time: 1 with its text, and its own time in num; 0 there is none (num and len only where one says so) */
int32_t tm_ffi_versions_get(struct tm_state *s, const void *record, int32_t field, double time, struct tm_value *out);
/* Versions that hold at no time from `before` on go, at most `most` in this call: how many are left, or NO_MEMORY. */
int32_t tm_ffi_versions_trim(struct tm_state *s, void *record, int32_t field, double before, int32_t most);
/* the least `before` for which some would go; NaN: the one there is holds for ever */
double tm_ffi_versions_over(struct tm_state *s, const void *record, int32_t field);

/* A text of a record that is JSON becomes the written slot of a view, as it lies there: 1, or 0 where there is none and nothing was
 * done. The second: of the row that holds at that time. */
int32_t tm_ffi_text_slot(struct tm_state *s, const void *record, int32_t field, struct tm_view *v, struct tm_overlay *ov, int32_t slot);
int32_t tm_ffi_versions_slot(struct tm_state *s, const void *record, int32_t field, double time, struct tm_view *v,
                             struct tm_overlay *ov, int32_t slot);

/* Which types the keys of a table have: a bit for numbers, strings, booleans in kinds[part]. learn: those of this key too. foreign: the
 * first part, from 1, of a type that none of them has there; 0: none. */
enum { TM_KEY_IS_NUMBER = 1, TM_KEY_IS_STRING = 2, TM_KEY_IS_BOOLEAN = 4 };
void tm_ffi_key_learn(struct tm_state *s, const void *record, int32_t *kinds);
int32_t tm_ffi_key_foreign(const struct tm_key *k, const int32_t *kinds);
/* ---- rows of kept events (codec/kept.c, state/partners.c) -------------- */
/* A batch that holds one event at a time, made of bytes that were kept: JSON or MSGPACK, with fields of its own. name: of the
 * member that put_with sets. Owned by the process; NULL: no memory. */
struct tm_batch *tm_ffi_kept_new(int32_t format, const char *name, int32_t name_len);
struct tm_fields *tm_ffi_kept_fields(struct tm_batch *b);
/* The event is from now on the one of these bytes, copied: a valid object of the batch's format. It stands in slot `row`, as the event at
 * hand does in batch `of`. 0, or -1 out of space */
int32_t tm_ffi_kept_put(struct tm_batch *b, const struct tm_batch *of, int32_t row, const char *text, int32_t len);
/* the same with the member set to the value `more`, bytes of the same format */
int32_t tm_ffi_kept_put_with(struct tm_batch *b, const struct tm_batch *of, int32_t row, const char *text, int32_t len,
                             const char *more, int32_t more_len);

/* Events of a key that wait for partners: three lists of its record from `field` on, of times (NUMBER), bytes (STRING) and marks
 * (NUMBER, ascending but for their signs; 0: the list has none), in order of arrival. slack: how far a time was behind the
 * largest before it, at most. */
int32_t tm_ffi_partners_keep(struct tm_state *s, void *record, int32_t field, double time, double mark, const char *text, int32_t len);
/* the next one behind place `after` (0 to begin) whose time lies in [lo, hi]: its place, from 1; 0 there is none */
int32_t tm_ffi_partners_next(struct tm_state *s, const void *record, int32_t field, int32_t after, double lo, double hi, double slack);
/* Removes from the front those whose times are up to `upto`: OK, MORE after some, or a negative code. */
int32_t tm_ffi_partners_pass(struct tm_state *s, void *record, int32_t field, double upto);
/* where the mark of that number stands, if its sign is plus; 0 it does not */
int32_t tm_ffi_partners_marked(struct tm_state *s, const void *record, int32_t field, double mark);

/* ---- aggregates (aggregate/) ------------------------------------------ */

/* The lists of the step top (aggregate/top.c). */
enum tm_top_order {
  TM_TOP_DESC = 1,          /* the largest first */
  TM_TOP_DIGITS = 2         /* strings are the digits of integers of 64 bits */
};
/* What its rows have: the whole event, rank and revision, or the fields that are added, in that order. */
enum tm_top_field {
  TM_TOP_FIELD = 0,         /* of the event */
  TM_TOP_RANK = 1,
  TM_TOP_REVISION = 2
};
struct tm_top_rows;
struct tm_top_rows *tm_ffi_top_rows_new(void);                                        /* goes with the scripts (base/owned.h); NULL: no memory */
int32_t tm_ffi_top_rows_add(struct tm_top_rows *p, const char *name, int32_t len, int32_t what);  /* as tm_ffi_result_add */
/* Does the event `text`, which ranks by v at that time, change the list of `record`? It is in it then. order: flags of enum tm_top_order;
 * v: number or string; p: how its rows will be written, NULL: by Lua. 1, 0, or a negative code. */
int32_t tm_ffi_top_enter(struct tm_state *s, void *record, double limit, int32_t order, const struct tm_value *v, double time,
                         const char *text, int32_t len, const struct tm_top_rows *p);
/* the event of a rank, from 1 on: its text; 0 or a negative code */
int32_t tm_ffi_top_event(struct tm_state *s, const void *record, double rank, struct tm_value *out);
/* Writes all rows of the list: 0. Anything else: nothing was written, Lua must write them or say what is wrong. */
int32_t tm_ffi_top_put(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t home, const struct tm_top_rows *p,
                       struct tm_state *s, void *record);

/* A row of results: the key's fields, bounds of a window and aggregates of a record, in the order they are added. at: offsets in the
 * record; scale: a power of ten, of decimals. */
enum tm_result_kind {
  TM_RESULT_NUMBER = 1,     /* at[0]: a number cell */
  TM_RESULT_COUNT = 2,      /* at[0]: a reference; how many elements it has */
  TM_RESULT_SUM = 3,        /* at[0], at[1]: the pair of an exact sum, at[2]: the reference of its text */
  TM_RESULT_MEAN = 4,       /* the same, at[3]: how many */
  TM_RESULT_KEPT = 5,       /* at[0], at[1]: a kept value's number and kind, at[2]: the reference of its text */
  TM_RESULT_BOUND = 6,      /* at[0]: 0 the window's start, 1 its end */
  TM_RESULT_KEY = 7         /* at[0]: which part; cells: its column, or null */
};
struct tm_result;
struct tm_result *tm_ffi_result_new(void);                                            /* goes with the scripts (base/owned.h); NULL: no memory */
/* 0, -1 no memory, -2 the name is not UTF-8 */
int32_t tm_ffi_result_add(struct tm_result *p, const char *name, int32_t len, int32_t kind, const int32_t *at, double scale,
                          const struct tm_cell *cells);
/* Writes the row of `record` for the event in `home`; row: whose columns hold the key, TM_ROW_EMPTY: the record does. As all emitters;
 * anything but 0: nothing was written, Lua must write it or say what cannot be. */
int32_t tm_ffi_result_put(struct tm_out *o, struct tm_flow *f, struct tm_batch *b, int32_t home, const struct tm_result *p,
                          struct tm_state *s, const void *record, int32_t row, double window_from, double window_to);
/* What an aggregate keeps of any number of events is a text of its record. These change it in its place and announce that.
 * Results, unless said otherwise: OK, or a negative enum tm_state_code. A merge takes in what the same field of another record
 * holds, which is only read; the result is that of all events in one record. */

/* Exact sums: what the pair of doubles h, l in the record cannot hold. add: v + w, finite. add_square: (hi + lo)^2, or with sign
 * -1 less of it. A sum is h + l and the text. */
int32_t tm_ffi_exact_add(struct tm_state *s, void *record, int32_t field, double v, double w);
int32_t tm_ffi_exact_add_square(struct tm_state *s, void *record, int32_t field, double hi, double lo, double sign);
int32_t tm_ffi_exact_merge(struct tm_state *s, void *record, int32_t field, struct tm_state *s2, const void *record2);
/* rounded once, to the nearest double */
double tm_ffi_exact_sum(struct tm_state *s, const void *record, int32_t field, double h, double l);
/* an integer below 2^127 as digits, the point `places` from the right, into at most 48 bytes: their number; 0 it is none */
int32_t tm_ffi_exact_digits(struct tm_state *s, const void *record, int32_t field, double h, double l, int32_t places, char *out);
/* the sum over n * scale, rounded once */
double tm_ffi_exact_mean(struct tm_state *s, const void *record, int32_t field, double h, double l, double n, double scale);
/* The sample's variance (n - 1) over scale^2, or its root, rounded once. fields: of the sum and of the sum of squares; sums: h, l of
 * either. n > 1 */
double tm_ffi_exact_variance(struct tm_state *s, const void *record, const int32_t *fields, const double *sums, double n, double scale,
                             int32_t root);

/* How many different values, about: 2^precision registers (8 to 16). A value is its type, any number, and bytes. */
int32_t tm_ffi_hll_add(struct tm_state *s, void *record, int32_t field, int32_t precision, int32_t type, const char *bytes, int32_t len);
int32_t tm_ffi_hll_merge(struct tm_state *s, void *record, int32_t field, int32_t precision, struct tm_state *s2, const void *record2);
double tm_ffi_hll_count(struct tm_state *s, const void *record, int32_t field, int32_t precision);

/* Quantiles in buckets of numbers, each `exp(log_g)` times as wide as the one before. sign -1 takes a finite v back, which must
 * be there. quantile: of a share from 0 to 1; NaN: there is nothing. */
int32_t tm_ffi_buckets_add(struct tm_state *s, void *record, int32_t field, double log_g, double v, double sign);
int32_t tm_ffi_buckets_merge(struct tm_state *s, void *record, int32_t field, struct tm_state *s2, const void *record2);
double tm_ffi_buckets_quantile(struct tm_state *s, const void *record, int32_t field, double log_g, double share);

/* The values (JSON texts) that come most often, max counted at once. json: at most `most` of them, an array of
 * { count, error, value }; 0, or -1 out of space. */
int32_t tm_ffi_heavy_add(struct tm_state *s, void *record, int32_t field, int32_t max, const char *value, int32_t len);
int32_t tm_ffi_heavy_merge(struct tm_state *s, void *record, int32_t field, int32_t max, struct tm_state *s2, const void *record2);
int32_t tm_ffi_heavy_json(struct tm_state *s, const void *record, int32_t field, int32_t most, struct tm_buf *out);

/* The last max rows in an order. VALUES: by `at`, then arrival; bytes are a JSON text, and json gives them in order. The others:
 * by value (NUMBERS: `at`; TEXTS: bytes; DIGITS: bytes, canonical), and json gives the last one first. json: 0, -1 out of space, -2 a
 * value that cannot be written. */
enum tm_ranked_kind { TM_RANKED_VALUES = 0, TM_RANKED_NUMBERS = 1, TM_RANKED_TEXTS = 2, TM_RANKED_DIGITS = 3 };
struct tm_ranked {
  int32_t kind;             /* enum tm_ranked_kind */
  int32_t reverse;          /* 1: the order is the other way round */
  int32_t max;
};
int32_t tm_ffi_ranked_put(struct tm_state *s, void *record, int32_t field, const struct tm_ranked *o, double at, double arrival,
                          const char *bytes, int32_t len);
int32_t tm_ffi_ranked_merge(struct tm_state *s, void *record, int32_t field, const struct tm_ranked *o, struct tm_state *s2,
                            const void *record2);
int32_t tm_ffi_ranked_json(struct tm_state *s, const void *record, int32_t field, const struct tm_ranked *o, struct tm_buf *out);
/* The row at `off` (0: the first in order): its bytes are text, num is its `at`. Where the next one is; 0: there is none at off. */
int32_t tm_ffi_ranked_next(struct tm_state *s, const void *record, int32_t field, int32_t off, struct tm_value *row);

/* ---- sliding values (aggregate/slide.c) ------------------------------- */
/* Aggregates over the events of a key in (t - size, t]. A record holds the events that such windows may still ask for as entries
 * of a series (but where windows are `moving`), in order of time, then arrival, and each aggregate over the window at which it stood last: it is moved, not made
 * anew. What an aggregate keeps is as above (sums, maps, buckets); its cells are doubles of the record. */
enum tm_slide_kind {
  TM_SLIDE_COUNT = 0,       /* n */
  TM_SLIDE_SUM,             /* h, l; field: the text of exact sums */
  TM_SLIDE_MEAN,            /* h, l, n; field */
  TM_SLIDE_VARIANCE,        /* h, l, n, g, m; field, squares: its texts */
  TM_SLIDE_MIN,             /* numbers, texts: how many; field: a series of 2 cells, the values that may still become the least */
  TM_SLIDE_MAX,
  TM_SLIDE_FIRST,           /* n, the entry's place from 0 */
  TM_SLIDE_LAST,
  TM_SLIDE_DISTINCT,        /* field: a map from values to numbers */
  TM_SLIDE_QUANTILE,        /* field: the text of buckets; log_g */
  TM_SLIDE_EVENTS           /* as COUNT of all events, its result in `out` alone */
};
struct tm_slide_part {
  int32_t kind;             /* enum tm_slide_kind */
  int32_t window;           /* whose size, an index */
  int32_t cell;             /* of an entry, that holds its value; 0: all events count */
  int32_t low;              /* the cell of what an int64 is beyond it, or 0 */
  int32_t at;               /* its first double in the record, an index */
  int32_t field;
  int32_t squares;
  int32_t digits;           /* 1: texts are int64 and compared as such */
  double log_g;
  double scale;             /* SUM, MEAN: values are so many times what they stand for */
};
/* A step's, filled by Lua; the record begins with doubles. */
struct tm_slide {
  const struct tm_slide_part *parts;
  const double *sizes;      /* ms */
  struct tm_value *in;      /* of the event at hand, by cell; NIL: does not count there */
  struct tm_value *out;     /* MIN MAX FIRST LAST EVENTS: results by part; texts lie in the state; NIL: there is none */
  double longest;           /* of the sizes */
  double time;              /* of the event whose turn it is */
  struct tm_state_cursor *sweep;  /* C's own */
  int32_t parts_n;
  int32_t windows_n;
  int32_t cells;
  int32_t series;           /* the field of the entries */
  int32_t at;               /* doubles of the record: one and a half, and a half for each window and for MIN and MAX, rounded up */
  int32_t max;              /* entries of a key; 0: none */
  int32_t on_full;          /* enum tm_on_full; oldest: the oldest entry goes */
  int32_t wrong;            /* the part because of which a call failed */
  uint32_t owed;            /* C's own */
  int32_t extremes;         /* 1: there are parts MIN or MAX */
  int32_t plain;            /* 1: all parts are EVENTS, COUNT, SUM or MEAN of one cell each, whose results are in `out` too; NIL there:
                             * the record's cells have to be asked, and hold it */
  int32_t moving;           /* 1: all parts are numbers that give back what they took, of one window: entries lie in one row for all
                               keys (state/stay.h); `at`: how many of the key there are, the record's number; series: none */
  int32_t again;            /* C's own: the turn failed for want of memory once */
};
/* The event `in` at t comes to an announced record, whose aggregates are then over its own windows: (max(t, w) - size, t] and the
 * event itself, as behind the watermark w nothing is kept for longer. Some keys that no window can ask for any more are removed.
 * OK or a negative code, after which the event must be rolled back; TYPE: numbers and texts in one window of MIN or MAX. */
int32_t tm_ffi_slide_add(struct tm_slide *p, struct tm_state *s, void *record, double t, double w);
/* Events that wait (state/queue.h) until the watermark has passed them; then each has its turn, in order of time, then of arrival.
 * Makes room for those of p: 0 or NO_MEMORY; TYPE: what was put back from a data folder waits for windows of
 * another size, or has other values. s->due: nothing has its turn before. */
int32_t tm_ffi_turns_new(struct tm_slide *p, struct tm_state *s);
/* The event at hand, whose key is k's or in the columns of a row, waits: 0 or a code. */
int32_t tm_ffi_turns_hold(struct tm_slide *p, struct tm_state *s, const struct tm_key *k, double t);
int32_t tm_ffi_turns_hold_row(struct tm_slide *p, struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols,
                              int32_t row, double t);
/* Rows of a batch that are held in one call, as all of each is in its columns; filled by Lua but for what is C's own. */
struct tm_slide_rows {
  const struct tm_key_columns *key;
  const double *times;
  const struct tm_cell *cells[64];  /* by cell of an entry; NULL: all events count */
  struct tm_clock *clock;
  double ahead;             /* times are that much behind the arrival at most; +inf: no matter */
  int32_t from, to;         /* C's own: rows that were held last; those before `from` are counted */
  int32_t at;               /* the row with which the turn at hand came due */
  int32_t pad;
  double before;            /* the watermark before the row at which the turn at hand came due */
  double w;                 /* and behind it */
  double marks[1025];       /* C's own: the watermark behind each row */
};
/* Holds rows from first on that are plain: as many as there are, the clock moved by each. The next one is late, too far ahead, without
 * a time, or has a key or a value that has to be looked at; or there is no memory. */
int32_t tm_ffi_turns_hold_rows(struct tm_slide *p, struct tm_state *s, const struct tm_batch *b, struct tm_slide_rows *r, int32_t first,
                               int32_t last);
/* The record of the next event that comes due by `upto`, its windows moved to the event's; p->time is the event's. The log is empty,
 * before and behind: it has had its turn, whatever becomes of its row. rows: it came due with one of these, r->at. NULL: none, or
 * s->code says why there is no row; MORE: to be called again; GONE: there was no memory for it twice, and it is lost. */
void *tm_ffi_turns_next(struct tm_slide *p, struct tm_state *s, double upto, struct tm_slide_rows *rows);
/* Rows up to `to` are done, and count as events that left something behind: marker and tally say so one by one, so that a worker that
 * takes up after a death knows which were counted. */
void tm_ffi_turns_count(struct tm_slide_rows *r, struct tm_out_tally *t, struct tm_marker *m, int32_t to);
/* The event at its turn: its key; the record of that in another state, as tm_ffi_state_write. */
void tm_ffi_turns_key(const struct tm_state *s, struct tm_key *k);
void *tm_ffi_turns_write(struct tm_state *s, struct tm_state *other);
/* the other state will be asked for the same keys */
void tm_ffi_turns_also(struct tm_state *s, struct tm_state *other);
/* Entries of a SERIES for what writes a state out and reads it back: cell `cell` of entry i, both from 0 (RANGE: there is none), and one entry
 * more behind the last, of an announced record: 0 or a code. */
int32_t tm_ffi_series_get(struct tm_state *s, void *record, int32_t field, int32_t i, int32_t cell, struct tm_value *out);
int32_t tm_ffi_series_push(struct tm_state *s, void *record, int32_t field, const struct tm_value *cells);
/* Events that wait with all their bytes (state/waits.c). */
struct tm_waiting {
  const char *text;
  double time;
  double mark;              /* 0: at its turn of use only if its key has a record then */
  struct tm_value order;    /* a number or a text; of waits that were made `ordered` */
  int32_t len;
  int32_t pad;
};
/* Makes room for them in s: 0, NO_MEMORY, or TYPE: what was put back from a data folder is of the other kind. */
int32_t tm_ffi_waits_new(struct tm_state *s, int32_t ordered);
/* One more, whose key is k's or in the columns of a row: 0 or a code. Rolled back with the event at hand. */
int32_t tm_ffi_waits_put(struct tm_state *s, const struct tm_key *k, const struct tm_waiting *e);
int32_t tm_ffi_waits_put_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row,
                             const struct tm_waiting *e);
/* The first whose time is not after `upto`, in order of time, then of arrival; those with mark 0 whose key has no record in `records` are
 * passed over, but where it is NULL. NEW: out is it, its text valid until this is asked again; OK: there is none; MORE: to be called again. The log is empty. */
int32_t tm_ffi_waits_first(struct tm_state *s, struct tm_state *records, double upto, struct tm_waiting *out);
/* It has had its turn, whatever becomes of it. The log is empty. tm_ffi_turns_key, _write and _also are about it, too. */
void tm_ffi_waits_take(struct tm_state *s);
/* fills `out` for the windows at which the record stands: OK or TYPE */
int32_t tm_ffi_slide_look(struct tm_slide *p, struct tm_state *s, const void *record);

/* ---- features (aggregate/feature.c) ---------------------------------- */
/* What rule packs know of an entity: many values of a key over windows (t - size, t], t the time of an event, from one record. Events of
 * a key lie in one ring (a series), whatever the number of windows; what is added up over a window is kept at the newest event
 * and moved along. Results go to columns, a row an event. The record begins with doubles. */
enum tm_feature_ring_kind {
  TM_FEATURE_EVENTS = 0,    /* an entry an event: time, flags, values */
  TM_FEATURE_STEPS = 1,     /* an entry a step of time: its end, and of each source what its events add up to */
  TM_FEATURE_DECISIONS = 2  /* an entry a decision: time, flags */
};
/* Where a cell of an entry comes from: a value at hand; hashed: 62 bits that tell values apart. STEPS: one for each source. */
struct tm_feature_cell {
  int32_t at;               /* which cell; STEPS: the first of the source's */
  int32_t slot;             /* of tm_features.in */
  int32_t hashed;
  uint32_t mask;            /* STEPS: the flag that must be set, or 0 */
  int32_t squares;          /* STEPS: behind n, h, l at `at` the cells g, m, o of squares; 0: there are none */
  int32_t extremes;         /* and those of the least and the greatest value; 0 */
};
struct tm_feature_window {
  double size;              /* ms */
  int32_t sum_from, sum_to; /* its sums */
};
struct tm_feature_ring {
  const struct tm_feature_window *windows;
  const struct tm_feature_cell *cells;   /* EVENTS: of those that are values, STEPS: of sources */
  double longest;           /* ms, of the windows */
  double step;              /* STEPS: ms */
  int32_t kind;             /* enum tm_feature_ring_kind */
  int32_t field;            /* the series */
  int32_t at;               /* the double of the record where `lo` of each window is: how many entries are before it, 4 bytes each */
  int32_t windows_n;
  int32_t cells_n;
  int32_t max;              /* entries of a key */
  int32_t on_full;          /* enum tm_on_full; oldest: the oldest entry goes */
  int32_t show_from, show_to;   /* results that are read off this ring */
  int32_t flags;            /* the cell of flags; 0: there is none */
};
/* What is kept of a window, or of all events (the last four, which have no ring): doubles of the record from `at` on. */
enum tm_feature_sum_kind {
  TM_FEATURE_NUMBER = 0,    /* n */
  TM_FEATURE_TOTAL,         /* n, h, l: h + l is the exact sum; h NaN: two doubles do not hold it, it is added up anew */
  TM_FEATURE_SQUARES,       /* n, h, l, g, m, o: g + m + o is that of the squares, likewise */
  TM_FEATURE_LEAST,         /* n, v */
  TM_FEATURE_GREATEST,
  TM_FEATURE_VALUES,        /* n different ones */
  TM_FEATURE_EWMA,          /* x, w, time */
  TM_FEATURE_FIRST,         /* time, 1: there is one */
  TM_FEATURE_LATEST,        /* time, 1 */
  TM_FEATURE_PLACE          /* latitude, longitude, time, 1 */
};
struct tm_feature_sum {
  int32_t kind;             /* enum tm_feature_sum_kind */
  int32_t at;
  int32_t cell;             /* of an entry; 0: every one counts. STEPS: the source's first cell. EWMA PLACE: a slot of `in` */
  int32_t low;              /* PLACE: the slot of the longitude. STEPS: the cell of SQUARES, LEAST and GREATEST */
  uint32_t mask;            /* the flag that must be set, or 0 */
  int32_t pad;
  double share;             /* EWMA: 1 / half-life in ms */
};
enum tm_feature_result {
  TM_SHOW_EVENTS = 0,     /* how many entries the window has */
  TM_SHOW_N,              /* n of its sum, at most `share` where that is not 0 */
  TM_SHOW_TOTAL,
  TM_SHOW_AVERAGE,
  TM_SHOW_DEVIATION,
  TM_SHOW_EXTREME,        /* of LEAST and GREATEST */
  TM_SHOW_RANK,           /* quantile */
  TM_SHOW_SEEN,           /* was the value at hand among those before */
  TM_SHOW_LAST,
  TM_SHOW_FIRST_TIME,     /* of the window */
  TM_SHOW_SINCE,          /* ms since the last before the event at hand, in the window */
  TM_SHOW_EWMA,
  TM_SHOW_FIRST_EVER,
  TM_SHOW_SINCE_LATEST,
  TM_SHOW_KM,
  TM_SHOW_KMH,
  TM_SHOW_TRAVEL_MS,
  TM_SHOW_RATIO           /* of two results that stand before it */
};
enum tm_feature_known { TM_FEATURE_NIL = 0, TM_FEATURE_KNOWN = 1, TM_FEATURE_WARMING = 2 };
struct tm_feature_show {
  int32_t kind;             /* enum tm_feature_result */
  int32_t window;           /* of its ring */
  int32_t sum;
  int32_t cell;             /* RANK SEEN LAST FIRST_TIME SINCE: of an entry */
  uint32_t mask;
  int32_t before;           /* 1: without the event at hand */
  int32_t history;          /* a sum whose n says how many events there are; -1: the window's entries; -2: it is not asked */
  int32_t slot;             /* SEEN, KM …: of `in`; SEEN: `cell` is its hash */
  int32_t low;              /* KM …: the longitude's */
  int32_t over, under;      /* RATIO: results; KMH: over is KM of the same places */
  int32_t pad;
  double least;             /* so many events at least, else it is warming */
  double share;             /* RANK */
  double scale;             /* values are so many times what they stand for */
  double within;            /* KM …, SINCE_LATEST: ms, only then it is known */
  double *number;           /* its column, by row */
  uint8_t *known;           /* enum tm_feature_known, by row */
  struct tm_value value;    /* LAST: what it is; a text lies in the state */
};
/* A group's, filled by Lua. The first two doubles of the record are the newest time, and 1. */
struct tm_features {
  const struct tm_feature_ring *rings;
  const struct tm_feature_sum *sums;
  struct tm_feature_show *shows;
  struct tm_value *in;      /* the event's values; NIL: there is none */
  double *aside;            /* C's own, as many doubles as a record's */
  double *ranks;            /* C's own: room for as many numbers as a ring has entries, if there is a RANK */
  double ttl;               /* ms: a key that no event came to for so long is a new one */
  struct tm_state_cursor *sweep;  /* C's own */
  uint32_t owed;            /* C's own */
  uint32_t flags;           /* the event's: which conditions hold */
  int32_t rings_n;
  int32_t sums_from, sums_n;  /* sums from sums_from on have no ring */
  int32_t shows_from, shows_n;   /* results from shows_from on have no ring */
  int32_t doubles;          /* of the record */
  int32_t wrong;            /* the ring because of which a call failed, or -1 */
  int32_t pad;
};
/* The event at hand, at t, comes to an announced record: results into row `row` of the columns. w is the watermark before it. OK or a
 * negative code, after which the event must be rolled back. Some keys that are of no use any more are removed. */
int32_t tm_ffi_features_step(struct tm_features *p, struct tm_state *s, void *record, double t, double w, int32_t row);
/* Values out of columns, where the event is as it came: list[i] becomes in[i + 1]. 1, or 0 where Lua has to look at one. */
struct tm_feature_take {
  const struct tm_cell *cells;
  double most;              /* numbers are within -most and most; 0: any */
  double scale;             /* what numbers are multiplied by, and made whole; 1: they stay as they are */
  int32_t any;              /* 1: texts and booleans too */
  int32_t pad;
};
int32_t tm_ffi_features_take(struct tm_value *in, const struct tm_feature_take *list, int32_t n, const struct tm_batch *b, int32_t row);
/* tm_ffi_features_step for the event in row `home`, whose key lies in its columns; without one nothing is known of it. 1: the key has to be
 * looked at by Lua, and nothing was done. */
int32_t tm_ffi_features_row(struct tm_features *p, struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *key, int32_t home,
                            double serial, double t, double w, int32_t row);
/* A decision about an event at t comes to an announced record: flags say which. */
int32_t tm_ffi_features_decided(struct tm_features *p, struct tm_state *s, void *record, double t, double w, uint32_t flags);
/* Results of a row become written values of a view, nulls where they are not known: `n` places of { slot, index of the result, 1: it is a
 * boolean }. */
struct tm_feature_place { int32_t slot, show, boolean; };
void tm_ffi_features_write(const struct tm_features *p, struct tm_view *v, struct tm_overlay *ov, const struct tm_feature_place *places,
                           int32_t n, int32_t row);
/* The results as they stand at the newest event of a record, which is only read; `in` is NIL throughout. */
void tm_ffi_features_look(struct tm_features *p, struct tm_state *s, const void *record, int32_t row);

/* ---- decisions of packs, side by side (engine/feed.c) ------------------ */
/* What a pack has decided about an event, for comparing two packs: `rules_n` numbers of rules that matched (int32_t, padded to a whole
 * double) lie behind it. */
enum { TM_DECIDED_RULES = 64 };
struct tm_decided {
  double score;
  double amount;            /* of a candidate: what the event is about, in money; 0 where that is not known */
  int32_t root;             /* the source, by index */
  int32_t step;             /* which pack, by number from 0 in the order of the plan */
  int32_t slot;             /* the event's, in the batch of the source */
  int32_t rank;             /* of the decision; 0: the lowest */
  int32_t rules_n;          /* noted: the first TM_DECIDED_RULES at most */
  int32_t matched;          /* all */
};
/* Notes a decision about the event at the marker; entries: 2 * the number of a rule, + 1 where it raised. */
void tm_ffi_decided(int32_t step, int32_t rank, double score, double amount, const int32_t *entries, int32_t n);

/* ---- string patterns (library/pattern.c) ----------------------------- */

enum {
  TM_PATTERN_CAPTURES = 32,
  TM_PATTERN_POSITION = -1, /* the end of a position capture */
  TM_PATTERN_OPEN = -2      /* the end of a capture that the pattern never closes */
};

/* Why a pattern or a replacement is refused. Functions return it negated. */
enum tm_pattern_fault {
  TM_PATTERN_ENDS = 1,      /* ends with '%' */
  TM_PATTERN_BRACKET,       /* missing ']' */
  TM_PATTERN_BALANCE,       /* %b without its two characters */
  TM_PATTERN_FRONTIER,      /* %f without a set */
  TM_PATTERN_CLOSE,         /* ) without ( */
  TM_PATTERN_INDEX,         /* %1 of a capture that is not there */
  TM_PATTERN_MANY,          /* captures */
  TM_PATTERN_DEEP,          /* more repetitions at work than Lua has levels for */
  TM_PATTERN_UNFINISHED,    /* a capture that was not closed is asked for */
  TM_PATTERN_STEPS,         /* the bound on steps */
  TM_PATTERN_MEMORY         /* no room for what gsub makes */
};

/* One instruction of a compiled pattern; a set's 32 bytes are the four behind it. */
struct tm_pattern {
  uint8_t op;
  uint8_t times;
  uint8_t byte;
  uint8_t byte2;
  int32_t ahead;            /* how many instructions on the next character is asked for; 0: unknown */
};

/* Where a pattern was found: an int32_t[TM_FOUND_SIZE], as reading an array costs Lua least. Positions as string.sub takes
 * them: from 1, the last one included. */
enum {
  TM_FOUND_FIRST = 0,       /* of the whole match */
  TM_FOUND_LAST = 1,
  TM_FOUND_CAPTURES = 2,    /* for each capture from and to; to may be POSITION or OPEN */
  TM_FOUND_STEPS = 66,      /* taken by this call, in thousands */
  TM_FOUND_SIZE = 67
};

/* instructions that a pattern of so many bytes has at most */
int32_t tm_ffi_pattern_room(int32_t len);
/* Never fails: faults are instructions, as they are told only when a match gets there. anchor 0: ^ is a character. */
void tm_ffi_pattern_compile(const char *pattern, int32_t len, int32_t anchor, struct tm_pattern *program);
/* What some text would find wrong with it, were it to get there: enum tm_pattern_fault; 0 nothing */
int32_t tm_ffi_pattern_fault(const struct tm_pattern *program);
/* The first match at or behind `init` (Lua's: negative from the end): how many captures it has, from 0; -1000 there is none;
 * else a fault, negated; found is filled too where that is UNFINISHED. Steps are bounded. */
int32_t tm_ffi_pattern_find(const struct tm_pattern *program, const char *s, int32_t len, double init, int32_t *found);
/* Appends s to out with at most `most` matches replaced by the text `by`: their number, or a fault, negated. Steps are bounded
 * over all of it; found has their number. */
int32_t tm_ffi_pattern_gsub(const struct tm_pattern *program, const char *s, int32_t len, const char *by, int32_t by_len, double most,
                            struct tm_buf *out, int32_t *found);
/* the most that gsub is asked for, as LuaJIT makes an int of a number */
int32_t tm_ffi_pattern_count(double n);
/* where the text `by` begins at or behind `init`, from 1; 0 nowhere. Linear in both lengths. */
int32_t tm_ffi_pattern_plain(const char *s, int32_t len, const char *by, int32_t by_len, double init);
/* 1: a text that find takes as it is */
int32_t tm_ffi_pattern_is_plain(const char *pattern, int32_t len);
/* gives the memory of a buffer back; it is empty then */
void tm_ffi_buf_release(struct tm_buf *b);

/* ---- the library of scripts ------------------------------------------ */
/* Functions over texts: none keeps anything of its arguments, all take linear time. Where a result is text it is in out,
 * from its start. Results, unless said otherwise: 0, -1 out of space, -2 (out says why). */

/* Case is Unicode's simple mapping; white space ASCII's. part, by: not empty where something is looked for. */
int32_t tm_ffi_text_lower(const char *s, int32_t len, struct tm_buf *out);
int32_t tm_ffi_text_upper(const char *s, int32_t len, struct tm_buf *out);
void tm_ffi_text_trim(const char *s, int32_t len, int32_t *span);                     /* begin and end of what is left */
int32_t tm_ffi_text_find(const char *s, int32_t len, const char *part, int32_t part_len, int32_t from);   /* its offset, or -1 */
int32_t tm_ffi_text_starts(const char *s, int32_t len, const char *part, int32_t part_len);               /* 1 or 0 */
int32_t tm_ffi_text_ends(const char *s, int32_t len, const char *part, int32_t part_len);
int32_t tm_ffi_text_count(const char *s, int32_t len, const char *part, int32_t part_len);               /* none overlaps another */
/* begin and end of at most max parts from `from` on: how many; the last one that ends before len has more behind it */
int32_t tm_ffi_text_split(const char *s, int32_t len, const char *by, int32_t by_len, int32_t from, int32_t *spans, int32_t max);
/* how many were replaced (0: out is empty, s is the result), or -1 */
int32_t tm_ffi_text_replace(const char *s, int32_t len, const char *part, int32_t part_len, const char *by, int32_t by_len,
                            struct tm_buf *out);

/* decode: 0, -1, or the place (from 1) of the byte that does not belong there; behind the end: something is missing */
int32_t tm_ffi_base64_encode(const char *s, int32_t len, int32_t url, struct tm_buf *out);
int32_t tm_ffi_base64_decode(const char *s, int32_t len, struct tm_buf *out);
int32_t tm_ffi_hex_encode(const char *s, int32_t len, struct tm_buf *out);
int32_t tm_ffi_hex_decode(const char *s, int32_t len, struct tm_buf *out);

/* digests as hexadecimal digits; HMAC with the first four */
enum tm_hash_kind { TM_HASH_MD5 = 0, TM_HASH_SHA1, TM_HASH_SHA256, TM_HASH_SHA512, TM_HASH_XXH3, TM_HASH_CRC32 };
int32_t tm_ffi_hash(int32_t kind, const char *s, int32_t len, struct tm_buf *out);    /* -2: OpenSSL does not have it */
int32_t tm_ffi_hmac(int32_t kind, const char *key, int32_t key_len, const char *s, int32_t len, struct tm_buf *out);

/* Parts of a URL, as they stand: begin and end each, -1 absent. */
enum tm_url_part {
  TM_URL_SCHEME = 0, TM_URL_USER, TM_URL_PASSWORD, TM_URL_HOST, TM_URL_PORT, TM_URL_PATH, TM_URL_QUERY, TM_URL_FRAGMENT, TM_URL_PARTS
};
void tm_ffi_url_parts(const char *s, int32_t len, int32_t *spans);
int32_t tm_ffi_url_encode(const char *s, int32_t len, struct tm_buf *out);
int32_t tm_ffi_url_decode(const char *s, int32_t len, int32_t form, struct tm_buf *out);   /* appends; form: + is a blank */
/* The pair of a query at `at` (-1: the first; behind it, what was returned): name and value decoded, one behind the other.
 * Where the next is, 0 there is none, -1 */
int32_t tm_ffi_url_pair(const char *s, int32_t len, int32_t at, struct tm_buf *out, int32_t *name_len);
/* the first value of that name: behind out's first (result - 1) bytes; 0 there is none, -1 */
int32_t tm_ffi_url_find(const char *s, int32_t len, const char *name, int32_t name_len, struct tm_buf *out);

/* The pair from `at` on: key and value, one behind the other; *key_len is -1 - its length where there is no value. Where the
 * next is, 0 there is none, -1 */
int32_t tm_ffi_kv_pair(const char *s, int32_t len, int32_t at, const char *sep, int32_t sep_len, const char *field,
                       int32_t field_len, struct tm_buf *out, int32_t *key_len);
/* appends a key or value, in quotes where it needs them */
int32_t tm_ffi_kv_put(struct tm_buf *out, const char *s, int32_t len, const char *sep, int32_t sep_len, const char *field,
                      int32_t field_len);

/* Addresses of a network, or of several joined; both ends belong to it. */
struct tm_ip_range {
  int32_t version;          /* 4 or 6 */
  int32_t pad;
  uint64_t first_high, first_low, last_high, last_low;
};
/* its one spelling in out: 4 or 6, 0 it is no address, -1 */
int32_t tm_ffi_ip_parse(const char *s, int32_t len, struct tm_buf *out);
int32_t tm_ffi_ip_network(const char *s, int32_t len, struct tm_ip_range *r);         /* an address or a CIDR: 1, or 0 it is none */
int32_t tm_ffi_ip_sort(struct tm_ip_range *r, int32_t n);                             /* sorts and joins them: how many are left */
int32_t tm_ffi_ip_within(const char *s, int32_t len, const struct tm_ip_range *r, int32_t n);   /* of sorted ones: 1, 0, -1 no address */

/* Time zones, which go with the scripts: of a zone file's bytes (NULL: it is none), and of a fixed offset. */
struct tm_zone;
struct tm_zone *tm_ffi_zone_new(const char *file, int32_t len);
struct tm_zone *tm_ffi_zone_fixed(double offset_s, const char *name, int32_t len);
/* What a zone's clocks have shown at most by a point in time, in ms as if they were UTC: the time they show, and while they run once more
 * through what they showed already all that came before they were put back. And the first point in time by which they have shown that much:
 * first(l) <= t if and only if l <= reached(t), for whole ms. A time that they leave out is shown when they are put forward. */
double tm_ffi_zone_reached(struct tm_zone *z, double utc_ms);
double tm_ffi_zone_first(struct tm_zone *z, double local_ms);
/* ms since 1970, NaN: `why` says what was expected where */
double tm_ffi_date_parse(const char *s, int32_t len, const char *format, int32_t format_len, struct tm_zone *z, struct tm_buf *why);
/* same: the points in time from same[0] to before same[1], of which ms is one, have the same text (none other: both are ms) */
int32_t tm_ffi_date_format(struct tm_buf *out, double ms, const char *format, int32_t len, struct tm_zone *z, double *same);

/* Regular expressions, which go with the scripts. */
enum tm_re_flag {
  TM_RE_CASELESS = 1, TM_RE_MULTILINE = 2, TM_RE_DOTALL = 4, TM_RE_EXTENDED = 8, TM_RE_UNICODE = 16, TM_RE_BYTES = 32
};
enum tm_re_result { TM_RE_OVER_LIMIT = -1, TM_RE_NO_MEMORY = -2, TM_RE_BAD_REPLACEMENT = -3 };
struct tm_re;
struct tm_re *tm_ffi_re_new(const char *pattern, int32_t len, int32_t flags, struct tm_buf *why);   /* NULL: `why` */
int32_t tm_ffi_re_groups(const struct tm_re *re);
const char *tm_ffi_re_name(const struct tm_re *re, int32_t group);                    /* NULL: it has none */
/* of the last match: begin and end of all of it and of each group, -1 took no part; valid as long as the expression */
const int32_t *tm_ffi_re_spans(const struct tm_re *re);
/* The first match from `from` on; was_empty: there was an empty one at `from`, which is passed over. 1, 0 there is none, or
 * below 0 */
int32_t tm_ffi_re_match(struct tm_re *re, const char *s, int32_t len, int32_t from, int32_t was_empty);
/* Of the last match, of the text s: these groups become these written slots, texts within s. A group that took no part is not
 * written. */
void tm_ffi_re_write(const struct tm_re *re, const char *s, struct tm_view *v, struct tm_overlay *ov, const int32_t *groups,
                     const int32_t *slots, int32_t n);
/* All matches (at most max) replaced by `by`, in which %0 to %9 and %{name} are groups and %% is %: how many, or below 0 */
int32_t tm_ffi_re_replace(struct tm_re *re, const char *s, int32_t len, const char *by, int32_t by_len, double max, struct tm_buf *out);
