/* floor 5.2 - commands: what main.c needs to know of each command, and the prose of its manual. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "options.h"

typedef struct command {
    const char *name;
    int bit;              /* FOR_... */
    const char *usage;    /* what follows "performer NAME " */
    const char *summary;  /* one line for `performer --help` */
    const char *manual;   /* paragraphs, separated by blank lines; wrapped when printed */
    const char *examples; /* one command per line, as you would type it */
    int (*run)(const options *parsed); /* returns the exit status; reports its own errors */
} command;

extern const command command_generate, command_eval, command_convert, command_inspect,
    command_tokenize, command_bench, command_compare, command_explain, command_chat,
    command_calibrate, command_train;

#endif
