/* floor 6.1 - samples: makes small valid files in memory, of formats without fixtures. */
#ifndef PF_SAMPLES_H
#define PF_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SAMPLE_BYTES = 8192 };

/* A file in memory. */
typedef struct sample {
    uint8_t bytes[SAMPLE_BYTES];
    size_t size;
} sample;

/* llama2.c's .bin of version 0 or 1: one layer of width 8. */
static inline void sample_llama2c(sample *out, int version) {
    /* dim, hidden, layers, heads, KV heads, vocabulary, context */
    const int32_t sizes[7] = {8, 8, 1, 2, 1, 6, 4};
    const size_t floats = 6 * 8 + 8 + 64 + 32 + 32 + 64 + 8 + 3 * 64 + 8, tables = 2 * 4 * 2;
    size_t start = version == 0 ? sizeof sizes : 256, n = floats + (version == 0 ? tables : 0);
    memset(out, 0, sizeof *out);
    if (version == 0) {
        memcpy(out->bytes, sizes, sizeof sizes);
    } else {
        memcpy(out->bytes, "24ka\1", 5);
        memcpy(out->bytes + 8, sizes, sizeof sizes);
        out->bytes[36] = 1; /* shared classifier */
    }
    for (size_t i = 0; i < n; i++) {
        float weight = (float)(i % 13) / 8 - 0.5f;
        memcpy(out->bytes + start + 4 * i, &weight, 4);
    }
    out->size = start + 4 * n;
}

static inline void sample_safetensors(sample *out) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],"
        "\"data_offsets\":[0,24]},\"mask\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[24,28]"
        "},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[28,34]},"
        "\"s\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[34,36]}}";
    uint64_t size = sizeof header - 1;
    memset(out, 0, sizeof *out);
    memcpy(out->bytes, &size, 8);
    memcpy(out->bytes + 8, header, size);
    out->size = 8 + size + 36;
}

/* The pickle of torch.save for {"a": a view [2, 3] of storage 0, "b": ..., "c": {"n": 3, ...}}. */
static inline void sample_pickle(sample *out) {
#define STORAGE "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000X\3\0\0\0cpuM\0\1tQ"
    static const char tensors[] = "\x80\2}q\0(X\1\0\0\0aq\1ctorch._utils\n_rebuild_tensor_v2\nq\2"
                                  "(" STORAGE "K\0K\2K\3\x86K\3K\1\x86\x89"
                                  "ccollections\nOrderedDict\n)Rtq\3Rq\4"
                                  "X\1\0\0\0bh\2(" STORAGE "K\4K\4\x85K\2\x85\x89"
                                  "ccollections\nOrderedDict\n)RtR"
                                  "X\1\0\0\0c}(X\1\0\0\0nK\3X\1\0\0\0fG?\xf0\0\0\0\0\0\0"
                                  "X\1\0\0\0tX\2\0\0\0hiX\1\0\0\0l](\x88\x89NJ\1\0\0\0euu.";
#undef STORAGE
    memcpy(out->bytes, tensors, sizeof tensors - 1);
    out->size = sizeof tensors - 1;
}

/* The same values in the opcodes of protocol 4. */
static inline void sample_pickle4(sample *out) {
    static const char values[] = "\x80\4\x95\x20\0\0\0\0\0\0\0}\x94(\x8c\1a\x94K\1\x8c\1b\x94"
                                 "K\1K\2\x86\x94\x8c\1c\x94\x8a\1\5u.";
    memcpy(out->bytes, values, sizeof values - 1);
    out->size = sizeof values - 1;
}

/* llama2.c's tokenizer.bin. Returns the number of pieces, which the file does not say. */
static inline size_t sample_tokenizer_bin(sample *out) {
    static const char *const pieces[] = {"<unk>", "\n<s>\n", "\n</s>\n", "<0x41>", " ",  "t",
                                         "h",     "e",       " t",       "he",     "\n", "<0x0A>"};
    size_t n = sizeof pieces / sizeof *pieces;
    memset(out, 0, sizeof *out);
    out->bytes[0] = 7; /* the longest */
    uint8_t *at = out->bytes + 4;
    for (size_t i = 0; i < n; i++) {
        float score = -(float)i;
        uint32_t size = (uint32_t)strlen(pieces[i]);
        memcpy(at, &score, 4);
        memcpy(at + 4, &size, 4);
        memcpy(at + 8, pieces[i], size);
        at += 8 + size;
    }
    out->size = (size_t)(at - out->bytes);
    return n;
}

/* SentencePiece's tokenizer.model: one message per piece, then the specifications. */
static inline void sample_tokenizer_model(sample *out, int model_type) {
    static const struct {
        const char *text;
        int type;
    } pieces[] = {{"<unk>", 2}, {"<s>", 3}, {"</s>", 3}, {"<0x41>", 6}, {"\xE2\x96\x81", 1},
                  {"t", 1},     {"h", 1},   {"e", 1},    {"th", 1},     {"\xE2\x96\x81the", 1}};
    memset(out, 0, sizeof *out);
    uint8_t *at = out->bytes;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = strlen(pieces[i].text);
        float score = -(float)i;
        const uint8_t head[] = {0x0A, (uint8_t)(n + 9), 0x0A, (uint8_t)n}, type[] = {0x18, 0};
        memcpy(at, head, 4);
        memcpy(at + 4, pieces[i].text, n);
        at += 4 + n;
        *at++ = 0x15;
        memcpy(at, &score, 4);
        memcpy(at + 4, type, 2);
        at[5] = (uint8_t)pieces[i].type;
        at += 6;
    }
    const uint8_t rest[] = {0x12, 8,   0x18, (uint8_t)model_type,
                            0xC0, 2,   0,    0xC8,
                            2,    1,   0x1A, 14,
                            0x0A, 8,   'i',  'd',
                            'e',  'n', 't',  'i',
                            't',  'y', 0x18, 1,
                            0x20, 0};
    memcpy(at, rest, sizeof rest);
    out->size = (size_t)(at - out->bytes) + sizeof rest;
}

/* A tokenizer.json of byte-level BPE, shorter than those of tests/fixtures/tokenizers. */
static inline void sample_tokenizer_json(sample *out) {
    static const char text[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true,\"lstrip\":false,"
        "\"rstrip\":true,\"normalized\":false,\"single_word\":false}],"
        "\"normalizer\":{\"type\":\"NFC\"},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"unk_token\":null,\"ignore_merges\":false,"
        "\"vocab\":{\"t\":0,\"h\":1,\"e\":2,\"th\":3,\"the\":4},"
        "\"merges\":[\"t h\",[\"th\",\"e\"]]}}";
    memcpy(out->bytes, text, sizeof text - 1);
    out->size = sizeof text - 1;
}

#endif
