/* floor 4.6 - convert: a checkpoint of any supported format -> GGUF. */
#include "convert.h"

#include "import.h"
#include "hf.h"
#include "threads.h"
#include "tokenizer_files.h"
#include "vocabulary_meta.h"

#include <string.h>

static bool summarise(pf_checkpoint *checkpoint, const pf_convert_options *options,
                      pf_error *error) {
    pf_convert_summary *s = options->summary;
    if (!s) return true;
    *s = (pf_convert_summary){.n_tensors = pf_checkpoint_n_tensors(checkpoint)};
    for (size_t i = 0; i < s->n_tensors; i++)
        s->tensor_bytes +=
            pf_gguf_target_bytes(pf_checkpoint_tensor(checkpoint, i), &options->gguf);
    return pf_loaded_check(checkpoint, &s->facts, error);
}

bool pf_convert(const pf_convert_options *options, pf_error *error) {
    pf_checkpoint *checkpoint = pf_hf_or_file_open(options->source, !options->tokenizer, error);
    checkpoint = pf_import_checkpoint(checkpoint, options->config, error);
    if (!checkpoint) return false;
    bool good = (!options->tokenizer ||
                 pf_tokenizer_file_to_checkpoint(options->tokenizer, checkpoint, error)) &&
                pf_lora_merge(checkpoint, options->adapters, options->n_adapters,
                              pf_threads_default(), error) &&
                pf_vocabulary_pad(checkpoint, error) &&
                (!options->attention ||
                 pf_attention_to_checkpoint(options->attention, checkpoint, error)) &&
                summarise(checkpoint, options, error) &&
                pf_gguf_write(checkpoint, options->output, &options->gguf, error);
    pf_checkpoint_free(checkpoint);
    return good;
}
