/* floor 3.2 - llama2.c's tokenizer.bin: pieces and scores of a SentencePiece BPE vocabulary. */
#include "llama2c_tokenizer.h"

#include "memory.h"

#include <math.h>
#include <string.h>

#define SPACE "\xe2\x96\x81" /* U+2581 */
#define SPACE_BYTES 3
#define ENTRY_BYTES 8 /* score and size: the smallest possible piece */

/* A piece that stands for one byte: "<0x0A>". */
static bool is_byte(const char *bytes, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    return size == 6 && memcmp(bytes, "<0x", 3) == 0 && bytes[3] && strchr(digits, bytes[3]) &&
           bytes[4] && strchr(digits, bytes[4]) && bytes[5] == '>';
}

/* run.c hard-codes the first three ids; in the file, two of them are surrounded by newlines. */
static bool special_piece(size_t id, pf_piece *piece) {
    static const char *const names[] = {"<unk>", "<s>", "</s>"};
    if (id > 2) return false;
    piece->bytes = names[id];
    piece->size = strlen(names[id]);
    piece->type = id == 0 ? PF_TOKEN_UNKNOWN : PF_TOKEN_CONTROL;
    return true;
}

/* Copies the bytes with each space as U+2581; returns the new size. */
static size_t escape(const char *from, size_t size, char *to) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (from[i] == ' ') {
            memcpy(to + n, SPACE, SPACE_BYTES);
            n += SPACE_BYTES;
        } else {
            to[n++] = from[i];
        }
    }
    return n;
}

static bool read_pieces(pf_slice bytes, size_t n_vocab, pf_vocabulary *vocabulary,
                        pf_vocabulary_storage *storage, pf_error *error) {
    size_t at = sizeof(uint32_t); /* skips the length of the longest piece */
    char *text = storage->text;
    for (size_t id = 0; id < n_vocab; id++) {
        pf_slice entry, body;
        int32_t size;
        pf_piece *piece = &storage->pieces[id];
        if (!pf_slice_part(bytes, at, ENTRY_BYTES, &entry))
            return pf_fail(error,
                           "the tokenizer file ends at piece %zu of %zu; it is truncated, or "
                           "belongs to another model",
                           id, n_vocab);
        memcpy(&piece->score, entry.data, sizeof piece->score);
        memcpy(&size, entry.data + 4, sizeof size);
        at += ENTRY_BYTES;
        if (size < 0 || !pf_slice_part(bytes, at, (uint64_t)size, &body))
            return pf_fail(error,
                           "the tokenizer file ends inside piece %zu of %zu (size %d); it is "
                           "truncated or damaged",
                           id, n_vocab, size);
        if (!isfinite(piece->score))
            return pf_fail(
                error, "the score of piece %zu of the tokenizer file is not finite; it is damaged",
                id);
        at += body.size;
        if (special_piece(id, piece)) continue;
        bool byte = is_byte((const char *)body.data, body.size);
        piece->type = byte ? PF_TOKEN_BYTE : PF_TOKEN_NORMAL;
        piece->bytes = text;
        piece->size = escape((const char *)body.data, body.size, text);
        text += piece->size;
        vocabulary->byte_fallback |= byte;
    }
    if (at != bytes.size)
        return pf_fail(
            error,
            "the tokenizer file has %zu bytes after its %zu pieces; it belongs to another model",
            bytes.size - at, n_vocab);
    return true;
}

bool pf_llama2c_tokenizer_read(pf_slice bytes, size_t n_vocab, pf_vocabulary *vocabulary,
                               pf_vocabulary_storage *storage, pf_error *error) {
    if (bytes.size < sizeof(uint32_t) || n_vocab > (bytes.size - sizeof(uint32_t)) / ENTRY_BYTES)
        return pf_fail(error,
                       "the tokenizer file has %zu bytes, too few for %zu pieces; it is truncated, "
                       "or belongs to another model",
                       bytes.size, n_vocab);
    if (n_vocab < 3)
        return pf_fail(
            error, "a llama2.c vocabulary has at least <unk>, <s> and </s>; this one has %zu ids",
            n_vocab);
    storage->pieces = pf_calloc(n_vocab, sizeof *storage->pieces, "a vocabulary", error);
    storage->text =
        pf_calloc(bytes.size, SPACE_BYTES, "a vocabulary", error); /* if every byte is a space */
    if (!storage->pieces || !storage->text) return false;
    *vocabulary = (pf_vocabulary){.kind = PF_TOKENIZER_SPM,
                                  .pieces = storage->pieces,
                                  .n_pieces = n_vocab,
                                  .bos = 1,
                                  .eos = 2,
                                  .unk = 0,
                                  .eot = -1,
                                  .add_bos = true,
                                  .add_space_prefix = true,
                                  .escape_whitespaces = true};
    return read_pieces(bytes, n_vocab, vocabulary, storage, error);
}
