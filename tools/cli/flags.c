/* floor 5.0 - flags: the one table of all options of all commands. */
#include "flags.h"

#define MAPS "positive|hyperbolic|trig|trig-offset|relu|elu|favor++|normalized"
#define TYPES "f32|f16|bf16|q8_0|q4_0"
enum {
    FOR_ATTENTION = FOR_SESSIONS | FOR_CONVERT | FOR_INSPECT | FOR_EXPLAIN,
    FOR_FEATURES = FOR_ATTENTION | FOR_BENCH,
    FOR_SAMPLING = FOR_GENERATE | FOR_CHAT,
    MAX_CONTEXT = 1 << 24
};

/* One macro for each kind of row. Every row begins with its id, name, letter (0 for none), commands
 * and group, and ends with its help. */
#define ROW(id, name_, letter_, commands_, group_, kind_, argument_, help_, ...)                   \
    [FLAG_##id] = {.name = (name_),                                                                \
                   .letter = (letter_),                                                            \
                   .commands = (commands_),                                                        \
                   .group = GROUP_##group_,                                                        \
                   .kind = FLAG_##kind_,                                                           \
                   .argument = (argument_),                                                        \
                   .help = (help_),                                                                \
                   __VA_ARGS__}
#define SWITCH(id, name, letter, commands, group, help)                                            \
    ROW(id, name, letter, commands, group, SWITCH, NULL, help, .repeats = false)
#define TEXT(id, name, letter, commands, group, argument, help)                                    \
    ROW(id, name, letter, commands, group, TEXT, argument, help, .repeats = false)
#define TEXTS(id, name, letter, commands, group, argument, help)                                   \
    ROW(id, name, letter, commands, group, TEXT, argument, help, .repeats = true)
#define COUNT(id, name, letter, commands, group, argument, least_, most_, fallback_, help)         \
    ROW(id, name, letter, commands, group, COUNT, argument, help, .least = (least_),               \
        .most = (most_), .fallback = (fallback_))
#define COUNTS(id, name, letter, commands, group, argument, least_, most_, fallback_, help)        \
    ROW(id, name, letter, commands, group, COUNTS, argument, help, .least = (least_),              \
        .most = (most_), .fallback = (fallback_))
#define NUMBER(id, name, letter, commands, group, argument, high_, fallback_, help)                \
    ROW(id, name, letter, commands, group, NUMBER, argument, help, .high = (high_),                \
        .fallback = (fallback_))
#define CHOICE(id, name, letter, commands, group, argument, choices_, fallback_, help)             \
    ROW(id, name, letter, commands, group, CHOICE, argument, help, .choices = (choices_),          \
        .fallback = (fallback_))
#define CHOICES(id, name, letter, commands, group, argument, choices_, fallback_, help)            \
    ROW(id, name, letter, commands, group, CHOICES, argument, help, .choices = (choices_),         \
        .fallback = (fallback_))
#define CHOICE_OR_COUNT(id, name, letter, commands, group, argument, choices_, least_, most_,      \
                        fallback_, help)                                                           \
    ROW(id, name, letter, commands, group, CHOICE, argument, help, .choices = (choices_),          \
        .least = (least_), .most = (most_), .fallback = (fallback_))

const flag flags[FLAG_END] = {
    /* What goes in. */
    TEXT(PROMPT, "prompt", 'p', FOR_GENERATE, INPUT, "TEXT",
         "The text to continue. Special tokens written out in it are recognised."),
    TEXT(PROMPT_FILE, "file", 'f', FOR_GENERATE, INPUT, "FILE",
         "The prompt from a file; - is standard input."),
    TEXT(TEXT_ARGUMENT, "prompt", 'p', FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN | FOR_TOKENIZE, INPUT,
         "TEXT", "The text itself."),
    TEXT(TEXT_FILE, "file", 'f', FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN, INPUT, "FILE",
         "The text from a file; - is standard input."),
    TEXT(TOKENS_FILE, "tokens", 0, FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN, INPUT, "FILE",
         "Token ids, one a line, taken as they are (no BOS is added). A FILE.jsonl has an object "
         "with \"ids\" on each line: every line is a text of its own, and the loss is pooled."),
    TEXTS(
        CALIBRATION_FILE, "file", 'f', FOR_CALIBRATE, INPUT, "FILE",
        "A text to calibrate on; - is standard input. May be given several times: every file gives "
        "the same number of pieces. Without --file and --tokens, the model writes the text."),
    TEXTS(CALIBRATION_TOKENS, "tokens", 0, FOR_CALIBRATE, INPUT, "FILE",
          "Token ids to calibrate on, one a line, taken as they are; of a FILE.jsonl the \"ids\" "
          "of every line are a text. May be given several times."),
    COUNT(LENGTH, "length", 0, FOR_CALIBRATE, INPUT, "N", 8, MAX_CONTEXT, NULL,
          "Texts are cut into pieces of N tokens. Default: 1024, but no more than half the trained "
          "context; lines of --tokens up to all of it."),
    COUNT(TEXTS, "texts", 0, FOR_CALIBRATE, INPUT, "N", 1, 65536, NULL,
          "Use at most N pieces, the first ones of every file. Default: as many as make 24576 "
          "tokens."),
    TEXT(LINES_FILE, "file", 'f', FOR_TOKENIZE, INPUT, "FILE",
         "Every line of the file is a text; - is standard input."),
    SWITCH(DECODE, "decode", 0, FOR_TOKENIZE, INPUT,
           "The other way: the input is ids, the output the text they stand for."),
    SWITCH(ESCAPE, "escape", 0, FOR_TOKENIZE, INPUT,
           "In the lines of --file, \\n is a newline and \\\\ a backslash; --decode writes them "
           "that way."),
    SWITCH(NO_SPECIAL, "no-special", 0, FOR_TOKENIZE, INPUT,
           "Special tokens written out in the text are plain text."),
    SWITCH(BOS, "bos", 0, FOR_TOKENIZE, INPUT, "Put the BOS token in front."),
    TEXT(TOKENIZER, "tokenizer", 0, FOR_CONVERT, INPUT, "FILE",
         "A tokenizer.json, tokenizer.model, vocab.json, tokenizer.bin or GGUF, instead of what "
         "MODEL has."),
    TEXT(CONFIG, "config", 0, FOR_CONVERT, INPUT, "FILE.json",
         "What a PyTorch or safetensors checkpoint cannot say of itself: the constructor arguments "
         "of a performer-pytorch model, or a list of the tensors (docs/convert.md)."),
    TEXT(SHAPE, "shape", 0, FOR_BENCH, INPUT, "SHAPE",
         "Random weights in place of a MODEL: 15M, 110M, gpt2, or DIMxLAYERSxHEADSxHIDDENxVOCAB, "
         "e.g. 288x6x6x768x32000."),
    COUNT(LAYER, "layer", 0, FOR_EXPLAIN, INPUT, "L", 0, UINT32_MAX, "0",
          "The layer to look into, counted from 0."),
    COUNT(HEAD, "head", 0, FOR_EXPLAIN, INPUT, "H", 0, UINT32_MAX, "0",
          "Its query head, counted from 0."),

    /* How the next token is chosen. */
    COUNT(N_TOKENS, "tokens", 'n', FOR_SAMPLING, SAMPLING, "N", 0, UINT32_MAX, "256",
          "Generate at most N new tokens."),
    NUMBER(TEMPERATURE, "temperature", 't', FOR_SAMPLING, SAMPLING, "X", 1e30, "0.8",
           "Divide the logits by X. 0 always takes the most probable token; 1 draws from the "
           "model's own distribution."),
    COUNT(TOP_K, "top-k", 0, FOR_SAMPLING, SAMPLING, "K", 0, UINT32_MAX, "0",
          "Draw from the K most probable tokens only; 0: from all."),
    NUMBER(TOP_P, "top-p", 0, FOR_SAMPLING, SAMPLING, "P", 1, "0.9",
           "Then from the fewest that together have probability P; 1: from all."),
    NUMBER(MIN_P, "min-p", 0, FOR_SAMPLING, SAMPLING, "P", 1, "0",
           "Then from those at least P times as probable as the best one."),
    COUNT(SEED, "seed", 's', FOR_SAMPLING, SAMPLING, "K", 0, INT64_MAX, NULL,
          "Seed of the draws: the same seed gives the same text. Without it every run has its own, "
          "which the statistics tell."),
    SWITCH(IGNORE_EOS, "ignore-eos", 0, FOR_GENERATE, SAMPLING,
           "Go on after an end token (BOS, EOS, end of turn)."),
    TEXT(SYSTEM, "system", 0, FOR_CHAT, INPUT, "TEXT",
         "The system prompt, in place of the one that the model's template writes."),
    TEXT(SAVE_STATE, "save-state", 0, FOR_GENERATE, OUTPUT, "FILE",
         "At the end, save where the text stands: --load-state goes on from there as if there had "
         "been no break. Of fixed size under Performer attention."),
    TEXT(LOAD_STATE, "load-state", 0, FOR_SAMPLING, INPUT, "FILE",
         "Go on from a saved state of the same model, with its attention, and without --seed its "
         "random numbers. A prompt goes behind it."),

    /* Attention. What is not given is as the checkpoint's performer.* keys say. */
    TEXTS(
        AGAINST, "against", 0, FOR_COMPARE, ATTENTION, "SETTING",
        "An attention to compare with exact softmax: softmax, favor or local, then options without "
        "their dashes and with commas between, e.g. \"favor,features=64,window=16,sinks=1\"; or "
        "mean: the plain mean of all values. May be given several times. The attention options "
        "below hold for every setting that does not say otherwise."),
    CHOICE(TO, "to", 0, FOR_EXPLAIN, ATTENTION, "NAME", "favor|softmax", NULL,
           "The attention that the walk follows through the layers to the logits: favor or "
           "softmax. Default: what the checkpoint asks for, else softmax. Both are shown side by "
           "side in any case."),
    CHOICE(ATTENTION, "attention", 0, FOR_ATTENTION & ~FOR_EXPLAIN, ATTENTION, "NAME",
           "softmax|favor|local", NULL,
           "softmax: exact, keeps keys and values of the whole text. favor: Performer (FAVOR+), a "
           "state of fixed size. local: sinks and window only. Default: what the checkpoint asks "
           "for, else softmax."),
    CHOICES(ATTENTIONS, "attention", 0, FOR_BENCH, ATTENTION, "LIST", "softmax|favor|local",
            "softmax,favor", "Attentions to measure, with commas between."),
    COUNT(
        FEATURES, "features", 0, FOR_FEATURES, ATTENTION, "M", 1, 65536, NULL,
        "Random features per head. Default: the checkpoint's, else 64 (256 for `bench --shape`)."),
    CHOICE(MAP, "map", 0, FOR_FEATURES, ATTENTION, "NAME", MAPS, NULL,
           "Feature map: positive, hyperbolic, trig, trig-offset, relu, elu, favor++ or "
           "normalized. Default: the checkpoint's, else positive. Another than the checkpoint's "
           "draws fresh projections."),
    CHOICE(PROJECTION, "projection", 0, FOR_FEATURES, ATTENTION, "NAME", "orthogonal|iid", NULL,
           "How random directions are drawn: orthogonal or iid. Default: the checkpoint's, else "
           "orthogonal."),
    CHOICE_OR_COUNT(REDRAW, "redraw", 0, FOR_ATTENTION & ~FOR_EXPLAIN, ATTENTION, "WHEN",
                    "never|sequence", 1, UINT32_MAX - 1, "never",
                    "New features in every layer: never, for each sequence, or every N tokens. The "
                    "last must keep keys and values of the whole text."),
    COUNT(WINDOW, "window", 0, FOR_FEATURES, ATTENTION, "W", 0, MAX_CONTEXT, NULL,
          "favor, local: the last W tokens are exact. Default: the checkpoint's, else 0."),
    COUNT(SINKS, "sinks", 0, FOR_FEATURES, ATTENTION, "S", 0, MAX_CONTEXT, NULL,
          "favor, local: the first S tokens are exact. Default: the checkpoint's, else 0."),
    COUNT(FORGET, "forget", 0, FOR_FEATURES, ATTENTION, "N", 0, UINT32_MAX, NULL,
          "favor: with every token the tail keeps 1 - 1/N of itself, so that it never weighs more "
          "than N tokens: for texts much longer than those the model was trained on. 0: nothing is "
          "forgotten. Default: the checkpoint's, else 0."),
    CHOICE(
        KV, "kv", 0, FOR_SESSIONS | FOR_BENCH | FOR_INSPECT, ATTENTION, "TYPE", "f32|f16", "f32",
        "How keys and values that stay exact are kept (softmax: all; favor, local: sinks and "
        "window). f16: half the memory, and faster over long texts; they are rounded to 11 bits."),
    NUMBER(EPSILON, "epsilon", 0, FOR_ATTENTION, ATTENTION, "E", 1, NULL,
           "favor: added to every feature, relative to the largest. Default: the checkpoint's, "
           "else 0."),
    COUNT(ATTENTION_SEED, "attention-seed", 0, FOR_FEATURES, ATTENTION, "K", 0, UINT64_MAX, NULL,
          "favor: seed of the random features. Default: the checkpoint's, else 1."),
    CHOICE(STABILIZER, "stabilizer", 0, FOR_EVAL, ATTENTION, "OVER", "running|text", "running",
           "favor with --epsilon: what the features of keys are scaled by before the epsilon is "
           "added: the maximum so far, or over the whole text, as performer-pytorch does, which "
           "looks ahead."),
    COUNT(STATE_BYTES, "state-bytes", 0, FOR_CALIBRATE, ATTENTION, "N", 1, UINT64_MAX / 2, NULL,
          "The state of a text under the calibrated attention may take N bytes. Default: what "
          "--window and --features for all heads take."),
    COUNT(MEAN_WINDOW, "window", 0, FOR_CALIBRATE, ATTENTION, "W", 0, MAX_CONTEXT, "64",
          "The last W tokens are exact, as a mean over the heads."),
    COUNT(MEAN_FEATURES, "features", 0, FOR_CALIBRATE, ATTENTION, "M", 0, 4096, "64",
          "Features per KV head, as a mean over the heads. 0: windows alone, attention local."),
    COUNT(KEPT_SINKS, "sinks", 0, FOR_CALIBRATE, ATTENTION, "S", 0, 4096, "4",
          "The first S tokens are exact."),
    SWITCH(NO_BUDGET, "no-budget", 0, FOR_CALIBRATE, ATTENTION,
           "The same window and features for all heads."),
    SWITCH(SAME_FEATURES, "same-features", 0, FOR_CALIBRATE, ATTENTION,
           "The same number of features for all heads; only windows differ. Takes a third of the "
           "time."),
    SWITCH(NO_FIT, "no-fit", 0, FOR_CALIBRATE, ATTENTION,
           "Closed form only, map favor++: an unbiased estimator of softmax, of which features can "
           "be drawn anew and in any number."),
    COUNT(STEPS, "steps", 0, FOR_CALIBRATE, ATTENTION, "N", 1, 100000, "900",
          "Steps of fitting a layer's features; trials take a quarter of them."),
    COUNT(CALIBRATION_SEED, "seed", 's', FOR_CALIBRATE, ATTENTION, "K", 0, UINT64_MAX, "1",
          "Seed of everything that is drawn: the same seed and number of threads give the same "
          "file."),
    SWITCH(UNCALIBRATED, "uncalibrated", 0, FOR_SESSIONS | FOR_INSPECT | FOR_EXPLAIN, ATTENTION,
           "favor: ignore projections and calibration that the checkpoint stores."),

    /* What comes out. */
    TEXT(OUTPUT, "output", 'o', FOR_CONVERT | FOR_CALIBRATE, OUTPUT, "FILE",
         "The GGUF file to write. It appears whole or not at all."),
    CHOICE(CONVERT_TYPE, "type", 0, FOR_CONVERT, OUTPUT, "TYPE", TYPES, NULL,
           "Store matrices as f32, f16, bf16, q8_0 or q4_0. Without it every tensor keeps its "
           "type. A matrix whose rows do not fill whole blocks of the type keeps its own."),
    SWITCH(NO_ECHO, "no-echo", 0, FOR_GENERATE, OUTPUT, "Do not print the prompt first."),
    SWITCH(IDS, "ids", 0, FOR_TOKENIZE, OUTPUT, "Print one line of ids for each text."),
    TEXT(LOGITS, "logits", 0, FOR_EVAL, OUTPUT, "FILE",
         "Write the logits after every token, float32, little-endian, [tokens][vocabulary]."),
    COUNT(BUCKET, "bucket", 0, FOR_EVAL, OUTPUT, "N", 1, UINT32_MAX, NULL,
          "Also report the loss per N tokens of position."),
    SWITCH(STEP, "step", 0, FOR_EXPLAIN, OUTPUT,
           "Wait for Enter before each step, where a person watches."),
    SWITCH(ESTIMATE, "estimate", 0, FOR_EXPLAIN, OUTPUT,
           "Instead of the walk: the mean of random features over many draws, with its standard "
           "error, against what they estimate."),
    COUNT(DRAWS, "draws", 0, FOR_EXPLAIN, OUTPUT, "N", 2, 1000000, "1000", "Draws of --estimate."),
    SWITCH(STATS_JSON, "stats-json", 0, FOR_GENERATE, OUTPUT,
           "Statistics as one line of JSON, the last on standard error."),
    SWITCH(JSON, "json", 0, FOR_ALL, OUTPUT, "Print JSON on standard output."),
    SWITCH(CSV, "csv", 0, FOR_BENCH | FOR_COMPARE, OUTPUT, "Print comma-separated values."),
    COUNT(CONTINUE, "continue", 0, FOR_COMPARE, OUTPUT, "N", 0, 100000, "48",
          "Let every setting write N tokens, greedily, behind the text of -p, or behind the first "
          "half of a longer one; 0: none."),
    TEXT(HTML, "html", 0, FOR_COMPARE, OUTPUT, "FILE",
         "Also write a report with charts: one file that needs nothing else, to be opened in a "
         "browser."),
    SWITCH(QUIET, "quiet", 'q', FOR_ALL, OUTPUT,
           "No progress, statistics or warnings on standard error."),

    /* The machine. */
    CHOICE(BENCH_TYPE, "type", 0, FOR_BENCH, MACHINE, "TYPE", TYPES, "f32",
           "Type of the random matrices of --shape: f32, f16, bf16, q8_0 or q4_0."),
    COUNT(CONTEXT, "context", 'c', FOR_SESSIONS | FOR_INSPECT, MACHINE, "N", 1, MAX_CONTEXT, NULL,
          "Tokens that a text may have under softmax. May exceed the trained context where "
          "positions are rotary. Default: the trained context."),
    COUNTS(CONTEXTS, "context", 'c', FOR_BENCH, MACHINE, "LIST", 1, MAX_CONTEXT, "256,1024",
           "Context lengths to measure, with commas between."),
    SWITCH(SCALING, "scaling", 0, FOR_COMPARE, MACHINE,
           "Instead of reading a text, measure time per token and state against the length of the "
           "text, for softmax and each --against (favor)."),
    COUNTS(SCALING_CONTEXTS, "contexts", 0, FOR_COMPARE, MACHINE, "LIST", 1, MAX_CONTEXT,
           "64,256,1024,4096,16384,65536", "Lengths for --scaling, with commas between."),
    COUNT(SCALING_SECONDS, "seconds", 0, FOR_COMPARE, MACHINE, "N", 1, 1000000, "240",
          "Time for --scaling in all, or for that part of --html (20 by default); lengths beyond "
          "it are left out."),
    COUNT(REPEAT, "repeat", 'r', FOR_BENCH, MACHINE, "N", 1, 1000, "5",
          "Measure N times and report the median; a measurement of more than some seconds is "
          "repeated less often."),
    COUNT(THREADS, "threads", 0, FOR_SESSIONS | FOR_BENCH | FOR_EXPLAIN | FOR_CALIBRATE, MACHINE,
          "N", 1, 1024, NULL, "Default: one for each physical core."),
    SWITCH(FLOAT_ACTIVATIONS, "float-activations", 0, FOR_SESSIONS | FOR_BENCH | FOR_EXPLAIN,
           MACHINE,
           "Multiply quantised weights with float32 activations instead of int8: slower, the "
           "reference path."),
    SWITCH(HELP, "help", 'h', FOR_ALL, MACHINE, "Print this manual."),
};
