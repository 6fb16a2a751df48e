/* floor 3.3 - Jinja expressions: one function per level of precedence, the loosest first. */
#include "jinja_expression.h"

#include "jinja_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ---- */

static bool at_operator(const jinja_parser *p, const char *operator) {
    return p->at->kind == TOKEN_OPERATOR && pf_jinja_is(p->at->text, operator);
}

bool pf_jinja_at_name(const jinja_parser *p, const char *name) {
    return p->at->kind == TOKEN_NAME && pf_jinja_is(p->at->text, name);
}

bool pf_jinja_accept(jinja_parser *p, const char *operator) {
    if (!at_operator(p, operator)) return false;
    p->at++;
    return true;
}

bool pf_jinja_accept_name(jinja_parser *p, const char *name) {
    if (!pf_jinja_at_name(p, name)) return false;
    p->at++;
    return true;
}

bool pf_jinja_expected(jinja_parser *p, const char *what) {
    int n = p->at->text.n < 40 ? (int)p->at->text.n : 40;
    if (p->at->kind == TOKEN_END)
        return pf_fail(p->heap->error, "line %d: the template ends where %s is expected",
                       p->at->line, what);
    return pf_fail(p->heap->error, "line %d: %s is expected, not \"%.*s\"", p->at->line, what, n,
                   p->at->text.bytes);
}

static jinja_node *missing(jinja_parser *p, const char *what) {
    pf_jinja_expected(p, what);
    return NULL;
}

bool pf_jinja_expect(jinja_parser *p, const char *operator) {
    return pf_jinja_accept(p, operator) || pf_jinja_expected(p, operator);
}

jinja_node *pf_jinja_node(jinja_parser *p, jinja_node_kind kind) {
    jinja_node *node = pf_jinja_take(p->heap, sizeof *node);
    if (node) *node = (jinja_node){.kind = kind, .line = p->at->line};
    return node;
}

static jinja_node *binary(jinja_parser *p, jinja_node_kind kind, jinja_string text, jinja_node *a,
                          jinja_node *b) {
    jinja_node *node = a && b ? pf_jinja_node(p, kind) : NULL;
    if (!node) return NULL;
    node->line = a->line;
    node->text = text;
    node->a = a;
    node->b = b;
    return node;
}

/* ---- literals, names, brackets ---- */

static jinja_node *parse_literal(jinja_parser *p, jinja_value value) {
    jinja_node *node = pf_jinja_node(p, NODE_LITERAL);
    if (node) node->literal = value;
    p->at++;
    return node;
}

static jinja_node *parse_number(jinja_parser *p) {
    char digits[64];
    size_t n = 0;
    bool real = false;
    for (size_t i = 0; i < p->at->text.n; i++) {
        char c = p->at->text.bytes[i];
        if (c == '_') continue;
        if (n + 1 == sizeof digits) return missing(p, "a shorter number");
        real = real || c == '.' || c == 'e' || c == 'E';
        digits[n++] = c;
    }
    digits[n] = '\0';
    double value_real = 0;
    if (real && pf_jinja_read_real((jinja_string){digits, n}, &value_real))
        return parse_literal(p, pf_jinja_real(value_real));
    errno = 0;
    long long value = strtoll(digits, NULL, 10);
    if (errno == 0) return parse_literal(p, pf_jinja_integer(value));
    return missing(p, "a smaller number");
}

/* Strings side by side are one. */
static jinja_node *parse_string(jinja_parser *p) {
    jinja_node *node = parse_literal(p, pf_jinja_text(p->at->text));
    while (node && p->at->kind == TOKEN_STRING) {
        jinja_string a = node->literal.string, b = p->at->text;
        char *both = pf_jinja_take(p->heap, a.n + b.n);
        if (!both) return NULL;
        if (a.n) memcpy(both, a.bytes, a.n);
        if (b.n) memcpy(both + a.n, b.bytes, b.n);
        node->literal = pf_jinja_text((jinja_string){both, a.n + b.n});
        p->at++;
    }
    return node;
}

static jinja_node *parse_name(jinja_parser *p) {
    static const struct {
        const char *name;
        int value;
    } constants[] = {{"true", 1},  {"True", 1},  {"false", 0},
                     {"False", 0}, {"none", -1}, {"None", -1}};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (pf_jinja_is(p->at->text, constants[i].name))
            return parse_literal(p, constants[i].value < 0 ? pf_jinja_none()
                                                           : pf_jinja_bool(constants[i].value));
    jinja_node *node = pf_jinja_node(p, NODE_NAME);
    if (node) node->text = p->at->text;
    p->at++;
    return node;
}

/* Items up to the closing bracket; with colons between them in pairs for a dict. */
static jinja_node *parse_items(jinja_parser *p, jinja_node_kind kind, const char *close) {
    jinja_node *node = pf_jinja_node(p, kind);
    if (!node) return NULL;
    p->at++; /* the opening one */
    for (jinja_node **next = &node->a; !pf_jinja_accept(p, close); next = &(*next)->next) {
        if (next != &node->a && !pf_jinja_expect(p, ",")) return NULL;
        if (next != &node->a && pf_jinja_accept(p, close)) break;
        if (!(*next = pf_jinja_parse_expression(p, true))) return NULL;
        if (kind != NODE_DICT) continue;
        if (!pf_jinja_expect(p, ":")) return NULL;
        next = &(*next)->next;
        if (!(*next = pf_jinja_parse_expression(p, true))) return NULL;
    }
    return node;
}

/* Whether the next token ends a tuple. */
static bool at_tuple_end(const jinja_parser *p) {
    return p->at->kind == TOKEN_PRINT_END || p->at->kind == TOKEN_BLOCK_END ||
           p->at->kind == TOKEN_END || at_operator(p, ")");
}

static jinja_node *parse_primary(jinja_parser *p) {
    if (p->at->kind == TOKEN_NAME) return parse_name(p);
    if (p->at->kind == TOKEN_STRING) return parse_string(p);
    if (p->at->kind == TOKEN_NUMBER) return parse_number(p);
    if (at_operator(p, "[")) return parse_items(p, NODE_LIST, "]");
    if (at_operator(p, "{")) return parse_items(p, NODE_DICT, "}");
    if (!pf_jinja_accept(p, "(")) return missing(p, "a value");
    jinja_node *node =
        at_operator(p, ")") ? pf_jinja_node(p, NODE_TUPLE) : pf_jinja_parse_tuple(p, true);
    return node && pf_jinja_expect(p, ")") ? node : NULL;
}

/* ---- what follows a value ---- */

static jinja_node *parse_argument(jinja_parser *p) {
    bool all = pf_jinja_accept(p, "*"), named = !all && pf_jinja_accept(p, "**");
    bool keyword = !all && !named && p->at->kind == TOKEN_NAME && p->at[1].kind == TOKEN_OPERATOR &&
                   pf_jinja_is(p->at[1].text, "=");
    if (!all && !named && !keyword) return pf_jinja_parse_expression(p, true);
    jinja_node *node = pf_jinja_node(p, keyword ? NODE_KEYWORD
                                        : all   ? NODE_SPREAD
                                                : NODE_SPREAD_KEYWORDS);
    if (!node) return NULL;
    if (keyword) {
        node->text = p->at->text;
        p->at += 2;
    }
    node->a = pf_jinja_parse_expression(p, true);
    return node->a ? node : NULL;
}

/* Arguments behind the opening parenthesis, which is next. */
static bool parse_arguments(jinja_parser *p, jinja_node **arguments) {
    if (!pf_jinja_expect(p, "(")) return false;
    for (jinja_node **next = arguments; !pf_jinja_accept(p, ")"); next = &(*next)->next) {
        if (next != arguments && !pf_jinja_expect(p, ",")) return false;
        if (next != arguments && pf_jinja_accept(p, ")")) break;
        if (!(*next = parse_argument(p))) return false;
    }
    return true;
}

static jinja_node *parse_call(jinja_parser *p, jinja_node *a) {
    jinja_node *node = binary(p, NODE_CALL, a->text, a, a);
    if (!node) return NULL;
    node->b = NULL;
    return parse_arguments(p, &node->b) ? node : NULL;
}

/* An index, or a slice with its colons. */
static jinja_node *parse_index(jinja_parser *p, jinja_node *a) {
    jinja_node *parts[3] = {NULL, NULL, NULL};
    int colons = 0;
    for (p->at++; !at_operator(p, "]");) {
        if (colons < 2 && pf_jinja_accept(p, ":"))
            colons++;
        else if (parts[colons])
            return missing(p, "]");
        else if (!(parts[colons] = pf_jinja_parse_expression(p, true)))
            return NULL;
    }
    if (colons == 0 && !parts[0]) return missing(p, "an index");
    p->at++;
    jinja_node *node = binary(p, colons ? NODE_SLICE : NODE_ITEM, a->text, a, a);
    if (!node) return NULL;
    node->b = parts[0];
    node->c = parts[1];
    node->d = parts[2];
    return node;
}

static jinja_node *parse_attribute(jinja_parser *p, jinja_node *a) {
    p->at++;
    if (p->at->kind == TOKEN_NUMBER) {
        jinja_node *index = parse_number(p);
        return binary(p, NODE_ITEM, a->text, a, index);
    }
    if (p->at->kind != TOKEN_NAME) return missing(p, "the name of an attribute");
    jinja_node *node = binary(p, NODE_ATTRIBUTE, p->at->text, a, a);
    if (node) node->b = NULL;
    p->at++;
    return node;
}

static jinja_node *parse_postfix(jinja_parser *p, jinja_node *node) {
    while (node) {
        if (at_operator(p, "."))
            node = parse_attribute(p, node);
        else if (at_operator(p, "["))
            node = parse_index(p, node);
        else if (at_operator(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

static bool parse_filter_name(jinja_parser *p, jinja_node *node, const char *what) {
    if (p->at->kind != TOKEN_NAME) return pf_jinja_expected(p, what);
    node->text = p->at->text;
    p->at++;
    return true;
}

jinja_node *pf_jinja_parse_filter(jinja_parser *p, jinja_node *a) {
    jinja_node *node = pf_jinja_node(p, NODE_FILTER);
    if (!node || !parse_filter_name(p, node, "the name of a filter")) return NULL;
    node->a = a;
    if (at_operator(p, "(") && !parse_arguments(p, &node->b)) return NULL;
    return node;
}

bool pf_jinja_parse_filters(jinja_parser *p, jinja_node *first, jinja_node **filters) {
    for (*filters = first; pf_jinja_accept(p, "|");)
        if (!(*filters = pf_jinja_parse_filter(p, *filters))) return false;
    return true;
}

/* Whether a test takes what follows as its argument: `is divisibleby 3`. */
static bool at_test_argument(const jinja_parser *p) {
    if (p->at->kind == TOKEN_NAME)
        return !pf_jinja_at_name(p, "else") && !pf_jinja_at_name(p, "or") &&
               !pf_jinja_at_name(p, "and") && !pf_jinja_at_name(p, "is");
    return p->at->kind == TOKEN_STRING || p->at->kind == TOKEN_NUMBER || at_operator(p, "[") ||
           at_operator(p, "{");
}

static jinja_node *parse_test(jinja_parser *p, jinja_node *a) {
    bool negated = pf_jinja_accept_name(p, "not");
    jinja_node *node = pf_jinja_node(p, NODE_TEST);
    if (!node || !parse_filter_name(p, node, "the name of a test")) return NULL;
    node->a = a;
    if (at_operator(p, "(")) {
        if (!parse_arguments(p, &node->b)) return NULL;
    } else if (pf_jinja_at_name(p, "is")) {
        return missing(p, "and or or between two tests");
    } else if (at_test_argument(p)) {
        node->b = parse_postfix(p, parse_primary(p));
        if (!node->b) return NULL;
    }
    if (!negated) return node;
    jinja_node *not_node = pf_jinja_node(p, NODE_NOT);
    if (not_node) not_node->a = node;
    return not_node;
}

static jinja_node *parse_unary(jinja_parser *p, bool filters) {
    jinja_node *node;
    if (at_operator(p, "-") || at_operator(p, "+")) {
        node = pf_jinja_node(p, at_operator(p, "-") ? NODE_NEGATE : NODE_PLUS);
        p->at++;
        if (++p->depth > JINJA_PARSE_DEPTH) return missing(p, "a simpler expression");
        if (!node || !(node->a = parse_unary(p, false))) return NULL;
        p->depth--;
    } else {
        node = parse_primary(p);
    }
    node = parse_postfix(p, node);
    while (node && filters) {
        if (pf_jinja_accept(p, "|"))
            node = pf_jinja_parse_filter(p, node);
        else if (pf_jinja_accept_name(p, "is"))
            node = parse_test(p, node);
        else if (at_operator(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* ---- operators ---- */

/* The levels of binary operators, the loosest first. */
static const char *const levels[][5] = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};
enum { LEVELS = sizeof levels / sizeof *levels };

static jinja_node *parse_binary(jinja_parser *p, int level) {
    if (level == LEVELS) return parse_unary(p, true);
    jinja_node *node = parse_binary(p, level + 1);
    for (int i = 0; node && levels[level][i];) {
        if (!at_operator(p, levels[level][i])) {
            i++;
            continue;
        }
        jinja_string text = p->at->text;
        p->at++;
        node = binary(p, NODE_BINARY, text, node, parse_binary(p, level + 1));
        i = 0;
    }
    return node;
}

/* The comparison that is next, read; NULL if there is none. */
static const char *accept_comparison(jinja_parser *p) {
    static const char *const operators[] = {"==", "!=", "<=", ">=", "<", ">"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (pf_jinja_accept(p, operators[i])) return operators[i];
    if (pf_jinja_accept_name(p, "in")) return "in";
    if (!pf_jinja_at_name(p, "not") || p->at[1].kind != TOKEN_NAME ||
        !pf_jinja_is(p->at[1].text, "in"))
        return NULL;
    p->at += 2;
    return "not in";
}

static jinja_node *parse_compare(jinja_parser *p) {
    jinja_node *node = parse_binary(p, 0), *first = node;
    jinja_node **next = NULL;
    for (const char *operator; node && (operator= accept_comparison(p));) {
        jinja_node *operand = pf_jinja_node(p, NODE_OPERAND);
        if (!operand || !(operand->a = parse_binary(p, 0))) return NULL;
        operand->text = (jinja_string){operator, strlen(operator)};
        if (next)
            *next = operand;
        else
            node = binary(p, NODE_COMPARE, operand->text, first, operand);
        next = &operand->next;
    }
    return node;
}

static jinja_node *parse_not(jinja_parser *p) {
    if (!pf_jinja_at_name(p, "not")) return parse_compare(p);
    jinja_node *node = pf_jinja_node(p, NODE_NOT);
    p->at++;
    if (++p->depth > JINJA_PARSE_DEPTH) return missing(p, "a simpler expression");
    if (node) node->a = parse_not(p);
    p->depth--;
    return node && node->a ? node : NULL;
}

static jinja_node *parse_and(jinja_parser *p) {
    jinja_node *node = parse_not(p);
    while (node && pf_jinja_accept_name(p, "and"))
        node = binary(p, NODE_AND, node->text, node, parse_not(p));
    return node;
}

static jinja_node *parse_or(jinja_parser *p) {
    jinja_node *node = parse_and(p);
    while (node && pf_jinja_accept_name(p, "or"))
        node = binary(p, NODE_OR, node->text, node, parse_and(p));
    return node;
}

/* b if a else c */
static jinja_node *parse_choice(jinja_parser *p, jinja_node *b) {
    while (b && pf_jinja_accept_name(p, "if")) {
        jinja_node *a = parse_or(p), *node = binary(p, NODE_CHOICE, (jinja_string){0}, a, b);
        if (!node) return NULL;
        if (pf_jinja_accept_name(p, "else") && !(node->c = pf_jinja_parse_expression(p, true)))
            return NULL;
        b = node;
    }
    return b;
}

jinja_node *pf_jinja_parse_expression(jinja_parser *p, bool choice) {
    if (++p->depth > JINJA_PARSE_DEPTH) return missing(p, "a simpler expression");
    jinja_node *node = parse_or(p);
    if (choice) node = parse_choice(p, node);
    p->depth--;
    return node;
}

jinja_node *pf_jinja_parse_tuple(jinja_parser *p, bool choice) {
    jinja_node *first = pf_jinja_parse_expression(p, choice);
    if (!first || !at_operator(p, ",")) return first;
    jinja_node *node = pf_jinja_node(p, NODE_TUPLE);
    if (!node) return NULL;
    node->a = first;
    for (jinja_node **next = &first->next; pf_jinja_accept(p, ",") && !at_tuple_end(p);
         next = &(*next)->next)
        if (!(*next = pf_jinja_parse_expression(p, choice))) return NULL;
    return node;
}

/* ---- targets ---- */

static jinja_node *parse_one_target(jinja_parser *p, bool attribute) {
    if (pf_jinja_accept(p, "(")) {
        if (++p->depth > JINJA_PARSE_DEPTH) return missing(p, "a simpler target");
        jinja_node *inner = pf_jinja_parse_target(p, false);
        p->depth--;
        return inner && pf_jinja_expect(p, ")") ? inner : NULL;
    }
    if (p->at->kind != TOKEN_NAME) return missing(p, "a name");
    jinja_node *node = parse_name(p);
    if (node && node->kind != NODE_NAME) {
        p->at--;
        pf_jinja_expected(p, "a name that can be set");
        return NULL;
    }
    return node && attribute && at_operator(p, ".") ? parse_attribute(p, node) : node;
}

jinja_node *pf_jinja_parse_target(jinja_parser *p, bool attribute) {
    jinja_node *first = parse_one_target(p, attribute);
    if (!first || !at_operator(p, ",")) return first;
    jinja_node *node = pf_jinja_node(p, NODE_TUPLE);
    if (!node) return NULL;
    node->a = first;
    for (jinja_node **next = &first->next;
         pf_jinja_accept(p, ",") && (p->at->kind == TOKEN_NAME || at_operator(p, "("));
         next = &(*next)->next) {
        if (pf_jinja_at_name(p, "in")) break;
        if (!(*next = parse_one_target(p, false))) return NULL;
    }
    return node;
}
