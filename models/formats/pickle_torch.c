/* floor 3.2 - pickle torch: the globals that a state_dict uses, and what they make. */
#include "pickle_torch.h"

#include <string.h>

typedef enum { ORDERED_DICT, TUPLE, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGE } global_role;

static const struct {
    const char *module, *name;
    global_role role;
    pf_storage_type type; /* of a STORAGE */
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"torch", "Size", TUPLE, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch", "FloatStorage", STORAGE, PF_STORAGE_F32},
    {"torch", "HalfStorage", STORAGE, PF_STORAGE_F16},
    {"torch", "BFloat16Storage", STORAGE, PF_STORAGE_BF16},
    {"torch", "DoubleStorage", STORAGE, PF_STORAGE_F64},
    {"torch", "LongStorage", STORAGE, PF_STORAGE_I64},
    {"torch", "IntStorage", STORAGE, PF_STORAGE_I32},
    {"torch", "ShortStorage", STORAGE, PF_STORAGE_I16},
    {"torch", "CharStorage", STORAGE, PF_STORAGE_I8},
    {"torch", "ByteStorage", STORAGE, PF_STORAGE_U8},
    {"torch", "BoolStorage", STORAGE, PF_STORAGE_BOOL},
};
#define N_GLOBALS ((int)(sizeof globals / sizeof *globals))

static bool slice_is(pf_slice slice, const char *text) {
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

/* A name for messages: at most 79 bytes, with ? for those that cannot be printed. */
static const char *printable(pf_slice name, char text[80]) {
    size_t n = name.size < 79 ? name.size : 79;
    for (size_t i = 0; i < n; i++)
        text[i] = name.data[i] > ' ' && name.data[i] < 0x7f ? (char)name.data[i] : '?';
    text[n] = '\0';
    return text;
}

bool pf_torch_push_global(pf_machine *m, pf_slice module, pf_slice name) {
    char a[80], b[80];
    for (int i = 0; i < N_GLOBALS; i++) {
        if (!slice_is(module, globals[i].module) || !slice_is(name, globals[i].name)) continue;
        pf_value *value = pf_machine_new(m, PF_VALUE_GLOBAL);
        if (value) value->as.global = i;
        return pf_machine_push(m, value);
    }
    return pf_fail(m->error,
                   "the pickle asks for %s.%s, which is not part of a state_dict; the file is "
                   "refused, and nothing in it was run; save only model.state_dict()",
                   printable(module, a), printable(name, b));
}

static const pf_value *argument(const pf_value *tuple, size_t index, pf_value_kind kind) {
    if (tuple->kind != PF_VALUE_LIST || index >= tuple->as.list.count) return NULL;
    const pf_value *item = tuple->as.list.items[index];
    return item->kind == kind ? item : NULL;
}

static bool is_sizes(const pf_value *list) {
    for (size_t i = 0; i < list->as.list.count; i++) {
        const pf_value *size = list->as.list.items[i];
        if (size->kind != PF_VALUE_INT || size->as.i < 0) return false;
    }
    return true;
}

/* (storage, offset, shape, strides, ...) */
static bool rebuild_tensor(pf_machine *m, const pf_value *arguments) {
    const pf_value *storage = argument(arguments, 0, PF_VALUE_STORAGE);
    const pf_value *offset = argument(arguments, 1, PF_VALUE_INT);
    const pf_value *shape = argument(arguments, 2, PF_VALUE_LIST);
    const pf_value *strides = argument(arguments, 3, PF_VALUE_LIST);
    if (!storage || !offset || offset->as.i < 0 || !shape || !strides || !is_sizes(shape) ||
        !is_sizes(strides) || shape->as.list.count != strides->as.list.count)
        return pf_machine_fail(m, "a tensor lacks a valid storage, offset, shape or strides");
    pf_value *tensor = pf_machine_new(m, PF_VALUE_TENSOR);
    if (!tensor) return false;
    tensor->as.tensor.storage = storage;
    tensor->as.tensor.shape = shape;
    tensor->as.tensor.strides = strides;
    tensor->as.tensor.offset = offset->as.i;
    return pf_machine_push(m, tensor);
}

/* Pushes a dict of the pairs in the first argument, if there is one. */
static bool make_dict(pf_machine *m, const pf_value *arguments) {
    const pf_value *pairs = argument(arguments, 0, PF_VALUE_LIST);
    pf_value *dict = pf_machine_new(m, PF_VALUE_DICT);
    if (!dict) return false;
    for (size_t i = 0; pairs && i < pairs->as.list.count; i++) {
        const pf_value *pair = pairs->as.list.items[i];
        if (pair->kind != PF_VALUE_LIST || pair->as.list.count != 2)
            return pf_machine_fail(m, "an OrderedDict is not made of pairs");
        if (!pf_machine_add(m, dict, pair->as.list.items, 2)) return false;
    }
    return pf_machine_push(m, dict);
}

bool pf_torch_reduce(pf_machine *m) {
    const pf_value *arguments = pf_machine_pop(m), *called = arguments ? pf_machine_pop(m) : NULL;
    if (!called) return false;
    if (called->kind != PF_VALUE_GLOBAL || arguments->kind != PF_VALUE_LIST)
        return pf_machine_fail(m, "it calls something that is not a function");
    pf_value *first = arguments->as.list.count ? arguments->as.list.items[0] : NULL;
    switch (globals[called->as.global].role) {
    case ORDERED_DICT:
        return make_dict(m, arguments);
    case TUPLE:
        if (first && first->kind == PF_VALUE_LIST) return pf_machine_push(m, first);
        return pf_machine_fail(m, "a torch.Size has no sizes");
    case REBUILD_TENSOR:
        return rebuild_tensor(m, arguments);
    case REBUILD_PARAMETER:
        if (first && first->kind == PF_VALUE_TENSOR) return pf_machine_push(m, first);
        return pf_machine_fail(m, "a parameter is not a tensor");
    case STORAGE:
        break;
    }
    return pf_machine_fail(m, "it calls something that is not a function");
}

bool pf_torch_persistent_id(pf_machine *m) {
    const pf_value *id = pf_machine_pop(m);
    if (!id) return false;
    const pf_value *what = argument(id, 0, PF_VALUE_TEXT), *type = argument(id, 1, PF_VALUE_GLOBAL);
    const pf_value *key = argument(id, 2, PF_VALUE_TEXT), *count = argument(id, 4, PF_VALUE_INT);
    bool good =
        what && type && key && count && count->as.i >= 0 &&
        slice_is((pf_slice){(const uint8_t *)what->as.text.bytes, what->as.text.size}, "storage") &&
        globals[type->as.global].role == STORAGE;
    if (!good) return pf_machine_fail(m, "a persistent id is not a storage");
    pf_value *storage = pf_machine_new(m, PF_VALUE_STORAGE);
    if (!storage) return false;
    storage->as.storage.type = globals[type->as.global].type;
    storage->as.storage.key = key;
    storage->as.storage.count = count->as.i;
    return pf_machine_push(m, storage);
}

/* An OrderedDict of parameters has an attribute _metadata, which we do not need. */
bool pf_torch_build(pf_machine *m) {
    const pf_value *state = pf_machine_pop(m), *object = state ? pf_machine_top(m) : NULL;
    if (!object) return false;
    return object->kind == PF_VALUE_DICT ||
           pf_machine_fail(m, "it sets attributes of a value that has none");
}
