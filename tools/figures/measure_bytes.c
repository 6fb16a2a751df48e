/* floor 5.9 - measure bytes: the state of a text, by its length. */
#include "figure.h"

#include "load.h"
#include "session.h"

static const char model_path[] = "models/weights/tales-softmax.gguf";

bool measure_state_bytes(output *out, pf_error *error) {
    pf_loaded loaded;
    if (!pf_loaded_open(model_path, &loaded, error)) return false;
    pf_session_options wanted = pf_session_options_default(loaded.model);
    output_printf(out, "# bytes that %s keeps of a text: `performer inspect --context N`\n",
                  model_path);
    output_printf(out, "tokens,softmax,favor\n");
    for (size_t n = 16; n <= 65536; n *= 4) {
        wanted.context = n;
        wanted.attention.kind = PF_ATTENTION_SOFTMAX;
        size_t softmax = pf_state_bytes(loaded.model, &wanted);
        wanted.attention.kind = PF_ATTENTION_FAVOR;
        output_printf(out, "%zu,%zu,%zu\n", n, softmax, pf_state_bytes(loaded.model, &wanted));
    }
    pf_loaded_close(&loaded);
    return true;
}
