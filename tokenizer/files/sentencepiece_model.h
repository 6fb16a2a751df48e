/* floor 3.2 - SentencePiece's tokenizer.model: a vocabulary in protobuf's wire format.
 *
 *   ModelProto       1 piece (repeated)  2 trainer_spec  3 normalizer_spec
 *   SentencePiece    1 text  2 score (f32)  3 type (numbered as GGUF does)
 *   TrainerSpec      3 model_type (1 Unigram, 2 BPE)  24 treat_whitespace_as_suffix
 *                    40 unk_id  41 bos_id  42 eos_id
 *   NormalizerSpec   1 name  2 precompiled_charsmap  3 add_dummy_prefix  4 remove_extra_whitespaces
 *                    5 escape_whitespaces
 *
 * Compiled normalisation rules (nmt_nfkc and others) become a normalisation step (charsmap.h).
 * Features that would change the ids and are not supported (word and character models, spaces as
 * suffixes) are refused by name. BPE adds BOS, as all models with such a file do, but not EOS.
 */
#ifndef PF_SENTENCEPIECE_MODEL_H
#define PF_SENTENCEPIECE_MODEL_H

#include "file.h"
#include "vocabulary.h"
#include "vocabulary_storage.h"

/* True if the bytes start with a piece, as such a file does. */
bool pf_sentencepiece_model_sniff(pf_slice bytes);

/* Copies everything to *storage, which you zero before and free afterwards, also on failure. You
 * may unmap `bytes` afterwards. */
bool pf_sentencepiece_model_read(pf_slice bytes, pf_vocabulary *vocabulary,
                                 pf_vocabulary_storage *storage, pf_error *error);

#endif
