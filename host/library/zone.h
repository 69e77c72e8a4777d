/* zone.h - time zones: how far a zone's clocks are from UTC, at a point in time or at a time on those clocks. */
#ifndef TM_LIBRARY_ZONE_H
#define TM_LIBRARY_ZONE_H

#include <stdint.h>

#include "../abi_c.h"

enum { TM_ZONE_NAME_MAX = 15 };

/* What holds over a span of time. */
struct tm_zone_type {
  int32_t offset_s;         /* east of UTC */
  char name[TM_ZONE_NAME_MAX + 1];  /* "CEST"; "+02:00" of a fixed offset */
};

/* of a point in time (s since 1970, UTC); valid until the zone's next use */
const struct tm_zone_type *tm_zone_at(struct tm_zone *z, int64_t utc_s);
/* the span in which that holds, up to before *to */
void tm_zone_span(const struct tm_zone *z, int64_t *from, int64_t *to);
/* Of a time that clocks show. One that they show twice is the first of the two; one that they leave out is reckoned as if the
 * change had not come yet (Python's fold=0, both). */
const struct tm_zone_type *tm_zone_at_local(struct tm_zone *z, int64_t local_s);
/* the offset that goes by this name in the zone ("CEST"): 1, or 0 there is none */
int tm_zone_named(const struct tm_zone *z, const char *name, int32_t len, int32_t *offset_s);
/* zones of scripts live as long as the process */
void tm_zone_free(struct tm_zone *z);

#endif
