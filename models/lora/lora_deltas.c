/* floor 4.1 - LoRA deltas: what an adapter adds to matrices, as tensors that are made on demand. */
#include "lora_deltas.h"

#include "finite.h"
#include "matmul.h"
#include "memory.h"
#include "quant.h"
#include "threads.h"

#include <inttypes.h>
#include <string.h>

/* ---- making a delta ---- */

/* The values of a matrix as F32; free them with pf_free. */
static float *widen(const pf_tensor *tensor, pf_error *error) {
    size_t cols = (size_t)tensor->shape[0], rows = (size_t)tensor->shape[1];
    size_t row_bytes = pf_row_bytes(tensor->type, cols), n;
    if (!pf_mul_size(rows, cols, &n)) {
        pf_fail(error, "the tensor %s is too large", tensor->name);
        return NULL;
    }
    float *values = pf_calloc(n, sizeof *values, tensor->name, error);
    for (size_t r = 0; values && r < rows; r++)
        pf_dequantize_row(tensor->type, (const char *)tensor->data + r * row_bytes,
                          values + r * cols, cols);
    return values;
}

static bool make_delta(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    const pf_lora_pair *pair = context;
    float *up = widen(pair->up, error), *down = up ? widen(pair->down, error) : NULL;
    if (down)
        pf_sgemm(pair->up_transposed, pair->down_transposed, (size_t)tensor->shape[1],
                 (size_t)tensor->shape[0], pf_lora_rank(pair), pair->scale, up,
                 (size_t)pair->up->shape[0], down, (size_t)pair->down->shape[0], 0, out,
                 (size_t)tensor->shape[0]);
    pf_free(up);
    pf_free(down);
    return down != NULL;
}

size_t pf_lora_rank(const pf_lora_pair *pair) {
    uint64_t of_up = pair->up->shape[pair->up_transposed];
    uint64_t of_down = pair->down->shape[!pair->down_transposed];
    bool matrices = pair->up->n_dims <= 2 && pair->down->n_dims <= 2;
    return matrices && of_up == of_down ? (size_t)of_up : 0;
}

bool pf_lora_delta_add(pf_checkpoint *deltas, const char *name, const pf_lora_pair *pair,
                       pf_error *error) {
    const pf_tensor *up = pair->up, *down = pair->down;
    if (pf_lora_rank(pair) == 0)
        return pf_fail(error,
                       "the tensors %s [%" PRIu64 ", %" PRIu64 "] and %s [%" PRIu64 ", %" PRIu64
                       "] do not have one rank; the adapter is damaged",
                       down->name, down->shape[0], down->shape[1], up->name, up->shape[0],
                       up->shape[1]);
    uint64_t shape[2] = {down->shape[pair->down_transposed], up->shape[!pair->up_transposed]};
    size_t bytes;
    if (!pf_mul_size((size_t)shape[0], (size_t)shape[1], &bytes) ||
        !pf_mul_size(bytes, sizeof(float), &bytes))
        return pf_fail(error, "what the adapter adds to %s is too large", name);
    pf_lora_pair *copy = pf_checkpoint_alloc(deltas, sizeof *copy, name, error);
    if (!copy) return false;
    *copy = *pair;
    return pf_checkpoint_add_made_tensor(deltas, name, PF_F32, 2, shape, bytes, make_delta, copy,
                                         error);
}

/* ---- merging ---- */

typedef struct merged {
    pf_tensor base; /* as it was */
    const pf_tensor *delta;
    int n_threads;
} merged;

/* out = base + delta, in the type of `tensor`. */
typedef struct sum {
    const pf_tensor *tensor, *base;
    const char *from;
    const float *delta;
    float *rows; /* [members, cols] */
    bool *bad;   /* [members] a value is not finite */
    char *out;
} sum;

static void add_share(void *context, pf_member member) {
    const sum *s = context;
    size_t cols = (size_t)s->tensor->shape[0], begin, end;
    size_t from_bytes = pf_row_bytes(s->base->type, cols);
    size_t to_bytes = pf_row_bytes(s->tensor->type, cols);
    float *row = s->rows + (size_t)member.index * cols;
    pf_share(member, (size_t)s->tensor->shape[1], 16, &begin, &end);
    for (size_t r = begin; r < end; r++) {
        char *out = s->out + r * to_bytes;
        pf_dequantize_row(s->base->type, s->from + r * from_bytes, row, cols);
        for (size_t i = 0; i < cols; i++) row[i] += s->delta[r * cols + i];
        pf_quantize_row(s->tensor->type, row, out, cols);
        s->bad[member.index] |= !pf_row_is_finite(s->tensor->type, out, cols);
    }
}

/* s->tensor, base, from, delta and out are set. */
static bool add_rows(sum *s, int n_threads, pf_error *error) {
    size_t cols = (size_t)s->tensor->shape[0];
    bool bad = false;
    s->rows = pf_calloc((size_t)n_threads, cols * sizeof *s->rows, s->tensor->name, error);
    s->bad = pf_calloc((size_t)n_threads, sizeof *s->bad, s->tensor->name, error);
    pf_team *team = s->rows && s->bad ? pf_team_new(n_threads, error) : NULL;
    if (team) pf_team_run(team, add_share, s);
    for (int i = 0; team && i < n_threads; i++) bad |= s->bad[i];
    pf_team_free(team);
    pf_free(s->rows);
    pf_free(s->bad);
    if (!bad) return team != NULL;
    return pf_fail(error,
                   "the tensor %s with the adapter has a value that is NaN, infinite or too large "
                   "for %s; the scale is too large, or a file is damaged",
                   s->tensor->name, pf_type_get(s->tensor->type)->name);
}

static bool make_merged(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    const merged *m = context;
    const pf_tensor *base = &m->base, *delta = m->delta;
    char *room = base->data ? NULL : pf_calloc(base->bytes, 1, base->name, error);
    float *values = pf_calloc(delta->bytes, 1, base->name, error);
    bool good = (base->data || room) && values;
    if (good && !base->data) good = base->make(base->context, base, room, error);
    sum s = {.tensor = tensor,
             .base = base,
             .from = base->data ? base->data : room,
             .delta = values,
             .out = out};
    good = good && delta->make(delta->context, delta, values, error) &&
           add_rows(&s, m->n_threads, error);
    pf_free(room);
    pf_free(values);
    return good;
}

static bool fits(const pf_tensor *base, const pf_tensor *delta, pf_error *error) {
    if (base->n_dims <= 2 && base->shape[0] == delta->shape[0] && base->shape[1] == delta->shape[1])
        return true;
    return pf_fail(error,
                   "the adapter is for a matrix %s [%" PRIu64 ", %" PRIu64 "], but the model's is "
                   "[%" PRIu64 ", %" PRIu64 "]; it was made for another model",
                   delta->name, delta->shape[0], delta->shape[1], base->shape[0], base->shape[1]);
}

static bool merge_one(pf_checkpoint *base, const pf_tensor *delta, int n_threads, pf_error *error) {
    const pf_tensor *target = pf_checkpoint_find(base, delta->name);
    if (!target)
        return pf_fail(error,
                       "the adapter is for a matrix %s, which the model does not have; it was made "
                       "for another model",
                       delta->name);
    if (!fits(target, delta, error)) return false;
    merged *m = pf_checkpoint_alloc(base, sizeof *m, delta->name, error);
    if (!m) return false;
    *m = (merged){*target, delta, n_threads};
    pf_type type = target->type == PF_F32 ? PF_F32 : PF_F16;
    size_t bytes;
    if (!pf_mul_size(pf_row_bytes(type, (size_t)target->shape[0]), (size_t)target->shape[1],
                     &bytes))
        return pf_fail(error, "the tensor %s is too large", delta->name);
    pf_checkpoint_remake_tensor(base, target, type, bytes, make_merged, m);
    return true;
}

/* Gives the output a matrix of its own if only one of output and embedding is to change. */
static bool part_output(pf_checkpoint *base, const pf_checkpoint *deltas, pf_error *error) {
    const pf_tensor *embedding = pf_checkpoint_find(base, "token_embd.weight");
    if (!embedding || pf_checkpoint_find(base, "output.weight") ||
        (!pf_checkpoint_find(deltas, "output.weight") &&
         !pf_checkpoint_find(deltas, "token_embd.weight")))
        return true;
    return pf_checkpoint_share_tensor(base, "output.weight", embedding, error);
}

static void free_checkpoint(void *object) { pf_checkpoint_free(object); }

bool pf_lora_deltas_merge(pf_checkpoint *base, pf_checkpoint *deltas, int n_threads,
                          pf_error *error) {
    if (!pf_checkpoint_take_object(base, deltas, free_checkpoint, error)) {
        pf_checkpoint_free(deltas);
        return false;
    }
    bool good = part_output(base, deltas, error);
    for (size_t i = 0; good && i < pf_checkpoint_n_tensors(deltas); i++)
        good = merge_one(base, pf_checkpoint_tensor(deltas, i), n_threads, error);
    return good;
}
