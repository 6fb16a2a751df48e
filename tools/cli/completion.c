/* floor 5.3 - completion: scripts that let bash and zsh complete commands, options and values. */
#include "completion.h"

#include <string.h>

typedef struct list {
    const command *const *commands; /* [n] */
    size_t n;
} list;

static bool takes_file(const flag *f) {
    return f->argument &&
           (strncmp(f->argument, "FILE", 4) == 0 || strcmp(f->argument, "MODEL") == 0);
}

/* "softmax|favor" as "softmax favor" */
static void print_choices(FILE *out, const char *choices) {
    for (; *choices; choices++) fputc(*choices == '|' ? ' ' : *choices, out);
}

/* ---- bash ---- */

/* "generate:--file|generate:-f": what is before the cursor when the flag's value comes next. */
static void print_pattern(FILE *out, const list *all, const flag *f) {
    const char *separator = "    ";
    for (size_t i = 0; i < all->n; i++) {
        const char *name = all->commands[i]->name;
        if (!(f->commands & all->commands[i]->bit)) continue;
        fprintf(out, "%s%s:--%s", separator, name, f->name);
        separator = "|";
        if (f->letter) fprintf(out, "|%s:-%c", name, f->letter);
    }
    fputs(") ", out);
}

static void print_bash_value(FILE *out, const list *all, const flag *f) {
    if (f->kind == FLAG_SWITCH) return;
    print_pattern(out, all, f);
    if (f->choices) {
        fputs("words='", out);
        print_choices(out, f->choices);
        fputs("' ;;\n", out);
    } else {
        fputs(takes_file(f) ? "files=1 ;;\n" : "return ;;\n", out);
    }
}

static void print_bash_options(FILE *out, const command *c) {
    fprintf(out, "    %s) words='", c->name);
    const char *separator = "";
    for (int id = 0; id < FLAG_END; id++) {
        if (!(flags[id].commands & c->bit)) continue;
        fprintf(out, "%s--%s", separator, flags[id].name);
        separator = " ";
    }
    fputs("' ;;\n", out);
}

static void print_bash(FILE *out, const list *all) {
    fputs("# bash completion for performer: made by `performer --completion bash`\n"
          "_performer() {\n"
          "  local command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]} words='' files=''\n"
          "  local before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "  if [ \"$current\" = = ]; then current=; fi\n"
          "  if [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "  COMPREPLY=()\n"
          "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "    words='",
          out);
    for (size_t i = 0; i < all->n; i++) fprintf(out, "%s ", all->commands[i]->name);
    fputs("--help --version'\n"
          "  else case $command:$before in\n",
          out);
    for (int id = 0; id < FLAG_END; id++) print_bash_value(out, all, &flags[id]);
    fputs("    *) case $current in -*) case $command in\n", out);
    for (size_t i = 0; i < all->n; i++) print_bash_options(out, all->commands[i]);
    fputs("    esac ;; *) files=1 ;; esac ;;\n"
          "  esac fi\n"
          "  local reply\n"
          "  if [ -n \"$files\" ]; then\n"
          "    compopt -o filenames 2>/dev/null\n"
          "    while IFS= read -r reply; do COMPREPLY+=(\"$reply\"); done \\\n"
          "      < <(compgen -f -- \"$current\")\n"
          "  else\n"
          "    while IFS= read -r reply; do COMPREPLY+=(\"$reply\"); done \\\n"
          "      < <(compgen -W \"$words\" -- \"$current\")\n"
          "  fi\n"
          "}\n"
          "complete -F _performer performer\n",
          out);
}

/* ---- zsh ---- */

/* The first sentence of a help text, as it stands between ' and ' in a specification. */
static void print_sentence(FILE *out, const char *text) {
    for (; *text && !(*text == '.' && (text[1] == ' ' || !text[1])); text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void print_zsh_flag(FILE *out, const flag *f) {
    const char *repeats = f->repeats ? "*" : "";
    bool value = f->kind != FLAG_SWITCH;
    fprintf(out, " \\\n      '");
    if (f->letter && !f->repeats) fprintf(out, "(-%c --%s)", f->letter, f->name);
    if (f->letter)
        fprintf(out, "%s'{-%c%s,--%s%s}'[", repeats, f->letter, value ? "+" : "", f->name,
                value ? "=" : "");
    else
        fprintf(out, "%s--%s%s[", repeats, f->name, value ? "=" : "");
    print_sentence(out, f->help);
    fputc(']', out);
    if (value) fprintf(out, ":%s:", f->argument);
    if (f->choices) {
        fputc('(', out);
        print_choices(out, f->choices);
        fputc(')', out);
    } else if (value) {
        fputs(takes_file(f) ? "_files" : " ", out);
    }
    fputc('\'', out);
}

static void print_zsh(FILE *out, const list *all) {
    fputs("#compdef performer\n"
          "# zsh completion for performer: made by `performer --completion zsh`\n"
          "_performer() {\n"
          "  local -a commands=(\n",
          out);
    for (size_t i = 0; i < all->n; i++) {
        fprintf(out, "    '%s:", all->commands[i]->name);
        print_sentence(out, all->commands[i]->summary);
        fputs("'\n", out);
    }
    fputs("  )\n"
          "  if (( CURRENT == 2 )); then _describe -t commands command commands; return; fi\n"
          "  local command=$words[2]\n"
          "  shift words\n"
          "  (( CURRENT-- ))\n"
          "  case $command in\n",
          out);
    for (size_t i = 0; i < all->n; i++) {
        fprintf(out, "    %s) _arguments -s", all->commands[i]->name);
        for (int id = 0; id < FLAG_END; id++)
            if (flags[id].commands & all->commands[i]->bit) print_zsh_flag(out, &flags[id]);
        fputs(" \\\n      '1:MODEL:_files' ;;\n", out);
    }
    fputs("  esac\n"
          "}\n"
          "if [ \"$funcstack[1]\" = _performer ]; then _performer \"$@\"\n"
          "else compdef _performer performer; fi\n",
          out);
}

bool completion_print(FILE *out, const char *shell, const command *const *commands, size_t n) {
    list all = {commands, n};
    if (strcmp(shell, "bash") == 0)
        print_bash(out, &all);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out, &all);
    else
        return false;
    return true;
}
