/* floor 0.2 - files: read-only mappings, bounds-checked slices, and atomic writing. */
#define _XOPEN_SOURCE 700 /* realpath, fdopen, fsync */
#include "file.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool pf_slice_part(pf_slice whole, uint64_t offset, uint64_t size, pf_slice *part) {
    if (offset > whole.size || size > whole.size - offset) return false;
    /* An empty slice may have no data at all; adding 0 to NULL is not defined. */
    *part = (pf_slice){whole.data ? whole.data + offset : NULL, (size_t)size};
    return true;
}

/* ---- reading ---- */

bool pf_file_open(const char *path, pf_file *file, pf_error *error) {
    *file = (pf_file){0};
    /* With O_NONBLOCK, opening a pipe does not wait for its writer. Pipes are refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return pf_fail(error, "cannot open %s: %s", path, strerror(errno));

    struct stat status;
    if (fstat(fd, &status) != 0) {
        pf_fail(error, "cannot read the status of %s: %s", path, strerror(errno));
        goto fail;
    }
    if (S_ISDIR(status.st_mode)) {
        pf_fail(error, "%s is a directory; name a file in it", path);
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        pf_fail(error, "%s is not a regular file; save it as a file first", path);
        goto fail;
    }
    if (status.st_size > 0) {
        size_t size = (size_t)status.st_size;
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            pf_fail(error, "cannot map %s (%zu bytes): %s", path, size, strerror(errno));
            goto fail;
        }
        file->bytes = (pf_slice){data, size};
    }
    file->path = pf_strndup(path, strlen(path), error);
    if (!file->path) goto fail;
    close(fd); /* the mapping stays */
    return true;

fail:
    close(fd);
    pf_file_close(file);
    return false;
}

void pf_file_close(pf_file *file) {
    if (file->bytes.data) munmap((void *)(uintptr_t)file->bytes.data, file->bytes.size);
    pf_free(file->path);
    *file = (pf_file){0};
}

/* ---- which file ---- */

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The folder of a path: its status, and the name in it. */
static bool folder_of(const char *path, struct stat *folder, const char **name) {
    char text[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    *name = path + length;
    if (length >= sizeof text) return false;
    memcpy(text, path, length);
    text[length] = '\0';
    return stat(length ? text : ".", folder) == 0;
}

bool pf_file_is_same(const char *a, const char *b) {
    struct stat x, y;
    bool x_exists = stat(a, &x) == 0, y_exists = stat(b, &y) == 0;
    if (x_exists || y_exists) return x_exists && y_exists && is_same(&x, &y);
    const char *x_name, *y_name;
    return folder_of(a, &x, &x_name) && folder_of(b, &y, &y_name) && is_same(&x, &y) &&
           strcmp(x_name, y_name) == 0;
}

/* ---- writing ---- */

struct pf_writer {
    FILE *stream;
    char *name;      /* the path as it was given, for messages */
    char *path;      /* the file that commit creates: links followed */
    char *temporary; /* the file being written; NULL: path itself is written directly */
    int slot;        /* in `temporaries`, or -1 */
    uint64_t offset;
};

/* The temporary files that a signal handler must remove. This is mutable global state because a
 * handler gets no argument through which it could reach a writer. Paths are copied into fixed
 * memory, so that none is freed while the handler reads it. If no slot is free, or a path is
 * longer than a slot, the handler does not remove that file. */
enum { SLOT_FREE, SLOT_CLAIMED, SLOT_USED };
#define N_SLOTS 8
static struct {
    atomic_int state;
    char path[PATH_MAX];
} temporaries[N_SLOTS];

static int slot_take(const char *path) {
    size_t size = strlen(path) + 1;
    if (size > PATH_MAX) return -1;
    for (int i = 0; i < N_SLOTS; i++) {
        int expected = SLOT_FREE;
        if (atomic_compare_exchange_strong(&temporaries[i].state, &expected, SLOT_CLAIMED)) {
            memcpy(temporaries[i].path, path, size);
            atomic_store(&temporaries[i].state, SLOT_USED);
            return i;
        }
    }
    return -1;
}

static void slot_release(int slot) {
    if (slot >= 0) atomic_store(&temporaries[slot].state, SLOT_FREE);
}

void pf_writer_remove_all_temporaries(void) {
    for (int i = 0; i < N_SLOTS; i++)
        if (atomic_load(&temporaries[i].state) == SLOT_USED) unlink(temporaries[i].path);
}

static void writer_free(pf_writer *writer) {
    pf_free(writer->temporary);
    pf_free(writer->path);
    pf_free(writer->name);
    pf_free(writer);
}

/* The path with symbolic links followed, so that the rename replaces the file and not the link. */
static char *resolve(const char *path, pf_error *error) {
    char *real = realpath(path, NULL);
    const char *name = real ? real : path;
    char *copy = pf_strndup(name, strlen(name), error);
    free(real);
    return copy;
}

/* Standard output or standard error, if one of them goes to this file; else -1. */
static int standard_stream(const struct stat *status) {
    static const int streams[] = {STDOUT_FILENO, STDERR_FILENO};
    struct stat stream;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (fstat(streams[i], &stream) == 0 && is_same(status, &stream)) return streams[i];
    return -1;
}

/* What is at a path that is to be written. */
typedef struct target {
    bool exists;
    bool direct; /* not a regular file, or a standard stream: written as it is */
    int stream;  /* the standard stream that goes there, or -1 */
    struct stat status;
} target;

static bool fail_target(const char *path, const char *why, pf_error *error) {
    return pf_fail(error, "cannot write %.300s: %s", path, why);
}

/* False if the path names nothing that may be written. */
static bool look_at(const char *path, target *at, pf_error *error) {
    *at = (target){.stream = -1};
    if (!*path) return pf_fail(error, "cannot write a file without a name; name one");
    at->exists = stat(path, &at->status) == 0;
    if (!at->exists) {
        struct stat link;
        if (errno != ENOENT) return fail_target(path, strerror(errno), error);
        if (lstat(path, &link) != 0) return true;
        return fail_target(path, "it is a link to a file that is not there; remove the link",
                           error);
    }
    if (S_ISDIR(at->status.st_mode))
        return fail_target(path, "it is a directory; name a file in it", error);
    if (S_ISSOCK(at->status.st_mode)) return fail_target(path, "it is a socket", error);
    at->stream = standard_stream(&at->status);
    at->direct = !S_ISREG(at->status.st_mode) || at->stream >= 0;
    if (at->stream >= 0) return true;
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return fail_target(path, strerror(errno), error);
    /* Root may write everything, but who took away all rights to write meant it. */
    if (S_ISREG(at->status.st_mode) && !(at->status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)))
        return fail_target(path, "it is read-only; make it writable, or name another file", error);
    return true;
}

/* Creates the temporary file; -1 with errno. Its name is new: an earlier process with the same
 * number may have been killed. A name that would be too long takes the place of the last bytes. */
static int create_temporary(pf_writer *writer) {
    enum { TRIES = 100, ROOM = 48 };
    size_t length = strlen(writer->path);
    for (int i = 0, cut = 0; i < TRIES; i++) {
        char again[16] = "";
        if (i) snprintf(again, sizeof again, ".%d", i);
        snprintf(writer->temporary, length + ROOM, "%.*s.%ld%s.tmp", (int)length - cut,
                 writer->path, (long)getpid(), again);
        writer->slot = slot_take(writer->temporary);
        int fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        int reason = errno;
        slot_release(writer->slot);
        writer->slot = -1;
        const char *slash = strrchr(writer->path, '/');
        size_t folder = slash ? (size_t)(slash - writer->path) + 1 : 0;
        bool shorten = reason == ENAMETOOLONG && !cut && length - folder > 2 * ROOM;
        if (shorten) cut = ROOM;
        errno = reason;
        if (reason != EEXIST && !shorten) return -1;
    }
    return -1;
}

/* Gives the new file the mode and the owner of the one that it will replace, before anything is in
 * it. */
static bool take_over(int fd, const target *at, const char *path, pf_error *error) {
    struct stat made;
    if (fstat(fd, &made) != 0) return fail_target(path, strerror(errno), error);
    bool same_owner = made.st_uid == at->status.st_uid && made.st_gid == at->status.st_gid;
    if (!same_owner && fchown(fd, at->status.st_uid, at->status.st_gid) != 0)
        return fail_target(path,
                           "it belongs to somebody else, and what replaces it would not; remove "
                           "it first, or name another file",
                           error);
    mode_t mode = at->status.st_mode & 07777;
    if ((made.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
        return fail_target(path, strerror(errno), error);
    return true;
}

static void drop_temporary(pf_writer *writer) {
    if (writer->temporary) unlink(writer->temporary);
    slot_release(writer->slot);
}

static int open_temporary(pf_writer *writer, const target *at, pf_error *error) {
    writer->temporary = pf_calloc(strlen(writer->path) + 48, 1, "a file name", error);
    if (!writer->temporary) return -1;
    int fd = create_temporary(writer);
    if (fd < 0) {
        pf_fail(error, "cannot %s %.300s: %s%s", at->exists ? "replace" : "create", writer->name,
                at->exists ? "no file can be created beside it: " : "", strerror(errno));
        return -1;
    }
    if (!at->exists || take_over(fd, at, writer->name, error)) return fd;
    close(fd);
    drop_temporary(writer);
    return -1;
}

static int open_direct(const char *path, const target *at, pf_error *error) {
    int fd =
        at->stream >= 0 ? fcntl(at->stream, F_DUPFD_CLOEXEC, 0) : open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) fail_target(path, strerror(errno), error);
    return fd;
}

static pf_writer *open_target(const char *path, const target *at, pf_error *error) {
    pf_writer *writer = pf_calloc(1, sizeof *writer, "a file writer", error);
    if (!writer) return NULL;
    writer->slot = -1;
    writer->name = pf_strndup(path, strlen(path), error);
    writer->path = writer->name ? resolve(path, error) : NULL;
    if (!writer->path) goto fail;
    int fd = at->direct ? open_direct(path, at, error) : open_temporary(writer, at, error);
    if (fd < 0) goto fail;
    writer->stream = fdopen(fd, "wb");
    if (writer->stream) return writer;
    fail_target(path, strerror(errno), error);
    close(fd);
    drop_temporary(writer);

fail:
    writer_free(writer);
    return NULL;
}

pf_writer *pf_writer_open(const char *path, pf_error *error) {
    target at;
    return look_at(path, &at, error) ? open_target(path, &at, error) : NULL;
}

bool pf_writer_can_open(const char *path, pf_error *error) {
    target at;
    if (!look_at(path, &at, error)) return false;
    if (at.direct) return true;
    pf_writer *writer = open_target(path, &at, error);
    pf_writer_abort(writer);
    return writer != NULL;
}

static bool fail_write(const pf_writer *writer, pf_error *error) {
    return fail_target(writer->name, strerror(errno), error);
}

bool pf_writer_write(pf_writer *writer, const void *bytes, size_t size, pf_error *error) {
    if (size > 0 && fwrite(bytes, 1, size, writer->stream) != size)
        return fail_write(writer, error);
    writer->offset += size;
    return true;
}

uint64_t pf_writer_offset(const pf_writer *writer) { return writer->offset; }

bool pf_writer_patch(pf_writer *writer, uint64_t offset, const void *bytes, size_t size,
                     pf_error *error) {
    if (offset > writer->offset || size > writer->offset - offset)
        return pf_fail(error, "cannot patch %s at byte %llu: only %llu bytes are written",
                       writer->name, (unsigned long long)offset,
                       (unsigned long long)writer->offset);
    if (fseeko(writer->stream, (off_t)offset, SEEK_SET) != 0 ||
        (size > 0 && fwrite(bytes, 1, size, writer->stream) != size) ||
        fseeko(writer->stream, (off_t)writer->offset, SEEK_SET) != 0)
        return fail_write(writer, error);
    return true;
}

bool pf_writer_commit(pf_writer *writer, pf_error *error) {
    /* A device or a pipe cannot be synced; flushing it reports its errors. */
    bool done =
        fflush(writer->stream) == 0 && (!writer->temporary || fsync(fileno(writer->stream)) == 0);
    if (!done) {
        fail_write(writer, error);
        pf_writer_abort(writer);
        return false;
    }
    done = fclose(writer->stream) == 0 &&
           (!writer->temporary || rename(writer->temporary, writer->path) == 0);
    if (!done) {
        fail_write(writer, error);
        if (writer->temporary) unlink(writer->temporary);
    }
    slot_release(writer->slot);
    writer_free(writer);
    return done;
}

void pf_writer_abort(pf_writer *writer) {
    if (!writer) return;
    fclose(writer->stream);
    drop_temporary(writer);
    writer_free(writer);
}

bool pf_file_write(const char *path, const void *bytes, size_t size, pf_error *error) {
    pf_writer *writer = pf_writer_open(path, error);
    if (writer && pf_writer_write(writer, bytes, size, error))
        return pf_writer_commit(writer, error);
    pf_writer_abort(writer);
    return false;
}
