/* floor 5.0 - flags: the one table of all options of all commands. */
#include "flags.h"

#define MAPS "positive|hyperbolic|trig|trig-offset|relu|elu|favor++|normalized"
#define TYPES "f32|f16|bf16|q8_0|q4_0"
#define ALL_TYPES TYPES "|q4_1|q5_0|q5_1|q2_k|q3_k|q4_k|q5_k|q6_k|iq4_nl|iq4_xs"
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
/* A text that names a file to read, several of them, and one that names a file to write. */
#define READ(id, name, letter, commands, group, argument, help)                                    \
    ROW(id, name, letter, commands, group, TEXT, argument, help, .file = FILE_INPUT)
#define READS(id, name, letter, commands, group, argument, help)                                   \
    ROW(id, name, letter, commands, group, TEXT, argument, help, .repeats = true,                  \
        .file = FILE_INPUT)
#define WRITE(id, name, letter, commands, group, argument, file_, help)                            \
    ROW(id, name, letter, commands, group, TEXT, argument, help, .file = FILE_##file_)
#define COUNT(id, name, letter, commands, group, argument, least_, most_, fallback_, help)         \
    ROW(id, name, letter, commands, group, COUNT, argument, help, .least = (least_),               \
        .most = (most_), .fallback = (fallback_))
#define COUNTS(id, name, letter, commands, group, argument, least_, most_, fallback_, help)        \
    ROW(id, name, letter, commands, group, COUNTS, argument, help, .least = (least_),              \
        .most = (most_), .fallback = (fallback_))
#define OPTIONAL_COUNTS(id, name, letter, commands, group, argument, least_, most_, help)          \
    ROW(id, name, letter, commands, group, COUNTS, argument, help, .least = (least_),              \
        .most = (most_), .optional = true)
#define NUMBER(id, name, letter, commands, group, argument, high_, fallback_, help)                \
    ROW(id, name, letter, commands, group, NUMBER, argument, help, .high = (high_),                \
        .fallback = (fallback_))
#define NUMBER_FROM(id, name, letter, commands, group, argument, low_, high_, fallback_, chat_,    \
                    help)                                                                          \
    ROW(id, name, letter, commands, group, NUMBER, argument, help, .low = (low_), .high = (high_), \
        .fallback = (fallback_), .chat_fallback = (chat_))
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
    /* Input. */
    TEXT(MODEL, "model", 'm', FOR_ALL, INPUT, "MODEL", "The same as MODEL without -m."),
    TEXT(PROMPT, "prompt", 'p', FOR_GENERATE, INPUT, "TEXT",
         "The text to continue. Special tokens spelled out in it are recognised."),
    READ(PROMPT_FILE, "file", 'f', FOR_GENERATE, INPUT, "FILE",
         "Read the prompt from a file; - is standard input, which is also read without "
         "this option if it is a pipe or a file."),
    TEXT(TEXT_ARGUMENT, "prompt", 'p', FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN | FOR_TOKENIZE, INPUT,
         "TEXT", "The text itself."),
    READ(TEXT_FILE, "file", 'f', FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN, INPUT, "FILE",
         "Read the text from a file; - is standard input, which is also read without "
         "this option if it is a pipe or a file."),
    READ(TOKENS_FILE, "tokens", 0, FOR_EVAL | FOR_COMPARE | FOR_EXPLAIN, INPUT, "FILE",
         "Read token ids, separated by white space, and use them as they are (no BOS is added). In "
         "a FILE.jsonl the \"ids\" of each line are one text, and the loss is pooled over all of "
         "them."),
    TEXT(SPLIT, "split", 0, FOR_EVAL | FOR_COMPARE, INPUT, "TEXT",
         "Split the text of --prompt or --file wherever TEXT occurs, and read each piece as a text "
         "of its own. TEXT itself and empty pieces are left out."),
    READS(CALIBRATION_FILE, "file", 'f', FOR_CALIBRATE, INPUT, "FILE",
          "A text to calibrate on; - is standard input. May be given several times; every file "
          "contributes the same number of pieces. Without --file, --tokens and "
          "standard input from a pipe or file, the model writes the text itself."),
    READS(CALIBRATION_TOKENS, "tokens", 0, FOR_CALIBRATE, INPUT, "FILE",
          "Token ids to calibrate on, separated by white space and used as they are. In a "
          "FILE.jsonl the \"ids\" of each line are one text. May be given several times."),
    READS(TRAIN_FILE, "file", 'f', FOR_TRAIN, INPUT, "FILE",
          "A text to learn; - is standard input. May be given several times."),
    ROW(TRAIN_SPLIT, "split", 0, FOR_TRAIN, INPUT, TEXT, "TEXT",
        "Cut the texts into documents wherever TEXT occurs; each begins with BOS. Empty: do not "
        "cut.",
        .fallback = "<|endoftext|>"),
    COUNT(HOLD_OUT, "hold-out", 0, FOR_TRAIN, INPUT, "N", 0, 1000000, "25",
          "Do not learn every Nth document, but measure the loss on them; with fewer than N, the "
          "last Nth of each text. 0: hold nothing out."),
    READ(VALIDATION, "validation", 0, FOR_TRAIN, INPUT, "FILE",
         "Measure the loss on this text instead. Nothing is held out then, unless you give "
         "--hold-out. In a FILE.jsonl the \"ids\" "
         "of each line are one text."),
    READ(TRAIN_TOKENIZER, "tokenizer", 0, FOR_TRAIN, INPUT, "FILE",
         "Use this tokenizer: a GGUF, tokenizer.json, tokenizer.model or vocab.json; or bytes: one "
         "token per byte. Default: --pieces are learned from the texts."),
    COUNT(PIECES, "pieces", 0, FOR_TRAIN, INPUT, "N", 257, 1000000, NULL,
          "Learn a byte-level BPE vocabulary of N pieces from the texts. Default: 1024 for --size "
          "tiny, 4096 for small, 32000 for 15M."),
    READ(FROM, "from", 0, FOR_TRAIN, INPUT, "MODEL",
         "Go on from this model's weights, with its shape and tokenizer."),
    COUNT(LENGTH, "length", 0, FOR_CALIBRATE, INPUT, "N", 8, MAX_CONTEXT, NULL,
          "Cut texts into pieces of N tokens. Default: 1024, but at most half the trained context; "
          "for the lines of --tokens, up to all of it."),
    COUNT(TEXTS, "texts", 0, FOR_CALIBRATE, INPUT, "N", 1, 65536, NULL,
          "Use at most N pieces, the first ones of every file. Default: enough for 24576 tokens."),
    READ(LINES_FILE, "file", 'f', FOR_TOKENIZE, INPUT, "FILE",
         "Read one text per line from a file; - is standard input."),
    SWITCH(DECODE, "decode", 0, FOR_TOKENIZE, INPUT,
           "The other way: read ids and print the text they stand for."),
    SWITCH(ESCAPE, "escape", 0, FOR_TOKENIZE, INPUT,
           "In the lines of --file, read \\n as a newline and \\\\ as a backslash; with --decode, "
           "write them that way."),
    SWITCH(NO_SPECIAL, "no-special", 0, FOR_TOKENIZE, INPUT,
           "Treat special tokens spelled out in the text as plain text."),
    SWITCH(BOS, "bos", 0, FOR_TOKENIZE, INPUT, "Put the BOS token first."),
    READ(TOKENIZER, "tokenizer", 0, FOR_CONVERT, INPUT, "FILE",
         "Use this tokenizer instead of MODEL's own: a tokenizer.json, tokenizer.model, "
         "vocab.json, tokenizer.bin or GGUF."),
    READ(CONFIG, "config", 0, FOR_CONVERT, INPUT, "FILE.json",
         "What a PyTorch or safetensors checkpoint does not say about itself: the constructor "
         "arguments of a performer-pytorch model, or a list of the tensors (see docs/convert.md)."),
    READS(LORA, "lora", 0, FOR_SESSIONS | FOR_CONVERT, INPUT, "FILE[:SCALE]",
          "Merge a LoRA adapter into the model: a GGUF of llama.cpp's form, or a folder of Hugging "
          "Face's PEFT. SCALE weakens or strengthens it (1 if left out). May be given several "
          "times."),
    TEXT(SHAPE, "shape", 0, FOR_BENCH, INPUT, "SHAPE",
         "Use random weights instead of a MODEL: 15M, 110M, gpt2, or "
         "DIMxLAYERSxHEADSxHIDDENxVOCAB, e.g. 288x6x6x768x32000."),
    COUNT(LAYER, "layer", 0, FOR_EXPLAIN, INPUT, "L", 0, UINT32_MAX, "0",
          "The layer to look at, counted from 0."),
    COUNT(HEAD, "head", 0, FOR_EXPLAIN, INPUT, "H", 0, UINT32_MAX, "0",
          "The query head to look at, counted from 0."),

    /* Choosing the next token. */
    ROW(N_TOKENS, "tokens", 'n', FOR_SAMPLING, SAMPLING, COUNT, "N",
        "Generate at most N new tokens; -1 means until the end of the text or of the context.",
        .most = UINT32_MAX, .fallback = "256", .no_limit = "no limit"),
    NUMBER(TEMPERATURE, "temperature", 't', FOR_SAMPLING, SAMPLING, "X", 1e30, "0.8",
           "Divide the logits by X. 0 always takes the most probable token; 1 samples from the "
           "model's own distribution."),
    COUNT(TOP_K, "top-k", 0, FOR_SAMPLING, SAMPLING, "K", 0, UINT32_MAX, "0",
          "Sample from the K most probable tokens only; 0 means all."),
    NUMBER(TOP_P, "top-p", 0, FOR_SAMPLING, SAMPLING, "P", 1, "0.9",
           "Then from the smallest set of them whose probabilities add up to P; 1 means all."),
    NUMBER(MIN_P, "min-p", 0, FOR_SAMPLING, SAMPLING, "P", 1, "0",
           "Then from those at least P times as probable as the best one."),
    COUNT(SEED, "seed", 's', FOR_SAMPLING, SAMPLING, "K", 0, INT64_MAX, NULL,
          "Seed for sampling: the same seed gives the same text. By default each run picks its "
          "own; `generate` reports it."),
    NUMBER_FROM(REPEAT_PENALTY, "repeat-penalty", 0, FOR_SAMPLING, SAMPLING, "X", 0, 1e3, "1", NULL,
                "Make the tokens of the last --repeat-last-n less probable: divide their logits by "
                "X, or multiply them if they are negative. 1: off. The prompt counts."),
    ROW(REPEAT_LAST_N, "repeat-last-n", 0, FOR_SAMPLING, SAMPLING, COUNT, "N",
        "How many tokens the three penalties look back; 0: none, -1: the whole context.",
        .most = 1 << 24, .fallback = "64", .no_limit = "the whole context"),
    NUMBER_FROM(PRESENCE_PENALTY, "presence-penalty", 0, FOR_SAMPLING, SAMPLING, "X", -1e3, 1e3,
                "0", NULL, "Subtract X from the logits of tokens among them."),
    NUMBER_FROM(FREQUENCY_PENALTY, "frequency-penalty", 0, FOR_SAMPLING, SAMPLING, "X", -1e3, 1e3,
                "0", NULL, "Subtract X for each time that a token is among them."),
    NUMBER_FROM(DRY_MULTIPLIER, "dry-multiplier", 0, FOR_SAMPLING, SAMPLING, "X", 0, 1e3, "0",
                "0.8",
                "DRY, against loops: subtract X * base^(L - allowed length) from the logit of a "
                "token that would repeat a run of more than L tokens. 0: off."),
    NUMBER_FROM(DRY_BASE, "dry-base", 0, FOR_SAMPLING, SAMPLING, "X", 1, 1e3, "1.75", NULL,
                "The base of DRY."),
    ROW(DRY_ALLOWED_LENGTH, "dry-allowed-length", 0, FOR_SAMPLING, SAMPLING, COUNT, "N",
        "Repeated runs of fewer tokens than N cost nothing.", .least = 1, .most = 1 << 24,
        .fallback = "2", .chat_fallback = "16"),
    ROW(DRY_LAST_N, "dry-penalty-last-n", 0, FOR_SAMPLING, SAMPLING, COUNT, "N",
        "How many tokens DRY looks back; 0: none, -1: the whole context. Line breaks, colons, "
        "quotes and asterisks end a run.",
        .most = 1 << 24, .fallback = "-1", .no_limit = "the whole context"),
    TEXTS(STOP, "stop", 0, FOR_SAMPLING, SAMPLING, "TEXT",
          "End the text before the first TEXT in it, which is not printed. May be given several "
          "times."),
    SWITCH(IGNORE_EOS, "ignore-eos", 0, FOR_GENERATE, SAMPLING,
           "Continue past an end token (BOS, EOS, end of turn)."),
    TEXT(SYSTEM, "system", 0, FOR_CHAT, INPUT, "TEXT",
         "The system prompt, in place of the default one in the model's chat template. It is never "
         "dropped: if the template has no place for it, it goes before your first message."),
    READ(TEMPLATE, "template", 0, FOR_SAMPLING, INPUT, "NAME|FILE",
         "The chat template, in place of the model's own: chatml, llama-2, mistral, llama-3, "
         "zephyr, gemma or phi-3, or a file in Jinja such as chat_template.jinja. With `generate`, "
         "the prompt becomes a user's message in it."),
    SWITCH(RAW, "raw", 0, FOR_CHAT, INPUT,
           "Use no chat template: the model continues your text as it is."),
    SWITCH(NO_HISTORY, "no-history", 0, FOR_CHAT, INPUT,
           "At a terminal, do not read or write the file of lines typed in earlier chats."),
    WRITE(
        SAVE_STATE, "save-state", 0, FOR_GENERATE, OUTPUT, "FILE", STATE,
        "When done, save the state of the text; --load-state continues from there as if there had "
        "been no break. Under Performer attention its size is fixed."),
    READ(LOAD_STATE, "load-state", 0, FOR_SAMPLING, INPUT, "FILE",
         "Continue from a saved state of the same model, with its attention and, without --seed, "
         "its random numbers. A prompt is appended to it."),

    /* Attention. The checkpoint's performer.* keys supply the defaults. */
    TEXTS(
        AGAINST, "against", 0, FOR_COMPARE, ATTENTION, "SETTING",
        "An attention to compare with exact softmax: softmax, favor or local, followed by options "
        "without their dashes, separated by commas, e.g. \"favor,features=64,window=16,sinks=1\"; "
        "or mean, the plain mean of all values. May be given several times. The attention options "
        "below apply to every setting that does not override them."),
    READ(REFERENCE, "reference", 0, FOR_COMPARE, INPUT, "MODEL",
         "Compare with exact softmax of this model instead: what MODEL was before it was "
         "quantised, distilled or given an adapter. It must have MODEL's shape."),
    CHOICE(TO, "to", 0, FOR_EXPLAIN, ATTENTION, "NAME", "favor|softmax", NULL,
           "The attention whose result is followed through the layers to the logits: favor or "
           "softmax. Default: the checkpoint's, else softmax. Both are always shown side by side."),
    CHOICE(ATTENTION, "attention", 0, FOR_ATTENTION & ~(FOR_EXPLAIN | FOR_COMPARE), ATTENTION,
           "NAME", "softmax|favor|local", NULL,
           "softmax: exact, keeps the keys and values of the whole text. favor: Performer "
           "(FAVOR+), a state of fixed size. local: sinks and window only. Default: the "
           "checkpoint's, else softmax."),
    CHOICES(ATTENTIONS, "attention", 0, FOR_BENCH, ATTENTION, "LIST", "softmax|favor|local",
            "softmax,favor", "Attentions to measure, separated by commas."),
    COUNT(
        FEATURES, "features", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "M", 1, 65536, NULL,
        "Random features per head. Default: the checkpoint's, else 64 (256 for `bench --shape`)."),
    CHOICE(MAP, "map", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "NAME", MAPS, NULL,
           "Feature map: positive, hyperbolic, trig, trig-offset, relu, elu, favor++ or "
           "normalized. Default: the checkpoint's, else positive. With any map but the "
           "checkpoint's, new projections are drawn."),
    CHOICE(PROJECTION, "projection", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "NAME",
           "orthogonal|iid", NULL,
           "How the random directions are drawn: orthogonal or iid. Default: the checkpoint's, "
           "else orthogonal."),
    CHOICE_OR_COUNT(REDRAW, "redraw", 0, FOR_ATTENTION & ~FOR_EXPLAIN, ATTENTION, "WHEN",
                    "never|sequence", 1, UINT32_MAX - 1, "never",
                    "When every layer draws new features: never, once per sequence, or every N "
                    "tokens. The last has to keep the keys and values of the whole text."),
    CHOICE_OR_COUNT(WINDOW, "window", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "W", "all", 0,
                    MAX_CONTEXT, NULL,
                    "favor, local: attend to the last W tokens exactly; all: to the whole text, "
                    "with a state that grows as softmax's. Default: the checkpoint's, else 0."),
    COUNT(SINKS, "sinks", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "S", 0, MAX_CONTEXT, NULL,
          "favor, local: attend to the first S tokens exactly. Default: the checkpoint's, else 0."),
    COUNT(FORGET, "forget", 0, FOR_FEATURES, ATTENTION, "N", 0, UINT32_MAX, NULL,
          "favor: with every token the tail keeps 1 - 1/N of itself, so it never weighs more than "
          "N tokens. For texts much longer than those the model was trained on. 0: forget nothing. "
          "Default: the checkpoint's, else 0."),
    CHOICE(KV, "kv", 0, FOR_SESSIONS | FOR_BENCH | FOR_INSPECT, ATTENTION, "TYPE", "f32|f16|q8_0",
           "f32",
           "Type of the keys and values that stay exact (softmax: all; favor, local: sinks and "
           "window). f16 takes half the memory and is faster on long texts, but rounds them to 11 "
           "bits; q8_0 takes a quarter, and rounds them to 8 bits in blocks of 32."),
    NUMBER(EPSILON, "epsilon", 0, FOR_ATTENTION, ATTENTION, "E", 1, NULL,
           "favor: added to every feature, relative to the largest. Default: the checkpoint's, "
           "else 0."),
    COUNT(ATTENTION_SEED, "attention-seed", 0, FOR_FEATURES | FOR_TRAIN, ATTENTION, "K", 0,
          UINT64_MAX, NULL,
          "favor: seed of the random features. Default: the checkpoint's, else 1."),
    CHOICE(STABILIZER, "stabilizer", 0, FOR_EVAL, ATTENTION, "OVER", "running|text", "running",
           "favor with --epsilon: the maximum that scales the features of the keys before the "
           "epsilon is added. running: over the keys so far; text: over the whole text, looking "
           "ahead, as performer-pytorch does."),
    COUNT(STATE_BYTES, "state-bytes", 0, FOR_CALIBRATE, ATTENTION, "N", 1, UINT64_MAX / 2, NULL,
          "Let the state of a text under the calibrated attention take at most N bytes. Default: "
          "what it takes if every head has --window and --features."),
    CHOICE(KEEP, "keep", 0, FOR_CALIBRATE, ATTENTION, "WHAT", "constant|recall", "constant",
           "What the few heads get that look far back for an answer. constant: one long window, as "
           "the budget allows, so that the state never grows. recall: the whole text, so that the "
           "model finds what softmax would find, with a state that grows by these heads' share."),
    NUMBER(RECALL_LOSS, "recall-loss", 0, FOR_CALIBRATE, ATTENTION, "X", 10, "0.05",
           "With --keep recall: how many nats per token an answer may lose against softmax. Fewer "
           "heads stay exact if it is larger. 0: as many stay exact as --state-bytes has room for, "
           "at most a quarter."),
    COUNT(BUDGET_CONTEXT, "context", 'c', FOR_CALIBRATE, ATTENTION, "N", 1, MAX_CONTEXT, NULL,
          "Tokens of a text for which --state-bytes counts heads that stay exact, and the farthest "
          "that recall is looked at. Default: the trained context, at most 8192."),
    CHOICE(BUDGET_KV, "kv", 0, FOR_CALIBRATE, ATTENTION, "TYPE", "f32|f16|q8_0", "f32",
           "Type of keys and values that --state-bytes counts. Run the result with the same --kv."),
    COUNT(MEAN_WINDOW, "window", 0, FOR_CALIBRATE, ATTENTION, "W", 0, MAX_CONTEXT, "64",
          "Attend to the last W tokens exactly, on average over the heads."),
    COUNT(MEAN_FEATURES, "features", 0, FOR_CALIBRATE, ATTENTION, "M", 0, 4096, "64",
          "Features per KV head, on average over the heads. 0: windows only (attention local)."),
    COUNT(KEPT_SINKS, "sinks", 0, FOR_CALIBRATE, ATTENTION, "S", 0, 4096, "4",
          "Attend to the first S tokens exactly."),
    SWITCH(NO_BUDGET, "no-budget", 0, FOR_CALIBRATE, ATTENTION,
           "Give all heads the same window and the same number of features."),
    SWITCH(SAME_FEATURES, "same-features", 0, FOR_CALIBRATE, ATTENTION,
           "Give all heads the same number of features, so that only windows differ. Takes a third "
           "of the time."),
    SWITCH(NO_FIT, "no-fit", 0, FOR_CALIBRATE, ATTENTION,
           "Use the closed form only, with map favor++: an unbiased estimator of softmax whose "
           "features can be redrawn, in any number."),
    COUNT(STEPS, "steps", 0, FOR_CALIBRATE, ATTENTION, "N", 1, 100000, "900",
          "Steps for fitting a layer's features; a trial takes a quarter of them."),
    COUNT(CALIBRATION_SEED, "seed", 's', FOR_CALIBRATE, ATTENTION, "K", 0, UINT64_MAX, "1",
          "Seed for everything random: the same seed and number of threads give the same file."),
    SWITCH(UNCALIBRATED, "uncalibrated", 0, FOR_SESSIONS | FOR_INSPECT | FOR_EXPLAIN, ATTENTION,
           "favor: ignore the projections and the calibration stored in the checkpoint."),
    CHOICE(TRAIN_ATTENTION, "attention", 0, FOR_TRAIN, ATTENTION, "NAME", "softmax|favor", NULL,
           "The attention to learn with: softmax, or favor (Performer, FAVOR+). Default: that of "
           "--from, else softmax."),
    CHOICE_OR_COUNT(TRAIN_REDRAW, "redraw", 0, FOR_TRAIN, ATTENTION, "N", "never", 1, UINT32_MAX,
                    "100",
                    "favor: every head draws new features every N steps, so that the weights do "
                    "not learn one draw by heart. The last draw is stored. never: one draw."),

    /* Training. */
    CHOICE(SIZE, "size", 0, FOR_TRAIN, TRAINING, "NAME", "tiny|small|15M", "tiny",
           "Shape of a new model. tiny: 4 layers of width 128, 4 heads, context 256. small: 6 of "
           "256, 8 heads, context 512. 15M: 6 of 288, 6 heads, context 256. The options below "
           "change a part of it."),
    COUNT(LAYERS, "layers", 0, FOR_TRAIN, TRAINING, "L", 1, 1024, NULL, "Layers of a new model."),
    COUNT(WIDTH, "width", 0, FOR_TRAIN, TRAINING, "C", 2, 65536, NULL,
          "Width of the residual stream of a new model."),
    COUNT(HEADS, "heads", 0, FOR_TRAIN, TRAINING, "H", 1, 4096, NULL,
          "Query heads of a new model; each has C / H dimensions."),
    COUNT(KV_HEADS, "kv-heads", 0, FOR_TRAIN, TRAINING, "H", 1, 4096, NULL,
          "KV heads of a new model; query heads share them evenly. Default: as many as query "
          "heads."),
    COUNT(HIDDEN, "hidden", 0, FOR_TRAIN, TRAINING, "F", 1, 262144, NULL,
          "Width of the MLP of a new model. Default: that of --size; with --width, 8/3 of it."),
    COUNT(TRAIN_CONTEXT, "context", 'c', FOR_TRAIN, TRAINING, "N", 1, MAX_CONTEXT, NULL,
          "Tokens that a sequence predicts. Default: that of --size; with --from, the trained "
          "context, at most 1024."),
    COUNT(TRAIN_STEPS, "steps", 0, FOR_TRAIN, TRAINING, "N", 1, 1u << 30, NULL,
          "Steps to train for. Default: 1000, with --distill 150."),
    COUNT(BATCH, "batch", 0, FOR_TRAIN, TRAINING, "N", 1, 65536, NULL,
          "Sequences that are computed at once. Default: 16, with --distill 2."),
    COUNT(ACCUMULATE, "accumulate", 0, FOR_TRAIN, TRAINING, "N", 1, 65536, "1",
          "Batches whose gradients make a step together: a larger batch in the same memory."),
    NUMBER(LEARNING_RATE, "lr", 0, FOR_TRAIN, TRAINING, "X", 10, NULL,
           "The highest learning rate of AdamW; it falls to 0 along a cosine. Default: 0.002, with "
           "--from 0.0002, with --distill 0.0015."),
    COUNT(WARM_UP, "warm-up", 0, FOR_TRAIN, TRAINING, "N", 0, 1u << 30, "100",
          "Steps over which the learning rate rises, at most a tenth of all."),
    NUMBER(WEIGHT_DECAY, "weight-decay", 0, FOR_TRAIN, TRAINING, "X", 10, "0.1",
           "How much of a matrix each step takes away, times the learning rate. Not of what "
           "--distill learns."),
    NUMBER(CLIP, "clip", 0, FOR_TRAIN, TRAINING, "X", 1e30, "1",
           "Scale a gradient down to this norm if it is larger. 0: never."),
    COUNT(TRAIN_SEED, "seed", 's', FOR_TRAIN, TRAINING, "K", 0, UINT64_MAX, "1",
          "Seed of the first weights and of the choice of sequences: the same seed gives the same "
          "model, on any number of threads."),
    COUNT(EVAL_EVERY, "eval-every", 0, FOR_TRAIN, TRAINING, "N", 1, 1u << 30, NULL,
          "Measure the loss on what is held out every N steps. Default: 100, with --distill 25."),
    SWITCH(BOTH_ATTENTIONS, "both-attentions", 0, FOR_TRAIN, TRAINING,
           "Measure it with the other attention in place, too: softmax in a model that learns with "
           "favor, and favor (64 positive features) in one that learns with softmax."),
    SWITCH(DISTILL, "distill", 0, FOR_TRAIN, TRAINING,
           "Teach --from, a model that `performer calibrate` wrote, to say under Performer "
           "attention what it says under softmax. The features learn, and an update of low rank in "
           "the matrices of attention; all else is held fixed."),
    COUNT(RANK, "rank", 0, FOR_TRAIN, TRAINING, "R", 1, 1024, "8",
          "distill: the rank of that update."),
    COUNT(TRAIN_SECONDS, "seconds", 0, FOR_TRAIN, TRAINING, "N", 1, 100000000, NULL,
          "Stop after N seconds even if there are steps left, as Ctrl-C would."),
    SWITCH(RESUME, "resume", 0, FOR_TRAIN, TRAINING,
           "Go on with an interrupted run, from what it left in OUTPUT.train, exactly as it would "
           "have gone on. Give the same options again."),

    /* Output. */
    WRITE(OUTPUT, "output", 'o', FOR_CONVERT | FOR_CALIBRATE | FOR_TRAIN, OUTPUT, "FILE", GGUF,
          "The GGUF file to write. It is written completely or not at all."),
    CHOICE(CONVERT_TYPE, "type", 0, FOR_CONVERT | FOR_TRAIN, OUTPUT, "TYPE", TYPES, NULL,
           "Store matrices as f32, f16, bf16, q8_0 or q4_0. Without it every tensor keeps its "
           "type, as does any matrix whose rows do not fill whole blocks of the new type."),
    SWITCH(NO_ECHO, "no-echo", 0, FOR_GENERATE, OUTPUT, "Do not print the prompt first."),
    SWITCH(IDS, "ids", 0, FOR_TOKENIZE, OUTPUT, "Print only ids, one line per text."),
    WRITE(LOGITS, "logits", 0, FOR_EVAL, OUTPUT, "FILE", FLOATS,
          "Write the logits after every token as little-endian float32, [tokens][vocabulary]."),
    COUNT(BUCKET, "bucket", 0, FOR_EVAL, OUTPUT, "N", 1, UINT32_MAX, NULL,
          "Also report the loss for every N positions."),
    SWITCH(STEP, "step", 0, FOR_EXPLAIN, OUTPUT, "At a terminal, wait for Enter before each step."),
    SWITCH(ESTIMATE, "estimate", 0, FOR_EXPLAIN, OUTPUT,
           "Instead of the walk-through, compare the mean of the random features over many draws, "
           "and its standard error, with what they estimate."),
    COUNT(DRAWS, "draws", 0, FOR_EXPLAIN, OUTPUT, "N", 2, 1000000, "1000",
          "Number of draws for --estimate."),
    SWITCH(STATS_JSON, "stats-json", 0, FOR_GENERATE, OUTPUT,
           "Print the statistics as one line of JSON, the last on standard error."),
    SWITCH(JSON, "json", 0, FOR_ALL & ~FOR_CHAT, OUTPUT, "Print JSON on standard output."),
    SWITCH(CSV, "csv", 0, FOR_BENCH | FOR_COMPARE, OUTPUT, "Print comma-separated values."),
    COUNT(CONTINUE, "continue", 0, FOR_COMPARE, OUTPUT, "N", 0, 100000, "48",
          "Let every setting write N tokens, greedily, to continue the text (its first half, "
          "unless it is short or comes from -p). 0: none."),
    WRITE(HTML, "html", 0, FOR_COMPARE, OUTPUT, "FILE", HTML,
          "Also write a report with charts: one self-contained file for a browser."),
    WRITE(TRAIN_CSV, "csv", 0, FOR_TRAIN, OUTPUT, "FILE", CSV,
          "Also write the losses: one line per step, with comma-separated values."),
    WRITE(TRAIN_SVG, "svg", 0, FOR_TRAIN, OUTPUT, "FILE", SVG,
          "Also draw both curves, of the steps and of what is held out."),
    WRITE(SAVE_LORA, "save-lora", 0, FOR_TRAIN, OUTPUT, "FILE", GGUF,
          "distill: write the update here, as a LoRA adapter of llama.cpp's form, instead of "
          "merging it. The output then has only the new features, and remains the same model under "
          "softmax; give both: MODEL --lora FILE."),
    WRITE(
        EXPLAIN_HTML, "html", 0, FOR_EXPLAIN, OUTPUT, "FILE", HTML,
        "Instead of the walk-through, write a page for a browser: maps of every head, one token's "
        "way, and sliders. One self-contained file, for texts of up to 128 tokens."),
    SWITCH(FORCE, "force", 0,
           FOR_GENERATE | FOR_EVAL | FOR_COMPARE | FOR_CONVERT | FOR_CALIBRATE | FOR_EXPLAIN |
               FOR_TRAIN,
           OUTPUT,
           "Replace what is at the place of an output even if it is of another kind (a report over "
           "a model, say), or is an input of this run that is of the output's kind."),
    SWITCH(QUIET, "quiet", 'q', FOR_ALL, OUTPUT,
           "Print no progress, statistics or warnings on standard error."),

    /* Measurements and machine. */
    CHOICE(BENCH_TYPE, "type", 0, FOR_BENCH, MACHINE, "TYPE", ALL_TYPES, "f32",
           "Type of the random matrices of --shape: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, "
           "q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl or iq4_xs."),
    READ(BENCH_COMPARE, "compare", 0, FOR_BENCH, OUTPUT, "FILE.json",
         "Also show how many times as fast each test is as in an earlier run, whose --json is in "
         "this file, and the same for the shares of the limits."),
    COUNT(CONTEXT, "context", 'c', FOR_SESSIONS | FOR_INSPECT, MACHINE, "N", 1, MAX_CONTEXT, NULL,
          "The most tokens a text may have under softmax. May exceed the trained context if "
          "positions are rotary. With longrope (Phi-3, Phi-4 mini), more than the original context "
          "chooses the long factors. Default: the trained context, or longrope's original one."),
    COUNTS(CONTEXTS, "context", 'c', FOR_BENCH, MACHINE, "LIST", 1, MAX_CONTEXT, "256,1024",
           "Context lengths to measure, separated by commas."),
    SWITCH(SCALING, "scaling", 0, FOR_COMPARE, MACHINE,
           "Instead of reading a text, measure how time per token and state size grow with its "
           "length, for softmax and each --against (favor if there is none)."),
    COUNTS(SCALING_CONTEXTS, "contexts", 0, FOR_COMPARE, MACHINE, "LIST", 1, MAX_CONTEXT,
           "64,256,1024,4096,16384,65536", "Lengths for --scaling, separated by commas."),
    OPTIONAL_COUNTS(
        RECALL, "recall", 0, FOR_COMPARE, MACHINE, "[LIST]", 0, MAX_CONTEXT,
        "Also measure how far back each setting remembers, at these distances in tokens (default: "
        "128, 512 and 2048, or 8 and up if the trained context is below 1024). Tasks: a passage "
        "again, a pass key, many keys, the last value. They are made from the text, or of made "
        "sentences if none is given. KL is then measured on its first 1024 tokens."),
    COUNT(RECALL_SEED, "seed", 's', FOR_COMPARE, MACHINE, "K", 0, UINT64_MAX, "1",
          "Seed of the tasks of --recall: the same seed gives the same tasks."),
    COUNT(SCALING_SECONDS, "seconds", 0, FOR_COMPARE, MACHINE, "N", 1, 1000000, "240",
          "Time limit for all of --scaling, or for that part of --html (there 20 by default); "
          "lengths that would exceed it are left out."),
    COUNT(REPEAT, "repeat", 'r', FOR_BENCH, MACHINE, "N", 1, 1000, "5",
          "Measure N times and report the median. A measurement that takes more than a few seconds "
          "is repeated less often."),
    ROW(THREADS, "threads", 0, FOR_SESSIONS | FOR_BENCH | FOR_EXPLAIN | FOR_CALIBRATE | FOR_TRAIN,
        MACHINE, COUNT, "N", "Number of threads. Default, also with 0: one per physical core.",
        .most = 1024, .zero_is_default = true),
    SWITCH(LIMITS, "limits", 0, FOR_GENERATE, MACHINE,
           "Measure afterwards how fast this machine reads memory, and report the share of it that "
           "the text was written with."),
    SWITCH(FLOAT_ACTIVATIONS, "float-activations", 0, FOR_SESSIONS | FOR_BENCH | FOR_EXPLAIN,
           MACHINE,
           "Multiply quantised weights by float32 activations instead of int8: slower, but the "
           "reference."),
    SWITCH(HELP, "help", 'h', FOR_ALL, MACHINE, "Print this manual."),
};

#define USELESS_WITH(commands, id, ...)                                                            \
    {                                                                                              \
        (commands), FLAG_##id, false, { __VA_ARGS__, FLAG_END }                                    \
    }
#define USELESS_WITHOUT(commands, id, ...)                                                         \
    {                                                                                              \
        (commands), FLAG_##id, true, { __VA_ARGS__, FLAG_END }                                     \
    }

const flag_rule flag_rules[] = {
    USELESS_WITH(FOR_GENERATE, PROMPT, FLAG_PROMPT_FILE),
    USELESS_WITH(FOR_TOKENIZE, TEXT_ARGUMENT, FLAG_LINES_FILE),
    USELESS_WITH(FOR_TOKENIZE, DECODE, FLAG_NO_SPECIAL, FLAG_BOS, FLAG_IDS),
    USELESS_WITHOUT(FOR_TOKENIZE, ESCAPE, FLAG_LINES_FILE, FLAG_DECODE),
    USELESS_WITH(FOR_BENCH | FOR_COMPARE, JSON, FLAG_CSV),
    USELESS_WITHOUT(FOR_BENCH, BENCH_TYPE, FLAG_SHAPE),
    USELESS_WITH(FOR_COMPARE, SCALING, FLAG_TEXT_ARGUMENT, FLAG_TEXT_FILE, FLAG_TOKENS_FILE,
                 FLAG_SPLIT, FLAG_CONTINUE, FLAG_HTML, FLAG_CONTEXT, FLAG_RECALL),
    USELESS_WITHOUT(FOR_COMPARE, RECALL_SEED, FLAG_RECALL),
    USELESS_WITH(FOR_COMPARE, SCALING, FLAG_REFERENCE),
    USELESS_WITHOUT(FOR_COMPARE, SCALING_CONTEXTS, FLAG_SCALING, FLAG_HTML),
    USELESS_WITHOUT(FOR_COMPARE, SCALING_SECONDS, FLAG_SCALING, FLAG_HTML),
    USELESS_WITH(FOR_EXPLAIN, STEP, FLAG_JSON, FLAG_EXPLAIN_HTML),
    USELESS_WITH(FOR_EXPLAIN, ESTIMATE, FLAG_TO, FLAG_EXPLAIN_HTML),
    USELESS_WITHOUT(FOR_EXPLAIN, DRAWS, FLAG_ESTIMATE),
    USELESS_WITHOUT(FOR_GENERATE, FORCE, FLAG_SAVE_STATE),
    USELESS_WITHOUT(FOR_EVAL, FORCE, FLAG_LOGITS),
    USELESS_WITHOUT(FOR_COMPARE, FORCE, FLAG_HTML),
    USELESS_WITHOUT(FOR_EXPLAIN, FORCE, FLAG_EXPLAIN_HTML),
    USELESS_WITHOUT(FOR_GENERATE, REPEAT_LAST_N, FLAG_REPEAT_PENALTY, FLAG_PRESENCE_PENALTY,
                    FLAG_FREQUENCY_PENALTY),
    USELESS_WITHOUT(FOR_GENERATE, DRY_BASE, FLAG_DRY_MULTIPLIER),
    USELESS_WITHOUT(FOR_GENERATE, DRY_ALLOWED_LENGTH, FLAG_DRY_MULTIPLIER),
    USELESS_WITHOUT(FOR_GENERATE, DRY_LAST_N, FLAG_DRY_MULTIPLIER),
    USELESS_WITH(FOR_CALIBRATE, NO_FIT, FLAG_SAME_FEATURES),
    USELESS_WITH(FOR_TRAIN, FROM, FLAG_TRAIN_TOKENIZER, FLAG_PIECES, FLAG_SIZE, FLAG_LAYERS,
                 FLAG_WIDTH, FLAG_HEADS),
    USELESS_WITH(FOR_TRAIN, FROM, FLAG_KV_HEADS, FLAG_HIDDEN),
    USELESS_WITH(FOR_TRAIN, PIECES, FLAG_TRAIN_TOKENIZER),
    USELESS_WITHOUT(FOR_TRAIN, DISTILL, FLAG_FROM),
    USELESS_WITHOUT(FOR_TRAIN, RANK, FLAG_DISTILL),
    USELESS_WITHOUT(FOR_TRAIN, SAVE_LORA, FLAG_DISTILL),
    USELESS_WITH(FOR_TRAIN, DISTILL, FLAG_TRAIN_ATTENTION, FLAG_FEATURES, FLAG_MAP,
                 FLAG_PROJECTION),
    USELESS_WITH(FOR_TRAIN, DISTILL, FLAG_TRAIN_REDRAW, FLAG_ATTENTION_SEED, FLAG_WINDOW,
                 FLAG_SINKS),
    USELESS_WITH(FOR_TRAIN, DISTILL, FLAG_BOTH_ATTENTIONS),
    USELESS_WITH(FOR_CALIBRATE, NO_BUDGET, FLAG_SAME_FEATURES, FLAG_KEEP, FLAG_RECALL_LOSS,
                 FLAG_BUDGET_CONTEXT, FLAG_BUDGET_KV),
    USELESS_WITHOUT(FOR_CALIBRATE, RECALL_LOSS, FLAG_KEEP),
};
const size_t n_flag_rules = sizeof flag_rules / sizeof flag_rules[0];

const char *flag_fallback(const flag *f, int command) {
    return command == FOR_CHAT && f->chat_fallback ? f->chat_fallback : f->fallback;
}
