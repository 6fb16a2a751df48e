/* many_sessions.c - one model, many texts at once
 *
 *   many_sessions MODEL [SECONDS [SESSIONS [THREADS]]]
 *
 * Computes SESSIONS texts one by one, each with its own seed, alternating between the two kinds of
 * attention. Then THREADS threads compute the same texts at once, over and over for SECONDS. Every
 * text must come out the same.
 *
 *   cc many_sessions.c $(pkg-config --cflags --libs performer) -pthread -o many_sessions
 */
#include <performer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOKENS = 40, MAX_SESSIONS = 1024 };

static pf_loaded loaded;
static int32_t expected[MAX_SESSIONS][TOKENS];
static int n_sessions = 64;
static double seconds;
static atomic_int next, rounds, wrong;

/* Writes the ids of text number i to text [TOKENS]. */
static bool compute(int i, int32_t *text) {
    static const char prompt[] = "Once upon a time, there was a";
    pf_error error = {""};
    pf_tokens ids = {0};
    pf_session_options options = pf_session_options_default(loaded.model);
    options.attention.kind = i % 2 ? PF_ATTENTION_FAVOR : PF_ATTENTION_SOFTMAX;
    options.context = 128;
    options.n_threads = 1; /* the sessions already run in parallel */
    pf_sampler_options sampling = {.temperature = 1, .top_p = 0.9f, .seed = (uint64_t)i};
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    pf_sampler *sampler = pf_sampler_new(&sampling, loaded.model->n_vocab, &error);
    float *logits = malloc(loaded.model->n_vocab * sizeof *logits);
    bool good = session && sampler && logits &&
                pf_tokenizer_encode(loaded.tokenizer, prompt, sizeof prompt - 1,
                                    PF_ENCODE_FORCE_BOS, &ids, &error) &&
                pf_session_append(session, ids.ids, ids.count, logits, 1, &error);
    for (int t = 0; good && t < TOKENS; t++) {
        text[t] = pf_sampler_next(sampler, logits);
        good = text[t] >= 0 && pf_session_append(session, &text[t], 1, logits, 1, &error);
    }
    if (!good) fprintf(stderr, "text %d: %s\n", i, error.message);
    free(logits);
    pf_tokens_free(&ids);
    pf_sampler_free(sampler);
    pf_session_free(session);
    return good;
}

static double now(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Computes one text after another until all are done and the time is up. */
static void *work(void *end) {
    int32_t text[TOKENS];
    for (;;) {
        int i = atomic_fetch_add(&next, 1);
        if (i >= n_sessions && now() >= *(double *)end) return NULL;
        bool same = compute(i % n_sessions, text) &&
                    memcmp(text, expected[i % n_sessions], sizeof text) == 0;
        atomic_fetch_add(same ? &rounds : &wrong, 1);
    }
}

int main(int argc, char **argv) {
    pf_error error = {""};
    pthread_t threads[64];
    int n_threads = argc > 4 ? atoi(argv[4]) : 8;
    seconds = argc > 2 ? atof(argv[2]) : 0;
    if (argc > 3) n_sessions = atoi(argv[3]);
    if (argc < 2 || n_sessions < 1 || n_sessions > MAX_SESSIONS || n_threads < 1 || n_threads > 64)
        return fprintf(stderr, "usage: many_sessions MODEL [SECONDS [SESSIONS [THREADS]]]\n"), 2;
    if (!pf_loaded_open(argv[1], &loaded, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    for (int i = 0; i < n_sessions; i++)
        if (!compute(i, expected[i])) return 1;
    double end = now() + seconds;
    for (int i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, work, &end) != 0) return 1;
    for (int i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
    printf("%d sessions on %d threads: %d texts the same, %d wrong\n", n_sessions, n_threads,
           atomic_load(&rounds), atomic_load(&wrong));
    pf_loaded_close(&loaded);
    return atomic_load(&wrong) != 0;
}
