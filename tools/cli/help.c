/* floor 5.3 - help: the manuals that --help prints, from the commands and the table of flags. */
#include "help.h"

#include <string.h>

enum { WIDTH = 80, COLUMN = 28, EXAMPLE = 72 }; /* an example is indented in the man page */

static const char *const headings[GROUP_COUNT] = {"Input",     "Choosing the next token",
                                                  "Attention", "Training",
                                                  "Output",    "Measurement and machine"};

/* Prints text from `column` on, wrapped to WIDTH and indented by `indent`. Keeps newlines. */
static void print_wrapped(FILE *out, const char *text, int indent, int column) {
    while (*text) {
        if (*text == '\n') {
            fputs("\n", out);
            column = 0;
            text++;
            continue;
        }
        int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > WIDTH) {
            fputc('\n', out);
            column = 0;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        if (column < indent) {
            fprintf(out, "%*s", indent - column, "");
            column = indent;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length;
        if (*text == ' ') text++;
    }
    fputc('\n', out);
}

/* Adds the names of flags that are useless with this one, or that it is useless without. */
static void add_rules(char *text, size_t size, int bit, flag_id id) {
    for (size_t r = 0; r < n_flag_rules; r++) {
        const flag_rule *rule = &flag_rules[r];
        if (!(rule->commands & bit)) continue;
        bool own = rule->id == id, any = false;
        for (int i = 0; rule->others[i] != FLAG_END; i++) {
            if (!own && (rule->needs || rule->others[i] != id)) continue;
            size_t used = strlen(text);
            snprintf(text + used, size - used, "%s--%s",
                     any           ? " or "
                     : rule->needs ? " Only with "
                                   : " Not with ",
                     flags[own ? rule->others[i] : rule->id].name);
            any = true;
        }
        if (any) strncat(text, ".", size - strlen(text) - 1);
    }
}

static void print_flag(FILE *out, int bit, flag_id id) {
    const flag *f = &flags[id];
    const char *fallback = flag_fallback(f, bit);
    char left[64], text[768];
    char letter[8] = "    ";
    if (f->letter) snprintf(letter, sizeof letter, "-%c, ", f->letter);
    int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, f->name, f->argument ? " " : "",
                     f->argument ? f->argument : "");
    fputs(left, out);
    if (n >= COLUMN - 1) {
        fputc('\n', out);
        n = 0;
    }
    snprintf(text, sizeof text, "%s%s%s%s", f->help, fallback ? " Default: " : "",
             fallback ? fallback : "", fallback ? "." : "");
    add_rules(text, sizeof text, bit, id);
    fprintf(out, "%*s", COLUMN - n, "");
    print_wrapped(out, text, COLUMN, COLUMN);
}

static void print_group(FILE *out, int bit, flag_group group) {
    bool any = false;
    for (int id = 0; id < FLAG_END; id++) {
        const flag *f = &flags[id];
        if (f->group != group || !(f->commands & bit)) continue;
        if (!any) fprintf(out, "\n%s:\n", headings[group]);
        any = true;
        print_flag(out, bit, (flag_id)id);
    }
}

/* The length of the first argument of a command line, quotes included; an option has its value. */
static int argument_length(const char *line) {
    bool quoted = false, option = *line == '-';
    int length = 0;
    for (; line[length] && line[length] != '\n'; length++) {
        if (line[length] == '"') quoted = !quoted;
        if (line[length] != ' ' || quoted) continue;
        if (!option || line[length + 1] == '-') break;
        option = false;
    }
    return length;
}

/* Prints command lines. One that is too long goes on in the next line, as a shell would read it. */
static void print_lines(FILE *out, const char *lines) {
    int column = 0;
    while (*lines) {
        int length = argument_length(lines);
        if (column > 0 && column + 1 + length > EXAMPLE - 2)
            column = fprintf(out, " \\\n     ") - 3;
        column += fprintf(out, "%s%.*s", column > 0 ? " " : "  ", length, lines);
        lines += length;
        if (*lines == '\n') {
            fputc('\n', out);
            column = 0;
        }
        if (*lines) lines++;
    }
    fputc('\n', out);
}

static void print_exit_status(FILE *out) {
    fputs("\nExit status: 0 success, 1 failure, 2 wrong usage, 130 interrupted.\n", out);
}

void help_program(FILE *out, const command *const *commands, size_t n) {
    fputs("performer - transformer inference with a choice of attention\n\n"
          "Usage: performer COMMAND MODEL [options]\n\n",
          out);
    print_wrapped(
        out,
        "Runs language models on the CPU, with either exact softmax attention, whose memory "
        "grows with the text, or Performer attention (FAVOR+, random features), whose state "
        "has a fixed size. MODEL is a GGUF file, or any other checkpoint that `performer "
        "convert` reads.",
        0, 0);
    fputs("\nCommands:\n", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n", out);
    print_wrapped(out,
                  "`performer COMMAND --help` prints a command's manual, `performer --version` the "
                  "version, `performer --completion bash` (or zsh) a script that lets your shell "
                  "complete commands and options.",
                  0, 0);
    fputs("\nExamples:\n", out);
    print_lines(out, "performer generate models/weights/tales-favor.gguf -p \"Once upon a time\"\n"
                     "performer eval models/weights/tales-softmax.gguf --file story.txt "
                     "--attention favor");
    print_exit_status(out);
}

void help_command(FILE *out, const command *shown) {
    char title[256];
    snprintf(title, sizeof title, "performer %s - %s", shown->name, shown->summary);
    print_wrapped(out, title, 0, 0);
    fprintf(out, "\nUsage: performer %s %s\n\n", shown->name, shown->usage);
    print_wrapped(out, shown->manual, 0, 0);
    for (int group = 0; group < GROUP_COUNT; group++)
        print_group(out, shown->bit, (flag_group)group);
    fputs("\nExamples:\n", out);
    print_lines(out, shown->examples);
    print_exit_status(out);
}
