/* floor 5.3 - warn of the model: what is odd about it, or about a text made for it. */
#ifndef WARN_MODEL_H
#define WARN_MODEL_H

#include "load.h"
#include "options.h"

/* Warns on standard error about a tokenizer that does not say how it cuts words, whose EOS is
 * ordinary text, or that has far fewer tokens than the model. Call it once, after loading. */
void warn_of_tokenizer(const options *parsed, const pf_loaded *loaded);

/* Warns if MODEL is a folder with an adapter beside its weights, and --lora does not name any. */
void warn_of_adapter_beside(const options *parsed);

/* Warns if the text begins with BOS twice: once added, once spelled out. True if it has. */
bool warn_of_two_bos(const options *parsed, const pf_loaded *loaded, const pf_tokens *ids);

#endif
