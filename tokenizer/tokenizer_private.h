/* floor 3.2 - tokenizer_private: what is inside a pf_tokenizer, for the files that encode. */
#ifndef PF_TOKENIZER_PRIVATE_H
#define PF_TOKENIZER_PRIVATE_H

#include "piece_map.h"
#include "tokens.h"
#include "vocabulary.h"

typedef struct pf_tokenizer pf_tokenizer;

/* What an id stands for in a text: `size` bytes from `bytes`. */
typedef struct pf_decoded {
    const char *bytes;
    size_t size;
} pf_decoded;

/* Const after pf_tokenizer_new. vocabulary points into the arrays below it. */
struct pf_tokenizer {
    pf_vocabulary vocabulary;
    pf_piece *pieces, *merges;
    char *text;            /* bytes of all pieces and merges */
    pf_decoded *decoded;   /* [n_pieces] */
    char *decoded_text;
    size_t max_bytes;      /* most bytes that one id adds to a decoded text */
    size_t longest_piece;  /* of those that a text can merge into */
    pf_piece_map map;      /* the pieces that a text can merge into */
    int32_t byte_ids[256]; /* the id that stands for one byte, -1: none */
};

#endif
