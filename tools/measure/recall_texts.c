/* floor 5.2 - recall texts: texts that ask for something said long before, made by a seed. */
#include "recall_texts.h"

#include "rng.h"

#include <stdio.h>
#include <string.h>

enum {
    NAMES = 8,     /* named in a text of many keys */
    VARIABLES = 4, /* set in a text of last values ... */
    ROUNDS = 3,    /* ... so many times each */
    LEADS = 3,     /* 0, 1 or 2 passages of text come before a fact */
    FACT_SIZE = 512
};

const char *const recall_task_names[RECALL_TASKS] = {"copy", "pass key", "many keys", "last seen"};

static const char *const names[] = {"Anna",  "Peter", "Maria", "John", "Alice", "David",
                                    "Laura", "Simon", "Emma",  "Paul", "Clara", "Henry"};
/* No word begins another. */
static const char *const words[] = {"river", "apple",  "stone", "music", "garden", "winter",
                                    "paper", "silver", "horse", "bread", "window", "forest",
                                    "light", "table",  "salt",  "cloud"};
enum { N_NAMES = sizeof names / sizeof names[0], N_WORDS = sizeof words / sizeof words[0] };

/* ---- numbers by chance */

static size_t below(pf_rng *rng, size_t n) { return (size_t)(pf_rng_uniform(rng) * (double)n); }

/* Fills order [n] with 0 ... n - 1 in random order. */
static void shuffle(pf_rng *rng, size_t *order, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t j = below(rng, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* ---- ids */

static bool push_all(pf_tokens *to, const int32_t *ids, size_t n, pf_error *error) {
    for (size_t i = 0; i < n; i++)
        if (!pf_tokens_push(to, ids[i], error)) return false;
    return true;
}

static bool encode(const recall_source *s, const char *text, unsigned flags, pf_tokens *to,
                   pf_error *error) {
    return pf_tokenizer_encode(s->tokenizer, text, strlen(text), flags, to, error);
}

/* The text's own BOS, where its vocabulary asks for one. */
static bool begin(const recall_source *s, pf_tokens *to, pf_error *error) {
    if (s->tokenizer && s->before) return encode(s, s->before, s->before_flags, to, error);
    const pf_vocabulary *v = s->tokenizer ? pf_tokenizer_vocabulary(s->tokenizer) : NULL;
    return !v || !v->add_bos || v->bos < 0 || pf_tokens_push(to, v->bos, error);
}

size_t recall_needed(const recall_source *s, size_t gap) {
    size_t lead = (LEADS - 1) * s->passage;
    return gap + (lead > s->passage ? lead : s->passage);
}

size_t recall_longest_gap(const recall_source *s) {
    return s->n > recall_needed(s, 0) ? s->n - recall_needed(s, 0) : 0;
}

/* ---- the four tasks */

static bool make_copy(const recall_source *s, const int32_t *ids, size_t longest, recall_case *c,
                      pf_error *error) {
    const pf_vocabulary *v = s->tokenizer ? pf_tokenizer_vocabulary(s->tokenizer) : NULL;
    recall_question *q = &c->questions[c->n_questions++];
    q->n_choices = 1;
    if (v && v->add_bos && v->bos >= 0 && !pf_tokens_push(&c->start, v->bos, error)) return false;
    c->fact = c->start.count;
    c->n_fact = s->passage;
    return push_all(&c->start, ids, s->passage, error) &&
           push_all(&c->gap, ids + s->passage, longest, error) &&
           push_all(&q->ask, ids, RECALL_HINT, error) &&
           push_all(&q->choices[0], ids + RECALL_HINT, s->passage - RECALL_HINT, error);
}

/* start: BOS or the template, `lead` tokens of text, the fact; then the gap. */
static bool tell(const recall_source *s, const int32_t *ids, size_t lead, size_t longest,
                 const char *fact, recall_case *c, pf_error *error) {
    if (!begin(s, &c->start, error) || !push_all(&c->start, ids, lead, error)) return false;
    c->fact = c->start.count;
    bool first = c->start.count == 0;
    if (!encode(s, fact, first ? 0 : PF_ENCODE_CONTINUED, &c->start, error)) return false;
    c->n_fact = c->start.count - c->fact;
    return push_all(&c->gap, ids + lead, longest, error);
}

/* Moves what all choices begin with to the end of the question, so that only what tells them apart
 * counts. Leaves each at least one token. */
static bool move_common_start(recall_question *q, pf_error *error) {
    for (;;) {
        const pf_tokens *first = &q->choices[0];
        for (size_t i = 0; i < q->n_choices; i++)
            if (q->choices[i].count < 2 || q->choices[i].ids[0] != first->ids[0]) return true;
        if (!pf_tokens_push(&q->ask, first->ids[0], error)) return false;
        for (size_t i = 0; i < q->n_choices; i++) {
            pf_tokens *choice = &q->choices[i];
            memmove(choice->ids, choice->ids + 1, --choice->count * sizeof *choice->ids);
        }
    }
}

/* Adds a question. `opening` begins the sentence that the answer completes. choices [n], the right
 * one first, begin with a space. */
static bool ask(const recall_source *s, recall_case *c, const char *question, const char *opening,
                char (*choices)[16], size_t n, pf_error *error) {
    char text[512];
    recall_question *q = &c->questions[c->n_questions++];
    if (s->before)
        snprintf(text, sizeof text, "\n\n%s%s%s", question, s->after, opening);
    else
        snprintf(text, sizeof text, "\n\n%s", opening);
    if (!encode(s, text, PF_ENCODE_CONTINUED | PF_ENCODE_SPECIAL, &q->ask, error)) return false;
    for (; q->n_choices < n; q->n_choices++) {
        pf_tokens *choice = &q->choices[q->n_choices];
        if (!encode(s, choices[q->n_choices], PF_ENCODE_CONTINUED, choice, error)) return false;
        if (choice->count == 0)
            return pf_fail(error, "the tokenizer makes no tokens of \"%s\"", choices[q->n_choices]);
    }
    return move_common_start(q, error);
}

/* Two keys of five digits, no digit in the same place; one is told, the other is its twin's. */
static bool make_pass_key(const recall_source *s, const int32_t *ids, size_t lead, size_t longest,
                          bool twin, pf_rng *rng, recall_case *c, pf_error *error) {
    char keys[2][16] = {" 00000", " 00000"}, fact[FACT_SIZE];
    for (size_t i = 1; i <= 5; i++) {
        size_t first = i == 1, digit = first + below(rng, 10 - first);
        size_t step = 1 + below(rng, 9 - first), base = 10 - first;
        keys[twin][i] = (char)('0' + digit);
        keys[!twin][i] = (char)('0' + first + (digit - first + step) % base);
    }
    snprintf(fact, sizeof fact, "\nThe pass key is%s. Remember it.\n", keys[0]);
    return tell(s, ids, lead, longest, fact, c, error) &&
           ask(s, c, "What is the pass key?", "The pass key is", keys, 2, error);
}

static bool make_many_keys(const recall_source *s, const int32_t *ids, size_t lead, size_t longest,
                           pf_rng *rng, recall_case *c, pf_error *error) {
    size_t who[N_NAMES], what[N_WORDS], asked[NAMES], used = 1;
    char fact[FACT_SIZE] = "\n";
    shuffle(rng, who, N_NAMES);
    shuffle(rng, what, N_WORDS);
    shuffle(rng, asked, NAMES);
    for (size_t i = 0; i < NAMES; i++)
        used += (size_t)snprintf(fact + used, sizeof fact - used, "The code word of %s is %s.\n",
                                 names[who[i]], words[what[i]]);
    bool good = tell(s, ids, lead, longest, fact, c, error);
    for (size_t i = 0; good && i < RECALL_QUESTIONS; i++) {
        char question[64], opening[64], choices[NAMES][16];
        const char *name = names[who[asked[i]]];
        snprintf(question, sizeof question, "What is the code word of %s?", name);
        snprintf(opening, sizeof opening, "The code word of %s is", name);
        for (size_t k = 0; k < NAMES; k++)
            snprintf(choices[k], sizeof choices[k], " %s", words[what[(asked[i] + k) % NAMES]]);
        good = ask(s, c, question, opening, choices, NAMES, error);
    }
    return good;
}

static bool make_last_seen(const recall_source *s, const int32_t *ids, size_t lead, size_t longest,
                           pf_rng *rng, recall_case *c, pf_error *error) {
    static const char letters[VARIABLES + 1] = "wxyz";
    size_t numbers[90], order[VARIABLES], used = 1;
    char fact[FACT_SIZE] = "\n";
    shuffle(rng, numbers, 90); /* all values of a text differ */
    for (size_t r = 0; r < ROUNDS; r++) {
        shuffle(rng, order, VARIABLES);
        for (size_t i = 0; i < VARIABLES; i++)
            used += (size_t)snprintf(fact + used, sizeof fact - used, "%c = %zu\n",
                                     letters[order[i]], 10 + numbers[order[i] * ROUNDS + r]);
    }
    bool good = tell(s, ids, lead, longest, fact, c, error);
    for (size_t i = 0; good && i < VARIABLES; i++) {
        char question[64], opening[64], choices[ROUNDS][16];
        snprintf(question, sizeof question, "What is the last value of %c?", letters[i]);
        snprintf(opening, sizeof opening, "%c =", letters[i]);
        for (size_t r = 0; r < ROUNDS; r++)
            snprintf(choices[r], sizeof choices[r], " %zu",
                     10 + numbers[i * ROUNDS + ROUNDS - 1 - r]);
        good = ask(s, c, question, opening, choices, ROUNDS, error);
    }
    return good;
}

bool recall_case_make(const recall_source *s, recall_task task, size_t number, size_t longest,
                      recall_case *c, pf_error *error) {
    *c = (recall_case){.task = task};
    if (s->n < recall_needed(s, longest))
        return pf_fail(error,
                       "the text has %zu tokens, but a gap of %zu needs %zu; give a longer text or "
                       "shorter distances",
                       s->n, longest, recall_needed(s, longest));
    if (task != RECALL_COPY && !s->tokenizer)
        return pf_fail(error, "the task \"%s\" needs a tokenizer, and the model has none",
                       recall_task_names[task]);
    /* Twins share everything but the key. */
    bool twins = task == RECALL_PASS_KEY;
    size_t pair = twins ? number / 2 : number;
    pf_rng rng;
    pf_rng_seed(&rng, s->seed, pair * RECALL_TASKS + (uint64_t)task);
    size_t lead = task == RECALL_COPY ? s->passage : pair % LEADS * s->passage;
    const int32_t *ids = s->ids + below(&rng, s->n - lead - longest + 1);
    switch (task) {
    case RECALL_COPY:
        return make_copy(s, ids, longest, c, error);
    case RECALL_PASS_KEY:
        return make_pass_key(s, ids, lead, longest, number % 2 == 1, &rng, c, error);
    case RECALL_MANY_KEYS:
        return make_many_keys(s, ids, lead, longest, &rng, c, error);
    default:
        return make_last_seen(s, ids, lead, longest, &rng, c, error);
    }
}

void recall_case_free(recall_case *c) {
    pf_tokens_free(&c->start);
    pf_tokens_free(&c->gap);
    for (size_t q = 0; q < RECALL_QUESTIONS; q++) {
        pf_tokens_free(&c->questions[q].ask);
        for (size_t i = 0; i < RECALL_CHOICES; i++) pf_tokens_free(&c->questions[q].choices[i]);
    }
    *c = (recall_case){0};
}

/* ---- whole texts */

size_t recall_case_length(const recall_case *c, size_t distance) {
    size_t longest = 0;
    for (size_t i = 0; i < c->n_questions; i++) {
        const recall_question *q = &c->questions[i];
        for (size_t k = 0; k < q->n_choices; k++)
            if (q->ask.count + q->choices[k].count > longest)
                longest = q->ask.count + q->choices[k].count;
    }
    return c->start.count + distance + longest;
}

bool recall_case_text(const recall_case *c, size_t q, size_t distance, pf_tokens *ids,
                      size_t *answer, size_t *n_answer, pf_error *error) {
    const recall_question *question = &c->questions[q];
    if (!push_all(ids, c->start.ids, c->start.count, error) ||
        !push_all(ids, c->gap.ids, distance, error) ||
        !push_all(ids, question->ask.ids, question->ask.count, error))
        return false;
    *answer = ids->count;
    *n_answer = question->choices[0].count;
    return push_all(ids, question->choices[0].ids, *n_answer, error);
}
