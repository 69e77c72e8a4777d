/* marks.h - a set of numbers in a record's field, each with a byte of marks: which of several sets that share it hold the number.
 * What it does for Lua is in abi.h. */
#ifndef TM_STATE_MARKS_H
#define TM_STATE_MARKS_H

#include "value.h"

/* see value.h */
int tm_visit_marks(struct tm_visit *v, struct tm_state_ref *ref);

#endif
