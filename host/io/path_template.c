/* path_template.c - paths of rows (path_template.h). */
#include "path_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"
#include "../codec/cell.h"
#include "../codec/csv.h"

enum { PARTS_MAX = 32, VALUE_MAX = 120, REJECTED = 3 };

/* Text, and behind it a field's value. */
struct part {
  char *text;
  int32_t len;
  int32_t field;              /* id; -1 none behind this text */
};

struct tm_path_template {
  struct tm_fields *fields;
  struct part parts[PARTS_MAX];
  int32_t n;
  struct tm_buf value, plain; /* scratch */
};

void tm_path_template_free(struct tm_path_template *t) {
  if (t == NULL) return;
  for (int32_t i = 0; i < t->n; i++) free(t->parts[i].text);
  tm_buf_fini(&t->value);
  tm_buf_fini(&t->plain);
  free(t);
}

/* The text up to the next field, braces undoubled; *at moves behind it. */
static int text_part(struct tm_path_template *t, const char **at, struct tm_err *err, const char *whole) {
  const char *p = *at;
  struct part *part = &t->parts[t->n++];
  part->field = -1;
  part->text = malloc(strlen(p) + 1);
  if (part->text == NULL) return tm_err_set(err, 1, "memory", "no memory for a path");
  while (*p != '\0' && (*p != '{' || p[1] == '{')) {
    if (*p == '}' && p[1] != '}')
      return tm_err_set(err, REJECTED, "template", "%.400s: a } without a {; write }} for a brace in the name", whole);
    if (*p == '{' || *p == '}') p++;
    part->text[part->len++] = *p++;
  }
  *at = p;
  return 0;
}

static int field_part(struct tm_path_template *t, const char **at, struct tm_err *err, const char *whole) {
  const char *name = *at + 1, *end = strchr(name, '}');
  if (end == NULL)
    return tm_err_set(err, REJECTED, "template", "%.400s: the { at '%.40s' has no }; write {{ for a brace in the name", whole, *at);
  if (end == name || memchr(name, '{', (size_t)(end - name)) != NULL || memchr(name, '/', (size_t)(end - name)) != NULL)
    return tm_err_set(err, REJECTED, "template", "%.400s: found %.*s, expected the name of a field in braces, such as {country}", whole,
                      (int)(end - name > 100 ? 100 : end - name) + 2, *at);
  int32_t id = tm_ffi_fields_add(t->fields, 0, name, (int32_t)(end - name));
  if (id < 0) return tm_err_set(err, 1, "memory", "no memory for a path");
  t->parts[t->n - 1].field = id;
  *at = end + 1;
  return 0;
}

struct tm_path_template *tm_path_template_new(const char *text, struct tm_fields *fields, struct tm_err *err) {
  struct tm_path_template *t = calloc(1, sizeof *t);
  const char *at = text;
  int rc = 0;
  if (t == NULL) {
    tm_err_set(err, 1, "memory", "no memory for a path");
    return NULL;
  }
  t->fields = fields;
  tm_buf_init(&t->value, INT32_MAX / 2);
  tm_buf_init(&t->plain, INT32_MAX / 2);
  while (rc == 0 && *at != '\0') {
    if (t->n == PARTS_MAX) rc = tm_err_set(err, REJECTED, "template", "%.400s: more than %d fields in a path", text, PARTS_MAX - 1);
    if (rc == 0) rc = text_part(t, &at, err, text);
    if (rc == 0 && *at == '{') rc = field_part(t, &at, err, text);
  }
  if (rc == 0) return t;
  tm_path_template_free(t);
  return NULL;
}

/* ---- values ---- */

static int is_plain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == ':' || c == '-';
}

/* The text of a cell: a string's characters, JSON of anything else. */
static const char *text_of(struct tm_path_template *t, const struct tm_batch *b, const struct tm_cell *c, int32_t *len) {
  int kind = tm_cell_kind(c);
  if (tm_csv_batch(b) || (b->format == TM_FORMAT_JSON && kind != TM_KIND_ESCAPED)) {
    *len = tm_cell_len(c);
    return b->raw + c->off;
  }
  t->value.len = t->plain.len = 0;
  if (tm_ffi_cell_put(&t->value, b, c) != 0) return NULL;
  const char *p = t->value.data;
  *len = t->value.len;
  for (; *len > 0 && (unsigned char)*p < ' '; p++) --*len;  /* a note */
  if (kind != TM_KIND_STRING && kind != TM_KIND_ESCAPED) return p;
  const char *quote = memchr(p, '"', (size_t)*len);
  if (quote == NULL || tm_ffi_json_unescape(quote + 1, (int32_t)(p + *len - quote) - 2, &t->plain) != 0) return NULL;
  *len = t->plain.len;
  return t->plain.data;
}

/* FNV-1a */
static uint64_t hash(const char *p, int32_t n) {
  uint64_t h = 0xCBF29CE484222325u;
  for (int32_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 0x100000001B3u;
  return h;
}

/* At most 3 * VALUE_MAX + 17 bytes; returns how many. */
static int32_t escape(const char *p, int32_t len, char *out) {
  int32_t n = 0, i;
  int dots = 1;
  for (i = 0; i < len && dots; i++) dots = p[i] == '.';
  for (i = 0; i < len && n < VALUE_MAX; i++) {
    unsigned char c = (unsigned char)p[i];
    if (is_plain(c) && !dots) out[n++] = (char)c;
    else n += snprintf(out + n, 4, "%%%02X", c);
  }
  if (i < len) n += snprintf(out + n, 18, "~%016llx", (unsigned long long)hash(p, len));
  return n;
}

static int32_t put_value(const struct tm_path_template *t, const struct tm_batch *b, int32_t field, int32_t row, char *out) {
  const struct tm_cell *c = &tm_ffi_fields_cells(t->fields, field)[row];
  int kind = tm_cell_kind(c);
  int32_t len = 0;
  const char *p = NULL;
  if (kind != TM_KIND_ABSENT && kind != TM_KIND_NULL) p = text_of((struct tm_path_template *)(uintptr_t)t, b, c, &len);
  if (p == NULL) return snprintf(out, 8, "%%null");
  if (len == 0) return snprintf(out, 8, "%%empty");
  return escape(p, len, out);
}

int32_t tm_path_template_make(const struct tm_path_template *t, const struct tm_batch *b, int32_t row, char *out, int32_t size) {
  char value[3 * VALUE_MAX + 32];
  int32_t n = 0;
  for (int32_t i = 0; i < t->n; i++) {
    const struct part *part = &t->parts[i];
    int32_t len = part->field < 0 ? 0 : put_value(t, b, part->field, row, value);
    if (n + part->len + len >= size) return -1;
    memcpy(out + n, part->text, (size_t)part->len);
    memcpy(out + n + part->len, value, (size_t)len);
    n += part->len + len;
  }
  out[n] = '\0';
  return n;
}
