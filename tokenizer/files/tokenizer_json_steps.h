/* floor 3.3 - tokenizer.json's steps: its normaliser, pre-tokenizer and post-processor. */
#ifndef PF_TOKENIZER_JSON_STEPS_H
#define PF_TOKENIZER_JSON_STEPS_H

#include "json.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

#define PF_MAX_JSON_STEPS 8 /* of each kind; models use one to four */

/* What "normalizer" and "pre_tokenizer" ask for together. */
typedef struct pf_json_steps {
    pf_normal_step steps[PF_MAX_JSON_STEPS];
    size_t n_steps;
    pf_piece patterns[PF_MAX_JSON_STEPS]; /* only bytes and size */
    size_t n_patterns;
    bool byte_level;                      /* pieces write bytes as GPT-2's printable characters */
    bool escape;                          /* ' ' becomes U+2581, as in SentencePiece */
    bool prefix;                          /* a space goes before the first word */
    bool prefix_if_none, prefix_at_start; /* as in vocabulary.h */
    bool split_words;                     /* no piece has a U+2581 inside */
    bool trim;                            /* spaces are trimmed and collapsed */
} pf_json_steps;

/* Reads `normalizer` and `pre_tokenizer` of the file; either may be null. Refuses by name a step
 * that is unknown or not supported. Text goes to the storage's reserved room. */
bool pf_json_read_steps(const json_t *normalizer, const json_t *pre_tokenizer, pf_json_steps *steps,
                        pf_vocabulary_storage *storage, pf_error *error);

/* Sets add_bos and add_eos; also bos and eos if the template names them. */
bool pf_json_read_post_processor(const json_t *processor, pf_vocabulary *vocabulary,
                                 pf_error *error);

#endif
