/* floor 5.1 - input: texts and token ids from files. */
#ifndef INPUT_H
#define INPUT_H

#include "tokenizer.h"

/* The whole file ("-": standard input) as *text [*n bytes, a NUL behind them]; pf_free it. */
bool input_read(const char *path, char **text, size_t *n, pf_error *error);

/* Texts as ids; zero it first. */
typedef struct input_texts {
    pf_tokens *texts; /* [count] */
    size_t count, capacity;
} input_texts;
/* A new empty text at the end; NULL without memory. */
pf_tokens *input_texts_add(input_texts *texts, pf_error *error);
void input_texts_free(input_texts *texts);

/* Ids with white space between, from text [n bytes, a NUL behind them]; `name` and line numbers
 * appear in messages. */
bool input_parse_ids(const char *text, size_t n, const char *name, pf_tokens *ids, pf_error *error);

/* A file of ids is one text; a file named *.jsonl has one text a line, an object with "ids". */
bool input_read_ids(const char *path, input_texts *texts, pf_error *error);

#endif
