/* floor 6.1 - test_jinja: templates of real models, byte for byte as jinja2 renders them. */
#include "jinja.h"
#include "memory.h"
#include "testing.h"

#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES "tests/fixtures/chat_templates/*.json"

enum { MAX_MESSAGES = 32, MAX_FIELDS = 8 };

/* 2024-07-26 12:00 UTC, as tests/make_chat_templates.py has it. */
static const pf_jinja_limits limits = {
    .memory = (size_t)64 << 20, .output = 1 << 20, .steps = 4000000, .now = 1721995200};

static pf_jinja_variable text_variable(const char *name, const json_t *value) {
    return (pf_jinja_variable){.name = name,
                               .kind = PF_JINJA_TEXT,
                               .text = json_string_value(value),
                               .size = json_string_length(value)};
}

/* What transformers gives a template. */
static bool render_talk(const pf_jinja *jinja, const json_t *fixture, const json_t *messages,
                        bool prompt, pf_buffer *out, bool *refused, pf_error *error) {
    static pf_jinja_variable parts[MAX_MESSAGES][MAX_FIELDS], list[MAX_MESSAGES];
    size_t n = json_array_size(messages);
    assert_true(n <= MAX_MESSAGES);
    for (size_t i = 0; i < n; i++) {
        json_t *message = json_array_get(messages, i), *value;
        const char *key;
        size_t k = 0;
        json_object_foreach(message, key, value) parts[i][k++] = text_variable(key, value);
        list[i] = (pf_jinja_variable){.kind = PF_JINJA_DICT, .parts = parts[i], .n_parts = k};
    }
    const pf_jinja_variable variables[] = {
        {.name = "messages", .kind = PF_JINJA_LIST, .parts = list, .n_parts = n},
        {.name = "add_generation_prompt", .kind = prompt ? PF_JINJA_TRUE : PF_JINJA_FALSE},
        {.name = "tools", .kind = PF_JINJA_NONE},
        {.name = "documents", .kind = PF_JINJA_NONE},
        text_variable("bos_token", json_object_get(fixture, "bos_token")),
        text_variable("eos_token", json_object_get(fixture, "eos_token")),
    };
    return pf_jinja_render(jinja, variables, sizeof variables / sizeof *variables, &limits, out,
                           refused, error);
}

/* Compares one dialogue; true if it is as jinja2 has it. */
static bool same_talk(const pf_jinja *jinja, const json_t *fixture, const json_t *talk,
                      const json_t *wanted, const char *what) {
    pf_error error = {""};
    pf_buffer out = {0};
    bool refused = false, fails = json_is_object(wanted);
    bool good = render_talk(jinja, fixture, json_object_get(talk, "messages"),
                            json_is_true(json_object_get(talk, "prompt")), &out, &refused, &error);
    const char *raised = json_string_value(json_object_get(wanted, "raises"));
    bool same = fails
                    ? !good && (!raised || (refused && strstr(error.message, raised)))
                    : good && out.n == json_string_length(wanted) &&
                          memcmp(out.bytes ? out.bytes : "", json_string_value(wanted), out.n) == 0;
    if (!same)
        print_message("# %s:\n# got:    %.*s%s\n# wanted: %s\n", what, (int)out.n,
                      out.bytes ? out.bytes : "", good ? "" : error.message,
                      fails ? raised ? raised : "an error" : json_string_value(wanted));
    pf_free(out.bytes);
    return same;
}

/* The number of dialogues that differ; *n counts them all. */
static size_t check_fixture(const char *path, const json_t *talks, size_t *n) {
    char what[512];
    pf_error error = {""};
    json_t *fixture = json_load_file(path, 0, NULL);
    if (!fixture) fail_msg("%s is no JSON", path);
    const json_t *source = json_object_get(fixture, "template");
    pf_jinja *jinja = pf_jinja_parse(json_string_value(source), json_string_length(source), &error);
    const json_t *wanted = json_object_get(fixture, "texts");
    size_t bad = 0;
    if (!jinja) {
        print_message("# %s: %s\n", path, error.message);
        bad = 1;
    }
    for (size_t i = 0; jinja && i < json_array_size(wanted); i++, ++*n) {
        snprintf(what, sizeof what, "%s, talk %zu", path, i);
        bad +=
            !same_talk(jinja, fixture, json_array_get(talks, i), json_array_get(wanted, i), what);
    }
    pf_jinja_free(jinja);
    json_decref(fixture);
    return bad;
}

static void real_templates_are_rendered_as_by_jinja2(void **state) {
    (void)state;
    glob_t found;
    size_t bad = 0, n = 0, files = 0;
    const char *pattern = getenv("PF_CHAT_TEMPLATES");
    json_t *talks = json_load_file("tests/fixtures/chat_talks.json", 0, NULL);
    assert_non_null(talks);
    assert_int_equal(glob(pattern ? pattern : FIXTURES, 0, NULL, &found), 0);
    for (; files < found.gl_pathc; files++) bad += check_fixture(found.gl_pathv[files], talks, &n);
    print_message("# %zu templates, %zu dialogues, %zu differ\n", files, n, bad);
    globfree(&found);
    json_decref(talks);
    assert_int_equal(bad, 0);
    assert_true(files >= 40);
}

/* Each on its own, with a system prompt and a question as messages. */
static void constructs_mean_what_they_mean_in_jinja2(void **state) {
    (void)state;
    size_t i, bad = 0;
    json_t *one,
        *cases = json_load_file("tests/fixtures/jinja_constructs.json", JSON_ALLOW_NUL, NULL);
    json_t *talk =
        json_pack("{s:[{s:s,s:s},{s:s,s:s}],s:b}", "messages", "role", "system", "content",
                  "Be brief.", "role", "user", "content", "Hi there.", "prompt", 1);
    json_t *tokens = json_pack("{s:s,s:s}", "bos_token", "<s>", "eos_token", "</s>");
    assert_non_null(cases);
    json_array_foreach(cases, i, one) {
        pf_error error = {""};
        const json_t *source = json_object_get(one, "template"),
                     *text = json_object_get(one, "text");
        pf_jinja *jinja =
            pf_jinja_parse(json_string_value(source), json_string_length(source), &error);
        bool parses = !json_object_get(text, "parses");
        if (parses != (jinja != NULL)) {
            print_message("# %s: %s\n", json_string_value(source),
                          jinja ? "parses" : error.message);
            bad++;
        } else if (jinja) {
            bad += !same_talk(jinja, tokens, talk, text, json_string_value(source));
        }
        pf_jinja_free(jinja);
    }
    json_decref(tokens);
    json_decref(talk);
    json_decref(cases);
    assert_int_equal(bad, 0);
    assert_true(i > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constructs_mean_what_they_mean_in_jinja2),
        cmocka_unit_test(real_templates_are_rendered_as_by_jinja2),
    };
    return cmocka_run_group_tests_name("jinja", tests, NULL, NULL);
}
