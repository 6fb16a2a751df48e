/* floor 3.3 - pickle: reads the part of Python's pickles that a PyTorch state_dict needs, as
 * data. */
#include "pickle.h"

#include "memory.h"
#include "pickle_torch.h"

#include <inttypes.h>
#include <string.h>

struct pf_pickle {
    struct pf_value_block *blocks;
    const pf_value *root;
};

/* ---- numbers and strings; `size` is the size of the argument, or of the length before it ---- */

static bool push_int(pf_machine *m, int64_t number) {
    pf_value *value = pf_machine_new(m, PF_VALUE_INT);
    if (value) value->as.i = number;
    return pf_machine_push(m, value);
}

static bool push_unsigned(pf_machine *m, size_t size) {
    uint64_t number;
    return pf_machine_take_number(m, size, &number) && push_int(m, (int64_t)number);
}

static bool push_signed(pf_machine *m, size_t size) {
    uint64_t bits;
    return pf_machine_take_number(m, size, &bits) && push_int(m, (int32_t)(uint32_t)bits);
}

static bool push_bool(pf_machine *m, size_t truth) {
    pf_value *value = pf_machine_new(m, PF_VALUE_BOOL);
    if (value) value->as.i = (int64_t)truth;
    return pf_machine_push(m, value);
}

static bool push_float(pf_machine *m, double number) {
    pf_value *value = pf_machine_new(m, PF_VALUE_FLOAT);
    if (value) value->as.f = number;
    return pf_machine_push(m, value);
}

static bool push_double(pf_machine *m, size_t size) {
    pf_slice part;
    uint64_t bits = 0;
    double number;
    if (!pf_machine_take(m, size, &part)) return false;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | part.data[i]; /* big-endian, unlike all other numbers */
    memcpy(&number, &bits, sizeof bits);
    return push_float(m, number);
}

/* A two's complement integer of any length. One of more than 64 bits (a seed, say) becomes a
 * float. */
static bool push_long(pf_machine *m, size_t size) {
    uint64_t length;
    pf_slice part;
    if (!pf_machine_take_number(m, size, &length) || !pf_machine_take(m, length, &part))
        return false;
    bool negative = part.size > 0 && part.data[part.size - 1] >= 0x80;
    if (part.size <= 8) {
        uint64_t bits = negative ? UINT64_MAX : 0;
        int64_t number;
        for (size_t i = part.size; i-- > 0;) bits = bits << 8 | part.data[i];
        memcpy(&number, &bits, sizeof number);
        return push_int(m, number);
    }
    if (part.size > 64) return pf_machine_fail(m, "a number is longer than 64 bytes");
    double sum = negative ? -1 : 0;
    for (size_t i = part.size; i-- > 0;) sum = sum * 256 + part.data[i];
    return push_float(m, sum);
}

static bool push_text(pf_machine *m, size_t size) {
    uint64_t length;
    pf_slice part;
    if (!pf_machine_take_number(m, size, &length) || !pf_machine_take(m, length, &part))
        return false;
    pf_value *value = pf_machine_new(m, PF_VALUE_TEXT);
    if (!value) return false;
    value->as.text.bytes = (const char *)part.data;
    value->as.text.size = part.size;
    return pf_machine_push(m, value);
}

static bool push_none(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_machine_push(m, pf_machine_new(m, PF_VALUE_NONE));
}

/* ---- containers; `kind` is LIST or DICT, `n` the number of values to take from the stack ---- */

static bool push_container(pf_machine *m, pf_value_kind kind, pf_value *const *items, size_t n) {
    if (kind == PF_VALUE_DICT && n % 2 != 0) return pf_machine_fail(m, "a key has no value");
    pf_value *container = pf_machine_new(m, kind);
    return container && pf_machine_add(m, container, items, n) && pf_machine_push(m, container);
}

static bool push_empty(pf_machine *m, size_t kind) {
    return push_container(m, (pf_value_kind)kind, NULL, 0);
}

static bool push_marked(pf_machine *m, size_t kind) {
    pf_value *const *items;
    size_t n;
    return pf_machine_pop_mark(m, &items, &n) && push_container(m, (pf_value_kind)kind, items, n);
}

static bool push_tuple(pf_machine *m, size_t n) {
    pf_value *const *items = pf_machine_pop_many(m, n);
    return items && push_container(m, PF_VALUE_LIST, items, n);
}

static bool extend(pf_machine *m, pf_value_kind kind, pf_value *const *items, size_t n) {
    pf_value *container = pf_machine_top(m);
    if (!container) return false;
    if (container->kind != kind || (kind == PF_VALUE_DICT && n % 2 != 0))
        return pf_machine_fail(m, "it adds items to a value that is not a container");
    return pf_machine_add(m, container, items, n);
}

static bool extend_marked(pf_machine *m, size_t kind) {
    pf_value *const *items;
    size_t n;
    return pf_machine_pop_mark(m, &items, &n) && extend(m, (pf_value_kind)kind, items, n);
}

static bool extend_last(pf_machine *m, size_t kind) {
    size_t n = kind == PF_VALUE_DICT ? 2 : 1;
    pf_value *const *items = pf_machine_pop_many(m, n);
    return items && extend(m, (pf_value_kind)kind, items, n);
}

/* ---- memo and stack ---- */

static bool keep_next(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_machine_keep(m, m->n_memo);
}

static bool keep(pf_machine *m, size_t size) {
    uint64_t index;
    return pf_machine_take_number(m, size, &index) && pf_machine_keep(m, index);
}

static bool recall(pf_machine *m, size_t size) {
    uint64_t index;
    return pf_machine_take_number(m, size, &index) && pf_machine_recall(m, index);
}

static bool mark(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_machine_mark(m);
}

static bool drop(pf_machine *m, size_t n) { return pf_machine_pop_many(m, n) != NULL; }

static bool drop_marked(pf_machine *m, size_t unused) {
    (void)unused;
    pf_value *const *items;
    size_t n;
    return pf_machine_pop_mark(m, &items, &n);
}

static bool check_protocol(pf_machine *m, size_t size) {
    uint64_t protocol;
    if (!pf_machine_take_number(m, size, &protocol)) return false;
    return (protocol >= 2 && protocol <= 5) ||
           pf_fail(m->error, "the pickle has protocol %" PRIu64 "; 2 to 5 are supported", protocol);
}

static bool skip(pf_machine *m, size_t size) {
    pf_slice part;
    return pf_machine_take(m, size, &part);
}

/* ---- globals ---- */

static bool take_line(pf_machine *m, pf_slice *line) {
    pf_slice rest, newline;
    *line = (pf_slice){NULL, 0};
    if (!pf_slice_part(m->bytes, m->at, m->bytes.size - m->at, &rest)) return false;
    const uint8_t *end = rest.size > 0 ? memchr(rest.data, '\n', rest.size) : NULL;
    if (!end) return pf_machine_fail(m, "it is truncated");
    return pf_machine_take(m, (uint64_t)(end - rest.data), line) && pf_machine_take(m, 1, &newline);
}

static bool read_global(pf_machine *m, size_t unused) {
    (void)unused;
    pf_slice module, name;
    return take_line(m, &module) && take_line(m, &name) && pf_torch_push_global(m, module, name);
}

static bool read_stack_global(pf_machine *m, size_t unused) {
    (void)unused;
    pf_value *const *names = pf_machine_pop_many(m, 2);
    if (!names) return false;
    pf_slice slices[2];
    for (int i = 0; i < 2; i++) {
        if (names[i]->kind != PF_VALUE_TEXT) return pf_machine_fail(m, "a global has no name");
        slices[i] = (pf_slice){(const uint8_t *)names[i]->as.text.bytes, names[i]->as.text.size};
    }
    return pf_torch_push_global(m, slices[0], slices[1]);
}

static bool reduce(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_torch_reduce(m);
}

static bool persistent_id(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_torch_persistent_id(m);
}

static bool build(pf_machine *m, size_t unused) {
    (void)unused;
    return pf_torch_build(m);
}

/* ---- the machine ---- */

#define STOP '.'

/* Names are those of Python's pickletools. All other opcodes are refused. */
static const struct {
    bool (*run)(pf_machine *m, size_t argument);
    size_t argument;
} opcodes[256] = {
    [0x80] = {check_protocol, 1},           /* PROTO */
    [0x95] = {skip, 8},                     /* FRAME */
    ['('] = {mark, 0},                      /* MARK */
    ['0'] = {drop, 1},                      /* POP */
    ['1'] = {drop_marked, 0},               /* POP_MARK */
    ['N'] = {push_none, 0},                 /* NONE */
    [0x88] = {push_bool, true},             /* NEWTRUE */
    [0x89] = {push_bool, false},            /* NEWFALSE */
    ['K'] = {push_unsigned, 1},             /* BININT1 */
    ['M'] = {push_unsigned, 2},             /* BININT2 */
    ['J'] = {push_signed, 4},               /* BININT */
    [0x8a] = {push_long, 1},                /* LONG1 */
    [0x8b] = {push_long, 4},                /* LONG4 */
    ['G'] = {push_double, 8},               /* BINFLOAT */
    [0x8c] = {push_text, 1},                /* SHORT_BINUNICODE */
    ['X'] = {push_text, 4},                 /* BINUNICODE */
    [0x8d] = {push_text, 8},                /* BINUNICODE8 */
    ['U'] = {push_text, 1},                 /* SHORT_BINSTRING */
    ['T'] = {push_text, 4},                 /* BINSTRING */
    ['C'] = {push_text, 1},                 /* SHORT_BINBYTES */
    ['B'] = {push_text, 4},                 /* BINBYTES */
    [0x8e] = {push_text, 8},                /* BINBYTES8 */
    [']'] = {push_empty, PF_VALUE_LIST},    /* EMPTY_LIST */
    [')'] = {push_empty, PF_VALUE_LIST},    /* EMPTY_TUPLE */
    ['}'] = {push_empty, PF_VALUE_DICT},    /* EMPTY_DICT */
    ['l'] = {push_marked, PF_VALUE_LIST},   /* LIST */
    ['t'] = {push_marked, PF_VALUE_LIST},   /* TUPLE */
    ['d'] = {push_marked, PF_VALUE_DICT},   /* DICT */
    [0x85] = {push_tuple, 1},               /* TUPLE1 */
    [0x86] = {push_tuple, 2},               /* TUPLE2 */
    [0x87] = {push_tuple, 3},               /* TUPLE3 */
    ['a'] = {extend_last, PF_VALUE_LIST},   /* APPEND */
    ['e'] = {extend_marked, PF_VALUE_LIST}, /* APPENDS */
    ['s'] = {extend_last, PF_VALUE_DICT},   /* SETITEM */
    ['u'] = {extend_marked, PF_VALUE_DICT}, /* SETITEMS */
    [0x94] = {keep_next, 0},                /* MEMOIZE */
    ['q'] = {keep, 1},                      /* BINPUT */
    ['r'] = {keep, 4},                      /* LONG_BINPUT */
    ['h'] = {recall, 1},                    /* BINGET */
    ['j'] = {recall, 4},                    /* LONG_BINGET */
    ['c'] = {read_global, 0},               /* GLOBAL */
    [0x93] = {read_stack_global, 0},        /* STACK_GLOBAL */
    ['R'] = {reduce, 0},                    /* REDUCE */
    [0x81] = {reduce, 0},                   /* NEWOBJ */
    ['b'] = {build, 0},                     /* BUILD */
    ['Q'] = {persistent_id, 0},             /* BINPERSID */
};

static bool run(pf_machine *m) {
    for (;;) {
        uint64_t opcode;
        if (!pf_machine_take_number(m, 1, &opcode)) return false;
        if (opcode == STOP) return true;
        if (!opcodes[opcode].run)
            return pf_fail(
                m->error, "the pickle has the opcode 0x%02x at byte %zu, which no state_dict needs",
                (unsigned)opcode, m->at - 1);
        if (!opcodes[opcode].run(m, opcodes[opcode].argument)) return false;
    }
}

pf_pickle *pf_pickle_read(pf_slice bytes, pf_error *error) {
    pf_machine machine = {.bytes = bytes, .error = error};
    if (bytes.size > PF_PICKLE_MAX_BYTES) {
        pf_fail(error, "the pickle has %zu bytes, more than any model needs; it is refused",
                bytes.size);
        return NULL;
    }
    const pf_value *root = run(&machine) ? pf_machine_pop(&machine) : NULL;
    pf_pickle *pickle = root ? pf_calloc(1, sizeof *pickle, "a pickle", error) : NULL;
    pf_machine_free(&machine);
    if (!pickle) {
        pf_values_free(machine.blocks);
        return NULL;
    }
    *pickle = (pf_pickle){machine.blocks, root};
    return pickle;
}

void pf_pickle_free(pf_pickle *pickle) {
    if (!pickle) return;
    pf_values_free(pickle->blocks);
    pf_free(pickle);
}

const pf_value *pf_pickle_root(const pf_pickle *pickle) { return pickle->root; }
