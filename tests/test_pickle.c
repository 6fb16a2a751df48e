/* floor 6.2 - test_pickle: hand-made pickles: harmless, malicious and endless ones. */
#include "testing.h"

#include "memory.h"
#include "pickle.h"

#include <math.h>
#include <string.h>

/* A pickle from a string literal: may contain zero bytes; the literal's final NUL is left out. */
#define PROGRAM(text) ((pf_slice){(const uint8_t *)("\x80\x02" text), sizeof("\x80\x02" text) - 1})

static pf_pickle *read_good(pf_slice program) {
    pf_error error = {""};
    pf_pickle *pickle = pf_pickle_read(program, &error);
    if (!pickle) fail_msg("%s", error.message);
    return pickle;
}

static void assert_refused(pf_slice program, const char *part) {
    pf_error error = {""};
    pf_pickle *pickle = pf_pickle_read(program, &error);
    pf_pickle_free(pickle);
    assert_null(pickle);
    if (!strstr(error.message, part)) fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

static int64_t one_int(pf_slice program) {
    pf_pickle *pickle = read_good(program);
    const pf_value *root = pf_pickle_root(pickle);
    assert_int_equal(root->kind, PF_VALUE_INT);
    int64_t number = root->as.i;
    pf_pickle_free(pickle);
    return number;
}

static double one_float(pf_slice program) {
    pf_pickle *pickle = read_good(program);
    const pf_value *root = pf_pickle_root(pickle);
    assert_int_equal(root->kind, PF_VALUE_FLOAT);
    double number = root->as.f;
    pf_pickle_free(pickle);
    return number;
}

/* ---- values ---- */

static void test_numbers(void **state) {
    (void)state;
    assert_int_equal(one_int(PROGRAM("K\xff.")), 255);
    assert_int_equal(one_int(PROGRAM("M\x01\x02.")), 513);
    assert_int_equal(one_int(PROGRAM("J\xfe\xff\xff\xff.")), -2);
    assert_int_equal(one_int(PROGRAM("\x8a\x00.")), 0);
    assert_int_equal(one_int(PROGRAM("\x8a\x01\x80.")), -128);
    assert_true(one_int(PROGRAM("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.")) == INT64_MIN);
    assert_int_equal(one_int(PROGRAM("\x8b\x02\x00\x00\x00\x00\x01.")), 256);
    assert_true(one_float(PROGRAM("G\x3f\xd0\x00\x00\x00\x00\x00\x00.")) == 0.25);
    /* beyond 64 bits: 2^64, -2^64 */
    assert_true(one_float(PROGRAM("\x8a\x09\0\0\0\0\0\0\0\0\1.")) == ldexp(1, 64));
    assert_true(one_float(PROGRAM("\x8a\x09\0\0\0\0\0\0\0\0\xff.")) == -ldexp(1, 64));
}

/* {'a': [1, 2, (3,)], 'b': None, 'c': True} through marks, memo and all */
static void test_containers(void **state) {
    (void)state;
    pf_pickle *pickle =
        read_good(PROGRAM("}q\0(X\1\0\0\0aq\1](K\1K\2K\3\x85q\2eX\1\0\0\0bNX\1\0\0\0c\x88u."));
    const pf_value *root = pf_pickle_root(pickle);
    assert_int_equal(root->kind, PF_VALUE_DICT);
    assert_int_equal(root->as.list.count, 3);
    const pf_value *list = root->as.list.items[1];
    assert_int_equal(root->as.list.items[0]->as.text.size, 1);
    assert_memory_equal(root->as.list.items[0]->as.text.bytes, "a", 1);
    assert_int_equal(list->as.list.count, 3);
    assert_int_equal(list->as.list.items[2]->as.list.items[0]->as.i, 3);
    assert_int_equal(root->as.list.items[3]->kind, PF_VALUE_NONE);
    assert_int_equal(root->as.list.items[5]->as.i, 1);
    pf_pickle_free(pickle);
}

#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE                                                                                    \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "0X\3\0\0\0cpuK\6tQ"

static void test_tensors(void **state) {
    (void)state;
    pf_pickle *pickle = read_good(PROGRAM(REBUILD "(" STORAGE "K\1K\2K\2\x86K\2K\1\x86\x89"
                                                  "ccollections\nOrderedDict\n)RtR."));
    const pf_value *tensor = pf_pickle_root(pickle);
    assert_int_equal(tensor->kind, PF_VALUE_TENSOR);
    assert_int_equal(tensor->as.tensor.offset, 1);
    assert_int_equal(tensor->as.tensor.strides->as.list.items[0]->as.i, 2);
    assert_int_equal(tensor->as.tensor.storage->as.storage.type, PF_STORAGE_F32);
    assert_int_equal(tensor->as.tensor.storage->as.storage.count, 6);
    pf_pickle_free(pickle);
    assert_refused(PROGRAM(REBUILD "(" STORAGE "K\1K\2\x85K\2K\1\x86\x89tR."),
                   "lacks a valid"); /* 1 axis, but 2 strides */
    assert_refused(PROGRAM(REBUILD "(" STORAGE "J\xff\xff\xff\xffK\2\x85K\2\x85tR."),
                   "lacks a valid");
    assert_refused(PROGRAM(REBUILD "(K\0K\1K\2\x85K\2\x85tR."), "lacks a valid");
    assert_refused(PROGRAM("X\1\0\0\0aQ."), "not a storage");
}

/* ---- malicious pickles ---- */

static void test_other_globals_are_refused_by_name(void **state) {
    (void)state;
    assert_refused(PROGRAM("cos\nsystem\nX\4\0\0\0exit\x85R."), "os.system");
    assert_refused(PROGRAM("X\2\0\0\0osX\6\0\0\0system\x93."), "os.system");
    assert_refused(PROGRAM("cbuiltins\neval\n."), "builtins.eval");
    assert_refused(PROGRAM("ctorch\nload\n."), "torch.load");
    assert_refused(PROGRAM("c\x1b[31m\nx\ty\n."), "?[31m.x?y"); /* no control characters */
    assert_refused(PROGRAM("ios\nsystem\n."), "opcode 0x69");   /* INST */
    assert_refused(PROGRAM("(cos\nsystem\no."), "os.system");
    assert_refused(PROGRAM("\x82\x01."), "opcode 0x82"); /* EXT1 */
    assert_refused(PROGRAM("Pid\n."), "opcode 0x50");    /* PERSID */
}

static void test_calls_of_data_are_refused(void **state) {
    (void)state;
    assert_refused(PROGRAM("K\1)R."), "not a function");
    assert_refused(PROGRAM("ctorch\nFloatStorage\n)R."), "not a function");
    assert_refused(PROGRAM("ccollections\nOrderedDict\n]K\1a\x85R."), "pairs");
    assert_refused(PROGRAM("K\1}b."), "attributes");
    assert_refused(PROGRAM("K\1K\2a."), "not a container");
    assert_refused(PROGRAM("}K\1a."), "not a container");
    assert_refused(PROGRAM("}(K\1u."), "not a container"); /* a key without a value */
}

static void test_a_broken_machine_is_refused(void **state) {
    (void)state;
    assert_refused(PROGRAM("."), "missing");
    assert_refused(PROGRAM("K\1(."), "missing"); /* ends inside a mark */
    assert_refused(PROGRAM("(0."), "missing");   /* nothing above the mark */
    assert_refused(PROGRAM("K\1(\x85."), "missing");
    assert_refused(PROGRAM("e."), "mark");
    assert_refused(PROGRAM("h\0."), "never stored");
    assert_refused(PROGRAM("j\xff\xff\xff\xff."), "never stored");
    assert_refused(PROGRAM("K\1r\xff\xff\xff\xff."), "memo");
    assert_refused(PROGRAM("X\xff\xff\xff\xff"
                           "a."),
                   "truncated"); /* a string of 4 GiB */
    assert_refused(PROGRAM("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), "truncated");
    assert_refused(PROGRAM("\x8b\xff\xff\xff\x7f."), "truncated");
    assert_refused(PROGRAM("cos"), "truncated");
    assert_refused(PROGRAM("\x80\x09."), "protocol 9");
    assert_refused((pf_slice){NULL, 0}, "truncated");
}

/* head, and then body n times */
static pf_slice repeat(const char *head, const char *body, size_t size, size_t n) {
    size_t start = strlen(head);
    uint8_t *bytes = pf_calloc(start + n * size, 1, "a test", NULL);
    assert_non_null(bytes);
    memcpy(bytes, head, start);
    for (size_t i = 0; i < n; i++) memcpy(bytes + start + i * size, body, size);
    return (pf_slice){bytes, start + n * size};
}

static void test_endless_programs_stay_small(void **state) {
    (void)state;
    const struct {
        const char *head, *body;
        size_t size, n;
        const char *says;
    } programs[] = {
        {"", "(", 1, 1 << 20, "marks"},
        {"", "N0", 2, 1 << 22, "values"},
        {"", "N", 1, 1 << 20, "on its stack"},
        {"Nq\001", "h\001", 2, 1 << 20, "on its stack"},
        {"]q\001", "h\001a", 3, 1 << 21, "items"}, /* a list that contains itself */
        {"N", "\x94", 1, 1 << 20, "memo"},
        {"", "]", 1, 17 << 20, "more than any model needs"},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        pf_slice program =
            repeat(programs[i].head, programs[i].body, programs[i].size, programs[i].n);
        assert_refused(program, programs[i].says);
        pf_free((void *)(uintptr_t)program.data);
    }
}

static void test_every_truncation_and_every_byte(void **state) {
    (void)state;
    static const char whole[] = "\x80\x02}q\0(X\1\0\0\0aq\1" REBUILD "(" STORAGE
                                "K\1K\2K\2\x86K\2K\1\x86\x89)tRX\1\0\0\0b](K\1G\0\0\0\0\0\0\0\0eu.";
    char bytes[sizeof whole];
    size_t n = sizeof whole - 1;
    pf_pickle_free(read_good((pf_slice){(const uint8_t *)whole, n}));
    for (size_t size = 0; size < n; size++) {
        pf_error error = {""};
        pf_pickle *pickle = pf_pickle_read((pf_slice){(const uint8_t *)whole, size}, &error);
        assert_null(pickle);
        assert_true(error.message[0] != '\0');
    }
    for (size_t at = 0; at < n; at++)
        for (int value = 0; value < 256; value++) {
            pf_error error = {""};
            memcpy(bytes, whole, n);
            bytes[at] = (char)value;
            pf_pickle *pickle = pf_pickle_read((pf_slice){(const uint8_t *)bytes, n}, &error);
            assert_true(pickle || error.message[0] != '\0');
            pf_pickle_free(pickle);
        }
}

static void test_no_memory(void **state) {
    (void)state;
    for (long n = 1; n < 12; n++) {
        pf_error error = {""};
        pf_memory_fail_after(n);
        pf_pickle *pickle =
            pf_pickle_read(PROGRAM("}q\0(X\1\0\0\0aq\1](K\1K\2K\3\x85q\2eu."), &error);
        pf_memory_fail_after(0);
        assert_true(pickle || strstr(error.message, "memory"));
        pf_pickle_free(pickle);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_other_globals_are_refused_by_name),
        cmocka_unit_test(test_calls_of_data_are_refused),
        cmocka_unit_test(test_a_broken_machine_is_refused),
        cmocka_unit_test(test_endless_programs_stay_small),
        cmocka_unit_test(test_every_truncation_and_every_byte),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
