/* floor 3.1 - trie: finds the pieces that a text starts with. */
#ifndef PF_TRIE_H
#define PF_TRIE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

#define PF_TRIE_LONGEST 1024 /* bytes */

/* Node 0 is the root. As a child or sibling, 0 means that there is none. */
typedef struct pf_trie_node {
    uint32_t child, sibling; /* first child, next child of the same parent */
    int32_t id;              /* the piece that ends here, -1 if none does */
    uint8_t byte;            /* on the edge from the parent */
} pf_trie_node;

typedef struct pf_trie {
    pf_trie_node *nodes;
    size_t n_nodes, capacity;
    uint32_t first[256]; /* the root's children, by byte */
} pf_trie;

/* Makes room for pieces of `bytes` bytes in total. Pieces with a common prefix need less; pages
 * that stay unused cost nothing. */
bool pf_trie_new(pf_trie *trie, size_t bytes, pf_error *error);
void pf_trie_free(pf_trie *trie);
/* Adds a piece [n >= 1 bytes]. If one with the same bytes is there, the first one stays. Refuses a
 * piece longer than PF_TRIE_LONGEST: to look for it at each byte of a text would take too long. */
bool pf_trie_add(pf_trie *trie, const char *bytes, size_t n, int32_t id, pf_error *error);
/* The node that `byte` leads to from `node`; 0 if no piece continues this way. */
uint32_t pf_trie_step(const pf_trie *trie, uint32_t node, uint8_t byte);

/* The longest piece that text [n bytes] starts with, and its length in *size; -1: none. */
int32_t pf_trie_longest(const pf_trie *trie, const char *text, size_t n, size_t *size);
static inline bool pf_trie_is_empty(const pf_trie *trie) { return trie->n_nodes <= 1; }

#endif
