/* floor 5.5 - inspect: what is in a file. */
#include "commands.h"
#include "hf.h"
#include "load.h"
#include "open_model.h"
#include "resources.h"
#include "session_flags.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

typedef struct inspection {
    const options *parsed;
    pf_checkpoint *checkpoint;
    pf_tokenizer *tokenizer; /* or NULL */
    pf_loaded loaded;        /* its model is NULL if the file does not run */
    pf_session_options session;
    bool sized; /* session is sound: sizes of the state can be told */
    output out;
} inspection;

static const char *const tokenizer_names[] = {"SentencePiece BPE", "byte-level BPE",
                                              "SentencePiece Unigram"};

static size_t state_bytes(const inspection *in, pf_attention_kind kind) {
    pf_session_options session = in->session;
    session.attention.kind = kind;
    return pf_state_bytes(in->loaded.model, &session);
}

static size_t bytes_per_token(const inspection *in, pf_attention_kind kind) {
    pf_session_options session = in->session;
    session.attention.kind = kind;
    return pf_state_bytes_per_token(in->loaded.model, &session);
}

static uint64_t count_parameters(const inspection *in) {
    if (in->loaded.model) return pf_model_parameters(in->loaded.model);
    uint64_t total = 0;
    for (size_t i = 0; i < pf_checkpoint_n_tensors(in->checkpoint); i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(in->checkpoint, i);
        uint64_t values = 1;
        for (uint32_t d = 0; d < tensor->n_dims; d++) values *= tensor->shape[d];
        total += values;
    }
    return total;
}

static pf_text text_of(const inspection *in, const char *key) {
    pf_text text = {"", 0};
    pf_error ignored;
    pf_checkpoint_get_text(in->checkpoint, key, &text, &ignored);
    return text;
}

static void family_of(const inspection *in, char *family, size_t size) {
    pf_text text = text_of(in, "general.architecture");
    if (in->loaded.model)
        snprintf(family, size, "%s", in->loaded.model->family);
    else
        snprintf(family, size, "%.*s", (int)(text.size < size ? text.size : size), text.bytes);
}

/* A metadata value; arrays are shown as their length. */
static json_t *meta_json(const pf_meta *meta) {
    char text[64];
    switch (meta->type) {
    case PF_META_STRING:
        return json_text(meta->value.text.bytes, meta->value.text.size);
    case PF_META_ARRAY:
        snprintf(text, sizeof text, "%zu values", meta->count);
        return json_string(text);
    case PF_META_BOOL:
        return json_boolean(meta->value.u);
    case PF_META_F32:
    case PF_META_F64:
        snprintf(text, sizeof text, "%g", meta->value.f);
        return meta->value.f - meta->value.f == 0 ? json_real(meta->value.f) : json_string(text);
    case PF_META_I8:
    case PF_META_I16:
    case PF_META_I32:
    case PF_META_I64:
        return json_integer(meta->value.i);
    default:
        return json_integer((json_int_t)meta->value.u);
    }
}

static json_t *hyperparameters_json(const pf_model *m) {
    static const char *const norms[] = {"rms", "layer"};
    static const char *const positions[] = {"none", "rope, adjacent pairs",
                                            "rope, half-split pairs", "learned"};
    static const char *const mlps[] = {"swiglu", "geglu", "gelu (tanh)", "gelu (erf)", "relu"};
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:s, s:I, s:f, s:s}", "layers",
        (json_int_t)m->n_layers, "width", (json_int_t)m->width, "hidden", (json_int_t)m->hidden,
        "heads", (json_int_t)m->n_heads, "kv_heads", (json_int_t)m->n_kv_heads, "head_dim",
        (json_int_t)m->head_dim, "vocabulary", (json_int_t)m->n_vocab, "context",
        (json_int_t)m->context, "norm", norms[m->norm], "norm_epsilon", (double)m->norm_eps,
        "position", positions[m->position], "rope_dim", (json_int_t)m->rope_dim, "rope_base",
        (double)m->rope_base, "mlp", mlps[m->mlp]);
    if (m->long_context > 0)
        json_object_set_new(json, "long_context", json_integer((json_int_t)m->long_context));
    return json;
}

static json_t *tokenizer_json(const inspection *in) {
    if (!in->tokenizer) return json_null();
    const pf_vocabulary *v = pf_tokenizer_vocabulary(in->tokenizer);
    return json_pack("{s:s, s:I, s:I, s:s, s:i, s:i, s:i, s:b, s:b}", "kind",
                     tokenizer_names[v->kind], "pieces", (json_int_t)v->n_pieces, "merges",
                     (json_int_t)v->n_merges, "pre", v->pre, "bos", v->bos, "eos", v->eos, "unk",
                     v->unk, "add_bos", v->add_bos, "add_eos", v->add_eos);
}

static json_t *tensor_json(const pf_tensor *tensor) {
    json_t *shape = json_array();
    for (uint32_t d = 0; d < tensor->n_dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    return json_pack("{s:o, s:s, s:o, s:I}", "name", json_text(tensor->name, strlen(tensor->name)),
                     "type", pf_type_get(tensor->type)->name, "shape", shape, "bytes",
                     (json_int_t)tensor->bytes);
}

/* The keys that begin with `prefix`. */
static json_t *keys_json(const inspection *in, const char *prefix) {
    json_t *keys = json_object();
    for (size_t i = 0; i < pf_checkpoint_n_meta(in->checkpoint); i++) {
        const pf_meta *meta = pf_checkpoint_meta(in->checkpoint, i);
        if (strncmp(meta->key, prefix, strlen(prefix)) == 0)
            json_object_set_new(keys, meta->key, meta_json(meta));
    }
    return keys;
}

static json_t *states_json(const inspection *in,
                           size_t (*bytes)(const inspection *, pf_attention_kind)) {
    json_t *states = json_object();
    for (int kind = PF_ATTENTION_SOFTMAX; kind <= PF_ATTENTION_LOCAL; kind++)
        json_object_set_new(states, pf_attention_name((pf_attention_kind)kind),
                            json_integer((json_int_t)bytes(in, (pf_attention_kind)kind)));
    return states;
}

static void print_json(inspection *in) {
    char family[64];
    family_of(in, family, sizeof family);
    pf_text template = text_of(in, "tokenizer.chat_template");
    json_t *tensors = json_array();
    for (size_t i = 0; i < pf_checkpoint_n_tensors(in->checkpoint); i++)
        json_array_append_new(tensors, tensor_json(pf_checkpoint_tensor(in->checkpoint, i)));
    json_t *json = json_object();
    json_object_set_new(json, "family", json_text(family, strlen(family)));
    json_object_set_new(json, "parameters", json_integer((json_int_t)count_parameters(in)));
    if (in->loaded.model) {
        json_object_set_new(json, "hyperparameters", hyperparameters_json(in->loaded.model));
        json_object_set_new(json, "attention",
                            json_string(pf_attention_name(in->loaded.model->attention.kind)));
    }
    if (in->sized) {
        json_object_set_new(json, "context", json_integer((json_int_t)in->session.context));
        json_object_set_new(json, "state_bytes", states_json(in, state_bytes));
        json_object_set_new(json, "state_bytes_per_token", states_json(in, bytes_per_token));
    }
    json_object_set_new(json, "performer", keys_json(in, "performer."));
    json_object_set_new(json, "tokenizer", tokenizer_json(in));
    json_object_set_new(json, "chat_template",
                        template.size ? json_text(template.bytes, template.size) : json_null());
    json_object_set_new(json, "metadata", keys_json(in, ""));
    json_object_set_new(json, "tensors", tensors);
    output_json(&in->out, json);
}

static void print_object(output *out, const char *heading, json_t *object) {
    const char *key;
    json_t *value;
    if (json_object_size(object)) output_printf(out, "\n%s\n", heading);
    json_object_foreach(object, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        output_printf(out, "  %-28s %s\n", key, text ? text : "");
        free(text);
    }
    json_decref(object);
}

static void print_states(inspection *in) {
    char size[16];
    output_printf(&in->out, "\nState per sequence, context %zu\n", in->session.context);
    for (int kind = PF_ATTENTION_SOFTMAX; kind <= PF_ATTENTION_LOCAL; kind++) {
        const char *name = pf_attention_name((pf_attention_kind)kind);
        size_t bytes = state_bytes(in, (pf_attention_kind)kind);
        if (bytes == 0) /* local, with neither window nor sinks */
            output_printf(&in->out, "  %-28s none: no --window given\n", name);
        else
            output_printf(&in->out, "  %-28s %zu bytes (%s)\n", name, bytes,
                          human_bytes(bytes, size));
        size_t per_token = bytes_per_token(in, (pf_attention_kind)kind);
        if (per_token > 0)
            output_printf(&in->out, "  %-28s %zu bytes constant, %zu bytes per token\n", "",
                          bytes - per_token * in->session.context, per_token);
    }
}

static void print_tensors(inspection *in) {
    size_t n = pf_checkpoint_n_tensors(in->checkpoint);
    output_printf(&in->out, "\n%zu tensors\n", n);
    for (size_t i = 0; i < n; i++) {
        const pf_tensor *tensor = pf_checkpoint_tensor(in->checkpoint, i);
        char shape[96] = "";
        size_t used = 0;
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%llu", d ? " x " : "",
                                     (unsigned long long)tensor->shape[d]);
        output_printf(&in->out, "  %-28s %-5s %-20s %12zu bytes\n", tensor->name,
                      pf_type_get(tensor->type)->name, shape, tensor->bytes);
    }
}

static void print_text(inspection *in) {
    char family[64];
    family_of(in, family, sizeof family);
    pf_text template = text_of(in, "tokenizer.chat_template");
    output_printf(&in->out, "%s: family %s, %llu parameters\n", in->parsed->model,
                  *family ? family : "unknown", (unsigned long long)count_parameters(in));
    if (in->loaded.model) {
        print_object(&in->out, "Hyperparameters", hyperparameters_json(in->loaded.model));
        if (in->sized) print_states(in);
    }
    print_object(&in->out, "Performer keys", keys_json(in, "performer."));
    if (in->tokenizer)
        print_object(&in->out, "Tokenizer", tokenizer_json(in));
    else
        output_printf(&in->out, "\nNo tokenizer\n");
    if (template.size) {
        output_printf(&in->out, "\nChat template\n");
        output_write(&in->out, template.bytes, template.size);
        output_printf(&in->out, "\n");
    }
    print_tensors(in);
}

/* Prints what is known even about a file that does not run, then reports why it does not. */
static bool inspect(inspection *in, pf_error *error) {
    in->checkpoint = pf_hf_or_file_open(in->parsed->model, true, error);
    if (!in->checkpoint) return false;
    pf_error ignored = {0};
    in->tokenizer = tokenizer_from_checkpoint(in->checkpoint, &ignored);
    bool runs = true;
    if (pf_checkpoint_n_tensors(in->checkpoint)) {
        runs = pf_loaded_open(in->parsed->model, &in->loaded, error);
        if (runs) runs = session_options_from(in->parsed, in->loaded.model, &in->session, error);
        in->sized = runs;
    } else if (!in->tokenizer) {
        *error = ignored;
        runs = false;
    }
    if (in->parsed->given[FLAG_JSON])
        print_json(in);
    else
        print_text(in);
    return runs;
}

static int run(const options *parsed) {
    inspection in = {.parsed = parsed};
    pf_error error = {0};
    bool good = inspect(&in, &error);
    int status = output_finish(&in.out);
    if (!good) status = complain(&error);
    pf_tokenizer_free(in.tokenizer);
    pf_loaded_close(&in.loaded);
    pf_checkpoint_free(in.checkpoint);
    return status;
}

const command command_inspect = {
    .name = "inspect",
    .bit = FOR_INSPECT,
    .usage = "MODEL [options]",
    .summary = "show what is in a file, and how large a text's state is",
    .manual =
        "Prints the family, hyperparameters, the size of a text's state under each attention, "
        "performer.* keys, tokenizer, chat template, and the table of tensors (shapes as in GGUF: "
        "the contiguous axis first).\n\n"
        "State sizes are for the --context and the attention options you give, otherwise for the "
        "checkpoint's own. Nothing is computed. A valid file that does not run is shown as well; "
        "the reason then follows on standard error, and the exit status is 1.",
    .examples = "performer inspect models/weights/tales-favor.gguf\n"
                "performer inspect model.gguf --context 32768 --features 256 --json",
    .run = run,
};
