/* floor 3.1 - trie: finds the pieces that a text starts with. */
#include "trie.h"

#include "memory.h"

#include <assert.h>

bool pf_trie_new(pf_trie *trie, size_t bytes, pf_error *error) {
    *trie = (pf_trie){0};
    if (bytes >= UINT32_MAX) return pf_fail(error, "the vocabulary's pieces take more than 4 GB");
    trie->capacity = bytes + 1;
    trie->n_nodes = 1;
    trie->nodes = pf_calloc(trie->capacity, sizeof *trie->nodes, "the vocabulary's trie", error);
    return trie->nodes != NULL;
}

void pf_trie_free(pf_trie *trie) {
    pf_free(trie->nodes);
    *trie = (pf_trie){0};
}

uint32_t pf_trie_step(const pf_trie *trie, uint32_t node, uint8_t byte) {
    if (node == 0) return trie->first[byte];
    uint32_t child = trie->nodes[node].child;
    while (child && trie->nodes[child].byte != byte) child = trie->nodes[child].sibling;
    return child;
}

static uint32_t add_child(pf_trie *trie, uint32_t node, uint8_t byte) {
    assert(trie->n_nodes < trie->capacity);
    uint32_t child = (uint32_t)trie->n_nodes++;
    trie->nodes[child] = (pf_trie_node){.id = -1, .byte = byte};
    if (node == 0) {
        trie->first[byte] = child;
    } else {
        trie->nodes[child].sibling = trie->nodes[node].child;
        trie->nodes[node].child = child;
    }
    return child;
}

bool pf_trie_add(pf_trie *trie, const char *bytes, size_t n, int32_t id, pf_error *error) {
    if (n > PF_TRIE_LONGEST)
        return pf_fail(error,
                       "piece %d of the vocabulary is %zu bytes long; at most %d are supported",
                       (int)id, n, PF_TRIE_LONGEST);
    uint32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t child = pf_trie_step(trie, node, (uint8_t)bytes[i]);
        node = child ? child : add_child(trie, node, (uint8_t)bytes[i]);
    }
    if (trie->nodes[node].id < 0) trie->nodes[node].id = id;
    return true;
}

int32_t pf_trie_longest(const pf_trie *trie, const char *text, size_t n, size_t *size) {
    int32_t longest = -1;
    uint32_t node = 0;
    *size = 0;
    for (size_t i = 0; i < n && trie->nodes; i++) {
        node = pf_trie_step(trie, node, (uint8_t)text[i]);
        if (!node) break;
        if (trie->nodes[node].id < 0) continue;
        longest = trie->nodes[node].id;
        *size = i + 1;
    }
    return longest;
}
