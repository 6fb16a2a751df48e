/* floor 3.3 - Jinja run: one rendering of a template, and how its functions are called. */
#ifndef PF_JINJA_RUN_H
#define PF_JINJA_RUN_H

#include "jinja_text.h"
#include "jinja_tree.h"

#include <time.h>

typedef struct jinja_variable {
    jinja_string name;
    jinja_value value;
    struct jinja_variable *next;
} jinja_variable;

typedef struct jinja_scope {
    struct jinja_scope *up;
    jinja_variable *variables;
} jinja_scope;

typedef struct jinja_run jinja_run;

/* A macro with the place where it was defined. */
typedef struct jinja_macro {
    const jinja_node *node, *parameters;
    jinja_scope *scope;
} jinja_macro;

typedef struct jinja_named {
    jinja_string name;
    jinja_value value;
} jinja_named;

/* Of a filter or test, the value before it is the first positional argument. */
typedef struct jinja_arguments {
    jinja_value *positional;
    size_t n;
    jinja_named *named;
    size_t n_named;
} jinja_arguments;

struct jinja_run {
    jinja_heap heap;
    jinja_scope *scope; /* the innermost */
    size_t max_work;    /* heap.work may not exceed it */
    size_t max_output;  /* bytes */
    int depth;          /* nested evaluations */
    int line;           /* of the node at work */
    time_t now;
    /* Runs the body of a macro; the evaluator of expressions calls it. */
    bool (*call_macro)(jinja_run *run, const jinja_macro *macro, const jinja_arguments *arguments,
                       jinja_value *out);
    /* Applies a filter of any name; filters of lists call it. */
    bool (*filter)(jinja_run *run, jinja_string name, const jinja_arguments *arguments,
                   jinja_value *out);
    bool raised; /* the template itself refused, with raise_exception */
};

typedef bool (*jinja_call)(jinja_run *run, const jinja_arguments *arguments, jinja_value *out);

typedef struct jinja_builtin {
    const char *name;
    jinja_call call;
} jinja_builtin;

typedef struct jinja_method {
    jinja_value self; /* the first positional argument of the call */
    jinja_call call;
} jinja_method;

/* ---- failing ---- */

bool pf_jinja_fail(jinja_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__ /* as for pf_fail: the result is always false */
#define pf_jinja_fail(...) ((void)pf_jinja_fail(__VA_ARGS__), false)
#endif
/* False with a message if the run has done too much. */
bool pf_jinja_work(jinja_run *run);

/* One level deeper; false with a message if there are too many. Then run->depth--. */
bool pf_jinja_enter(jinja_run *run);

/* ---- arguments ---- */

/* The argument at a position or of a name; NULL if it is not given. */
const jinja_value *pf_jinja_argument(const jinja_arguments *arguments, size_t at, const char *name);
/* Sets *string, *integer or *truth if the argument is given. False with a message if it is of
 * another kind; an integer may also be none. */
bool pf_jinja_string_argument(jinja_run *run, const jinja_arguments *arguments, size_t at,
                              const char *name, jinja_string *string);
bool pf_jinja_integer_argument(jinja_run *run, const jinja_arguments *arguments, size_t at,
                               const char *name, int64_t *integer);
bool pf_jinja_truth_argument(const jinja_arguments *arguments, size_t at, const char *name,
                             bool fallback);

/* ---- what loops go over ---- */

/* The items of a list; of a tuple; the characters of a string; the keys of a dictionary. Nothing
 * for what is undefined. False with a message for anything else. */
bool pf_jinja_items(jinja_run *run, const jinja_value *value, const jinja_list **items);
bool pf_jinja_iterable(const jinja_value *value);

/* value.name or value[name] of data (not of methods); what is missing is undefined. */
bool pf_jinja_member(jinja_run *run, const jinja_value *value, const jinja_value *name,
                     jinja_value *out);
bool pf_jinja_undefined(jinja_run *run, const jinja_value *of, jinja_string name, jinja_value *out);
/* Whether a is in b, as the operator has it. */
bool pf_jinja_contains(jinja_run *run, const jinja_value *b, const jinja_value *a, bool *found);

#endif
