/* json_shape.h - what the JSON reader has learnt of a source: the keys of its objects and what follows them.
 *
 * A shape is a tree of levels, one for each object whose members are read (the root always). A level knows keys:
 * those of fields, which have a column, and those met in the text, kept only because knowing them makes
 * passing them cheap. Each key remembers the *step* that followed its value last time: the exact bytes up to the next
 * value, such as `,"card":"`. A decoder compares the text with those bytes and so passes comma, white space,
 * key, colon and opening quote in one go; it parses them only when that fails.
 *
 * A step is learnt from text that was just parsed and holds in the same place only (behind a value of an
 * object, or behind its brace), so equal bytes mean the same again. Being wrong costs time, never correctness.
 * A shape belongs to one struct tm_fields (as its codec_data) and is rebuilt when that changes. */
#ifndef TM_CODEC_JSON_SHAPE_H
#define TM_CODEC_JSON_SHAPE_H

#include <stddef.h>

#include "../event/fields.h"

enum {
  TM_JSON_STEP = 32,            /* bytes of a step at most: one compare */
  TM_JSON_KEYS_LEARNT = 1024,   /* keys without a field kept in a level */
  TM_JSON_SHAPE_LEARNT = 8192,  /* and in a whole shape: bounds its memory whatever the input */
  TM_JSON_NAME_LEARNT = 128     /* longer names are not kept, unless they are fields */
};

/* tm_json_key.flags */
enum {
  TM_JSON_KEY_NUMBER = 1,       /* its column wants numbers */
  TM_JSON_KEY_LEVEL = 2         /* its members are read too */
};

/* Where a step leads: behind the opening quote of a string, to the first byte of another value, behind the object. */
enum { TM_JSON_TO_STRING = 0, TM_JSON_TO_VALUE = 1, TM_JSON_TO_END = 2 };

struct tm_json_step {
  char text[TM_JSON_STEP];      /* zeros behind len */
  uint32_t mask;                /* bit i: text[i] counts */
  uint8_t len;
  uint8_t to;                   /* TM_JSON_TO_* */
  uint16_t size;                /* msgpack: of the value, whose lead byte text ends with (len is without it); 0: text has none */
  struct tm_json_key *key;      /* of the value it leads to; with TM_JSON_TO_END any */
};

/* A known key. The first 64 bytes are all that a hit touches. */
struct tm_json_key {
  struct tm_json_step step;     /* what followed its value last time */
  struct tm_cell *cells;        /* the column, or NULL */
  int32_t flags;
  int32_t guess;                /* length its values have had; -1: not worth guessing */
  int32_t guess_off;            /* -1 while guess stays -1, else 0 */
  int32_t patience;             /* wrong guesses until it is given up, or values until it is tried again */
  struct tm_json_step alt;      /* what followed before that */
  struct tm_json_level *level;  /* of its members, with TM_JSON_KEY_LEVEL */
  struct tm_words *words;       /* the field's, or NULL */
  struct tm_json_key *chain;    /* next of its hash slot */
  struct tm_json_key *field;    /* next key with a column in this level */
  const char *name;             /* owned by the shape */
  uint64_t hash;
  int32_t name_len;
  uint32_t misses;              /* times something else followed than expected */
} __attribute__((aligned(64)));

struct tm_json_level {
  struct tm_json_key start;     /* no key: its step leads to the first member */
  struct tm_json_key other;     /* stands for every key that is not kept */
  struct tm_json_key *fields;   /* the keys with a column */
  struct tm_json_key **slots;   /* hash table of chains */
  uint32_t slots_n;             /* a power of two */
  uint32_t keys_n;
  int32_t learnt;               /* keys without a field */
};

struct tm_json_shape {
  struct tm_json_level *root;
  int32_t version;              /* of the fields it was built from */
  int32_t learnt;
  char *name;                   /* scratch for unescaping a key: name_max bytes and some to spare */
  int32_t name_max;             /* no kept name is longer */
  struct tm_json_block *blocks; /* all memory of levels, keys and literals */
};

/* A shape of all fields (only = -1), or of the path to one field (only = its id). NULL: no memory. */
struct tm_json_shape *tm_json_shape_new(const struct tm_fields *f, int32_t only);
void tm_json_shape_free(struct tm_json_shape *s);
/* The shape kept with f, rebuilt if f changed since. NULL: no memory. */
struct tm_json_shape *tm_json_shape_get(struct tm_fields *f);
/* The key of that name, borrowed; learnt if it is new and there is room, else level->other. */
struct tm_json_key *tm_json_level_find(struct tm_json_shape *s, struct tm_json_level *lv, const char *name,
                                       int32_t name_len);
/* text[0..len), just read behind `key`'s value, leads to `next`: expect it from now on. Too long a
 * text is not kept, nor is every one where expectations often fail. */
void tm_json_step_learn(struct tm_json_key *key, const char *text, ptrdiff_t len, int to, struct tm_json_key *next);
/* Called when patience is used up. */
void tm_json_key_tune(struct tm_json_key *key);
/* Marks `row` absent in the columns of all keys below lv. */
void tm_json_level_clear(struct tm_json_level *lv, int32_t row);

#endif
