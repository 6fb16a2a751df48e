/* floor 6.2 - test_chat_template: recognises templates and writes messages in their form. */
#include "chat_template.h"
#include "tokenizer_testing.h"

#define SMOLLM2 "models/downloads/smollm2-135m-instruct.gguf"
#define PHI3 "../shared/data/tokenizers/phi-3/ggml-vocab-phi-3.gguf"
#define GOLDEN "../shared/data/models/smollm2-135m-instruct/golden_greedy.json"

static const pf_piece pieces[] = {{.bytes = "<s>", .size = 3}, {.bytes = "</s>", .size = 4}};
static const pf_vocabulary vocabulary = {.pieces = pieces, .n_pieces = 2, .bos = 0, .eos = 1};

/* From the files of well-known models, shortened to what matters. */
static const char smollm2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% "
    "endfor %}";
static const char qwen25[] =
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{{- 'You have tools.<|im_end|>' }}{%- else %}"
    "{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}"
    "{{- '<|im_start|>system\\nYou aren\\'t \\\\ \"Qwen\".<|im_end|>\\n' }}{%- endif %}";
static const char chatml[] =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' }}";
static const char llama2[] = "{% if %}{{ '<<SYS>>\\n' + system }}{{ bos_token + '[INST] ' + "
                             "content.strip() + ' [/INST]' }}{{ ' ' + content + ' ' + eos_token }}";
static const char mistral[] = "{{ bos_token }}{{ '[INST] ' + m.content + ' [/INST]' }}";
static const char llama3[] =
    "{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}"
    "{% set content = bos_token + content %}";
static const char zephyr[] = "{{ '<|user|>\\n' + message['content'] + eos_token }}"
                             "{{ '<|system|>\\n' }}{{ '<|assistant|>' }}";
static const char gemma[] =
    "{{ bos_token }}{{ '<start_of_turn>' + role + '\\n' + message['content'] "
    "| trim + '<end_of_turn>\\n' }}";
static const char phi3[] = "{{ bos_token }}{{'<|user|>' + '\\n' + message['content'] + '<|end|>' + "
                           "'\\n' + '<|assistant|>' + '\\n'}}";

static pf_chat_template found(const char *jinja, pf_chat_format format) {
    pf_error error = {""};
    pf_chat_template chat;
    if (!pf_chat_template_find(jinja, strlen(jinja), &vocabulary, &chat, &error))
        fail_msg("%s", error.message);
    assert_string_equal(pf_chat_format_name(chat.format), pf_chat_format_name(format));
    return chat;
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

static void assert_forms(const char *jinja, pf_chat_format format, const char *whole,
                         const char *rest) {
    pf_chat_template chat = found(jinja, format);
    char *text = rendered(&chat, talk, 4, 0);
    assert_string_equal(text, whole);
    pf_free(text);
    text = rendered(&chat, talk, 4, 3); /* "Hello." was the model's answer */
    assert_string_equal(text, rest);
    pf_free(text);
}

static void every_form_is_written(void **state) {
    (void)state;
    assert_forms(chatml, PF_CHAT_CHATML,
                 "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
                 "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n"
                 "<|im_start|>assistant\n",
                 "<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
    assert_forms(
        llama2, PF_CHAT_LLAMA2,
        "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Who? [/INST]",
        " </s><s>[INST] Who? [/INST]");
    assert_forms(mistral, PF_CHAT_MISTRAL,
                 "[INST] Be brief.\n\nHi [/INST] Hello.</s>[INST] Who? [/INST]",
                 "</s>[INST] Who? [/INST]");
    assert_forms(llama3, PF_CHAT_LLAMA3,
                 "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n",
                 "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n");
    assert_forms(zephyr, PF_CHAT_ZEPHYR,
                 "<|system|>\nBe brief.</s>\n<|user|>\n Hi </s>\n<|assistant|>\nHello.</s>\n"
                 "<|user|>\nWho?</s>\n<|assistant|>\n",
                 "</s>\n<|user|>\nWho?</s>\n<|assistant|>\n");
    assert_forms(gemma, PF_CHAT_GEMMA,
                 "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello."
                 "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n",
                 "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\n");
    assert_forms(
        phi3, PF_CHAT_PHI3,
        "<|system|>\nBe brief.<|end|>\n<|user|>\n Hi <|end|>\n<|assistant|>\nHello.<|end|>\n"
        "<|user|>\nWho?<|end|>\n<|assistant|>\n",
        "<|end|>\n<|user|>\nWho?<|end|>\n<|assistant|>\n");
}

static void a_template_has_its_default_system_prompt(void **state) {
    (void)state;
    pf_chat_template chat = found(smollm2, PF_CHAT_CHATML);
    assert_string_equal(chat.system, "You are a helpful AI assistant named SmolLM");
    char *text = rendered(&chat, talk + 1, 1, 0);
    assert_string_equal(text,
                        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM"
                        "<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n");
    pf_free(text);
    text = rendered(&chat, talk, 2, 0); /* the conversation's own prompt wins */
    assert_non_null(strstr(text, "system\nBe brief.<|im_end|>"));
    assert_null(strstr(text, "SmolLM"));
    pf_free(text);
    chat = found(qwen25, PF_CHAT_CHATML);
    assert_string_equal(chat.system, "You aren't \\ \"Qwen\".");
    chat = found(chatml, PF_CHAT_CHATML);
    assert_string_equal(chat.system, "");
}

static void bos_where_the_template_writes_it(void **state) {
    (void)state;
    pf_vocabulary adds_bos = vocabulary;
    adds_bos.add_bos = true;
    pf_chat_template chat = found(llama3, PF_CHAT_LLAMA3);
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 0),
                     PF_ENCODE_SPECIAL | PF_ENCODE_FORCE_BOS);
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 2), PF_ENCODE_SPECIAL);
    chat = found(chatml, PF_CHAT_CHATML);
    assert_int_equal(pf_chat_encode_flags(&chat, &vocabulary, 0), PF_ENCODE_SPECIAL);
    assert_int_equal(pf_chat_encode_flags(&chat, &adds_bos, 0),
                     PF_ENCODE_SPECIAL | PF_ENCODE_FORCE_BOS);
}

static void impossible_conversations_are_refused(void **state) {
    (void)state;
    pf_error error = {""};
    pf_chat_template chat;
    assert_false(pf_chat_template_find("{{ messages }}", 14, &vocabulary, &chat, &error));
    assert_non_null(strstr(error.message, "an unknown form; the known ones are chatml"));
    assert_false(pf_chat_template_find("", 0, &vocabulary, &chat, &error));

    chat = found(chatml, PF_CHAT_CHATML);
    char *text = NULL;
    size_t size = 0;
    const pf_chat_message wrong[] = {{"user", "a"}, {"system", "b"}, {"tool", "c"}};
    assert_false(pf_chat_render(&chat, wrong, 2, 0, &text, &size, &error));
    assert_non_null(strstr(error.message, "message 2 of the chat has the role \"system\""));
    assert_false(pf_chat_render(&chat, wrong + 2, 1, 0, &text, &size, &error));
    assert_false(pf_chat_render(&chat, wrong, 0, 0, &text, &size, &error));
    assert_false(pf_chat_render(&chat, wrong, 1, 1, &text, &size, &error)); /* no answer */
    assert_false(pf_chat_render(&chat, wrong, 1, 2, &text, &size, &error));

    pf_memory_fail_after(1);
    assert_false(pf_chat_render(&chat, wrong, 1, 0, &text, &size, &error));
    pf_memory_fail_after(0);
}

/* The template of a file, found with the tokenizer's vocabulary. */
static pf_chat_template chat_of_gguf(const char *path, const pf_tokenizer *tokenizer) {
    pf_error error = {""};
    pf_text jinja = {"", 0};
    pf_chat_template chat = {.format = PF_CHAT_COUNT};
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
    pf_tokenizer_free(tokenizer);
}

static void phi3_template(void **state) {
    (void)state;
    pf_tokenizer *tokenizer = tokenizer_of_gguf(PHI3);
    pf_chat_template chat = chat_of_gguf(PHI3, tokenizer);
    assert_int_equal(chat.format, PF_CHAT_PHI3);
    assert_true(chat.writes_bos);
    assert_string_equal(chat.eos, "<|endoftext|>");
    pf_tokenizer_free(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_written),
        cmocka_unit_test(a_template_has_its_default_system_prompt),
        cmocka_unit_test(bos_where_the_template_writes_it),
        cmocka_unit_test(impossible_conversations_are_refused),
        cmocka_unit_test(smollm2_prompt),
        cmocka_unit_test(phi3_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
