/* floor 0.2 - random numbers: small, seeded, the same on every machine. */
#include "rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void pf_rng_seed(pf_rng *rng, uint64_t seed, uint64_t stream) {
    uint64_t x = seed;
    x = splitmix64(&x) ^ (stream * 0xD1342543DE82EF95u + 1);
    for (int i = 0; i < 4; i++) rng->state[i] = splitmix64(&x);
    rng->spare_normal = 0;
    rng->has_spare = 0;
}

static uint64_t rotate_left(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t pf_rng_u64(pf_rng *rng) {
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double pf_rng_uniform(pf_rng *rng) { return (double)(pf_rng_u64(rng) >> 11) * 0x1p-53; }

double pf_rng_normal(pf_rng *rng) {
    if (rng->has_spare) {
        rng->has_spare = 0;
        return rng->spare_normal;
    }
    double u, v, s;
    do {
        u = 2 * pf_rng_uniform(rng) - 1;
        v = 2 * pf_rng_uniform(rng) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    double scale = sqrt(-2 * log(s) / s);
    rng->spare_normal = v * scale;
    rng->has_spare = 1;
    return u * scale;
}
