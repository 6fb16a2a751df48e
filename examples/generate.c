/* generate.c - the smallest program that writes a text: generate MODEL PROMPT [TOKENS]
 *
 *   cc generate.c $(pkg-config --cflags --libs performer) -o generate
 */
#include <performer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool good, const pf_error *error) {
    if (good) return;
    fprintf(stderr, "generate: %s\n", error->message);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: generate MODEL PROMPT [TOKENS]\n"), 2;
    pf_error error = {""};
    pf_loaded loaded;
    check(pf_loaded_open(argv[1], &loaded, &error), &error);
    check(loaded.tokenizer != NULL, &(pf_error){"the model has no tokenizer"});

    pf_session_options options = pf_session_options_default(loaded.model);
    options.attention.kind =
        PF_ATTENTION_FAVOR; /* a state of fixed size; PF_ATTENTION_SOFTMAX: exact */
    pf_session *session = pf_session_new(loaded.model, &options, &error);
    check(session != NULL, &error);
    pf_sampler *sampler = pf_sampler_new(&(pf_sampler_options){.top_p = 1}, /* greedy */
                                         loaded.model->n_vocab, &error);
    check(sampler != NULL, &error);

    pf_tokens prompt = {0};
    check(pf_tokenizer_encode(loaded.tokenizer, argv[2], strlen(argv[2]), PF_ENCODE_BOS, &prompt,
                              &error),
          &error);
    float *logits = malloc(loaded.model->n_vocab * sizeof *logits);
    char *text = malloc(pf_tokenizer_max_bytes(loaded.tokenizer) + 16);
    if (!logits || !text || prompt.count == 0) return 1;
    check(pf_session_append(session, prompt.ids, prompt.count, logits, 1, &error), &error);

    pf_decoder decoder = {.started = true}; /* behind the prompt, not at the beginning of a text */
    for (int left = argc > 3 ? atoi(argv[3]) : 100; left > 0; left--) {
        int32_t id = pf_sampler_next(sampler, logits);
        if (id < 0 || pf_tokenizer_is_end(loaded.tokenizer, id)) break;
        fwrite(text, 1, pf_decoder_push(loaded.tokenizer, &decoder, id, text), stdout);
        check(pf_session_append(session, &id, 1, logits, 1, &error), &error);
    }
    puts("");
    free(text), free(logits), pf_tokens_free(&prompt);
    pf_sampler_free(sampler), pf_session_free(session), pf_loaded_close(&loaded);
    return 0;
}
