/* trial.h - the tests of scripts that are to be loaded anew: those of packs, and the spec beside a script.
 *
 * `card.lua` is tested by card_spec.lua beside it, a pack by the files in its folder tests/, as `tidemill test` runs them. What fails
 * refuses the scripts. It happens in a process of its own, bounded in time; where busted is missing it is told, and nothing is refused. */
#ifndef TM_ENGINE_TRIAL_H
#define TM_ENGINE_TRIAL_H

#include "../command/options.h"

struct tm_texts;

/* After the scripts of o have loaded: texts has what was read for them (NULL: it is not known which packs there are). All is said on
 * stderr. Exit code 0, 3 a spec does not load, 4 some failed, 1 they took too long. */
int tm_trial_tests(const struct tm_options *o, struct tm_texts *texts);

#endif
