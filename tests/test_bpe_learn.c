/* floor 6.2 - test_bpe_learn: learning byte-level BPE, against Hugging Face's trainer and a plain
 * definition. */
#include "bpe_learn.h"
#include "gguf_write.h"
#include "tokenizer_testing.h"

#include <unistd.h>

#define FIXTURES "tests/fixtures/bpe/"
#define CORPORA "../shared/data/corpora/"

typedef struct learned {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage;
} learned;

static learned learn(const void *text, size_t n, size_t n_pieces) {
    pf_error error = {""};
    learned l = {.storage = {0}};
    pf_slice slice = {text, n};
    if (!pf_bpe_learn(&slice, 1, n_pieces, &l.vocabulary, &l.storage, &error))
        fail_msg("%s", error.message);
    return l;
}

static pf_file open_text(const char *path) {
    pf_error error = {""};
    pf_file file;
    need_file(path);
    if (!pf_file_open(path, &file, &error)) fail_msg("%s", error.message);
    return file;
}

static void assert_merges(const char *text_path, size_t n_pieces, const char *merges_path) {
    pf_file text = open_text(text_path), merges = open_text(merges_path);
    learned l = learn(text.bytes.data, text.bytes.size, n_pieces);
    const char *line = (const char *)merges.bytes.data, *end = line + merges.bytes.size;
    size_t count = 0;
    for (; line < end; count++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        assert_non_null(stop);
        assert_true(count < l.vocabulary.n_merges);
        const pf_piece *merge = &l.vocabulary.merges[count];
        if (merge->size != (size_t)(stop - line) || memcmp(merge->bytes, line, merge->size) != 0)
            fail_msg("merge %zu of %s is \"%.*s\", should be \"%.*s\"", count, text_path,
                     (int)merge->size, merge->bytes, (int)(stop - line), line);
        line = stop + 1;
    }
    assert_int_equal(l.vocabulary.n_merges, count);
    assert_int_equal(l.vocabulary.n_pieces, PF_BPE_LEAST + count);
    pf_vocabulary_storage_free(&l.storage);
    pf_file_close(&text);
    pf_file_close(&merges);
}

static void equals_hugging_face(void **state) {
    (void)state;
    assert_merges(FIXTURES "ties.txt", 100000, FIXTURES "ties.100000.merges");
    assert_merges("models/weights/sample.txt", 700, FIXTURES "sample.700.merges");
}

static void equals_hugging_face_on_stories(void **state) {
    (void)state;
    clock_t start = clock();
    assert_merges(CORPORA "tinystories_sample_2MiB.txt", 1024,
                  FIXTURES "tinystories_sample_2MiB.1024.merges");
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC); /* 0.3 s here; quadratic would be hours */
}

static void equals_hugging_face_on_shakespeare(void **state) {
    (void)state;
    assert_merges(CORPORA "tinyshakespeare.txt", 2048, FIXTURES "tinyshakespeare.2048.merges");
}

/* ---- the definition: count all pairs anew for each merge ---- */

enum { WORD = 200, IDS = 400 };

static int best_pair(const int32_t *symbols, size_t n, int32_t *left, int32_t *right) {
    static int count[IDS][IDS];
    int best = 1;
    memset(count, 0, sizeof count);
    for (size_t i = 0; i + 1 < n; i++)
        if (symbols[i] >= 0 && symbols[i + 1] >= 0) count[symbols[i]][symbols[i + 1]]++;
    for (int32_t a = 0; a < IDS; a++)
        for (int32_t b = 0; b < IDS; b++)
            if (count[a][b] > best) best = count[a][b], *left = a, *right = b;
    return best;
}

/* Words of a and b only, so overlaps such as "aaaa" are common. -1 ends a word. */
static void equals_the_definition(void **state) {
    (void)state;
    pf_rng rng;
    pf_rng_seed(&rng, 5, 0);
    for (int round = 0; round < 40; round++) {
        char text[WORD] = {0};
        int32_t symbols[WORD];
        size_t n = WORD;
        int letters = 1 + round % 3;
        for (size_t i = 0; i < n; i++) {
            uint64_t x = pf_rng_u64(&rng) % 8;
            bool ends = x == 0 && (i == 0 || text[i - 1] != '\n'); /* two would be a word */
            text[i] = ends ? '\n' : (char)('a' + (int)(x % (uint64_t)letters));
            symbols[i] = ends ? -1 : 1 + text[i] - '!';
        }
        learned l = learn(text, n, 300);
        const pf_vocabulary *v = &l.vocabulary;
        for (size_t m = 0;; m++) {
            int32_t left = 0, right = 0, id = (int32_t)(PF_BPE_LEAST + m);
            bool found = m < 300 - PF_BPE_LEAST && best_pair(symbols, n, &left, &right) > 1;
            assert_int_equal(m < v->n_merges, found);
            if (!found) break;
            const pf_piece *a = &v->pieces[left], *b = &v->pieces[right], *c = &v->pieces[id];
            assert_int_equal(c->size, a->size + b->size);
            assert_memory_equal(c->bytes, a->bytes, a->size);
            assert_memory_equal(c->bytes + a->size, b->bytes, b->size);
            size_t out = 0;
            for (size_t i = 0; i < n; i++) {
                bool pair = i + 1 < n && symbols[i] == left && symbols[i + 1] == right;
                symbols[out++] = pair ? id : symbols[i];
                i += pair;
            }
            n = out;
        }
        pf_vocabulary_storage_free(&l.storage);
    }
}

/* ---- what comes out is a tokenizer ---- */

static void is_a_tokenizer(void **state) {
    (void)state;
    static const char text[] = "low low low lower lowest\n<|endoftext|>newer newer wider";
    pf_error error = {""};
    learned l = learn(text, sizeof text - 1, 300);
    pf_tokenizer *tokenizer = pf_tokenizer_new(&l.vocabulary, &error);
    if (!tokenizer) fail_msg("%s", error.message);
    pf_tokens ids = encode(tokenizer, " low<|endoftext|>", 17, PF_ENCODE_BOS | PF_ENCODE_SPECIAL);
    assert_int_equal(ids.count, 3);
    assert_int_equal(ids.ids[0], 0);
    assert_true(ids.ids[1] >= PF_BPE_LEAST);
    assert_int_equal(ids.ids[2], 0);
    assert_true(pf_tokenizer_is_end(tokenizer, 0));
    pf_tokens_free(&ids);
    for (size_t i = 1; i < l.vocabulary.n_pieces; i++) /* no piece of the mark is learned */
        assert_true(l.vocabulary.pieces[i].size < 2 || l.vocabulary.pieces[i].bytes[0] != '|');
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    ids = encode(tokenizer, bytes, sizeof bytes, 0);
    size_t at = 0;
    for (size_t i = 0; i < ids.count; i++) {
        size_t n;
        const char *piece = pf_tokenizer_bytes(tokenizer, ids.ids[i], false, &n);
        assert_memory_equal(piece, bytes + at, n);
        at += n;
    }
    assert_int_equal(at, sizeof bytes);
    pf_tokens_free(&ids);
    pf_tokenizer_free(tokenizer);
    pf_vocabulary_storage_free(&l.storage);
}

static void is_stored_in_gguf(void **state) {
    (void)state;
    pf_error error = {""};
    char path[64];
    snprintf(path, sizeof path, "/tmp/test_bpe_learn.%d.gguf", (int)getpid());
    pf_file text = open_text(FIXTURES "ties.txt");
    learned l = learn(text.bytes.data, text.bytes.size, 400);
    pf_tokenizer *before = pf_tokenizer_new(&l.vocabulary, &error);
    pf_checkpoint *checkpoint = pf_checkpoint_new("learned", &error);
    pf_gguf_options options = {.convert = false};
    if (!before || !checkpoint || !pf_vocabulary_to_checkpoint(&l.vocabulary, checkpoint, &error) ||
        !pf_gguf_write(checkpoint, path, &options, &error))
        fail_msg("%s", error.message);
    pf_vocabulary_storage_free(&l.storage);
    pf_checkpoint_free(checkpoint);
    pf_tokenizer *after = tokenizer_of_gguf(path);
    assert_string_equal(pf_tokenizer_vocabulary(after)->pre, "gpt-2");
    pf_tokens ids = encode(before, (const char *)text.bytes.data, text.bytes.size,
                           PF_ENCODE_BOS | PF_ENCODE_SPECIAL);
    assert_int_equal(ids.ids[0], 0);
    assert_int_equal(same_ids(after, (const char *)text.bytes.data, text.bytes.size,
                              PF_ENCODE_BOS | PF_ENCODE_SPECIAL, ids.ids, ids.count),
                     1);
    pf_tokens_free(&ids);
    pf_tokenizer_free(before);
    pf_tokenizer_free(after);
    pf_file_close(&text);
    unlink(path);
}

/* ---- odd input ---- */

static void texts_and_bytes(void **state) {
    (void)state;
    pf_error error = {""};
    learned l = learn("", 0, PF_BPE_LEAST); /* bytes only */
    assert_int_equal(l.vocabulary.n_pieces, PF_BPE_LEAST);
    pf_vocabulary_storage_free(&l.storage);
    pf_slice two[] = {{(const uint8_t *)"ab", 2}, {(const uint8_t *)"ab", 2}};
    if (!pf_bpe_learn(two, 2, 300, &l.vocabulary, &l.storage, &error))
        fail_msg("%s", error.message);
    assert_int_equal(l.vocabulary.n_merges, 1); /* "ab" occurs twice, in different texts */
    pf_vocabulary_storage_free(&l.storage);
    assert_false(pf_bpe_learn(two, 2, 256, &l.vocabulary, &l.storage, &error));
    assert_non_null(strstr(error.message, "at least 257"));
    pf_vocabulary_storage_free(&l.storage);
}

static void a_word_of_a_megabyte(void **state) {
    (void)state;
    size_t n = 1 << 20;
    char *text = pf_calloc(n, 1, "a text", NULL);
    assert_non_null(text);
    memset(text, 'a', n);
    learned l = learn(text, n, 1000);
    const pf_vocabulary *v = &l.vocabulary;
    assert_int_equal(v->n_merges, 10); /* aa, a^4, ... a^1024 */
    assert_int_equal(v->pieces[v->n_pieces - 1].size, PF_BPE_LONGEST);
    pf_vocabulary_storage_free(&l.storage);
    pf_rng rng;
    pf_rng_seed(&rng, 9, 0);
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + (int)(pf_rng_u64(&rng) % 4));
    l = learn(text, n, 5000);
    assert_int_equal(l.vocabulary.n_pieces, 5000);
    pf_vocabulary_storage_free(&l.storage);
    for (size_t i = 0; i < n; i++) text[i] = (char)(pf_rng_u64(&rng) | 0x80); /* not UTF-8 */
    l = learn(text, n, 2000);
    assert_int_equal(l.vocabulary.n_pieces, 2000);
    pf_vocabulary_storage_free(&l.storage);
    pf_free(text);
}

static void out_of_memory(void **state) {
    (void)state;
    static const char text[] = "low low low lower lowest newer newer wider";
    pf_slice slice = {(const uint8_t *)text, sizeof text - 1};
    bool done = false;
    for (long n = 1; n < 200 && !done; n++) {
        pf_error error = {""};
        pf_vocabulary vocabulary;
        pf_vocabulary_storage storage = {0};
        pf_memory_fail_after(n);
        done = pf_bpe_learn(&slice, 1, 300, &vocabulary, &storage, &error);
        pf_memory_fail_after(0);
        if (!done) assert_non_null(strstr(error.message, "memory"));
        pf_vocabulary_storage_free(&storage);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_hugging_face),
        cmocka_unit_test(equals_hugging_face_on_stories),
        cmocka_unit_test(equals_hugging_face_on_shakespeare),
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(is_a_tokenizer),
        cmocka_unit_test(is_stored_in_gguf),
        cmocka_unit_test(texts_and_bytes),
        cmocka_unit_test(a_word_of_a_megabyte),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
