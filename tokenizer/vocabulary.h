/* floor 3.0 - vocabulary: the content of a tokenizer file, in one structure for all formats. */
#ifndef PF_VOCABULARY_H
#define PF_VOCABULARY_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum pf_tokenizer_kind {
    PF_TOKENIZER_SPM,     /* SentencePiece BPE: merges by score, byte fallback ("llama") */
    PF_TOKENIZER_BPE,     /* byte-level BPE: merges by rank, pre-tokenizer ("gpt2") */
    PF_TOKENIZER_UNIGRAM, /* SentencePiece Unigram ("t5") */
} pf_tokenizer_kind;

/* Numbers are GGUF's tokenizer.ggml.token_type. */
typedef enum pf_token_type {
    PF_TOKEN_NORMAL = 1,
    PF_TOKEN_UNKNOWN = 2,
    PF_TOKEN_CONTROL = 3,
    PF_TOKEN_USER_DEFINED = 4,
    PF_TOKEN_UNUSED = 5,
    PF_TOKEN_BYTE = 6,
} pf_token_type;

typedef struct pf_piece {
    const char *bytes;
    size_t size;
    float score; /* SPM: larger merges first; Unigram: log probability */
    pf_token_type type;
    bool strip_left;  /* control, user-defined: also takes the white space before it (lstrip) */
    bool strip_right; /* ... and after it (rstrip) */
    bool normalized;  /* ... is looked for in the normalised text, normalised itself */
    bool in_words;    /* user-defined: does not cut the text; never merged (SentencePiece) */
} pf_piece;

/* Of a vocabulary with scores: an added token that is no piece of the model. So no merge makes it,
 * and no cut of a word. */
static inline bool pf_piece_is_added(const pf_piece *piece) {
    return piece->normalized && piece->score == 0;
}

/* A step that changes a text before it is cut into pieces. */
typedef enum pf_normal_kind {
    PF_NORMAL_NFC,
    PF_NORMAL_NFD,
    PF_NORMAL_NFKC,
    PF_NORMAL_NFKD,
    PF_NORMAL_LOWERCASE,
    PF_NORMAL_PREPEND,  /* puts `to` before a text that is not empty */
    PF_NORMAL_REPLACE,  /* replaces each `from` by `to` */
    PF_NORMAL_CHARSMAP, /* `from` is SentencePiece's precompiled_charsmap, see charsmap.h */
} pf_normal_kind;

typedef struct pf_normal_step {
    pf_normal_kind kind;
    const char *from, *to;
    size_t from_size, to_size;
} pf_normal_step;

#define PF_MAX_ENDS 16

/* Zero it, fill it in and pass it to pf_tokenizer_new, which copies it. You own the arrays. */
typedef struct pf_vocabulary {
    pf_tokenizer_kind kind;
    const pf_piece *pieces; /* [n_pieces]; the index is the id */
    size_t n_pieces;
    const pf_piece *merges; /* BPE: "left right" by rank; only bytes and size are used */
    size_t n_merges;
    char pre[32]; /* BPE: tokenizer.ggml.pre, "" if absent */
    /* BPE: pre-tokenizer patterns (PCRE2) that apply one after the other, instead of `pre`; only
     * bytes and size are used */
    const pf_piece *patterns;
    size_t n_patterns;
    const pf_normal_step *normal_steps; /* [n_normal_steps], for all kinds of tokenizer */
    size_t n_normal_steps;
    int32_t bos, eos, unk, eot; /* ids, -1 if there is none */
    int32_t ends[PF_MAX_ENDS];  /* [n_ends] more ids that end a text, as EOS and EOT do */
    size_t n_ends;
    bool add_bos, add_eos;
    bool add_space_prefix;         /* SPM: a space before the first word */
    bool prefix_if_none;           /* ... unless there is one already (Metaspace) */
    bool prefix_at_start;          /* ... at the start of the text, not after special tokens */
    bool remove_extra_whitespaces; /* SPM: trim and collapse spaces as SentencePiece does */
    bool escape_whitespaces;       /* SPM: ' ' becomes U+2581 */
    bool byte_fallback;            /* SPM, Unigram: unknown characters become <0xNN> tokens */
    bool ignore_merges;            /* BPE: a word that is a piece is not cut */
} pf_vocabulary;

#endif
