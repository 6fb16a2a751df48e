/* floor 1.9 - the tail: everything a head has forgotten exactly, as running sums of features.
 *
 * Invariant: S and z hold sum_j exp(s_j - c) f_j (v_j^T), where key j has features exp(s_j) f_j and
 * c = max_j s_j = *top. */
#include "favor_state.h"

#include "matmul.h"

#include <math.h>
#include <string.h>

/* Keys are folded together while c rises by less than this: e^20 of float's e^88 range. */
static const float MAX_RISE = 20;

size_t pf_favor_state_floats(size_t M, size_t D, float epsilon) {
    return M * D + M + 1 + (epsilon > 0 ? D : 0);
}

pf_favor_state pf_favor_state_at(float *state, size_t M, size_t D, float epsilon, float keep) {
    return (pf_favor_state){.M = M,
                            .D = D,
                            .epsilon = epsilon,
                            .keep = keep,
                            .S = state,
                            .z = state + M * D,
                            .top = state + M * D + M,
                            .value_sum = epsilon > 0 ? state + M * D + M + 1 : NULL};
}

void pf_favor_state_reset(pf_favor_state *tail) {
    memset(tail->S, 0, pf_favor_state_floats(tail->M, tail->D, tail->epsilon) * sizeof(float));
    *tail->top = -INFINITY;
}

/* exp(from - to) with from <= to, where from may be -INFINITY (an empty sum) */
static float decay(float from, float to) { return from == -INFINITY ? 0 : expf(from - to); }

/* How many keys `count` keys weigh: 1 + keep + keep^2 + ... */
static float weight_of(const pf_favor_state *tail, size_t count) {
    if (tail->keep >= 1) return (float)count;
    return (1 - powf(tail->keep, (float)count)) / (1 - tail->keep);
}

/* Reference code (performer-pytorch) divides by q'.(sum_j k'_j + 1e-6), with M^-1/2 in its features that
 * we leave out. */
static const float DENOMINATOR_EPSILON = 1e-6f;

/* out, den of one row += epsilon (sum_m phi_q) (sum_j v_j, count), and the denominator's own */
static void add_epsilon(const pf_favor_state *tail, const float *value_sum, size_t count,
                        const float *phi_q, float *out, float *den) {
    float sum = 0;
    for (size_t m = 0; m < tail->M; m++) sum += phi_q[m];
    for (size_t d = 0; d < tail->D; d++) out[d] += sum * tail->epsilon * value_sum[d];
    *den += sum *
            (tail->epsilon * weight_of(tail, count) + DENOMINATOR_EPSILON * sqrtf((float)tail->M));
}

void pf_favor_state_step(pf_favor_state *tail, float *phi_k, float k_scale, const float *v,
                         const float *phi_q, size_t G, size_t count, pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = tail->M, D = tail->D;
    float top = k_scale > *tail->top ? k_scale : *tail->top;
    float keep = tail->keep * decay(*tail->top, top);
    kernels->scale(phi_k, decay(k_scale, top), M);
    *tail->top = top;
    kernels->favor_step(tail->S, tail->z, M, D, keep, phi_k, v, phi_q, G, part.out, part.den);
    for (size_t g = 0; g < G; g++) part.scale[g] += top;
    if (!tail->value_sum) return;
    kernels->scale(tail->value_sum, tail->keep, D);
    kernels->axpy(tail->value_sum, 1, v, D);
    for (size_t g = 0; g < G; g++)
        add_epsilon(tail, tail->value_sum, count, phi_q + g * M, part.out + g * D, part.den + g);
}

size_t pf_favor_state_fit(const pf_favor_state *tail, const float *k_scale, size_t n) {
    float top = *tail->top > k_scale[0] ? *tail->top : k_scale[0];
    for (size_t t = 1; t < n; t++)
        if (k_scale[t] - top > MAX_RISE) return t;
    return n;
}

void pf_favor_state_raise(pf_favor_state *tail, float top) {
    const pf_kernels *kernels = pf_kernels_get();
    float before = *tail->top;
    if (!(top > before)) return;
    kernels->scale(tail->S, decay(before, top), tail->M * tail->D);
    kernels->scale(tail->z, decay(before, top), tail->M);
    *tail->top = top;
}

void pf_favor_state_prepare(pf_favor_state *tail, float *phi_k, const float *k_scale, size_t n,
                            float *drop) {
    const pf_kernels *kernels = pf_kernels_get();
    float top = *tail->top;
    for (size_t t = 0; t < n; t++) {
        if (k_scale[t] > top) top = k_scale[t];
        drop[t] = top; /* the maximum that query t knows; turned into a factor below */
    }
    pf_favor_state_raise(tail, top);
    for (size_t t = 0; t < n; t++) {
        kernels->scale(phi_k + t * tail->M, decay(k_scale[t], top), tail->M);
        drop[t] = expf(top - drop[t]);
    }
}

/* Query t: the sums are t + 1 keys older, key j of the block t - j. */
static void fade_row(const pf_favor_state *tail, size_t t, float *weights, float *den) {
    float fade = 1;
    for (size_t j = t + 1; j-- > 0; fade *= tail->keep) weights[j] *= fade;
    *den *= fade;
}

void pf_favor_state_read(const pf_favor_state *tail, const float *phi_k, const float *V, size_t ldv,
                         size_t n, const float *phi_q, const float *drop, size_t count, float *A,
                         pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = tail->M, D = tail->D;
    pf_sgemm(false, true, n, n, M, 1, phi_q, M, phi_k, M, 0, A, n);
    for (size_t t = 0; t < n; t++) {
        part.den[t] = kernels->dot(phi_q + t * M, tail->z, M);
        if (tail->keep < 1) fade_row(tail, t, A + t * n, part.den + t);
        for (size_t j = 0; j <= t; j++) part.den[t] += A[t * n + j];
        for (size_t j = t + 1; j < n; j++) A[t * n + j] = 0;
        part.scale[t] += *tail->top;
    }
    pf_sgemm(false, false, n, D, M, 1, phi_q, M, tail->S, D, 0, part.out, D);
    for (size_t t = 0; tail->keep < 1 && t < n; t++)
        kernels->scale(part.out + t * D, powf(tail->keep, (float)(t + 1)), D);
    pf_sgemm(false, false, n, D, n, 1, A, n, V, ldv, 1, part.out, D);
    if (!tail->value_sum) return;

    /* epsilon is relative to the maximum at the time: back to that scale first */
    float *sum = A; /* the masked products are used up */
    memcpy(sum, tail->value_sum, D * sizeof *sum);
    for (size_t t = 0; t < n; t++) {
        kernels->scale(sum, tail->keep, D);
        kernels->axpy(sum, 1, V + t * ldv, D);
        kernels->scale(part.out + t * D, drop[t], D);
        part.den[t] *= drop[t];
        part.scale[t] -= logf(drop[t]);
        add_epsilon(tail, sum, count + t + 1, phi_q + t * M, part.out + t * D, part.den + t);
    }
}

void pf_favor_state_fold(pf_favor_state *tail, float *phi_k, const float *V, size_t ldv, size_t n) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = tail->M, D = tail->D;
    if (tail->keep < 1) {
        float all = powf(tail->keep, (float)n);
        kernels->scale(tail->S, all, M * D);
        kernels->scale(tail->z, all, M);
        for (size_t t = 0; t < n; t++)
            kernels->scale(phi_k + t * M, powf(tail->keep, (float)(n - 1 - t)), M);
    }
    pf_sgemm(true, false, M, D, n, 1, phi_k, M, V, ldv, 1, tail->S, D);
    for (size_t t = 0; t < n; t++) {
        kernels->axpy(tail->z, 1, phi_k + t * M, M);
        if (!tail->value_sum) continue;
        kernels->scale(tail->value_sum, tail->keep, D);
        kernels->axpy(tail->value_sum, 1, V + t * ldv, D);
    }
}
