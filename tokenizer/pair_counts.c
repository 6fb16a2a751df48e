/* floor 3.0 - pair counts: how often pieces are neighbours in words, kept up to date by merges. */
#include "pair_counts.h"

#include "memory.h"

#include <assert.h>

#define NONE UINT32_MAX
#define LEAST 2 /* occurrences of a pair worth merging */

typedef struct pf_link {
    int32_t id; /* -1: merged into the symbol before */
    uint32_t prev, next;
    uint32_t word;
} pf_link;

typedef struct pf_place {
    uint32_t left; /* the pair's left symbol; out of date if the symbols there are others now */
    uint32_t next; /* place of the same pair */
} pf_place;

typedef struct pf_heap_item {
    uint64_t count; /* when it was pushed */
    uint32_t pair;
} pf_heap_item;

/* Each byte begins at most one pair, and each merge, of which there are fewer than bytes, makes at
 * most two. Pages that stay unused cost nothing. */
bool pf_pair_counts_new(pf_pair_counts *counts, size_t n_bytes, const uint64_t *weights,
                        size_t n_ids, size_t longest, pf_error *error) {
    static const char what[] = "pairs of pieces";
    counts->longest = longest;
    counts->weights = weights;
    counts->links = pf_calloc(n_bytes, sizeof *counts->links, what, error);
    counts->places = pf_calloc(n_bytes, 3 * sizeof *counts->places, what, error);
    counts->pairs = pf_calloc(n_bytes, 3 * sizeof *counts->pairs, what, error);
    counts->heap = pf_calloc(n_bytes, 3 * sizeof *counts->heap, what, error);
    counts->lengths = pf_calloc(n_ids, sizeof *counts->lengths, what, error);
    return counts->links && counts->places && counts->pairs && counts->heap && counts->lengths;
}

void pf_pair_counts_free(pf_pair_counts *counts) {
    pf_map_free(&counts->map); /* before the pairs: it borrows keys */
    pf_free(counts->links);
    pf_free(counts->places);
    pf_free(counts->pairs);
    pf_free(counts->heap);
    pf_free(counts->lengths);
    *counts = (pf_pair_counts){0};
}

/* ---- pairs and their places ---- */

/* The pair of the symbol `left` and its next one; NULL if it has not been counted. */
static pf_pair *find_pair(const pf_pair_counts *counts, uint32_t left) {
    int32_t key[2] = {counts->links[left].id, counts->links[counts->links[left].next].id};
    size_t index;
    return pf_map_get(&counts->map, (const char *)key, sizeof key, &index) ? &counts->pairs[index]
                                                                           : NULL;
}

static bool add_pair(pf_pair_counts *counts, uint32_t left, pf_pair **pair, pf_error *error) {
    assert(counts->pairs); /* pf_pair_counts_new has been called, and has worked */
    pf_pair *added = &counts->pairs[counts->n_pairs];
    *added = (pf_pair){.left = counts->links[left].id,
                       .right = counts->links[counts->links[left].next].id,
                       .first = NONE,
                       .last = NONE};
    if (!pf_map_put(&counts->map, (const char *)added, 2 * sizeof added->left, counts->n_pairs,
                    error))
        return false;
    counts->n_pairs++;
    *pair = added;
    return true;
}

/* Counts the pair of the symbol `left` and its next one, and notes the place. */
static bool count_pair(pf_pair_counts *counts, uint32_t left, pf_error *error) {
    const pf_link *link = &counts->links[left];
    size_t length =
        (size_t)counts->lengths[link->id] + counts->lengths[counts->links[link->next].id];
    if (length > counts->longest) return true;
    pf_pair *pair = find_pair(counts, left);
    if (!pair && !add_pair(counts, left, &pair, error)) return false;
    uint32_t place = (uint32_t)counts->n_places++;
    counts->places[place] = (pf_place){.left = left, .next = NONE};
    if (pair->last == NONE)
        pair->first = place;
    else
        counts->places[pair->last].next = place;
    pair->last = place;
    pair->count += counts->weights[link->word];
    return true;
}

/* The pair of the symbol `left` and its next one is about to end. Its place is left out of date. */
static void uncount_pair(pf_pair_counts *counts, uint32_t left) {
    pf_pair *pair = find_pair(counts, left);
    if (pair) pair->count -= counts->weights[counts->links[left].word];
}

bool pf_pair_counts_add(pf_pair_counts *counts, uint32_t word, const uint8_t *bytes, size_t n,
                        const int32_t *ids, pf_error *error) {
    uint32_t first = (uint32_t)counts->n_links;
    for (size_t i = 0; i < n; i++) {
        uint32_t at = first + (uint32_t)i;
        counts->links[at] = (pf_link){.id = ids[bytes[i]],
                                      .prev = i > 0 ? at - 1 : NONE,
                                      .next = i + 1 < n ? at + 1 : NONE,
                                      .word = word};
        counts->lengths[ids[bytes[i]]] = 1;
    }
    counts->n_links += n;
    for (size_t i = 0; i + 1 < n; i++)
        if (!count_pair(counts, first + (uint32_t)i, error)) return false;
    return true;
}

/* ---- the heap: the most frequent pair ---- */

static bool comes_first(const pf_pair_counts *counts, pf_heap_item a, pf_heap_item b) {
    const pf_pair *p = &counts->pairs[a.pair], *q = &counts->pairs[b.pair];
    if (a.count != b.count) return a.count > b.count;
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void heap_push(pf_pair_counts *counts, uint32_t pair) {
    pf_heap_item *heap = counts->heap;
    pf_heap_item item = {.count = counts->pairs[pair].count, .pair = pair};
    if (item.count < LEAST) return;
    size_t at = counts->n_heap++;
    for (; at > 0 && comes_first(counts, item, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
}

static pf_heap_item heap_pop(pf_pair_counts *counts) {
    pf_heap_item *heap = counts->heap, top = heap[0], item = heap[--counts->n_heap];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < counts->n_heap; at = child) {
        if (child + 1 < counts->n_heap && comes_first(counts, heap[child + 1], heap[child]))
            child++;
        if (!comes_first(counts, heap[child], item)) break;
        heap[at] = heap[child];
    }
    heap[at] = item;
    return top;
}

/* ---- merging ---- */

/* Replaces the pair at `left` by the piece `id`. */
static bool merge_at(pf_pair_counts *counts, uint32_t left, int32_t id, pf_error *error) {
    pf_link *links = counts->links;
    uint32_t right = links[left].next, before = links[left].prev, after = links[right].next;
    uncount_pair(counts, left);
    if (before != NONE) uncount_pair(counts, before);
    if (after != NONE) uncount_pair(counts, right);
    links[left].id = id;
    links[left].next = after;
    links[right].id = -1;
    if (after != NONE) links[after].prev = left;
    return (before == NONE || count_pair(counts, before, error)) &&
           (after == NONE || count_pair(counts, left, error));
}

bool pf_pair_counts_merge(pf_pair_counts *counts, int32_t id, pf_pair *best, pf_error *error) {
    *best = (pf_pair){.count = 0};
    for (; counts->n_pushed < counts->n_pairs; counts->n_pushed++)
        heap_push(counts, (uint32_t)counts->n_pushed);
    while (counts->n_heap > 0 && best->count == 0) {
        pf_heap_item item = heap_pop(counts);
        if (counts->pairs[item.pair].count == item.count)
            *best = counts->pairs[item.pair];
        else
            heap_push(counts, item.pair);
    }
    if (best->count == 0) return true;
    counts->lengths[id] = counts->lengths[best->left] + counts->lengths[best->right];
    for (uint32_t place = best->first; place != NONE; place = counts->places[place].next) {
        uint32_t left = counts->places[place].left;
        const pf_link *link = &counts->links[left];
        if (link->id == best->left && link->next != NONE &&
            counts->links[link->next].id == best->right && !merge_at(counts, left, id, error))
            return false;
    }
    return true;
}
