/* floor 3.1 - merge: the loop of byte-pair encoding, the same for SentencePiece and byte-level BPE. */
#include "merge.h"

#include "memory.h"

bool pf_merge_add(pf_merge *merge, size_t begin, size_t size, int32_t id, pf_error *error) {
    if (begin + size >= PF_NO_SYMBOL)
        return pf_fail(error, "the text is too long for one piece of work: give it in parts of less "
                              "than 4 GB");
    if (merge->n_symbols == merge->symbols_capacity) {
        size_t capacity = merge->symbols_capacity ? merge->symbols_capacity * 2 : 64;
        pf_symbol *symbols =
            pf_realloc(merge->symbols, capacity, sizeof *symbols, "symbols of the text", error);
        if (!symbols) return false;
        merge->symbols = symbols;
        merge->symbols_capacity = capacity;
    }
    merge->symbols[merge->n_symbols++] =
        (pf_symbol){.begin = (uint32_t)begin, .size = (uint32_t)size, .id = id};
    return true;
}

void pf_merge_free(pf_merge *merge) {
    pf_free(merge->symbols);
    pf_free(merge->heap);
    *merge = (pf_merge){0};
}

/* Lowest key first, then leftmost. */
static bool before(const pf_merge_pair *a, const pf_merge_pair *b) {
    if (a->key < b->key) return true;
    if (a->key > b->key) return false;
    return a->left < b->left;
}

static bool heap_push(pf_merge *merge, pf_merge_pair pair, pf_error *error) {
    if (merge->n_heap == merge->heap_capacity) {
        size_t capacity = merge->heap_capacity ? merge->heap_capacity * 2 : 64;
        pf_merge_pair *heap = pf_realloc(merge->heap, capacity, sizeof *heap, "pairs of the text", error);
        if (!heap) return false;
        merge->heap = heap;
        merge->heap_capacity = capacity;
    }
    size_t child = merge->n_heap++;
    while (child > 0) {
        size_t parent = (child - 1) / 2;
        if (!before(&pair, &merge->heap[parent])) break;
        merge->heap[child] = merge->heap[parent];
        child = parent;
    }
    merge->heap[child] = pair;
    return true;
}

static pf_merge_pair heap_pop(pf_merge *merge) {
    pf_merge_pair *heap = merge->heap, top = heap[0], last = heap[--merge->n_heap];
    size_t parent = 0;
    for (;;) {
        size_t child = 2 * parent + 1;
        if (child >= merge->n_heap) break;
        if (child + 1 < merge->n_heap && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &last)) break;
        heap[parent] = heap[child];
        parent = child;
    }
    heap[parent] = last;
    return top;
}

/* Puts the pair of neighbours (left, right) on the heap, if it can merge. */
static bool consider(pf_merge *merge, uint32_t left, uint32_t right, pf_merge_find find,
                     const void *context, pf_error *error) {
    if (left == PF_NO_SYMBOL || right == PF_NO_SYMBOL) return true;
    const pf_symbol *a = &merge->symbols[left], *b = &merge->symbols[right];
    pf_merge_pair pair = {.left = left, .right = right, .size = a->size + b->size};
    if (!find(context, a, b, &pair.key, &pair.id)) return true;
    return heap_push(merge, pair, error);
}

bool pf_merge_run(pf_merge *merge, pf_merge_find find, const void *context, pf_error *error) {
    pf_symbol *symbols = merge->symbols;
    uint32_t n = (uint32_t)merge->n_symbols;
    merge->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        symbols[i].prev = i ? i - 1 : PF_NO_SYMBOL;
        symbols[i].next = i + 1 < n ? i + 1 : PF_NO_SYMBOL;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        if (!consider(merge, i, i + 1, find, context, error)) return false;

    while (merge->n_heap) {
        pf_merge_pair pair = heap_pop(merge);
        pf_symbol *left = &symbols[pair.left], *right = &symbols[pair.right];
        if (!left->size || !right->size || left->size + right->size != pair.size) continue;
        left->size = pair.size;
        left->id = pair.id;
        left->next = right->next;
        if (right->next != PF_NO_SYMBOL) symbols[right->next].prev = pair.left;
        right->size = 0;
        if (!consider(merge, left->prev, pair.left, find, context, error) ||
            !consider(merge, pair.left, left->next, find, context, error))
            return false;
    }
    return true;
}
