/* feature_row.c - features of an event as it came: values and keys out of its columns, without a value of Lua. */
#include <math.h>

#include "../base/err.h"
#include "../codec/cell.h"
#include "../state/value.h"
#include "feature.h"

/* A cell as a value: 1, or 0 where Lua has to look at it. */
static int cell_take(const struct tm_feature_take *f, const struct tm_batch *b, const struct tm_cell *c, struct tm_value *to) {
  int kind = tm_cell_kind(c);
  *to = (struct tm_value){0, NULL, 0, TM_VALUE_NIL};
  if (kind == TM_KIND_ABSENT || kind == TM_KIND_NULL) return 1;
  if (kind == TM_KIND_NUMBER) {
    *to = (struct tm_value){.num = f->scale == 1 ? c->num : floor(c->num * f->scale + 0.5), .kind = TM_VALUE_NUMBER};
    return c->num - c->num == 0 && (f->most == 0 || (c->num >= -f->most && c->num <= f->most));
  }
  if (!f->any) return 0;
  if (kind == TM_KIND_STRING) {
    *to = (struct tm_value){.text = b->raw + c->off, .len = tm_cell_len(c), .kind = TM_VALUE_STRING};
    return 1;
  }
  to->kind = kind == TM_KIND_TRUE ? TM_VALUE_TRUE : TM_VALUE_FALSE;
  return kind == TM_KIND_TRUE || kind == TM_KIND_FALSE;
}

int32_t tm_ffi_features_take(struct tm_value *in, const struct tm_feature_take *list, int32_t n, const struct tm_batch *b, int32_t row) {
  for (int32_t i = 0; i < n; i++) {
    if (!cell_take(list + i, b, list[i].cells + row, in + 1 + i)) return 0;
  }
  return 1;
}

int32_t tm_ffi_features_row(struct tm_features *p, struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *key, int32_t home,
                            double serial, double t, double w, int32_t row) {
  void *record = tm_ffi_state_write_row(s, b, key, home, serial);
  if (record != NULL) return tm_ffi_features_step(p, s, record, t, w, row);
  if (s->code != TM_STATE_NO_KEY) return s->code == TM_STATE_NOT_KEY ? 1 : s->code;
  for (int32_t i = 0; i < p->shows_n; i++) p->shows[i].known[row] = TM_FEATURE_NIL;
  return 0;
}
