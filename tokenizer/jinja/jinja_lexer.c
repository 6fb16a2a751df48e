/* floor 3.2 - Jinja lexer: cuts data from tags, and tags into tokens. */
#include "jinja_lexer.h"

#include "jinja_text.h"
#include "utf8.h"

#include <string.h>

enum { MAX_BRACKETS = 256 };

typedef struct lexer {
    jinja_heap *heap;
    const char *text; /* newlines are \n */
    size_t n, at;
    int line;
    bool at_line_start; /* the data at `at` begins a line */
    jinja_token *tokens;
    size_t n_tokens, capacity;
} lexer;

static bool fail(const lexer *l, const char *what) {
    return pf_fail(l->heap->error, "line %d: %s", l->line, what);
}

static bool starts(const lexer *l, size_t at, const char *with) {
    size_t n = strlen(with);
    return l->n - at >= n && memcmp(l->text + at, with, n) == 0;
}

static bool push(lexer *l, jinja_token_kind kind, jinja_string text) {
    if (l->n_tokens == l->capacity) {
        size_t wanted = l->capacity ? 2 * l->capacity : 64;
        jinja_token *tokens = pf_jinja_take(l->heap, wanted * sizeof *tokens);
        if (!tokens) return false;
        if (l->n_tokens) memcpy(tokens, l->tokens, l->n_tokens * sizeof *tokens);
        l->tokens = tokens;
        l->capacity = wanted;
    }
    l->tokens[l->n_tokens++] = (jinja_token){kind, l->line, text};
    return true;
}

/* Moves on and counts the lines. */
static void advance(lexer *l, size_t to) {
    for (; l->at < to; l->at++) l->line += l->text[l->at] == '\n';
}

static size_t skip_space(const lexer *l, size_t at) {
    jinja_string rest = {l->text + at, l->n - at};
    return at + pf_jinja_space_before(rest);
}

/* ---- data ---- */

/* Pushes the data from `at` to `end`, less the blanks that the tag behind it takes: all white space
 * if sign is '-'; the blanks of its own line if it is a block or a comment without '+'. */
static bool push_data(lexer *l, size_t end, char sign, bool block) {
    jinja_string data = {l->text + l->at, end - l->at};
    if (sign == '-') {
        data.n -= pf_jinja_space_behind(data);
    } else if (sign != '+' && block) {
        size_t blank = pf_jinja_space_behind(data), line = data.n;
        while (line > 0 && data.bytes[line - 1] != '\n') line--;
        if ((line > 0 || l->at_line_start) && data.n - line <= blank) data.n = line;
    }
    return data.n == 0 || push(l, TOKEN_DATA, data);
}

/* The position behind the end of a tag, marked by `mark` at `at` (a '-' or '+' before it is at
 * `at` - 1). */
static size_t behind_tag(lexer *l, size_t at, char sign, bool trim) {
    at += 2;
    if (sign == '-')
        at = skip_space(l, at);
    else if (sign != '+' && trim && at < l->n && l->text[at] == '\n')
        at++;
    l->at_line_start = at > 0 && l->text[at - 1] == '\n';
    return at;
}

static size_t find(const lexer *l, size_t from, const char *part) {
    for (; from < l->n; from++)
        if (starts(l, from, part)) return from;
    return l->n;
}

static char sign_at(const lexer *l, size_t at) {
    char c = at < l->n ? l->text[at] : '\0';
    return c == '-' || c == '+' ? c : '\0';
}

static bool skip_comment(lexer *l) {
    size_t begin = l->at + 2 + (sign_at(l, l->at + 2) != '\0'), end = find(l, begin, "#}");
    if (end == l->n) return fail(l, "this comment has no end");
    char sign = end > begin ? sign_at(l, end - 1) : '\0';
    advance(l, behind_tag(l, end, sign, true));
    return true;
}

/* Reads `{% WORD %}` at `at`. *end: behind it; *close: the sign before its %}. */
static bool is_block_of(const lexer *l, size_t at, const char *word, size_t *end, char *close) {
    size_t n = strlen(word);
    at += 2;
    if (sign_at(l, at)) at++;
    at = skip_space(l, at);
    if (!starts(l, at, word)) return false;
    at = skip_space(l, at + n);
    *close = sign_at(l, at);
    if (*close) at++;
    *end = at;
    return starts(l, at, "%}");
}

/* {% raw %} ... {% endraw %}: data that may look like tags. */
static bool lex_raw(lexer *l, size_t begin, char close) {
    size_t end = 0;
    advance(l, close == '-' ? skip_space(l, begin + 2) : begin + 2);
    l->at_line_start = l->text[l->at - 1] == '\n';
    for (size_t at = find(l, l->at, "{%"); at < l->n; at = find(l, at + 2, "{%")) {
        if (!is_block_of(l, at, "endraw", &end, &close)) continue;
        if (!push_data(l, at, sign_at(l, at + 2), true)) return false;
        advance(l, behind_tag(l, end, close, true));
        return true;
    }
    return fail(l, "{% raw %} has no {% endraw %}");
}

/* ---- inside of tags ---- */

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads up to `most` digits of a base from text [*at .. n). */
static uint32_t read_code(const char *text, size_t *at, size_t n, int most, int base) {
    uint32_t code = 0;
    for (; most > 0 && *at < n; most--, ++*at) {
        int digit = hex_digit(text[*at]);
        if (digit < 0 || digit >= base) break;
        code = code * (uint32_t)base + (uint32_t)digit;
    }
    return code;
}

/* Appends what a backslash and text[*at] stand for, as in Python. Unknown escapes stay. */
static size_t put_escape(const char *text, size_t *at, size_t n, char *out) {
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    char c = text[(*at)++];
    const char *known = c ? strchr(from, c) : NULL;
    uint32_t code = 0;
    if (c == '\n') return 0;
    if (known) {
        *out = to[known - from];
        return 1;
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        code = read_code(text, at, n, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
    } else if (c >= '0' && c <= '7') {
        --*at;
        code = read_code(text, at, n, 3, 8);
    } else {
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    bool valid = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return pf_utf8_write(valid ? code : 0xFFFD, out);
}

static bool lex_string(lexer *l) {
    char quote = l->text[l->at];
    size_t begin = l->at + 1, end = begin, n = 0;
    while (end < l->n && l->text[end] != quote) end += l->text[end] == '\\' ? 2 : 1;
    if (end >= l->n) return fail(l, "this string has no end");
    char *out = pf_jinja_take(l->heap, end - begin + 4);
    if (!out) return false;
    for (size_t at = begin; at < end;) {
        if (l->text[at] != '\\') {
            out[n++] = l->text[at++];
        } else {
            at++;
            n += put_escape(l->text, &at, end, out + n);
        }
    }
    if (!push(l, TOKEN_STRING, (jinja_string){out, n})) return false;
    advance(l, end + 1);
    return true;
}

static bool lex_number(lexer *l) {
    size_t at = l->at, begin = at;
    const char *t = l->text;
    while (at < l->n && (is_digit(t[at]) || t[at] == '_')) at++;
    if (at + 1 < l->n && t[at] == '.' && is_digit(t[at + 1]))
        for (at++; at < l->n && (is_digit(t[at]) || t[at] == '_');) at++;
    if (at + 1 < l->n && (t[at] | 0x20) == 'e') {
        size_t digits = at + 1 + (t[at + 1] == '-' || t[at + 1] == '+');
        if (digits < l->n && is_digit(t[digits]))
            for (at = digits; at < l->n && is_digit(t[at]);) at++;
    }
    l->at = at;
    return push(l, TOKEN_NUMBER, (jinja_string){t + begin, at - begin});
}

static bool lex_operator(lexer *l) {
    static const char *const operators[] = {"**", "//", "==", "!=", "<=", ">=", "<", ">", "=",
                                            "+",  "-",  "*",  "/",  "%",  "~",  "|", ".", ",",
                                            ":",  ";",  "(",  ")",  "[",  "]",  "{", "}"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!starts(l, l->at, operators[i])) continue;
        size_t n = strlen(operators[i]);
        jinja_string text = {l->text + l->at, n};
        l->at += n;
        return push(l, TOKEN_OPERATOR, text);
    }
    return pf_fail(l->heap->error, "line %d: the character '%.*s' is not part of Jinja", l->line,
                   (int)pf_utf8_next(l->text + l->at, l->n - l->at).size, l->text + l->at);
}

/* Keeps the stack of open brackets; a closing one must be of the same kind. */
static bool balance(lexer *l, char *open, size_t *depth) {
    char c = l->text[l->at];
    const char *closing = c ? strchr(")]}", c) : NULL;
    if (closing) {
        if (*depth == 0 || open[*depth - 1] != *closing)
            return pf_fail(l->heap->error, "line %d: '%c' closes nothing", l->line, c);
        --*depth;
    } else if (c == '(' || c == '[' || c == '{') {
        if (*depth == MAX_BRACKETS) return fail(l, "brackets are nested too deeply");
        open[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    }
    return true;
}

/* The tokens of a tag, up to its end mark, which does not count inside of brackets. */
static bool lex_tag(lexer *l, const char *mark, jinja_token_kind end_kind) {
    char open[MAX_BRACKETS];
    bool block = end_kind == TOKEN_BLOCK_END;
    for (size_t depth = 0;;) {
        advance(l, skip_space(l, l->at));
        if (l->at >= l->n) return fail(l, "the template ends inside of a tag");
        char sign = sign_at(l, l->at), c = l->text[l->at];
        if (sign == '+' && !block) sign = '\0';
        size_t end = l->at + (sign && starts(l, l->at + 1, mark));
        if (depth == 0 && starts(l, end, mark)) {
            if (end == l->at) sign = '\0';
            if (!push(l, end_kind, (jinja_string){mark, 2})) return false;
            advance(l, behind_tag(l, end, sign, block));
            return true;
        }
        bool good = balance(l, open, &depth);
        if (good && is_digit(c)) {
            good = lex_number(l);
        } else if (good && is_name(c)) {
            size_t begin = l->at;
            while (l->at < l->n && is_name(l->text[l->at])) l->at++;
            good = push(l, TOKEN_NAME, (jinja_string){l->text + begin, l->at - begin});
        } else if (good) {
            good = c == '"' || c == '\'' ? lex_string(l) : lex_operator(l);
        }
        if (!good) return false;
    }
}

/* ---- all together ---- */

/* One run of data and the tag behind it. */
static bool lex_next(lexer *l) {
    size_t at = l->at, end = 0;
    char close = '\0';
    while (at < l->n && !(l->text[at] == '{' && at + 1 < l->n && l->text[at + 1] &&
                          strchr("{%#", l->text[at + 1])))
        at++;
    if (at == l->n) {
        if (!push_data(l, at, '+', false)) return false;
        advance(l, at);
        return true;
    }
    bool print = l->text[at + 1] == '{', comment = l->text[at + 1] == '#';
    char sign = sign_at(l, at + 2);
    if (!push_data(l, at, sign, !print)) return false;
    advance(l, at);
    if (comment) return skip_comment(l);
    if (!print && is_block_of(l, at, "raw", &end, &close)) return lex_raw(l, end, close);
    if (!push(l, print ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, (jinja_string){l->text + at, 2}))
        return false;
    l->at += sign ? 3 : 2;
    return print ? lex_tag(l, "}}", TOKEN_PRINT_END) : lex_tag(l, "%}", TOKEN_BLOCK_END);
}

/* Copies the source with newlines as \n, less one at the end. */
static bool copy_source(lexer *l, const char *source, size_t size) {
    char *copy = pf_jinja_take(l->heap, size + 1);
    if (!copy) return false;
    for (size_t i = 0; i < size; i++) {
        bool return_ = source[i] == '\r';
        copy[l->n++] = return_ ? '\n' : source[i];
        if (return_ && i + 1 < size && source[i + 1] == '\n') i++;
    }
    if (l->n && copy[l->n - 1] == '\n') l->n--;
    l->text = copy;
    return true;
}

bool pf_jinja_lex(jinja_heap *heap, const char *source, size_t size, jinja_token **tokens,
                  size_t *n) {
    lexer l = {.heap = heap, .line = 1, .at_line_start = true};
    if (!copy_source(&l, source, size)) return false;
    while (l.at < l.n)
        if (!lex_next(&l)) return false;
    if (!push(&l, TOKEN_END, (jinja_string){"", 0})) return false;
    *tokens = l.tokens;
    *n = l.n_tokens;
    return true;
}
