/* floor 6.2 - test_convert: llama2.c to GGUF, vocabularies through metadata, recorded attention. */
#include "convert.h"
#include "formats.h"
#include "testing.h"
#include "vocabulary_meta.h"

#include <string.h>
#include <unistd.h>

#define DATA "../shared/data/"
#define STORIES DATA "models/stories260K/"
#define ASSERT_SAYS(error, text)                                                                   \
    do {                                                                                           \
        if (!strstr((error).message, text))                                                        \
            fail_msg("\"%s\" lacks \"%s\"", (error).message, text);                                \
    } while (0)

static char output[64];

static int make_path(void **state) {
    (void)state;
    snprintf(output, sizeof output, "/tmp/performer-test-convert-%ld.gguf", (long)getpid());
    return 0;
}

static int remove_path(void **state) {
    (void)state;
    unlink(output);
    return 0;
}

/* ---- vocabularies ---- */

static void assert_same_pieces(const pf_piece *a, const pf_piece *b, size_t n, bool scores) {
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].size, b[i].size);
        assert_memory_equal(a[i].bytes, b[i].bytes, a[i].size);
        assert_int_equal(a[i].type, b[i].type);
        if (scores) assert_true(a[i].score == b[i].score);
    }
}

static void assert_round_trip(const pf_vocabulary *v) {
    pf_error error = {""};
    pf_vocabulary back;
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *checkpoint = pf_checkpoint_new("made", &error);
    assert_non_null(checkpoint);
    assert_true(pf_vocabulary_to_checkpoint(v, checkpoint, &error));
    if (!pf_vocabulary_from_checkpoint(checkpoint, &back, &storage, &error))
        fail_msg("%s", error.message);
    assert_int_equal(back.kind, v->kind);
    assert_int_equal(back.n_pieces, v->n_pieces);
    assert_int_equal(back.n_merges, v->n_merges);
    assert_same_pieces(back.pieces, v->pieces, v->n_pieces, v->kind != PF_TOKENIZER_BPE);
    assert_same_pieces(back.merges, v->merges, v->n_merges, false);
    assert_string_equal(back.pre, v->pre);
    assert_true(back.bos == v->bos && back.eos == v->eos && back.unk == v->unk &&
                back.eot == v->eot);
    assert_true(back.add_bos == v->add_bos && back.add_eos == v->add_eos);
    assert_true(back.add_space_prefix == v->add_space_prefix);
    assert_true(back.remove_extra_whitespaces == v->remove_extra_whitespaces);
    assert_true(back.escape_whitespaces == v->escape_whitespaces);
    assert_true(back.byte_fallback == v->byte_fallback);
    assert_true(back.ignore_merges == v->ignore_merges);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(checkpoint);
}

static void vocabularies_survive_the_keys(void **state) {
    (void)state;
    const pf_piece pieces[] = {
        {.bytes = "<unk>", .size = 5, .type = PF_TOKEN_UNKNOWN},
        {.bytes = "<s>", .size = 3, .type = PF_TOKEN_CONTROL},
        {.bytes = "</s>", .size = 4, .type = PF_TOKEN_CONTROL},
        {.bytes = "<0x0A>", .size = 6, .type = PF_TOKEN_BYTE},
        {.bytes = "\xe2\x96\x81t", .size = 4, .score = -1.5f, .type = PF_TOKEN_NORMAL},
    };
    const pf_piece merges[] = {{.bytes = "a b", .size = 3}, {.bytes = "ab c", .size = 4}};
    pf_vocabulary spm = {.kind = PF_TOKENIZER_SPM,
                         .pieces = pieces,
                         .n_pieces = 5,
                         .bos = 1,
                         .eos = 2,
                         .unk = 0,
                         .eot = -1,
                         .add_bos = true,
                         .add_space_prefix = true,
                         .escape_whitespaces = true,
                         .byte_fallback = true};
    assert_round_trip(&spm);
    spm.bos = spm.unk = -1; /* not there, although this kind has a default */
    spm.add_bos = spm.add_space_prefix = false;
    spm.remove_extra_whitespaces = spm.add_eos = true;
    spm.eot = 2;
    assert_round_trip(&spm);
    pf_vocabulary bpe = {.kind = PF_TOKENIZER_BPE,
                         .pieces = pieces,
                         .n_pieces = 3,
                         .merges = merges,
                         .n_merges = 2,
                         .pre = "llama-bpe",
                         .bos = 1,
                         .eos = -1,
                         .unk = -1,
                         .eot = -1,
                         .ignore_merges = true};
    assert_round_trip(&bpe);
}

static void what_a_file_leaves_out_has_defaults(void **state) {
    (void)state;
    pf_error error = {""};
    const pf_text tokens[] = {
        {"<unk>", 5}, {"<s>", 3}, {"</s>", 4}, {"<0x41>", 6}, {"<|im_end|>", 10}};
    const int32_t types[] = {2, 3, 3, 6, 3};
    pf_vocabulary v;
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    assert_true(pf_vocabulary_from_checkpoint(c, &v, &storage, &error)); /* no tokenizer at all */
    assert_int_equal(v.n_pieces, 0);

    assert_true(pf_checkpoint_set_text(c, "tokenizer.ggml.model", "llama", 5, &error));
    assert_true(pf_checkpoint_set_texts(c, "tokenizer.ggml.tokens", tokens, 5, &error));
    assert_true(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    assert_true(v.bos == 1 && v.eos == 2 && v.unk == 0 && v.eot == -1);
    assert_true(v.add_bos && !v.add_eos && v.add_space_prefix && v.byte_fallback);
    assert_int_equal(v.pieces[1].type, PF_TOKEN_CONTROL);
    assert_int_equal(v.pieces[3].type, PF_TOKEN_BYTE);
    pf_vocabulary_storage_free(&storage);

    assert_true(pf_checkpoint_set_text(c, "tokenizer.ggml.model", "gpt2", 4, &error));
    assert_true(
        pf_checkpoint_set_array(c, "tokenizer.ggml.token_type", PF_META_I32, types, 5, &error));
    assert_true(pf_checkpoint_set_u32(c, "tokenizer.ggml.bos_token_id", UINT32_MAX, &error));
    assert_true(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    assert_true(v.bos == -1 && v.eos == -1 && v.unk == -1 && v.eot == 4); /* found by its name */
    assert_true(!v.add_bos && !v.add_space_prefix && !v.ignore_merges);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(c);
}

static void inconsistent_vocabularies_are_refused(void **state) {
    (void)state;
    pf_error error = {""};
    const pf_text tokens[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    const float scores[] = {0, 1};
    pf_vocabulary v;
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    assert_true(pf_checkpoint_set_text(c, "tokenizer.ggml.model", "rwkv", 4, &error));
    assert_false(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    ASSERT_SAYS(error, "\"rwkv\" is not supported");
    assert_true(pf_checkpoint_set_text(c, "tokenizer.ggml.model", "llama", 5, &error));
    assert_false(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    ASSERT_SAYS(error, "0 tokens");
    assert_true(pf_checkpoint_set_texts(c, "tokenizer.ggml.tokens", tokens, 3, &error));
    assert_true(pf_checkpoint_set_u32(c, "tokenizer.ggml.eos_token_id", 3, &error));
    assert_false(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    ASSERT_SAYS(error, "tokenizer.ggml.eos_token_id is 3");
    pf_vocabulary_storage_free(&storage);
    assert_true(
        pf_checkpoint_set_array(c, "tokenizer.ggml.scores", PF_META_F32, scores, 2, &error));
    assert_false(pf_vocabulary_from_checkpoint(c, &v, &storage, &error));
    ASSERT_SAYS(error, "2 entries");
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(c);
}

static void real_vocabularies_are_read(void **state) {
    (void)state;
    static const struct {
        const char *file;
        pf_tokenizer_kind kind;
        size_t n_pieces, n_merges;
        int32_t bos, eos, unk;
        bool add_bos;
    } files[] = {
        {"models/stories260K/stories260Ktok512.gguf", PF_TOKENIZER_SPM, 512, 0, 1, 2, 0, true},
        {"tokenizers/gpt2/ggml-vocab-gpt-2.gguf", PF_TOKENIZER_BPE, 50257, 50000, 50256, 50256, -1,
         false},
        {"tokenizers/phi-3/ggml-vocab-phi-3.gguf", PF_TOKENIZER_SPM, 32064, 0, 1, 32000, 0, true},
        {"models/families/qwen2/qwen2-f32.gguf", PF_TOKENIZER_BPE, 640, 370, 626, 628, -1, false},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        pf_error error = {""};
        pf_vocabulary v;
        pf_vocabulary_storage storage = {0};
        snprintf(path, sizeof path, DATA "%s", files[i].file);
        need_file(path);
        pf_checkpoint *checkpoint = pf_checkpoint_open(path, &error);
        assert_non_null(checkpoint);
        if (!pf_vocabulary_from_checkpoint(checkpoint, &v, &storage, &error))
            fail_msg("%s", error.message);
        assert_int_equal(v.kind, files[i].kind);
        assert_int_equal(v.n_pieces, files[i].n_pieces);
        assert_int_equal(v.n_merges, files[i].n_merges);
        assert_true(v.bos == files[i].bos && v.eos == files[i].eos && v.unk == files[i].unk);
        assert_int_equal(v.add_bos, files[i].add_bos);
        pf_vocabulary_storage_free(&storage);
        pf_checkpoint_free(checkpoint);
    }
}

/* ---- whole conversions ---- */

static void stories260K_becomes_gguf(void **state) {
    (void)state;
    pf_error error = {""};
    need_file(STORIES "stories260K.bin");
    need_file(STORIES "tok512.bin");
    need_file(STORIES "stories260Ktok512.gguf");
    const pf_convert_options options = {.source = STORIES "stories260K.bin",
                                        .tokenizer = STORIES "tok512.bin",
                                        .output = output,
                                        .gguf = {.convert = true, .type = PF_Q8_0}};
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    pf_checkpoint *ours = pf_checkpoint_open(output, &error);
    pf_checkpoint *theirs = pf_checkpoint_open(STORIES "stories260Ktok512.gguf", &error);
    assert_true(ours && theirs);
    pf_vocabulary a, b;
    pf_vocabulary_storage a_storage = {0}, b_storage = {0};
    assert_true(pf_vocabulary_from_checkpoint(ours, &a, &a_storage, &error));
    assert_true(pf_vocabulary_from_checkpoint(theirs, &b, &b_storage, &error));
    assert_int_equal(a.n_pieces, b.n_pieces);
    for (size_t i = 0; i < a.n_pieces; i++) {
        assert_int_equal(a.pieces[i].type, b.pieces[i].type);
        assert_int_equal(a.pieces[i].size, b.pieces[i].size);
        assert_memory_equal(a.pieces[i].bytes, b.pieces[i].bytes, a.pieces[i].size);
        if (i > 2) assert_true(a.pieces[i].score == b.pieces[i].score);
    }
    assert_true(a.bos == 1 && a.eos == 2 && a.unk == 0 && a.add_bos && !a.remove_extra_whitespaces);
    assert_int_equal(pf_checkpoint_find(ours, "blk.0.attn_q.weight")->type, PF_Q8_0);
    assert_int_equal(pf_checkpoint_find(ours, "blk.0.ffn_down.weight")->type,
                     PF_F32); /* rows of 172 */
    assert_null(pf_checkpoint_find_meta(ours, "performer.attention"));
    pf_vocabulary_storage_free(&a_storage);
    pf_vocabulary_storage_free(&b_storage);
    pf_checkpoint_free(theirs);
    pf_checkpoint_free(ours);
}

static void attention_is_recorded_as_given(void **state) {
    (void)state;
    pf_error error = {""};
    uint32_t number = 0;
    uint64_t seed = 0;
    float epsilon = 0;
    pf_text text = {"", 0};
    pf_attention_options favor = pf_attention_options_default();
    favor.kind = PF_ATTENTION_FAVOR;
    favor.features = 48;
    favor.window = 16;
    favor.sinks = 2;
    favor.map = PF_MAP_FAVOR_PP;
    favor.projection = PF_PROJECTION_IID;
    favor.epsilon = 1e-4f;
    favor.seed = UINT64_C(1) << 40;
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    assert_true(pf_attention_to_checkpoint(&favor, c, &error));
    assert_true(pf_checkpoint_get_text(c, "performer.attention", &text, &error));
    assert_memory_equal(text.bytes, "favor", text.size);
    assert_true(pf_checkpoint_get_u32(c, "performer.features", &number, &error));
    assert_int_equal(number, 48);
    assert_true(pf_checkpoint_get_u32(c, "performer.window", &number, &error));
    assert_int_equal(number, 16);
    assert_true(pf_checkpoint_get_u32(c, "performer.sinks", &number, &error));
    assert_int_equal(number, 2);
    assert_true(pf_checkpoint_get_text(c, "performer.map", &text, &error));
    assert_memory_equal(text.bytes, "favor++", text.size);
    assert_true(pf_checkpoint_get_text(c, "performer.projection", &text, &error));
    assert_memory_equal(text.bytes, "iid", text.size);
    assert_true(pf_checkpoint_get_f32(c, "performer.epsilon", &epsilon, &error));
    assert_true(epsilon == 1e-4f);
    assert_true(pf_checkpoint_get_u64(c, "performer.seed", &seed, &error));
    assert_true(seed == UINT64_C(1) << 40);
    pf_checkpoint_free(c);

    c = pf_checkpoint_new("made", &error);
    const pf_attention_options softmax = pf_attention_options_default();
    assert_true(pf_attention_to_checkpoint(&softmax, c, &error));
    assert_int_equal(pf_checkpoint_n_meta(c), 1);
    pf_checkpoint_free(c);
}

static void a_file_can_be_converted_in_place(void **state) {
    (void)state;
    pf_error error = {""};
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    const uint64_t shape[] = {64, 4};
    float *values = pf_checkpoint_alloc(c, 1024, "weights", &error);
    assert_non_null(values);
    for (int i = 0; i < 256; i++) values[i] = (float)i;
    assert_true(
        pf_checkpoint_add_tensor(c, "token_embd.weight", PF_F32, 2, shape, values, 1024, &error));
    assert_true(pf_gguf_write(c, output, &(pf_gguf_options){0}, &error));
    pf_checkpoint_free(c);
    const pf_attention_options favor = {.kind = PF_ATTENTION_FAVOR, .features = 32};
    const pf_convert_options options = {.source = output,
                                        .output = output,
                                        .attention = &favor,
                                        .gguf = {.convert = true, .type = PF_F16}};
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    c = pf_checkpoint_open(output, &error);
    assert_non_null(c);
    assert_int_equal(pf_checkpoint_find(c, "token_embd.weight")->type, PF_F16);
    assert_non_null(pf_checkpoint_find_meta(c, "performer.features"));
    pf_checkpoint_free(c);
}

static void what_was_written_is_told_without_opening_it(void **state) {
    (void)state;
    pf_error error = {""};
    pf_convert_summary summary = {0};
    pf_convert_options options = {.source = "tests/fixtures/families/llama.gguf",
                                  .output = output,
                                  .gguf = {.convert = true, .type = PF_F16},
                                  .summary = &summary};
    if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
    pf_loaded written;
    if (!pf_loaded_open(output, &written, &error)) fail_msg("%s", error.message);
    uint64_t bytes = 0;
    size_t n = pf_checkpoint_n_tensors(written.checkpoint);
    for (size_t i = 0; i < n; i++) bytes += pf_checkpoint_tensor(written.checkpoint, i)->bytes;
    assert_int_equal(summary.n_tensors, n);
    assert_int_equal(summary.tensor_bytes, bytes);
    assert_int_equal(summary.facts.parameters, pf_model_parameters(written.model));
    assert_int_equal(summary.facts.attention, written.model->attention.kind);
    assert_true(summary.facts.has_tokenizer);
    pf_loaded_close(&written);

    /* What nobody could load is refused before anything is written. */
    unlink(output);
    pf_checkpoint *c = pf_checkpoint_new("made", &error);
    const float value = 1;
    const uint64_t shape[] = {1};
    assert_true(pf_checkpoint_add_tensor(c, "alone", PF_F32, 1, shape, &value, 4, &error));
    char odd[80];
    snprintf(odd, sizeof odd, "%s.odd", output);
    assert_true(pf_gguf_write(c, odd, &(pf_gguf_options){0}, &error));
    pf_checkpoint_free(c);
    options.source = odd;
    assert_false(pf_convert(&options, &error));
    ASSERT_SAYS(error, odd);
    assert_int_not_equal(access(output, F_OK), 0);
    unlink(odd);
}

static void a_folder_is_summarised_without_making_its_matrices(void **state) {
    (void)state;
    static const char *const folders[] = {"gpt2", "llama", "qwen2", "qwen3"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        pf_error error = {""};
        char folder[64];
        snprintf(folder, sizeof folder, "tests/fixtures/hf/%s", folders[i]);
        pf_convert_summary summary = {0};
        const pf_convert_options options = {
            .source = folder, .output = output, .summary = &summary};
        if (!pf_convert(&options, &error)) fail_msg("%s", error.message);
        pf_loaded written;
        if (!pf_loaded_open(output, &written, &error)) fail_msg("%s", error.message);
        assert_int_equal(summary.facts.parameters, pf_model_parameters(written.model));
        assert_int_equal(summary.facts.has_tokenizer, written.tokenizer != NULL);
        pf_loaded_close(&written);
    }
}

static void a_wrong_tokenizer_is_named_and_nothing_is_written(void **state) {
    (void)state;
    pf_error error = {""};
    need_file(STORIES "stories260K.bin");
    need_file(DATA "models/babyllama-tok105/tok105.bin");
    need_file(DATA "tokenizers/gpt2/tokenizer.json");
    unlink(output);
    static const struct {
        const char *tokenizer, *reason;
    } cases[] = {
        {DATA "models/babyllama-tok105/tok105.bin", "another model"},
        {DATA "models/tales-favor/tales.bin", "another model"},
        {DATA "models/babyllama-tok105/model5000.bin", "truncated or damaged"},
        {DATA "tokenizers/gpt2/tokenizer.json", "50257 tokens, but the model only 512"},
        {DATA "tokenizers/gpt2/vocab.bpe", "50257 tokens, but the model only 512"},
        {DATA "corpora/tinyshakespeare.txt", "vocab.json or encoder.json"},
        {DATA "no-such-file", "no-such-file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const pf_convert_options options = {.source = STORIES "stories260K.bin",
                                            .output = output,
                                            .tokenizer = cases[i].tokenizer,
                                            .gguf = {.convert = true, .type = PF_F32}};
        assert_false(pf_convert(&options, &error));
        ASSERT_SAYS(error, cases[i].tokenizer);
        ASSERT_SAYS(error, cases[i].reason);
        assert_int_not_equal(access(output, F_OK), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_survive_the_keys),
        cmocka_unit_test(what_was_written_is_told_without_opening_it),
        cmocka_unit_test(a_folder_is_summarised_without_making_its_matrices),
        cmocka_unit_test(what_a_file_leaves_out_has_defaults),
        cmocka_unit_test(inconsistent_vocabularies_are_refused),
        cmocka_unit_test(real_vocabularies_are_read),
        cmocka_unit_test(stories260K_becomes_gguf),
        cmocka_unit_test(attention_is_recorded_as_given),
        cmocka_unit_test(a_file_can_be_converted_in_place),
        cmocka_unit_test(a_wrong_tokenizer_is_named_and_nothing_is_written),
    };
    return cmocka_run_group_tests_name("convert", tests, make_path, remove_path);
}
