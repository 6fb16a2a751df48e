/* floor 3.8 - Jinja evaluation: walks the tree of an expression. */
#include "jinja_eval.h"

#include "jinja_filters.h"
#include "jinja_functions.h"
#include "jinja_methods.h"
#include "jinja_operators.h"
#include "jinja_tests.h"

#include <string.h>

/* ---- names and members ---- */

static bool eval_name(jinja_run *run, jinja_string name, jinja_value *out) {
    for (const jinja_scope *scope = run->scope; scope; scope = scope->up)
        for (const jinja_variable *v = scope->variables; v; v = v->next) {
            run->heap.work++;
            if (!pf_jinja_same(v->name, name)) continue;
            *out = v->value;
            return true;
        }
    const jinja_builtin *function = pf_jinja_function(name);
    if (!function) return pf_jinja_undefined(run, NULL, name, out);
    *out = (jinja_value){.kind = JINJA_FUNCTION, .function = function};
    return true;
}

static bool bind_method(jinja_run *run, const jinja_value *self, jinja_call call,
                        jinja_value *out) {
    jinja_method *method = pf_jinja_take(&run->heap, sizeof *method);
    if (!method) return false;
    *method = (jinja_method){*self, call};
    *out = (jinja_value){.kind = JINJA_METHOD, .method = method};
    return true;
}

/* value.name: a method if there is one, otherwise an entry. */
static bool eval_attribute(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value, name = pf_jinja_text(node->text);
    if (!pf_jinja_eval(run, node->a, &value)) return false;
    run->line = node->line;
    jinja_call call = pf_jinja_method(&value, node->text);
    return call ? bind_method(run, &value, call, out) : pf_jinja_member(run, &value, &name, out);
}

/* value[name]: an entry if there is one, otherwise a method. */
static bool eval_item(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value, name;
    if (!pf_jinja_eval(run, node->a, &value) || !pf_jinja_eval(run, node->b, &name)) return false;
    run->line = node->line;
    if (!pf_jinja_member(run, &value, &name, out)) return false;
    jinja_call call = out->kind == JINJA_UNDEFINED && name.kind == JINJA_TEXT
                          ? pf_jinja_method(&value, name.string)
                          : NULL;
    return !call || bind_method(run, &value, call, out);
}

static bool eval_slice(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value, bounds[3] = {pf_jinja_none(), pf_jinja_none(), pf_jinja_none()};
    if (!pf_jinja_eval(run, node->a, &value) ||
        (node->b && !pf_jinja_eval(run, node->b, &bounds[0])) ||
        (node->c && !pf_jinja_eval(run, node->c, &bounds[1])) ||
        (node->d && !pf_jinja_eval(run, node->d, &bounds[2])))
        return false;
    run->line = node->line;
    return pf_jinja_slice(run, &value, bounds, out);
}

/* ---- calls ---- */

typedef struct call_list {
    jinja_value positional; /* a list */
    jinja_named *named;
    size_t n_named, capacity;
} call_list;

static bool add_named(jinja_run *run, call_list *list, jinja_string name, jinja_value value) {
    if (list->n_named == list->capacity) {
        size_t wanted = list->capacity ? 2 * list->capacity : 4;
        jinja_named *named = pf_jinja_take(&run->heap, wanted * sizeof *named);
        if (!named) return false;
        if (list->n_named) memcpy(named, list->named, list->n_named * sizeof *named);
        list->named = named;
        list->capacity = wanted;
    }
    list->named[list->n_named++] = (jinja_named){name, value};
    return true;
}

/* *items and **entries, as arguments. */
static bool spread(jinja_run *run, bool named, const jinja_value *value, call_list *list) {
    const jinja_list *items;
    if (!named) {
        if (!pf_jinja_items(run, value, &items)) return false;
        for (size_t i = 0; i < items->n; i++)
            if (!pf_jinja_push(&run->heap, list->positional.list, items->items[i])) return false;
        return true;
    }
    if (value->kind != JINJA_DICT)
        return pf_jinja_fail(run, "** needs a dictionary, not %s", pf_jinja_kind_name(value));
    for (size_t i = 0; i < value->dict->n; i++) {
        const jinja_entry *entry = &value->dict->entries[i];
        if (entry->key.kind != JINJA_TEXT || !add_named(run, list, entry->key.string, entry->value))
            return pf_jinja_fail(run, "** needs a dictionary with names as keys");
    }
    return true;
}

/* The arguments of a call; `first` comes before them if it is not NULL. */
static bool eval_arguments(jinja_run *run, const jinja_node *node, const jinja_value *first,
                           const jinja_named *more, jinja_arguments *arguments) {
    call_list list = {.n_named = 0};
    jinja_value value;
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, &list.positional)) return false;
    jinja_list *positional = list.positional.list;
    if (first && !pf_jinja_push(&run->heap, positional, *first)) return false;
    for (; node; node = node->next) {
        bool named = node->kind == NODE_KEYWORD;
        bool spreads = node->kind == NODE_SPREAD || node->kind == NODE_SPREAD_KEYWORDS;
        if (!pf_jinja_eval(run, named || spreads ? node->a : node, &value)) return false;
        if (spreads ? !spread(run, node->kind != NODE_SPREAD, &value, &list)
            : named ? !add_named(run, &list, node->text, value)
                    : !pf_jinja_push(&run->heap, positional, value))
            return false;
    }
    if (more && !add_named(run, &list, more->name, more->value)) return false;
    *arguments = (jinja_arguments){positional->items, positional->n, list.named, list.n_named};
    return true;
}

bool pf_jinja_eval_call(jinja_run *run, const jinja_node *node, const jinja_named *more,
                        jinja_value *out) {
    jinja_value callee;
    jinja_arguments arguments;
    if (!pf_jinja_eval(run, node->a, &callee)) return false;
    const jinja_value *self = callee.kind == JINJA_METHOD ? &callee.method->self : NULL;
    if (!eval_arguments(run, node->b, self, more, &arguments)) return false;
    run->line = node->line;
    switch (callee.kind) {
    case JINJA_METHOD:
        return callee.method->call(run, &arguments, out);
    case JINJA_FUNCTION:
        return callee.function->call(run, &arguments, out);
    case JINJA_MACRO:
        return run->call_macro(run, callee.macro, &arguments, out);
    case JINJA_UNDEFINED:
        return pf_jinja_member(run, &callee, &callee, out); /* says what is missing */
    default:
        return pf_jinja_fail(run, "%s cannot be called", pf_jinja_kind_name(&callee));
    }
}

/* ---- filters and tests ---- */

static bool apply_filter(jinja_run *run, const jinja_node *node, const jinja_value *value,
                         jinja_value *out) {
    jinja_arguments arguments;
    if (!eval_arguments(run, node->b, value, NULL, &arguments)) return false;
    run->line = node->line;
    return pf_jinja_filter(run, node->text, &arguments, out);
}

bool pf_jinja_eval_filters(jinja_run *run, const jinja_node *node, jinja_value value,
                           jinja_value *out) {
    if (!node) {
        *out = value;
        return true;
    }
    if (!pf_jinja_enter(run)) return false;
    jinja_value inner;
    bool good =
        pf_jinja_eval_filters(run, node->a, value, &inner) && apply_filter(run, node, &inner, out);
    run->depth--;
    return good;
}

static bool eval_test(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value;
    jinja_arguments arguments;
    if (!pf_jinja_eval(run, node->a, &value) ||
        !eval_arguments(run, node->b, &value, NULL, &arguments))
        return false;
    run->line = node->line;
    jinja_call test = pf_jinja_test(node->text);
    if (test) return test(run, &arguments, out);
    return pf_jinja_fail(run, "there is no test \"%.*s\"",
                         (int)(node->text.n < 40 ? node->text.n : 40), node->text.bytes);
}

/* ---- operators ---- */

static bool eval_compare(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value left, right;
    bool holds = true;
    if (!pf_jinja_eval(run, node->a, &left)) return false;
    for (const jinja_node *operand = node->b; operand && holds; operand = operand->next) {
        if (!pf_jinja_eval(run, operand->a, &right)) return false;
        run->line = operand->line;
        if (!pf_jinja_relation(run, operand->text, &left, &right, &holds)) return false;
        left = right;
    }
    *out = pf_jinja_bool(holds);
    return true;
}

static bool eval_binary(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value a, b;
    if (!pf_jinja_eval(run, node->a, &a) || !pf_jinja_eval(run, node->b, &b)) return false;
    run->line = node->line;
    return pf_jinja_binary(run, node->text, &a, &b, out);
}

static bool eval_unary(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value;
    if (!pf_jinja_eval(run, node->a, &value)) return false;
    run->line = node->line;
    if (node->kind == NODE_NOT)
        *out = pf_jinja_bool(!pf_jinja_truth(&value));
    else if (node->kind == NODE_NEGATE)
        return pf_jinja_negate(run, &value, out);
    else
        *out = value;
    return true;
}

/* a and b, a or b: the value of the one that decides. */
static bool eval_logic(jinja_run *run, const jinja_node *node, jinja_value *out) {
    if (!pf_jinja_eval(run, node->a, out)) return false;
    return pf_jinja_truth(out) == (node->kind == NODE_OR) || pf_jinja_eval(run, node->b, out);
}

static bool eval_choice(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value condition;
    if (!pf_jinja_eval(run, node->a, &condition)) return false;
    if (pf_jinja_truth(&condition)) return pf_jinja_eval(run, node->b, out);
    if (node->c) return pf_jinja_eval(run, node->c, out);
    return pf_jinja_undefined(run, NULL, JINJA_STRING("an if without its else"), out);
}

/* ---- brackets ---- */

static bool eval_list(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value item;
    jinja_kind kind = node->kind == NODE_LIST ? JINJA_LIST : JINJA_TUPLE;
    if (!pf_jinja_new_list(&run->heap, kind, out)) return false;
    for (node = node->a; node; node = node->next)
        if (!pf_jinja_eval(run, node, &item) || !pf_jinja_push(&run->heap, out->list, item))
            return false;
    return true;
}

static bool eval_dict(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value key, value;
    if (!pf_jinja_new_dict(&run->heap, JINJA_DICT, out)) return false;
    for (node = node->a; node; node = node->next->next) {
        if (!pf_jinja_eval(run, node, &key) || !pf_jinja_eval(run, node->next, &value))
            return false;
        if (key.kind == JINJA_LIST || key.kind == JINJA_DICT)
            return pf_jinja_fail(run, "%s cannot be a key", pf_jinja_kind_name(&key));
        if (!pf_jinja_put(&run->heap, out->dict, key, value)) return false;
    }
    return true;
}

static bool eval(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_value value;
    switch (node->kind) {
    case NODE_LITERAL:
        *out = node->literal;
        return true;
    case NODE_NAME:
        return eval_name(run, node->text, out);
    case NODE_LIST:
    case NODE_TUPLE:
        return eval_list(run, node, out);
    case NODE_DICT:
        return eval_dict(run, node, out);
    case NODE_NOT:
    case NODE_NEGATE:
    case NODE_PLUS:
        return eval_unary(run, node, out);
    case NODE_AND:
    case NODE_OR:
        return eval_logic(run, node, out);
    case NODE_BINARY:
        return eval_binary(run, node, out);
    case NODE_COMPARE:
        return eval_compare(run, node, out);
    case NODE_CHOICE:
        return eval_choice(run, node, out);
    case NODE_ATTRIBUTE:
        return eval_attribute(run, node, out);
    case NODE_ITEM:
        return eval_item(run, node, out);
    case NODE_SLICE:
        return eval_slice(run, node, out);
    case NODE_CALL:
        return pf_jinja_eval_call(run, node, NULL, out);
    case NODE_FILTER:
        return pf_jinja_eval(run, node->a, &value) && apply_filter(run, node, &value, out);
    case NODE_TEST:
        return eval_test(run, node, out);
    default:
        return pf_jinja_fail(run, "this is no expression");
    }
}

bool pf_jinja_eval(jinja_run *run, const jinja_node *node, jinja_value *out) {
    if (!pf_jinja_enter(run)) return false;
    run->line = node->line;
    bool good = eval(run, node, out);
    run->depth--;
    return good;
}
