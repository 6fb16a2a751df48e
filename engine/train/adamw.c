/* floor 2.3 - AdamW: from a gradient to a step (Loshchilov & Hutter 2019, algorithm 2). */
#include "adamw.h"

#include <tgmath.h>

enum { PIECE = 1 << 14 };
static const double TINY = 1e-8, PI = 3.14159265358979323846;

typedef struct update {
    const pf_adamw *options;
    const pf_adamw_state *s;
    double rate, norm;
    size_t t;
    double *partial; /* [pieces] squared norms */
} update;

size_t pf_adamw_partials(size_t n) { return (n + PIECE - 1) / PIECE; }

static size_t piece_end(size_t piece, size_t n) {
    return (piece + 1) * PIECE < n ? (piece + 1) * PIECE : n;
}

static void update_range(const update *u, size_t begin, size_t end, double scale) {
    const pf_adamw *o = u->options;
    const pf_adamw_state *s = u->s;
    pf_real b1 = (pf_real)o->beta1, b2 = (pf_real)o->beta2, factor = (pf_real)scale;
    pf_real rate = (pf_real)(u->rate / (1 - pow(o->beta1, (double)u->t)));
    pf_real unbias = (pf_real)(1 / (1 - pow(o->beta2, (double)u->t))), tiny = (pf_real)TINY;
    for (size_t i = begin; i < end; i++) {
        pf_real g = s->gradient[i] * factor;
        pf_real kept = i < s->n_decayed ? (pf_real)(1 - u->rate * o->decay) : 1;
        s->m[i] = b1 * s->m[i] + (1 - b1) * g;
        s->v[i] = b2 * s->v[i] + (1 - b2) * g * g;
        s->weights[i] = kept * s->weights[i] - rate * s->m[i] / (sqrt(s->v[i] * unbias) + tiny);
    }
}

static void run(void *context, pf_member me) {
    update *u = context;
    size_t begin, end, n = u->s->n, pieces = pf_adamw_partials(n);
    pf_share(me, pieces, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        const pf_real *g = u->s->gradient + i * PIECE;
        u->partial[i] = (double)pf_real_dot(g, g, piece_end(i, n) - i * PIECE);
    }
    pf_barrier(me);
    double sum = 0;
    for (size_t i = 0; i < pieces; i++) sum += u->partial[i];
    double norm = sqrt(sum), clip = u->options->clip;
    if (me.index == 0) u->norm = norm;
    if (!isfinite(norm)) return;
    for (size_t i = begin; i < end; i++)
        update_range(u, i * PIECE, piece_end(i, n), clip > 0 && norm > clip ? clip / norm : 1);
}

double pf_adamw_step(const pf_adamw *options, const pf_adamw_state *state, double rate, size_t t,
                     pf_team *team, double *partial) {
    update u = {options, state, rate, 0, t, partial};
    pf_team_run(team, run, &u);
    return u.norm;
}

double pf_cosine_rate(double rate, size_t t, size_t warm_up, size_t steps) {
    if (t < warm_up) return rate * (double)(t + 1) / (double)warm_up;
    if (t >= steps) return 0;
    return rate * 0.5 * (1 + cos(PI * (double)(t - warm_up) / (double)(steps - warm_up)));
}
