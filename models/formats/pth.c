/* floor 3.4 - PyTorch checkpoints (.pt, .pth): files of torch.save, from PyTorch 1.6 on. */
#include "pth.h"

#include "memory.h"
#include "pickle.h"
#include "strided.h"

#include <zip.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_RECORDS 65534
#define MAX_DEPTH 16
/* Values may be shared, so the walk can visit more of them than the pickle holds. */
#define MAX_VISITS ((size_t)1 << 20)
#define MAX_KEYS ((size_t)1 << 16) /* more values are left out: no model has its sizes there */
#define MAX_PATH 512
/* All tensors together may be this many times as large as the file, because storages may be
 * shared. */
#define MAX_SHARING 16

/* The open archive; owned by the checkpoint. */
typedef struct {
    zip_t *zip;
    size_t file_size;
    char prefix[MAX_PATH]; /* "model/" */
} archive;

/* Where the bytes of a tensor are. */
typedef struct {
    archive *archive;
    zip_uint64_t record;
    uint64_t record_bytes;
    pf_strided view;
} source;

typedef struct {
    archive *archive;
    pf_checkpoint *checkpoint;
    pf_error *error;
    char path[MAX_PATH];
    size_t visits, keys;
    uint64_t bytes; /* of all tensors so far */
} walk;

/* ---- records ---- */

static const uint8_t old_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                    0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

static bool is_old(pf_slice bytes) {
    return bytes.size >= sizeof old_magic && memcmp(bytes.data, old_magic, sizeof old_magic) == 0;
}

bool pf_pth_sniff(pf_slice bytes) {
    return is_old(bytes) || (bytes.size >= 4 && memcmp(bytes.data, "PK\3\4", 4) == 0);
}

static bool fail_zip(const archive *a, const char *what, pf_error *error) {
    return pf_fail(error, "%s: %s", what, zip_strerror(a->zip));
}

/* *size = the size of the record. Fails unless it is stored as it is and fits into the file. */
static bool check_record(const archive *a, zip_uint64_t record, uint64_t *size, pf_error *error) {
    zip_stat_t stat;
    *size = 0;
    const zip_uint64_t needed =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(a->zip, record, 0, &stat) != 0 || (stat.valid & needed) != needed)
        return fail_zip(a, "a record of the archive cannot be read", error);
    if (stat.comp_method != ZIP_CM_STORE || stat.encryption_method != ZIP_EM_NONE)
        return pf_fail(error,
                       "the record %.80s is compressed or encrypted, which torch.save never does; "
                       "load the file in PyTorch and save it again",
                       stat.name);
    if (stat.size > a->file_size)
        return pf_fail(error,
                       "the record %.80s claims %" PRIu64 " bytes, but the file has only %zu",
                       stat.name, (uint64_t)stat.size, a->file_size);
    *size = stat.size;
    return true;
}

/* out = bytes [first, first + size) of a record. If they reach to its end, the archive's checksum
 * is verified too. */
static bool read_record(const archive *a, zip_uint64_t record, uint64_t first, uint64_t size,
                        uint64_t record_bytes, void *out, pf_error *error) {
    zip_file_t *file = zip_fopen_index(a->zip, record, 0);
    if (!file) return fail_zip(a, "a record of the archive cannot be opened", error);
    char skipped[4096], *to = out;
    bool good = true;
    for (uint64_t left = first; good && left > 0;) {
        uint64_t n = left < sizeof skipped ? left : sizeof skipped;
        good = zip_fread(file, skipped, n) == (zip_int64_t)n;
        left -= n;
    }
    for (uint64_t left = size; good && left > 0;) {
        zip_int64_t n = zip_fread(file, to, left);
        good = n > 0;
        if (!good) break;
        to += n;
        left -= (uint64_t)n;
    }
    if (good && first + size == record_bytes) good = zip_fread(file, skipped, 1) == 0;
    if (!good)
        pf_fail(error, "a record of the archive is damaged or truncated (%s)",
                zip_file_strerror(file));
    zip_fclose(file);
    return good;
}

/* ---- tensors ---- */

static bool make_tensor(const void *context, const pf_tensor *tensor, void *out, pf_error *error) {
    const source *s = context;
    const pf_strided *view = &s->view;
    uint64_t first, extent = pf_strided_extent(view, &first);
    if (pf_strided_is_plain(view))
        return read_record(s->archive, s->record, first, tensor->bytes, s->record_bytes, out,
                           error);
    char *bytes = pf_calloc(extent, 1, tensor->name, error);
    bool good =
        bytes && read_record(s->archive, s->record, first, extent, s->record_bytes, bytes, error);
    if (good) pf_strided_gather(view, bytes, out);
    pf_free(bytes);
    return good;
}

bool pf_pth_is_same(const pf_tensor *a, const pf_tensor *b) {
    if (a->make != make_tensor || b->make != make_tensor) return false;
    const source *x = a->context, *y = b->context;
    bool same = x->archive == y->archive && x->record == y->record &&
                x->view.type == y->view.type && x->view.offset == y->view.offset;
    for (int i = 0; i < PF_MAX_DIMS; i++)
        same =
            same && x->view.shape[i] == y->view.shape[i] && x->view.stride[i] == y->view.stride[i];
    return same;
}

static bool find_storage(const walk *w, const pf_value *storage, source *s) {
    const pf_value *key = storage->as.storage.key;
    char name[MAX_PATH + 64];
    if (key->as.text.size > 32 || memchr(key->as.text.bytes, '\0', key->as.text.size))
        return pf_fail(w->error, "the tensor %s has a storage with an impossible name", w->path);
    snprintf(name, sizeof name, "%sdata/%.*s", w->archive->prefix, (int)key->as.text.size,
             key->as.text.bytes);
    zip_int64_t record = zip_name_locate(w->archive->zip, name, 0);
    if (record < 0)
        return pf_fail(w->error, "the record %s of the tensor %s is missing from the archive", name,
                       w->path);
    s->record = (zip_uint64_t)record;
    return check_record(w->archive, s->record, &s->record_bytes, w->error);
}

static bool set_axes(const walk *w, const pf_value *tensor, pf_strided *view) {
    const pf_value *shape = tensor->as.tensor.shape, *strides = tensor->as.tensor.strides;
    size_t n = shape->as.list.count;
    if (n > PF_MAX_DIMS)
        return pf_fail(w->error, "the tensor %s has %zu dimensions; at most %d are supported",
                       w->path, n, PF_MAX_DIMS);
    for (size_t i = 0; i < PF_MAX_DIMS; i++) view->shape[i] = 1, view->stride[i] = 0;
    for (size_t i = 0; i < n; i++) {
        view->shape[i] = (uint64_t)shape->as.list.items[n - 1 - i]->as.i;
        view->stride[i] = (uint64_t)strides->as.list.items[n - 1 - i]->as.i;
    }
    view->n_dims = n ? (uint32_t)n : 1;
    view->offset = (uint64_t)tensor->as.tensor.offset;
    view->type = tensor->as.tensor.storage->as.storage.type;
    return true;
}

static bool add_tensor(walk *w, const pf_value *tensor) {
    source found = {.archive = w->archive};
    uint64_t count;
    if (!set_axes(w, tensor, &found.view)) return false;
    for (uint32_t i = 0; i < PF_MAX_DIMS; i++)
        if (found.view.shape[i] == 0) return true;
    if (!find_storage(w, tensor->as.tensor.storage, &found)) return false;
    if (!pf_strided_check(&found.view, found.record_bytes, &count))
        return pf_fail(
            w->error,
            "the tensor %s does not fit into its storage of %" PRIu64 " bytes; the file "
            "is damaged, or the tensor is an expanded view: call .contiguous() before saving",
            w->path, found.record_bytes);
    pf_type type = pf_strided_type(&found.view);
    size_t bytes = (size_t)count * pf_row_bytes(type, 1); /* at most 4 times the file's size */
    w->bytes += bytes;
    if (w->bytes / MAX_SHARING > w->archive->file_size)
        return pf_fail(w->error,
                       "all tensors together are more than %d times as large as the file; it is "
                       "refused",
                       MAX_SHARING);
    source *kept = pf_checkpoint_alloc(w->checkpoint, sizeof *kept, "a tensor", w->error);
    if (!kept) return false;
    *kept = found;
    return pf_checkpoint_add_made_tensor(w->checkpoint, w->path, type, found.view.n_dims,
                                         found.view.shape, bytes, make_tensor, kept, w->error);
}

/* ---- values ---- */

static bool add_value(walk *w, const pf_value *value) {
    size_t n = strlen(w->path);
    pf_meta meta = {.count = 1};
    if (n == 0 || w->keys == MAX_KEYS) return true;
    w->keys++;
    switch (value->kind) {
    case PF_VALUE_BOOL:
        meta.type = PF_META_BOOL;
        meta.value.u = (uint64_t)value->as.i;
        break;
    case PF_VALUE_INT:
        meta.type = PF_META_I64;
        meta.value.i = value->as.i;
        break;
    case PF_VALUE_FLOAT:
        meta.type = PF_META_F64;
        meta.value.f = value->as.f;
        break;
    default:
        return pf_checkpoint_set_text(w->checkpoint, w->path, value->as.text.bytes,
                                      value->as.text.size, w->error);
    }
    return pf_checkpoint_put_meta(w->checkpoint, w->path, n, meta, w->error);
}

/* Appends ".name" to the path. False if it does not fit, or cannot be a name. */
static bool enter(walk *w, const char *name, size_t size) {
    size_t n = strlen(w->path), dot = n > 0;
    if (size == 0 || memchr(name, '\0', size) || size >= MAX_PATH - n - dot) return false;
    if (dot) w->path[n] = '.';
    memcpy(w->path + n + dot, name, size);
    w->path[n + dot + size] = '\0';
    return true;
}

static bool enter_key(walk *w, const pf_value *key) {
    char number[32];
    if (key->kind == PF_VALUE_TEXT) return enter(w, key->as.text.bytes, key->as.text.size);
    if (key->kind != PF_VALUE_INT) return false;
    return enter(w, number, (size_t)snprintf(number, sizeof number, "%" PRId64, key->as.i));
}

static bool visit(walk *w, const pf_value *value, int depth);

static bool visit_items(walk *w, const pf_value *container, int depth) {
    size_t n = strlen(w->path);
    bool dict = container->kind == PF_VALUE_DICT;
    for (size_t i = 0; i < container->as.list.count; i++) {
        const pf_value *item = container->as.list.items[dict ? 2 * i + 1 : i];
        const pf_value index = {.kind = PF_VALUE_INT, .as.i = (int64_t)i};
        /* A value that cannot be named is left out. */
        if (enter_key(w, dict ? container->as.list.items[2 * i] : &index) &&
            !visit(w, item, depth + 1))
            return false;
        w->path[n] = '\0';
    }
    return true;
}

static bool visit(walk *w, const pf_value *value, int depth) {
    if (depth > MAX_DEPTH)
        return pf_fail(w->error, "dicts and lists are nested more than %d deep", MAX_DEPTH);
    if (++w->visits > MAX_VISITS)
        return pf_fail(w->error, "there are more values than any model needs; the file is refused");
    switch (value->kind) {
    case PF_VALUE_TENSOR:
        return add_tensor(w, value);
    case PF_VALUE_LIST:
    case PF_VALUE_DICT:
        return visit_items(w, value, depth);
    case PF_VALUE_BOOL:
    case PF_VALUE_INT:
    case PF_VALUE_FLOAT:
    case PF_VALUE_TEXT:
        return add_value(w, value);
    default:
        return true;
    }
}

/* ---- the archive ---- */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Finds data.pkl, and so the prefix of all records. */
static bool find_pickle(archive *a, zip_uint64_t *record, pf_error *error) {
    zip_int64_t n = zip_get_num_entries(a->zip, 0);
    bool found = false, script = false;
    for (zip_uint64_t i = 0; i < (zip_uint64_t)n; i++) {
        const char *name = zip_get_name(a->zip, i, ZIP_FL_ENC_RAW);
        if (!name) continue;
        script |= ends_with(name, "/constants.pkl") || strstr(name, "/code/");
        size_t size = strlen(name);
        if (found || !ends_with(name, "data.pkl") || size - 8 >= sizeof a->prefix) continue;
        if (size > 8 && name[size - 9] != '/') continue;
        memcpy(a->prefix, name, size - 8);
        a->prefix[size - 8] = '\0';
        *record = i;
        found = true;
    }
    if (script)
        return pf_fail(error, "this is a TorchScript archive, a program with its weights; save "
                              "model.state_dict() with torch.save instead");
    return found ||
           pf_fail(error, "the zip archive has no data.pkl, so it is not a PyTorch checkpoint");
}

static bool check_byte_order(const archive *a, pf_error *error) {
    char name[MAX_PATH + 16], order[3] = "";
    snprintf(name, sizeof name, "%sbyteorder", a->prefix);
    zip_int64_t record = zip_name_locate(a->zip, name, 0);
    uint64_t size;
    if (record < 0) return true;
    if (!check_record(a, (zip_uint64_t)record, &size, error) ||
        !read_record(a, (zip_uint64_t)record, 0, size < 3 ? size : 3, size, order, error))
        return false;
    return memcmp(order, "big", 3) != 0 ||
           pf_fail(error,
                   "the file was saved on a big-endian machine; save it on a little-endian one");
}

static bool read_archive(archive *a, pf_checkpoint *checkpoint, pf_error *error) {
    walk w = {.archive = a, .checkpoint = checkpoint, .error = error};
    zip_uint64_t record = 0;
    uint64_t size;
    if (!find_pickle(a, &record, error) || !check_byte_order(a, error) ||
        !check_record(a, record, &size, error))
        return false;
    if (size > PF_PICKLE_MAX_BYTES) /* pf_pickle_read refuses it too, but only after we allocate */
        return pf_fail(error, "its pickle has %" PRIu64 " bytes, more than any model needs", size);
    void *bytes = pf_calloc(size, 1, "a pickle", error);
    bool good = bytes && read_record(a, record, 0, size, size, bytes, error);
    pf_pickle *pickle = good ? pf_pickle_read((pf_slice){bytes, size}, error) : NULL;
    good = pickle && visit(&w, pf_pickle_root(pickle), 0);
    pf_pickle_free(pickle);
    pf_free(bytes);
    return good;
}

static uint64_t number_at(pf_slice bytes, uint64_t offset, size_t size) {
    pf_slice part;
    uint64_t value = 0;
    if (!pf_slice_part(bytes, offset, size, &part)) return 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | part.data[i];
    return value;
}

/* libzip allocates a structure for every record that the archive claims to have, so we look at the
 * number first. It is in the end record, which is somewhere in the last 64 KiB of the file, and in
 * the ZIP64 end record, to which the locator just before the end record points. */
static bool has_few_records(pf_slice bytes) {
    const size_t end_size = 22, locator_size = 20, longest_comment = 65535;
    size_t most = end_size + longest_comment, at = bytes.size > most ? bytes.size - most : 0;
    for (; at + end_size <= bytes.size; at++) {
        if (number_at(bytes, at, 4) != 0x06054b50) continue;
        uint64_t end64 = at >= locator_size && number_at(bytes, at - locator_size, 4) == 0x07064b50
                             ? number_at(bytes, at - locator_size + 8, 8)
                             : UINT64_MAX - 64;
        if (number_at(bytes, at + 10, 2) > MAX_RECORDS ||
            number_at(bytes, end64 + 32, 8) > MAX_RECORDS)
            return false;
    }
    return true;
}

static void close_archive(void *object) {
    archive *a = object;
    if (a->zip) zip_discard(a->zip);
    pf_free(a);
}

bool pf_pth_read(pf_slice bytes, pf_checkpoint *checkpoint, pf_error *error) {
    zip_error_t reason;
    if (is_old(bytes))
        return pf_fail(error, "this file was saved by PyTorch before 1.6 (one stream of pickles); "
                              "load it in a newer PyTorch and save it again");
    if (!has_few_records(bytes))
        return pf_fail(error, "the archive has more than %d records, so it is not a checkpoint",
                       MAX_RECORDS);
    archive *a = pf_calloc(1, sizeof *a, "an archive", error);
    if (!a) return false;
    if (!pf_checkpoint_take_object(checkpoint, a, close_archive, error)) {
        close_archive(a);
        return false;
    }
    a->file_size = bytes.size;
    zip_error_init(&reason);
    zip_source_t *buffer = zip_source_buffer_create(bytes.data, bytes.size, 0, &reason);
    if (buffer) a->zip = zip_open_from_source(buffer, ZIP_RDONLY, &reason);
    if (!a->zip) {
        pf_fail(error,
                "this looks like a PyTorch checkpoint, but its zip archive cannot be read: %s",
                zip_error_strerror(&reason));
        zip_source_free(buffer);
    }
    zip_error_fini(&reason);
    return a->zip && read_archive(a, checkpoint, error);
}
