/* floor 1.12 - attention of a whole model: the state of every layer and head, one interface for all kinds.
 *
 * Sizes. Per layer and KV head a session keeps
 *   softmax       2 D context floats (untouched pages cost nothing until they are used)
 *   local         2 D (S + W)
 *   favor         2 D (S + W) + M (D + 1) + 1   (+ D with a kernel epsilon), whatever the text's length;
 *                 W and M may differ from head to head. With options.kv F16 the 2 D numbers of a slot
 *                 take half the room. A redraw in mid-text needs 2 D floats per
 *                 token beside it, kept only if options.redraw asks for one every N tokens.
 */
#ifndef PF_ATTENTION_H
#define PF_ATTENTION_H

#include "attention_plan.h"
#include "threads.h"

typedef struct pf_attention pf_attention;

/* context: most tokens of a text under softmax (others have no limit). max_tokens: most that one
 * append brings. NULL with a message if the options do not fit the model. */
pf_attention *pf_attention_new(const pf_attention_shape *shape, const pf_attention_options *options,
                               size_t context, size_t max_tokens, int n_threads, pf_error *error);
void pf_attention_free(pf_attention *attention); /* NULL is allowed */

/* Back to an empty text; under PF_REDRAW_SEQUENCE with features drawn anew. */
void pf_attention_reset(pf_attention *attention);
/* Back to an empty text with the features that the last one began with. */
void pf_attention_rewind(pf_attention *attention);

/* Before a team appends T tokens at `position`: prepares their angles and, where a redraw in mid-text
 * needs it, room for their keys. Fails only without memory. One thread. */
bool pf_attention_begin(pf_attention *attention, size_t position, size_t T, pf_error *error);

/* What a team member does for one layer: the KV heads that are its share, or a share of all of them
 * (attention_share.h); every member of the team must call it, and nobody may read out before a
 * barrier. q [T, n_heads, D],
 * k, v [T, n_kv_heads, D] before RoPE -> out [T, n_heads, D]. */
void pf_attention_append(pf_attention *attention, pf_member member, uint32_t layer, size_t position,
                         size_t T, const float *q, const float *k, const float *v, float *out);

/* What one KV head holds now, and what all heads share; valid until the next call on `attention`. For
 * whoever shows or measures a head: the view must not be changed. */
typedef struct pf_head_view {
    pf_head_shape shape;
    const pf_head *head;
} pf_head_view;
pf_head_view pf_attention_view(const pf_attention *attention, uint32_t layer, uint32_t kv_head);

/* Bytes of state allocated per sequence (pf_attention_planned_bytes tells before). */
size_t pf_attention_state_bytes(const pf_attention *attention);

uint64_t pf_attention_bad_denominators(const pf_attention *attention);
uint64_t pf_attention_redraws(const pf_attention *attention); /* in mid-text, summed over layers */

/* Copies the state of a text of `position` tokens (not the working memory) from a twin made with the same
 * arguments; of a KV cache only the part in use. */
bool pf_attention_copy(pf_attention *to, const pf_attention *from, size_t position,
                       pf_error *error);

/* For snapshots: hands all that makes up the state of a text of `position` tokens to `visit`, piece by
 * piece and always in the same order, so that it is written out, counted, or overwritten. Of a KV
 * cache only the used part; otherwise as many bytes whatever the position, unless a redraw in
 * mid-text needs the keys. False as soon as `visit` says so. */
typedef bool (*pf_attention_visitor)(void *context, void *bytes, size_t size, pf_error *error);
bool pf_attention_visit(pf_attention *attention, size_t position, pf_attention_visitor visit,
                        void *context, pf_error *error);
/* Before a visit that overwrites (position tokens must fit the context); and after it: makes what
 * follows from the state, angles and features. */
bool pf_attention_reserve(pf_attention *attention, size_t position, pf_error *error);
void pf_attention_restored(pf_attention *attention, size_t position);

#endif
