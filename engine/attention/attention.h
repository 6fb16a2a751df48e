/* floor 1.14 - attention of a whole model: the state of all layers and heads, one interface for
 * every kind.
 *
 * State. Per layer and KV head a session keeps
 *   softmax   2 D context floats (memory pages are only used as the text fills them)
 *   local     2 D (S + W)
 *   favor     2 D (S + W) + M (D + 1) + 1   (+ D with a kernel epsilon), however long the text is;
 *   W and
 *             M may differ from head to head. A redraw every N tokens needs 2 D floats per token
 *             more.
 * With options.kv F16 each of the 2 D numbers of a slot takes half a float.
 */
#ifndef PF_ATTENTION_H
#define PF_ATTENTION_H

#include "attention_plan.h"
#include "threads.h"

typedef struct pf_attention pf_attention;

/* max_tokens: most that one append brings. config's model must outlive the attention. NULL with a
 * message if the options do not fit the model or memory is short. */
pf_attention *pf_attention_new(const pf_attention_config *config, size_t max_tokens, int n_threads,
                               pf_error *error);
void pf_attention_free(pf_attention *attention); /* NULL is allowed */

/* Back to an empty text; under PF_REDRAW_SEQUENCE with features drawn anew. */
void pf_attention_reset(pf_attention *attention);
/* Back to an empty text with the features that the last one began with. */
void pf_attention_rewind(pf_attention *attention);

/* Before a team appends T tokens at `position`: prepares their angles and, for redraws in mid-text,
 * room for their keys. Fails only without memory. Called by one thread. */
bool pf_attention_begin(pf_attention *attention, size_t position, size_t T, pf_error *error);

/* A team member's share of one layer: some KV heads, or a part of each (attention_share.h). Every
 * member of the team must call it; `out` is complete after the next barrier. q [T, n_heads, D], k
 * and v [T, n_kv_heads, D], before RoPE -> out [T, n_heads, D]. */
void pf_attention_append(pf_attention *attention, pf_member member, uint32_t layer, size_t position,
                         size_t T, const float *q, const float *k, const float *v, float *out);

/* What one KV head holds now, and what all heads share, to show or measure it. Read only; valid
 * until the next call on `attention`. */
typedef struct pf_head_view {
    const pf_attention_config *config;
    const pf_head *head;
} pf_head_view;
pf_head_view pf_attention_view(const pf_attention *attention, uint32_t layer, uint32_t kv_head);

/* Bytes of state of a text of `position` tokens (pf_attention_planned_bytes tells them in advance):
 * what is allocated, but of caches that grow only the part in use. */
size_t pf_attention_state_bytes(const pf_attention *attention, size_t position);

uint64_t pf_attention_bad_denominators(const pf_attention *attention);
uint64_t pf_attention_redraws(const pf_attention *attention); /* in mid-text, summed over layers */

/* Copies the state of a text of `position` tokens (not the working memory) from one made with the
 * same arguments; of a KV cache only the part in use. */
bool pf_attention_copy(pf_attention *to, const pf_attention *from, size_t position,
                       pf_error *error);

/* For snapshots: hands all bytes that make up the state of a text of `position` tokens to `visit`,
 * piece by piece and always in the same order, to be written, counted or overwritten. Of a KV cache
 * only the part in use; otherwise as many bytes whatever the position, unless a redraw in mid-text
 * needs the keys. Stops with false as soon as `visit` returns false. */
typedef bool (*pf_attention_visitor)(void *context, void *bytes, size_t size, pf_error *error);
bool pf_attention_visit(pf_attention *attention, size_t position, pf_attention_visitor visit,
                        void *context, pf_error *error);
/* How many bytes that is, SIZE_MAX if too many to count. */
size_t pf_attention_saved_bytes(const pf_attention *attention, size_t position);
/* Before a visit that overwrites: makes room (`position` must fit the context). After it:
 * recomputes what follows from the state, angles and features. */
bool pf_attention_reserve(pf_attention *attention, size_t position, pf_error *error);
void pf_attention_restored(pf_attention *attention, size_t position);

#endif
