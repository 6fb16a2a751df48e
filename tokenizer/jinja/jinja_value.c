/* floor 3.0 - Jinja values: their memory, and how they are compared. */
#include "jinja_value.h"

#include "memory.h"

#include <string.h>

/* ---- the heap ---- */

enum { BLOCK = 1 << 16, GRAIN = 16, COMPARE_DEPTH = 100 };

struct jinja_block {
    struct jinja_block *next;
    size_t used, size; /* bytes behind the head */
    _Alignas(GRAIN) char bytes[];
};

static bool add_block(jinja_heap *heap, size_t n) {
    size_t size = n > BLOCK ? n : BLOCK;
    if (n > heap->limit || heap->used > heap->limit - n)
        return pf_fail(heap->error, "it needs more than %zu MB of memory, the limit",
                       heap->limit >> 20);
    struct jinja_block *block =
        pf_calloc(1, sizeof *block + size, "a chat template's values", heap->error);
    if (!block) return false;
    *block = (struct jinja_block){.next = heap->blocks, .size = size};
    heap->blocks = block;
    return true;
}

void *pf_jinja_take(jinja_heap *heap, size_t n) {
    size_t size = (n + GRAIN - 1) / GRAIN * GRAIN;
    if (size < n) size = SIZE_MAX; /* refused below */
    struct jinja_block *block = heap->blocks;
    if (!block || block->size - block->used < size) {
        if (!add_block(heap, size)) return NULL;
        block = heap->blocks;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    heap->used += size;
    heap->work += size / GRAIN;
    return taken;
}

void pf_jinja_heap_free(jinja_heap *heap) {
    while (heap->blocks) {
        struct jinja_block *next = heap->blocks->next;
        pf_free(heap->blocks);
        heap->blocks = next;
    }
    heap->used = 0;
}

/* A larger copy of an array that is full; the old one stays in the heap. */
static void *widen(jinja_heap *heap, const void *old, size_t n, size_t *capacity, size_t size) {
    size_t wanted = *capacity ? 2 * *capacity : 4;
    void *items = pf_jinja_take(heap, wanted * size);
    if (!items) return NULL;
    if (n) memcpy(items, old, n * size);
    *capacity = wanted;
    return items;
}

/* ---- making values ---- */

jinja_value pf_jinja_none(void) { return (jinja_value){.kind = JINJA_NONE}; }

jinja_value pf_jinja_bool(bool truth) { return (jinja_value){.kind = JINJA_BOOL, .truth = truth}; }

jinja_value pf_jinja_integer(int64_t integer) {
    return (jinja_value){.kind = JINJA_INTEGER, .integer = integer};
}

jinja_value pf_jinja_real(double real) { return (jinja_value){.kind = JINJA_REAL, .real = real}; }

jinja_value pf_jinja_text(jinja_string string) {
    return (jinja_value){.kind = JINJA_TEXT, .string = string};
}

bool pf_jinja_copy(jinja_heap *heap, const char *bytes, size_t n, jinja_value *text) {
    char *copy = pf_jinja_take(heap, n);
    if (!copy) return false;
    if (n) memcpy(copy, bytes, n);
    *text = pf_jinja_text((jinja_string){copy, n});
    return true;
}

bool pf_jinja_new_list(jinja_heap *heap, jinja_kind list_or_tuple, jinja_value *list) {
    *list = (jinja_value){.kind = list_or_tuple, .list = pf_jinja_take(heap, sizeof *list->list)};
    return list->list != NULL;
}

bool pf_jinja_new_dict(jinja_heap *heap, jinja_kind dict_or_namespace, jinja_value *dict) {
    *dict =
        (jinja_value){.kind = dict_or_namespace, .dict = pf_jinja_take(heap, sizeof *dict->dict)};
    return dict->dict != NULL;
}

bool pf_jinja_push(jinja_heap *heap, jinja_list *list, jinja_value item) {
    if (list->n == list->capacity) {
        jinja_value *items = widen(heap, list->items, list->n, &list->capacity, sizeof *items);
        if (!items) return false;
        list->items = items;
    }
    list->items[list->n++] = item;
    return true;
}

bool pf_jinja_put(jinja_heap *heap, jinja_dict *dict, jinja_value key, jinja_value value) {
    jinja_value *there = (jinja_value *)pf_jinja_get(heap, dict, key);
    if (there) {
        *there = value;
        return true;
    }
    if (dict->n == dict->capacity) {
        jinja_entry *entries =
            widen(heap, dict->entries, dict->n, &dict->capacity, sizeof *entries);
        if (!entries) return false;
        dict->entries = entries;
    }
    dict->entries[dict->n++] = (jinja_entry){key, value};
    return true;
}

bool pf_jinja_put_text(jinja_heap *heap, jinja_dict *dict, const char *key, jinja_value value) {
    return pf_jinja_put(heap, dict, pf_jinja_text((jinja_string){key, strlen(key)}), value);
}

const jinja_value *pf_jinja_get(jinja_heap *heap, const jinja_dict *dict, jinja_value key) {
    for (size_t i = 0; i < dict->n; i++)
        if (pf_jinja_equal(heap, &dict->entries[i].key, &key)) return &dict->entries[i].value;
    return NULL;
}

/* ---- questions ---- */

bool pf_jinja_same(jinja_string a, jinja_string b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.bytes, b.bytes, a.n) == 0);
}

bool pf_jinja_is(jinja_string a, const char *name) {
    return pf_jinja_same(a, (jinja_string){name, strlen(name)});
}

bool pf_jinja_truth(const jinja_value *value) {
    switch (value->kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return value->truth;
    case JINJA_INTEGER:
        return value->integer != 0;
    case JINJA_REAL:
        return value->real != 0;
    case JINJA_TEXT:
        return value->string.n > 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return value->list->n > 0 || value->list->lazy;
    case JINJA_DICT:
        return value->dict->n > 0;
    default:
        return true;
    }
}

bool pf_jinja_lazy(const jinja_value *value) {
    return value->kind == JINJA_LIST && value->list->lazy;
}

bool pf_jinja_number(const jinja_value *value) {
    return value->kind == JINJA_BOOL || value->kind == JINJA_INTEGER || value->kind == JINJA_REAL;
}

double pf_jinja_as_real(const jinja_value *number) {
    if (number->kind == JINJA_REAL) return number->real;
    return number->kind == JINJA_BOOL ? number->truth : (double)number->integer;
}

bool pf_jinja_as_integer(const jinja_value *value, int64_t *integer) {
    if (value->kind == JINJA_BOOL)
        *integer = value->truth;
    else if (value->kind == JINJA_INTEGER)
        *integer = value->integer;
    else
        return false;
    return true;
}

static bool is_list(const jinja_value *value) {
    return value->kind == JINJA_LIST || value->kind == JINJA_TUPLE;
}

static int order_of(double a, double b) { return (a > b) - (a < b); }

static int compare_numbers(const jinja_value *a, const jinja_value *b) {
    int64_t i, j;
    if (pf_jinja_as_integer(a, &i) && pf_jinja_as_integer(b, &j)) return (i > j) - (i < j);
    return order_of(pf_jinja_as_real(a), pf_jinja_as_real(b));
}

/* The order of bytes is that of code points. */
static int compare_strings(jinja_heap *heap, jinja_string a, jinja_string b) {
    size_t n = a.n < b.n ? a.n : b.n;
    heap->work += 1 + n / 64;
    int order = n ? memcmp(a.bytes, b.bytes, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool equal(jinja_heap *heap, const jinja_value *a, const jinja_value *b, int depth);

static bool equal_dicts(jinja_heap *heap, const jinja_dict *a, const jinja_dict *b, int depth) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const jinja_value *other = pf_jinja_get(heap, b, a->entries[i].key);
        if (!other || !equal(heap, &a->entries[i].value, other, depth)) return false;
    }
    return true;
}

/* Values nested more deeply than COMPARE_DEPTH count as different. */
static bool equal(jinja_heap *heap, const jinja_value *a, const jinja_value *b, int depth) {
    if (depth > COMPARE_DEPTH) return false;
    heap->work++;
    if (pf_jinja_number(a) && pf_jinja_number(b)) {
        int64_t i, j;
        if (pf_jinja_as_integer(a, &i) && pf_jinja_as_integer(b, &j)) return i == j;
        return pf_jinja_as_real(a) == pf_jinja_as_real(b);
    }
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return true;
    case JINJA_TEXT:
        return a->string.n == b->string.n && compare_strings(heap, a->string, b->string) == 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
        if (a->list->n != b->list->n) return false;
        for (size_t i = 0; i < a->list->n; i++)
            if (!equal(heap, &a->list->items[i], &b->list->items[i], depth + 1)) return false;
        return true;
    case JINJA_DICT:
        return equal_dicts(heap, a->dict, b->dict, depth + 1);
    default:
        return a->dict == b->dict; /* the same one */
    }
}

bool pf_jinja_equal(jinja_heap *heap, const jinja_value *a, const jinja_value *b) {
    return equal(heap, a, b, 0);
}

static bool compare(jinja_heap *heap, const jinja_value *a, const jinja_value *b, int depth,
                    int *order) {
    heap->work++;
    if (pf_jinja_number(a) && pf_jinja_number(b)) {
        *order = compare_numbers(a, b);
    } else if (a->kind == JINJA_TEXT && b->kind == JINJA_TEXT) {
        *order = compare_strings(heap, a->string, b->string);
    } else if (is_list(a) && a->kind == b->kind && depth < COMPARE_DEPTH) {
        size_t n = a->list->n < b->list->n ? a->list->n : b->list->n;
        *order = (a->list->n > b->list->n) - (a->list->n < b->list->n);
        for (size_t i = 0; i < n; i++) {
            const jinja_value *x = &a->list->items[i], *y = &b->list->items[i];
            if (!equal(heap, x, y, depth + 1)) return compare(heap, x, y, depth + 1, order);
        }
    } else {
        return false;
    }
    return true;
}

bool pf_jinja_compare(jinja_heap *heap, const jinja_value *a, const jinja_value *b, int *order) {
    return compare(heap, a, b, 0, order);
}

const char *pf_jinja_kind_name(const jinja_value *value) {
    static const char *const names[] = {[JINJA_UNDEFINED] = "something undefined",
                                        [JINJA_NONE] = "none",
                                        [JINJA_BOOL] = "a truth value",
                                        [JINJA_INTEGER] = "an integer",
                                        [JINJA_REAL] = "a real number",
                                        [JINJA_TEXT] = "a string",
                                        [JINJA_LIST] = "a list",
                                        [JINJA_TUPLE] = "a tuple",
                                        [JINJA_DICT] = "a dictionary",
                                        [JINJA_NAMESPACE] = "a namespace",
                                        [JINJA_LOOP] = "a loop",
                                        [JINJA_MACRO] = "a macro",
                                        [JINJA_FUNCTION] = "a function",
                                        [JINJA_METHOD] = "a method"};
    return names[value->kind];
}
