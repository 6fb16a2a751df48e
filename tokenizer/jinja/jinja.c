/* floor 3.9 - Jinja: runs the statements of a template. */
#include "jinja.h"

#include "jinja_eval.h"
#include "jinja_filters.h"
#include "jinja_parser.h"
#include "memory.h"

#include <string.h>

struct pf_jinja {
    jinja_heap heap; /* the tree */
    jinja_node *body;
};

enum { PARSE_MEMORY = 64 << 20 };

typedef enum outcome { GOES_ON, BREAKS, CONTINUES, FAILS } outcome;

static outcome run_body(jinja_run *run, const jinja_node *body, jinja_builder *out);

/* ---- scopes ---- */

static bool enter_scope(jinja_run *run, jinja_scope *scope, jinja_scope *up) {
    *scope = (jinja_scope){.up = up};
    run->scope = scope;
    return true;
}

static bool set_name(jinja_run *run, jinja_string name, jinja_value value) {
    for (jinja_variable *v = run->scope->variables; v; v = v->next) {
        run->heap.work++;
        if (!pf_jinja_same(v->name, name)) continue;
        v->value = value;
        return true;
    }
    jinja_variable *v = pf_jinja_take(&run->heap, sizeof *v);
    if (!v) return false;
    *v = (jinja_variable){name, value, run->scope->variables};
    run->scope->variables = v;
    return true;
}

/* namespace.text = value */
static bool set_attribute(jinja_run *run, const jinja_node *target, jinja_value value) {
    jinja_value space;
    if (!pf_jinja_eval(run, target->a, &space)) return false;
    if (space.kind != JINJA_NAMESPACE)
        return pf_jinja_fail(run, "only a namespace has attributes that can be set, not %s",
                             pf_jinja_kind_name(&space));
    return pf_jinja_put(&run->heap, space.dict, pf_jinja_text(target->text), value);
}

static bool set_target(jinja_run *run, const jinja_node *target, jinja_value value) {
    const jinja_list *items;
    size_t i = 0;
    run->line = target->line;
    if (target->kind == NODE_NAME) return set_name(run, target->text, value);
    if (target->kind == NODE_ATTRIBUTE) return set_attribute(run, target, value);
    if (target->kind != NODE_TUPLE) return pf_jinja_fail(run, "this cannot be set");
    if (!pf_jinja_items(run, &value, &items)) return false;
    const jinja_node *part = target->a;
    for (; part && i < items->n; part = part->next, i++)
        if (!set_target(run, part, items->items[i])) return false;
    if (!part && i == items->n) return true;
    return pf_jinja_fail(run, "there are %s values than names", part ? "fewer" : "more");
}

/* ---- loops ---- */

/* The items that a loop's own condition accepts. */
static bool choose_items(jinja_run *run, const jinja_node *node, const jinja_list **items) {
    jinja_value chosen, answer;
    jinja_scope *outer = run->scope, scope;
    if (!node->c) return true;
    if (!pf_jinja_new_list(&run->heap, JINJA_LIST, &chosen)) return false;
    bool good = true;
    for (size_t i = 0; good && i < (*items)->n; i++) {
        good = enter_scope(run, &scope, outer) && set_target(run, node->a, (*items)->items[i]) &&
               pf_jinja_eval(run, node->c, &answer) &&
               (!pf_jinja_truth(&answer) ||
                pf_jinja_push(&run->heap, chosen.list, (*items)->items[i]));
    }
    run->scope = outer;
    *items = chosen.list;
    return good;
}

static outcome run_loop(jinja_run *run, const jinja_node *node, const jinja_list *items,
                        jinja_builder *out) {
    jinja_scope *outer = run->scope;
    jinja_loop *loop = pf_jinja_take(&run->heap, sizeof *loop);
    outcome end = loop ? GOES_ON : FAILS;
    if (loop) *loop = (jinja_loop){.items = items};
    for (size_t i = 0; (end == GOES_ON || end == CONTINUES) && i < items->n; i++) {
        jinja_scope *scope = pf_jinja_take(&run->heap, sizeof *scope); /* macros may keep it */
        loop->index = i;
        if (!scope || !enter_scope(run, scope, outer) ||
            !set_name(run, JINJA_STRING("loop"), (jinja_value){.kind = JINJA_LOOP, .loop = loop}) ||
            !set_target(run, node->a, items->items[i]))
            end = FAILS;
        else
            end = run_body(run, node->body, out);
    }
    run->scope = outer;
    return end == FAILS ? FAILS : GOES_ON;
}

static outcome run_for(jinja_run *run, const jinja_node *node, jinja_builder *out) {
    jinja_value series;
    const jinja_list *items;
    if (!pf_jinja_eval(run, node->b, &series)) return FAILS;
    run->line = node->line;
    if (!pf_jinja_items(run, &series, &items) || !choose_items(run, node, &items)) return FAILS;
    return items->n ? run_loop(run, node, items, out) : run_body(run, node->d, out);
}

/* ---- macros ---- */

static bool bind_parameters(jinja_run *run, const jinja_macro *macro,
                            const jinja_arguments *arguments) {
    size_t i = 0, used = 0;
    for (const jinja_node *p = macro->parameters; p; p = p->next, i++) {
        jinja_value value;
        const jinja_value *given = i < arguments->n ? &arguments->positional[i] : NULL;
        for (size_t k = 0; !given && k < arguments->n_named; k++)
            if (pf_jinja_same(arguments->named[k].name, p->text)) {
                given = &arguments->named[k].value;
                used++;
            }
        if (given)
            value = *given;
        else if (p->a ? !pf_jinja_eval(run, p->a, &value)
                      : !pf_jinja_undefined(run, NULL, p->text, &value))
            return false;
        if (!set_name(run, p->text, value)) return false;
    }
    for (size_t k = 0; k < arguments->n_named; k++)
        if (pf_jinja_is(arguments->named[k].name, "caller")) {
            used++;
            if (!set_name(run, JINJA_STRING("caller"), arguments->named[k].value)) return false;
        }
    if (arguments->n <= i && used == arguments->n_named) return true;
    return pf_jinja_fail(run, "the macro is called with arguments that it does not have");
}

static bool call_macro(jinja_run *run, const jinja_macro *macro, const jinja_arguments *arguments,
                       jinja_value *out) {
    jinja_scope *outer = run->scope, *scope = pf_jinja_take(&run->heap, sizeof *scope);
    jinja_builder b = {.heap = &run->heap};
    if (!scope || !pf_jinja_enter(run)) return false;
    bool good = enter_scope(run, scope, macro->scope) && bind_parameters(run, macro, arguments) &&
                run_body(run, macro->node->body, &b) != FAILS;
    run->scope = outer;
    run->depth--;
    *out = pf_jinja_built(&b);
    return good;
}

static bool make_macro(jinja_run *run, const jinja_node *node, const jinja_node *parameters,
                       jinja_value *out) {
    jinja_macro *macro = pf_jinja_take(&run->heap, sizeof *macro);
    if (!macro) return false;
    *macro = (jinja_macro){node, parameters, run->scope};
    *out = (jinja_value){.kind = JINJA_MACRO, .macro = macro};
    return true;
}

/* {% call macro() %}: the macro can write the body, with caller(). */
static bool run_call_block(jinja_run *run, const jinja_node *node, jinja_builder *out) {
    jinja_named caller = {.name = JINJA_STRING("caller")};
    jinja_value value;
    return make_macro(run, node, node->b, &caller.value) &&
           pf_jinja_eval_call(run, node->a, &caller, &value) && pf_jinja_add_str(out, &value);
}

/* ---- statements ---- */

/* The text of a body in a scope of its own, through filters. */
static bool capture(jinja_run *run, const jinja_node *node, jinja_value *out) {
    jinja_scope *outer = run->scope, *scope = pf_jinja_take(&run->heap, sizeof *scope);
    jinja_builder b = {.heap = &run->heap};
    if (!scope) return false;
    enter_scope(run, scope, outer);
    bool good = run_body(run, node->body, &b) != FAILS;
    run->scope = outer;
    return good && pf_jinja_eval_filters(run, node->b, pf_jinja_built(&b), out);
}

static outcome run_with(jinja_run *run, const jinja_node *node, jinja_builder *out) {
    jinja_scope *outer = run->scope, *scope = pf_jinja_take(&run->heap, sizeof *scope);
    outcome end = scope ? GOES_ON : FAILS;
    if (scope) *scope = (jinja_scope){.up = outer};
    for (const jinja_node *target = node->a; end == GOES_ON && target;
         target = target->next->next) {
        jinja_value value;
        bool good = pf_jinja_eval(run, target->next, &value); /* sees the outer scope only */
        run->scope = scope;
        good = good && set_target(run, target, value);
        run->scope = outer;
        if (!good) end = FAILS;
    }
    if (end == GOES_ON) {
        run->scope = scope;
        end = run_body(run, node->body, out);
    }
    run->scope = outer;
    return end;
}

static bool print(jinja_run *run, const jinja_node *node, jinja_builder *out) {
    jinja_value value;
    return pf_jinja_eval(run, node->a, &value) && pf_jinja_add_str(out, &value);
}

static bool set_macro(jinja_run *run, const jinja_node *node) {
    jinja_value macro;
    return make_macro(run, node, node->a, &macro) && set_name(run, node->text, macro);
}

static outcome run_statement(jinja_run *run, const jinja_node *node, jinja_builder *out) {
    jinja_value value;
    bool good = true;
    switch (node->kind) {
    case NODE_DATA:
        good = pf_jinja_add_string(out, node->text);
        break;
    case NODE_PRINT:
        good = print(run, node, out);
        break;
    case NODE_IF:
        if (!pf_jinja_eval(run, node->a, &value)) return FAILS;
        return run_body(run, pf_jinja_truth(&value) ? node->b : node->c, out);
    case NODE_FOR:
        return run_for(run, node, out);
    case NODE_SET:
        good = pf_jinja_eval(run, node->b, &value) && set_target(run, node->a, value);
        break;
    case NODE_SET_BLOCK:
        good = capture(run, node, &value) && set_target(run, node->a, value);
        break;
    case NODE_FILTER_BLOCK:
        good = capture(run, node, &value) && pf_jinja_add_str(out, &value);
        break;
    case NODE_MACRO:
        good = set_macro(run, node);
        break;
    case NODE_CALL_BLOCK:
        good = run_call_block(run, node, out);
        break;
    case NODE_WITH:
        return run_with(run, node, out);
    case NODE_BREAK:
        return BREAKS;
    case NODE_CONTINUE:
        return CONTINUES;
    default:
        good = pf_jinja_fail(run, "this is no statement");
        break;
    }
    return good ? GOES_ON : FAILS;
}

static outcome run_body(jinja_run *run, const jinja_node *body, jinja_builder *out) {
    outcome end = GOES_ON;
    if (!pf_jinja_enter(run)) return FAILS;
    for (; body && end == GOES_ON; body = body->next) {
        run->heap.work++;
        run->line = body->line;
        end = pf_jinja_work(run) ? run_statement(run, body, out) : FAILS;
        if (end != FAILS && out->n > run->max_output) {
            pf_jinja_fail(run, "it writes more than %zu bytes, the limit", run->max_output);
            end = FAILS;
        }
    }
    run->depth--;
    return end;
}

/* ---- a template from outside ---- */

pf_jinja *pf_jinja_parse(const char *source, size_t size, pf_error *error) {
    pf_jinja *jinja = pf_calloc(1, sizeof *jinja, "a chat template", error);
    if (!jinja) return NULL;
    jinja->heap = (jinja_heap){.limit = PARSE_MEMORY, .error = error};
    if (!pf_jinja_parse_template(&jinja->heap, source, size, &jinja->body)) {
        pf_jinja_free(jinja);
        return NULL;
    }
    jinja->heap.error = NULL;
    return jinja;
}

void pf_jinja_free(pf_jinja *jinja) {
    if (jinja) pf_jinja_heap_free(&jinja->heap);
    pf_free(jinja);
}

static bool make_value(jinja_heap *heap, const pf_jinja_variable *from, jinja_value *value) {
    jinja_value part;
    switch (from->kind) {
    case PF_JINJA_TEXT:
        *value = pf_jinja_text((jinja_string){from->text, from->size});
        return true;
    case PF_JINJA_DICT:
        if (!pf_jinja_new_dict(heap, JINJA_DICT, value)) return false;
        break;
    case PF_JINJA_LIST:
        if (!pf_jinja_new_list(heap, JINJA_LIST, value)) return false;
        break;
    case PF_JINJA_NONE:
        *value = pf_jinja_none();
        return true;
    default:
        *value = pf_jinja_bool(from->kind == PF_JINJA_TRUE);
        return true;
    }
    for (size_t i = 0; i < from->n_parts; i++)
        if (!make_value(heap, &from->parts[i], &part) ||
            !(from->kind == PF_JINJA_DICT
                  ? pf_jinja_put_text(heap, value->dict, from->parts[i].name, part)
                  : pf_jinja_push(heap, value->list, part)))
            return false;
    return true;
}

static bool set_variables(jinja_run *run, const pf_jinja_variable *variables, size_t n) {
    for (size_t i = 0; i < n; i++) {
        jinja_value value;
        jinja_string name = {variables[i].name, strlen(variables[i].name)};
        if (!make_value(&run->heap, &variables[i], &value) || !set_name(run, name, value))
            return false;
    }
    return true;
}

bool pf_jinja_render(const pf_jinja *jinja, const pf_jinja_variable *variables, size_t n_variables,
                     const pf_jinja_limits *limits, pf_buffer *out, bool *refused,
                     pf_error *error) {
    pf_error reason = {""};
    jinja_scope globals, scope;
    jinja_run run = {.heap = {.limit = limits->memory, .error = &reason},
                     .max_work = limits->steps,
                     .max_output = limits->output,
                     .now = (time_t)limits->now,
                     .call_macro = call_macro,
                     .filter = pf_jinja_filter};
    jinja_builder text = {.heap = &run.heap};
    bool good = enter_scope(&run, &globals, NULL) && set_variables(&run, variables, n_variables) &&
                enter_scope(&run, &scope, &globals) && run_body(&run, jinja->body, &text) != FAILS;
    if (good)
        good = pf_buffer_put(out, text.bytes ? text.bytes : "", text.n, error);
    else if (strncmp(reason.message, "line ", 5) == 0)
        pf_fail(error, "%s", reason.message);
    else
        pf_fail(error, "line %d: %s", run.line, reason.message);
    if (refused) *refused = run.raised;
    pf_jinja_heap_free(&run.heap);
    return good;
}
