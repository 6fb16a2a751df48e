/* floor 3.0 - pickle value: the contents of a pickle as data. */
#ifndef PF_PICKLE_VALUE_H
#define PF_PICKLE_VALUE_H

#include <stddef.h>
#include <stdint.h>

typedef enum pf_value_kind {
    PF_VALUE_NONE,
    PF_VALUE_BOOL,
    PF_VALUE_INT,
    PF_VALUE_FLOAT,
    PF_VALUE_TEXT,
    PF_VALUE_LIST, /* lists and tuples */
    PF_VALUE_DICT, /* items: key, value, key, value, ... in the order of the file */
    PF_VALUE_STORAGE,
    PF_VALUE_TENSOR,
    PF_VALUE_GLOBAL, /* a global that pickle_torch.c knows */
} pf_value_kind;

typedef enum pf_storage_type {
    PF_STORAGE_F32,
    PF_STORAGE_F16,
    PF_STORAGE_BF16,
    PF_STORAGE_F64,
    PF_STORAGE_I64,
    PF_STORAGE_I32,
    PF_STORAGE_I16,
    PF_STORAGE_I8,
    PF_STORAGE_U8,
    PF_STORAGE_BOOL,
} pf_storage_type;

typedef struct pf_value {
    pf_value_kind kind;
    union {
        int64_t i; /* BOOL and INT */
        double f;
        struct {
            const char *bytes; /* not NUL-terminated; may contain any byte */
            size_t size;
        } text;
        struct {
            struct pf_value **items; /* LIST [count], DICT [2 * count] */
            size_t count, room;
        } list;
        struct {
            pf_storage_type type;
            const struct pf_value *key; /* TEXT: KEY of the record data/KEY in the archive */
            int64_t count;              /* elements; not negative */
        } storage;
        struct {
            const struct pf_value *storage;         /* STORAGE */
            const struct pf_value *shape, *strides; /* LISTs of INTs, of equal length, not negative,
                                                       outermost axis first */
            int64_t offset;                         /* elements; not negative */
        } tensor;
        int global; /* private */
    } as;
} pf_value;

#endif
