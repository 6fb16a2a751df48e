/* floor 0.2 - files: read-only mappings, bounds-checked slices, and atomic writing. */
#ifndef PF_FILE_H
#define PF_FILE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A read-only view of bytes that it does not own. */
typedef struct pf_slice {
    const uint8_t *data;
    size_t size; /* bytes */
} pf_slice;

/* *part = the `size` bytes of `whole` from `offset` on. False if they are not all inside; checked
 * without overflow. Every pointer into a file's bytes is formed here. */
bool pf_slice_part(pf_slice whole, uint64_t offset, uint64_t size, pf_slice *part);

/* A file mapped read-only. Its pages are those of the page cache: nothing is copied. */
typedef struct pf_file {
    pf_slice bytes; /* valid until pf_file_close; an empty file has size 0 */
    char *path;     /* owned copy, for messages */
} pf_file;

/* Maps a regular file. A directory, a pipe or a missing file is an error that names the path. */
bool pf_file_open(const char *path, pf_file *file, pf_error *error);
void pf_file_close(pf_file *file); /* a zeroed pf_file is allowed */

/* True if both paths lead to the same file: by device and inode, so through links of either kind.
 * Paths at which there is nothing are the same if they have the same name in the same folder. */
bool pf_file_is_same(const char *a, const char *b);

/* Writes a file that appears complete or not at all: the bytes go to "<path>.<pid>.tmp" in the
 * same directory; commit flushes, syncs and renames it; abort (or a failed commit) removes it.
 * Links are followed. A file that exists keeps its mode and its owner; one that the user may not
 * write, or that nobody may, is refused. A new one has the mode 0666 less the umask. A path that
 * exists but is not a regular file (/dev/null, a pipe) is written directly, and so is the file
 * that standard output or standard error goes to (/dev/stdout). Messages name `path` as it is
 * given. */
typedef struct pf_writer pf_writer;
pf_writer *pf_writer_open(const char *path, pf_error *error);
/* For before a long computation: false, with its message, if pf_writer_open would fail now. Leaves
 * nothing behind, and does not open pipes and devices: opening can wait, and closing ends what the
 * other side reads. */
bool pf_writer_can_open(const char *path, pf_error *error);
bool pf_writer_write(pf_writer *writer, const void *bytes, size_t size, pf_error *error);
uint64_t pf_writer_offset(const pf_writer *writer); /* bytes written so far */
/* Overwrites bytes already written, such as a header whose sizes are known only at the end. */
bool pf_writer_patch(pf_writer *writer, uint64_t offset, const void *bytes, size_t size,
                     pf_error *error);
bool pf_writer_commit(pf_writer *writer, pf_error *error); /* frees the writer, also on failure */
void pf_writer_abort(pf_writer *writer);                   /* frees; NULL is allowed */

/* All of these in one: a file of these bytes, complete or not at all. */
bool pf_file_write(const char *path, const void *bytes, size_t size, pf_error *error);

/* Removes the temporary files of all open writers. Safe to call in a signal handler. */
void pf_writer_remove_all_temporaries(void);

#endif
