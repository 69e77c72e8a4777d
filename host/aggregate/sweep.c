/* sweep.c - looking at keys in order of arrival, and removing those that are of no use. */
#include "sweep.h"

/* Two keys are looked at for a new one, and one for eight other events; many at a time. */
enum { SWEEP_LOOK = 8, SWEEP_NEW = 2 * SWEEP_LOOK, SWEEP_OTHER = 1, SWEEP_KEYS = 16 };

/* First all are looked at, and their places in the index asked for: one by one each would be waited for. */
static int32_t sweep(struct tm_state *s, struct tm_state_cursor **cursor, const void *own, double watermark, double keep, int32_t newest) {
  struct tm_table *t = tm_table_of(s);
  void *gone[SWEEP_KEYS];
  uint32_t hashes[SWEEP_KEYS];
  int32_t n = 0;
  if (*cursor == NULL) *cursor = tm_ffi_cursor_new(s);
  if (*cursor == NULL) return TM_STATE_NO_MEMORY;
  for (int32_t looks = 0; looks < SWEEP_KEYS; looks++) {
    void *record = tm_ffi_cursor_next(*cursor);
    if (record == NULL) {
      if ((*cursor)->done) {
        tm_ffi_cursor_free(*cursor);
        *cursor = NULL;
      }
      break;
    }
    if (record == own || !(watermark - ((const double *)record)[newest] >= keep)) continue;
    hashes[n] = tm_table_leaving(t, record);
    gone[n++] = record;
  }
  for (int32_t i = 0; i < n; i++) {
    if (tm_table_remove(t, gone[i], hashes[i]) != 0) return TM_STATE_NO_MEMORY;
  }
  return 0;
}

/* What is owed is paid by the event that makes it enough. */
int32_t tm_sweep_share(struct tm_state *s, struct tm_state_cursor **cursor, uint32_t *owed, const void *record, int is_new, double watermark,
                       double keep, int32_t newest) {
  *owed += is_new ? SWEEP_NEW : SWEEP_OTHER;
  if (*owed < SWEEP_KEYS * SWEEP_LOOK) return 0;
  *owed = 0;
  return sweep(s, cursor, record, watermark, keep, newest);
}
