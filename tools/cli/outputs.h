/* floor 5.3 - outputs: no run overwrites what it reads, or what is of another kind. */
#ifndef OUTPUTS_H
#define OUTPUTS_H

#include "options.h"

/* Checks every output that the options name (flag.file), before the command does any work:
 *
 *   - it is no input of the run (MODEL, an option that names a file to read, standard input), by
 *     device and inode, nor read together with one (a folder's files, through links too; the parts
 *     of a split model; vocab.json and merges.txt), and not where another output or standard output
 *     goes. Two exceptions: `convert` may replace a MODEL that is one file, which then is the
 *     command's purpose; and with --force an output may replace an input that is one file of its
 *     own kind, such as a state that goes on;
 *   - what is there is of the output's kind, or empty, or a pipe or a character device, unless
 *     --force is given;
 *   - it can be written. Nothing stays behind.
 *
 * False with a message that names the option and what to do. */
bool outputs_check(const options *parsed, pf_error *error);

/* The same for an output that is named while a command runs; `name` is what messages call it. */
bool outputs_check_path(const options *parsed, const char *name, flag_file kind, const char *path,
                        pf_error *error);

#endif
