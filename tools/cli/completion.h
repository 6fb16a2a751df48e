/* floor 5.3 - completion: scripts that let bash and zsh complete commands, options and values. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "commands.h"

#include <stdio.h>

/* Prints the script for "bash" or "zsh", made from the commands and the table of flags. False if
 * `shell` is another one. */
bool completion_print(FILE *out, const char *shell, const command *const *commands, size_t n);

#endif
