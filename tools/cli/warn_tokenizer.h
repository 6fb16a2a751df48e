/* floor 5.3 - warn of the tokenizer: what is odd about it, or about a text made with it. */
#ifndef WARN_TOKENIZER_H
#define WARN_TOKENIZER_H

#include "load.h"
#include "options.h"

/* Warns on standard error about a tokenizer that does not say how it cuts words, whose EOS is
 * ordinary text, or that has far fewer tokens than the model. Call it once, after loading. */
void warn_of_tokenizer(const options *parsed, const pf_loaded *loaded);

/* Warns if the text begins with BOS twice: once added, once spelled out. True if it has. */
bool warn_of_two_bos(const options *parsed, const pf_loaded *loaded, const pf_tokens *ids);

#endif
