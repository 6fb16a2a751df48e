/* floor 0.2 - random numbers: small, seeded, the same on every machine. */
#ifndef PF_RNG_H
#define PF_RNG_H

#include <stdint.h>

/* xoshiro256** (Blackman & Vigna 2018), seeded through splitmix64. Normal deviates come in pairs:
 * the second is kept for the next call. */
typedef struct pf_rng {
    uint64_t state[4];
    double spare_normal;
    int has_spare;
} pf_rng;

/* Hashes (seed, stream) into the state: streams of one seed are independent. Let `stream` stand
 * for the layer, head and redraw that the numbers are for. */
void pf_rng_seed(pf_rng *rng, uint64_t seed, uint64_t stream);
uint64_t pf_rng_u64(pf_rng *rng);
double pf_rng_uniform(pf_rng *rng); /* in [0, 1), 53 bits */
double pf_rng_normal(pf_rng *rng);  /* N(0, 1), polar method of Marsaglia */

#endif
