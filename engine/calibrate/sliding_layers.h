/* floor 2.5 - sliding layers: attention of a layer that sees a window only, as the model has it.
 *
 * Such a layer keeps a constant state by itself. A calibration leaves it alone and computes it
 * exactly on its way to the next global one. */
#ifndef PF_SLIDING_LAYERS_H
#define PF_SLIDING_LAYERS_H

#include "layerwise.h"

static inline bool pf_layer_slides(const pf_model *model, size_t layer) {
    return model->layers[layer].window > 0;
}

/* A sliding layer's q, k and v -> heads, of all rows. False without memory. */
bool pf_sliding_layer_attend(pf_layerwise *layerwise, size_t layer, pf_error *error);

#endif
