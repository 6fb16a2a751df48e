/* floor 5.6 - recall: how far back each setting of a comparison remembers.
 *
 * Every setting answers the same cases of each task (recall_texts.h) at each distance. What it
 * keeps is a share of what softmax has. For copies that is the gain in loss from having read the
 * passage before; for the other tasks the right answers or, if softmax itself gives fewer than half
 * of them, the margin log p(right) - log p(wrong). Where softmax fails, nothing is asked of others.
 */
#ifndef RECALL_H
#define RECALL_H

#include "comparison.h"
#include "recall_answer.h"

typedef struct recall {
    const pf_model *model;
    const compared *rows; /* [n_rows]; row 0 is the reference */
    size_t n_rows;
    recall_source source;
    const size_t *distances; /* [n_distances], ascending */
    size_t n_distances;
    size_t most_tokens;   /* longer texts are left out */
    recall_score *scores; /* [n_rows, RECALL_TASKS, n_distances], made by recall_run */
    recall_score unseen;  /* the reference reads the passages for the first time */
    size_t longest;       /* tokens of the longest text that was read */
    void (*tell)(void *context, const char *setting, const char *task, size_t done, size_t all);
    void *context; /* for tell, which may be NULL */
} recall;

/* Fails with a message, also on Ctrl-C, and if no text fits. */
bool recall_run(recall *r, pf_error *error);
void recall_free(recall *r); /* what recall_run made */

const recall_score *recall_at(const recall *r, size_t row, recall_task task, size_t distance);
/* Mean -log p per token of the right answers; share of right tokens (copy) or of answers that are
 * right as a whole. The score must have questions. */
double recall_loss(const recall_score *score);
double recall_accuracy(const recall_score *score, recall_task task);
/* Nats: what the passage read before is worth per token (copy), or the mean margin of the right
 * answer. */
double recall_graded(const recall *r, size_t row, recall_task task, size_t distance);
/* True if the task was asked at this distance, and softmax can do it: its graded measure is at
 * least half a nat (copy) or one (others). */
bool recall_counts(const recall *r, recall_task task, size_t distance);
/* The share of what softmax has, from 0 to 1; the task must count there. */
double recall_kept(const recall *r, size_t row, recall_task task, size_t distance);
/* Their mean over the tasks that count at this distance; NAN if none does. */
double recall_kept_of_all(const recall *r, size_t row, size_t distance);

/* The largest measured distance up to which a setting keeps at least 90 % at every distance, over
 * all tasks or (below) in one. False if it does not reach the shortest. */
bool recall_radius(const recall *r, size_t row, size_t *radius);
bool recall_task_radius(const recall *r, size_t row, recall_task task, size_t *radius);

#endif
