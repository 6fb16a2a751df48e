/* floor 4.5 - numbers: finds weights that are none. */
#include "numbers.h"

#include "finite.h"
#include "threads.h"

#include <stdatomic.h>

typedef struct {
    const pf_checkpoint *checkpoint;
    atomic_size_t first_bad; /* index of a tensor; the number of tensors if there is none */
} search;

static bool tensor_is_finite(const pf_tensor *tensor, size_t begin, size_t end) {
    size_t cols = (size_t)tensor->shape[0], row = pf_row_bytes(tensor->type, cols);
    const char *data = tensor->data;
    for (size_t i = begin; i < end; i++)
        if (!pf_row_is_finite(tensor->type, data + i * row, cols)) return false;
    return true;
}

static void note_bad(search *s, size_t index) {
    size_t known = atomic_load(&s->first_bad);
    while (index < known && !atomic_compare_exchange_weak(&s->first_bad, &known, index)) {
    }
}

/* This member's rows of every tensor. */
static void search_share(void *context, pf_member member) {
    search *s = context;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(s->checkpoint); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(s->checkpoint, i);
        size_t rows = 1, begin, end;
        if (!tensor->data) continue; /* made when asked for: nothing in the model points to it */
        for (uint32_t d = 1; d < tensor->n_dims; d++) rows *= (size_t)tensor->shape[d];
        pf_share(member, rows, 1, &begin, &end);
        if (!tensor_is_finite(tensor, begin, end)) note_bad(s, i);
    }
}

bool pf_loaded_check_numbers(const pf_loaded *loaded, int n_threads, pf_error *error) {
    size_t n = pf_checkpoint_n_tensors(loaded->checkpoint);
    search s = {.checkpoint = loaded->checkpoint};
    atomic_init(&s.first_bad, n);
    pf_parallel(n_threads, search_share, &s);
    size_t bad = atomic_load(&s.first_bad);
    if (bad == n) return true;
    return pf_fail(error,
                   "%s: the tensor %s has a value that is no number (NaN) or infinite; the file is "
                   "damaged, or was converted to a type too small for it: get it again",
                   pf_checkpoint_path(loaded->checkpoint),
                   pf_checkpoint_tensor(loaded->checkpoint, bad)->name);
}
