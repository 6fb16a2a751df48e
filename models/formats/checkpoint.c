/* floor 3.0 - checkpoint: named tensors and metadata, whatever the format of the file.
 *
 * Invariants: `names` maps the name of every tensor to its index. `keys` does the same for the
 * first n_indexed metadata entries; the others, if there are any, are found by a linear search.
 * Everything else that the checkpoint owns is in `blocks`, `files` and `objects` and is freed with
 * it, so a value that has been replaced remains valid until then.
 */
#include "checkpoint.h"

#include "map.h"
#include "memory.h"

#include <string.h>

/* More than any model needs, and few enough that a hostile file costs little. */
#define MAX_ENTRIES ((size_t)1 << 17)
#define MAX_NAME ((size_t)1024)

typedef struct {
    void *object;
    void (*release)(void *);
} owned_object;

struct pf_checkpoint {
    char *path;
    pf_tensor *tensors;
    size_t n_tensors, tensors_room;
    pf_map names; /* borrows the names of the tensors */
    pf_meta *metas;
    size_t n_metas, metas_room;
    pf_map keys; /* borrows the keys of the metas */
    size_t n_indexed;
    void **blocks;
    size_t n_blocks, blocks_room;
    pf_file *files;
    size_t n_files;
    owned_object *objects;
    size_t n_objects;
};

pf_checkpoint *pf_checkpoint_new(const char *path, pf_error *error) {
    pf_checkpoint *checkpoint = pf_calloc(1, sizeof *checkpoint, "a checkpoint", error);
    if (!checkpoint) return NULL;
    checkpoint->path = pf_strndup(path, strlen(path), error);
    if (!checkpoint->path) {
        pf_free(checkpoint);
        return NULL;
    }
    return checkpoint;
}

void pf_checkpoint_free(pf_checkpoint *checkpoint) {
    if (!checkpoint) return;
    while (checkpoint->n_objects > 0) {
        owned_object *last = &checkpoint->objects[--checkpoint->n_objects];
        last->release(last->object);
    }
    pf_free(checkpoint->objects);
    for (size_t i = 0; i < checkpoint->n_blocks; i++) pf_free(checkpoint->blocks[i]);
    for (size_t i = 0; i < checkpoint->n_files; i++) pf_file_close(&checkpoint->files[i]);
    pf_free(checkpoint->files);
    pf_free(checkpoint->blocks);
    pf_map_free(&checkpoint->keys);
    pf_free(checkpoint->metas);
    pf_map_free(&checkpoint->names);
    pf_free(checkpoint->tensors);
    pf_free(checkpoint->path);
    pf_free(checkpoint);
}

const char *pf_checkpoint_path(const pf_checkpoint *checkpoint) { return checkpoint->path; }

/* ---- memory ---- */

/* Makes room for one more entry, by doubling *array if it is full. */
static bool make_room(void **array, size_t count, size_t *room, size_t size, pf_error *error) {
    if (count < *room) return true;
    size_t wanted = *room ? *room * 2 : 32;
    void *grown = pf_realloc(*array, wanted, size, "a checkpoint's tables", error);
    if (!grown) return false;
    *array = grown;
    *room = wanted;
    return true;
}

void *pf_checkpoint_alloc(pf_checkpoint *checkpoint, size_t bytes, const char *what,
                          pf_error *error) {
    void *blocks = checkpoint->blocks;
    if (!make_room(&blocks, checkpoint->n_blocks, &checkpoint->blocks_room, sizeof(void *), error))
        return NULL;
    checkpoint->blocks = blocks;
    void *block = pf_calloc(bytes, 1, what, error);
    if (block) checkpoint->blocks[checkpoint->n_blocks++] = block;
    return block;
}

/* A copy that the checkpoint owns, with a NUL appended. */
static char *copy_bytes(pf_checkpoint *checkpoint, const void *bytes, size_t size,
                        pf_error *error) {
    char *copy = pf_checkpoint_alloc(checkpoint, size + 1, "a checkpoint's texts", error);
    if (copy && size > 0) memcpy(copy, bytes, size);
    return copy;
}

bool pf_checkpoint_take_file(pf_checkpoint *checkpoint, pf_file *file, pf_error *error) {
    pf_file *grown = pf_realloc(checkpoint->files, checkpoint->n_files + 1, sizeof *grown,
                                "a checkpoint's files", error);
    if (!grown) return false;
    checkpoint->files = grown;
    grown[checkpoint->n_files++] = *file;
    *file = (pf_file){0};
    return true;
}

bool pf_checkpoint_take_object(pf_checkpoint *checkpoint, void *object, void (*release)(void *),
                               pf_error *error) {
    owned_object *grown = pf_realloc(checkpoint->objects, checkpoint->n_objects + 1, sizeof *grown,
                                     "a checkpoint's tables", error);
    if (!grown) return false;
    checkpoint->objects = grown;
    grown[checkpoint->n_objects++] = (owned_object){object, release};
    return true;
}

/* ---- finding by name ---- */

static bool check_name(const char *what, const char *name, size_t size, pf_error *error) {
    if (size == 0) return pf_fail(error, "a %s has an empty name", what);
    if (size > MAX_NAME)
        return pf_fail(error, "a %s has a name of %zu bytes; at most %zu are allowed", what, size,
                       MAX_NAME);
    if (memchr(name, '\0', size))
        return pf_fail(error, "the name of a %s contains a zero byte", what);
    return true;
}

size_t pf_checkpoint_n_tensors(const pf_checkpoint *checkpoint) { return checkpoint->n_tensors; }

const pf_tensor *pf_checkpoint_tensor(const pf_checkpoint *checkpoint, size_t index) {
    return &checkpoint->tensors[index];
}

const pf_tensor *pf_checkpoint_find(const pf_checkpoint *checkpoint, const char *name) {
    size_t index;
    return pf_map_get(&checkpoint->names, name, strlen(name), &index) ? &checkpoint->tensors[index]
                                                                      : NULL;
}

size_t pf_checkpoint_n_meta(const pf_checkpoint *checkpoint) { return checkpoint->n_metas; }

const pf_meta *pf_checkpoint_meta(const pf_checkpoint *checkpoint, size_t index) {
    return &checkpoint->metas[index];
}

static bool find_meta(const pf_checkpoint *checkpoint, const char *key, size_t size,
                      size_t *index) {
    if (pf_map_get(&checkpoint->keys, key, size, index)) return true;
    for (*index = checkpoint->n_indexed; *index < checkpoint->n_metas; ++*index) {
        const char *other = checkpoint->metas[*index].key;
        if (strlen(other) == size && memcmp(other, key, size) == 0) return true;
    }
    return false;
}

const pf_meta *pf_checkpoint_find_meta(const pf_checkpoint *checkpoint, const char *key) {
    size_t index;
    return find_meta(checkpoint, key, strlen(key), &index) ? &checkpoint->metas[index] : NULL;
}

/* ---- adding ---- */

static bool add_tensor(pf_checkpoint *checkpoint, const char *name, pf_tensor tensor,
                       const uint64_t *shape, pf_error *error) {
    uint32_t n_dims = tensor.n_dims;
    if (!check_name("tensor", name, strlen(name), error)) return false;
    if (pf_checkpoint_find(checkpoint, name))
        return pf_fail(error, "the tensor %s is there twice", name);
    if (n_dims < 1 || n_dims > PF_MAX_DIMS)
        return pf_fail(error, "the tensor %s has %u dimensions; 1 to %d are supported", name,
                       n_dims, PF_MAX_DIMS);
    if (checkpoint->n_tensors >= MAX_ENTRIES)
        return pf_fail(error, "there are more than %zu tensors, and no known model needs so many",
                       MAX_ENTRIES);
    void *tensors = checkpoint->tensors;
    if (!make_room(&tensors, checkpoint->n_tensors, &checkpoint->tensors_room, sizeof(pf_tensor),
                   error))
        return false;
    checkpoint->tensors = tensors;
    for (uint32_t i = 0; i < PF_MAX_DIMS; i++) tensor.shape[i] = i < n_dims ? shape[i] : 1;
    tensor.name = copy_bytes(checkpoint, name, strlen(name), error);
    if (!tensor.name ||
        !pf_map_put(&checkpoint->names, tensor.name, strlen(name), checkpoint->n_tensors, error))
        return false;
    checkpoint->tensors[checkpoint->n_tensors++] = tensor;
    return true;
}

bool pf_checkpoint_add_tensor(pf_checkpoint *checkpoint, const char *name, pf_type type,
                              uint32_t n_dims, const uint64_t *shape, const void *data,
                              size_t bytes, pf_error *error) {
    pf_tensor tensor = {.type = type, .n_dims = n_dims, .data = data, .bytes = bytes};
    return add_tensor(checkpoint, name, tensor, shape, error);
}

bool pf_checkpoint_add_made_tensor(pf_checkpoint *checkpoint, const char *name, pf_type type,
                                   uint32_t n_dims, const uint64_t *shape, size_t bytes,
                                   pf_tensor_make make, const void *context, pf_error *error) {
    pf_tensor tensor = {
        .type = type, .n_dims = n_dims, .bytes = bytes, .make = make, .context = context};
    return add_tensor(checkpoint, name, tensor, shape, error);
}

bool pf_checkpoint_share_tensor(pf_checkpoint *c, const char *name, const pf_tensor *t,
                                pf_error *error) {
    if (!t->data)
        return pf_checkpoint_add_made_tensor(c, name, t->type, t->n_dims, t->shape, t->bytes,
                                             t->make, t->context, error);
    return pf_checkpoint_add_tensor(c, name, t->type, t->n_dims, t->shape, t->data, t->bytes,
                                    error);
}

void pf_checkpoint_remake_tensor(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_type type,
                                 size_t bytes, pf_tensor_make make, const void *context) {
    pf_tensor *own = &checkpoint->tensors[tensor - checkpoint->tensors];
    own->type = type;
    own->data = NULL;
    own->bytes = bytes;
    own->make = make;
    own->context = context;
}

bool pf_checkpoint_need_data(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_error *error) {
    if (tensor->data || !tensor->make) return true;
    pf_tensor *own = &checkpoint->tensors[tensor - checkpoint->tensors];
    void *bytes = pf_checkpoint_alloc(checkpoint, tensor->bytes, tensor->name, error);
    if (!bytes || !tensor->make(tensor->context, tensor, bytes, error)) return false;
    own->data = bytes;
    return true;
}

/* Indexes the keys that pf_checkpoint_drop_meta left without an index. */
static bool index_keys(pf_checkpoint *checkpoint, pf_error *error) {
    for (; checkpoint->n_indexed < checkpoint->n_metas; checkpoint->n_indexed++) {
        const char *key = checkpoint->metas[checkpoint->n_indexed].key;
        if (!pf_map_put(&checkpoint->keys, key, strlen(key), checkpoint->n_indexed, error))
            return false;
    }
    return true;
}

bool pf_checkpoint_put_meta(pf_checkpoint *checkpoint, const char *key, size_t key_size,
                            pf_meta meta, pf_error *error) {
    if (!check_name("metadata key", key, key_size, error)) return false;
    size_t index;
    if (find_meta(checkpoint, key, key_size, &index)) {
        meta.key = checkpoint->metas[index].key;
        checkpoint->metas[index] = meta;
        return true;
    }
    if (checkpoint->n_metas >= MAX_ENTRIES)
        return pf_fail(error,
                       "there are more than %zu metadata keys, and no known model needs so many",
                       MAX_ENTRIES);
    void *metas = checkpoint->metas;
    if (!make_room(&metas, checkpoint->n_metas, &checkpoint->metas_room, sizeof(pf_meta), error))
        return false;
    checkpoint->metas = metas;
    meta.key = copy_bytes(checkpoint, key, key_size, error);
    if (!meta.key || !index_keys(checkpoint, error) ||
        !pf_map_put(&checkpoint->keys, meta.key, key_size, checkpoint->n_metas, error))
        return false;
    checkpoint->metas[checkpoint->n_metas++] = meta;
    checkpoint->n_indexed++;
    return true;
}

/* Entries move, so the index of keys is dropped. Building it again could fail; index_keys does
 * it. */
void pf_checkpoint_drop_meta(pf_checkpoint *checkpoint, const char *prefix) {
    size_t kept = 0;
    for (size_t i = 0; i < checkpoint->n_metas; i++)
        if (strncmp(checkpoint->metas[i].key, prefix, strlen(prefix)) != 0)
            checkpoint->metas[kept++] = checkpoint->metas[i];
    if (kept == checkpoint->n_metas) return;
    checkpoint->n_metas = kept;
    pf_map_free(&checkpoint->keys);
    checkpoint->n_indexed = 0;
}
