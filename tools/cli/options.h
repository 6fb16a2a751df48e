/* floor 5.1 - options: a command line, checked against the table of flags.
 *
 * Options are written as --name VALUE, --name=VALUE, -x VALUE or -xVALUE; `--` ends them. If an
 * option is given twice, its last value counts. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "error.h"
#include "flags.h"

enum { OPTIONS_MAX_LIST = 64, OPTIONS_MAX_REPEATS = 256 };

typedef union option_value {
    const char *text; /* FLAG_TEXT, FLAG_CHOICE and both kinds of list, as typed */
    uint64_t count;   /* FLAG_COUNT */
    double number;    /* FLAG_NUMBER */
} option_value;

typedef struct options {
    int command;                   /* FOR_... */
    const char *model;             /* MODEL, or NULL */
    bool given[FLAG_END];          /* on the command line */
    option_value values[FLAG_END]; /* the value given, else the table's fallback, else zero */
    struct {
        flag_id id;
        const char *text;
    } repeated[OPTIONS_MAX_REPEATS]; /* every value of the flags that repeat, in order */
    size_t n_repeated;
    const struct alias *ignored; /* an option of another program that has no effect here; or NULL */
    const char *kv_alias;        /* the value of -ctk or -ctv, which must agree */
} options;

/* Parses arguments [count], those after the command's name; texts are borrowed from them. Fails
 * with a message that names the argument and says what is allowed (a usage error: exit 2). */
bool options_parse(int command, int count, char *const *arguments, options *parsed,
                   pf_error *error);

/* As if "--NAME text" were on the command line, for a flag that takes a text and is not given. */
void options_give_text(options *parsed, flag_id id, const char *text);

/* Write the items of a list and return their number, at most OPTIONS_MAX_LIST. */
size_t options_counts(const options *parsed, flag_id id, uint64_t *values);
size_t options_choices(const options *parsed, flag_id id, char (*names)[32]);

/* Writes every value given to a flag that repeats, in order, to texts [OPTIONS_MAX_REPEATS];
 * returns their number. */
size_t options_repeats(const options *parsed, flag_id id, const char **texts);

/* Sets options from "choice,name=value,switch,...": the first item is the value of flag `head`, the
 * others are long names of the command's flags with their values. Copies nothing: splits `setting`
 * in place, which must outlive *parsed. */
bool options_parse_setting(options *parsed, flag_id head, char *setting, pf_error *error);

/* Sets the option with this long name. False, and nothing changes, if the command has no such
 * option in `group`, it takes no value or may repeat, or the value is not allowed. */
bool options_set(options *parsed, flag_group group, const char *name, const char *value,
                 pf_error *error);

/* Strict parsers: all of the text must be digits, or a plain decimal number; otherwise false. */
bool parse_count(const char *text, uint64_t *value);
bool parse_number(const char *text, double *value);

/* What to say after an unknown name: "; the nearest is --NAME", or "; the nearest are ..." for
 * names that all begin with `text`, or nothing if no name is near. Names [n] that begin with `text`
 * come first, then the one that takes the fewest insertions, deletions, changes and swaps. Writes
 * to hint [NAME_HINT_SIZE] and returns it. */
enum { NAME_HINT_SIZE = 256 };
const char *name_hint(const char *text, const char *const *names, size_t n, const char *dashes,
                      char *hint);

#endif
