/* floor 3.1 - merge: the loop of byte-pair encoding, for SentencePiece and byte-level BPE. */
#include "merge.h"

#include "buffer.h"
#include "memory.h"

bool pf_merge_add(pf_merge *merge, size_t begin, size_t size, int32_t id, pf_error *error) {
    if (begin + size >= PF_NO_SYMBOL)
        return pf_fail(error, "the text is too long: split it into parts of less than 4 GB");
    pf_symbol *symbols = pf_grow(merge->symbols, &merge->symbols_capacity, merge->n_symbols + 1,
                                 sizeof *symbols, "symbols of the text", error);
    if (!symbols) return false;
    merge->symbols = symbols;
    merge->symbols[merge->n_symbols++] =
        (pf_symbol){.begin = (uint32_t)begin, .size = (uint32_t)size, .id = id};
    return true;
}

void pf_merge_free(pf_merge *merge) {
    pf_free(merge->symbols);
    pf_free(merge->heap);
    *merge = (pf_merge){0};
}

static bool heap_push(pf_merge *merge, uint64_t pair, pf_error *error) {
    uint64_t *heap = pf_grow(merge->heap, &merge->heap_capacity, merge->n_heap + 1, sizeof *heap,
                             "pairs of the text", error);
    if (!heap) return false;
    merge->heap = heap;
    size_t child = merge->n_heap++;
    while (child > 0) {
        size_t parent = (child - 1) / 2;
        if (heap[parent] <= pair) break;
        heap[child] = heap[parent];
        child = parent;
    }
    heap[child] = pair;
    return true;
}

static uint64_t heap_pop(pf_merge *merge) {
    uint64_t *heap = merge->heap, top = heap[0], last = heap[--merge->n_heap];
    size_t parent = 0;
    for (;;) {
        size_t child = 2 * parent + 1;
        if (child >= merge->n_heap) break;
        if (child + 1 < merge->n_heap && heap[child + 1] < heap[child]) child++;
        if (last <= heap[child]) break;
        heap[parent] = heap[child];
        parent = child;
    }
    heap[parent] = last;
    return top;
}

/* If a symbol can merge with the next one, makes this merge a candidate. */
static bool consider(pf_merge *merge, uint32_t index, pf_merge_find find, const void *context,
                     pf_error *error) {
    pf_symbol *symbol = &merge->symbols[index];
    symbol->rank = PF_NO_MERGE;
    if (symbol->next == PF_NO_SYMBOL) return true;
    symbol->rank = find(context, symbol, &merge->symbols[symbol->next], &symbol->merged);
    return symbol->rank == PF_NO_MERGE ||
           heap_push(merge, (uint64_t)symbol->rank << 32 | index, error);
}

bool pf_merge_run(pf_merge *merge, pf_merge_find find, const void *context, pf_error *error) {
    pf_symbol *symbols = merge->symbols;
    uint32_t n = (uint32_t)merge->n_symbols;
    merge->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        symbols[i].prev = i ? i - 1 : PF_NO_SYMBOL;
        symbols[i].next = i + 1 < n ? i + 1 : PF_NO_SYMBOL;
        if (!consider(merge, i, find, context, error)) return false;
    }

    while (merge->n_heap) {
        uint64_t pair = heap_pop(merge);
        uint32_t index = (uint32_t)pair;
        pf_symbol *left = &symbols[index];
        if (left->rank != pair >> 32) continue; /* its right neighbour has changed since */
        pf_symbol *right = &symbols[left->next];
        left->size += right->size;
        left->id = left->merged;
        left->next = right->next;
        if (right->next != PF_NO_SYMBOL) symbols[right->next].prev = index;
        right->size = 0;
        right->rank = PF_NO_MERGE;
        if (!consider(merge, index, find, context, error)) return false;
        if (left->prev != PF_NO_SYMBOL && !consider(merge, left->prev, find, context, error))
            return false;
    }
    return true;
}
