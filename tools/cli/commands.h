/* floor 5.2 - commands: what main.c needs of each command, and the prose of its manual. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "options.h"

typedef struct command {
    const char *name;
    int bit;              /* FOR_... */
    const char *usage;    /* behind "performer NAME " */
    const char *summary;  /* one line for `performer --help` */
    const char *manual;   /* paragraphs, with blank lines between; wrapped when printed */
    const char *examples; /* lines as they are typed */
    int (*run)(const options *parsed); /* returns the exit status; has said what failed */
} command;

extern const command command_generate, command_eval, command_convert, command_inspect,
    command_tokenize, command_bench, command_compare, command_explain, command_chat,
    command_calibrate;

#endif
