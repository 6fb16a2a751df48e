/* floor 1.9 - FAVOR+ state: all the keys and values that left the window, as two sums of features.
 *
 * Invariant: S and z hold sum_j decay^(keys since j) exp(s_j - c) f_j (v_j^T), where key j has
 * features exp(s_j) f_j and c = max_j s_j = *running_max. */
#include "favor_state.h"

size_t pf_favor_state_floats(size_t M, size_t D, float epsilon) {
    return M * D + M + 1 + (epsilon > 0 ? D : 0);
}

pf_favor_state pf_favor_state_at(float *memory, size_t M, size_t D, float epsilon, float decay) {
    return (pf_favor_state){.M = M,
                            .D = D,
                            .epsilon = epsilon,
                            .decay = decay,
                            .S = memory,
                            .z = memory + M * D,
                            .running_max = memory + M * D + M,
                            .value_sum = epsilon > 0 ? memory + M * D + M + 1 : NULL};
}

void pf_favor_state_reset(pf_favor_state *state) {
    memset(state->S, 0, pf_favor_state_floats(state->M, state->D, state->epsilon) * sizeof(float));
    *state->running_max = -INFINITY;
}

void pf_favor_state_step(pf_favor_state *state, float *phi_k, float k_scale, const float *v,
                         const float *phi_q, size_t G, size_t count, pf_partial part) {
    const pf_kernels *kernels = pf_kernels_get();
    size_t M = state->M, D = state->D;
    float before = *state->running_max, now = k_scale > before ? k_scale : before;
    float kept = state->decay * pf_rescale(before, now);
    kernels->scale(phi_k, pf_rescale(k_scale, now), M);
    *state->running_max = now;
    /* S = kept S + phi_k v^T,  z = kept z + phi_k;  out = phi_q S,  den = phi_q.z */
    kernels->favor_step(state->S, state->z, M, D, kept, phi_k, v, phi_q, G, part.out, part.den);
    for (size_t g = 0; g < G; g++) part.log_scale[g] += now;
    if (!state->value_sum) return;
    kernels->scale(state->value_sum, state->decay, D);
    kernels->axpy(state->value_sum, 1, v, D);
    for (size_t g = 0; g < G; g++)
        pf_favor_state_add_epsilon(state, state->value_sum, count, phi_q + g * M, part.out + g * D,
                                   part.den + g);
}

/* How many keys `count` keys weigh: 1 + decay + decay^2 + ... */
static float weight_of(const pf_favor_state *state, size_t count) {
    if (state->decay >= 1) return (float)count;
    return (1 - powf(state->decay, (float)count)) / (1 - state->decay);
}

void pf_favor_state_add_epsilon(const pf_favor_state *state, const float *value_sum, size_t count,
                                const float *phi_q, float *out, float *den) {
    /* performer-pytorch adds 1e-6 to sum_j k'_j; its features have a factor M^-1/2 that ours carry
     * in their log-scale */
    float in_denominator = 1e-6f * sqrtf((float)state->M), sum = 0;
    for (size_t m = 0; m < state->M; m++) sum += phi_q[m];
    for (size_t d = 0; d < state->D; d++) out[d] += sum * state->epsilon * value_sum[d];
    *den += sum * (state->epsilon * weight_of(state, count) + in_denominator);
}
