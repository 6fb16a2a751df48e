/* floor 1.4 - kernels in plain C: the definition of every kernel. The tests compare the fast tables
 * with this one; kernels.h has the formulas and shapes. */
#include "kernels.h"
#include "quant.h"

#include <math.h>

enum {
    LANES = 8,  /* independent sums of a dot product */
    CHUNK = 256 /* values dequantised at a time: a multiple of every block size */
};

/* ---- vectors ---- */

/* With LANES independent sums, which the compiler may keep in one vector register. */
static float plain_dot(const float *a, const float *b, size_t n) {
    float sums[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) sums[j] += a[i + j] * b[i + j];
    for (; i < n; i++) sums[i % LANES] += a[i] * b[i];
    float total = 0;
    for (size_t j = 0; j < LANES; j++) total += sums[j];
    return total;
}

static void plain_axpy(float *y, float alpha, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += alpha * x[i];
}

static void plain_scale(float *y, float alpha, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] *= alpha;
}

static float plain_max(const float *x, size_t n) {
    float best = x[0];
    for (size_t i = 1; i < n; i++)
        if (x[i] > best) best = x[i];
    return best;
}

/* exp, flushed to 0 below -87: e^-87 is just above the smallest normal float. */
static float exp_or_zero(float x) { return x < -87 ? 0 : expf(x); }

static float plain_exp_sum(float *y, const float *x, float shift, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) {
        y[i] = exp_or_zero(x[i] - shift);
        sum += y[i];
    }
    return sum;
}

static void plain_rms_norm(float *y, const float *x, const float *weight, float eps, size_t n) {
    float inverse = 1 / sqrtf(plain_dot(x, x, n) / (float)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = x[i] * inverse * weight[i];
}

static void plain_layer_norm(float *y, const float *x, const float *weight, const float *bias,
                             float eps, size_t n) {
    float mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
    float inverse = 1 / sqrtf(variance / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * inverse * weight[i] + (bias ? bias[i] : 0);
}

static void plain_swiglu(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

/* 0.7978845608 = sqrt(2 / pi) */
static void plain_gelu_tanh(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1 + tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

/* 0.7071067812 = 1 / sqrt(2) */
static void plain_gelu_erf(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.7071067812f));
}

static void plain_to_f16(uint16_t *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = pf_f32_to_f16(x[i]);
}

/* ---- attention, one token ---- */

static void plain_favor_step(float *S, float *z, size_t M, size_t D, float decay,
                             const float *phi_k, const float *v, const float *phi_q, size_t G,
                             float *out, float *den) {
    for (size_t i = 0; i < G * D; i++) out[i] = 0;
    for (size_t g = 0; g < G; g++) den[g] = 0;
    for (size_t m = 0; m < M; m++) {
        float *row = S + m * D;
        if (phi_k) {
            for (size_t d = 0; d < D; d++) row[d] = decay * row[d] + phi_k[m] * v[d];
            z[m] = decay * z[m] + phi_k[m];
        }
        for (size_t g = 0; g < G; g++) {
            plain_axpy(out + g * D, phi_q[g * M + m], row, D);
            den[g] += phi_q[g * M + m] * z[m];
        }
    }
}

/* Columns [first, first + n) of row r as floats: a pointer into the row if it is F32; an F16 row is
 * converted into `buffer` [CHUNK]. */
static const float *part_of_row(pf_matrix m, size_t r, size_t first, size_t n, float *buffer) {
    const char *row = (const char *)m.data + r * pf_row_bytes(m.type, m.cols);
    const void *part = row + pf_row_bytes(m.type, first);
    if (m.type == PF_F32) return part;
    pf_dequantize_row(m.type, part, buffer, n);
    return buffer;
}

static void plain_scores(const float *q, size_t G, pf_matrix K, float scale, float *scores,
                         size_t ld) {
    float buffer[CHUNK];
    for (size_t j = 0; j < K.rows; j++) {
        for (size_t g = 0; g < G; g++) scores[g * ld + j] = 0;
        for (size_t d = 0; d < K.cols; d += CHUNK) {
            size_t n = K.cols - d < CHUNK ? K.cols - d : CHUNK;
            const float *key = part_of_row(K, j, d, n, buffer);
            for (size_t g = 0; g < G; g++)
                scores[g * ld + j] += scale * plain_dot(q + g * K.cols + d, key, n);
        }
    }
}

static void plain_weighted_rows(const float *weights, size_t ld, size_t G, pf_matrix V,
                                float *out) {
    float buffer[CHUNK];
    for (size_t i = 0; i < G * V.cols; i++) out[i] = 0;
    for (size_t j = 0; j < V.rows; j++)
        for (size_t d = 0; d < V.cols; d += CHUNK) {
            size_t n = V.cols - d < CHUNK ? V.cols - d : CHUNK;
            const float *value = part_of_row(V, j, d, n, buffer);
            for (size_t g = 0; g < G; g++)
                plain_axpy(out + g * V.cols + d, weights[g * ld + j], value, n);
        }
}

/* ---- attention, a tile of queries ---- */

enum { TILE = PF_TILE_QUERIES };

/* y[t] += factor x[t] for all columns t of a tile: a loop that compilers turn into vectors. */
static void add_columns(float *y, float factor, const float *x) {
    for (size_t t = 0; t < TILE; t++) y[t] += factor * x[t];
}

/* Replaces the n scores of query t by weights exp(score - running_max), 0 outside [begin, end), and
 * adds them to den. Returns the factor that rescales earlier sums to the new running_max. */
static float softmax_column(const pf_query_tile *tile, size_t t, size_t n, ptrdiff_t begin,
                            ptrdiff_t end) {
    float *score = tile->scores + t, before = tile->running_max[t], now = before, sum = 0;
    if (begin < 0) begin = 0;
    if (end > (ptrdiff_t)n) end = (ptrdiff_t)n;
    for (ptrdiff_t j = begin; j < end; j++)
        if (score[j * TILE] > now) now = score[j * TILE];
    for (ptrdiff_t j = 0; j < (ptrdiff_t)n; j++) {
        bool seen = begin <= j && j < end;
        score[j * TILE] = seen ? exp_or_zero(score[j * TILE] - now) : 0;
        sum += score[j * TILE];
    }
    float rescale = now == -INFINITY ? 1 : exp_or_zero(before - now); /* 1: no key seen yet */
    tile->den[t] = tile->den[t] * rescale + sum;
    tile->running_max[t] = now;
    return rescale;
}

/* scores = K Q^T, softmax down each column, out = rescale * out + V^T scores */
static void plain_flash_attention(const pf_query_tile *tile, const float *K, const float *V,
                                  size_t n, size_t D, ptrdiff_t first, ptrdiff_t last) {
    float rescale[TILE];
    for (size_t i = 0; i < n * TILE; i++) tile->scores[i] = 0;
    for (size_t j = 0; j < n; j++)
        for (size_t d = 0; d < D; d++)
            add_columns(tile->scores + j * TILE, K[j * D + d], tile->q + d * TILE);
    for (size_t t = 0; t < TILE; t++) {
        ptrdiff_t begin = t < tile->n ? first + (ptrdiff_t)t : (ptrdiff_t)n;
        rescale[t] = softmax_column(tile, t, n, begin, last + (ptrdiff_t)t);
    }
    for (size_t d = 0; d < D; d++)
        for (size_t t = 0; t < TILE; t++) tile->out[d * TILE + t] *= rescale[t];
    for (size_t j = 0; j < n; j++)
        for (size_t d = 0; d < D; d++)
            add_columns(tile->out + d * TILE, V[j * D + d], tile->scores + j * TILE);
}

/* ---- products with weights ---- */

static void plain_quantize_activation(pf_activation a, size_t n) {
    for (size_t b = 0; b < n / 32; b++) {
        const float *x = a.x + 32 * b;
        float largest = 0;
        for (int i = 0; i < 32; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
        float inverse = largest > 0 ? 127 / largest : 0;
        int sum = 0;
        for (int i = 0; i < 32; i++) {
            float rounded = nearbyintf(x[i] * inverse); /* NaN and infinity give 0 */
            int8_t q = fabsf(rounded) <= 127 ? (int8_t)rounded : 0;
            a.q[32 * b + (size_t)i] = q;
            sum += q;
        }
        a.scale[b] = largest / 127;
        a.sum[b] = a.scale[b] * (float)sum;
    }
}

/* What an int8 product uses in place of x: x[i] ~ scale * q. */
static void activation_values(pf_activation a, size_t first, float *values, size_t n) {
    for (size_t i = 0; i < n; i++) values[i] = a.scale[(first + i) / 32] * (float)a.q[first + i];
}

static void plain_matvec(pf_matrix W, pf_activation a, float *y, size_t begin, size_t end) {
    const pf_type_info *info = pf_type_get(W.type);
    bool floats = info->block_size == 1 || !a.q;
    const char *row = (const char *)W.data + begin * pf_row_bytes(W.type, W.cols);
    float weights[CHUNK], values[CHUNK];
    for (size_t r = begin; r < end; r++) {
        y[r] = 0;
        for (size_t first = 0; first < W.cols; first += CHUNK) {
            size_t n = W.cols - first < CHUNK ? W.cols - first : CHUNK;
            pf_dequantize_row(W.type, row, weights, n);
            if (!floats) activation_values(a, first, values, n);
            y[r] += plain_dot(weights, floats ? a.x + first : values, n);
            row += pf_row_bytes(W.type, n);
        }
    }
}

const pf_kernels pf_kernels_plain = {
    .name = "plain",
    .dot = plain_dot,
    .axpy = plain_axpy,
    .scale = plain_scale,
    .max = plain_max,
    .exp_sum = plain_exp_sum,
    .rms_norm = plain_rms_norm,
    .layer_norm = plain_layer_norm,
    .swiglu = plain_swiglu,
    .gelu_tanh = plain_gelu_tanh,
    .gelu_erf = plain_gelu_erf,
    .favor_step = plain_favor_step,
    .scores = plain_scores,
    .weighted_rows = plain_weighted_rows,
    .to_f16 = plain_to_f16,
    .flash_attention = plain_flash_attention,
    .quantize_activation = plain_quantize_activation,
    .matvec = plain_matvec,
    .dequantize_row = pf_dequantize_row,
};
