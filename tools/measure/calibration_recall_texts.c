/* floor 5.5 - calibration recall texts: for calibrate, texts that ask for what was said before. */
#include "calibration_recall_texts.h"

#include "memory.h"
#include "recall_setup.h"

/* What is asked, and how far back. Heads that find an answer over so many tokens of other text find
 * it farther back, too; over 224 SmolLM2 needs fewer heads. */
static const recall_task asked[] = {RECALL_COPY, RECALL_PASS_KEY, RECALL_MANY_KEYS,
                                    RECALL_COPY, RECALL_PASS_KEY, RECALL_MANY_KEYS};
enum { N_ASKED = sizeof asked / sizeof asked[0], DISTANCE = 640, PASSAGE = 64 };
/* Tokens before an answer whose rows are probed with it: they hold the question. Heads that are
 * limited to windows far longer than that compute the rows before them nearly as they are. */
enum { QUESTION = 48 };

/* All calibration texts as one. */
static bool join(const input_texts *texts, pf_tokens *all, pf_error *error) {
    for (size_t i = 0; i < texts->count; i++)
        for (size_t k = 0; k < texts->texts[i].count; k++)
            if (!pf_tokens_push(all, texts->texts[i].ids[k], error)) return false;
    return true;
}

/* Case `number` as a text; nothing is added if the model has no room for it. */
static bool add(const recall_source *source, recall_task task, size_t number, size_t distance,
                size_t context, calibration_recall_texts *recall, pf_error *error) {
    recall_case c = {0};
    size_t answer, n_answer;
    pf_tokens *ids = NULL;
    bool good = recall_case_make(source, task, number, distance, &c, error);
    if (good && recall_case_length(&c, distance) <= context) {
        ids = input_texts_add(&recall->ids, error);
        good = ids && recall_case_text(&c, number % c.n_questions, distance, ids, &answer,
                                       &n_answer, error);
    }
    if (good && ids) {
        size_t question = answer > QUESTION ? answer - QUESTION : 1;
        recall->texts[recall->n++] = (pf_recall_text){NULL, answer + n_answer, question, answer};
    }
    recall_case_free(&c);
    return good;
}

bool calibration_recall_texts_make(const pf_loaded *loaded, const input_texts *texts,
                                   size_t farthest, uint64_t seed, calibration_recall_texts *recall,
                                   pf_error *error) {
    recall_setup setup = {0};
    size_t context = loaded->model->context;
    recall->texts = pf_calloc(N_ASKED, sizeof *recall->texts, "the recall texts", error);
    bool good = recall->texts && join(texts, &setup.text, error);
    if (good && loaded->tokenizer) recall_setup_read_template(loaded, &setup);
    setup.source.tokenizer = loaded->tokenizer;
    setup.source.ids = setup.text.ids;
    setup.source.n = setup.text.count;
    setup.source.passage = context / 8 < PASSAGE ? context / 8 : PASSAGE;
    setup.source.seed = seed;
    size_t most = recall_longest_gap(&setup.source);
    if (farthest > DISTANCE) farthest = DISTANCE;
    if (farthest > context / 2) farthest = context / 2;
    if (farthest > most) farthest = most;
    bool possible = setup.source.passage > 2 * RECALL_HINT && farthest >= 16;
    for (size_t i = 0; good && possible && i < N_ASKED; i++)
        if (loaded->tokenizer || asked[i] == RECALL_COPY)
            good = add(&setup.source, asked[i], i, farthest, context, recall, error);
    for (size_t i = 0; good && i < recall->n; i++) recall->texts[i].ids = recall->ids.texts[i].ids;
    recall_setup_free(&setup);
    return good;
}

void calibration_recall_texts_free(calibration_recall_texts *recall) {
    input_texts_free(&recall->ids);
    pf_free(recall->texts);
    *recall = (calibration_recall_texts){0};
}
