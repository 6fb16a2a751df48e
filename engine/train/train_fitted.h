/* floor 2.3 - train fitted: windows and features that heads have of their own, as training sees
 * them, and the features of map `normalized` as numbers that are learned.
 *
 * The numbers of all heads are one block: layer after layer, the query heads, then the KV heads.
 * A head with M features has Omega [M + 1, D] and its bias [M + 1] (train_features.h); one without
 * features has none.
 */
#ifndef PF_TRAIN_FITTED_H
#define PF_TRAIN_FITTED_H

#include "attention_config.h"
#include "error.h"
#include "real.h"

/* What one KV head and its query heads do: sinks and a window, and M features for the rest. */
typedef struct pf_train_head {
    size_t sinks, window; /* of a head that is exact: 0 and SIZE_MAX */
    size_t M;             /* 0: no tail */
} pf_train_head;

pf_train_head pf_train_head_of(const pf_attention_config *config, size_t layer, size_t kv_head);

/* Where a head's numbers begin in the block; with layer = n_layers, query = true and head = 0, how
 * many numbers there are in all. 0 for maps that are drawn. */
size_t pf_train_fitted_at(const pf_attention_config *config, size_t layer, bool query, size_t head);

/* Copies the model's features into the block, and back: to [n_heads or n_kv_heads, most + 1, D] and
 * bias [..., most + 1] of a layer, as pf_favor_weights has them, where most is the layer's
 * fitted_features. write leaves rows that a head does not use as they are; weight or bias may be
 * NULL. */
void pf_train_fitted_read(const pf_attention_config *config, pf_real *block);
void pf_train_fitted_write(const pf_attention_config *config, const pf_real *block, size_t layer,
                           bool query, float *weight, float *bias);

#endif
