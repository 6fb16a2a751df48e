/* floor 5.9 - main: finds the command, checks its options, runs it. */
#include "address_space.h"
#include "aliases.h"
#include "completion.h"
#include "given_texts.h"
#include "help.h"
#include "outputs.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

#ifndef PF_VERSION
#define PF_VERSION "0.1.0"
#endif

static const command *const commands[] = {&command_generate,  &command_chat,    &command_eval,
                                          &command_convert,   &command_inspect, &command_tokenize,
                                          &command_bench,     &command_compare, &command_explain,
                                          &command_calibrate, &command_train};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static int unknown_command(const char *name) {
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i]->name;
    char hint[NAME_HINT_SIZE];
    fprintf(stderr, "performer: unknown command \"%.40s\"%s (see performer --help)\n", name,
            name_hint(name, names, COMMANDS, "", hint));
    return EXIT_USAGE;
}

/* Checks that all the text printed so far was written. */
static int finish(void) {
    output out = {0};
    return output_finish(&out);
}

int main(int argc, char **argv) {
    address_space_suffices();
    terminal_start();
    if (argc < 2) {
        help_program(stderr, commands, COMMANDS);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        help_program(stdout, commands, COMMANDS);
        return finish();
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("performer " PF_VERSION);
        return finish();
    }
    if (strcmp(argv[1], "--completion") == 0) {
        if (argc == 3 && completion_print(stdout, argv[2], commands, COMMANDS)) return finish();
        fputs("performer: --completion takes the name of a shell: bash or zsh\n", stderr);
        return EXIT_USAGE;
    }
    bool manual = strcmp(argv[1], "help") == 0;
    const char *name = manual ? argv[2] : argv[1];
    const command *chosen = find_command(name);
    if (!chosen) return unknown_command(name);

    options parsed = {.command = chosen->bit};
    pf_error error = {0};
    bool good = manual || options_parse(chosen->bit, argc - 2, argv + 2, &parsed, &error);
    if (manual || parsed.given[FLAG_HELP]) {
        help_command(stdout, chosen);
        return finish();
    }
    if (!good) return complain_usage(chosen->name, "%s", error.message);
    bool needs_model = chosen->bit != FOR_TRAIN && !parsed.given[FLAG_SHAPE];
    if (!parsed.model && needs_model)
        return complain_usage(chosen->name, "no model is given; usage: performer %s %s",
                              chosen->name, chosen->usage);
    if (!outputs_check(&parsed, &error)) return complain(&error);
    if (parsed.ignored)
        note(&parsed, "performer: %s %s", parsed.ignored->typed, parsed.ignored->why);
    take_standard_input(&parsed);
    if (parsed.model) terminal_reading(parsed.model);
    return terminal_status(chosen->run(&parsed));
}
