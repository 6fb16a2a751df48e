/* floor 5.1 - input: texts and token ids from files. */
#ifndef INPUT_H
#define INPUT_H

#include "tokenizer.h"

/* The most that is read as one text: far more than a model reads in a day, and an end to inputs
 * that have none, like /dev/zero. */
#define INPUT_MOST_BYTES ((size_t)1 << 28)

/* Reads a whole file ("-" is standard input) into *text: *n bytes, then a NUL. Free it with
 * pf_free. */
bool input_read(const char *path, char **text, size_t *n, pf_error *error);

/* Texts as token ids. Start with a zeroed one. */
typedef struct input_texts {
    pf_tokens *texts; /* [count] */
    size_t count, capacity;
} input_texts;
/* Appends an empty text and returns it, borrowed until the next call; NULL if out of memory. */
pf_tokens *input_texts_add(input_texts *texts, pf_error *error);
void input_texts_free(input_texts *texts);

/* Parses ids separated by white space from text: n bytes, then a NUL. Messages give `name` and the
 * line. */
bool input_parse_ids(const char *text, size_t n, const char *name, pf_tokens *ids, pf_error *error);

/* Reads a file of ids as one text. If its name ends in .jsonl, each line is one text: an object
 * with "ids". */
bool input_read_ids(const char *path, input_texts *texts, pf_error *error);

#endif
