/* waits.c - events that wait for the watermark with all their bytes, some of which are of use only if their key has a record by then.
 *
 *   values of the queue   mark | text | order, if asked for
 *
 * An event with mark 0 whose turn has come is passed over where its key has no record: the search in the index is all that it costs then.
 * Which records there are is its owner's business. A turn stands when it is taken, whatever becomes of what is done with the event. */
#include "../codec/cell.h"
#include "queue.h"

enum { MARK, TEXT, ORDER, VALUES_MAX, PASS_SLICE = 1024 };

int32_t tm_ffi_waits_new(struct tm_state *s, int32_t ordered) {
  struct tm_table *t = tm_table_of(s);
  int32_t values = ordered ? VALUES_MAX : ORDER, had = tm_queue_values(t);
  /* of a state that was put back */
  if (had >= 0 && had != values) return TM_STATE_TYPE;
  return tm_queue_init(t, values) == 0 ? 0 : TM_STATE_NO_MEMORY;
}

static int32_t put(struct tm_table *t, struct tm_seek *k, const struct tm_waiting *e) {
  struct tm_value values[VALUES_MAX] = {0};
  values[MARK] = (struct tm_value){.num = e->mark, .kind = TM_VALUE_NUMBER};
  values[TEXT] = (struct tm_value){.text = e->text, .len = e->len, .kind = TM_VALUE_STRING};
  values[ORDER] = e->order;
  return tm_queue_put(t, k, e->time, values);
}

int32_t tm_ffi_waits_put(struct tm_state *s, const struct tm_key *k, const struct tm_waiting *e) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek seek = tm_seek_key(t->log, k->bytes, (uint32_t)k->len);
  return put(t, &seek, e);
}

int32_t tm_ffi_waits_put_row(struct tm_state *s, const struct tm_batch *b, const struct tm_key_columns *cols, int32_t row,
                             const struct tm_waiting *e) {
  struct tm_table *t = tm_table_of(s);
  struct tm_seek seek;
  int32_t code = tm_row_seek(t->log->key, b, cols, row, &seek);
  if (code != 0) return code;
  tm_seek_hash(t->log, &seek);
  return put(t, &seek, e);
}

int32_t tm_ffi_waits_first(struct tm_state *s, struct tm_state *records, double upto, struct tm_waiting *out) {
  struct tm_table *t = tm_table_of(s), *of = records != NULL ? tm_table_of(records) : NULL;
  for (int32_t n = 0; n < PASS_SLICE; n++) {
    const struct tm_queued *e = tm_queue_first(t, upto);
    if (e == NULL) return s->code;
    struct tm_value v;
    tm_queued_value(e, MARK, &v);
    if (v.num == 0 && of != NULL) {
      struct tm_seek k = tm_queued_key(e);
      if (records->keys == 0 || tm_table_find(of, &k) == 0) {
        tm_queue_take(t);
        continue;
      }
    }
    out->mark = v.num;
    out->time = e->time;
    tm_queued_value(e, TEXT, &v);
    out->text = v.text;
    out->len = v.len;
    if (tm_queue_values(t) > ORDER) tm_queued_value(e, ORDER, &out->order);
    return TM_STATE_NEW;
  }
  return TM_STATE_MORE;
}

void tm_ffi_waits_take(struct tm_state *s) { tm_queue_take(tm_table_of(s)); }
