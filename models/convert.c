/* floor 4.4 - convert: a checkpoint of any supported format -> GGUF. */
#include "convert.h"

#include "foreign.h"
#include "formats.h"
#include "hf.h"
#include "tokenizer_files.h"

#include <string.h>

static pf_checkpoint *open_source(const pf_convert_options *options, pf_error *error) {
    if (!pf_hf_is_folder(options->source))
        return pf_foreign_adopt(pf_checkpoint_open(options->source, error), options->config, error);
    if (!options->config) return pf_hf_open(options->source, !options->tokenizer, error);
    pf_fail(error, "%s: a folder has a config.json of its own; leave --config out",
            options->source);
    return NULL;
}

bool pf_convert(const pf_convert_options *options, pf_error *error) {
    pf_checkpoint *checkpoint = open_source(options, error);
    if (!checkpoint) return false;
    bool good = (!options->tokenizer ||
                 pf_tokenizer_file_to_checkpoint(options->tokenizer, checkpoint, error)) &&
                (!options->attention ||
                 pf_attention_to_checkpoint(options->attention, checkpoint, error)) &&
                pf_gguf_write(checkpoint, options->output, &options->gguf, error);
    pf_checkpoint_free(checkpoint);
    return good;
}
