/* floor 5.0 - flags: the one table of all options of all commands.
 *
 * To add an option, add a name to flag_id and a row to flags.c. Parsing (options.h), `--help`
 * (help.h) and the "unknown option" message all read that row. */
#ifndef FLAGS_H
#define FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits that say which commands take an option. */
enum {
    FOR_GENERATE = 1 << 0,
    FOR_EVAL = 1 << 1,
    FOR_CONVERT = 1 << 2,
    FOR_INSPECT = 1 << 3,
    FOR_TOKENIZE = 1 << 4,
    FOR_BENCH = 1 << 5,
    FOR_COMPARE = 1 << 6,
    FOR_CALIBRATE = 1 << 7,
    FOR_EXPLAIN = 1 << 8,
    FOR_CHAT = 1 << 9,
    FOR_TRAIN = 1 << 10,
    FOR_ALL = ~0,
    FOR_SESSIONS = FOR_GENERATE | FOR_EVAL | FOR_COMPARE | FOR_CHAT,
};

typedef enum flag_kind {
    FLAG_SWITCH,  /* takes no argument */
    FLAG_TEXT,    /* any text, even an empty one */
    FLAG_COUNT,   /* a whole number from `least` to `most` */
    FLAG_NUMBER,  /* a finite decimal number from `low` to `high` */
    FLAG_CHOICE,  /* one of `choices`, or if most > 0, a whole number from `least` to `most` */
    FLAG_COUNTS,  /* several of FLAG_COUNT, separated by commas */
    FLAG_CHOICES, /* several of FLAG_CHOICE, separated by commas */
} flag_kind;

/* What a FLAG_TEXT names, if it names a file: one to read, or one to write and of which kind
 * (outputs.h). A new kind needs a row in outputs.c. */
typedef enum flag_file {
    FILE_NONE,
    FILE_INPUT,
    FILE_GGUF,
    FILE_STATE,
    FILE_HTML,
    FILE_FLOATS,
    FILE_CSV,
    FILE_SVG,
    FILE_END
} flag_file;

/* The headings of --help, in this order. */
typedef enum flag_group {
    GROUP_INPUT,
    GROUP_SAMPLING,
    GROUP_ATTENTION,
    GROUP_TRAINING,
    GROUP_OUTPUT,
    GROUP_MACHINE,
    GROUP_COUNT
} flag_group;

typedef enum flag_id {
    FLAG_MODEL,
    FLAG_PROMPT,
    FLAG_PROMPT_FILE,
    FLAG_TEXT_ARGUMENT,
    FLAG_TEXT_FILE,
    FLAG_TOKENS_FILE,
    FLAG_SPLIT,
    FLAG_CALIBRATION_FILE,
    FLAG_CALIBRATION_TOKENS,
    FLAG_TRAIN_FILE,
    FLAG_TRAIN_SPLIT,
    FLAG_HOLD_OUT,
    FLAG_VALIDATION,
    FLAG_TRAIN_TOKENIZER,
    FLAG_PIECES,
    FLAG_FROM,
    FLAG_LENGTH,
    FLAG_TEXTS,
    FLAG_LINES_FILE,
    FLAG_DECODE,
    FLAG_ESCAPE,
    FLAG_NO_SPECIAL,
    FLAG_BOS,
    FLAG_TOKENIZER,
    FLAG_CONFIG,
    FLAG_LORA,
    FLAG_SHAPE,
    FLAG_LAYER,
    FLAG_HEAD,

    FLAG_N_TOKENS,
    FLAG_TEMPERATURE,
    FLAG_TOP_K,
    FLAG_TOP_P,
    FLAG_MIN_P,
    FLAG_SEED,
    FLAG_REPEAT_PENALTY,
    FLAG_REPEAT_LAST_N,
    FLAG_PRESENCE_PENALTY,
    FLAG_FREQUENCY_PENALTY,
    FLAG_DRY_MULTIPLIER,
    FLAG_DRY_BASE,
    FLAG_DRY_ALLOWED_LENGTH,
    FLAG_DRY_LAST_N,
    FLAG_STOP,
    FLAG_IGNORE_EOS,
    FLAG_SYSTEM,
    FLAG_TEMPLATE,
    FLAG_RAW,
    FLAG_NO_HISTORY,
    FLAG_SAVE_STATE,
    FLAG_LOAD_STATE,

    FLAG_AGAINST,
    FLAG_REFERENCE,
    FLAG_TO,
    FLAG_ATTENTION,
    FLAG_ATTENTIONS,
    FLAG_FEATURES,
    FLAG_MAP,
    FLAG_PROJECTION,
    FLAG_REDRAW,
    FLAG_WINDOW,
    FLAG_SINKS,
    FLAG_FORGET,
    FLAG_KV,
    FLAG_EPSILON,
    FLAG_ATTENTION_SEED,
    FLAG_UNCALIBRATED,
    FLAG_STATE_BYTES,
    FLAG_KEEP,
    FLAG_RECALL_LOSS,
    FLAG_BUDGET_CONTEXT,
    FLAG_BUDGET_KV,
    FLAG_MEAN_WINDOW,
    FLAG_MEAN_FEATURES,
    FLAG_KEPT_SINKS,
    FLAG_NO_BUDGET,
    FLAG_SAME_FEATURES,
    FLAG_NO_FIT,
    FLAG_STEPS,
    FLAG_CALIBRATION_SEED,
    FLAG_STABILIZER,
    FLAG_TRAIN_ATTENTION,
    FLAG_TRAIN_REDRAW,

    FLAG_SIZE,
    FLAG_LAYERS,
    FLAG_WIDTH,
    FLAG_HEADS,
    FLAG_KV_HEADS,
    FLAG_HIDDEN,
    FLAG_TRAIN_CONTEXT,
    FLAG_TRAIN_STEPS,
    FLAG_BATCH,
    FLAG_ACCUMULATE,
    FLAG_LEARNING_RATE,
    FLAG_WARM_UP,
    FLAG_WEIGHT_DECAY,
    FLAG_CLIP,
    FLAG_TRAIN_SEED,
    FLAG_EVAL_EVERY,
    FLAG_BOTH_ATTENTIONS,
    FLAG_DISTILL,
    FLAG_RANK,
    FLAG_TRAIN_SECONDS,
    FLAG_RESUME,

    FLAG_OUTPUT,
    FLAG_CONVERT_TYPE,
    FLAG_NO_ECHO,
    FLAG_IDS,
    FLAG_LOGITS,
    FLAG_BUCKET,
    FLAG_STEP,
    FLAG_ESTIMATE,
    FLAG_DRAWS,
    FLAG_STATS_JSON,
    FLAG_JSON,
    FLAG_CSV,
    FLAG_CONTINUE,
    FLAG_HTML,
    FLAG_TRAIN_CSV,
    FLAG_TRAIN_SVG,
    FLAG_SAVE_LORA,
    FLAG_EXPLAIN_HTML,
    FLAG_FORCE,
    FLAG_QUIET,

    FLAG_BENCH_TYPE,
    FLAG_BENCH_COMPARE,
    FLAG_CONTEXT,
    FLAG_CONTEXTS,
    FLAG_SCALING,
    FLAG_SCALING_CONTEXTS,
    FLAG_RECALL,
    FLAG_RECALL_SEED,
    FLAG_SCALING_SECONDS,
    FLAG_REPEAT,
    FLAG_THREADS,
    FLAG_LIMITS,
    FLAG_FLOAT_ACTIVATIONS,
    FLAG_HELP,
    FLAG_END
} flag_id;

typedef struct flag {
    const char *name; /* without the dashes */
    flag_kind kind;
    int commands; /* FOR_... */
    flag_group group;
    char letter;          /* the short form, or 0 */
    bool repeats;         /* may be given several times; see options_repeats */
    bool zero_is_default; /* 0 is as if the option was not given */
    bool optional;        /* of FLAG_COUNTS: the value may be left out; the fallback counts then */
    flag_file file;       /* FLAG_TEXT: whether it names a file */
    const char *argument; /* how --help shows the value: "N"; NULL for a switch */
    const char *choices;  /* e.g. "softmax|favor|local" */
    uint64_t least, most;
    double low, high;
    const char *no_limit; /* what -1 means, for a count that takes it (as UINT64_MAX); or NULL */
    const char *fallback; /* the default, as it would be typed; or NULL */
    const char *chat_fallback; /* the default of `chat`, if it has its own; or NULL */
    const char *help;          /* full sentences, wrapped when printed */
} flag;

extern const flag flags[FLAG_END];

/* The default of an option of this command, or NULL. */
const char *flag_fallback(const flag *f, int command);

/* What makes an option useless. Such a command line is refused, and --help says so. */
typedef struct flag_rule {
    int commands; /* FOR_..., where the rule holds */
    flag_id id;
    bool needs; /* true: no effect without one of `others`; false: none together with any of them */
    flag_id others[10]; /* ends with FLAG_END */
} flag_rule;

extern const flag_rule flag_rules[];
extern const size_t n_flag_rules;

#endif
