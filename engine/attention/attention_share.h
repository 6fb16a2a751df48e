/* floor 1.13 - shared attention: a team works on a layer whose heads do not divide evenly.
 *
 * Whole heads are the natural shares: no thread waits for another. But with three KV heads one of
 * two threads idles a third of the time, and with eight heads half of sixteen threads idle half of
 * it. For long texts it pays to cut finer. For one token, the slots of all heads, laid end to end,
 * are cut into equal lengths, and the parts that different threads read of a head are added up.
 * That depends on the team and the text only, so results repeat, but they differ in the last digits
 * from those of another number of threads. For a prompt, blocks of queries of about equal cost are
 * dealt out, full windows included; each block gives the same bits whoever computes it.
 */
#ifndef PF_ATTENTION_SHARE_H
#define PF_ATTENTION_SHARE_H

#include "attention_block.h"
#include "threads.h"

/* The heads of one layer, as one member of the team sees them. */
typedef struct pf_shared_layer {
    const pf_attention_config *config;
    pf_head *heads;           /* [n_kv_heads] */
    pf_head_scratch *scratch; /* this member's */
    float *parts;             /* the team's: pf_shared_parts_floats */
} pf_shared_layer;

size_t pf_shared_parts_floats(const pf_attention_config *config, size_t n_members);

/* Whether to share T tokens at position p in this way: the same answer for all members. */
bool pf_shared_pays(const pf_shared_layer *layer, pf_member member, size_t p, size_t T);

/* All heads of the layer, by all members; only where pf_shared_pays. q [T, n_heads, D], k and v
 * [T, n_kv_heads, D] -> out [T, n_heads, D]. */
void pf_shared_append(const pf_shared_layer *layer, pf_member member, size_t p, size_t T,
                      const float *q, const float *k, const float *v, float *out);

#endif
