/* fields.h - the fields of one source that scripts read, and their columns.
 *
 * A tree of names: the root (id 0) is the event, its children are the fields, theirs the fields of
 * nested objects. Each field owns a column of TM_BATCH_ROWS + 1 cells. A codec keeps what it needs to
 * find a field quickly in `codec_data` and is told of new fields by comparing `version`.
 * One thread; lives as long as its source. */
#ifndef TM_EVENT_FIELDS_H
#define TM_EVENT_FIELDS_H

#include "../abi_c.h"
#include "words.h"

enum { TM_FIELDS_MAX = 4096 };

struct tm_field {
  char *name;            /* unescaped UTF-8, not terminated */
  int32_t name_len;
  int32_t parent;        /* -1 for the root */
  int32_t first_child;   /* -1 none; siblings are linked in order of adding */
  int32_t next_sibling;
  int32_t want_number;   /* fill tm_cell.num */
  int32_t type;          /* enum tm_text_type; of another one than STRING it is a second field of its name */
  struct tm_words *words; /* its frequent texts; NULL: nobody reads its strings in Lua */
  struct tm_cell *cells; /* the column */
};

struct tm_fields {
  struct tm_field *list; /* index = id; may move when a field is added */
  int32_t n;
  int32_t cap;
  int32_t version;       /* grows with each change (field added, what is wanted of one) */
  void *codec_data;      /* the codec's own index; freed through codec_free */
  void (*codec_free)(void *);
};

struct tm_fields *tm_fields_new(void);  /* NULL: no memory */
void tm_fields_free(struct tm_fields *f);
/* id of the child, or -1 if there is none (never adds) */
int32_t tm_fields_find(const struct tm_fields *f, int32_t parent, const char *name, int32_t name_len);
/* marks one row of a column absent */
void tm_field_absent(struct tm_field *field, int32_t row);
/* marks rows [0, rows) of every column absent */
void tm_fields_clear(struct tm_fields *f, int32_t rows);

#endif
