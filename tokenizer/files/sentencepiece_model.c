/* floor 3.2 - SentencePiece's tokenizer.model: a vocabulary in protobuf's wire format. */
#include "sentencepiece_model.h"

#include "memory.h"

#include <math.h>
#include <string.h>

/* ---- protobuf ---- */

typedef struct {
    pf_slice bytes;
    size_t at;
} message;

typedef struct {
    uint64_t number; /* which field */
    uint64_t value;  /* of a varint, or the bits of a fixed-size number */
    pf_slice body;   /* of a text or an inner message */
    unsigned wire;
} field;

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static bool read_varint(message *in, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->bytes.size; shift += 7) {
        uint8_t byte = in->bytes.data[in->at++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool read_fixed(message *in, size_t size, uint64_t *value) {
    pf_slice part;
    if (!pf_slice_part(in->bytes, in->at, size, &part)) return false;
    *value = 0;
    memcpy(value, part.data, size); /* little-endian, as the host */
    in->at += size;
    return true;
}

static bool read_body(message *in, pf_slice *body) {
    uint64_t size;
    if (!read_varint(in, &size) || !pf_slice_part(in->bytes, in->at, size, body)) return false;
    in->at += body->size;
    return true;
}

/* Reads the next field; false at the end, and with *good false if the message is damaged. */
static bool next_field(message *in, field *f, bool *good) {
    uint64_t key;
    if (in->at == in->bytes.size) return false;
    *f = (field){0};
    *good = read_varint(in, &key);
    f->number = key >> 3;
    f->wire = key & 7;
    if (*good && f->wire == VARINT)
        *good = read_varint(in, &f->value);
    else if (*good && f->wire == FIXED64)
        *good = read_fixed(in, 8, &f->value);
    else if (*good && f->wire == FIXED32)
        *good = read_fixed(in, 4, &f->value);
    else if (*good && f->wire == BYTES)
        *good = read_body(in, &f->body);
    else
        *good = false; /* groups are not part of this format */
    return *good;
}

static bool damaged(const char *where, pf_error *error) {
    return pf_fail(error, "the SentencePiece model is truncated or damaged in %s", where);
}

/* ---- the messages ---- */

typedef struct {
    int32_t model_type, unk, bos, eos;
    bool suffix, dummy_prefix, trim, escape;
    pf_slice charsmap;
} spec;

static bool read_piece(pf_slice bytes, pf_piece *piece, pf_error *error) {
    message in = {bytes, 0};
    field f;
    bool good = true;
    *piece = (pf_piece){.bytes = "", .type = PF_TOKEN_NORMAL};
    while (next_field(&in, &f, &good)) {
        if (f.number == 1 && f.wire == BYTES) {
            piece->bytes = (const char *)f.body.data;
            piece->size = f.body.size;
        } else if (f.number == 2 && f.wire == FIXED32) {
            memcpy(&piece->score, &f.value, sizeof piece->score);
        } else if (f.number == 3 && f.wire == VARINT) {
            if (f.value < PF_TOKEN_NORMAL || f.value > PF_TOKEN_BYTE)
                return damaged("a piece", error);
            piece->type = (pf_token_type)f.value;
            piece->in_words = piece->type == PF_TOKEN_USER_DEFINED;
        }
    }
    if (!good || piece->size == 0 || !isfinite(piece->score)) return damaged("a piece", error);
    return true;
}

static bool read_trainer(pf_slice bytes, spec *s, pf_error *error) {
    message in = {bytes, 0};
    field f;
    bool good = true;
    while (next_field(&in, &f, &good)) {
        if (f.wire != VARINT) continue;
        int32_t value = (int32_t)(uint32_t)f.value; /* negative values take 64 bits */
        if (f.number == 3) s->model_type = value;
        if (f.number == 24) s->suffix = value != 0;
        if (f.number == 40) s->unk = value;
        if (f.number == 41) s->bos = value;
        if (f.number == 42) s->eos = value;
    }
    return good || damaged("its trainer_spec", error);
}

static bool read_normalizer(pf_slice bytes, spec *s, pf_error *error) {
    message in = {bytes, 0};
    field f;
    bool good = true;
    while (next_field(&in, &f, &good)) {
        if (f.number == 2 && f.wire == BYTES) s->charsmap = f.body;
        if (f.wire != VARINT) continue;
        if (f.number == 3) s->dummy_prefix = f.value != 0;
        if (f.number == 4) s->trim = f.value != 0;
        if (f.number == 5) s->escape = f.value != 0;
    }
    return good || damaged("its normalizer_spec", error);
}

/* ---- the vocabulary ---- */

static bool count_pieces(pf_slice bytes, size_t *count, pf_error *error) {
    message in = {bytes, 0};
    field f;
    bool good = true;
    *count = 0;
    while (next_field(&in, &f, &good)) *count += f.number == 1 && f.wire == BYTES;
    if (!good) return damaged("its list of pieces", error);
    return *count > 0 || pf_fail(error, "the SentencePiece model has no pieces");
}

static bool read_messages(pf_slice bytes, pf_piece *pieces, spec *s, pf_error *error) {
    message in = {bytes, 0};
    field f;
    bool good = true;
    size_t n = 0;
    while (next_field(&in, &f, &good)) {
        if (f.wire != BYTES) continue;
        if ((f.number == 1 && !read_piece(f.body, &pieces[n++], error)) ||
            (f.number == 2 && !read_trainer(f.body, s, error)) ||
            (f.number == 3 && !read_normalizer(f.body, s, error)))
            return false;
    }
    return true;
}

static bool check_spec(const spec *s, pf_error *error) {
    static const char *const names[] = {"?", "Unigram", "BPE", "word", "character"};
    if (s->model_type != 1 && s->model_type != 2)
        return pf_fail(
            error, "this is a SentencePiece %s model; only BPE and Unigram models are supported",
            names[s->model_type > 0 && s->model_type < 5 ? s->model_type : 0]);
    if (s->suffix)
        return pf_fail(error, "a SentencePiece model with spaces as suffixes "
                              "(treat_whitespace_as_suffix) is not supported");
    return true;
}

/* The id if it is that of a piece of this type, otherwise -1. */
static int32_t check_id(int32_t id, pf_token_type type, const pf_piece *pieces, size_t n) {
    return id >= 0 && (size_t)id < n && pieces[id].type == type ? id : -1;
}

static void set_ids(const spec *s, pf_vocabulary *vocabulary) {
    const pf_piece *pieces = vocabulary->pieces;
    size_t n = vocabulary->n_pieces;
    vocabulary->bos = check_id(s->bos, PF_TOKEN_CONTROL, pieces, n);
    vocabulary->eos = check_id(s->eos, PF_TOKEN_CONTROL, pieces, n);
    vocabulary->unk = check_id(s->unk, PF_TOKEN_UNKNOWN, pieces, n);
    vocabulary->eot = -1;
    vocabulary->add_bos = vocabulary->kind == PF_TOKENIZER_SPM && vocabulary->bos >= 0;
    for (size_t i = 0; i < n; i++) vocabulary->byte_fallback |= pieces[i].type == PF_TOKEN_BYTE;
}

static bool set_steps(const spec *s, pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                      pf_error *error) {
    if (s->charsmap.size == 0) return true;
    storage->steps = pf_calloc(1, sizeof *storage->steps, "a vocabulary", error);
    if (!storage->steps) return false;
    storage->steps[0] = (pf_normal_step){.kind = PF_NORMAL_CHARSMAP,
                                         .from = (const char *)s->charsmap.data,
                                         .from_size = s->charsmap.size};
    vocabulary->normal_steps = storage->steps;
    vocabulary->n_normal_steps = 1;
    return true;
}

bool pf_sentencepiece_model_sniff(pf_slice bytes) {
    /* Field 1, a piece, which starts with its own field 1, the text. */
    return bytes.size >= 4 && bytes.data[0] == 0x0a && bytes.data[1] != 0 && bytes.data[2] == 0x0a;
}

bool pf_sentencepiece_model_read(pf_slice bytes, pf_vocabulary *vocabulary,
                                 pf_vocabulary_storage *storage, pf_error *error) {
    spec s = {.model_type = 1,
              .unk = 0,
              .bos = 1,
              .eos = 2, /* the defaults, which protobuf leaves out */
              .dummy_prefix = true,
              .trim = true,
              .escape = true};
    size_t n = 0;
    if (!count_pieces(bytes, &n, error) ||
        !pf_vocabulary_storage_reserve(storage, bytes.size, error))
        return false;
    /* Texts and rules point into a copy of the whole file. */
    memcpy(storage->text, bytes.data, bytes.size);
    storage->text_used = bytes.size;
    bytes.data = (const uint8_t *)storage->text;
    storage->pieces = pf_calloc(n, sizeof *storage->pieces, "a vocabulary", error);
    if (!storage->pieces || !read_messages(bytes, storage->pieces, &s, error) ||
        !check_spec(&s, error))
        return false;
    *vocabulary = (pf_vocabulary){
        .kind = s.model_type == 1 ? PF_TOKENIZER_UNIGRAM : PF_TOKENIZER_SPM,
        .pieces = storage->pieces,
        .n_pieces = n,
        .add_space_prefix = s.dummy_prefix,
        .remove_extra_whitespaces = s.trim,
        .escape_whitespaces = s.escape,
    };
    set_ids(&s, vocabulary);
    return set_steps(&s, vocabulary, storage, error);
}
