/* floor 1.11 - FAVOR+ state, many tokens at a time: the same sums as matrix products. */
#include "favor_state_block.h"

#include "matmul.h"

/* A block ends before c rises by more than this: e^20 of float's range of e^88. */
static const float MAX_RISE = 20;

size_t pf_favor_state_fit(const pf_favor_state *state, const float *k_scale, size_t n) {
    float max = *state->running_max > k_scale[0] ? *state->running_max : k_scale[0];
    for (size_t t = 1; t < n; t++)
        if (k_scale[t] - max > MAX_RISE) return t;
    return n;
}

void pf_favor_state_raise(pf_favor_state *state, float max) {
    const pf_kernels *kernels = pf_kernels_get();
    float before = *state->running_max;
    if (!(max > before)) return;
    kernels->scale(state->S, pf_rescale(before, max), state->M * state->D);
    kernels->scale(state->z, pf_rescale(before, max), state->M);
    *state->running_max = max;
}

void pf_favor_state_prepare(pf_favor_state *state, float *phi_k, const float *k_scale, size_t n,
                            float *rescale) {
    const pf_kernels *kernels = pf_kernels_get();
    float max = *state->running_max;
    for (size_t t = 0; t < n; t++) {
        if (k_scale[t] > max) max = k_scale[t];
        rescale[t] = max; /* the maximum that query t knows; turned into a factor below */
    }
    pf_favor_state_raise(state, max);
    for (size_t t = 0; t < n; t++) {
        kernels->scale(phi_k + t * state->M, pf_rescale(k_scale[t], max), state->M);
        rescale[t] = expf(max - rescale[t]);
    }
}

/* Query t: the sums are t + 1 keys older, key j of the block t - j. */
static void decay_row(const pf_favor_state *state, size_t t, float *weights, float *den) {
    float weight = 1;
    for (size_t j = t + 1; j-- > 0; weight *= state->decay) weights[j] *= weight;
    *den *= weight;
}

void pf_favor_state_read(const pf_favor_state *state, const float *phi_k, const float *V,
                         size_t ldv, size_t n, const float *phi_q, const float *rescale,
                         size_t count, float *products, pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = state->M, D = state->D;
    pf_sgemm(false, true, n, n, M, 1, phi_q, M, phi_k, M, 0, products, n);
    for (size_t t = 0; t < n; t++) {
        part.den[t] = kernels->dot(phi_q + t * M, state->z, M);
        if (state->decay < 1) decay_row(state, t, products + t * n, part.den + t);
        for (size_t j = 0; j <= t; j++) part.den[t] += products[t * n + j];
        for (size_t j = t + 1; j < n; j++) products[t * n + j] = 0;
        part.log_scale[t] += *state->running_max;
    }
    pf_sgemm(false, false, n, D, M, 1, phi_q, M, state->S, D, 0, part.out, D);
    for (size_t t = 0; state->decay < 1 && t < n; t++)
        kernels->scale(part.out + t * D, powf(state->decay, (float)(t + 1)), D);
    pf_sgemm(false, false, n, D, n, 1, products, n, V, ldv, 1, part.out, D);
    if (!state->value_sum) return;

    /* epsilon is relative to the maximum at the time: back to that scale first */
    float *sum = products; /* the masked products are used up */
    memcpy(sum, state->value_sum, D * sizeof *sum);
    for (size_t t = 0; t < n; t++) {
        kernels->scale(sum, state->decay, D);
        kernels->axpy(sum, 1, V + t * ldv, D);
        kernels->scale(part.out + t * D, rescale[t], D);
        part.den[t] *= rescale[t];
        part.log_scale[t] -= logf(rescale[t]);
        pf_favor_state_add_epsilon(state, sum, count + t + 1, phi_q + t * M, part.out + t * D,
                                   part.den + t);
    }
}

void pf_favor_state_fold(pf_favor_state *state, float *phi_k, const float *V, size_t ldv,
                         size_t n) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = state->M, D = state->D;
    if (state->decay < 1) {
        float all = powf(state->decay, (float)n);
        kernels->scale(state->S, all, M * D);
        kernels->scale(state->z, all, M);
        for (size_t t = 0; t < n; t++)
            kernels->scale(phi_k + t * M, powf(state->decay, (float)(n - 1 - t)), M);
    }
    pf_sgemm(true, false, M, D, n, 1, phi_k, M, V, ldv, 1, state->S, D);
    for (size_t t = 0; t < n; t++) {
        kernels->axpy(state->z, 1, phi_k + t * M, M);
        if (!state->value_sum) continue;
        kernels->scale(state->value_sum, state->decay, D);
        kernels->axpy(state->value_sum, 1, V + t * ldv, D);
    }
}
