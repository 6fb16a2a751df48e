/* floor 3.0 - checkpoint: named tensors and metadata, whatever the format of the file.
 *
 * A format reader (gguf.c, llama2c.c, ...) maps a file and fills in a checkpoint. A family
 * (family.h) binds its tensors by name and shape; the writer (gguf_write.c) stores it. Metadata
 * keys and tensor names are GGUF's ("llama.block_count", "blk.0.attn_q.weight").
 */
#ifndef PF_CHECKPOINT_H
#define PF_CHECKPOINT_H

#include "error.h"
#include "file.h"
#include "tensor.h"

#define PF_MAX_DIMS 4

/* Makes the bytes of a tensor that no file holds as they are needed (strided, permuted, joined from
 * parts): out [tensor->bytes]. Keeps nothing; may be called again. */
struct pf_tensor;
typedef bool (*pf_tensor_make)(const void *context, const struct pf_tensor *tensor, void *out,
                               pf_error *error);

/* Shapes are in GGUF's order: shape[0] is the contiguous axis, so a matrix W [rows, cols] has
 * shape {cols, rows}. `data` is borrowed from the mapped file, or from memory that the
 * checkpoint owns. It is NULL if `make` makes the bytes, so that a conversion holds only one
 * such tensor at a time. */
typedef struct pf_tensor {
    char *name;
    pf_type type;
    uint32_t n_dims;
    uint64_t shape[PF_MAX_DIMS]; /* 1 beyond n_dims */
    const void *data;
    size_t bytes;
    pf_tensor_make make;
    const void *context;
} pf_tensor;

/* The values are GGUF's. */
typedef enum pf_meta_type {
    PF_META_U8,
    PF_META_I8,
    PF_META_U16,
    PF_META_I16,
    PF_META_U32,
    PF_META_I32,
    PF_META_F32,
    PF_META_BOOL,
    PF_META_STRING,
    PF_META_ARRAY,
    PF_META_U64,
    PF_META_I64,
    PF_META_F64,
    PF_META_TYPE_COUNT
} pf_meta_type;

typedef struct pf_text {
    const char *bytes; /* not NUL-terminated; may contain any byte */
    size_t size;
} pf_text;

typedef struct pf_meta {
    char *key;
    pf_meta_type type;
    pf_meta_type element_type; /* of an array; there are no arrays of arrays */
    size_t count;              /* elements of an array; otherwise 1 */
    union {
        uint64_t u;           /* unsigned integers, bool */
        int64_t i;            /* signed integers */
        double f;             /* F32, F64 */
        pf_text text;         /* STRING; borrowed from the file */
        const pf_text *texts; /* ARRAY of STRING [count]; owned by the checkpoint */
        const void *array;    /* ARRAY of numbers [count], little-endian, may be unaligned */
    } value;
} pf_meta;

typedef struct pf_checkpoint pf_checkpoint;

/* Returns an empty checkpoint; `path` names it in messages. */
pf_checkpoint *pf_checkpoint_new(const char *path, pf_error *error);
/* Frees everything that the checkpoint owns, mapped files included, so pointers borrowed from it
 * become invalid. NULL is allowed. */
void pf_checkpoint_free(pf_checkpoint *checkpoint);
const char *pf_checkpoint_path(const pf_checkpoint *checkpoint);

size_t pf_checkpoint_n_tensors(const pf_checkpoint *checkpoint);
const pf_tensor *pf_checkpoint_tensor(const pf_checkpoint *checkpoint, size_t index);
const pf_tensor *pf_checkpoint_find(const pf_checkpoint *checkpoint,
                                    const char *name); /* or NULL */

size_t pf_checkpoint_n_meta(const pf_checkpoint *checkpoint);
const pf_meta *pf_checkpoint_meta(const pf_checkpoint *checkpoint, size_t index);
const pf_meta *pf_checkpoint_find_meta(const pf_checkpoint *checkpoint,
                                       const char *key); /* or NULL */

/* Reading one value. True, with *value unchanged, if the key is absent. False, with a message that
 * names the key, if its value has the wrong type or is out of range. */
bool pf_checkpoint_get_u32(const pf_checkpoint *checkpoint, const char *key, uint32_t *value,
                           pf_error *error);
bool pf_checkpoint_get_f32(const pf_checkpoint *checkpoint, const char *key, float *value,
                           pf_error *error);
bool pf_checkpoint_get_bool(const pf_checkpoint *checkpoint, const char *key, bool *value,
                            pf_error *error);
bool pf_checkpoint_get_text(const pf_checkpoint *checkpoint, const char *key, pf_text *value,
                            pf_error *error);
bool pf_checkpoint_get_u64(const pf_checkpoint *checkpoint, const char *key, uint64_t *value,
                           pf_error *error);
/* The same for an array; *count is its length. *values points to numbers, little-endian and perhaps
 * unaligned (use memcpy), or if element_type is PF_META_STRING to an aligned pf_text [*count]. */
bool pf_checkpoint_get_array(const pf_checkpoint *checkpoint, const char *key,
                             pf_meta_type element_type, const void **values, size_t *count,
                             pf_error *error);

/* Filling in. Keys, names and metadata values are copied; tensor data is borrowed. The value of a
 * key that exists is replaced; a tensor name that exists is an error. */
bool pf_checkpoint_set_u32(pf_checkpoint *checkpoint, const char *key, uint32_t value,
                           pf_error *error);
bool pf_checkpoint_set_u64(pf_checkpoint *checkpoint, const char *key, uint64_t value,
                           pf_error *error);
bool pf_checkpoint_set_f32(pf_checkpoint *checkpoint, const char *key, float value,
                           pf_error *error);
bool pf_checkpoint_set_bool(pf_checkpoint *checkpoint, const char *key, bool value,
                            pf_error *error);
bool pf_checkpoint_set_text(pf_checkpoint *checkpoint, const char *key, const char *bytes,
                            size_t size, pf_error *error);
bool pf_checkpoint_set_texts(pf_checkpoint *checkpoint, const char *key, const pf_text *texts,
                             size_t count, pf_error *error);
bool pf_checkpoint_set_array(pf_checkpoint *checkpoint, const char *key, pf_meta_type element_type,
                             const void *values, size_t count, pf_error *error);
bool pf_checkpoint_add_tensor(pf_checkpoint *checkpoint, const char *name, pf_type type,
                              uint32_t n_dims, const uint64_t *shape, const void *data,
                              size_t bytes, pf_error *error);
/* Adds a tensor whose bytes `make` makes on demand. `context` must live as long as the
 * checkpoint. */
bool pf_checkpoint_add_made_tensor(pf_checkpoint *checkpoint, const char *name, pf_type type,
                                   uint32_t n_dims, const uint64_t *shape, size_t bytes,
                                   pf_tensor_make make, const void *context, pf_error *error);
/* Adds another checkpoint's tensor as `name`, as it is there: its data or what makes them is
 * borrowed. */
bool pf_checkpoint_share_tensor(pf_checkpoint *checkpoint, const char *name,
                                const pf_tensor *tensor, pf_error *error);
/* Lets `make` make the bytes of a tensor of this checkpoint from now on, in this type; its name and
 * shape remain. What it was can be the context: copy it before. */
void pf_checkpoint_remake_tensor(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_type type,
                                 size_t bytes, pf_tensor_make make, const void *context);
/* Ensures that a tensor of this checkpoint has data; makes it, into memory of the checkpoint, if
 * necessary. */
bool pf_checkpoint_need_data(pf_checkpoint *checkpoint, const pf_tensor *tensor, pf_error *error);
/* Zeroed memory for tensors of this checkpoint to point into; freed with the checkpoint. */
void *pf_checkpoint_alloc(pf_checkpoint *checkpoint, size_t bytes, const char *what,
                          pf_error *error);
/* For format readers: gives a mapped file to the checkpoint, which closes it, and zeroes *file. On
 * failure the file remains yours. */
bool pf_checkpoint_take_file(pf_checkpoint *checkpoint, pf_file *file, pf_error *error);
/* For format readers: gives the checkpoint an object to free with it, such as another checkpoint
 * that it borrows from. Objects are freed in reverse order. On failure the object remains yours. */
bool pf_checkpoint_take_object(pf_checkpoint *checkpoint, void *object, void (*release)(void *),
                               pf_error *error);
/* For format readers: sets `key` [key_size bytes, no NUL] to meta.value, replacing a value that
 * exists. The key is copied, meta.key is ignored; what meta.value points to must live as long as
 * the checkpoint. */
bool pf_checkpoint_put_meta(pf_checkpoint *checkpoint, const char *key, size_t key_size,
                            pf_meta meta, pf_error *error);
/* Removes all keys that start with `prefix`. Pointers borrowed from their values remain valid. */
void pf_checkpoint_drop_meta(pf_checkpoint *checkpoint, const char *prefix);
/* The size of one number of this type in bytes; 0 for strings and arrays. */
size_t pf_meta_type_bytes(pf_meta_type type);

#endif
