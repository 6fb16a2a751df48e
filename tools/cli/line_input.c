/* floor 5.3 - line input: what a person types or pastes, or plain lines from a pipe.
 *
 * The editor (libedit) reads its characters by read_character. So Ctrl-C ends its line, and after
 * Ctrl-Z and fg, or in a window of another size, it shows its line again. A terminal marks a pasted
 * text by ESC [ 200 ~ and ESC [ 201 ~; the first is bound to `paste`, which reads up to the second
 * and inserts the text with its line breaks. */
#define _POSIX_C_SOURCE 200809L
#include "line_input.h"

#include "buffer.h"
#include "history_file.h"
#include "input.h"
#include "memory.h"
#include "terminal.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

struct line_input {
    line_input_options options;
    bool continues;   /* the line to read is not the first of its entry */
    EditLine *editor; /* NULL if not at a terminal */
    History *history;
    const char *file;  /* the history file, or NULL */
    mbstate_t partial; /* of a character that has arrived in part */
    pf_buffer line;    /* the latest, if there is no editor */
    pf_buffer entry;
};

static const char quotes[] = "\"\"\"";

static line_input *owner_of(EditLine *editor) {
    line_input *input = NULL;
    el_get(editor, EL_CLIENTDATA, &input);
    return input;
}

static const char *prompt_of(EditLine *editor) {
    const line_input *input = owner_of(editor);
    return input->continues ? input->options.more_prompt : input->options.prompt;
}

/* The next byte from the terminal: 1, 0 at its end, -1 on Ctrl-C or an error. */
static int read_byte(EditLine *editor, char *byte) {
    for (;;) {
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || errno != EINTR || terminal_interrupted()) return (int)n;
        if (terminal_resized()) el_resize(editor);
        if (terminal_resumed()) {
            el_set(editor, EL_PREP_TERM, 0); /* the editor believes that it never left this mode */
            el_set(editor, EL_PREP_TERM, 1);
            terminal_mark_pastes(true);
            el_set(editor, EL_REFRESH);
        }
    }
}

/* For EL_GETCFN. Bytes that are no character are skipped. */
static int read_character(EditLine *editor, wchar_t *character) {
    line_input *input = owner_of(editor);
    for (;;) {
        char byte;
        int n = read_byte(editor, &byte);
        if (n != 1) return n;
        size_t size = mbrtowc(character, &byte, 1, &input->partial);
        if (size <= 1) return 1;
        if (size == (size_t)-1) input->partial = (mbstate_t){0};
    }
}

/* Reads what is pasted, up to its end mark, to *text. Line breaks become \n; other control
 * characters but tabs are left out, as are line breaks at the end. */
static bool read_pasted(EditLine *editor, pf_buffer *text) {
    static const char mark[] = "\x1b[201~";
    enum { MARK = sizeof mark - 1 };
    char byte;
    while (read_byte(editor, &byte) == 1) {
        if (!pf_buffer_put(text, &byte, 1, NULL)) return false;
        if (text->n < MARK || memcmp(text->bytes + text->n - MARK, mark, MARK) != 0) continue;
        size_t kept = 0;
        for (size_t i = 0; i < text->n - MARK; i++) {
            bool crlf = text->bytes[i] == '\n' && i > 0 && text->bytes[i - 1] == '\r';
            char c = text->bytes[i] == '\r' ? '\n' : text->bytes[i];
            bool control = (unsigned char)c < 0x20 || c == 0x7F;
            if (!crlf && (!control || c == '\n' || c == '\t')) text->bytes[kept++] = c;
        }
        while (kept > 0 && text->bytes[kept - 1] == '\n') kept--;
        text->bytes[kept] = '\0'; /* there is room: the mark stood here */
        return true;
    }
    return false;
}

static unsigned char paste(EditLine *editor, int key) {
    (void)key;
    pf_buffer text = {0};
    bool good = read_pasted(editor, &text) && (!*text.bytes || !el_insertstr(editor, text.bytes));
    pf_free(text.bytes);
    return good ? CC_REFRESH : CC_ERROR;
}

/* True if the completion is one word more than the n bytes of a line; those of more words would
 * make a list too long to read. */
static bool is_next_word(const char *completion, size_t n) {
    const char *space = strchr(completion + n, ' ');
    return !space || !space[1];
}

/* Tab: inserts what all completions of the line so far have in common; if that is nothing, lists
 * them. */
static unsigned char complete(EditLine *editor, int key) {
    (void)key;
    const LineInfo *line = el_line(editor);
    size_t n = (size_t)(line->cursor - line->buffer), common = 0, found = 0;
    const char *first = NULL;
    if (n == 0 || line->cursor != line->lastchar) return CC_ERROR;
    for (const char *c = owner_of(editor)->options.completions; *c; c += strlen(c) + 1) {
        if (strncmp(c, line->buffer, n) != 0) continue;
        size_t same = 0;
        if (!first) common = strlen(c), first = c;
        while (same < common && first[same] == c[same]) same++;
        common = same;
        found++;
    }
    char rest[64];
    if (found > 0 && common > n) {
        snprintf(rest, sizeof rest, "%.*s", (int)(common - n), first + n);
        return el_insertstr(editor, rest) == 0 ? CC_REFRESH : CC_ERROR;
    }
    if (found < 2) return CC_ERROR;
    for (const char *c = owner_of(editor)->options.completions; *c; c += strlen(c) + 1)
        if (strncmp(c, line->buffer, n) == 0 && is_next_word(c, n))
            printf("%s%s", first == c ? "\n" : "  ", c);
    printf("\n");
    return CC_REDISPLAY;
}

/* A character is what the locale says, or UTF-8 where it says nothing. */
static void choose_locale(void) {
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool remember(void *context, const char *entry) {
    HistEvent event;
    return history(context, &event, H_ENTER, entry) != -1;
}

static bool start_editor(line_input *input, pf_error *error) {
    choose_locale();
    terminal_remember_mode();
    input->editor = el_init("performer", stdin, stdout, stderr);
    input->history = history_init();
    if (!input->editor || !input->history)
        return pf_fail(error, "the line editor cannot start; check TERM, or pipe the lines in");
    HistEvent event;
    history(input->history, &event, H_SETSIZE, HISTORY_ENTRIES);
    history(input->history, &event, H_SETUNIQUE, 1);
    el_set(input->editor, EL_CLIENTDATA, input);
    el_set(input->editor, EL_PROMPT, prompt_of);
    el_set(input->editor, EL_GETCFN, read_character);
    el_set(input->editor, EL_EDITOR, "emacs");
    el_set(input->editor, EL_HIST, history, input->history);
    el_set(input->editor, EL_ADDFN, "pf-complete", "complete a command", complete);
    el_set(input->editor, EL_ADDFN, "pf-paste", "insert a pasted text", paste);
    el_set(input->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(input->editor, EL_BIND, "^I", "pf-complete", NULL);
    el_source(input->editor, NULL); /* ~/.editrc */
    el_set(input->editor, EL_BIND, "\\e[200~", "pf-paste", NULL);
    terminal_mark_pastes(true);
    input->file = input->options.history;
    return !input->file || history_file_read(input->file, remember, input->history, error);
}

line_input *line_input_new(const line_input_options *wanted, pf_error *error) {
    line_input *input = pf_calloc(1, sizeof *input, "the line editor", error);
    if (!input) return NULL;
    input->options = *wanted;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !start_editor(input, error)) {
        line_input_free(input);
        return NULL;
    }
    return input;
}

void line_input_free(line_input *input) {
    if (!input) return;
    if (input->editor) {
        terminal_mark_pastes(false);
        el_end(input->editor);
    }
    if (input->history) history_end(input->history);
    pf_free(input->line.bytes);
    pf_free(input->entry.bytes);
    pf_free(input);
}

static line_result read_edited(line_input *input, const char **line, size_t *n) {
    int count = 0;
    *line = el_gets(input->editor, &count);
    if (*line && count > 0) {
        *n = (size_t)count;
        return LINE_READ;
    }
    bool interrupted = terminal_interrupted();
    if (interrupted) el_reset(input->editor);
    printf("\n");
    fflush(stdout);
    return interrupted ? LINE_INTERRUPTED : LINE_END;
}

/* An end to lines that have none, like those of /dev/zero. */
static bool fail_too_long(pf_error *error) {
    return pf_fail(error, "this turn is longer than %zu MB, the most that is read as one text",
                   INPUT_MOST_BYTES / 1000000);
}

/* A line that nobody edits. */
static line_result read_plain(line_input *input, const char **line, size_t *n, pf_error *error) {
    char part[4096];
    size_t used = 0;
    int c = 0;
    input->line.n = 0;
    while (c != '\n' && (c = getc(stdin)) != EOF) {
        part[used++] = (char)c;
        if (c != '\n' && used < sizeof part) continue;
        if (input->line.n > INPUT_MOST_BYTES) return fail_too_long(error), LINE_FAILED;
        if (!pf_buffer_put(&input->line, part, used, error)) return LINE_FAILED;
        used = 0;
    }
    if (used && !pf_buffer_put(&input->line, part, used, error)) return LINE_FAILED;
    *line = input->line.bytes;
    *n = input->line.n;
    if (c == EOF && terminal_interrupted()) return LINE_INTERRUPTED;
    return *n ? LINE_READ : LINE_END;
}

/* One line, without the newline that ends it. */
static line_result read_line(line_input *input, const char **line, size_t *n, pf_error *error) {
    line_result result =
        input->editor ? read_edited(input, line, n) : read_plain(input, line, n, error);
    if (result != LINE_READ) return result;
    if (*n > 0 && (*line)[*n - 1] == '\n') --*n;
    if (*n > 0 && (*line)[*n - 1] == '\r') --*n;
    return LINE_READ;
}

/* Where the block ends in line [n]: at its last three quotes, if only white space follows them. */
static bool ends_block(const char *line, size_t n, size_t *end) {
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t')) n--;
    if (n < 3 || memcmp(line + n - 3, quotes, 3) != 0) return false;
    *end = n - 3;
    return true;
}

/* Adds a line to the entry; *more tells whether another one follows. */
static bool add_line(line_input *input, bool block, const char *line, size_t n, bool *more,
                     pf_error *error) {
    bool first = !input->continues;
    if (block) {
        *more = !ends_block(line, n, &n);
    } else {
        *more = n > 0 && line[n - 1] == '\\';
        if (*more) n--;
    }
    /* No line break behind the quotes that begin a block, and before those that end it. */
    bool breaks = !first && !(block && input->entry.n == 0) && !(block && !*more && n == 0);
    return (!breaks || pf_buffer_put(&input->entry, "\n", 1, error)) &&
           pf_buffer_put(&input->entry, line, n, error);
}

static line_result read_entry(line_input *input, pf_error *error) {
    bool block = false, more = true;
    input->entry.n = 0;
    for (input->continues = false; more; input->continues = true) {
        const char *line;
        size_t n;
        line_result result = read_line(input, &line, &n, error);
        if (result == LINE_END && input->continues) break; /* what there is */
        if (result != LINE_READ) return result;
        if (!input->continues && n >= 3 && memcmp(line, quotes, 3) == 0) {
            block = true;
            line += 3;
            n -= 3;
        }
        if (input->entry.n > INPUT_MOST_BYTES) return fail_too_long(error), LINE_FAILED;
        if (!add_line(input, block, line, n, &more, error)) return LINE_FAILED;
    }
    if (!pf_buffer_put(&input->entry, "", 1, error)) return LINE_FAILED;
    input->entry.n--;
    return block ? LINE_QUOTED : LINE_READ;
}

line_result line_input_read(line_input *input, const char **entry, size_t *n, pf_error *error) {
    terminal_forget_interrupt();
    line_result result = read_entry(input, error);
    if (result != LINE_READ && result != LINE_QUOTED) return result;
    *entry = input->entry.bytes;
    *n = input->entry.n;
    if (!input->editor || *n == 0) return result;
    remember(input->history, *entry);
    if (input->file && !history_file_add(input->file, *entry, error)) input->file = NULL;
    return result;
}
