/* floor 5.7 - explain page state: the last token's q, k and features, and S and z as they stand. */
#include "explain_page.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 960, BAR_HEIGHT = 64, STATE_HEIGHT = 260 };

static double largest(const float *x, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    return most > 0 ? most : 1;
}

/* x [n] as bars, scaled to the largest. */
static void bars(html *p, const char *id, const char *title, const float *x, size_t n) {
    double most = largest(x, n), wide = n ? (double)WIDTH / (double)n : 0;
    double least = 0;
    for (size_t i = 0; i < n; i++) least = fmin(least, (double)x[i]);
    double zero = least < 0 ? BAR_HEIGHT / 2.0 : BAR_HEIGHT, scale = zero / most;
    html_add(p,
             "<figure class=\"bars\" id=\"%s\"><figcaption>%s</figcaption><svg viewBox=\"0 0 %d "
             "%d\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%zu numbers as bars, the "
             "largest %.3g\"><path d=\"",
             id, title, WIDTH, BAR_HEIGHT, n, most);
    for (size_t i = 0; i < n; i++)
        html_add(p, "M%.1f %.1fh%.1fV%.1fh%.1fz", wide * (double)i, zero, 0.8 * wide,
                 zero - scale * (double)x[i], -0.8 * wide);
    html_add(p, "\"/></svg></figure>\n");
}

static void state_picture(html *p, explain_page *e) {
    const head_trace *trace = &e->run->favor.trace;
    size_t M = trace->M, D = trace->D;
    double most = largest(trace->S, M * D);
    for (size_t i = 0; i < M * D; i++) {
        double part = (double)trace->S[i] / most; /* its square root makes small ones visible */
        e->pixels[i % D * M + i / D] =
            (uint8_t)(128 + lround(127 * copysign(sqrt(fabs(part)), part)));
    }
    html_add(p,
             "<figure id=\"S\"><figcaption>S, [M = %zu, D = %zu]: a column is a feature, a row a "
             "number of the values</figcaption><svg viewBox=\"0 0 %d %d\" "
             "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"S as a heat map\"><image "
             "preserveAspectRatio=\"none\" width=\"%d\" height=\"%d\" href=\"",
             M, D, WIDTH, STATE_HEIGHT, WIDTH, STATE_HEIGHT);
    if (M > 0) png_data_address(p, e->pixels, M, D, &e->signs);
    html_add(p, "\"/></svg></figure>\n");
}

static void sizes(html *p, const explain_page *e) {
    const head_trace *trace = &e->run->favor.trace;
    size_t M = trace->M, D = trace->D, T = e->run->T;
    size_t exact = trace->window + trace->sinks < T ? trace->window + trace->sinks : T;
    html_add(p,
             "<p id=\"sizes\">For this head, S, z and c are M (D + 1) + 1 = %zu numbers%s, however "
             "long the text is. The cache of softmax holds 2 D = %zu numbers for every token: %zu "
             "after these %zu.</p>\n",
             M * (D + 1) + 1 + 2 * D * exact, exact ? ", with window and sinks" : "", 2 * D,
             2 * D * T, T);
}

void explain_page_state(html *p, explain_page *e) {
    const explain_run *run = e->run;
    const head_trace *trace = &run->favor.trace;
    size_t M = trace->M, D = trace->D, t = run->last;
    html_add(p, "<section id=\"state\"><h2>The way of one token</h2>\n<p>Performer attention turns "
                "q and k into features, adds phi(k) v<sup>T</sup> to S and phi(k) to z, and reads "
                "phi(q) S / phi(q).z. Here is all of it, as it stands after <span id=\"after\">the "
                "last token</span>. Features are drawn relative to their largest.</p>\n");
    html_add(p, "<div class=\"grid2\">\n");
    bars(p, "q", "q, the query", trace->M ? trace->q + t * D : run->softmax.trace.q + t * D, D);
    bars(p, "k", "k, the key", trace->M ? trace->k + t * D : run->softmax.trace.k + t * D, D);
    html_add(p, "</div>\n<div id=\"tail\"%s>\n", M > 0 ? "" : " hidden");
    bars(p, "phi-q", "phi(q), the query's features", trace->phi_q + t * M, M);
    bars(p, "phi-k", "phi(k), the key's features", trace->phi_k + t * M, M);
    state_picture(p, e);
    bars(p, "z", "z, the sum of phi(k)", trace->z, M);
    html_add(p, "</div>\n");
    if (M > 0) sizes(p, e);
    if (M == 0)
        html_add(p, "<p id=\"sizes\">This layer attends to a window alone, under both kinds of "
                    "attention: it has no features, no S and no z.</p>\n");
    html_add(p, "</section>\n");
}
