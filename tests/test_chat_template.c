/* floor 6.2 - test_chat_template: messages through templates, and what of the text is new. */
#include "chat_template.h"
#include "tokenizer_testing.h"

#define SMOLLM2 "models/downloads/smollm2-135m-instruct.gguf"
#define PHI3 "../shared/data/tokenizers/phi-3/ggml-vocab-phi-3.gguf"
#define GOLDEN "../shared/data/models/smollm2-135m-instruct/golden_greedy.json"

static const pf_piece pieces[] = {{.bytes = "<s>", .size = 3}, {.bytes = "</s>", .size = 4}};
static const pf_vocabulary vocabulary = {.pieces = pieces, .n_pieces = 2, .bos = 0, .eos = 1};

/* Templates of our own that do what those of well-known models do. */
static const char gemma2[] =
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}";
static const char forgetful[] = /* drops the system prompt */
    "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}<a>";
static const char smollm2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% "
    "endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
static const char thinking[] = /* forgets what an assistant thought, and asks it to think */
    "{% for m in messages %}{% set said = m.content %}{% if m.role == 'assistant' and "
    "'</think>' in said %}{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "<{{ m.role }}>{{ said | trim }}</{{ m.role }}>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>\n{% endif %}";
static const char dated[] =
    "{{ bos_token }}{% if date_string is not defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% endif %}Today: {{ date_string }}\n"
    "{% if tools is not none %}{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";

static pf_chat_template found(const char *jinja) {
    pf_error error = {""};
    pf_chat_template chat;
    if (!pf_chat_template_find(jinja, strlen(jinja), &vocabulary, &chat, &error))
        fail_msg("%s", error.message);
    return chat;
}

static pf_chat_template named(const char *name) {
    assert_non_null(pf_chat_template_named(name));
    return found(pf_chat_template_named(name));
}

/* The text, with a NUL appended. Free it with pf_free. */
static char *rendered(const pf_chat_template *chat, const pf_chat_message *messages, size_t n,
                      size_t known) {
    pf_error error = {""};
    char *text = NULL;
    size_t size = 0;
    if (!pf_chat_render(chat, messages, n, known, &text, &size, &error))
        fail_msg("%s", error.message);
    char *copy = pf_strndup(text, size, NULL);
    pf_free(text);
    return copy;
}

static const pf_chat_message talk[] = {
    {"system", "Be brief."}, {"user", " Hi "}, {"assistant", "Hello."}, {"user", "Who?"}};

static void assert_writes(const char *jinja, const char *whole, const char *rest) {
    pf_chat_template chat = found(jinja);
    char *text = rendered(&chat, talk, 4, 0);
    assert_string_equal(text, whole);
    pf_free(text);
    text = rendered(&chat, talk, 4, 3); /* "Hello." was the model's answer */
    assert_string_equal(text, rest);
    pf_free(text);
    pf_chat_template_free(&chat);
}

static void assert_forms(const char *name, const char *whole, const char *rest) {
    assert_non_null(pf_chat_template_named(name));
    assert_writes(pf_chat_template_named(name), whole, rest);
}

static void every_form_is_written(void **state) {
    (void)state;
    assert_forms("chatml",
                 "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
                 "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n"
                 "<|im_start|>assistant\n",
                 "<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
    assert_forms(
        "llama-2",
        "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Who? [/INST]",
        " </s><s>[INST] Who? [/INST]");
    assert_forms("mistral", "[INST] Be brief.\n\nHi [/INST] Hello.</s>[INST] Who? [/INST]",
                 "</s>[INST] Who? [/INST]");
    assert_forms("llama-3",
                 "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n",
                 "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n");
    assert_forms("zephyr",
                 "<|system|>\nBe brief.</s>\n<|user|>\n Hi </s>\n<|assistant|>\nHello.</s>\n"
                 "<|user|>\nWho?</s>\n<|assistant|>\n",
                 "</s>\n<|user|>\nWho?</s>\n<|assistant|>\n");
    assert_forms("gemma",
                 "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello."
                 "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n",
                 "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n");
    assert_forms(
        "phi-3",
        "<|system|>\nBe brief.<|end|>\n<|user|>\n Hi <|end|>\n<|assistant|>\nHello.<|end|>\n"
        "<|user|>\nWho?<|end|>\n<|assistant|>\n",
        "<|end|>\n<|user|>\nWho?<|end|>\n<|assistant|>\n");
}

static void a_template_has_its_default_system_prompt(void **state) {
    (void)state;
    pf_chat_template chat = found(smollm2);
    char *text = rendered(&chat, talk + 1, 1, 0);
    assert_string_equal(text,
                        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM"
                        "<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n");
    pf_free(text);
    text = rendered(&chat, talk, 2, 0); /* the conversation's own prompt wins */
    assert_non_null(strstr(text, "system\nBe brief.<|im_end|>"));
    assert_null(strstr(text, "SmolLM"));
    pf_free(text);
    pf_chat_template_free(&chat);
}

static void a_system_prompt_is_never_lost(void **state) {
    (void)state;
    assert_writes(gemma2,
                  "<start_of_turn>user\nBe brief.\n\n Hi<end_of_turn>\n<start_of_turn>model\n"
                  "Hello.<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n"
                  "<start_of_turn>model\n",
                  "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n");
    assert_writes(forgetful, "<user>Be brief.\n\n Hi <assistant>Hello.<user>Who?<a>",
                  "<user>Who?<a>");
    pf_chat_template chat = found(forgetful);
    const pf_chat_message blank[] = {{"system", " \n"}, {"user", "Hi"}};
    char *text = rendered(&chat, blank, 2, 0); /* nothing is lost here */
    assert_string_equal(text, "<user>Hi<a>");
    pf_free(text);
    pf_chat_template_free(&chat);
}

static void an_answer_that_the_template_changes(void **state) {
    (void)state;
    pf_chat_template chat = found(thinking);
    const pf_chat_message thought[] = {{"user", "answer0read?"},
                                       {"assistant", "<think>Hm.</think>\n\n Hello. "},
                                       {"user", "Who?"}};
    char *text = rendered(&chat, thought, 3, 2);
    assert_string_equal(text, "</assistant>\n<user>Who?</user>\n<assistant><think>\n");
    pf_free(text);
    text = rendered(&chat, thought, 3, 0);
    assert_string_equal(text, "<user>answer0read?</user>\n<assistant>Hello.</assistant>\n"
                              "<user>Who?</user>\n<assistant><think>\n");
    pf_free(text);
    pf_chat_template_free(&chat);
}

static void the_date_can_be_asked(void **state) {
    (void)state;
    pf_chat_template chat = found(dated);
    chat.now = 1721995200;
    char *text = rendered(&chat, talk + 1, 1, 0);
    assert_string_equal(text, "Today: 26 Jul 2024\n<user> Hi ");
    pf_free(text);
    assert_true(chat.writes_bos); /* and BOS is left to the flags */
    pf_chat_template_free(&chat);
}

static void bos_where_the_template_writes_it(void **state) {
    (void)state;
    pf_vocabulary adds_bos = vocabulary;
    adds_bos.add_bos = true;
    pf_chat_template chat = named("llama-3");
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 0),
                     PF_ENCODE_SPECIAL | PF_ENCODE_FORCE_BOS);
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 2), PF_ENCODE_SPECIAL);
    pf_chat_template_free(&chat);
    chat = named("chatml");
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 0), PF_ENCODE_SPECIAL);
    assert_int_equal(pf_chat_encode_flags(&chat, &adds_bos, 0),
                     PF_ENCODE_SPECIAL | PF_ENCODE_FORCE_BOS);
    pf_chat_template_free(&chat);
}

static void assert_unreadable(const char *jinja, const char *why) {
    pf_error error = {""};
    pf_chat_template chat;
    assert_false(pf_chat_template_find(jinja, strlen(jinja), &vocabulary, &chat, &error));
    if (!strstr(error.message, why)) fail_msg("%s: %s", jinja, error.message);
}

static void assert_fails(const char *jinja, const pf_chat_message *messages, size_t n, size_t known,
                         const char *why) {
    pf_error error = {""};
    char *text = NULL;
    size_t size = 0;
    pf_chat_template chat = found(jinja);
    assert_false(pf_chat_render(&chat, messages, n, known, &text, &size, &error));
    if (!strstr(error.message, why)) fail_msg("%s: %s", jinja, error.message);
    pf_chat_template_free(&chat);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    assert_unreadable("\n{% if x %}", "the chat template cannot be read: line 2: the template ends "
                                      "where endif is expected");
    assert_unreadable("{{ 'a }}", "line 1: this string has no end");
    assert_unreadable("{{ 1\n+ }}", "line 2: a value is expected, not \"}}\"");
    assert_unreadable("{% nosuch %}", "not \"nosuch\"");
    assert_unreadable("{{ (1] }}", "closes nothing");
    assert_unreadable("{# ", "no end");
    assert_unreadable("{% break %}", "loop");
    const pf_chat_message twice[] = {{"user", "a"}, {"user", "b"}};
    assert_fails(gemma2, twice, 2, 0,
                 "the chat template refuses this conversation, line 1: Roles must alternate");
    assert_fails("a\n{{ x.y }}", twice, 1, 0,
                 "the chat template fails, line 2: \"x\" is undefined");
    assert_fails("{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}",
                 twice, 1, 0, "the limit");
    assert_fails("{% for i in range(99999) %}{{ 'abcdefghijklmnopqrstuvwxyz' * 99 }}{% endfor %}",
                 twice, 1, 0, "the limit");
    assert_fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", twice, 1, 0, "500 deep");
    assert_fails("{{ messages.append(1) }}", twice, 1, 0, "append");
    assert_fails("{{ messages[-1].content }}", talk, 4, 3, "leaves out the model's own answers");
}

static void impossible_conversations_are_refused(void **state) {
    (void)state;
    const pf_chat_message wrong[] = {{"user", "a"}, {"system", "b"}, {"tool", "c"}};
    const char *chatml = pf_chat_template_named("chatml");
    assert_fails(chatml, wrong, 2, 0, "message 2 of the chat has the role \"system\"");
    assert_fails(chatml, wrong + 2, 1, 0, "the role \"tool\"");
    assert_fails(chatml, wrong, 0, 0, "cannot be continued");
    assert_fails(chatml, wrong, 1, 1, "cannot be continued"); /* no answer */
    assert_fails(chatml, wrong, 1, 2, "cannot be continued");
    assert_null(pf_chat_template_named("nosuch"));
    assert_null(pf_chat_template_name(7));
    assert_string_equal(pf_chat_template_name(6), "phi-3");
}

/* Every allocation may fail; nothing leaks and nothing crashes. */
static void memory_may_run_out(void **state) {
    (void)state;
    bool done = false;
    for (long n = 1; !done; n++) {
        pf_error error = {""};
        pf_chat_template chat = {0};
        char *text = NULL;
        size_t size = 0;
        pf_memory_fail_after(n);
        done = pf_chat_template_find(smollm2, strlen(smollm2), &vocabulary, &chat, &error) &&
               pf_chat_render(&chat, talk, 4, 0, &text, &size, &error);
        pf_memory_fail_after(0);
        if (!done) assert_true(error.message[0]);
        pf_free(text);
        pf_chat_template_free(&chat);
        assert_true(n < 100);
    }
}

/* The template of a file, found with the tokenizer's vocabulary. */
static pf_chat_template chat_of_gguf(const char *path, const pf_tokenizer *tokenizer) {
    pf_error error = {""};
    pf_text jinja = {"", 0};
    pf_chat_template chat = {0};
    pf_checkpoint *checkpoint = pf_checkpoint_open(path, &error);
    if (!checkpoint ||
        !pf_checkpoint_get_text(checkpoint, "tokenizer.chat_template", &jinja, &error) ||
        !pf_chat_template_find(jinja.bytes, jinja.size, pf_tokenizer_vocabulary(tokenizer), &chat,
                               &error))
        fail_msg("%s", error.message);
    pf_checkpoint_free(checkpoint);
    return chat;
}

static void smollm2_prompt(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(SMOLLM2);
    need_file(GOLDEN);
    pf_chat_template chat = chat_of_gguf(SMOLLM2, tokenizer);
    const pf_chat_message question = {"user", "What is gravity?"};
    char *text = rendered(&chat, &question, 1, 0);
    json_t *golden = json_load_file(GOLDEN, 0, NULL), *json = json_string(text);
    assert_non_null(golden);
    json_t *ids = json_object_get(json_object_get(golden, "chat"), "prompt_tokens");
    unsigned flags = pf_chat_encode_flags(&chat, pf_tokenizer_vocabulary(tokenizer), 0);
    assert_true(same_json(tokenizer, json, flags, ids));
    json_decref(json);
    json_decref(golden);
    pf_free(text);
    pf_chat_template_free(&chat);
    pf_tokenizer_free(tokenizer);
}

static void phi3_template(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(PHI3);
    pf_chat_template chat = chat_of_gguf(PHI3, tokenizer);
    assert_true(chat.writes_bos);
    assert_string_equal(chat.eos, "<|endoftext|>");
    pf_chat_template_free(&chat);
    pf_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_written),
        cmocka_unit_test(a_template_has_its_default_system_prompt),
        cmocka_unit_test(a_system_prompt_is_never_lost),
        cmocka_unit_test(an_answer_that_the_template_changes),
        cmocka_unit_test(the_date_can_be_asked),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(bos_where_the_template_writes_it),
        cmocka_unit_test(impossible_conversations_are_refused),
        cmocka_unit_test(smollm2_prompt),
        cmocka_unit_test(phi3_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
