/* floor 1.0 - positions: rotary embedding, RoPE (Su et al. 2021, RoFormer, eq. 34). */
#include "rope.h"

#include <math.h>

void pf_rope_frequencies(float base, const float *factors, size_t dim, double *frequency) {
    for (size_t i = 0; i < dim / 2; i++) {
        frequency[i] = pow((double)base, -2.0 * (double)i / (double)dim);
        if (factors) frequency[i] /= (double)factors[i];
    }
}

void pf_rope_angles(const double *frequency, size_t pairs, size_t position, float *angles) {
    for (size_t i = 0; i < pairs; i++) {
        double angle = (double)position * frequency[i];
        angles[i] = (float)cos(angle);
        angles[pairs + i] = (float)sin(angle);
    }
}

void pf_rope_turn(pf_position_kind kind, size_t pairs, const float *angles, float *x,
                  bool inverse) {
    const float *cosine = angles, *sine = angles + pairs;
    float sign = inverse ? -1.0f : 1.0f;
    if (kind == PF_POSITION_ROPE_ADJACENT) {
        for (size_t i = 0; i < pairs; i++) {
            float a = x[2 * i], b = x[2 * i + 1], s = sign * sine[i];
            x[2 * i] = a * cosine[i] - b * s;
            x[2 * i + 1] = a * s + b * cosine[i];
        }
    } else if (kind == PF_POSITION_ROPE_HALVES) {
        for (size_t i = 0; i < pairs; i++) {
            float a = x[i], b = x[i + pairs], s = sign * sine[i];
            x[i] = a * cosine[i] - b * s;
            x[i + pairs] = a * s + b * cosine[i];
        }
    }
}

void pf_rope_scale(float scale, size_t dim, float *x, size_t rows, size_t D) {
    for (size_t i = 0; i < rows; i++)
        for (size_t d = 0; d < dim; d++) x[i * D + d] *= scale;
}
