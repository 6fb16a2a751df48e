/* floor 5.2 - recall texts: texts that ask for something said long before, made by a seed.
 *
 * A case is told once and asked about at many distances:
 *
 *   start                    gap                    ask                     answer
 *   ... The pass key is      other text, of which   What is the pass key?   71432
 *   71432. Remember it.      the first d tokens     The pass key is
 *
 * The distance d is the number of tokens between the end of `start` and `ask`. All distances of a
 * case share what comes before, so that one session can read on from distance to distance.
 */
#ifndef RECALL_TEXTS_H
#define RECALL_TEXTS_H

#include "tokenizer.h"

typedef enum recall_task {
    RECALL_COPY,      /* a passage, and the same passage again */
    RECALL_PASS_KEY,  /* five digits; cases 2 i and 2 i + 1 differ in the digits alone */
    RECALL_MANY_KEYS, /* eight names, each with a word of its own */
    RECALL_LAST_SEEN, /* four variables, each set three times; the last value counts */
    RECALL_TASKS
} recall_task;

enum { RECALL_CHOICES = 8, RECALL_QUESTIONS = 4, RECALL_HINT = 4 };

extern const char *const recall_task_names[RECALL_TASKS]; /* "copy", "pass key", ... */

/* What texts are made from. All pointers are borrowed. */
typedef struct recall_source {
    const pf_tokenizer *tokenizer; /* NULL: only copies can be made */
    const int32_t *ids;            /* [n] running text without BOS, for passages and gaps */
    size_t n;
    size_t passage; /* tokens of a passage to copy, more than RECALL_HINT */
    /* What a chat template writes before a user's text and after it, up to the first token of the
     * answer. NULL: the text itself ends with the beginning of a sentence to complete. */
    const char *before, *after;
    unsigned before_flags; /* to encode `before` with: PF_ENCODE_... */
    uint64_t seed;
} recall_source;

typedef struct recall_question {
    pf_tokens ask;
    pf_tokens choices[RECALL_CHOICES]; /* [n_choices] of which the first is right */
    size_t n_choices;
} recall_question;

typedef struct recall_case {
    recall_task task;
    pf_tokens start;
    size_t fact, n_fact; /* what is asked about: start.ids[fact ... fact + n_fact - 1] */
    pf_tokens gap;       /* as long as the longest distance */
    recall_question questions[RECALL_QUESTIONS];
    size_t n_questions;
} recall_case;

/* The tokens of text that a case with this gap needs, and the longest gap that the source's text
 * allows (0 also if it allows none). */
size_t recall_needed(const recall_source *source, size_t gap);
size_t recall_longest_gap(const recall_source *source);

/* Makes case `number` of a task with a gap of `longest` tokens. The same source and number give the
 * same case. Fails if the text is too short, or the task needs a tokenizer and there is none. Free
 * the case, also after a failure. */
bool recall_case_make(const recall_source *source, recall_task task, size_t number, size_t longest,
                      recall_case *c, pf_error *error);
void recall_case_free(recall_case *c);

/* Tokens of the longest of the case's texts at a distance. */
size_t recall_case_length(const recall_case *c, size_t distance);

/* Appends the whole text that asks question q at `distance` <= gap.count, with the right answer:
 * ids[*answer ... *answer + *n_answer - 1] of *ids. */
bool recall_case_text(const recall_case *c, size_t q, size_t distance, pf_tokens *ids,
                      size_t *answer, size_t *n_answer, pf_error *error);

#endif
