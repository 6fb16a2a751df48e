/* floor 1.2 - the MLP's nonlinearities, for any vector width: included by the files of the tables,
 * after a vector file (vector_avx2.h), whose names it uses. */
#ifndef PF_MLP_TILE_X86_H
#define PF_MLP_TILE_X86_H

#include <stddef.h>

/* x sigmoid(y) = x / (1 + exp(-y)). The exponent stops at 88, where exp is still finite and
 * the quotient as good as 0. */
INLINE VECTOR times_sigmoid(VECTOR x, VECTOR y) {
    VECTOR e = EXP(MIN(SPREAD(88), SUB(SPREAD(0), y)));
    return DIV(x, ADD(SPREAD(1), e));
}

static void swiglu(float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        VECTOR x = LOAD_FIRST(gate + i, n - i);
        STORE_FIRST(gate + i, n - i, MUL(times_sigmoid(x, x), LOAD_FIRST(up + i, n - i)));
    }
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static void gelu_tanh(float *x, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        VECTOR v = LOAD_FIRST(x + i, n - i);
        VECTOR cubic = FMA(MUL(v, v), SPREAD(0.0713548163f), SPREAD(1.5957691216f));
        STORE_FIRST(x + i, n - i, times_sigmoid(v, MUL(v, cubic)));
    }
}

/* exp(z^2) erfc(z) for z >= 0: t times a polynomial in t = 1 / (1 + 0.3 z), fitted for the least
 * relative error, 7e-8 up to z = 14. Beyond, erfc(z) is 0 as a float. */
INLINE VECTOR scaled_erfc(VECTOR z) {
    VECTOR t = DIV(SPREAD(1), FMA(SPREAD(0.3f), z, SPREAD(1)));
    VECTOR p = SPREAD(-0x1.034f9p-3f);
    p = FMA(p, t, SPREAD(0x1.e3266ep-2f));
    p = FMA(p, t, SPREAD(-0x1.f05314p-2f));
    p = FMA(p, t, SPREAD(0x1.08baa2p-1f));
    p = FMA(p, t, SPREAD(-0x1.2f4e3p-4f));
    p = FMA(p, t, SPREAD(0x1.a6ad44p-3f));
    p = FMA(p, t, SPREAD(0x1.342906p-3f));
    p = FMA(p, t, SPREAD(0x1.5d071cp-3f));
    p = FMA(p, t, SPREAD(0x1.5a8806p-3f));
    return MUL(p, t);
}

/* x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2 */
static void gelu_erf(float *x, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        VECTOR v = LOAD_FIRST(x + i, n - i), size = MAX(v, SUB(SPREAD(0), v));
        VECTOR e = EXP(MUL(MUL(v, v), SPREAD(-0.5f)));
        VECTOR tail = MUL(e, scaled_erfc(MUL(size, SPREAD(0.7071067812f))));
        STORE_FIRST(x + i, n - i, NEGATED_FMA(MUL(size, SPREAD(0.5f)), tail, MAX(v, SPREAD(0))));
    }
}

#endif
