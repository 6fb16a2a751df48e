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

/* ---- writing ---- */

struct pf_writer {
    FILE *stream;
    char *path;      /* the file that commit creates */
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

static int open_temporary(pf_writer *writer, pf_error *error) {
    size_t room = strlen(writer->path) + 32;
    writer->temporary = pf_calloc(room, 1, "a file name", error);
    if (!writer->temporary) return -1;
    snprintf(writer->temporary, room, "%s.%ld.tmp", writer->path, (long)getpid());
    writer->slot = slot_take(writer->temporary);
    int fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        pf_fail(error, "cannot create %s: %s", writer->temporary, strerror(errno));
        slot_release(writer->slot);
    }
    return fd;
}

pf_writer *pf_writer_open(const char *path, pf_error *error) {
    pf_writer *writer = pf_calloc(1, sizeof *writer, "a file writer", error);
    if (!writer) return NULL;
    writer->slot = -1;
    writer->path = resolve(path, error);
    if (!writer->path) goto fail;

    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        pf_fail(error, "cannot write %s: it is a directory; name a file in it", path);
        goto fail;
    }
    bool direct = exists && !S_ISREG(status.st_mode);
    int fd = direct ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(writer, error);
    if (fd < 0) {
        if (direct) pf_fail(error, "cannot write %s: %s", path, strerror(errno));
        goto fail;
    }
    writer->stream = fdopen(fd, "wb");
    if (!writer->stream) {
        pf_fail(error, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        if (!direct) unlink(writer->temporary);
        slot_release(writer->slot);
        goto fail;
    }
    return writer;

fail:
    writer_free(writer);
    return NULL;
}

static bool fail_write(const pf_writer *writer, pf_error *error) {
    return pf_fail(error, "cannot write %s: %s", writer->path, strerror(errno));
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
                       writer->path, (unsigned long long)offset,
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
    if (writer->temporary) unlink(writer->temporary);
    slot_release(writer->slot);
    writer_free(writer);
}
