/* floor 6.1 - tests of recall texts: they are well formed, and answered as they should be. */
#include "testing.h"

#include "load.h"
#include "memory.h"
#include "recall_answer.h"
#include "recall_story.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TALES "models/weights/tales-softmax.gguf"

enum { N = 4000, PASSAGE = 32, GAP = 100 };

static pf_loaded loaded;
static int32_t running[N]; /* a text: every token tells where it is */
static pf_tokens ids;      /* of the case under test */

static recall_source source(const char *before, const char *after) {
    return (recall_source){.tokenizer = loaded.tokenizer,
                           .ids = running,
                           .n = N,
                           .passage = PASSAGE,
                           .before = before,
                           .after = after,
                           .seed = 5};
}

static recall_case make(const recall_source *s, recall_task task, size_t number) {
    recall_case c;
    pf_error error = {""};
    if (!recall_case_make(s, task, number, GAP, &c, &error)) fail_msg("%s", error.message);
    return c;
}

/* Sets `ids` to the whole text; returns where the answer is. */
static size_t write_text(const recall_case *c, size_t q, size_t distance, size_t *n) {
    size_t answer;
    pf_error error = {""};
    ids.count = 0;
    assert_true(recall_case_text(c, q, distance, &ids, &answer, n, &error));
    assert_int_equal(answer + *n, ids.count);
    return answer;
}

static const char *decode(const int32_t *from, size_t n) {
    static char text[8192];
    size_t used = 0;
    pf_decoder decoder = {.started = true};
    for (size_t i = 0; i < n; i++) {
        assert_true(used + pf_tokenizer_max_bytes(loaded.tokenizer) + 16 < sizeof text);
        used += pf_decoder_push(loaded.tokenizer, &decoder, from[i], text + used);
    }
    text[used + pf_decoder_finish(&decoder, text + used)] = '\0';
    return text;
}

static void copy_decoded(char *to, size_t size, const int32_t *from, size_t n) {
    snprintf(to, size, "%s", decode(from, n));
}

/* ---- every task */

static void gap_and_answer_lie_where_they_should(void **state) {
    (void)state;
    recall_source s = source("<user> ", " </user> ");
    for (size_t t = 0; t < RECALL_TASKS; t++)
        for (size_t number = 0; number < 4; number++) {
            recall_case c = make(&s, (recall_task)t, number);
            assert_true(c.n_questions > 0 && c.n_fact > 0);
            assert_true(c.fact + c.n_fact == c.start.count);
            assert_int_equal(c.gap.count, GAP);
            for (size_t i = 1; i < GAP; i++) /* a stretch of the running text */
                assert_int_equal(c.gap.ids[i], c.gap.ids[0] + (int32_t)i);
            for (size_t q = 0; q < c.n_questions; q++)
                for (size_t distance = 0; distance <= GAP; distance += 50) {
                    const recall_question *asked = &c.questions[q];
                    size_t n, answer = write_text(&c, q, distance, &n);
                    assert_int_equal(answer, c.start.count + distance + asked->ask.count);
                    assert_memory_equal(ids.ids, c.start.ids, c.start.count * sizeof *ids.ids);
                    assert_memory_equal(ids.ids + answer, asked->choices[0].ids,
                                        n * sizeof *ids.ids);
                    assert_true(ids.count <= recall_case_length(&c, distance));
                }
            recall_case_free(&c);
        }
}

static void seeds_repeat(void **state) {
    (void)state;
    for (size_t t = 0; t < RECALL_TASKS; t++) {
        recall_source s = source(NULL, NULL);
        recall_case a = make(&s, (recall_task)t, 2), b = make(&s, (recall_task)t, 2);
        size_t n;
        write_text(&a, 0, GAP, &n);
        pf_tokens first = ids;
        ids = (pf_tokens){0};
        write_text(&b, 0, GAP, &n);
        assert_int_equal(first.count, ids.count);
        assert_memory_equal(first.ids, ids.ids, ids.count * sizeof *ids.ids);
        s.seed = 6;
        recall_case other = make(&s, (recall_task)t, 2), next = make(&s, (recall_task)t, 4);
        assert_true(other.gap.ids[0] != a.gap.ids[0] && next.gap.ids[0] != other.gap.ids[0]);
        pf_tokens_free(&first);
        recall_case_free(&a);
        recall_case_free(&b);
        recall_case_free(&other);
        recall_case_free(&next);
    }
}

static void short_texts_are_refused(void **state) {
    (void)state;
    recall_source s = source(NULL, NULL);
    recall_case c;
    pf_error error = {""};
    s.n = recall_needed(&s, GAP);
    assert_int_equal(recall_longest_gap(&s), GAP);
    for (size_t t = 0; t < RECALL_TASKS; t++)
        for (size_t number = 0; number < 6; number++) { /* just enough: nothing read beyond it */
            c = make(&s, (recall_task)t, number);
            assert_true(c.gap.ids[GAP - 1] < running[0] + (int32_t)s.n);
            recall_case_free(&c);
        }
    s.n--;
    assert_false(recall_case_make(&s, RECALL_COPY, 0, GAP, &c, &error));
    assert_non_null(strstr(error.message, "longer text"));
    recall_case_free(&c);
    s.n = 0;
    assert_false(recall_case_make(&s, RECALL_LAST_SEEN, 0, 0, &c, &error));
    recall_case_free(&c);
    s = source(NULL, NULL);
    s.tokenizer = NULL;
    assert_false(recall_case_make(&s, RECALL_PASS_KEY, 0, GAP, &c, &error));
    assert_non_null(strstr(error.message, "tokenizer"));
    recall_case_free(&c);
}

static void memory_runs_out(void **state) {
    (void)state;
    recall_source s = source("<user>", "</user>");
    for (size_t t = 0; t < RECALL_TASKS; t++) {
        bool good = false;
        for (long n = 1; !good && n < 2000; n++) {
            recall_case c;
            pf_error error = {""};
            pf_memory_fail_after(n);
            good = recall_case_make(&s, (recall_task)t, 1, GAP, &c, &error);
            pf_memory_fail_after(0);
            if (!good) assert_true(error.message[0]);
            recall_case_free(&c);
        }
        assert_true(good);
    }
}

/* ---- each task */

static void a_copy_comes_again(void **state) {
    (void)state;
    recall_source s = source(NULL, NULL);
    recall_case c = make(&s, RECALL_COPY, 1);
    size_t n, answer = write_text(&c, 0, 70, &n), again = answer - RECALL_HINT;
    assert_int_equal(n, PASSAGE - RECALL_HINT);
    assert_int_equal(again, c.fact + PASSAGE + 70);
    for (size_t i = 0; i < PASSAGE; i++) assert_int_equal(ids.ids[again + i], ids.ids[c.fact + i]);
    recall_case_free(&c);
}

static void twins_differ_in_the_key_alone(void **state) {
    (void)state;
    recall_source s = source("<user> ", " </user> ");
    for (size_t pair = 0; pair < 4; pair++) {
        recall_case twin[2] = {make(&s, RECALL_PASS_KEY, 2 * pair),
                               make(&s, RECALL_PASS_KEY, 2 * pair + 1)};
        char told[2][128], key[2][64], sentence[128];
        assert_int_equal(twin[0].gap.ids[0], twin[1].gap.ids[0]);
        for (size_t i = 0; i < 2; i++) {
            const recall_question *q = &twin[i].questions[0], *other = &twin[!i].questions[0];
            copy_decoded(told[i], sizeof told[i], twin[i].start.ids + twin[i].fact, twin[i].n_fact);
            copy_decoded(key[i], sizeof key[i], q->choices[0].ids, q->choices[0].count);
            assert_int_equal(strspn(key[i] + strspn(key[i], " "), "0123456789"), 5);
            snprintf(sentence, sizeof sentence, "is %s. Remember", key[i] + strspn(key[i], " "));
            assert_non_null(strstr(told[i], sentence));
            assert_memory_equal(q->choices[0].ids, other->choices[1].ids,
                                q->choices[0].count * sizeof *ids.ids);
            const char *asked = decode(q->ask.ids, q->ask.count);
            assert_non_null(strstr(asked, "What is the pass key? </user> The pass key is"));
            assert_null(strpbrk(asked, "0123456789"));
        }
        for (size_t i = 0; i < 5; i++) assert_true(key[0][i] != key[1][i] || key[0][i] == ' ');
        recall_case_free(&twin[0]);
        recall_case_free(&twin[1]);
    }
}

static void every_name_has_its_word(void **state) {
    (void)state;
    recall_source s = source(NULL, NULL);
    recall_case c = make(&s, RECALL_MANY_KEYS, 3);
    char told[1024], asked[128], line[256], word[64];
    copy_decoded(told, sizeof told, c.start.ids + c.fact, c.n_fact);
    assert_int_equal(c.n_questions, RECALL_QUESTIONS);
    for (size_t i = 0; i < c.n_questions; i++) {
        const recall_question *q = &c.questions[i];
        assert_int_equal(q->n_choices, 8);
        copy_decoded(asked, sizeof asked, q->ask.ids, q->ask.count);
        asked[strcspn(asked + 2, "\n") + 2] = '\0';
        for (size_t k = 0; k < q->n_choices; k++) {
            copy_decoded(word, sizeof word, q->choices[k].ids, q->choices[k].count);
            const char *bare = word + strspn(word, " ");
            const char *opening = asked + 2;
            size_t length = strlen(opening) - (opening[strlen(opening) - 1] == ' ');
            snprintf(line, sizeof line, "\n%.*s %s.\n", (int)length, opening, bare);
            if (k == 0 ? !strstr(told, line) : strstr(told, line) != NULL)
                fail_msg("choice %zu: \"%s\" in \"%s\"", k, line, told);
            snprintf(line, sizeof line, " %s.\n", bare);
            assert_non_null(strstr(told, line));
        }
    }
    recall_case_free(&c);
}

static void the_last_value_counts(void **state) {
    (void)state;
    recall_source s = source(NULL, NULL);
    recall_case c = make(&s, RECALL_LAST_SEEN, 1);
    char told[1024], asked[128], value[64], line[8];
    copy_decoded(told, sizeof told, c.start.ids + c.fact, c.n_fact);
    for (size_t i = 0; i < c.n_questions; i++) {
        const recall_question *q = &c.questions[i];
        copy_decoded(asked, sizeof asked, q->ask.ids, q->ask.count);
        snprintf(line, sizeof line, "\n%c = ", asked[2]);
        char *last = NULL;
        size_t times = 0;
        for (char *at = told; (at = strstr(at, line)); at++, times++) last = at + strlen(line);
        assert_int_equal(times, 3);
        copy_decoded(value, sizeof value, q->choices[0].ids, q->choices[0].count);
        /* what all values begin with has moved into the question */
        size_t tail = strlen(value + strspn(value, " "));
        assert_true(tail >= 1 && tail <= 2);
        assert_memory_equal(last + 2 - tail, value + strspn(value, " "), tail);
        assert_int_equal(last[2], '\n');
        assert_int_equal(q->n_choices, 3);
    }
    recall_case_free(&c);
}

static void stories_are_made_by_a_seed(void **state) {
    (void)state;
    pf_buffer a = {0}, b = {0}, c = {0};
    pf_error error = {""};
    assert_true(recall_story_write(1, 3000, &a, &error));
    assert_true(recall_story_write(1, 3000, &b, &error));
    assert_true(recall_story_write(2, 3000, &c, &error));
    assert_true(a.n >= 3000 && a.n < 3200 && a.n == b.n);
    assert_memory_equal(a.bytes, b.bytes, a.n);
    assert_memory_not_equal(a.bytes, c.bytes, 1000);
    assert_true(a.bytes[0] >= 'A' && a.bytes[0] <= 'Z');
    assert_memory_equal(a.bytes + a.n - 2, ". ", 2);
    pf_free(a.bytes);
    pf_free(b.bytes);
    pf_free(c.bytes);
}

/* ---- answers */

/* log p of the tokens from `answer` on of the text in `ids`, read as a whole. */
static double log_p_of_text(pf_session *session, size_t answer) {
    pf_error error = {""};
    size_t V = loaded.model->n_vocab, n = ids.count - answer;
    float *logits = malloc(n * V * sizeof *logits);
    double sum = 0;
    assert_non_null(logits);
    pf_session_reset(session);
    if (!pf_session_append(session, ids.ids, ids.count - 1, logits, n, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < n; i++) {
        double total = 0;
        for (size_t v = 0; v < V; v++) total += exp((double)logits[i * V + v]);
        sum += (double)logits[i * V + (size_t)ids.ids[answer + i]] - log(total);
    }
    free(logits);
    return sum;
}

static void expect_scores(const recall_case *c, pf_session *session, size_t distance,
                          const recall_score *score) {
    double nll = 0, margin = 0;
    for (size_t q = 0; q < c->n_questions; q++) {
        recall_case changed = *c;
        recall_question *asked = &changed.questions[q];
        for (size_t k = 0; k < asked->n_choices; k++) { /* each choice in the place of the right */
            size_t n, answer;
            changed = *c;
            asked->choices[0] = c->questions[q].choices[k];
            answer = write_text(&changed, q, distance, &n);
            double log_p = log_p_of_text(session, answer);
            nll -= k == 0 ? log_p : 0;
            if (asked->n_choices > 1)
                margin += k == 0 ? log_p : -log_p / (double)(asked->n_choices - 1);
        }
    }
    assert_int_equal(score->questions, c->n_questions);
    if (!(fabs(score->nll - nll) < 1e-3) || !(fabs(score->margin - margin) < 1e-3))
        fail_msg("%s at %zu: loss %g, margin %g; from whole texts %g and %g",
                 recall_task_names[c->task], distance, score->nll, score->margin, nll, margin);
}

static void answers_are_those_of_whole_texts(void **state) {
    (void)state;
    static const size_t distances[] = {0, 37, GAP};
    recall_source s = source(NULL, NULL);
    pf_error error = {""};
    pf_session_options options = pf_session_options_default(loaded.model);
    options.context = 512;
    for (size_t i = 0; i < N; i++) running[i] = (int32_t)(3 + i % 700); /* tokens that there are */
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    assert_non_null(session);
    for (size_t t = 0; t < RECALL_TASKS; t++) {
        recall_case c = make(&s, (recall_task)t, 1);
        recall_score scores[3] = {{0}}, unseen = {0};
        if (!recall_answer(session, &c, distances, 3, scores, &unseen, &error))
            fail_msg("%s", error.message);
        for (size_t d = 0; d < 3; d++) expect_scores(&c, session, distances[d], &scores[d]);
        assert_int_equal(unseen.tokens, t == RECALL_COPY ? PASSAGE - RECALL_HINT : 0);
        recall_case_free(&c);
    }
    pf_session_free(session);
}

static int open_model(void **state) {
    (void)state;
    pf_error error = {""};
    for (size_t i = 0; i < N; i++) running[i] = (int32_t)(i + 1000000); /* no token of the tasks */
    return pf_loaded_open(TALES, &loaded, &error) ? 0 : -1;
}

static int close_model(void **state) {
    (void)state;
    pf_tokens_free(&ids);
    pf_loaded_close(&loaded);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gap_and_answer_lie_where_they_should),
        cmocka_unit_test(seeds_repeat),
        cmocka_unit_test(short_texts_are_refused),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(a_copy_comes_again),
        cmocka_unit_test(twins_differ_in_the_key_alone),
        cmocka_unit_test(every_name_has_its_word),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(stories_are_made_by_a_seed),
        cmocka_unit_test(answers_are_those_of_whole_texts),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
