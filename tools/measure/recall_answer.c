/* floor 5.3 - recall answer: what a session remembers of a recall text, in numbers. */
#include "recall_answer.h"

#include "divergence.h"
#include "memory.h"
#include "terminal.h"

#include <math.h>

enum { READ = 256, SCORED = 32 }; /* tokens read, or scored, together */

typedef struct answering {
    size_t V;
    float *next;   /* [V] logits after the last token read */
    float *logits; /* [SCORED, V] */
} answering;

static bool read_on(pf_session *session, const int32_t *ids, size_t n, float *next,
                    pf_error *error) {
    for (size_t done = 0; done < n;) {
        size_t part = n - done < READ ? n - done : READ;
        bool last = next && done + part == n;
        if (terminal_interrupted()) return pf_fail(error, "interrupted");
        if (!pf_session_append(session, ids + done, part, last ? next : NULL, last, error))
            return false;
        done += part;
    }
    return true;
}

/* Adds the token `id` that the logits should predict. */
static bool add_token(const answering *a, const float *logits, int32_t id, recall_score *score,
                      pf_error *error) {
    prediction p = predict(logits, a->V, NULL);
    double log_p = (double)logits[id] - p.log_sum;
    if (!isfinite(log_p))
        return pf_fail(error, "the logits in a recall text are not finite; the weights are "
                              "damaged, or too large for this kind of attention");
    score->tokens++;
    score->right += p.best[0] == id;
    score->nll -= log_p;
    return true;
}

/* Scores an answer [n] whose first token `next` predicts. The session reads all but the last. */
static bool score_answer(const answering *a, pf_session *session, const int32_t *ids, size_t n,
                         recall_score *score, pf_error *error) {
    if (!add_token(a, a->next, ids[0], score, error)) return false;
    for (size_t done = 1; done < n;) {
        size_t part = n - done < SCORED ? n - done : SCORED;
        if (!pf_session_append(session, ids + done - 1, part, a->logits, part, error)) return false;
        for (size_t i = 0; i < part; i++)
            if (!add_token(a, a->logits + i * a->V, ids[done + i], score, error)) return false;
        done += part;
    }
    return true;
}

/* Scores one choice after the question. What `asked` has read is kept unless it may be used up. */
static bool score_choice(const answering *a, pf_session *asked, const pf_tokens *choice,
                         bool use_up, recall_score *score, pf_error *error) {
    if (choice->count == 1 || use_up)
        return score_answer(a, asked, choice->ids, choice->count, score, error);
    pf_session *clone = pf_session_clone(asked, error);
    bool good = clone && score_answer(a, clone, choice->ids, choice->count, score, error);
    pf_session_free(clone);
    return good;
}

/* The right choice comes last: the session that was asked is not needed after it. */
static bool answer_question(const answering *a, const pf_session *told, const recall_question *q,
                            recall_score *score, pf_error *error) {
    recall_score right = {0};
    double wrong = 0, best_wrong = -INFINITY;
    pf_session *asked = pf_session_clone(told, error);
    bool good = asked && read_on(asked, q->ask.ids, q->ask.count, a->next, error);
    for (size_t i = q->n_choices; good && i-- > 0;) {
        recall_score one = {0};
        good = score_choice(a, asked, &q->choices[i], i == 0, &one, error);
        if (i == 0) right = one;
        if (i > 0 && -one.nll > best_wrong) best_wrong = -one.nll;
        if (i > 0) wrong -= one.nll / (double)(q->n_choices - 1);
    }
    pf_session_free(asked);
    score->questions++;
    score->exact += right.right == right.tokens;
    score->chosen += -right.nll > best_wrong;
    score->margin += q->n_choices > 1 ? -right.nll - wrong : 0;
    score->tokens += right.tokens;
    score->right += right.right;
    score->nll += right.nll;
    return good;
}

static bool read_start(const answering *a, pf_session *session, const recall_case *c,
                       recall_score *unseen, pf_error *error) {
    if (c->task != RECALL_COPY) return read_on(session, c->start.ids, c->start.count, NULL, error);
    size_t known = c->fact + RECALL_HINT, n = c->start.count;
    return read_on(session, c->start.ids, known, a->next, error) &&
           score_answer(a, session, c->start.ids + known, n - known, unseen, error) &&
           read_on(session, c->start.ids + n - 1, 1, NULL, error);
}

bool recall_answer(pf_session *session, const recall_case *c, const size_t *distances, size_t n,
                   recall_score *scores, recall_score *unseen, pf_error *error) {
    answering a = {.V = pf_session_model(session)->n_vocab};
    a.next = pf_calloc(SCORED + 1, a.V * sizeof *a.next, "the logits", error);
    if (!a.next) return false;
    a.logits = a.next + a.V;
    pf_session_reset(session);
    bool good = read_start(&a, session, c, unseen, error);
    for (size_t d = 0, read = 0; good && d < n; d++) {
        good = read_on(session, c->gap.ids + read, distances[d] - read, NULL, error);
        read = distances[d];
        for (size_t q = 0; good && q < c->n_questions; q++)
            good = answer_question(&a, session, &c->questions[q], &scores[d], error);
    }
    pf_free(a.next);
    return good;
}
