/* floor 5.1 - options: a command line, checked against the table of flags.
 *
 * Written as --name VALUE, --name=VALUE, -x VALUE or -xVALUE; `--` ends the options; an option given
 * twice holds with its last value. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "error.h"
#include "flags.h"

enum { OPTIONS_MAX_LIST = 64, OPTIONS_MAX_REPEATS = 256 };

typedef union option_value {
    const char *text; /* FLAG_TEXT, FLAG_CHOICE (as typed), and both kinds of list */
    uint64_t count;   /* FLAG_COUNT */
    double number;    /* FLAG_NUMBER */
} option_value;

typedef struct options {
    int command;                   /* FOR_... */
    const char *model;             /* MODEL, or NULL */
    bool given[FLAG_END];          /* named on the command line */
    option_value values[FLAG_END]; /* given, or the table's fallback; zero where there is neither */
    struct {
        flag_id id;
        const char *text;
    } repeated[OPTIONS_MAX_REPEATS]; /* every value of a flag that repeats, in order */
    size_t n_repeated;
} options;

/* Reads arguments [count] behind the command's name; texts are borrowed from them. False with a
 * sentence that names the argument and says what is allowed (a wrong usage: exit 2). */
bool options_parse(int command, int count, char *const *arguments, options *parsed,
                   pf_error *error);

/* A list's members; returns how many (at most OPTIONS_MAX_LIST). */
size_t options_counts(const options *parsed, flag_id id, uint64_t *values);
size_t options_choices(const options *parsed, flag_id id, char (*names)[32]);

/* Every value given to a flag that repeats, in order, to texts [OPTIONS_MAX_REPEATS]; returns how
 * many. */
size_t options_repeats(const options *parsed, flag_id id, const char **texts);

/* Sets options from "choice,name=value,switch,...": the first item is the value of flag `head`, the
 * others are long names of the command's flags, with their values. Copies nothing: `setting` is cut
 * into pieces in place, and must outlive *parsed. */
bool options_parse_setting(options *parsed, flag_id head, char *setting, pf_error *error);

/* The strict readers behind it: whole text, digits only or a plain decimal number; false otherwise. */
bool parse_count(const char *text, uint64_t *value);
bool parse_number(const char *text, double *value);

/* Of names [n], the one nearest to `text` by insertions, deletions, changes and swaps. */
const char *nearest_name(const char *text, const char *const *names, size_t n);

#endif
