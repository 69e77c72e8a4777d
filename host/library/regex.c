/* regex.c - regular expressions: PCRE2's syntax, compiled to machine code once, searched within a bound.
 *
 * One pattern has up to three compiled forms, which accept the same texts:
 *   ascii    bytes, for texts that are ASCII, while the pattern is ASCII too: 222 ns where `utf` takes 370
 *   utf      UTF-8; bytes that are none match nothing
 *   counted  utf with a callout at every item, which adds up the work: three to six times slower
 * PCRE2's own limit holds for each place where a match may begin, not for all of them, and single characters that repeat are
 * not counted by it: short texts are tried under a low limit first; what goes beyond it, and every long text, is searched
 * by `counted`, whose budget is linear in the text. So no search takes longer than some milliseconds, or 100 ns a byte, or half
 * a second, and what is refused depends on pattern and text alone, never on a clock.
 * There is no way around machine code: what PCRE2 cannot compile to it is refused, and no option is used that its machine code
 * does not know. So nothing looks at a whole text once a match, which would make replacing quadratic.
 * Patterns live as long as the process: the library makes at most 1,000. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/buf.h"
#include "../base/owned.h"

enum {
  PATTERN_MAX = 65536,
  SHORT = 1024,             /* texts up to here are tried under the low limit */
  LIMIT_BASE = 1000, LIMIT_BYTE = 8,
  BUDGET_BASE = 500000, BUDGET_BYTE = 8, BUDGET_MAX = 32000000,   /* steps: 12 ns each */
  FAR = 16,                 /* bytes passed at once that count as one step */
  STACK_FIRST = 32 << 10, STACK_MAX = 1 << 20
};
enum { LEFT_OUT = -1 };

struct tm_re {
  pcre2_code *ascii;        /* NULL: the pattern asks for characters beyond ASCII, or for bytes alone */
  pcre2_code *utf;          /* with the flag for bytes: bytes */
  pcre2_code *counted;      /* NULL until it is needed */
  pcre2_match_data *data;
  pcre2_match_context *context;
  uint32_t options;         /* of `utf` */
  int32_t groups;
  int32_t *spans;           /* begin and end of the whole and of each group; -1: took no part */
  const char **names;       /* of groups, by number; NULL: none */
  int64_t budget;           /* steps left to `counted` */
  size_t last;              /* where its last step was */
  struct tm_re *next;       /* of all there are */
  int32_t pattern_len;
  char pattern[];
};

static struct tm_re *made;
static pcre2_jit_stack *stack;
static pcre2_compile_context *compile_context;

static int count_step(pcre2_callout_block *b, void *arg) {
  struct tm_re *re = arg;
  size_t at = b->current_position;
  re->budget -= 1 + (int64_t)((at > re->last ? at - re->last : re->last - at) / FAR);
  re->last = at;
  return re->budget < 0 ? PCRE2_ERROR_MATCHLIMIT : 0;
}

/* Compiled to machine code, or NULL and the words in why. */
static pcre2_code *compile(const struct tm_re *re, uint32_t options, struct tm_buf *why) {
  PCRE2_UCHAR text[200];
  char words[300];
  int code;
  size_t at = 0;
  pcre2_code *c = pcre2_compile((PCRE2_SPTR)re->pattern, (size_t)re->pattern_len, options, &code, &at, compile_context);
  if (c != NULL) {
    size_t machine_code = 0;   /* none, and no error, for (*NO_JIT) */
    if (pcre2_jit_compile(c, PCRE2_JIT_COMPLETE) == 0) pcre2_pattern_info(c, PCRE2_INFO_JITSIZE, &machine_code);
    if (machine_code > 0) return c;
    pcre2_code_free(c);
    tm_buf_put(why, "it cannot be compiled to machine code", 37);
    return NULL;
  }
  pcre2_get_error_message(code, text, sizeof text);
  int n = snprintf(words, sizeof words, "%s, at byte %zu", (const char *)text, at + 1);
  tm_buf_put(why, words, n);
  return NULL;
}

static int shared_make(void) {
  if (stack == NULL) stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MAX, NULL);
  if (compile_context == NULL) compile_context = pcre2_compile_context_create(NULL);
  return stack != NULL && compile_context != NULL ? 0 : -1;
}

static void re_free(struct tm_re *re) {
  pcre2_code_free(re->ascii);
  pcre2_code_free(re->utf);
  pcre2_match_data_free(re->data);
  pcre2_match_context_free(re->context);
  free(re->spans);
  free(re->names);
  free(re);
}

static void names_find(struct tm_re *re) {
  uint32_t n = 0, size = 0;
  PCRE2_SPTR table;
  pcre2_pattern_info(re->utf, PCRE2_INFO_NAMECOUNT, &n);
  pcre2_pattern_info(re->utf, PCRE2_INFO_NAMEENTRYSIZE, &size);
  pcre2_pattern_info(re->utf, PCRE2_INFO_NAMETABLE, &table);
  for (uint32_t i = 0; i < n; i++) {
    PCRE2_SPTR entry = table + (size_t)i * size;
    re->names[entry[0] << 8 | entry[1]] = (const char *)entry + 2;
  }
}

/* What a pattern needs to be searched with: 0, or -1 no memory. */
static int parts_make(struct tm_re *re) {
  uint32_t groups = 0;
  pcre2_pattern_info(re->utf, PCRE2_INFO_CAPTURECOUNT, &groups);
  re->groups = (int32_t)groups;
  re->data = pcre2_match_data_create(groups + 1, NULL);
  re->context = pcre2_match_context_create(NULL);
  re->spans = calloc((size_t)groups + 1, 2 * sizeof *re->spans);
  re->names = calloc((size_t)groups + 1, sizeof *re->names);
  if (re->data == NULL || re->context == NULL || re->spans == NULL || re->names == NULL) return -1;
  pcre2_jit_stack_assign(re->context, NULL, stack);
  pcre2_set_callout(re->context, count_step, re);
  names_find(re);
  return 0;
}

static int is_ascii(const char *s, int32_t len) {
  uint64_t all = 0, word[4];
  int32_t i = 0;
  for (; i + (int32_t)sizeof word <= len; i += (int32_t)sizeof word) {
    memcpy(word, s + i, sizeof word);
    all |= word[0] | word[1] | word[2] | word[3];
  }
  for (; i < len; i++) all |= (unsigned char)s[i];
  return (all & 0x8080808080808080U) == 0;
}

static uint32_t options_of(int32_t flags) {
  static const struct { int32_t flag; uint32_t option; } known[] = {
    {TM_RE_CASELESS, PCRE2_CASELESS}, {TM_RE_MULTILINE, PCRE2_MULTILINE}, {TM_RE_DOTALL, PCRE2_DOTALL},
    {TM_RE_EXTENDED, PCRE2_EXTENDED}, {TM_RE_UNICODE, PCRE2_UCP},
  };
  uint32_t options = flags & TM_RE_BYTES ? PCRE2_NEVER_UTF : PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (flags & known[i].flag) options |= known[i].option;
  return options;
}

static void forget(void) {
  while (made != NULL) {
    struct tm_re *re = made;
    made = re->next;
    re_free(re);
  }
}

struct tm_re *tm_ffi_re_new(const char *pattern, int32_t len, int32_t flags, struct tm_buf *why) {
  struct tm_re *re = len <= PATTERN_MAX ? calloc(1, sizeof *re + (size_t)len + 1) : NULL;
  why->len = 0;
  if (re == NULL || shared_make() != 0) {
    tm_buf_put(why, "it is too long (64 KiB), or there is no memory", 46);
    free(re);
    return NULL;
  }
  memcpy(re->pattern, pattern, (size_t)len);
  re->pattern_len = len;
  re->options = options_of(flags);
  re->utf = compile(re, re->options, why);
  if (re->utf != NULL && parts_make(re) != 0) {
    tm_buf_put(why, "there is no memory", 18);
    pcre2_code_free(re->utf);
    re->utf = NULL;
  }
  if (re->utf == NULL) {
    re_free(re);
    return NULL;
  }
  if (!(flags & TM_RE_BYTES) && is_ascii(pattern, len)) {
    re->ascii = compile(re, (re->options & ~(PCRE2_UTF | PCRE2_MATCH_INVALID_UTF)) | PCRE2_NEVER_UTF, why);
    why->len = 0;
  }
  tm_owned_ending(forget);
  re->next = made;
  made = re;
  return re;
}

int32_t tm_ffi_re_groups(const struct tm_re *re) { return re->groups; }

const char *tm_ffi_re_name(const struct tm_re *re, int32_t group) { return re->names[group]; }

const int32_t *tm_ffi_re_spans(const struct tm_re *re) { return re->spans; }

/* ---- searching ---- */

static int search_counted(struct tm_re *re, const char *s, int32_t len, int32_t from, uint32_t options) {
  struct tm_buf why;
  if (re->counted == NULL) {
    tm_buf_init(&why, 1024);
    re->counted = compile(re, re->options | PCRE2_AUTO_CALLOUT, &why);
    tm_buf_fini(&why);
    if (re->counted == NULL) return PCRE2_ERROR_NOMEMORY;
  }
  pcre2_set_match_limit(re->context, UINT32_MAX);
  re->last = (size_t)from;
  return pcre2_jit_match(re->counted, (PCRE2_SPTR)s, (size_t)len, (size_t)from, options, re->data, re->context);
}

static int search(struct tm_re *re, const char *s, int32_t len, int32_t from, uint32_t options) {
  if (len <= SHORT) {
    const pcre2_code *code = re->ascii != NULL && is_ascii(s, len) ? re->ascii : re->utf;
    pcre2_set_match_limit(re->context, (uint32_t)(LIMIT_BASE + LIMIT_BYTE * len));
    int rc = pcre2_jit_match(code, (PCRE2_SPTR)s, (size_t)len, (size_t)from, options, re->data, re->context);
    if (rc != PCRE2_ERROR_MATCHLIMIT) return rc;
  }
  return search_counted(re, s, len, from, options);
}

static void budget_set(struct tm_re *re, int32_t len) {
  int64_t steps = BUDGET_BASE + (int64_t)BUDGET_BYTE * len;
  re->budget = steps < BUDGET_MAX ? steps : BUDGET_MAX;
}

/* The match behind one that ended at `from`: behind an empty one there may be another at the same place, which is not empty.
 * 1 found, 0 not; -1, -2 */
static int32_t find(struct tm_re *re, const char *s, int32_t len, int32_t from, int32_t was_empty) {
  int rc = search(re, s, len, from, was_empty ? PCRE2_NOTEMPTY_ATSTART : 0);
  if (rc == PCRE2_ERROR_NOMATCH) return 0;
  if (rc == PCRE2_ERROR_MATCHLIMIT) return TM_RE_OVER_LIMIT;
  if (rc < 0) return TM_RE_NO_MEMORY;
  const size_t *v = pcre2_get_ovector_pointer(re->data);
  int32_t used = rc < re->groups + 1 ? rc : re->groups + 1;
  for (int32_t i = 0; i < 2 * used; i++) re->spans[i] = v[i] == PCRE2_UNSET ? LEFT_OUT : (int32_t)v[i];
  for (int32_t i = 2 * used; i < 2 * re->groups + 2; i++) re->spans[i] = LEFT_OUT;
  return 1;
}

int32_t tm_ffi_re_match(struct tm_re *re, const char *s, int32_t len, int32_t from, int32_t was_empty) {
  budget_set(re, len);
  return find(re, s, len, from, was_empty);
}

void tm_ffi_re_write(const struct tm_re *re, const char *s, struct tm_view *v, struct tm_overlay *ov, const int32_t *groups,
                     const int32_t *slots, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    const int32_t *span = re->spans + 2 * (size_t)groups[i];
    int32_t slot = slots[i];
    if (span[0] < 0) continue;
    ov->gens[slot] = v->gen;
    ov->slots[slot] = (struct tm_slot){.text = s + span[0], .len = span[1] - span[0], .kind = TM_SLOT_STRING};
    ov->written[v->base + ++v->writes] = slot;
  }
  v->dirty = 1;
}

/* ---- replacing ---- */

/* The group that %1 or %{name} in a replacement names, *at behind the %: its number, -1 there is none. */
static int32_t group_of(const struct tm_re *re, const char *by, int32_t by_len, int32_t *at) {
  char c = by[*at];
  if (c >= '0' && c <= '9') {
    ++*at;
    return c - '0' <= re->groups ? c - '0' : -1;
  }
  if (c != '{') return -1;
  const char *name = by + *at + 1, *end = memchr(name, '}', (size_t)(by + by_len - name));
  if (end == NULL) return -1;
  *at = (int32_t)(end - by) + 1;
  for (int32_t g = 1; g <= re->groups; g++)
    if (re->names[g] != NULL && strlen(re->names[g]) == (size_t)(end - name) && memcmp(re->names[g], name, (size_t)(end - name)) == 0)
      return g;
  return -1;
}

static int32_t replacement_put(const struct tm_re *re, const char *s, const char *by, int32_t by_len, struct tm_buf *out) {
  for (int32_t i = 0; i < by_len;) {
    const char *mark = memchr(by + i, '%', (size_t)(by_len - i));
    int32_t plain = mark == NULL ? by_len - i : (int32_t)(mark - by) - i;
    if (tm_buf_put(out, by + i, plain) != 0) return TM_RE_NO_MEMORY;
    i += plain;
    if (mark == NULL) break;
    if (++i >= by_len) return TM_RE_BAD_REPLACEMENT;
    if (by[i] == '%') {
      if (tm_buf_put(out, by + i++, 1) != 0) return TM_RE_NO_MEMORY;
      continue;
    }
    int32_t g = group_of(re, by, by_len, &i);
    if (g < 0) return TM_RE_BAD_REPLACEMENT;
    const int32_t *span = re->spans + 2 * (size_t)g;
    if (span[0] >= 0 && tm_buf_put(out, s + span[0], span[1] - span[0]) != 0) return TM_RE_NO_MEMORY;
  }
  return 0;
}

int32_t tm_ffi_re_replace(struct tm_re *re, const char *s, int32_t len, const char *by, int32_t by_len, double max, struct tm_buf *out) {
  int32_t n = 0, at = 0, done = 0, was_empty = 0;
  out->len = 0;
  budget_set(re, len);
  while (n < max) {
    int32_t rc = find(re, s, len, at, was_empty);
    if (rc < 0) return rc;
    if (rc == 0) break;
    int32_t begin = re->spans[0];
    at = re->spans[1];
    was_empty = begin == at;
    if (tm_buf_put(out, s + done, begin - done) != 0) return TM_RE_NO_MEMORY;
    rc = replacement_put(re, s, by, by_len, out);
    if (rc != 0) return rc;
    done = at;
    n++;
  }
  return tm_buf_put(out, s + done, len - done) == 0 ? n : TM_RE_NO_MEMORY;
}
