/* floor 5.3 - help: the manuals that --help prints, from the commands and the table of flags. */
#ifndef HELP_H
#define HELP_H

#include "commands.h"

#include <stdio.h>

void help_program(FILE *out, const command *const *commands, size_t n);
void help_command(FILE *out, const command *shown);

#endif
