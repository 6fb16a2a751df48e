/* floor 2.6 - sliding layers: attention of a layer that sees a window only, as the model has it. */
#include "sliding_layers.h"

#include "attention_weights.h"

bool pf_sliding_layer_attend(pf_layerwise *w, size_t layer, pf_error *error) {
    size_t HD = (size_t)w->model->n_heads * w->model->head_dim;
    size_t kvD = (size_t)w->model->n_kv_heads * w->model->head_dim;
    for (size_t i = 0; i < w->n_texts; i++) {
        size_t first = w->first[i], n = w->first[i + 1] - first;
        if (!pf_attention_replay(w->session, (uint32_t)layer, w->q + first * HD, w->k + first * kvD,
                                 w->v + first * kvD, n, w->heads + first * HD, error))
            return false;
    }
    return true;
}
