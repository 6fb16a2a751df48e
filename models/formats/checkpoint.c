/* floor 3.0 - checkpoint: named tensors and metadata, whatever format the file has.
 *
 * Invariant: `names` and `keys` index every entry of `tensors` and `metas` by its name, at most half
 * full. Whatever the checkpoint owns besides its tables is in `blocks` and dies with it; a replaced
 * value stays there until then. The hash is seeded from an address, so that no file can be prepared
 * whose names all fall into one place.
 */
#include "checkpoint.h"

#include "memory.h"

#include <string.h>

/* Far above any model's tables, and low enough to keep a hostile file's cost small. */
#define MAX_ENTRIES ((size_t)1 << 17)
#define MAX_NAME ((size_t)1024)

typedef struct {
    uint32_t *slots; /* entry + 1; 0: free */
    size_t n_slots;  /* a power of two, or 0 */
} name_index;

typedef struct {
    void *object;
    void (*release)(void *);
} owned_object;

struct pf_checkpoint {
    char *path;
    uint64_t seed;
    pf_tensor *tensors;
    size_t n_tensors, tensors_room;
    name_index names;
    pf_meta *metas;
    size_t n_metas, metas_room;
    name_index keys;
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
    checkpoint->seed = (uint64_t)(uintptr_t)checkpoint * UINT64_C(0x9e3779b97f4a7c15);
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
    pf_free(checkpoint->keys.slots);
    pf_free(checkpoint->metas);
    pf_free(checkpoint->names.slots);
    pf_free(checkpoint->tensors);
    pf_free(checkpoint->path);
    pf_free(checkpoint);
}

const char *pf_checkpoint_path(const pf_checkpoint *checkpoint) { return checkpoint->path; }

/* ---- memory ---- */

/* Doubles *array until it has room for one more entry. */
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

/* A copy with a NUL appended, owned by the checkpoint. */
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

static uint64_t hash_name(const pf_checkpoint *checkpoint, const char *name, size_t size) {
    uint64_t hash = checkpoint->seed ^ size;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 29;
    }
    return hash;
}

static const char *entry_name(const pf_checkpoint *checkpoint, const name_index *index,
                              size_t entry) {
    return index == &checkpoint->keys ? checkpoint->metas[entry].key
                                      : checkpoint->tensors[entry].name;
}

/* The slot of `name`, or the free slot where it would go. */
static size_t find_slot(const pf_checkpoint *checkpoint, const name_index *index, const char *name,
                        size_t size) {
    size_t slot = (size_t)hash_name(checkpoint, name, size) & (index->n_slots - 1);
    for (; index->slots[slot]; slot = (slot + 1) & (index->n_slots - 1)) {
        const char *other = entry_name(checkpoint, index, index->slots[slot] - 1);
        if (strncmp(other, name, size) == 0 && other[size] == '\0') break;
    }
    return slot;
}

/* Entry + 1 of `name`; 0 if there is none. */
static uint32_t find_entry(const pf_checkpoint *checkpoint, const name_index *index,
                           const char *name, size_t size) {
    return index->n_slots ? index->slots[find_slot(checkpoint, index, name, size)] : 0;
}

/* Makes sure that one more of `count` entries leaves the index at most half full. */
static bool index_room(const pf_checkpoint *checkpoint, name_index *index, size_t count,
                       pf_error *error) {
    if (2 * (count + 1) <= index->n_slots) return true;
    name_index grown = {NULL, index->n_slots ? index->n_slots * 2 : 64};
    grown.slots = pf_calloc(grown.n_slots, sizeof *grown.slots, "a checkpoint's tables", error);
    if (!grown.slots) return false;
    pf_free(index->slots);
    *index = grown;
    for (size_t entry = 0; entry < count; entry++) {
        const char *name = entry_name(checkpoint, index, entry);
        index->slots[find_slot(checkpoint, index, name, strlen(name))] = (uint32_t)entry + 1;
    }
    return true;
}

static bool check_name(const char *what, const char *name, size_t size, pf_error *error) {
    if (size == 0) return pf_fail(error, "a %s has an empty name", what);
    if (size > MAX_NAME)
        return pf_fail(error, "a %s has a name of %zu bytes; at most %zu are allowed", what, size,
                       MAX_NAME);
    if (memchr(name, '\0', size))
        return pf_fail(error, "the name of a %s has a zero byte in it", what);
    return true;
}

size_t pf_checkpoint_n_tensors(const pf_checkpoint *checkpoint) { return checkpoint->n_tensors; }

const pf_tensor *pf_checkpoint_tensor(const pf_checkpoint *checkpoint, size_t index) {
    return &checkpoint->tensors[index];
}

const pf_tensor *pf_checkpoint_find(const pf_checkpoint *checkpoint, const char *name) {
    uint32_t entry = find_entry(checkpoint, &checkpoint->names, name, strlen(name));
    return entry ? &checkpoint->tensors[entry - 1] : NULL;
}

size_t pf_checkpoint_n_meta(const pf_checkpoint *checkpoint) { return checkpoint->n_metas; }

const pf_meta *pf_checkpoint_meta(const pf_checkpoint *checkpoint, size_t index) {
    return &checkpoint->metas[index];
}

const pf_meta *pf_checkpoint_find_meta(const pf_checkpoint *checkpoint, const char *key) {
    uint32_t entry = find_entry(checkpoint, &checkpoint->keys, key, strlen(key));
    return entry ? &checkpoint->metas[entry - 1] : NULL;
}

/* ---- adding ---- */

static bool add_tensor(pf_checkpoint *checkpoint, const char *name, pf_tensor tensor,
                       const uint64_t *shape, pf_error *error) {
    uint32_t n_dims = tensor.n_dims;
    if (!check_name("tensor", name, strlen(name), error)) return false;
    if (pf_checkpoint_find(checkpoint, name))
        return pf_fail(error, "the tensor %s is there twice", name);
    if (n_dims < 1 || n_dims > PF_MAX_DIMS)
        return pf_fail(error, "the tensor %s has %u dimensions; 1 to %d are possible", name, n_dims,
                       PF_MAX_DIMS);
    if (checkpoint->n_tensors >= MAX_ENTRIES)
        return pf_fail(error, "more than %zu tensors; no model is known that needs so many",
                       MAX_ENTRIES);
    void *tensors = checkpoint->tensors;
    if (!make_room(&tensors, checkpoint->n_tensors, &checkpoint->tensors_room, sizeof(pf_tensor),
                   error))
        return false;
    checkpoint->tensors = tensors;
    if (!index_room(checkpoint, &checkpoint->names, checkpoint->n_tensors, error)) return false;
    for (uint32_t i = 0; i < PF_MAX_DIMS; i++) tensor.shape[i] = i < n_dims ? shape[i] : 1;
    tensor.name = copy_bytes(checkpoint, name, strlen(name), error);
    if (!tensor.name) return false;
    size_t slot = find_slot(checkpoint, &checkpoint->names, name, strlen(name));
    checkpoint->tensors[checkpoint->n_tensors++] = tensor;
    checkpoint->names.slots[slot] = (uint32_t)checkpoint->n_tensors;
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

bool pf_checkpoint_need_data(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_error *error) {
    if (tensor->data || !tensor->make) return true;
    pf_tensor *own = &checkpoint->tensors[tensor - checkpoint->tensors];
    void *bytes = pf_checkpoint_alloc(checkpoint, tensor->bytes, tensor->name, error);
    if (!bytes || !tensor->make(tensor->context, tensor, bytes, error)) return false;
    own->data = bytes;
    return true;
}

bool pf_checkpoint_put_meta(pf_checkpoint *checkpoint, const char *key, size_t key_size,
                            pf_meta meta, pf_error *error) {
    if (!check_name("metadata key", key, key_size, error)) return false;
    uint32_t entry = find_entry(checkpoint, &checkpoint->keys, key, key_size);
    if (entry) {
        meta.key = checkpoint->metas[entry - 1].key;
        checkpoint->metas[entry - 1] = meta;
        return true;
    }
    if (checkpoint->n_metas >= MAX_ENTRIES)
        return pf_fail(error, "more than %zu metadata keys; no model is known that needs so many",
                       MAX_ENTRIES);
    void *metas = checkpoint->metas;
    if (!make_room(&metas, checkpoint->n_metas, &checkpoint->metas_room, sizeof(pf_meta), error))
        return false;
    checkpoint->metas = metas;
    if (!index_room(checkpoint, &checkpoint->keys, checkpoint->n_metas, error)) return false;
    meta.key = copy_bytes(checkpoint, key, key_size, error);
    if (!meta.key) return false;
    size_t slot = find_slot(checkpoint, &checkpoint->keys, key, key_size);
    checkpoint->metas[checkpoint->n_metas++] = meta;
    checkpoint->keys.slots[slot] = (uint32_t)checkpoint->n_metas;
    return true;
}

void pf_checkpoint_drop_meta(pf_checkpoint *checkpoint, const char *prefix) {
    size_t kept = 0;
    name_index *keys = &checkpoint->keys;
    for (size_t i = 0; i < checkpoint->n_metas; i++)
        if (strncmp(checkpoint->metas[i].key, prefix, strlen(prefix)) != 0)
            checkpoint->metas[kept++] = checkpoint->metas[i];
    checkpoint->n_metas = kept;
    if (keys->n_slots) memset(keys->slots, 0, keys->n_slots * sizeof *keys->slots);
    for (size_t i = 0; i < kept; i++) {
        const char *key = checkpoint->metas[i].key;
        keys->slots[find_slot(checkpoint, keys, key, strlen(key))] = (uint32_t)i + 1;
    }
}
