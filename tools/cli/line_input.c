/* floor 5.3 - line input: lines with editing and history at a terminal, or plain from a pipe. */
#define _POSIX_C_SOURCE 200809L
#include "line_input.h"

#include "memory.h"
#include "terminal.h"

#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REMEMBERED = 500 };

struct line_input {
    const char *prompt;
    EditLine *editor; /* NULL if not at a terminal */
    History *history;
    char *line; /* [room] from getline, or a copy of the editor's line */
    size_t room;
};

static const char *prompt_of(EditLine *editor) {
    line_input *input = NULL;
    el_get(editor, EL_CLIENTDATA, &input);
    return input->prompt;
}

static bool start_editor(line_input *input, pf_error *error) {
    setlocale(LC_CTYPE, ""); /* tells the editor what a character is */
    terminal_remember_mode();
    input->editor = el_init("performer", stdin, stdout, stderr);
    input->history = history_init();
    if (!input->editor || !input->history)
        return pf_fail(error, "the line editor cannot start; check TERM, or pipe the lines in");
    HistEvent event;
    history(input->history, &event, H_SETSIZE, REMEMBERED);
    history(input->history, &event, H_SETUNIQUE, 1);
    el_set(input->editor, EL_CLIENTDATA, input);
    el_set(input->editor, EL_PROMPT, prompt_of);
    el_set(input->editor, EL_EDITOR, "emacs");
    el_set(input->editor, EL_HIST, history, input->history);
    el_set(input->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(input->editor, NULL); /* ~/.editrc */
    return true;
}

line_input *line_input_new(const char *prompt, pf_error *error) {
    line_input *input = pf_calloc(1, sizeof *input, "the line editor", error);
    if (!input) return NULL;
    input->prompt = prompt;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !start_editor(input, error)) {
        line_input_free(input);
        return NULL;
    }
    return input;
}

void line_input_free(line_input *input) {
    if (!input) return;
    if (input->editor) el_end(input->editor);
    if (input->history) history_end(input->history);
    free(input->line);
    pf_free(input);
}

static line_result read_edited(line_input *input, const char **line, size_t *n) {
    HistEvent event;
    int count = 0;
    const char *edited = el_gets(input->editor, &count);
    if (!edited || count <= 0) {
        if (!terminal_interrupted()) return LINE_END;
        el_reset(input->editor);
        return LINE_INTERRUPTED;
    }
    free(input->line);
    input->line = strndup(edited, (size_t)count);
    if (!input->line) return LINE_END;
    *n = strcspn(input->line, "\n");
    if (*n > 0) history(input->history, &event, H_ENTER, edited);
    *line = input->line;
    return LINE_READ;
}

line_result line_input_read(line_input *input, const char **line, size_t *n) {
    terminal_forget_interrupt();
    line_result result = LINE_READ;
    if (input->editor) {
        result = read_edited(input, line, n);
    } else {
        ssize_t count = getline(&input->line, &input->room, stdin);
        if (count < 0) return terminal_interrupted() ? LINE_INTERRUPTED : LINE_END;
        *n = (size_t)count;
        *line = input->line;
    }
    if (result != LINE_READ) return result;
    while (*n > 0 && (input->line[*n - 1] == '\n' || input->line[*n - 1] == '\r')) --*n;
    input->line[*n] = '\0';
    return LINE_READ;
}
