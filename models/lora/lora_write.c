/* floor 4.0 - LoRA write: an adapter as a GGUF file of llama.cpp's form. */
#include "lora_write.h"

#include "gguf_write.h"

#include <stdio.h>
#include <string.h>

static bool set_text(pf_checkpoint *checkpoint, const char *key, const char *text,
                     pf_error *error) {
    return pf_checkpoint_set_text(checkpoint, key, text, strlen(text), error);
}

static bool add(pf_checkpoint *checkpoint, const char *name, const char *suffix, size_t rows,
                size_t cols, const float *values, pf_error *error) {
    char full[256];
    int n = snprintf(full, sizeof full, "%s%s", name, suffix);
    if (n < 0 || (size_t)n >= sizeof full)
        return pf_fail(error, "the tensor name %.80s... is too long", name);
    return pf_checkpoint_add_tensor(checkpoint, full, PF_F32, 2, (uint64_t[]){cols, rows}, values,
                                    rows * cols * sizeof(float), error);
}

/* a [rank, cols] turned: [cols, rank]. */
static const float *transposed(pf_checkpoint *checkpoint, const pf_lora_matrix *m,
                               pf_error *error) {
    float *turned =
        pf_checkpoint_alloc(checkpoint, m->rank * m->cols * sizeof *turned, m->name, error);
    for (size_t r = 0; turned && r < m->rank; r++)
        for (size_t c = 0; c < m->cols; c++) turned[c * m->rank + r] = m->a[r * m->cols + c];
    return turned;
}

/* Of the embedding [V, C] = b a, lora_a is b [V, rank] and lora_b a turned [C, rank]: a token looks
 * its row of lora_a up. */
static bool add_matrix(pf_checkpoint *checkpoint, const pf_lora_matrix *m, pf_error *error) {
    if (strcmp(m->name, "token_embd.weight") != 0)
        return add(checkpoint, m->name, ".lora_a", m->rank, m->cols, m->a, error) &&
               add(checkpoint, m->name, ".lora_b", m->rows, m->rank, m->b, error);
    const float *turned = transposed(checkpoint, m, error);
    return turned && add(checkpoint, m->name, ".lora_a", m->rows, m->rank, m->b, error) &&
           add(checkpoint, m->name, ".lora_b", m->cols, m->rank, turned, error);
}

bool pf_lora_write(const char *path, const char *family, float alpha,
                   const pf_lora_matrix *matrices, size_t n, pf_error *error) {
    pf_checkpoint *checkpoint = pf_checkpoint_new(path, error);
    pf_gguf_options options = {.convert = false};
    bool good = checkpoint && set_text(checkpoint, "general.type", "adapter", error) &&
                set_text(checkpoint, "general.architecture", family, error) &&
                set_text(checkpoint, "adapter.type", "lora", error) &&
                pf_checkpoint_set_f32(checkpoint, "adapter.lora.alpha", alpha, error);
    for (size_t i = 0; good && i < n; i++) good = add_matrix(checkpoint, &matrices[i], error);
    good = good && pf_gguf_write(checkpoint, path, &options, error);
    pf_checkpoint_free(checkpoint);
    return good;
}
