/* floor 1.11 - shared attention: how a team works through a layer whose heads do not share out evenly.
 *
 * Whole heads are the natural shares: nothing is waited for. But three KV heads keep one of two members
 * waiting for a third of the time, and eight keep half of sixteen members idle. Over long texts it
 * pays to cut finer: the token that is being written cuts the slots of all heads, laid end to end, into
 * equal lengths, and the parts of a head that two members hold are added up; a prompt hands out
 * blocks of queries of about equal cost. The same cuts for the same team and text, so results repeat;
 * they differ in the last digits from those of another number of members.
 */
#ifndef PF_ATTENTION_SHARE_H
#define PF_ATTENTION_SHARE_H

#include "attention_head.h"
#include "threads.h"

/* The heads of one layer, as one member sees them. */
typedef struct pf_shared_layer {
    const pf_head_shape *shape; /* has_tail is ignored: every head knows */
    pf_head *heads;             /* [n_heads] */
    size_t n_heads;             /* KV heads */
    pf_head_scratch *scratch;   /* this member's */
    float *parts;               /* the team's: pf_shared_parts_floats */
} pf_shared_layer;

size_t pf_shared_parts_floats(const pf_head_shape *shape, size_t n_heads, size_t n_members);

/* Whether T tokens at position p are to be shared in this way: the same answer for all members. */
bool pf_shared_pays(const pf_shared_layer *layer, pf_member member, size_t p, size_t T);

/* pf_head_append for all heads, by all members; pf_shared_pays must have said so. q [T, heads, G, D],
 * k, v [T, heads, D] -> out [T, heads, G, D]. */
void pf_shared_append(const pf_shared_layer *layer, pf_member member, size_t p, size_t T,
                      const float *q, const float *k, const float *v, float *out);

#endif
