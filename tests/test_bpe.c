/* floor 6.2 - test_bpe: byte-level BPE and special tokens against GPT-2, llama.cpp and SmolLM2. */
#include "tokenizer_testing.h"

#define DATA "../shared/data/"
#define GPT2 DATA "tokenizers/gpt2/"
#define FAMILIES DATA "models/families/"
#define SMOLLM2 "models/downloads/smollm2-135m-instruct.gguf"

/* ---- a vocabulary in memory ---- */

/* Ids 0 ... 255 are the bytes in the order of their printable characters: '!' is 0, 'a' is 64. */
typedef struct toy {
    pf_piece pieces[300], merges[16];
    char characters[256][4];
    pf_vocabulary vocabulary;
} toy;

static int32_t toy_add(toy *t, const char *text, size_t size, pf_token_type type) {
    t->pieces[t->vocabulary.n_pieces] = (pf_piece){.bytes = text, .size = size, .type = type};
    return (int32_t)t->vocabulary.n_pieces++;
}

static void toy_merge(toy *t, const char *text) {
    t->merges[t->vocabulary.n_merges++] = (pf_piece){.bytes = text, .size = strlen(text)};
}

#define BYTE(b) ((int32_t)(b) - '!') /* of ASCII */
#define SPACE 220
enum { AB = 256, BA, ABA, SPACE_AB, IM_END, CALL, CALLS, EOS };

static void toy_make(toy *t) {
    memset(t, 0, sizeof *t);
    t->vocabulary = (pf_vocabulary){.kind = PF_TOKENIZER_BPE,
                                    .pieces = t->pieces,
                                    .merges = t->merges,
                                    .bos = -1,
                                    .eos = EOS,
                                    .unk = -1,
                                    .eot = -1,
                                    .pre = "gpt-2"};
    uint32_t code = '!';
    for (int i = 0; i < 256; i++, code++) {
        if (code == 0x7F) code = 0xA1;
        if (code == 0xAD) code++;
        size_t size = pf_utf8_write(code, t->characters[i]);
        toy_add(t, t->characters[i], size, PF_TOKEN_NORMAL);
    }
    toy_add(t, "ab", 2, PF_TOKEN_NORMAL);
    toy_add(t, "ba", 2, PF_TOKEN_NORMAL);
    toy_add(t, "aba", 3, PF_TOKEN_NORMAL);
    toy_add(t, "\304\240ab", 4, PF_TOKEN_NORMAL);
    toy_add(t, "<|im_end|>", 10, PF_TOKEN_CONTROL);
    toy_add(t, "<call>", 6, PF_TOKEN_USER_DEFINED);
    toy_add(t, "<call>s", 7, PF_TOKEN_USER_DEFINED);
    toy_add(t, "<|endoftext|>", 13, PF_TOKEN_CONTROL);
    toy_merge(t, "b a");
    toy_merge(t, "a b");
    toy_merge(t, "\xC4\xA0 ab");
    toy_merge(t, "x y"); /* no such piece, so this cannot happen */
    toy_merge(t, "nonsense");
    toy_merge(t, "");
}

static pf_tokenizer *toy_tokenizer(const toy *t) {
    pf_error error = {""};
    pf_tokenizer *tokenizer = pf_tokenizer_new(&t->vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    return tokenizer;
}

static void merges_by_rank_within_words(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "", 0);
    ASSERT_IDS(tokenizer, "aba", 0, BYTE('a'), BA); /* rank 0 before rank 1 */
    ASSERT_IDS(tokenizer, "ab ab", 0, AB, SPACE_AB);
    ASSERT_IDS(tokenizer, "ab  ab", 0, AB, SPACE, SPACE_AB);
    ASSERT_IDS(tokenizer, "b'a", 0, BYTE('b'), BYTE('\''), BYTE('a')); /* no merge across words */
    ASSERT_IDS(tokenizer, "\377\303ab", 0, 187, 127, AB);              /* not UTF-8 */
    ASSERT_IDS(tokenizer, "a\xC3\xA9\0", 0, BYTE('a'), 127, 102, 188);
    assert_round_trips(tokenizer, 3000);
    pf_tokenizer_free(tokenizer);

    t.vocabulary.ignore_merges = true;
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "aba", 0, ABA); /* a whole piece, though no merge makes it */
    ASSERT_IDS(tokenizer, "abab", 0, BYTE('a'), BA, BYTE('b'));
    pf_tokenizer_free(tokenizer);
}

static void special_tokens(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "ab<|im_end|> ab", PF_ENCODE_SPECIAL, AB, IM_END, SPACE_AB);
    ASSERT_IDS(tokenizer, "<|im_end|><|im_end|>", PF_ENCODE_SPECIAL, IM_END, IM_END);
    ASSERT_IDS(tokenizer, "<call>s<call> s", 0, CALLS, CALL, SPACE, BYTE('s')); /* longest first */
    pf_tokens ids = encode(tokenizer, "<|im_end|>", 10, 0);
    assert_true(ids.count == 10); /* control tokens only if asked for */
    pf_tokens_free(&ids);
    assert_true(pf_tokenizer_is_end(tokenizer, IM_END) && pf_tokenizer_is_end(tokenizer, EOS));
    assert_false(pf_tokenizer_is_end(tokenizer, CALL));

    size_t n = 0;
    assert_non_null(pf_tokenizer_bytes(tokenizer, IM_END, false, &n));
    assert_int_equal(n, 0);
    assert_memory_equal(pf_tokenizer_bytes(tokenizer, IM_END, true, &n), "<|im_end|>", 10);
    assert_memory_equal(pf_tokenizer_bytes(tokenizer, CALL, false, &n), "<call>", 6);
    assert_memory_equal(pf_tokenizer_bytes(tokenizer, SPACE_AB, false, &n), " ab", 3);
    pf_tokenizer_free(tokenizer);

    t.pieces[IM_END].strip_left = t.pieces[IM_END].strip_right = true;
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "ab \n<|im_end|>\n ab", PF_ENCODE_SPECIAL, AB, IM_END, AB);
    ASSERT_IDS(tokenizer, "<call> <|im_end|> ", PF_ENCODE_SPECIAL, CALL, IM_END);
    pf_tokenizer_free(tokenizer);
}

static void normalisation_comes_first(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    const pf_normal_step steps[] = {
        {.kind = PF_NORMAL_NFC},
        {.kind = PF_NORMAL_REPLACE, .from = "-", .from_size = 1, .to = "ba", .to_size = 2}};
    t.vocabulary.normal_steps = steps;
    t.vocabulary.n_normal_steps = 2;
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "e\xCC\x81-<call>-", 0, 127, 102, BA, CALL, BA);
    pf_tokenizer_free(tokenizer);
}

static void bad_vocabularies_are_refused(void **state) {
    (void)state;
    toy t;
    pf_error error = {""};
    toy_make(&t);
    strcpy(t.vocabulary.pre, "nonsense");
    assert_null(pf_tokenizer_new(&t.vocabulary, &error));
    assert_non_null(
        strstr(error.message, "\"nonsense\" is unknown; the known ones are default gpt-2"));

    const pf_piece pattern = {.bytes = "a(b", .size = 3};
    t.vocabulary.patterns = &pattern;
    t.vocabulary.n_patterns = 1;
    assert_null(pf_tokenizer_new(&t.vocabulary, &error));
    assert_non_null(strstr(error.message, "'a(b' is wrong at byte 3"));
}

static void bytes_that_a_vocabulary_lacks(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    t.pieces[BYTE('z')].type = PF_TOKEN_CONTROL;
    t.vocabulary.unk = EOS; /* a control token is not a substitute */
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "azz, z", 0, BYTE('a'), BYTE(','), SPACE);
    ASSERT_IDS(tokenizer, "z", 0);
    pf_tokenizer_free(tokenizer);

    pf_tokens ids = {0}; /* the bytes that are left out are counted */
    tokenizer = toy_tokenizer(&t);
    assert_true(pf_tokenizer_encode(tokenizer, "azz, z", 6, 0, &ids, NULL));
    assert_int_equal(ids.lost, 3);
    pf_tokens_free(&ids);
    pf_tokenizer_free(tokenizer);

    t.pieces[EOS].type = PF_TOKEN_UNKNOWN;
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "azz", 0, BYTE('a'), EOS, EOS);
    pf_tokenizer_free(tokenizer);
}

#define LATIN(b) ((int32_t)(b)-0xAE + 106) /* the id of a byte from 0xAE on */

/* 0xFF is in no valid UTF-8, so a vocabulary may do without. */
static void invalid_bytes_become_replacements(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    t.pieces[LATIN(0xFF)].type = PF_TOKEN_CONTROL;
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "a\xFF\xFE", 0, BYTE('a'), LATIN(0xEF), LATIN(0xBF), LATIN(0xBD),
               LATIN(0xFE));
    pf_tokenizer_free(tokenizer);
    t.pieces[LATIN(0xBF)].type = PF_TOKEN_CONTROL;
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "a\xFF\xFE", 0, BYTE('a'), LATIN(0xFE));
    pf_tokenizer_free(tokenizer);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    toy t;
    toy_make(&t);
    const pf_normal_step nfc = {.kind = PF_NORMAL_NFC};
    t.vocabulary.normal_steps = &nfc;
    t.vocabulary.n_normal_steps = 1;
    for (long n = 1;; n++) {
        assert_true(n < 1000);
        pf_memory_fail_after(n);
        pf_error error = {""};
        pf_tokens ids = {0};
        pf_tokenizer *tokenizer = pf_tokenizer_new(&t.vocabulary, &error);
        bool ok = tokenizer && pf_tokenizer_encode(tokenizer, "ab a\xFF bab", 9, 0, &ids, &error);
        pf_memory_fail_after(0);
        assert_true(ok == (error.message[0] == '\0'));
        pf_tokens_free(&ids);
        pf_tokenizer_free(tokenizer);
        if (ok) break;
    }
}

/* ---- against others ---- */

static void gpt2_ids(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(GPT2 "ggml-vocab-gpt-2.gguf");
    assert_inp_out(tokenizer, GPT2 "ggml-vocab-gpt-2.gguf.inp", GPT2 "ggml-vocab-gpt-2.gguf.out",
                   46);

    json_t *paragraph = json_load_file(GPT2 "gpt2_encoded_tokens.json", 0, NULL);
    assert_non_null(paragraph);
    assert_true(same_json(tokenizer, json_object_get(paragraph, "text"), 0,
                          json_object_get(paragraph, "token_ids")));
    json_decref(paragraph);
    assert_round_trips(tokenizer, 1000);
    pf_tokenizer_free(tokenizer);
}

/* Lines of `text => id,id,...` */
static void ggml_prompts(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(GPT2 "ggml-vocab-gpt-2.gguf");
    FILE *file = fopen(GPT2 "ggml-prompts-gpt-2.txt", "rb");
    assert_non_null(file);
    static char line[1 << 14];
    size_t count = 0, same = 0;
    while (fgets(line, sizeof line, file)) {
        char *arrow = strstr(line, " => ");
        assert_non_null(arrow);
        int32_t expected[2048];
        size_t n = 0;
        for (char *rest = arrow + 4; n < 2048 && *rest >= '0'; rest += *rest == ',')
            expected[n++] = (int32_t)strtol(rest, &rest, 10);
        same += same_ids(tokenizer, line, (size_t)(arrow - line), 0, expected, n);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 100);
    assert_int_equal(same, 100);
    pf_tokenizer_free(tokenizer);
}

static void assert_family(const char *gguf, const char *golden, size_t lines, bool all_bytes) {
    pf_tokenizer *tokenizer = tokenizer_of_gguf(gguf);
    need_file(golden);
    assert_golden(tokenizer, golden, "ids", PF_ENCODE_BOS | PF_ENCODE_SPECIAL, lines);
    assert_golden(tokenizer, golden, "ids_plain", 0, lines);
    if (all_bytes) assert_round_trips(tokenizer, 1000);
    pf_tokenizer_free(tokenizer);
}

static void llama_family(void **state) {
    (void)state;
    assert_family(FAMILIES "llama/llama-f32.gguf", FAMILIES "llama/tokenizer.jsonl", 35, true);
}

static void gpt2_family(void **state) {
    (void)state;
    assert_family(FAMILIES "gpt2/gpt2-f32.gguf", FAMILIES "gpt2/tokenizer.jsonl", 35, true);
}

static void qwen2_family(void **state) {
    (void)state;
    static const char golden[] = FAMILIES "qwen2/tokenizer.jsonl";
    pf_tokenizer *tokenizer = tokenizer_of_gguf(FAMILIES "qwen2/qwen2-f32.gguf");
    need_file(golden);
    assert_golden_except(tokenizer, golden, "ids", PF_ENCODE_BOS | PF_ENCODE_SPECIAL, 35,
                         DECOMPOSED);
    assert_golden_except(tokenizer, golden, "ids_plain", 0, 35, DECOMPOSED);
    ASSERT_IDS(tokenizer, DECOMPOSED, 0, 127, 102); /* as the composed letter */
    ASSERT_IDS(tokenizer, "\xC3\xA9", 0, 127, 102);
    pf_tokenizer_free(tokenizer);
}

static void smollm2(void **state) {
    (void)state;
    assert_family(SMOLLM2, DATA "models/smollm2-135m-instruct/tokenizer.jsonl", 18, false);
}

static void a_long_line_takes_linear_time(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(GPT2 "ggml-vocab-gpt-2.gguf");
    assert_linear(tokenizer, "a");
    assert_linear(tokenizer, " ");
    assert_linear(tokenizer, "\n ");
    assert_linear(tokenizer, "etaoinshrdlu");
    assert_linear(tokenizer, "abcdefghijklmnopqrstuvwxyz0123456789-.,");
    assert_linear(tokenizer, "\xFF\xC3");
    pf_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_rank_within_words),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(normalisation_comes_first),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(bytes_that_a_vocabulary_lacks),
        cmocka_unit_test(invalid_bytes_become_replacements),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(gpt2_ids),
        cmocka_unit_test(ggml_prompts),
        cmocka_unit_test(llama_family),
        cmocka_unit_test(gpt2_family),
        cmocka_unit_test(qwen2_family),
        cmocka_unit_test(smollm2),
        cmocka_unit_test(a_long_line_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
