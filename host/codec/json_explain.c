/* json_explain.c - why a text is no event, for people.
 *
 * Reads byte by byte, the obvious way, and shares no code with the scanners: it finds the first byte that
 * cannot be accepted, what was expected there and what was found. Only for lines already refused; a
 * disagreement with the scanners is an error in one of the two, and tests look for it.
 * White space includes LF: the texts are lines, or whole texts given by a script. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "json_scanner.h"

struct reader {
  const unsigned char *text;
  int32_t len;
  int32_t at;
  int32_t depth;
  unsigned char open[TM_JSON_DEPTH_MAX + 1];
  struct tm_json_fault *fault;
};

/* The byte at hand, -1 at the end. */
static int peek(const struct reader *r) {
  return r->at < r->len ? r->text[r->at] : -1;
}

/* Notes the fault at the place at hand; returns -1. */
static int fail(struct reader *r, const char *expected, const char *found) {
  r->fault->status = TM_LINE_SYNTAX;
  r->fault->at = r->at;
  r->fault->expected = expected;
  r->fault->found = found;
  return -1;
}

static void read_space(struct reader *r) {
  for (int c = peek(r); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = peek(r)) r->at++;
}

static int is_digit(int c) {
  return c >= '0' && c <= '9';
}

static int read_digits(struct reader *r, const char *where) {
  if (!is_digit(peek(r))) return fail(r, where, NULL);
  while (is_digit(peek(r))) r->at++;
  return 0;
}

static int read_number(struct reader *r) {
  if (peek(r) == '-') r->at++;
  if (peek(r) == '0') {
    r->at++;
    if (is_digit(peek(r))) return fail(r, "no digit after a leading zero", NULL);
  } else if (read_digits(r, "a digit in a number") != 0) {
    return -1;
  }
  if (peek(r) == '.') {
    r->at++;
    if (read_digits(r, "a digit after the decimal point") != 0) return -1;
  }
  if (peek(r) == 'e' || peek(r) == 'E') {
    r->at++;
    if (peek(r) == '+' || peek(r) == '-') r->at++;
    if (read_digits(r, "a digit in the exponent") != 0) return -1;
  }
  return 0;
}

/* Four hex digits, or -1. */
static int32_t read_hex4(struct reader *r) {
  int32_t v = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    int c = peek(r);
    if (is_digit(c)) {
      v = v * 16 + c - '0';
    } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
      v = v * 16 + (c | 32) - 'a' + 10;
    } else {
      return fail(r, "four hex digits after \\u", NULL);
    }
  }
  return v;
}

/* The place at hand is behind a backslash. */
static int read_escape(struct reader *r) {
  int32_t start = r->at - 1;
  int c = peek(r);
  if (c < 0 || memchr("\"\\/bfnrtu", c, 9) == NULL) return fail(r, "one of \" \\ / b f n r t u after a backslash", NULL);
  r->at++;
  if (c != 'u') return 0;
  int32_t u = read_hex4(r);
  if (u < 0) return -1;
  if (u < 0xD800 || u > 0xDFFF) return 0;
  int32_t low = -1;
  if (u < 0xDC00 && peek(r) == '\\' && r->at + 1 < r->len && r->text[r->at + 1] == 'u') {
    r->at += 2;
    low = read_hex4(r);
    if (low < 0) return -1;
  }
  if (low >= 0xDC00 && low <= 0xDFFF) return 0;
  r->at = start;
  return fail(r, "both halves of a surrogate pair", "one alone");
}

/* One character from 0x80 on: its length follows from the first byte, its value must need that length. */
static int read_utf8(struct reader *r) {
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned char c = r->text[r->at];
  int n = c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC0 && c < 0xE0 ? 2 : 0;
  if (n == 0 || r->at + n > r->len) return fail(r, "UTF-8", NULL);
  uint32_t v = c & (0x7Fu >> n);
  for (int i = 1; i < n; i++) {
    unsigned char next = r->text[r->at + i];
    if (next < 0x80 || next > 0xBF) return fail(r, "UTF-8", NULL);
    v = v << 6 | (next & 0x3Fu);
  }
  if (v < least[n] || v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) return fail(r, "UTF-8", NULL);
  r->at += n;
  return 0;
}

static int read_string(struct reader *r) {
  r->at++;
  for (;;) {
    int c = peek(r);
    if (c == '"') {
      r->at++;
      return 0;
    }
    if (c < 0) return fail(r, "'\"' at the end of a string", NULL);
    if (c < 0x20) return fail(r, "an escape in place of a control character", NULL);
    if (c >= 0x80) {
      if (read_utf8(r) != 0) return -1;
      continue;
    }
    r->at++;
    if (c == '\\' && read_escape(r) != 0) return -1;
  }
}

static int read_word(struct reader *r, const char *word) {
  for (const char *w = word; *w != 0; w++, r->at++) {
    if (peek(r) != *w) return fail(r, word, NULL);
  }
  return 0;
}

/* A value that is no object and no array. */
static int read_scalar(struct reader *r) {
  int c = peek(r);
  if (c == '"') return read_string(r);
  if (c == 't') return read_word(r, "true");
  if (c == 'f') return read_word(r, "false");
  if (c == 'n') return read_word(r, "null");
  if (c == '-' || is_digit(c)) return read_number(r);
  return fail(r, "a value", NULL);
}

/* A key and its colon. */
static int read_key(struct reader *r) {
  read_space(r);
  if (peek(r) != '"') return fail(r, "'\"' before a key", NULL);
  if (read_string(r) != 0) return -1;
  read_space(r);
  if (peek(r) != ':') return fail(r, "':' after a key", NULL);
  r->at++;
  return 0;
}

/* Behind a value: closes what is closed; 1 if another value must follow, 0 at the end of the outermost, -1. */
static int read_behind(struct reader *r) {
  while (r->depth > 0) {
    int object = r->open[r->depth] == '{';
    read_space(r);
    if (peek(r) == ',') {
      r->at++;
      return object && read_key(r) != 0 ? -1 : 1;
    }
    if (peek(r) != (object ? '}' : ']')) {
      return fail(r, object ? "',' or '}' after a member" : "',' or ']' after an element", NULL);
    }
    r->at++;
    r->depth--;
  }
  return 0;
}

/* Opens an object or array; 1 if a value must follow in it, 0 if it was closed at once, -1. */
static int read_open(struct reader *r) {
  int c = peek(r);
  if (r->depth == TM_JSON_DEPTH_MAX) {
    fail(r, "at most 512 levels", "one more");
    r->fault->status = TM_LINE_TOO_DEEP;
    return -1;
  }
  r->at++;
  r->open[++r->depth] = (unsigned char)c;
  read_space(r);
  if (peek(r) == (c == '{' ? '}' : ']')) {
    r->at++;
    r->depth--;
    return 0;
  }
  if (c == '[') return 1;
  if (peek(r) != '"') return fail(r, "'\"' before a key, or '}'", NULL);
  return read_key(r) != 0 ? -1 : 1;
}

static int read_value(struct reader *r) {
  int more;
  do {
    read_space(r);
    if (peek(r) == '{' || peek(r) == '[') {
      more = read_open(r);
      if (more == 0) more = read_behind(r);
    } else {
      more = read_scalar(r) != 0 ? -1 : read_behind(r);
    }
  } while (more > 0);
  return more;
}

void tm_json_fault_find(const char *text, int32_t len, int object, struct tm_json_fault *out) {
  static const char *const kinds[] = {"an array", "a string", "true", "false", "null", "a number"};
  static const char firsts[] = "[\"tfn";
  struct reader r = {.text = (const unsigned char *)text, .len = len, .fault = out};
  *out = (struct tm_json_fault){.status = TM_LINE_OK, .at = len};
  read_space(&r);
  int32_t start = r.at;
  int first = peek(&r);
  if (read_value(&r) != 0) return;
  read_space(&r);
  if (r.at < len) {
    fail(&r, "the end", NULL);
    return;
  }
  if (!object || first == '{') return;
  const char *kind = memchr(firsts, first, sizeof firsts - 1);
  out->status = TM_LINE_NOT_OBJECT;
  out->at = start;
  out->expected = "an object";
  out->found = kinds[kind != NULL ? kind - firsts : 5];
}

/* What is likely meant, and the program that makes JSON lines of it. */
static const char *advice(const unsigned char *text, int32_t len, const struct tm_json_fault *fault) {
  if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
    return "; UTF-16? iconv -f UTF-16 -t UTF-8 converts it";
  if (len >= 2 && memcmp(text, "\x1F\x8B", 2) == 0) return "; compressed? gzip -dc unpacks it";
  if (fault->at >= len && len > 0 && text[0] == '[') return "; an array over several lines? jq -c '.[]' writes an item a line";
  if (fault->at >= len && len > 0 && text[0] == '{') return "; an object over several lines? jq -c . writes it on one";
  if (fault->at < len && text[fault->at] >= 0xA0 && strcmp(fault->expected, "UTF-8") == 0)
    return "; Latin-1? iconv -f LATIN1 -t UTF-8 converts it";
  return "";
}

int32_t tm_json_explain(const char *text, int32_t len, char *why, int32_t why_size) {
  struct tm_json_fault fault;
  char found[32];
  tm_json_fault_find(text, len, 1, &fault);
  if (fault.status == TM_LINE_OK) {
    snprintf(why, (size_t)why_size, "nothing is wrong");
    return len;
  }
  if (fault.found != NULL) {
    snprintf(found, sizeof found, "%s", fault.found);
  } else if (fault.at >= len) {
    snprintf(found, sizeof found, "the end");
  } else {
    unsigned char c = (unsigned char)text[fault.at];
    snprintf(found, sizeof found, c > 0x20 && c < 0x7F ? "'%c'" : "byte 0x%02X", c);
  }
  snprintf(why, (size_t)why_size, "byte %d: expected %s, found %s%s", (int)fault.at, fault.expected, found,
           advice((const unsigned char *)text, len, &fault));
  return fault.at;
}
