/* floor 6.1 - test_out_of_memory: from file to text, the n-th allocation fails, for every n.
 *
 * Each failure must be a sentence, and leave nothing behind: `make asan` sees what leaks. */
#include "testing.h"

#include "convert.h"
#include "load.h"
#include "memory.h"
#include "sampler.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `performer generate` does. */
static bool generate(const char *path, pf_attention_kind kind, pf_error *error) {
    pf_loaded loaded;
    pf_tokens ids = {0};
    pf_decoder decoder = {0};
    if (!pf_loaded_open_checked(path, 2, &loaded, error)) return false;
    pf_session_options options = pf_session_options_default(loaded.model);
    options.attention.kind = kind;
    options.attention.redraw = kind == PF_ATTENTION_FAVOR ? 4 : PF_REDRAW_NEVER;
    options.attention.features = 16;
    options.context = 64;
    options.n_threads = 2;
    pf_sampler_options sampling = pf_sampler_options_default();
    pf_session *session = pf_session_new(loaded.model, &options, error);
    pf_sampler *sampler = session ? pf_sampler_new(&sampling, loaded.model->n_vocab, error) : NULL;
    float *logits = sampler ? pf_calloc(loaded.model->n_vocab, sizeof *logits, "", error) : NULL;
    char *text =
        logits ? pf_calloc(pf_tokenizer_max_bytes(loaded.tokenizer) + 16, 1, "", error) : NULL;
    bool good = text &&
                pf_tokenizer_encode(loaded.tokenizer, "hello hat", 9, PF_ENCODE_BOS, &ids, error) &&
                pf_session_append(session, ids.ids, ids.count, logits, 1, error);
    for (int i = 0; good && i < 10; i++) {
        int32_t id = pf_sampler_next(sampler, logits);
        pf_decoder_push(loaded.tokenizer, &decoder, id, text);
        good = pf_session_append(session, &id, 1, logits, 1, error);
    }
    pf_free(text);
    pf_free(logits);
    pf_tokens_free(&ids);
    pf_sampler_free(sampler);
    pf_session_free(session);
    pf_loaded_close(&loaded);
    return good;
}

static void from_the_file_to_the_text(void **state) {
    (void)state;
    static const char *const families[] = {"llama", "gpt2", "qwen3", "phi3"};
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (int kind = 0; kind < 2; kind++) {
            char path[128];
            snprintf(path, sizeof path, "tests/fixtures/families/%s.gguf", families[f]);
            long n = 0;
            for (bool done = false; !done;) {
                pf_error error = {""};
                pf_memory_fail_after(++n);
                done = generate(path, (pf_attention_kind)kind, &error);
                pf_memory_fail_after(0);
                if (!done && !strstr(error.message, "memory"))
                    fail_msg("%s, allocation %ld: \"%s\"", path, n, error.message);
            }
            assert_true(n > 30); /* the hook took effect */
        }
}

static void convert_leaves_no_file(void **state) {
    (void)state;
    char path[64], pattern[80];
    snprintf(path, sizeof path, "/tmp/performer-test-memory-%ld.gguf", (long)getpid());
    snprintf(pattern, sizeof pattern, "%s.%ld.tmp", path, (long)getpid());
    long n = 0;
    for (bool done = false; !done;) {
        pf_error error = {""};
        pf_convert_options options = {.source = "tests/fixtures/families/llama-scaled.gguf",
                                      .output = path,
                                      .gguf = {.convert = true, .type = PF_BF16}};
        pf_memory_fail_after(++n);
        done = pf_convert(&options, &error);
        pf_memory_fail_after(0);
        if (!done && !strstr(error.message, "memory"))
            fail_msg("allocation %ld: \"%s\"", n, error.message);
        assert_int_equal(access(path, F_OK) == 0, done);
        assert_int_not_equal(access(pattern, F_OK), 0);
    }
    assert_true(n > 20);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_file_to_the_text),
        cmocka_unit_test(convert_leaves_no_file),
    };
    return cmocka_run_group_tests_name("out_of_memory", tests, NULL, NULL);
}
