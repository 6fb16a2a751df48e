/* floor 5.6 - recall: how far back each setting of a comparison remembers. */
#include "recall.h"

#include "memory.h"

#include <math.h>

/* Cases per task. A copy is one question, a pass key one (with its twin two), the others four. */
static const size_t cases_of[RECALL_TASKS] = {3, 4, 2, 2};
static const double keeps = 0.9; /* of what softmax has, within the radius */
static const double able_to_copy = 0.5, able_to_answer = 1; /* nats */

const recall_score *recall_at(const recall *r, size_t row, recall_task task, size_t distance) {
    return &r->scores[(row * RECALL_TASKS + (size_t)task) * r->n_distances + distance];
}

/* ---- running */

static size_t longest_fitting(const recall *r, const recall_case *c, size_t n) {
    while (n > 0 && recall_case_length(c, r->distances[n - 1]) > r->most_tokens) n--;
    return n;
}

static bool run_case(recall *r, size_t row, recall_task task, size_t number, pf_session *session,
                     pf_error *error) {
    recall_case c;
    recall_score first = {0};
    recall_score *scores = &r->scores[(row * RECALL_TASKS + (size_t)task) * r->n_distances];
    size_t longest = r->distances[r->n_distances - 1];
    bool good = recall_case_make(&r->source, task, number, longest, &c, error);
    size_t n = good ? longest_fitting(r, &c, r->n_distances) : 0;
    if (n > 0 && recall_case_length(&c, r->distances[n - 1]) > r->longest)
        r->longest = recall_case_length(&c, r->distances[n - 1]);
    if (n > 0) good = recall_answer(session, &c, r->distances, n, scores, &first, error);
    if (row == 0 && task == RECALL_COPY) {
        r->unseen.tokens += first.tokens;
        r->unseen.nll += first.nll;
    }
    recall_case_free(&c);
    return good;
}

static bool run_row(recall *r, size_t row, pf_error *error) {
    pf_session_options options = r->rows[row].options;
    options.context = r->most_tokens;
    pf_session *session = pf_session_new(r->rows[row].model, &options, error);
    bool good = session != NULL;
    for (size_t t = 0; good && t < RECALL_TASKS; t++) {
        if (t != RECALL_COPY && !r->source.tokenizer) continue;
        for (size_t i = 0; good && i < cases_of[t]; i++) {
            if (r->tell)
                r->tell(r->context, r->rows[row].name, recall_task_names[t], i, cases_of[t]);
            good = run_case(r, row, (recall_task)t, i, session, error);
        }
    }
    pf_session_free(session);
    return good;
}

bool recall_run(recall *r, pf_error *error) {
    r->scores = pf_calloc(r->n_rows * RECALL_TASKS, r->n_distances * sizeof *r->scores,
                          "the recall scores", error);
    bool good = r->scores != NULL;
    for (size_t row = 0; good && row < r->n_rows; row++) good = run_row(r, row, error);
    if (good && r->longest == 0)
        return pf_fail(error,
                       "no recall text fits into %zu tokens; give shorter distances to --recall, "
                       "or a larger --context",
                       r->most_tokens);
    return good;
}

void recall_free(recall *r) {
    pf_free(r->scores);
    r->scores = NULL;
}

/* ---- what the scores say */

double recall_loss(const recall_score *score) { return score->nll / (double)score->tokens; }

double recall_accuracy(const recall_score *score, recall_task task) {
    return task == RECALL_COPY ? (double)score->right / (double)score->tokens
                               : (double)score->exact / (double)score->questions;
}

double recall_graded(const recall *r, size_t row, recall_task task, size_t distance) {
    const recall_score *score = recall_at(r, row, task, distance);
    return task == RECALL_COPY ? recall_loss(&r->unseen) - recall_loss(score)
                               : score->margin / (double)score->questions;
}

bool recall_counts(const recall *r, recall_task task, size_t distance) {
    double least = task == RECALL_COPY ? able_to_copy : able_to_answer;
    return recall_at(r, 0, task, distance)->questions > 0 &&
           recall_graded(r, 0, task, distance) >= least;
}

double recall_kept(const recall *r, size_t row, recall_task task, size_t distance) {
    const recall_score *softmax = recall_at(r, 0, task, distance),
                       *other = recall_at(r, row, task, distance);
    bool by_answers = task != RECALL_COPY && 2 * softmax->exact >= softmax->questions;
    double kept = by_answers
                      ? (double)other->exact / (double)softmax->exact
                      : recall_graded(r, row, task, distance) / recall_graded(r, 0, task, distance);
    return kept < 0 ? 0 : kept > 1 ? 1 : kept;
}

double recall_kept_of_all(const recall *r, size_t row, size_t distance) {
    double sum = 0;
    size_t n = 0;
    for (size_t t = 0; t < RECALL_TASKS; t++)
        if (recall_counts(r, (recall_task)t, distance)) {
            sum += recall_kept(r, row, (recall_task)t, distance);
            n++;
        }
    return n ? sum / (double)n : (double)NAN;
}

bool recall_radius(const recall *r, size_t row, size_t *radius) {
    size_t n = 0;
    while (n < r->n_distances && recall_kept_of_all(r, row, n) >= keeps) n++;
    if (n) *radius = r->distances[n - 1];
    return n > 0;
}

bool recall_task_radius(const recall *r, size_t row, recall_task task, size_t *radius) {
    size_t n = 0;
    while (n < r->n_distances && recall_counts(r, task, n) && recall_kept(r, row, task, n) >= keeps)
        n++;
    if (n) *radius = r->distances[n - 1];
    return n > 0;
}
