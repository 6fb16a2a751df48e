/* floor 3.2 - tokenizer_private: the inside of pf_tokenizer, for the files that encode. */
#ifndef PF_TOKENIZER_PRIVATE_H
#define PF_TOKENIZER_PRIVATE_H

#include "piece_map.h"
#include "pretokenizer.h"
#include "tokens.h"
#include "trie.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

typedef struct pf_tokenizer pf_tokenizer;

/* The text that an id stands for. */
typedef struct pf_decoded {
    const char *bytes;
    size_t size;
} pf_decoded;

/* Const after pf_tokenizer_new. */
struct pf_tokenizer {
    pf_vocabulary vocabulary;
    pf_vocabulary_storage storage; /* what it points into */
    const pf_piece *pieces;        /* vocabulary.pieces */
    pf_decoded *decoded;           /* [n_pieces] */
    char *decoded_text;
    size_t max_bytes;      /* the most bytes that one id adds to a decoded text */
    size_t longest_piece;  /* in bytes, of those in `map` */
    pf_map map;            /* bytes -> id, of the pieces that text can become */
    int32_t byte_ids[256]; /* the id that stands for a byte, -1 if there is none */
    pf_trie special;       /* control, unknown and user-defined tokens */
    pf_trie normalized;    /* of these, the ones that are looked for in normalised text */
    pf_trie symbols;       /* user-defined pieces that are looked for in words */

    /* BPE only */
    pf_pretokenizer *pretokenizer;
    pf_merge_rule *rules; /* [n_merges] by rank */
    pf_pair_map pairs;    /* (left, right) -> rule */

    /* Unigram only */
    pf_trie words;                     /* the pieces that text can be cut into */
    float lowest_score, highest_score; /* of normal pieces */
};

#endif
