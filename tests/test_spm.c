/* floor 6.2 - test_spm: SentencePiece BPE against llama2.c, SentencePiece and llama.cpp. */
#include "tokenizer_testing.h"

#define DATA "../shared/data/"
#define STORIES DATA "models/stories260K/"
#define PHI3 DATA "tokenizers/phi-3/ggml-vocab-phi-3.gguf"

/* ---- a vocabulary in memory ---- */

typedef struct toy {
    pf_piece pieces[300];
    char bytes[256][8];
    pf_vocabulary vocabulary;
} toy;

static void toy_add(toy *t, const char *text, float score, pf_token_type type) {
    t->pieces[t->vocabulary.n_pieces++] =
        (pf_piece){.bytes = text, .size = strlen(text), .score = score, .type = type};
}

static void toy_make(toy *t, bool bytes) {
    memset(t, 0, sizeof *t);
    t->vocabulary = (pf_vocabulary){.kind = PF_TOKENIZER_SPM,
                                    .pieces = t->pieces,
                                    .bos = 1,
                                    .eos = 2,
                                    .unk = 0,
                                    .eot = -1,
                                    .add_bos = true,
                                    .add_space_prefix = true,
                                    .escape_whitespaces = true,
                                    .byte_fallback = bytes};
    toy_add(t, "<unk>", 0, PF_TOKEN_UNKNOWN);
    toy_add(t, "<s>", 0, PF_TOKEN_CONTROL);
    toy_add(t, "</s>", 0, PF_TOKEN_CONTROL);
    toy_add(t, "\xE2\x96\x81", -9, PF_TOKEN_NORMAL);   /* 3 */
    toy_add(t, "a", -8, PF_TOKEN_NORMAL);              /* 4 */
    toy_add(t, "b", -7, PF_TOKEN_NORMAL);              /* 5 */
    toy_add(t, "ab", -1, PF_TOKEN_NORMAL);             /* 6 */
    toy_add(t, "ba", -2, PF_TOKEN_NORMAL);             /* 7 */
    toy_add(t, "aba", -3, PF_TOKEN_NORMAL);            /* 8 */
    toy_add(t, "\342\226\201ab", -4, PF_TOKEN_NORMAL); /* 9 */
    for (int i = 0; i < 256 && bytes; i++) {
        snprintf(t->bytes[i], sizeof t->bytes[i], "<0x%02X>", (unsigned)i);
        toy_add(t, t->bytes[i], 0, PF_TOKEN_BYTE); /* 10 + byte */
    }
}

static pf_tokenizer *toy_tokenizer(const toy *t) {
    pf_error error = {""};
    pf_tokenizer *tokenizer = pf_tokenizer_new(&t->vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    return tokenizer;
}

static void merges_by_score_then_from_the_left(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "", 0);
    ASSERT_IDS(tokenizer, "", PF_ENCODE_BOS, 1);
    ASSERT_IDS(tokenizer, "ab", PF_ENCODE_BOS, 1, 9);
    ASSERT_IDS(tokenizer, "bab", 0, 3, 5, 6); /* ab (-1) before ba (-2) */
    ASSERT_IDS(tokenizer, "aba", 0, 3, 8);    /* ab, then aba (-3) before _ab (-4) */
    ASSERT_IDS(tokenizer, "abab", 0, 9, 6);   /* two ab, which make neither aba nor anything else */
    ASSERT_IDS(tokenizer, " a  b", 0, 3, 3, 4, 3, 3, 5);
    pf_tokenizer_free(tokenizer);
}

static void unknown_characters_fall_back_to_bytes(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "a\xC3\xA9", 0, 3, 4, 10 + 0xC3, 10 + 0xA9);
    ASSERT_IDS(tokenizer, "\377a\xC3", 0, 3, 10 + 0xFF, 4, 10 + 0xC3); /* not UTF-8 */
    ASSERT_IDS(tokenizer, "\0a", 0, 3, 10, 4);
    ASSERT_IDS(tokenizer, "<s><0x41>", 0, 3, 10 + '<', 10 + 's', 10 + '>', 10 + '<', 10 + '0',
               10 + 'x', 10 + '4', 10 + '1',
               10 + '>'); /* text that only looks like special pieces */
    pf_tokenizer_free(tokenizer);

    toy_make(&t, false);
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "a\xC3\xA9xb\xFF", 0, 3, 4, 0, 5, 0); /* one <unk> for a run */
    pf_tokenizer_free(tokenizer);

    t.vocabulary.unk = -1;
    tokenizer = toy_tokenizer(&t);
    pf_error error = {""};
    pf_tokens ids = {0};
    assert_false(pf_tokenizer_encode(tokenizer, "axb", 3, 0, &ids, &error));
    assert_non_null(strstr(error.message, "'x'"));
    pf_tokens_free(&ids);
    pf_tokenizer_free(tokenizer);
}

static void flags_of_the_vocabulary_are_kept(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    t.vocabulary.add_space_prefix = false;
    t.vocabulary.add_bos = false;
    t.vocabulary.add_eos = true;
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "ab a", PF_ENCODE_BOS, 6, 3, 4, 2);
    ASSERT_IDS(tokenizer, "ab", PF_ENCODE_FORCE_BOS, 1, 6);
    assert_true(pf_tokenizer_is_end(tokenizer, 1) && pf_tokenizer_is_end(tokenizer, 2));
    assert_false(pf_tokenizer_is_end(tokenizer, 0) || pf_tokenizer_is_end(tokenizer, 4));
    assert_false(pf_tokenizer_is_end(tokenizer, -1) || pf_tokenizer_is_end(tokenizer, 99999));
    pf_tokenizer_free(tokenizer);

    toy_make(&t, true);
    t.vocabulary.remove_extra_whitespaces = true;
    tokenizer = toy_tokenizer(&t);
    ASSERT_IDS(tokenizer, "  a   b ", 0, 3, 4, 3, 5);
    ASSERT_IDS(tokenizer, "   ", 0);
    pf_tokenizer_free(tokenizer);
}

static void decoder_prints_whole_characters(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    char out[64];
    pf_decoder decoder = {0};
    assert_true(pf_tokenizer_max_bytes(tokenizer) + 16 <= sizeof out);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 1, out), 0); /* <s> */
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 9, out), 2); /* our space is dropped */
    assert_memory_equal(out, "ab", 2);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 9, out), 3);
    assert_memory_equal(out, " ab", 3);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0xF0, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0x9F, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0x98, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0x80, out), 4);
    assert_memory_equal(out, "\xF0\x9F\x98\x80", 4);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0xE2, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0x82, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 4, out), 4); /* it cannot become one */
    assert_memory_equal(out, "\357\277\275a", 4);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0x80, out), 3);
    assert_memory_equal(out, "\xEF\xBF\xBD", 3);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, 10 + 0xC3, out), 0);
    assert_int_equal(pf_decoder_push(tokenizer, &decoder, -5, out), 0);
    assert_int_equal(pf_decoder_finish(&decoder, out), 3);
    assert_int_equal(pf_decoder_finish(&decoder, out), 0);

    size_t n = 0;
    assert_memory_equal(pf_tokenizer_piece(tokenizer, 9, &n), "\342\226\201ab", 5);
    assert_int_equal(n, 5);
    assert_non_null(pf_tokenizer_bytes(tokenizer, 1, false, &n));
    assert_int_equal(n, 0);
    assert_memory_equal(pf_tokenizer_bytes(tokenizer, 1, true, &n), "<s>", 3);
    assert_null(pf_tokenizer_bytes(tokenizer, (int32_t)pf_tokenizer_size(tokenizer), true, &n));
    assert_null(pf_tokenizer_piece(tokenizer, -1, &n));
    pf_tokenizer_free(tokenizer);
}

static void every_text_comes_back(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    pf_tokenizer *tokenizer = toy_tokenizer(&t);
    assert_round_trips(tokenizer, 3000);
    pf_tokenizer_free(tokenizer);
}

static void bad_vocabularies_are_refused(void **state) {
    (void)state;
    toy t;
    pf_error error = {""};
    toy_make(&t, false);
    t.vocabulary.eos = 10;
    assert_null(pf_tokenizer_new(&t.vocabulary, &error));
    assert_string_equal(error.message, "the EOS id 10 is outside the vocabulary of 10 pieces");
    toy_make(&t, false);
    t.pieces[5].score = (float)strtod("nan", NULL);
    assert_null(pf_tokenizer_new(&t.vocabulary, &error));
    assert_string_equal(error.message, "the score of piece 5 is not a number");
    t.vocabulary.n_pieces = 0;
    assert_null(pf_tokenizer_new(&t.vocabulary, &error));
    assert_string_equal(error.message, "the vocabulary has no pieces");
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    toy t;
    toy_make(&t, true);
    for (long n = 1;; n++) {
        assert_true(n < 100);
        pf_memory_fail_after(n);
        pf_error error = {""};
        pf_tokens ids = {0};
        pf_tokenizer *tokenizer = pf_tokenizer_new(&t.vocabulary, &error);
        bool ok = tokenizer && pf_tokenizer_encode(tokenizer, "ab a bab", 8, 0, &ids, &error);
        pf_memory_fail_after(0);
        assert_true(ok == (error.message[0] == '\0'));
        pf_tokens_free(&ids);
        pf_tokenizer_free(tokenizer);
        if (ok) break;
    }
}

/* ---- against others ---- */

static void llama2c_ids(void **state) {
    (void)state;
    need_file(STORIES "golden_tok512.jsonl");
    pf_tokenizer *tokenizer = tokenizer_of_bin(STORIES "tok512.bin", 512, false);
    assert_golden(tokenizer, STORIES "golden_tok512.jsonl", "llama2c", PF_ENCODE_BOS, 28);
    assert_round_trips(tokenizer, 1000);
    pf_tokenizer_free(tokenizer);
    tokenizer = tokenizer_of_gguf(STORIES "stories260Ktok512.gguf");
    assert_golden(tokenizer, STORIES "golden_tok512.jsonl", "llama2c", PF_ENCODE_BOS, 28);
    pf_tokenizer_free(tokenizer);
}

static void sentencepiece_ids(void **state) {
    (void)state;
    need_file(STORIES "golden_tok512.jsonl");
    pf_tokenizer *tokenizer = tokenizer_of_bin(STORIES "tok512.bin", 512, true);
    assert_golden(tokenizer, STORIES "golden_tok512.jsonl", "sentencepiece", PF_ENCODE_BOS, 28);
    pf_tokenizer_free(tokenizer);
}

static void a_character_model_without_bytes(void **state) {
    (void)state;
    pf_tokenizer *tokenizer =
        tokenizer_of_bin(DATA "models/babyllama-tok105/tok105.bin", 105, false);
    size_t n = 0;
    pf_tokens ids = encode(tokenizer, "Once upon a time\xF0\x9F\x98\x80.", 21, PF_ENCODE_BOS);
    char *text = decode(tokenizer, &ids, &n);
    assert_true(n > 16);
    assert_memory_equal(text, "Once upon a time", 16);
    pf_free(text);
    pf_tokens_free(&ids);
    pf_tokenizer_free(tokenizer);
}

static void phi3_ids(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(PHI3);
    assert_inp_out(tokenizer, PHI3 ".inp", PHI3 ".out", 46);
    pf_tokenizer_free(tokenizer);
}

static void a_long_line_takes_linear_time(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(PHI3);
    assert_linear(tokenizer, "a");
    assert_linear(tokenizer, "etaoinshrdlu");
    assert_linear(tokenizer, "abcdefghijklmnopqrstuvwxyz0123456789-.,");
    pf_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_score_then_from_the_left),
        cmocka_unit_test(unknown_characters_fall_back_to_bytes),
        cmocka_unit_test(flags_of_the_vocabulary_are_kept),
        cmocka_unit_test(decoder_prints_whole_characters),
        cmocka_unit_test(every_text_comes_back),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(llama2c_ids),
        cmocka_unit_test(sentencepiece_ids),
        cmocka_unit_test(a_character_model_without_bytes),
        cmocka_unit_test(phi3_ids),
        cmocka_unit_test(a_long_line_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
