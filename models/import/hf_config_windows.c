/* floor 4.1 - Hugging Face config: which layers slide, and over how many tokens. */
#include "hf_config_private.h"

#include "memory.h"

#include <string.h>

/* of every `pattern` layers all but the last slide */
static bool by_pattern(uint32_t layer, uint32_t pattern) { return layer % pattern != pattern - 1; }

/* ---- lists ---- */

static bool read_type(const pf_hf_reader *r, const json_t *entry, const char *list, bool *slides) {
    const char *text = json_string_value(entry);
    *slides = text && (strcmp(text, "sliding_attention") == 0 || strcmp(text, "local") == 0);
    if (*slides || (text && (strcmp(text, "full_attention") == 0 || strcmp(text, "global") == 0)))
        return true;
    return pf_fail(r->error, "layers of type \"%.40s\" (%s in config.json) are not supported",
                   text ? text : "?", list);
}

static bool read_types(const pf_hf_reader *r, const char *name, uint32_t n_layers, bool *slides) {
    const json_t *list = pf_hf_field(r->config, name);
    if (json_array_size(list) != n_layers)
        return pf_fail(r->error,
                       "\"%s\" in config.json should be a list of %u names, one per layer", name,
                       n_layers);
    for (uint32_t i = 0; i < n_layers; i++)
        if (!read_type(r, json_array_get(list, i), name, &slides[i])) return false;
    return true;
}

/* gpt_neo: [[["global", "local"], 12]], which stands for 12 times both. */
static bool read_repeated(const pf_hf_reader *r, const json_t *items, uint32_t n_layers,
                          bool *slides) {
    size_t i, n = 0;
    json_t *item;
    json_array_foreach((json_t *)items, i, item) {
        const json_t *names = json_array_get(item, 0);
        json_int_t times = json_integer_value(json_array_get(item, 1));
        size_t count = json_array_size(names);
        for (json_int_t k = 0; count > 0 && k < times && n < n_layers; k++)
            for (size_t j = 0; j < count && n < n_layers; j++, n++)
                if (!read_type(r, json_array_get(names, j), "attention_types", &slides[n]))
                    return false;
    }
    return n == n_layers ||
           pf_fail(r->error, "\"attention_types\" in config.json has %zu layers of %u", n,
                   n_layers);
}

static bool read_gpt_neo(const pf_hf_reader *r, uint32_t n_layers, bool *slides) {
    const json_t *types = pf_hf_field(r->config, "attention_types");
    if (pf_hf_field(r->config, "attention_layers"))
        return read_types(r, "attention_layers", n_layers, slides);
    if (types) return read_repeated(r, types, n_layers, slides);
    for (uint32_t i = 0; i < n_layers; i++) slides[i] = i % 2 == 1;
    return true;
}

/* ---- rules ---- */

static bool find_sliding(const pf_hf_reader *r, pf_hf_sliding rule, uint32_t n_layers,
                         bool *slides) {
    bool has_window = pf_hf_field(r->config, "sliding_window") != NULL;
    bool used = pf_hf_true(r, "use_sliding_window", false) && has_window;
    const json_t *first = pf_hf_field(r->config, "max_window_layers");
    json_int_t from = first ? json_integer_value(first) : 28;
    uint32_t pattern = rule == PF_HF_SLIDES_GEMMA2 ? 2 : 6;
    if (rule == PF_HF_SLIDES_GPT_NEO) return read_gpt_neo(r, n_layers, slides);
    if (rule != PF_HF_SLIDES_MISTRAL && pf_hf_field(r->config, "layer_types"))
        return read_types(r, "layer_types", n_layers, slides);
    if (rule == PF_HF_SLIDES_GEMMA3 &&
        !pf_hf_size(r, r->config, "sliding_window_pattern", &pattern))
        return false;
    for (uint32_t i = 0; i < n_layers; i++) switch (rule) {
        case PF_HF_SLIDES_NEVER:
            slides[i] = false;
            break;
        case PF_HF_SLIDES_ALL:
            slides[i] = has_window;
            break;
        case PF_HF_SLIDES_BY_NUMBER:
            slides[i] = used && i >= from;
            break;
        case PF_HF_SLIDES_UNROTATED:
            slides[i] = used && i % 4 == 3;
            break;
        case PF_HF_SLIDES_GEMMA2:
        case PF_HF_SLIDES_GEMMA3:
            slides[i] = by_pattern(i, pattern);
            break;
        case PF_HF_SLIDES_GPT_NEO:
            break;                 /* above */
        case PF_HF_SLIDES_MISTRAL: /* null means none, and absence means 4096 */
            slides[i] = has_window || !json_object_get(r->config, "sliding_window");
            break;
        }
    return true;
}

/* As a reader of GGUF understands the family without sliding_window_pattern. */
static bool is_usual(pf_hf_sliding rule, const bool *slides, uint32_t n_layers) {
    for (uint32_t i = 0; i < n_layers; i++) {
        bool usual = rule == PF_HF_SLIDES_GEMMA2   ? by_pattern(i, 2)
                     : rule == PF_HF_SLIDES_GEMMA3 ? by_pattern(i, 6)
                                                   : true;
        if (slides[i] != usual) return false;
    }
    return true;
}

static bool set_windows(const pf_hf_reader *r, pf_hf_sliding rule, const bool *slides,
                        uint32_t n_layers) {
    bool neo = rule == PF_HF_SLIDES_GPT_NEO, any = false;
    bool has_default = neo ? false : rule >= PF_HF_SLIDES_GEMMA2 || rule == PF_HF_SLIDES_MISTRAL;
    uint32_t window = neo ? 256 : has_default ? 4096 : 0; /* the defaults of transformers */
    for (uint32_t i = 0; i < n_layers; i++) any = any || slides[i];
    if (!any) return true;
    return pf_hf_take_size(r, neo ? "window_size" : "sliding_window", "attention.sliding_window",
                           &window) &&
           (is_usual(rule, slides, n_layers) ||
            pf_hf_set_bools(r, "attention.sliding_window_pattern", slides, n_layers));
}

bool pf_hf_read_windows(const pf_hf_reader *r, pf_hf_sliding rule, uint32_t n_layers) {
    bool *slides = pf_calloc(n_layers, sizeof *slides, "the kinds of layers", r->error);
    bool good =
        slides && find_sliding(r, rule, n_layers, slides) && set_windows(r, rule, slides, n_layers);
    pf_free(slides);
    return good;
}
