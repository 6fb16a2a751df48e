/* floor 6.2 - tests of engine/train in double: every derivative against central differences.
 *
 * The objects of engine/train that this program is linked with compute in double (see the
 * Makefile): the code is that of the library. */
#define PF_REAL_DOUBLE
#include "gradients.h"
#include "memory.h"
#include "tiny_llama.h"
#include "train_favor.h"
#include "train_pass.h"
#include "train_rows.h"
#include "trainer.h"

#include <math.h>

enum { MOST = 1 << 17 };

static void fill(double *x, size_t n, double size) {
    for (size_t i = 0; i < n; i++) x[i] = size * pf_rng_normal(&rng);
}

/* ---- rows ---- */

enum { N = 24 };

typedef struct {
    double x[N], w[N], u[N], y[N], scratch[N], weight[N];
} rows;

static double sum_of(const double *weight, const double *y, size_t n) {
    return pf_real_dot(weight, y, n);
}

static double rms_loss(void *context) {
    rows *r = context;
    pf_rms_forward(N, r->x, r->w, 1e-5, r->y);
    return sum_of(r->weight, r->y, N);
}

static rows random_rows(void) {
    rows r = {0};
    pf_rng_seed(&rng, 1, 1);
    fill(r.x, N, 1);
    fill(r.w, N, 1);
    fill(r.u, N, 1);
    fill(r.weight, N, 1);
    return r;
}

static void test_rms_norm(void **state) {
    (void)state;
    rows r = random_rows();
    double dx[N] = {0}, dw[N] = {0}, factor = pf_rms_forward(N, r.x, r.w, 1e-5, r.y);
    pf_rms_backward(N, r.x, r.w, factor, r.weight, dx);
    pf_rms_backward_weight(N, r.x, factor, r.weight, dw);
    assert_gradient("rms norm by x", rms_loss, &r, r.x, N, dx, N);
    assert_gradient("rms norm by w", rms_loss, &r, r.w, N, dw, N);
}

static double swiglu_loss(void *context) {
    rows *r = context;
    pf_swiglu_forward(N, r->x, r->u, r->y, r->scratch);
    return sum_of(r->weight, r->y, N);
}

static void test_swiglu(void **state) {
    (void)state;
    rows r = random_rows();
    double dg[N], du[N], again[N];
    swiglu_loss(&r);
    pf_swiglu_backward(N, r.x, r.u, r.weight, dg, du, again, r.scratch);
    for (size_t i = 0; i < N; i++) assert_true(fabs(again[i] - r.y[i]) < 1e-14);
    assert_gradient("swiglu by gate", swiglu_loss, &r, r.x, N, dg, N);
    assert_gradient("swiglu by up", swiglu_loss, &r, r.u, N, du, N);
}

static double entropy_loss(void *context) {
    rows *r = context;
    memcpy(r->y, r->x, sizeof r->y);
    return 3 * pf_cross_entropy(N, r->y, 7, 0);
}

static void test_cross_entropy(void **state) {
    (void)state;
    rows r = random_rows();
    double dx[N], sum = 0;
    memcpy(dx, r.x, sizeof dx);
    double loss = pf_cross_entropy(N, dx, 7, 3);
    for (size_t i = 0; i < N; i++) sum += exp(r.x[i]);
    assert_true(fabs(loss - (log(sum) - r.x[7])) < 1e-12);
    assert_gradient("cross entropy", entropy_loss, &r, r.x, N, dx, N);
}

static pf_position_kind turned;
static float angles[N];

static double rope_loss(void *context) {
    rows *r = context;
    memcpy(r->y, r->x, sizeof r->y);
    pf_rope_rotate(turned, N / 2, angles, r->y, false);
    return sum_of(r->weight, r->y, N);
}

static void test_rope(void **state) {
    (void)state;
    static const pf_position_kind kinds[] = {PF_POSITION_ROPE_ADJACENT, PF_POSITION_ROPE_HALVES};
    for (size_t k = 0; k < 2; k++) {
        rows r = random_rows();
        double frequency[N / 2], dx[N];
        turned = kinds[k];
        pf_rope_frequencies(10000, NULL, N, frequency);
        pf_rope_angles(frequency, N / 2, 5, angles);
        memcpy(dx, r.weight, sizeof dx);
        pf_rope_rotate(turned, N / 2, angles, dx, true);
        assert_gradient("rope", rope_loss, &r, r.x, N, dx, N);
        /* as the engine turns it */
        float x[N];
        for (size_t i = 0; i < N; i++) x[i] = (float)r.x[i];
        pf_rope_turn(turned, N / 2, angles, x, false);
        rope_loss(&r);
        for (size_t i = 0; i < N; i++) assert_true(fabs(r.y[i] - (double)x[i]) < 1e-5);
    }
}

/* ---- attention ---- */

/* Longer than two chunks and two tiles, and no multiple of them. */
enum { TOKENS = 150, HEAD = 6, GROUP = 2, STRIDE = (GROUP + 2) * HEAD, OUT = GROUP * HEAD };

typedef struct {
    pf_favor_task task; /* in, out, gradient ...; softmax uses these, too */
    bool softmax;
    double in[TOKENS * STRIDE], gradient[TOKENS * STRIDE], out[TOKENS * OUT], weight[TOKENS * OUT];
    double normalizer[TOKENS * GROUP], omega[8 * HEAD], scratch[MOST];
} attention_case;

static attention_case a;

static pf_head_rows rows_of(double *block) {
    return (pf_head_rows){block, block + GROUP * HEAD, block + (GROUP + 1) * HEAD, STRIDE};
}

static double attention_loss(void *context) {
    (void)context;
    if (!a.softmax) {
        pf_favor_forward(&a.task);
        return sum_of(a.weight, a.out, TOKENS * OUT);
    }
    for (size_t g = 0; g < GROUP; g++) {
        pf_head_rows in = a.task.in;
        in.q += g * HEAD;
        pf_softmax_forward(in, TOKENS, HEAD, 0.7, a.out + g * HEAD, OUT, a.normalizer + g, GROUP,
                           a.scratch);
    }
    return sum_of(a.weight, a.out, TOKENS * OUT);
}

static void attention_backward(void) {
    memset(a.gradient, 0, sizeof a.gradient);
    if (!a.softmax) {
        pf_favor_backward(&a.task);
        return;
    }
    for (size_t g = 0; g < GROUP; g++) {
        pf_head_rows in = a.task.in, gradient = a.task.gradient;
        in.q += g * HEAD;
        gradient.q += g * HEAD;
        pf_softmax_backward(in, TOKENS, HEAD, 0.7, a.out + g * HEAD, a.weight + g * HEAD, OUT,
                            a.normalizer + g, GROUP, gradient, a.scratch);
    }
}

static void set_up_attention(pf_map_kind kind, size_t M, double size) {
    pf_rng_seed(&rng, 2, kind);
    fill(a.in, TOKENS * STRIDE, size);
    fill(a.weight, TOKENS * OUT, 1);
    fill(a.omega, 8 * HEAD, 1);
    assert_true(pf_favor_scratch(TOKENS, HEAD, M, TOKENS, TOKENS) <= MOST);
    assert_true(pf_softmax_scratch(TOKENS) <= MOST);
    a.task = (pf_favor_task){
        .map = {.kind = kind, .D = HEAD, .M = M, .root_scale = sqrt(0.7), .omega = a.omega},
        .n = TOKENS,
        .G = GROUP,
        .in = rows_of(a.in),
        .out = a.out,
        .d_out = a.weight,
        .out_stride = OUT,
        .normalizer = a.normalizer,
        .heads = GROUP,
        .gradient = rows_of(a.gradient),
        .scratch = a.scratch};
}

static void assert_attention(const char *what) {
    attention_loss(NULL);
    attention_backward();
    assert_gradient(what, attention_loss, NULL, a.in, TOKENS * STRIDE, a.gradient, 200);
}

static void test_softmax(void **state) {
    (void)state;
    a.softmax = true;
    set_up_attention(PF_MAP_POSITIVE, 8, 1);
    assert_attention("softmax attention");
}

/* Whole rows from the definition: out_i = sum_j w_ij v_j / sum_j w_ij, where w_ij = exp(scale q.k)
 * for exact keys and phi(q).phi(k) for the others. */
static double defined_row(size_t i, size_t g, size_t d, const double *f_q, const double *s_q,
                          const double *f_k, const double *s_k, size_t M) {
    double sum = 0, total = 0;
    for (size_t j = 0; j <= i; j++) {
        const double *q = a.task.in.q + g * HEAD + i * STRIDE, *k = a.task.in.k + j * STRIDE;
        double w = exp(s_q[i] + s_k[j]) * pf_real_dot(f_q + i * M, f_k + j * M, M);
        if (a.task.map.kind != PF_MAP_ELU) w /= (double)M;
        if (j < a.task.sinks || j + a.task.window > i) w = exp(0.7 * pf_real_dot(q, k, HEAD));
        sum += w * a.in[j * STRIDE + (GROUP + 1) * HEAD + d];
        total += w;
    }
    return sum / total;
}

/* The rows of the task, at some places, are the defined ones. */
static void assert_defined(void) {
    static double f_q[TOKENS * 16], f_k[TOKENS * 16], s_q[TOKENS], s_k[TOKENS];
    size_t M = a.task.map.M;
    pf_features_forward(&a.task.map, a.task.in.k, STRIDE, TOKENS, f_k, s_k);
    for (size_t g = 0; g < GROUP; g++) {
        pf_features_forward(&a.task.map, a.task.in.q + g * HEAD, STRIDE, TOKENS, f_q, s_q);
        for (size_t i = 0; i < TOKENS; i += 7)
            for (size_t d = 0; d < HEAD; d++)
                assert_true(fabs(defined_row(i, g, d, f_q, s_q, f_k, s_k, M) -
                                 a.out[i * OUT + g * HEAD + d]) < 1e-10);
    }
}

static void test_favor(void **state) {
    (void)state;
    static const struct {
        pf_map_kind kind;
        size_t M;
    } maps[] = {{PF_MAP_POSITIVE, 8},
                {PF_MAP_FAVOR_PP, 8},
                {PF_MAP_HYPERBOLIC, 16},
                {PF_MAP_RELU, 8},
                {PF_MAP_ELU, HEAD}};
    a.softmax = false;
    for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
        set_up_attention(maps[m].kind, maps[m].M, 1);
        assert_attention(pf_map_name(maps[m].kind));
        attention_loss(NULL);
        assert_defined();
    }
}

/* Sinks and windows: none of one, shorter and longer than a chunk, longer than the text. */
static void test_favor_beside_exact_keys(void **state) {
    (void)state;
    static const struct {
        pf_map_kind kind;
        size_t M, sinks, window;
    } cases[] = {{PF_MAP_POSITIVE, 8, 3, 10},     {PF_MAP_POSITIVE, 8, 0, 1},
                 {PF_MAP_POSITIVE, 8, 5, 0},      {PF_MAP_POSITIVE, 8, 70, 20},
                 {PF_MAP_HYPERBOLIC, 16, 2, 100}, {PF_MAP_RELU, 8, 1, 64},
                 {PF_MAP_ELU, HEAD, 4, 30},       {PF_MAP_POSITIVE, 8, 0, TOKENS},
                 {PF_MAP_POSITIVE, 8, 9, TOKENS}};
    a.softmax = false;
    for (size_t m = 0; m < sizeof cases / sizeof *cases; m++) {
        set_up_attention(cases[m].kind, cases[m].M, 1);
        a.task.sinks = cases[m].sinks;
        a.task.window = cases[m].window;
        assert_attention("favor with sinks and a window");
        attention_loss(NULL);
        assert_defined();
    }
}

/* Log-scales of keys that rise and fall by hundreds: rows must still be what they are. */
static void test_favor_with_large_keys(void **state) {
    (void)state;
    a.softmax = false;
    set_up_attention(PF_MAP_POSITIVE, 8, 0.5);
    for (size_t j = 0; j < TOKENS; j++) {
        double *k = a.in + j * STRIDE + GROUP * HEAD;
        for (size_t d = 0; d < HEAD; d++) k[d] *= j % 50 == 20 || j < 30 ? 14 : 1;
    }
    assert_attention("large keys");
    for (size_t i = 0; i < TOKENS * OUT; i++) assert_true(isfinite(a.out[i]));
}

/* ---- the whole model ---- */

enum { BATCH = 2, LENGTH = 20 };

typedef struct {
    pf_train_pass *pass;
    pf_train_weights weights;
    int32_t ids[BATCH * (LENGTH + 1)];
} whole_model;

static double model_loss(void *context) {
    whole_model *m = context;
    pf_train_batch batch = {m->ids, BATCH, LENGTH, 1, false};
    return pf_train_pass_run(m->pass, &m->weights, NULL, batch);
}

static void check_model(pf_attention_options attention, const char *what) {
    pf_loaded loaded;
    pf_error error = {""};
    whole_model m = {0};
    pf_train_layer layers[L], gradient_layers[L];
    pf_train_weights gradient = {.layers = gradient_layers};
    m.weights.layers = layers;
    assert_binds(whole(), &loaded);
    pf_train_weights_lay_out(loaded.model, NULL, &m.weights);
    size_t n = m.weights.n;
    double *numbers_of = pf_calloc(2 * n, sizeof *numbers_of, "", &error);
    pf_train_weights_lay_out(loaded.model, numbers_of, &m.weights);
    pf_train_weights_lay_out(loaded.model, numbers_of + n, &gradient);
    pf_rng_seed(&rng, 3, 3);
    fill(numbers_of, n, 0.3);
    for (size_t i = m.weights.n_matrices; i < n; i++) numbers_of[i] += 1;
    for (size_t i = 0; i < BATCH * (LENGTH + 1); i++)
        m.ids[i] = (int32_t)(pf_rng_uniform(&rng) * V);
    m.pass = pf_train_pass_new(loaded.model, &attention, BATCH, LENGTH, 2, &error);
    if (!m.pass) fail_msg("%s", error.message);
    for (size_t i = 0; attention.kind == PF_ATTENTION_FAVOR && i < L; i++)
        for (size_t k = 0; k < KV; k++)
            fill(pf_train_pass_omega(m.pass, i, k), attention.features * D, 1);
    pf_train_batch batch = {m.ids, BATCH, LENGTH, 1, false};
    pf_train_pass_run(m.pass, &m.weights, &gradient, batch);
    assert_gradient(what, model_loss, &m, numbers_of, n, numbers_of + n, 500);
    pf_train_pass_free(m.pass);
    pf_free(numbers_of);
    pf_loaded_close(&loaded);
}

static void test_whole_model(void **state) {
    (void)state;
    pf_attention_options attention = pf_attention_options_default();
    check_model(attention, "the model under softmax");
    attention.kind = PF_ATTENTION_FAVOR;
    attention.features = 5;
    check_model(attention, "the model under favor");
    attention.map = PF_MAP_HYPERBOLIC; /* relu has kinks, which differences would step across */
    attention.features = 6;
    check_model(attention, "the model under hyperbolic features");
    attention.window = 5;
    attention.sinks = 2;
    check_model(attention, "the model under favor with sinks and a window");
}

/* ---- AdamW ---- */

static void test_adamw(void **state) {
    (void)state;
    pf_error error = {""};
    pf_team *team = pf_team_new(2, &error);
    double w[3] = {1, -2, 3}, g[3] = {3, 0, 4}, m[3] = {0.5, 0, 0}, v[3] = {0.1, 0, 0.2};
    double partial[1], norm;
    pf_adamw_state s = {w, g, m, v, 3, 2};
    pf_adamw options = {.beta1 = 0.9, .beta2 = 0.95, .decay = 0.1, .clip = 2.5};
    assert_int_equal(pf_adamw_partials(3), 1);
    norm = pf_adamw_step(&options, &s, 0.01, 2, team, partial);
    assert_true(fabs(norm - 5) < 1e-12); /* so the gradient is halved */
    double m0 = 0.9 * 0.5 + 0.1 * 1.5, v0 = 0.95 * 0.1 + 0.05 * 2.25;
    double m_hat = m0 / (1 - 0.81), v_hat = v0 / (1 - 0.9025);
    assert_true(fabs(w[0] - (1 - 0.01 * (m_hat / (sqrt(v_hat) + 1e-8) + 0.1))) < 1e-12);
    assert_true(fabs(w[1] - -2 * (1 - 0.001)) < 1e-12);
    double m2 = 0.1 * 2, v2 = 0.95 * 0.2 + 0.05 * 4; /* a norm's weight does not decay */
    assert_true(fabs(w[2] - (3 - 0.01 * (m2 / 0.19 / sqrt(v2 / 0.0975)))) < 1e-8);
    g[1] = NAN;
    assert_true(isnan(pf_adamw_step(&options, &s, 0.01, 3, team, partial)));
    assert_true(fabs(m[0] - m0) < 1e-15);
    pf_team_free(team);

    assert_true(fabs(pf_cosine_rate(1, 0, 10, 110) - 0.1) < 1e-15);
    assert_true(fabs(pf_cosine_rate(1, 10, 10, 110) - 1) < 1e-15);
    assert_true(fabs(pf_cosine_rate(1, 60, 10, 110) - 0.5) < 1e-12);
    assert_true(pf_cosine_rate(1, 110, 10, 110) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_rope),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_favor),
        cmocka_unit_test(test_favor_beside_exact_keys),
        cmocka_unit_test(test_favor_with_large_keys),
        cmocka_unit_test(test_whole_model),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
