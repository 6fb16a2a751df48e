/* floor 4.4 - convert: a checkpoint of any supported format -> GGUF. */
#include "convert.h"

#include "import.h"
#include "hf.h"
#include "tokenizer_files.h"

#include <string.h>

bool pf_convert(const pf_convert_options *options, pf_error *error) {
    pf_checkpoint *checkpoint = pf_hf_or_file_open(options->source, !options->tokenizer, error);
    checkpoint = pf_import_checkpoint(checkpoint, options->config, error);
    if (!checkpoint) return false;
    bool good = (!options->tokenizer ||
                 pf_tokenizer_file_to_checkpoint(options->tokenizer, checkpoint, error)) &&
                (!options->attention ||
                 pf_attention_to_checkpoint(options->attention, checkpoint, error)) &&
                pf_gguf_write(checkpoint, options->output, &options->gguf, error);
    pf_checkpoint_free(checkpoint);
    return good;
}
