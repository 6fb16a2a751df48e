/* floor 4.0 - attention keys: what a checkpoint says of how its model attends, written. */
#ifndef PF_ATTENTION_KEYS_H
#define PF_ATTENTION_KEYS_H

#include "attention_options.h"
#include "checkpoint.h"

/* The performer.* keys alone: performer.attention, and for favor features, map, projection, epsilon and
 * seed, for favor and local window and sinks. Read by favor_keys.h. */
bool pf_attention_to_checkpoint(const pf_attention_options *attention, pf_checkpoint *checkpoint,
                                pf_error *error);

#endif
