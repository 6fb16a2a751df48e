/* floor 5.3 - recall answer: what a session remembers of a recall text, in numbers. */
#ifndef RECALL_ANSWER_H
#define RECALL_ANSWER_H

#include "recall_texts.h"
#include "session.h"

/* Sums over the questions of a task at one distance. */
typedef struct recall_score {
    size_t questions;
    size_t exact;  /* answered right by greedy decoding, every token of it */
    size_t chosen; /* the right choice was the most probable of all */
    double margin; /* log p(right) - mean log p(wrong choices), nats, summed over questions */
    size_t tokens; /* of the right answers */
    size_t right;  /* of them the most probable token */
    double nll;    /* -log p(token), nats */
} recall_score;

/* Resets the session, reads the case and asks its questions at each of distances [n], ascending and
 * none beyond the gap; adds to scores [n]. A copy's passage is also scored where it is read for the
 * first time, into *unseen (otherwise untouched). The session must have room for the longest text.
 * Fails with a message, also on Ctrl-C. */
bool recall_answer(pf_session *session, const recall_case *c, const size_t *distances, size_t n,
                   recall_score *scores, recall_score *unseen, pf_error *error);

#endif
