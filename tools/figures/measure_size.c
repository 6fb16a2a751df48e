/* floor 5.8 - measure size: the state of a text and the operations to read it, by its length. */
#include "figure.h"

#include "flop_count.h"
#include "load.h"
#include "session.h"

enum { SHORTEST = 16, LONGEST = 65536 };
static const char model_path[] = "models/weights/tales-softmax.gguf";

bool measure_state_bytes(output *out, pf_error *error) {
    pf_loaded loaded;
    if (!pf_loaded_open(model_path, &loaded, error)) return false;
    pf_session_options wanted = pf_session_options_default(loaded.model);
    output_printf(out, "# bytes that %s keeps of a text: `performer inspect --context N`\n",
                  model_path);
    output_printf(out, "tokens,softmax,favor\n");
    for (size_t n = SHORTEST; n <= LONGEST; n *= 4) {
        wanted.context = n;
        wanted.attention.kind = PF_ATTENTION_SOFTMAX;
        size_t softmax = pf_state_bytes(loaded.model, &wanted);
        wanted.attention.kind = PF_ATTENTION_FAVOR;
        output_printf(out, "%zu,%zu,%zu\n", n, softmax, pf_state_bytes(loaded.model, &wanted));
    }
    pf_loaded_close(&loaded);
    return true;
}

bool measure_operations(output *out, pf_error *error) {
    pf_loaded loaded;
    if (!pf_loaded_open(model_path, &loaded, error)) return false;
    pf_attention_options softmax = pf_attention_options_default(), favor = softmax;
    favor.kind = PF_ATTENTION_FAVOR;
    output_printf(out, "# operations of the whole model for a text, %s\n", model_path);
    output_printf(out, "tokens,softmax,favor\n");
    for (size_t n = SHORTEST; n <= LONGEST; n *= 4) {
        double a = flop_count_token(loaded.model, &softmax, n, true).flops;
        double b = flop_count_token(loaded.model, &favor, n, true).flops;
        output_printf(out, "%zu,%.4g,%.4g\n", n, a * (double)n, b * (double)n);
    }
    pf_loaded_close(&loaded);
    return true;
}
