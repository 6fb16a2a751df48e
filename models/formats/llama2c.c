/* floor 3.1 - llama2.c checkpoints (.bin): versions 0 and 1, float32, as a llama checkpoint. */
#include "llama2c.h"

#include <stdio.h>
#include <string.h>

#define MAGIC 0x616b3432u /* "ak42" as a number; the file begins with "24ka" */
#define HEADER_V0 28
#define HEADER_V1 256

typedef struct {
    int32_t dim, hidden, layers, heads, kv_heads, vocab, context;
} header; /* the bytes of the file */

typedef struct {
    uint32_t version;
    uint64_t C, F, L, H, KV, V, context, D;
    bool shared_classifier;
} shape;

/* One kind of tensor, stored once, or once per layer in a row. */
typedef struct {
    const char *name;    /* with %u for the layer, if there is one per layer; NULL: not needed */
    uint64_t cols, rows; /* rows is 0 for a vector */
    bool per_layer;
} kind;

#define MAX_KINDS 16

static bool plausible(header h) {
    int64_t vocab = h.vocab < 0 ? -(int64_t)h.vocab : h.vocab;
    return h.dim > 0 && h.dim <= 1 << 17 && h.hidden > 0 && h.hidden <= 1 << 20 && h.layers > 0 &&
           h.layers <= 1 << 12 && h.heads > 0 && h.heads <= h.dim && h.kv_heads > 0 &&
           h.kv_heads <= h.heads && vocab > 0 && vocab <= 1 << 24 && h.context > 0 &&
           h.context <= 1 << 24;
}

static bool read_magic(pf_slice bytes) {
    uint32_t magic;
    if (bytes.size < sizeof magic) return false;
    memcpy(&magic, bytes.data, sizeof magic);
    return magic == MAGIC;
}

bool pf_llama2c_sniff(pf_slice bytes) {
    if (read_magic(bytes)) return true;
    header h;
    if (bytes.size < sizeof h) return false;
    memcpy(&h, bytes.data, sizeof h);
    return plausible(h);
}

static bool check_header(header h, shape *s, pf_error *error) {
    if (!plausible(h))
        return pf_fail(
            error,
            "the llama2.c header makes no sense (dim %d, hidden %d, %d layers, %d heads, %d kv "
            "heads, vocabulary %d, context %d)",
            h.dim, h.hidden, h.layers, h.heads, h.kv_heads, h.vocab, h.context);
    if (h.dim % h.heads || h.heads % h.kv_heads || h.dim / h.heads % 2)
        return pf_fail(
            error,
            "the sizes in the llama2.c header do not match: dim %d / %d heads must be an even "
            "number, and %d heads / %d kv heads a whole one",
            h.dim, h.heads, h.heads, h.kv_heads);
    s->C = (uint64_t)h.dim;
    s->F = (uint64_t)h.hidden;
    s->L = (uint64_t)h.layers;
    s->H = (uint64_t)h.heads;
    s->KV = (uint64_t)h.kv_heads;
    s->V = (uint64_t)(h.vocab < 0 ? -(int64_t)h.vocab : h.vocab);
    s->context = (uint64_t)h.context;
    s->D = s->C / s->H;
    return true;
}

static bool read_header(pf_slice bytes, shape *s, size_t *data_offset, pf_error *error) {
    header h;
    pf_slice part;
    *s = (shape){0};
    if (!read_magic(bytes)) {
        if (!pf_slice_part(bytes, 0, HEADER_V0, &part))
            return pf_fail(error, "a llama2.c header has %d bytes, but this file only %zu",
                           HEADER_V0, bytes.size);
        memcpy(&h, part.data, sizeof h);
        s->shared_classifier = h.vocab > 0;
        *data_offset = HEADER_V0;
        return check_header(h, s, error);
    }
    if (!pf_slice_part(bytes, 0, HEADER_V1, &part))
        return pf_fail(error, "a llama2.c header has %d bytes, but this file only %zu", HEADER_V1,
                       bytes.size);
    memcpy(&s->version, part.data + 4, sizeof s->version);
    if (s->version != 1)
        return pf_fail(error,
                       "this is llama2.c version %u; versions 0 and 1 (float32) are supported",
                       s->version);
    memcpy(&h, part.data + 8, sizeof h);
    s->shared_classifier = part.data[8 + sizeof h] != 0;
    *data_offset = HEADER_V1;
    if (h.vocab < 0) return pf_fail(error, "the llama2.c header has a negative vocabulary");
    return check_header(h, s, error);
}

/* Lists the kinds of tensors in the order of the file. */
static size_t list_kinds(const shape *s, kind *kinds) {
    const uint64_t C = s->C, F = s->F, V = s->V, q = s->H * s->D, kv = s->KV * s->D;
    const kind embedding = {"token_embd.weight", C, V, false};
    const kind attention_norm = {"blk.%u.attn_norm.weight", C, 0, true};
    const kind mlp_norm = {"blk.%u.ffn_norm.weight", C, 0, true};
    const kind final_norm = {"output_norm.weight", C, 0, false};
    const kind attention[] = {{"blk.%u.attn_q.weight", C, q, true},
                              {"blk.%u.attn_k.weight", C, kv, true},
                              {"blk.%u.attn_v.weight", C, kv, true},
                              {"blk.%u.attn_output.weight", q, C, true}};
    const kind mlp[] = {{"blk.%u.ffn_gate.weight", C, F, true},
                        {"blk.%u.ffn_down.weight", F, C, true},
                        {"blk.%u.ffn_up.weight", C, F, true}};
    const kind rope_table = {NULL, s->D / 2, s->context, false};
    const kind classifier = {"output.weight", C, V, false};
    size_t n = 0;
    if (s->version == 0) {
        kinds[n++] = embedding;
        kinds[n++] = attention_norm;
        for (size_t i = 0; i < 4; i++) kinds[n++] = attention[i];
        kinds[n++] = mlp_norm;
        for (size_t i = 0; i < 3; i++) kinds[n++] = mlp[i];
        kinds[n++] = final_norm;
        kinds[n++] = rope_table; /* cosines */
        kinds[n++] = rope_table; /* sines */
    } else {
        kinds[n++] = attention_norm;
        kinds[n++] = mlp_norm;
        kinds[n++] = final_norm;
        kinds[n++] = embedding;
        for (size_t i = 0; i < 4; i++) kinds[n++] = attention[i];
        for (size_t i = 0; i < 3; i++) kinds[n++] = mlp[i];
    }
    if (!s->shared_classifier) kinds[n++] = classifier;
    return n;
}

/* The size of one tensor in bytes. Nothing overflows: by plausible(), a tensor has at most 2^24
 * rows of 2^17 floats, or 2^43 bytes, and 16 kinds in 2^12 layers have less than 2^60. */
static uint64_t kind_bytes(kind k) { return k.cols * (k.rows ? k.rows : 1) * sizeof(float); }

static bool add_kind(pf_checkpoint *checkpoint, kind k, uint64_t layers, pf_slice bytes,
                     uint64_t *offset, pf_error *error) {
    for (uint64_t l = 0; l < (k.per_layer ? layers : 1); l++) {
        pf_slice part;
        char name[64];
        if (!pf_slice_part(bytes, *offset, kind_bytes(k), &part))
            return pf_fail(
                error, "the llama2.c file is too short"); /* cannot happen: the size was checked */
        *offset += part.size;
        if (!k.name) continue;
        size_t room = sizeof name;
        const char *slot = strstr(k.name, "%u");
        if (slot)
            snprintf(name, room, "%.*s%u%s", (int)(slot - k.name), k.name, (unsigned)l, slot + 2);
        else
            snprintf(name, room, "%s", k.name);
        uint64_t axes[2] = {k.cols, k.rows};
        if (!pf_checkpoint_add_tensor(checkpoint, name, PF_F32, k.rows ? 2 : 1, axes, part.data,
                                      part.size, error))
            return false;
    }
    return true;
}

static bool add_keys(pf_checkpoint *checkpoint, const shape *s, pf_error *error) {
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"llama.context_length", s->context}, {"llama.embedding_length", s->C},
        {"llama.block_count", s->L},          {"llama.feed_forward_length", s->F},
        {"llama.attention.head_count", s->H}, {"llama.attention.head_count_kv", s->KV},
        {"llama.rope.dimension_count", s->D}, {"llama.vocab_size", s->V},
    };
    if (!pf_checkpoint_set_text(checkpoint, "general.architecture", "llama", 5, error))
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!pf_checkpoint_set_u32(checkpoint, numbers[i].key, (uint32_t)numbers[i].value, error))
            return false;
    return pf_checkpoint_set_f32(checkpoint, "llama.attention.layer_norm_rms_epsilon", 1e-5f,
                                 error) &&
           pf_checkpoint_set_f32(checkpoint, "llama.rope.freq_base", 10000.0f, error);
}

bool pf_llama2c_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error) {
    shape s;
    size_t data_offset = 0;
    kind kinds[MAX_KINDS];
    if (!read_header(bytes, &s, &data_offset, error)) return false;
    size_t n_kinds = list_kinds(&s, kinds);
    uint64_t expected = data_offset;
    for (size_t i = 0; i < n_kinds; i++)
        expected += kind_bytes(kinds[i]) * (kinds[i].per_layer ? s.L : 1);
    if (expected != bytes.size)
        return pf_fail(
            error,
            "a llama2.c version %u checkpoint of this shape has %llu bytes, but the file has "
            "%zu; it is %s or of another format",
            s.version, (unsigned long long)expected, bytes.size,
            bytes.size < expected ? "truncated" : "damaged");
    if (!add_keys(checkpoint, &s, error)) return false;
    uint64_t offset = data_offset;
    for (size_t i = 0; i < n_kinds; i++)
        if (!add_kind(checkpoint, kinds[i], s.L, bytes, &offset, error)) return false;
    return true;
}
