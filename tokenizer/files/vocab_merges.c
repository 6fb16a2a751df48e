/* floor 3.3 - vocab and merges: reads GPT-2's pair of files. */
#include "vocab_merges.h"

#include "json_pieces.h"
#include "memory.h"

#include <string.h>

/* The line at *at [*size bytes, without its line break]; moves *at on. NULL after the last line. */
static const char *next_line(pf_slice text, size_t *at, size_t *size) {
    if (*at >= text.size) return NULL;
    const char *line = (const char *)text.data + *at;
    const char *end = memchr(line, '\n', text.size - *at);
    *size = end ? (size_t)(end - line) : text.size - *at;
    *at += *size + 1;
    if (*size > 0 && line[*size - 1] == '\r') --*size;
    return line;
}

static bool is_merge(const char *line, size_t size) {
    const char *space = size >= 3 ? memchr(line + 1, ' ', size - 2) : NULL;
    return space && !memchr(space + 1, ' ', (size_t)(line + size - space - 1));
}

static bool read_merges(pf_slice text, pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                        pf_error *error) {
    const char *line;
    size_t at = 0, size = 0, number = 0, lines = 1;
    for (size_t i = 0; i < text.size; i++) lines += text.data[i] == '\n';
    storage->merges = pf_calloc(lines, sizeof *storage->merges, "a vocabulary", error);
    if (!storage->merges) return false;
    while ((line = next_line(text, &at, &size))) {
        number++;
        if (size == 0 || (number == 1 && size >= 8 && memcmp(line, "#version", 8) == 0)) continue;
        if (!is_merge(line, size))
            return pf_fail(error, "line %zu of the merges is not a pair \"left right\"", number);
        pf_piece *merge = &storage->merges[vocabulary->n_merges++];
        merge->bytes = pf_vocabulary_storage_text(storage, line, size, error);
        merge->size = size;
        if (!merge->bytes) return false;
    }
    vocabulary->merges = storage->merges;
    return true;
}

static void mark_control_tokens(pf_vocabulary_storage *storage, size_t n) {
    for (size_t id = 0; id < n; id++) {
        pf_piece *piece = &storage->pieces[id];
        if (piece->size > 4 && memcmp(piece->bytes, "<|", 2) == 0 &&
            memcmp(piece->bytes + piece->size - 2, "|>", 2) == 0)
            piece->type = PF_TOKEN_CONTROL;
        else if (piece->type == PF_TOKEN_BYTE) /* "<0x0A>" is ordinary text here */
            piece->type = PF_TOKEN_NORMAL;
    }
}

bool pf_vocab_merges_read(pf_slice vocab_json, pf_slice merges_txt, pf_vocabulary *vocabulary,
                          pf_vocabulary_storage *storage, pf_error *error) {
    *vocabulary = (pf_vocabulary){
        .kind = PF_TOKENIZER_BPE, .pre = "gpt-2", .bos = -1, .eos = -1, .unk = -1, .eot = -1};
    json_t *vocab = pf_json_parse(vocab_json, PF_JSON_TOKENIZER, error);
    bool good = vocab && pf_json_pieces(vocab, NULL, vocab_json.size + merges_txt.size, vocabulary,
                                        storage, error);
    json_decref(vocab);
    if (!good || !read_merges(merges_txt, vocabulary, storage, error)) return false;
    mark_control_tokens(storage, vocabulary->n_pieces);
    vocabulary->bos = vocabulary->eos = pf_json_find_piece(vocabulary, "<|endoftext|>");
    return true;
}
