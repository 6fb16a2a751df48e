/* floor 3.0 - Jinja values: what expressions of a template compute with.
 *
 * Values are Python's, as far as templates can tell: strings of characters (UTF-8 here), lists,
 * dictionaries that keep their order. All memory comes from one heap that is freed as a whole, so
 * values are copied freely and nothing is ever freed on its own.
 */
#ifndef PF_JINJA_VALUE_H
#define PF_JINJA_VALUE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/* ---- the heap ---- */

typedef struct jinja_heap {
    struct jinja_block *blocks;
    size_t used, limit; /* bytes */
    size_t work;        /* grows with every byte handed out or searched; see jinja_run.h */
    pf_error *error;
} jinja_heap;

/* n bytes, zeroed and aligned for any type; NULL with a message beyond the limit. */
void *pf_jinja_take(jinja_heap *heap, size_t n);
void pf_jinja_heap_free(jinja_heap *heap); /* all of it */

/* ---- values ---- */

typedef struct jinja_string {
    const char *bytes; /* UTF-8, not terminated by NUL */
    size_t n;
} jinja_string;

#define JINJA_STRING(literal) ((jinja_string){(literal), sizeof(literal) - 1})

typedef enum jinja_kind {
    JINJA_UNDEFINED, /* string: what is missing, for messages */
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INTEGER,
    JINJA_REAL,
    JINJA_TEXT, /* a string */
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_DICT,
    JINJA_NAMESPACE, /* a dict whose entries `set` can change */
    JINJA_LOOP,      /* the variable `loop` */
    JINJA_MACRO,
    JINJA_FUNCTION, /* range, namespace, raise_exception ... */
    JINJA_METHOD,   /* a function of a value: text.strip */
} jinja_kind;

typedef struct jinja_value {
    jinja_kind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        jinja_string string;
        struct jinja_list *list; /* also a tuple's */
        struct jinja_dict *dict; /* also a namespace's */
        struct jinja_loop *loop;
        const struct jinja_macro *macro;
        const struct jinja_builtin *function;
        const struct jinja_method *method;
    };
} jinja_value;

typedef struct jinja_list {
    jinja_value *items;
    size_t n, capacity;
    bool lazy; /* in Python a generator: true even if it is empty, without length and index */
} jinja_list;

typedef struct jinja_entry {
    jinja_value key, value;
} jinja_entry;

typedef struct jinja_dict {
    jinja_entry *entries; /* in the order of their first assignment */
    size_t n, capacity;
} jinja_dict;

typedef struct jinja_loop {
    const jinja_list *items;
    size_t index;     /* from 0 */
    jinja_list *seen; /* what loop.changed was last called with */
} jinja_loop;

jinja_value pf_jinja_none(void);
jinja_value pf_jinja_bool(bool truth);
jinja_value pf_jinja_integer(int64_t integer);
jinja_value pf_jinja_real(double real);
jinja_value pf_jinja_text(jinja_string string); /* borrows the bytes */

/* False with a message if memory runs out. */
bool pf_jinja_copy(jinja_heap *heap, const char *bytes, size_t n, jinja_value *text);
bool pf_jinja_new_list(jinja_heap *heap, jinja_kind list_or_tuple, jinja_value *list);
bool pf_jinja_new_dict(jinja_heap *heap, jinja_kind dict_or_namespace, jinja_value *dict);
bool pf_jinja_push(jinja_heap *heap, jinja_list *list, jinja_value item);
bool pf_jinja_put(jinja_heap *heap, jinja_dict *dict, jinja_value key, jinja_value value);
bool pf_jinja_put_text(jinja_heap *heap, jinja_dict *dict, const char *key, jinja_value value);

/* The value of a key, or NULL. */
const jinja_value *pf_jinja_get(jinja_heap *heap, const jinja_dict *dict, jinja_value key);

/* ---- questions ---- */

bool pf_jinja_same(jinja_string a, jinja_string b);
bool pf_jinja_is(jinja_string a, const char *name);
bool pf_jinja_truth(const jinja_value *value);  /* as `if` sees it */
bool pf_jinja_lazy(const jinja_value *value);   /* a list that is lazy */
bool pf_jinja_number(const jinja_value *value); /* bool, integer or real */
double pf_jinja_as_real(const jinja_value *number);
bool pf_jinja_as_integer(const jinja_value *value, int64_t *integer); /* of a bool or integer */
bool pf_jinja_equal(jinja_heap *heap, const jinja_value *a, const jinja_value *b);
/* *order < 0, 0, > 0. False if the two have no order; no message. */
bool pf_jinja_compare(jinja_heap *heap, const jinja_value *a, const jinja_value *b, int *order);
const char *pf_jinja_kind_name(const jinja_value *value); /* for messages: "a string" */

#endif
