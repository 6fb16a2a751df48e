/* floor 3.4 - Jinja parser: statements, one function for each. */
#include "jinja_parser.h"

#include "jinja_expression.h"

#include <string.h>

/* Reads statements up to a block that begins with one of the names (separated by spaces), reads its
 * `{%` too and leaves the name next. ends NULL: up to the end of the template. */
static bool parse_body(jinja_parser *p, const char *ends, jinja_node **body);

static bool end_block(jinja_parser *p) {
    if (p->at->kind != TOKEN_BLOCK_END) return pf_jinja_expected(p, "%}");
    p->at++;
    return true;
}

/* Whether the next token is one of the names. */
static bool at_one_of(const jinja_parser *p, const char *names) {
    if (p->at->kind != TOKEN_NAME) return false;
    for (const char *name = names; *name;) {
        size_t n = strcspn(name, " ");
        if (pf_jinja_same(p->at->text, (jinja_string){name, n})) return true;
        name += n + (name[n] == ' ');
    }
    return false;
}

/* The end of the head of a statement, its body, and `{% end %}`. */
static bool parse_whole_body(jinja_parser *p, const char *end, jinja_node **body) {
    if (!end_block(p) || !parse_body(p, end, body)) return false;
    p->at++; /* the name */
    return end_block(p);
}

/* Behind `if` or `elif`. */
static bool parse_if(jinja_parser *p, jinja_node *node) {
    node->a = pf_jinja_parse_tuple(p, false);
    if (!node->a || !end_block(p) || !parse_body(p, "elif else endif", &node->b)) return false;
    if (pf_jinja_accept_name(p, "elif")) {
        node->c = pf_jinja_node(p, NODE_IF);
        if (!node->c || ++p->depth > JINJA_PARSE_DEPTH)
            return node->c && pf_jinja_expected(p, "fewer branches");
        bool good = parse_if(p, node->c);
        p->depth--;
        return good;
    }
    if (pf_jinja_accept_name(p, "else")) return parse_whole_body(p, "endif", &node->c);
    p->at++;
    return end_block(p);
}

static bool parse_for(jinja_parser *p, jinja_node *node) {
    node->a = pf_jinja_parse_target(p, false);
    if (!node->a) return false;
    if (!pf_jinja_accept_name(p, "in")) return pf_jinja_expected(p, "in");
    node->b = pf_jinja_parse_tuple(p, false);
    if (!node->b) return false;
    if (pf_jinja_accept_name(p, "if") && !(node->c = pf_jinja_parse_expression(p, true)))
        return false;
    p->loops++;
    bool good = end_block(p) && parse_body(p, "else endfor", &node->body);
    p->loops--;
    if (!good) return false;
    if (pf_jinja_accept_name(p, "else")) return parse_whole_body(p, "endfor", &node->d);
    p->at++;
    return end_block(p);
}

static bool parse_set(jinja_parser *p, jinja_node *node) {
    node->a = pf_jinja_parse_target(p, true);
    if (!node->a) return false;
    if (pf_jinja_accept(p, "="))
        return (node->b = pf_jinja_parse_tuple(p, true)) != NULL && end_block(p);
    node->kind = NODE_SET_BLOCK;
    return pf_jinja_parse_filters(p, NULL, &node->b) && parse_whole_body(p, "endset", &node->body);
}

/* (name, name=default) */
static bool parse_parameters(jinja_parser *p, jinja_node **parameters) {
    if (!pf_jinja_expect(p, "(")) return false;
    for (jinja_node **next = parameters; !pf_jinja_accept(p, ")"); next = &(*next)->next) {
        if (next != parameters && !pf_jinja_expect(p, ",")) return false;
        if (next != parameters && pf_jinja_accept(p, ")")) break;
        jinja_node *node = *next = pf_jinja_node(p, NODE_KEYWORD);
        if (!node) return false;
        if (p->at->kind != TOKEN_NAME) return pf_jinja_expected(p, "the name of a parameter");
        node->text = p->at->text;
        p->at++;
        if (pf_jinja_accept(p, "=") && !(node->a = pf_jinja_parse_expression(p, true)))
            return false;
    }
    return true;
}

/* The body of a macro is in no loop. */
static bool parse_macro_body(jinja_parser *p, const char *end, jinja_node **body) {
    int loops = p->loops;
    p->loops = 0;
    bool good = parse_whole_body(p, end, body);
    p->loops = loops;
    return good;
}

static bool parse_macro(jinja_parser *p, jinja_node *node) {
    if (p->at->kind != TOKEN_NAME) return pf_jinja_expected(p, "the name of the macro");
    node->text = p->at->text;
    p->at++;
    return parse_parameters(p, &node->a) && parse_macro_body(p, "endmacro", &node->body);
}

static bool parse_call_block(jinja_parser *p, jinja_node *node) {
    if (p->at->kind == TOKEN_OPERATOR && !parse_parameters(p, &node->b)) return false;
    node->a = pf_jinja_parse_expression(p, true);
    if (!node->a) return false;
    if (node->a->kind != NODE_CALL) return pf_jinja_expected(p, "a call");
    return parse_macro_body(p, "endcall", &node->body);
}

static bool parse_filter_block(jinja_parser *p, jinja_node *node) {
    jinja_node *first = pf_jinja_parse_filter(p, NULL);
    return first && pf_jinja_parse_filters(p, first, &node->b) &&
           parse_macro_body(p, "endfilter", &node->body);
}

static bool parse_with(jinja_parser *p, jinja_node *node) {
    for (jinja_node **next = &node->a; p->at->kind != TOKEN_BLOCK_END; next = &(*next)->next) {
        if (next != &node->a && !pf_jinja_expect(p, ",")) return false;
        if (!(*next = pf_jinja_parse_target(p, false)) || !pf_jinja_expect(p, "=")) return false;
        next = &(*next)->next;
        if (!(*next = pf_jinja_parse_expression(p, true))) return false;
    }
    return parse_whole_body(p, "endwith", &node->body);
}

/* The tags that tell transformers what an assistant has written: their body is a scope. */
static bool parse_generation(jinja_parser *p, jinja_node *node) {
    return parse_whole_body(p, "endgeneration", &node->body);
}

static bool parse_jump(jinja_parser *p, jinja_node *node) {
    if (p->loops == 0)
        return pf_fail(p->heap->error, "line %d: break and continue belong into a loop",
                       node->line);
    return end_block(p);
}

static const struct {
    const char *name;
    jinja_node_kind kind;
    bool (*parse)(jinja_parser *p, jinja_node *node);
} statements[] = {
    {"if", NODE_IF, parse_if},
    {"for", NODE_FOR, parse_for},
    {"set", NODE_SET, parse_set},
    {"macro", NODE_MACRO, parse_macro},
    {"call", NODE_CALL_BLOCK, parse_call_block},
    {"filter", NODE_FILTER_BLOCK, parse_filter_block},
    {"with", NODE_WITH, parse_with},
    {"generation", NODE_WITH, parse_generation},
    {"break", NODE_BREAK, parse_jump},
    {"continue", NODE_CONTINUE, parse_jump},
};

/* Behind `{%`. */
static jinja_node *parse_statement(jinja_parser *p) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!pf_jinja_at_name(p, statements[i].name)) continue;
        jinja_node *node = pf_jinja_node(p, statements[i].kind);
        p->at++;
        return node && statements[i].parse(p, node) ? node : NULL;
    }
    pf_jinja_expected(p, "a statement (if, for, set, macro ...)");
    return NULL;
}

static jinja_node *parse_print(jinja_parser *p) {
    jinja_node *node = pf_jinja_node(p, NODE_PRINT);
    if (!node || !(node->a = pf_jinja_parse_tuple(p, true))) return NULL;
    if (p->at->kind != TOKEN_PRINT_END) {
        pf_jinja_expected(p, "}}");
        return NULL;
    }
    p->at++;
    return node;
}

static bool parse_statements(jinja_parser *p, const char *ends, jinja_node **next) {
    for (; p->at->kind != TOKEN_END; next = &(*next)->next) {
        const jinja_token *token = p->at++;
        if (token->kind == TOKEN_DATA) {
            *next = pf_jinja_node(p, NODE_DATA);
            if (*next) (*next)->text = token->text;
        } else if (token->kind == TOKEN_PRINT_BEGIN) {
            *next = parse_print(p);
        } else {
            if (ends && at_one_of(p, ends)) return true;
            *next = parse_statement(p);
        }
        if (!*next) return false;
    }
    return !ends || pf_jinja_expected(p, strrchr(ends, ' ') ? strrchr(ends, ' ') + 1 : ends);
}

static bool parse_body(jinja_parser *p, const char *ends, jinja_node **body) {
    if (++p->depth > JINJA_PARSE_DEPTH) return pf_jinja_expected(p, "a simpler template");
    bool good = parse_statements(p, ends, body);
    p->depth--;
    return good;
}

bool pf_jinja_parse_template(jinja_heap *heap, const char *source, size_t size, jinja_node **body) {
    jinja_token *tokens;
    size_t n;
    if (!pf_jinja_lex(heap, source, size, &tokens, &n)) return false;
    jinja_parser p = {.heap = heap, .at = tokens};
    *body = NULL;
    return parse_body(&p, NULL, body);
}
