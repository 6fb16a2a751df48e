/* floor 5.5 - convert, the command: a checkpoint of any supported format -> GGUF. */
#include "convert.h"

#include "commands.h"
#include "formats.h"
#include "import.h"
#include "load.h"
#include "lora_flag.h"
#include "resources.h"
#include "session_flags.h"
#include "terminal.h"
#include "warn_model.h"

#include <string.h>

static void show_progress(void *context, const char *tensor, uint64_t done, uint64_t total) {
    const options *parsed = context;
    char a[16], b[16];
    progress_bar(parsed, total ? (double)done / (double)total : 1, "%s of %s  %s",
                 human_bytes(done, a), human_bytes(total, b), tensor);
}

/* The attention to record: what the source says, if anything, overridden by the options given. */
static pf_attention_options recorded_attention(const options *parsed) {
    pf_attention_options attention = pf_attention_options_default();
    pf_loaded source = {0};
    const char *config = parsed->values[FLAG_CONFIG].text;
    pf_checkpoint *checkpoint =
        pf_import_checkpoint(pf_checkpoint_open(parsed->model, NULL), config, NULL);
    if (pf_loaded_bind(checkpoint, &source, NULL)) attention = source.model->attention;
    pf_loaded_close(&source);
    attention_apply(parsed, &attention);
    return attention;
}

static bool convert(const options *parsed, pf_convert_summary *summary, pf_error *error) {
    pf_attention_options attention;
    lora_files lora;
    if (!lora_files_read(parsed, &lora, error)) return false;
    pf_convert_options settings = {
        .source = parsed->model,
        .config = parsed->values[FLAG_CONFIG].text,
        .tokenizer = parsed->values[FLAG_TOKENIZER].text,
        .adapters = lora.sources,
        .n_adapters = lora.n,
        .output = parsed->values[FLAG_OUTPUT].text,
        .gguf = {.progress = show_progress, .context = (void *)parsed},
        .summary = summary,
    };
    if (parsed->given[FLAG_CONVERT_TYPE]) {
        settings.gguf.convert = true;
        pf_type_parse(parsed->values[FLAG_CONVERT_TYPE].text, &settings.gguf.type);
    }
    if (attention_is_given(parsed)) {
        attention = recorded_attention(parsed);
        settings.attention = &attention;
    }
    return pf_convert(&settings, error);
}

static void report(const options *parsed, const pf_convert_summary *s, output *out) {
    const char *path = parsed->values[FLAG_OUTPUT].text;
    const char *attention = pf_attention_name(s->facts.attention);
    char size[16];
    if (parsed->given[FLAG_JSON])
        output_json(out,
                    json_pack("{s:o, s:I, s:I, s:I, s:s, s:b}", "output",
                              json_text(path, strlen(path)), "parameters",
                              (json_int_t)s->facts.parameters, "tensors", (json_int_t)s->n_tensors,
                              "tensor_bytes", (json_int_t)s->tensor_bytes, "attention", attention,
                              "tokenizer", s->facts.has_tokenizer));
    else
        note(parsed, "%s: %zu tensor%s, %llu parameters, %s, %s attention, %s", path, s->n_tensors,
             plural(s->n_tensors), (unsigned long long)s->facts.parameters,
             human_bytes(s->tensor_bytes, size), attention,
             s->facts.has_tokenizer ? "with its tokenizer" : "without a tokenizer");
}

static int run(const options *parsed) {
    if (!parsed->given[FLAG_OUTPUT])
        return complain_usage("convert", "no output is given; add -o FILE.gguf");
    output out = {0};
    pf_error error = {0};
    pf_convert_summary summary;
    bool good = convert(parsed, &summary, &error);
    progress(parsed, "%s", "");
    if (!good) return complain(&error);
    warn_of_adapter_beside(parsed);
    report(parsed, &summary, &out);
    return output_finish(&out);
}

const command command_convert = {
    .name = "convert",
    .bit = FOR_CONVERT,
    .usage = "MODEL -o FILE.gguf [options]",
    .summary = "turn any supported checkpoint into GGUF",
    .manual =
        "Writes a checkpoint as one GGUF file (version 3) with hyperparameters, tokenizer and "
        "tensors. MODEL is a Hugging Face folder (docs/models.md lists the families) or a file, "
        "whose "
        "format is detected from its content: GGUF, safetensors, llama2.c's .bin, or PyTorch's .pt "
        "and .pth, whose pickles are read as data and never executed. If MODEL has no tokenizer, "
        "give one with --tokenizer: a tokenizer.json, a SentencePiece tokenizer.model, a "
        "vocab.json with merges.txt beside it, llama2.c's tokenizer.bin, or a GGUF. If the file "
        "does not describe its model, --config does (see docs/convert.md). --lora merges an "
        "adapter; without --type, the matrices that it changes become f16, or stay f32.\n\n"
        "Attention options are recorded in the file (performer.* keys) as its defaults at run "
        "time, for checkpoints that do not say how they were trained. FILE is written completely "
        "or not at all, and may be MODEL itself.",
    .examples = "performer convert SmolLM2-135M/ --type q8_0 -o smollm2.gguf\n"
                "performer convert stories260K.bin --tokenizer tok512.bin -o stories260K.gguf\n"
                "performer convert base.gguf --lora adapter/ --type q8_0 -o merged.gguf\n"
                "performer convert model.bin --tokenizer tok.bin --attention favor --features 64 "
                "--type q8_0 -o model.gguf",
    .run = run,
};
