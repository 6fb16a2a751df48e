/* floor 1.8 - history: the keys and values that a head has folded, for features that are
 * redrawn. */
#include "history.h"

#include "memory.h"

#include <string.h>

bool pf_history_reserve(pf_history *history, size_t count, size_t D, pf_error *error) {
    if (count <= history->capacity && history->keys && history->values) return true;
    size_t capacity = history->capacity < 256 ? 256 : history->capacity * 2;
    if (capacity < count) capacity = count;
    float *keys =
        pf_realloc(history->keys, capacity, D * sizeof *keys, "keys kept for redraws", error);
    if (!keys) return false;
    history->keys = keys;
    float *values =
        pf_realloc(history->values, capacity, D * sizeof *values, "values kept for redraws", error);
    if (!values) return false;
    history->values = values;
    history->capacity = capacity;
    return true;
}

void pf_history_append(pf_history *history, const float *keys, const float *values, size_t n,
                       size_t D) {
    if (!history->keys) return;
    memcpy(history->keys + history->count * D, keys, n * D * sizeof *keys);
    memcpy(history->values + history->count * D, values, n * D * sizeof *values);
    history->count += n;
}

void pf_history_free(pf_history *history) {
    pf_free(history->keys);
    pf_free(history->values);
    *history = (pf_history){0};
}
