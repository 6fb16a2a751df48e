/* floor 5.7 - steps: the guided walk of `explain` as text. */
#include "steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 10, BAR = 20, NAME = 32 };

const char *map_formula(pf_map_kind map) {
    static const char *const formulas[PF_MAP_COUNT] = {
        [PF_MAP_POSITIVE] = "phi(x)_m = exp(w_m.x - |x|^2/2) / sqrt(M)",
        [PF_MAP_HYPERBOLIC] = "phi(x)_m = exp(+-w_m.x - |x|^2/2) / sqrt(M)",
        [PF_MAP_TRIG] = "phi(x)_m = exp(|x|^2/2) (cos w_m.x, sin w_m.x) / sqrt(M/2)",
        [PF_MAP_TRIG_OFFSET] = "phi(x)_m = exp(|x|^2/2) cos(w_m.x + b_m) sqrt(2/M)",
        [PF_MAP_FAVOR_PP] = "phi(x)_m = exp(B w_m.x - |x|^2/2 + A |w_m|^2 + log D) / sqrt(M)",
        [PF_MAP_RELU] = "phi(x)_m = (relu(w_m.x) + eps) / sqrt(M)",
        [PF_MAP_ELU] = "phi(x)_d = elu(x_d) + 1",
        [PF_MAP_NORMALIZED] = "phi(x)_m = softmax_m(w_m.x + b_m) exp(u.x + c)",
    };
    return formulas[map];
}

static const char *name_of(const walk *w, size_t t, char *text) {
    return token_cell(w->loaded->tokenizer, w->ids[t], -NAME, text);
}

static void tokens(const walk *w, page *p) {
    char line[PAGE_WIDTH * 4] = "", token[TOKEN_SIZE];
    page_heading(p, "From text to tokens");
    page_text(p,
              "The tokenizer cuts the text into T = %zu pieces of its vocabulary; the model sees "
              "only their ids.",
              w->T);
    page_line(p, "position id: piece");
    size_t used = 0, in_line = 0, hidden = w->T > 32 ? w->T - 32 : 0;
    for (size_t t = 0; t < w->T; t++) {
        if (hidden && t >= 16 && t < 16 + hidden) {
            if (t == 16) page_line(p, ".. %zu more ..", hidden);
            continue;
        }
        used += (size_t)snprintf(line + used, sizeof line - used, "%3zu %6d: %s", t, w->ids[t],
                                 token_cell(w->loaded->tokenizer, w->ids[t], 13, token));
        if (++in_line == 3 || t == w->last || (hidden && t == 15)) {
            page_line(p, "%s", line);
            used = in_line = 0;
        }
    }
    page_text(p,
              "The walk follows the last one, %s at position %zu: what it takes from the tokens "
              "before it, and what the model then expects to come next.",
              name_of(w, w->last, token), w->last);
    page_code(p, "tokenizer/tokenizer.c", "pf_tokenizer_encode");
}

static void embedding(const walk *w, page *p) {
    const pf_model *m = w->model;
    page_heading(p, "From a token to a vector");
    page_text(p,
              "Row %d of the embedding table E [V = %u, C = %u] is the token's vector x, the start "
              "of the residual stream: every layer reads x and adds something to it.",
              w->ids[w->last], m->n_vocab, m->width);
    page_line(p, "x = %sE[id]%s", m->embedding_scale != 1 ? "sqrt(C) " : "",
              m->position_embedding ? " + P[position]" : "");
    page_numbers(p, "x", w->embedding, m->width);
    page_code(p, "engine/forward.c", "embed");
}

static void norm(const walk *w, page *p) {
    const pf_model *m = w->model;
    page_heading(p, "The norm before attention, layer %u of %u", w->settings.layer, m->n_layers);
    if (w->settings.layer > 0) {
        char line[PAGE_WIDTH], number[CELL_SIZE];
        size_t used = 0, first = w->settings.layer > 5 ? w->settings.layer - 5 : 0;
        line[0] = 0;
        for (size_t l = first; l <= w->settings.layer; l++)
            used += (size_t)snprintf(line + used, sizeof line - used, "%s",
                                     cell(w->lengths[l], 11, number));
        page_text(p,
                  "The layers below have already added to x. Its length before layer %zu ... %u:",
                  first, w->settings.layer);
        page_line(p, "|x| = %s", line);
    }
    bool rms = m->norm == PF_NORM_RMS;
    page_text(p, "Attention reads x at a steady size, whatever has been added to it.");
    page_line(p, "%s",
              rms ? "y = x / sqrt(mean(x^2) + eps) * weight"
                  : "y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias");
    page_numbers(p, "y", w->attention_norm, m->width);
    page_code(p, "engine/forward.c", "norm_row");
}

static void projections(const walk *w, page *p) {
    const pf_model *m = w->model;
    uint32_t G = m->n_heads / m->n_kv_heads, D = m->head_dim;
    page_heading(p, "Query, key and value of head %u", w->settings.head);
    page_text(p,
              "Three matrices turn y into what the token asks for (q), what it can be found by (k) "
              "and what it gives to those who find it (v). H = %u query heads of D = %u dims stand "
              "side by side in one matrix%s.",
              m->n_heads, D, G > 1 ? "; several of them share a key and value head" : "");
    page_line(p, "q = W_q y   W_q [%u, %u]    k, v = W_k y, W_v y   W_k, W_v [%u, %u]",
              m->n_heads * D, m->width, m->n_kv_heads * D, m->width);
    if (G > 1)
        page_line(p, "query head %u reads key and value head %u of %u", w->settings.head,
                  w->settings.head / G, m->n_kv_heads);
    if (m->layers[w->settings.layer].q_norm)
        page_line(p, "q and k have an RMS norm of their own, already applied here");
    page_numbers(p, "q", walk_q(w), D);
    page_numbers(p, "k", walk_k(w), D);
    page_numbers(p, "v", walk_v(w), D);
    page_code(p, "engine/forward.c", "attend");
}

static void positions(const walk *w, page *p) {
    const pf_model *m = w->model;
    page_heading(p, "Where the token stands");
    if (!pf_position_rotates(m->position)) {
        page_text(p,
                  m->position == PF_POSITION_LEARNED
                      ? "This model added a learned vector P[position] to the embedding: q and k "
                        "already know where they stand, and are used as they are."
                      : "This model gives its tokens no position: q and k are used as they are.");
        return;
    }
    const head_trace *trace = &w->softmax.trace;
    page_text(p,
              "RoPE turns each pair of dims of q and k by position * theta^(-2i/n): slow and fast "
              "clocks. The product of a turned q and a turned k depends on their distance alone.");
    page_line(p, "(a, b) -> (a cos - b sin, a sin + b cos)");
    page_line(p, "pairs %s, theta = %g, n = %u",
              m->position == PF_POSITION_ROPE_ADJACENT ? "(x[2i], x[2i+1])" : "(x[i], x[i+n/2])",
              (double)m->rope_base, m->rope_dim);
    page_numbers(p, "q before", walk_q(w), m->head_dim);
    page_numbers(p, "q turned", trace->q + w->last * m->head_dim, m->head_dim);
    page_numbers(p, "k turned", trace->k + w->last * m->head_dim, m->head_dim);
    page_code(p, "engine/rope.c", "pf_rope_turn");
}

static void bar(double share, char *text) {
    int n = (int)lround(fmin(fmax(share, 0), 1) * BAR);
    memset(text, '#', (size_t)n);
    text[n] = 0;
}

static void exact(const walk *w, page *p) {
    const head_trace *trace = &w->softmax.trace;
    const pf_model *m = w->model;
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], hashes[BAR + 1];
    size_t shown[WALK_MAX_TOKENS], n = walk_choose(w, ROWS, shown);
    page_heading(p, "Exact attention: scores and softmax");
    page_text(p,
              "The query meets the key of every token so far. e^score, divided by the sum of them "
              "all, is the share that the token gives to each; the output is the values mixed in "
              "these shares.");
    page_line(p, "score_j = q.k_j * %.4f    w_j = e^score_j / sum    out = sum_j w_j v_j",
              (double)m->attention_scale);
    page_line(p, "%4s %-14s %10s %10s %8s", "j", "token", "score", "e^score", "w");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        double score = (double)trace->scores[w->last * w->T + j];
        bar((double)w->softmax.weights[j], hashes);
        page_line(p, "%4zu %s %s %s %8.4f %s", j,
                  token_cell(w->loaded->tokenizer, w->ids[j], 14, token), cell(score, 10, a),
                  cell_of_log(1, score, 10, b), (double)w->softmax.weights[j], hashes);
    }
    if (n < w->T) page_line(p, "%4s %zu more with less weight", "..", w->T - n);
    double log_sum = (double)trace->exact_scale[w->last] + log((double)trace->exact_den[w->last]);
    page_line(p, "%-30s %10s", "sum of all", cell_of_log(1, log_sum, 10, a));
    page_numbers(p, "out", w->softmax.out, m->head_dim);
    page_text(p,
              "To be able to do this again, keys and values of all tokens must be kept: 2 D = %u "
              "floats a token for this head, %zu by now, and each next token reads them all.",
              2 * m->head_dim, 2 * m->head_dim * w->T);
    page_code(p, "engine/attention_exact.c", "pf_exact_token");
}

/* What stands between phi(q).phi(k) and e^(q.k). */
static void name_map(const walk *w, page *p) {
    const head_trace *trace = &w->favor.trace;
    const pf_favor_weights *favor = &w->model->layers[w->settings.layer].favor;
    bool calibrated = favor->q_center && !w->settings.favor.attention.uncalibrated;
    if (trace->map == PF_MAP_NORMALIZED)
        page_text(p,
                  "The rows w, b, u and c of this map were fitted to the model by `performer "
                  "calibrate`: nothing is random, and phi(q).phi(k) is e^score only up to a factor "
                  "of each query, which division by the sum removes.");
    else if (trace->map == PF_MAP_ELU)
        page_text(p, "This map is no estimate of e^score: it is another kernel, simple and without "
                     "randomness.");
    else if (trace->map == PF_MAP_RELU)
        page_text(p,
                  "This map estimates another kernel than e^score: of the angle between q and k.");
    else
        page_text(p,
                  "The w_m are random, N(0, I), %s%s. On average over their draws phi(x).phi(y) = "
                  "e^(x.y) exactly: with x = q sqrt(scale), y = k sqrt(scale) that is e^score.",
                  w->settings.favor.attention.projection == PF_PROJECTION_IID
                      ? "drawn independently"
                      : "orthogonal in blocks of D",
                  calibrated
                      ? "; q and k were first centred and balanced by the calibration in the file"
                      : "");
}

static void features(const walk *w, page *p) {
    const head_trace *trace = &w->favor.trace;
    char token[TOKEN_SIZE], a[CELL_SIZE], b[CELL_SIZE], c[CELL_SIZE], d[CELL_SIZE];
    size_t shown[WALK_MAX_TOKENS], n = walk_choose(w, ROWS, shown), M = trace->M, t = w->last;
    double mean_z = 0;
    page_heading(p, "Performer attention: random features instead of scores");
    page_text(p,
              "FAVOR+ replaces e^(x.y), which needs every pair, by a product of two vectors of "
              "M = %zu numbers, one made from the query alone, one from the key alone.",
              M);
    page_line(p, "%s", map_formula(trace->map));
    name_map(w, p);
    if (!trace->tail_rope && pf_position_rotates(w->model->position))
        page_text(p, "The features read q and k before RoPE (performer.tail_rope is false).");
    page_line(p, "stored as phi * exp(log-scale), so that nothing overflows:");
    page_numbers(p, "phi(q)", trace->phi_q + t * M, M);
    page_numbers(p, "phi(k)", trace->phi_k + t * M, M);
    page_line(p, "log-scales: q %s, k %s", cell((double)trace->q_scale[t], 0, a),
              cell((double)trace->k_scale[t], 0, b));
    page_line(p, "%4s %-14s %10s %10s %12s %10s", "j", "token", "score", "e^score", "phi.phi", "Z");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        int sign;
        double log_estimate = head_trace_estimate(trace, t, j, &sign);
        double score = (double)trace->scores[t * w->T + j];
        const char *estimate = sign ? cell_of_log(sign, log_estimate, 12, c) : "0";
        page_line(p, "%4zu %s %s %s %12s %s", j,
                  token_cell(w->loaded->tokenizer, w->ids[j], 14, token), cell(score, 10, a),
                  cell_of_log(1, score, 10, b), estimate,
                  cell(head_trace_z(trace, w->model->attention_scale, t, j), 10, d));
    }
    for (size_t j = 0; j < w->T; j++)
        mean_z += head_trace_z(trace, w->model->attention_scale, t, j) / (double)w->T;
    page_text(
        p,
        "Z = |x + y|^2 says how hard a pair is: the relative variance of one positive feature "
        "is e^Z - 1. Here Z is %.2f on average.%s",
        mean_z,
        mean_z > 6 ? " That is large: few draws come near e^score, and calibration or an exact "
                     "window is what helps."
                   : "");
    page_code(p, "engine/random_features.c", "pf_features_apply");
}

/* The tokens that the tail holds: those that have left the window and are no sink. */
static size_t folded(const walk *w) {
    size_t kept = w->favor.trace.window + w->favor.trace.sinks;
    return w->T > kept ? w->T - kept : 0;
}

static void sums(const walk *w, page *p) {
    const head_trace *trace = &w->favor.trace;
    size_t M = trace->M, D = trace->D;
    page_heading(p, "The state: S and z");
    page_text(
        p, "Because q and k are apart now, the sum over all tokens can be taken before any query "
           "comes: the past is two running sums, of a size that no text changes.");
    page_line(p, "S += phi(k) v^T  [M = %zu, D = %zu]     z += phi(k)  [M = %zu]", M, D, M);
    page_line(p, "out = phi(q) S / phi(q).z");
    if (trace->window + trace->sinks > 0)
        page_text(p,
                  "The first %zu tokens (sinks) and the last %zu (window) stay exact; S and z hold "
                  "the %zu between.",
                  trace->sinks, trace->window, folded(w));
    if (folded(w) == 0) {
        page_text(
            p, "This text is not longer than that, so S and z are still empty: give a longer one, "
               "or --window 0 --sinks 0.");
        return;
    }
    for (size_t m = 0; m < M && m < 3; m++) {
        char label[16];
        snprintf(label, sizeof label, "S[%zu]", m);
        page_numbers(p, label, trace->S + m * D, D);
    }
    page_numbers(p, "z", trace->z, M);
    page_numbers(p, "S, z: out", trace->tail_out, D);
    page_text(
        p,
        "S and z are kept relative to e^c, where c = %.4f is the running maximum of the keys' "
        "log-scales (below).",
        (double)trace->top[w->last]);
    page_code(p, "engine/attention_tail.c", "pf_tail_step");
    page_code(p, "engine/kernels_plain.c", "plain_favor_step");
}

static const char *part_of(const walk *w, size_t j) {
    const head_trace *trace = &w->favor.trace;
    if (j < trace->sinks) return "sink";
    return w->last - j < trace->window ? "window" : "tail";
}

static void both(const walk *w, page *p) {
    char token[TOKEN_SIZE], hashes[BAR + 1];
    size_t shown[WALK_MAX_TOKENS], n = walk_choose(w, ROWS, shown), D = w->model->head_dim;
    bool parts = w->favor.trace.window + w->favor.trace.sinks > 0;
    double difference = 0, reference = 0, distance = 0;
    page_heading(p, "Both, side by side");
    page_text(p,
              "The same queries, keys and values under both: what the last token takes from each.");
    page_line(p, "%4s %-14s %8s %8s %s", "j", "token", "softmax", "favor", parts ? "part" : "");
    for (size_t i = 0; i < n; i++) {
        size_t j = shown[i];
        bar((double)w->favor.weights[j], hashes);
        page_line(p, "%4zu %s %8.4f %8.4f %-7s%s", j,
                  token_cell(w->loaded->tokenizer, w->ids[j], 14, token),
                  (double)w->softmax.weights[j], (double)w->favor.weights[j],
                  parts ? part_of(w, j) : "", hashes);
    }
    page_numbers(p, "out softmax", w->softmax.out, D);
    page_numbers(p, "out favor", w->favor.out, D);
    for (size_t d = 0; d < D; d++) {
        double e = (double)w->favor.out[d] - (double)w->softmax.out[d];
        difference += e * e;
        reference += (double)w->softmax.out[d] * (double)w->softmax.out[d];
    }
    for (size_t j = 0; j < w->T; j++)
        distance += fabs((double)w->favor.weights[j] - (double)w->softmax.weights[j]) / 2;
    page_line(p, "error of out, relative: %.4f     weight on other tokens: %.4f",
              reference > 0 ? sqrt(difference / reference) : 0, distance);
    page_code(p, "engine/attention_head.c", "finish_row");
}

static void rest_of_layer(const walk *w, page *p) {
    const pf_model *m = w->model;
    static const char *const formulas[] = {
        [PF_MLP_SWIGLU] = "down (silu(gate y) * up y)",
        [PF_MLP_GEGLU] = "down (gelu(gate y) * up y)",
        [PF_MLP_GELU_TANH] = "down gelu(up y)",
        [PF_MLP_GELU_ERF] = "down gelu(up y)",
        [PF_MLP_RELU] = "down relu(up y)",
    };
    page_heading(
        p, "Back into the residual stream, and the MLP (%s)",
        pf_attention_name(w->settings.favor_leads ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX));
    page_text(p,
              "All heads side by side, [H D = %u], go through one matrix and are added to x. From "
              "here on the walk follows %s (--to).",
              m->n_heads * m->head_dim,
              w->settings.favor_leads ? "Performer attention" : "exact softmax");
    page_line(p, "x += W_o out    W_o [%u, %u]", m->width, m->n_heads * m->head_dim);
    page_numbers(p, "W_o out", w->attention_output, m->width);
    page_numbers(p, "x", w->attention_residual, m->width);
    page_code(p, "engine/forward.c", "add_linear");
    page_text(
        p, "The MLP works on each token alone: a wider vector of F = %u, a nonlinearity, and back.",
        m->hidden);
    page_line(p, "x += %s,   y = norm(x)", formulas[m->mlp]);
    page_numbers(p, "MLP", w->mlp_output, m->width);
    page_numbers(p, "x", w->layer_output, m->width);
    page_code(p, "engine/forward.c", "mlp");
}

static void print_best(const walk *w, const walk_side *side, size_t b, char *text, size_t size) {
    char token[TOKEN_SIZE];
    text[0] = 0;
    int32_t id = side->next.best[b];
    if (id < 0) return;
    snprintf(text, size, "%s %9.4f %6.2f%%", token_cell(w->loaded->tokenizer, id, 14, token),
             (double)side->logits[id], 100 * exp((double)side->logits[id] - side->next.log_sum));
}

static void logits(const walk *w, page *p) {
    const pf_model *m = w->model;
    char left[TOKEN_SIZE + 64], right[TOKEN_SIZE + 64];
    page_heading(p, "From the last vector to the next token");
    page_text(
        p,
        "The other layers do the same. The last x is normed once more and compared with every "
        "token's vector: V = %u logits, whose softmax is the model's prediction.",
        m->n_vocab);
    page_line(p, "logits = W norm(x)   W [%u, %u]    p = softmax(logits)", m->n_vocab, m->width);
    page_numbers(p, "norm(x)", w->final_norm, m->width);
    page_line(p, "the whole model under softmax          under favor");
    page_line(p, "%-14s %9s %7s     %-14s %9s %7s", "token", "logit", "p", "token", "logit", "p");
    for (size_t b = 0; b < TOP_TOKENS; b++) {
        print_best(w, &w->softmax, b, left, sizeof left);
        print_best(w, &w->favor, b, right, sizeof right);
        page_line(p, "%s     %s", left, right);
    }
    page_line(p, "KL(softmax || favor) = %.4f nats", w->kl);
    page_code(p, "engine/forward.c", "pf_forward");
}

void steps_print(const walk *w, page *p) {
    tokens(w, p);
    embedding(w, p);
    norm(w, p);
    projections(w, p);
    positions(w, p);
    exact(w, p);
    if (w->favor.trace.M > 0) {
        features(w, p);
        sums(w, p);
    }
    both(w, p);
    rest_of_layer(w, p);
    logits(w, p);
}
