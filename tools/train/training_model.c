/* floor 5.5 - training model: what `train` begins with, a new model or one to go on from. */
#include "training_model.h"

#include "bpe_learn.h"
#include "formats.h"
#include "new_model.h"
#include "random_features.h"
#include "tokenizer_files.h"
#include "vocabulary_meta.h"

#include <string.h>

typedef struct preset {
    const char *name;
    uint32_t layers, width, heads, hidden, context, pieces;
} preset;

static const preset presets[] = {
    {"tiny", 4, 128, 4, 352, 256, 1024}, /* the two models that are shipped */
    {"small", 6, 256, 8, 688, 512, 4096},
    {"15M", 6, 288, 6, 768, 256, 32000}, /* llama2.c's stories15M */
};

static const preset *chosen_preset(const options *parsed) {
    const preset *p = presets;
    while (strcmp(p->name, parsed->values[FLAG_SIZE].text) != 0) p++;
    return p;
}

static uint32_t size_or(const options *parsed, flag_id id, uint32_t otherwise) {
    return parsed->given[id] ? (uint32_t)parsed->values[id].count : otherwise;
}

/* ---- the vocabulary ---- */

static bool is_gguf(const char *path) {
    pf_file file = {0};
    bool gguf = pf_file_open(path, &file, NULL) && file.bytes.size >= 4 &&
                memcmp(file.bytes.data, "GGUF", 4) == 0;
    pf_file_close(&file);
    return gguf;
}

/* source receives the checkpoint that the vocabulary borrows from, if it is in one. */
static bool read_vocabulary(const options *parsed, const training_texts *texts,
                            pf_vocabulary *vocabulary, pf_vocabulary_storage *storage,
                            pf_checkpoint **source, pf_error *error) {
    const char *path = parsed->values[FLAG_TRAIN_TOKENIZER].text;
    bool bytes = path && strcmp(path, "bytes") == 0;
    if (!path || bytes) {
        uint32_t pieces = size_or(parsed, FLAG_PIECES, chosen_preset(parsed)->pieces);
        return pf_bpe_learn(texts->files, texts->n_files, bytes ? PF_BPE_LEAST : pieces, vocabulary,
                            storage, error);
    }
    if (!is_gguf(path)) return pf_tokenizer_file_read(path, 0, vocabulary, storage, error);
    *source = pf_checkpoint_open(path, error);
    return *source && pf_vocabulary_from_checkpoint(*source, vocabulary, storage, error) &&
           (vocabulary->n_pieces > 0 || pf_fail(error, "%s has no tokenizer", path));
}

static pf_checkpoint *make(const options *parsed, const training_texts *texts, pf_error *error) {
    const preset *p = chosen_preset(parsed);
    pf_vocabulary vocabulary = {0};
    pf_vocabulary_storage storage = {0};
    pf_checkpoint *source = NULL, *made = NULL;
    pf_new_shape shape = {
        .n_layers = size_or(parsed, FLAG_LAYERS, p->layers),
        .width = size_or(parsed, FLAG_WIDTH, p->width),
        .hidden = size_or(parsed, FLAG_HIDDEN, p->hidden),
        .n_heads = size_or(parsed, FLAG_HEADS, p->heads),
        .context = size_or(parsed, FLAG_TRAIN_CONTEXT, p->context),
        .seed = parsed->values[FLAG_TRAIN_SEED].count,
    };
    shape.n_kv_heads = size_or(parsed, FLAG_KV_HEADS, shape.n_heads);
    if (parsed->given[FLAG_WIDTH] && !parsed->given[FLAG_HIDDEN]) /* 8/3 C, in whole blocks of 32 */
        shape.hidden = (shape.width * 8 / 3 + 31) / 32 * 32;
    if (read_vocabulary(parsed, texts, &vocabulary, &storage, &source, error))
        made = pf_new_model(&shape, &vocabulary, error);
    pf_vocabulary_storage_free(&storage);
    pf_checkpoint_free(source);
    return made;
}

bool training_model_open(const options *parsed, const training_texts *texts, pf_loaded *loaded,
                         pf_error *error) {
    if (parsed->given[FLAG_FROM])
        return pf_loaded_open_checked(parsed->values[FLAG_FROM].text, 1, loaded, error);
    pf_checkpoint *made = make(parsed, texts, error);
    return made && pf_loaded_bind(made, loaded, error);
}

/* ---- attention ---- */

static uint32_t window_of(const char *text) {
    uint64_t window = PF_WINDOW_ALL;
    if (strcmp(text, "all") != 0) parse_count(text, &window);
    return (uint32_t)window;
}

bool training_attention(const options *parsed, const pf_model *model, pf_attention_options *a,
                        pf_error *error) {
    const option_value *values = parsed->values;
    char message[200];
    *a = model->attention;
    if (parsed->given[FLAG_DISTILL])
        return a->kind == PF_ATTENTION_FAVOR ||
               pf_fail(error,
                       "%s runs with %s attention; --distill needs a model that `performer "
                       "calibrate` has given Performer attention",
                       values[FLAG_FROM].text, pf_attention_name(a->kind));
    if (parsed->given[FLAG_TRAIN_ATTENTION])
        pf_attention_parse(values[FLAG_TRAIN_ATTENTION].text, &a->kind);
    bool favor = a->kind == PF_ATTENTION_FAVOR;
    if (a->kind != model->attention.kind) *a = (pf_attention_options){.kind = a->kind};
    pf_attention_options defaults = pf_attention_options_default();
    if (a->features == 0) {
        defaults.kind = a->kind;
        *a = defaults;
    }
    if (parsed->given[FLAG_FEATURES]) a->features = (uint32_t)values[FLAG_FEATURES].count;
    if (parsed->given[FLAG_MAP]) pf_map_parse(values[FLAG_MAP].text, &a->map);
    if (parsed->given[FLAG_PROJECTION])
        pf_projection_parse(values[FLAG_PROJECTION].text, &a->projection);
    if (parsed->given[FLAG_ATTENTION_SEED]) a->seed = values[FLAG_ATTENTION_SEED].count;
    if (parsed->given[FLAG_SINKS]) a->sinks = (uint32_t)values[FLAG_SINKS].count;
    if (parsed->given[FLAG_WINDOW]) a->window = window_of(values[FLAG_WINDOW].text);
    if (!favor) return true;
    if (model->windows || model->head_features)
        return pf_fail(error, "the model's heads have windows and features of their own, as "
                              "`performer calibrate` chose them, and all its weights cannot be "
                              "trained with them; give --distill, or --attention softmax and "
                              "calibrate again afterwards");
    return pf_map_check_features(a->map, model->head_dim, &a->features, message, sizeof message) ||
           pf_fail(error, "%s", message);
}
