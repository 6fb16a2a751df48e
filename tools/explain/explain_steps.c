/* floor 5.7 - explain steps: from tokens to logits, as `explain` prints it. */
#include "explain_steps.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 32 };

static const char *name_of(const explain_run *run, size_t t, char *text) {
    return token_cell(run->loaded->tokenizer, run->ids[t], -NAME, text);
}

static void tokens(const explain_run *run, text_page *p) {
    char line[PAGE_WIDTH * 4] = "", token[TOKEN_SIZE];
    text_page_heading(p, "From text to tokens");
    text_page_paragraph(p,
                        "The tokenizer splits the text into T = %zu pieces from its vocabulary; "
                        "the model sees only their ids.",
                        run->T);
    text_page_line(p, "position id: piece");
    size_t used = 0, in_line = 0, hidden = run->T > 32 ? run->T - 32 : 0;
    for (size_t t = 0; t < run->T; t++) {
        if (hidden && t >= 16 && t < 16 + hidden) {
            if (t == 16) text_page_line(p, ".. %zu more ..", hidden);
            continue;
        }
        used += (size_t)snprintf(line + used, sizeof line - used, "%3zu %6d: %s", t, run->ids[t],
                                 token_cell(run->loaded->tokenizer, run->ids[t], 13, token));
        if (++in_line == 3 || t == run->last || (hidden && t == 15)) {
            text_page_line(p, "%s", line);
            used = in_line = 0;
        }
    }
    text_page_paragraph(p,
                        "This walkthrough follows the last one, %s at position %zu: what it takes "
                        "from the tokens before it, and what the model then predicts.",
                        name_of(run, run->last, token), run->last);
    text_page_code(p, "tokenizer/tokenizer.c", "pf_tokenizer_encode");
}

static void embedding(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    text_page_heading(p, "From a token to a vector");
    text_page_paragraph(
        p,
        "Row %d of the embedding table E [V = %u, C = %u] is the token's vector x. It starts the "
        "residual stream: every layer reads x and adds something to it.",
        run->ids[run->last], m->n_vocab, m->width);
    text_page_line(p, "x = %sE[id]%s", m->embedding_scale != 1 ? "sqrt(C) " : "",
                   m->position_embedding ? " + P[position]" : "");
    text_page_numbers(p, "x", run->embedding, m->width);
    text_page_code(p, "engine/forward.c", "pf_forward_embed");
}

static void norm(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    text_page_heading(p, "The norm before attention, layer %u of %u", run->settings.layer,
                      m->n_layers);
    if (run->settings.layer > 0) {
        char line[PAGE_WIDTH], number[CELL_SIZE];
        size_t used = 0, first = run->settings.layer > 5 ? run->settings.layer - 5 : 0;
        line[0] = 0;
        for (size_t l = first; l <= run->settings.layer; l++)
            used += (size_t)snprintf(line + used, sizeof line - used, "%s",
                                     cell(run->lengths[l], 11, number));
        text_page_paragraph(p,
                            "The layers below have already added to x. Its length before each of "
                            "the layers %zu to %u:",
                            first, run->settings.layer);
        text_page_line(p, "|x| = %s", line);
    }
    bool rms = m->norm == PF_NORM_RMS;
    text_page_paragraph(
        p, "The norm gives attention an input of steady size, however much has been added to x.");
    text_page_line(p, "%s",
                   rms ? "y = x / sqrt(mean(x^2) + eps) * weight"
                       : "y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias");
    text_page_numbers(p, "y", run->attention_norm, m->width);
    text_page_code(p, "engine/forward.c", "norm_row");
}

static void projections(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    uint32_t G = m->n_heads / m->n_kv_heads, D = m->head_dim;
    text_page_heading(p, "Query, key and value of head %u", run->settings.head);
    text_page_paragraph(
        p,
        "Three matrices turn y into what the token looks for (its query q), what it can be found "
        "by (its key k) and what it passes on when found (its value v). One matrix holds all H = "
        "%u query heads, D = %u dimensions each%s.",
        m->n_heads, D, G > 1 ? "; several query heads share one key and value head" : "");
    text_page_line(p, "q = W_q y   W_q [%u, %u]    k, v = W_k y, W_v y   W_k, W_v [%u, %u]",
                   m->n_heads * D, m->width, m->n_kv_heads * D, m->width);
    if (G > 1)
        text_page_line(p, "query head %u uses key and value head %u of %u", run->settings.head,
                       run->settings.head / G, m->n_kv_heads);
    if (m->layers[run->settings.layer].q_norm)
        text_page_line(p, "q and k are shown after an RMS norm of their own");
    text_page_numbers(p, "q", explain_run_q(run), D);
    text_page_numbers(p, "k", explain_run_k(run), D);
    text_page_numbers(p, "v", explain_run_v(run), D);
    text_page_code(p, "engine/forward.c", "pf_forward_project");
}

static void positions(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    text_page_heading(p, "Where the token stands");
    if (!pf_position_rotates(m->position)) {
        text_page_paragraph(
            p, m->position == PF_POSITION_LEARNED
                   ? "This model added a learned vector P[position] to the embedding, so q and k "
                     "already depend on the position and are used as they are."
                   : "This model does not encode positions: q and k are used as they are.");
        return;
    }
    const head_trace *trace = &run->softmax.trace;
    pf_rotary rotary = pf_model_rotary(m, run->settings.layer, run->settings.softmax.context);
    text_page_paragraph(
        p, "RoPE rotates pair i of the dimensions of q and k by the angle position * "
           "theta^(-2i/n): the first pairs turn fast, the last ones slowly. The dot product of a "
           "rotated q and a rotated k depends only on how far apart the two tokens are.");
    text_page_line(p, "(a, b) -> (a cos - b sin, a sin + b cos)");
    text_page_line(p, "pairs %s, theta = %g, n = %u",
                   m->position == PF_POSITION_ROPE_ADJACENT ? "(x[2i], x[2i+1])"
                                                            : "(x[i], x[i+n/2])",
                   (double)rotary.base, rotary.dim);
    if (m->layers[run->settings.layer].window > 0)
        text_page_line(p, "this layer slides: each token sees the last %u tokens, itself included",
                       m->layers[run->settings.layer].window);
    text_page_numbers(p, "q before", explain_run_q(run), m->head_dim);
    text_page_numbers(p, "q rotated", trace->q + run->last * m->head_dim, m->head_dim);
    text_page_numbers(p, "k rotated", trace->k + run->last * m->head_dim, m->head_dim);
    text_page_code(p, "engine/attention/rope.c", "pf_rope_turn");
}

static void rest_of_layer(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    static const char *const formulas[] = {
        [PF_MLP_SWIGLU] = "down (silu(gate y) * up y)",
        [PF_MLP_GEGLU] = "down (gelu(gate y) * up y)",
        [PF_MLP_GELU_TANH] = "down gelu(up y)",
        [PF_MLP_GELU_ERF] = "down gelu(up y)",
        [PF_MLP_RELU] = "down relu(up y)",
    };
    text_page_heading(
        p, "Back into the residual stream, and the MLP (%s)",
        pf_attention_name(run->settings.favor_leads ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX));
    text_page_paragraph(
        p,
        "The outputs of all heads, side by side [H D = %u], go through one matrix, and the result "
        "is added to x. From here on the walkthrough follows %s (--to).",
        m->n_heads * m->head_dim,
        run->settings.favor_leads ? "Performer attention" : "exact softmax");
    text_page_line(p, "x += W_o out    W_o [%u, %u]", m->width, m->n_heads * m->head_dim);
    text_page_numbers(p, "W_o out", run->attention_output, m->width);
    text_page_numbers(p, "x", run->attention_residual, m->width);
    text_page_code(p, "engine/forward.c", "add_linear");
    text_page_paragraph(p,
                        "The MLP works on each token alone: up to a wider vector of F = %u, "
                        "through a nonlinearity, and back down to C.",
                        m->hidden);
    text_page_line(p, "x += %s,   y = norm(x)", formulas[m->mlp]);
    text_page_numbers(p, "MLP", run->mlp_output, m->width);
    text_page_numbers(p, "x", run->layer_output, m->width);
    text_page_code(p, "engine/forward.c", "mlp");
}

static void print_best(const explain_run *run, const explain_side *side, size_t b, char *text,
                       size_t size) {
    char token[TOKEN_SIZE];
    text[0] = 0;
    int32_t id = side->next.best[b];
    if (id < 0) return;
    snprintf(text, size, "%s %9.4f %6.2f%%", token_cell(run->loaded->tokenizer, id, 14, token),
             (double)side->logits[id], 100 * exp((double)side->logits[id] - side->next.log_sum));
}

static void logits(const explain_run *run, text_page *p) {
    const pf_model *m = run->model;
    char left[TOKEN_SIZE + 64], right[TOKEN_SIZE + 64];
    text_page_heading(p, "From the last vector to the next token");
    text_page_paragraph(p,
                        "The other layers work the same way. The last x is normed once more, and "
                        "its dot product with each token's vector is that token's logit. The "
                        "softmax of the V = %u logits is the model's prediction.",
                        m->n_vocab);
    text_page_line(p, "logits = W norm(x)   W [%u, %u]    p = softmax(logits)", m->n_vocab,
                   m->width);
    text_page_numbers(p, "norm(x)", run->final_norm, m->width);
    text_page_line(p, "the whole model under softmax          under favor");
    text_page_line(p, "%-14s %9s %7s     %-14s %9s %7s", "token", "logit", "p", "token", "logit",
                   "p");
    for (size_t b = 0; b < TOP_TOKENS; b++) {
        print_best(run, &run->softmax, b, left, sizeof left);
        print_best(run, &run->favor, b, right, sizeof right);
        text_page_line(p, "%s     %s", left, right);
    }
    text_page_line(p, "KL(softmax || favor) = %.4f nats", run->kl);
    text_page_code(p, "engine/forward.c", "pf_forward");
}

void explain_steps_print(const explain_run *run, text_page *p) {
    tokens(run, p);
    embedding(run, p);
    norm(run, p);
    projections(run, p);
    positions(run, p);
    explain_steps_print_attention(run, p);
    rest_of_layer(run, p);
    logits(run, p);
}
