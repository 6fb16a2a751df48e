/* floor 5.2 - history file: the lines typed in earlier chats, in the user's state folder.
 *
 * One entry per line, oldest first; in an entry, \n is a line break and \\ a backslash. Each entry
 * is appended at once, by one write, so that chats at the same time do not disturb each other. The
 * file is readable by its owner only. */
#ifndef HISTORY_FILE_H
#define HISTORY_FILE_H

#include "error.h"

#include <stddef.h>

enum { HISTORY_ENTRIES = 500 };

/* $XDG_STATE_HOME/performer/history, by default ~/.local/state/performer/history. Writes it to path
 * [size]; false if there is no such folder to name, or it does not fit. */
bool history_file_path(char *path, size_t size);

/* Calls `add` for the last HISTORY_ENTRIES entries. A file that is not there has none. If the file
 * has grown to more than twice as many, it is shortened to them. */
typedef bool (*history_listener)(void *context, const char *entry);
bool history_file_read(const char *path, history_listener add, void *context, pf_error *error);

/* Adds an entry; makes the file and its folders if need be. */
bool history_file_add(const char *path, const char *entry, pf_error *error);

#endif
