/* floor 1.0 - positions: rotary embedding, RoPE (Su et al. 2021, RoFormer, eq. 34). */
#ifndef PF_ROPE_H
#define PF_ROPE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum pf_position_kind {
    PF_POSITION_NONE,
    PF_POSITION_ROPE_ADJACENT, /* pairs (x[2i], x[2i+1]): llama */
    PF_POSITION_ROPE_HALVES,   /* pairs (x[i], x[i + n/2]): qwen, phi3, gemma */
    PF_POSITION_LEARNED,       /* only a row of position_embedding is added to the token's (gpt2) */
} pf_position_kind;

static inline bool pf_position_rotates(pf_position_kind kind) {
    return kind == PF_POSITION_ROPE_ADJACENT || kind == PF_POSITION_ROPE_HALVES;
}

/* frequency [dim / 2]: by how much pair i rotates per position, base^(-2i / dim) / factors[i]
 * (factors NULL: all 1). dim: the leading dims of a head that rotate, even. */
void pf_rope_frequencies(float base, const float *factors, size_t dim, double *frequency);

/* angles [2 pairs]: the cosines of all pairs at a position, then their sines; computed in double,
 * so that positions far beyond a million keep their full float precision. */
void pf_rope_angles(const double *frequency, size_t pairs, size_t position, float *angles);

/* Rotates the head x in place by angles [2 pairs], or back (`inverse`). Kinds that do not rotate
 * leave it as it is. */
void pf_rope_turn(pf_position_kind kind, size_t pairs, const float *angles, float *x, bool inverse);

/* x [rows, D]: the first `dim` of each row times scale, as YaRN and longrope enlarge q and k. */
void pf_rope_scale(float scale, size_t dim, float *x, size_t rows, size_t D);

#endif
