/* floor 5.3 - sampling flags: what the command line says about choosing the next token. */
#include "sampling_flags.h"

#include "memory.h"

#include <string.h>

/* Marks the tokens that end a run for DRY: those that have a character of which llama.cpp says so.
 * [n_vocab], freed by the caller. */
static unsigned char *mark_breaks(const pf_tokenizer *tokenizer, size_t n_vocab, pf_error *error) {
    unsigned char *breaks = pf_calloc(n_vocab, 1, "the sampler", error);
    if (!breaks) return NULL;
    for (size_t id = 0; id < n_vocab && id < pf_tokenizer_size(tokenizer); id++) {
        size_t n = 0;
        const char *bytes = pf_tokenizer_bytes(tokenizer, (int32_t)id, false, &n);
        for (size_t i = 0; bytes && i < n; i++)
            if (bytes[i] && strchr("\n:\"*", bytes[i])) breaks[id] = 1;
    }
    return breaks;
}

static size_t look_back(const options *parsed, flag_id id, size_t context) {
    uint64_t n = parsed->values[id].count;
    return n == UINT64_MAX ? context : (size_t)n;
}

static pf_penalty_options penalties_from(const options *parsed, size_t context) {
    const option_value *values = parsed->values;
    return (pf_penalty_options){
        .repeat = (float)values[FLAG_REPEAT_PENALTY].number,
        .presence = (float)values[FLAG_PRESENCE_PENALTY].number,
        .frequency = (float)values[FLAG_FREQUENCY_PENALTY].number,
        .last_n = look_back(parsed, FLAG_REPEAT_LAST_N, context),
        .dry_multiplier = (float)values[FLAG_DRY_MULTIPLIER].number,
        .dry_base = (float)values[FLAG_DRY_BASE].number,
        .dry_allowed_length = (size_t)values[FLAG_DRY_ALLOWED_LENGTH].count,
        .dry_last_n = look_back(parsed, FLAG_DRY_LAST_N, context),
    };
}

pf_sampler *sampler_from(const options *parsed, const pf_tokenizer *tokenizer, size_t n_vocab,
                         size_t context, uint64_t seed, unsigned char **breaks, pf_error *error) {
    const option_value *values = parsed->values;
    pf_sampler_options sampling = {
        .temperature = (float)values[FLAG_TEMPERATURE].number,
        .top_k = (size_t)values[FLAG_TOP_K].count,
        .top_p = (float)values[FLAG_TOP_P].number,
        .min_p = (float)values[FLAG_MIN_P].number,
        .seed = seed,
        .penalties = penalties_from(parsed, context),
    };
    if (sampling.penalties.dry_multiplier > 0 && breaks && !*breaks) {
        *breaks = mark_breaks(tokenizer, n_vocab, error);
        if (!*breaks) return NULL;
    }
    sampling.penalties.dry_breaks = breaks ? *breaks : NULL;
    return pf_sampler_new(&sampling, n_vocab, error);
}

size_t tokens_wanted(const options *parsed) {
    uint64_t n = parsed->values[FLAG_N_TOKENS].count;
    return n > SIZE_MAX ? SIZE_MAX : (size_t)n;
}
