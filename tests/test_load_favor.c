/* floor 6.2 - test_load_favor: performer.* keys and blk.N.favor.* tensors, good ones and broken
 * ones. */
#include "tiny_llama.h"

#include "memory.h"

static pf_checkpoint *performer(damage d) {
    pf_error error;
    pf_checkpoint *c = tiny((damage){0});
    const uint32_t windows[L * KV] = {4, 8, 16, 0}, features[L * KV] = {3, 5, 0, 5};
    assert_true(pf_checkpoint_set_text(c, "performer.attention", "favor", 5, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.features", 5, &error));
    assert_true(pf_checkpoint_set_text(c, "performer.map", "normalized", 10, &error));
    assert_true(pf_checkpoint_set_text(c, "performer.projection", "iid", 3, &error));
    assert_true(pf_checkpoint_set_f32(c, "performer.epsilon", 1e-4f, &error));
    assert_true(pf_checkpoint_set_u64(c, "performer.seed", UINT64_C(1) << 40, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.window", 7, &error));
    assert_true(pf_checkpoint_set_u32(c, "performer.sinks", 2, &error));
    assert_true(pf_checkpoint_set_bool(c, "performer.tail_rope", false, &error));
    assert_true(
        pf_checkpoint_set_array(c, "performer.windows", PF_META_U32, windows, L * KV, &error));
    assert_true(pf_checkpoint_set_array(c, "performer.head_features", PF_META_U32, features, L * KV,
                                        &error));
    for (int i = 0; i < L; i++) {
        const struct {
            const char *name;
            uint64_t a, b, c;
        } tensors[] = {
            {"projection", D, 5, H}, {"q_center", D, KV, 1}, {"k_center", D, KV, 1},
            {"proposal", D, KV, 1},  {"q_map", D, D, KV},    {"k_map", D, D, KV},
            {"q.weight", D, 6, H},   {"q.bias", 6, H, 1},    {"k.weight", D, 6, KV},
            {"k.bias", 6, KV, 1},
        };
        for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.favor.%s", i, tensors[t].name);
            add(c, d, name, tensors[t].a, tensors[t].b, tensors[t].c);
        }
    }
    return c;
}

static void test_performer_keys(void **state) {
    (void)state;
    pf_loaded loaded;
    assert_binds(performer((damage){0}), &loaded);
    const pf_model *m = loaded.model;
    assert_int_equal(m->attention.kind, PF_ATTENTION_FAVOR);
    assert_int_equal(m->attention.features, 5);
    assert_int_equal(m->attention.map, PF_MAP_NORMALIZED);
    assert_int_equal(m->attention.projection, PF_PROJECTION_IID);
    assert_float_equal(m->attention.epsilon, 1e-4f, 0);
    assert_true(m->attention.seed == UINT64_C(1) << 40);
    assert_int_equal(m->attention.window, 7);
    assert_int_equal(m->attention.sinks, 2);
    assert_false(m->tail_rope);
    assert_int_equal(m->windows[2], 16);
    assert_int_equal(m->head_features[3], 5);
    const pf_favor_weights *favor = &m->layers[1].favor;
    assert_int_equal(favor->n_projections, H);
    assert_int_equal(favor->projection_features, 5);
    assert_int_equal(favor->fitted_features, 5);
    assert_true(favor->projection && favor->q_center && favor->k_center && favor->proposal);
    assert_true(favor->q_map && favor->k_map && favor->q_weight && favor->q_bias);
    assert_true(favor->k_weight && favor->k_bias);
    pf_loaded_close(&loaded);
}

static void test_broken_performer_tensors(void **state) {
    (void)state;
    const char *needed[] = {"q_center", "k_center", "q_map",    "k_map",
                            "q.weight", "q.bias",   "k.weight", "k.bias"};
    const char *optional[] = {"projection", "proposal"};
    char name[64];
    pf_loaded loaded;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        snprintf(name, sizeof name, "blk.1.favor.%s", needed[i]);
        assert_refused(performer((damage){.without = name}), "blk.1.favor.");
        assert_refused(performer((damage){.misshapen = name}), "blk.1.favor.");
    }
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        snprintf(name, sizeof name, "blk.1.favor.%s", optional[i]);
        assert_binds(performer((damage){.without = name}), &loaded);
        pf_loaded_close(&loaded);
        assert_refused(performer((damage){.misshapen = name}), name);
    }
    pf_checkpoint *c = performer((damage){0});
    add(c, (damage){0}, "blk.0.favor.q_centre", D, KV, 1);
    assert_refused(c, "blk.0.favor.q_centre");
    c = whole();
    add(c, (damage){0}, "blk.0.favor.projection", D, 5, 3);
    assert_refused(c, "projections for 3 heads");
}

static void test_broken_performer_keys(void **state) {
    (void)state;
    pf_error error;
    const uint32_t few[] = {1, 2, 3};
    const struct {
        const char *key, *text;
    } names[] = {{"performer.attention", "linear"},
                 {"performer.map", "Positive"},
                 {"performer.projection", ""}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pf_checkpoint *c = whole();
        assert_true(
            pf_checkpoint_set_text(c, names[i].key, names[i].text, strlen(names[i].text), &error));
        assert_refused(c, names[i].key);
    }
    pf_checkpoint *c = whole();
    assert_true(pf_checkpoint_set_array(c, "performer.windows", PF_META_U32, few, 3, &error));
    assert_refused(c, "performer.windows has 3 numbers");
    c = whole();
    assert_true(pf_checkpoint_set_u32(c, "performer.features", 0, &error));
    assert_refused(c, "performer.features is 0");
    c = whole();
    assert_true(pf_checkpoint_set_f32(c, "performer.epsilon", -1, &error));
    assert_refused(c, "performer.epsilon");
    c = performer((damage){0});
    assert_true(pf_checkpoint_set_array(c, "performer.head_features", PF_META_U32,
                                        (uint32_t[]){3, 5, 6, 5}, 4, &error));
    assert_refused(c, "6 features in layer 1");
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    pf_loaded loaded;
    for (long n = 1;; n++) {
        pf_error error = {""};
        pf_checkpoint *c = performer((damage){0});
        pf_memory_fail_after(n);
        bool done = pf_loaded_bind(c, &loaded, &error);
        pf_memory_fail_after(0);
        if (done) break;
        assert_string_not_equal(error.message, "");
    }
    pf_loaded_close(&loaded);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_performer_keys),
        cmocka_unit_test(test_broken_performer_tensors),
        cmocka_unit_test(test_broken_performer_keys),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
