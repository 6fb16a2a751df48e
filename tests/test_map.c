/* floor 6.2 - test_map: every key is found with its value, and a failed allocation changes nothing. */
#include "map.h"
#include "memory.h"
#include "testing.h"
#include "threads.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 20000, KEY_BYTES = 24 };

static char keys[KEYS][KEY_BYTES];

static int make_keys(void **state) {
    (void)state;
    for (int i = 0; i < KEYS; i++) snprintf(keys[i], KEY_BYTES, "blk.%d.weight", i);
    return 0;
}

static bool put(pf_map *map, const char *key, size_t value) {
    return pf_map_put(map, key, strlen(key), value, NULL);
}

/* The value of a key, SIZE_MAX if the key is absent. */
static size_t get(const pf_map *map, const char *key) {
    size_t value = SIZE_MAX;
    bool found = pf_map_get(map, key, strlen(key), &value);
    assert_true(found == (value != SIZE_MAX));
    return value;
}

/* The map holds keys[0 .. n), each with its index, and no other of the first 2 n. */
static void assert_holds(const pf_map *map, size_t n) {
    assert_int_equal(pf_map_count(map), n);
    for (size_t i = 0; i < 2 * n && i < KEYS; i++)
        assert_int_equal(get(map, keys[i]), i < n ? i : SIZE_MAX);
}

static void empty_map_has_no_keys(void **state) {
    (void)state;
    pf_map map = {0};
    assert_int_equal(pf_map_count(&map), 0);
    assert_int_equal(get(&map, ""), SIZE_MAX);
    assert_int_equal(get(&map, "key"), SIZE_MAX);
    pf_map_free(&map);
    pf_map_free(&map);
}

static void growing_keeps_every_key(void **state) {
    (void)state;
    pf_map map = {0};
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(put(&map, keys[i], i));
        if ((i & (i + 1)) == 0) assert_holds(&map, i + 1);
    }
    assert_holds(&map, KEYS);
    assert_int_equal(get(&map, "blk.1.weigh"), SIZE_MAX);
    assert_int_equal(get(&map, "blk.1.weights"), SIZE_MAX);
    pf_map_free(&map);
    assert_holds(&map, 0);
}

static void first_value_stays(void **state) {
    (void)state;
    pf_map map = {0};
    char copy[] = "key";
    assert_true(put(&map, "key", 1) && put(&map, copy, 2));
    assert_int_equal(pf_map_count(&map), 1);
    assert_int_equal(get(&map, "key"), 1);
    pf_map_free(&map);
}

static void keys_are_bytes_of_a_length(void **state) {
    (void)state;
    static const char bytes[] = "\0\0a\0b\xFF\xFE\x80long enough for two words and more";
    pf_map map = {0};
    size_t value;
    for (size_t n = 0; n < sizeof bytes; n++) assert_true(pf_map_put(&map, bytes, n, n, NULL));
    assert_int_equal(pf_map_count(&map), sizeof bytes);
    for (size_t n = 0; n < sizeof bytes; n++) {
        assert_true(pf_map_get(&map, bytes, n, &value));
        assert_int_equal(value, n);
    }
    assert_false(pf_map_get(&map, "\0a", 2, &value));
    assert_true(pf_map_get(&map, NULL, 0, &value));
    assert_int_equal(value, 0);
    pf_map_free(&map);
}

static void equal_hashes_do_no_harm(void **state) {
    (void)state;
    pf_map map = {.hash_mask = 3}; /* 300 keys, 4 hashes */
    for (size_t i = 0; i < 300; i++) assert_true(put(&map, keys[i], i));
    assert_holds(&map, 300);
    assert_true(put(&map, keys[299], 7));
    assert_holds(&map, 300);
    pf_map_free(&map);
}

static void failed_allocation_changes_nothing(void **state) {
    (void)state;
    pf_map map = {0};
    size_t failures = 0;
    for (size_t i = 0; i < 200; i++) {
        bool done = false;
        for (long n = 1; !done; n++) {
            pf_error error = {""};
            pf_memory_fail_after(n);
            done = pf_map_put(&map, keys[i], strlen(keys[i]), i, &error);
            pf_memory_fail_after(0);
            assert_true(done == (error.message[0] == '\0'));
            failures += !done;
            if (!done) assert_holds(&map, i);
        }
    }
    assert_holds(&map, 200);
    assert_true(failures > 10); /* or the test would prove nothing */
    pf_map_free(&map);
    for (long n = 1; n <= 2; n++) { /* freed while nothing was put, or only half of the first key */
        pf_memory_fail_after(n);
        assert_false(put(&map, "key", 1));
        pf_memory_fail_after(0);
        assert_int_equal(get(&map, "key"), SIZE_MAX);
        pf_map_free(&map);
    }
}

/* ---- threads ---- */

typedef struct shared_map {
    pf_map map;
    int wrong[2];
} shared_map;

/* Each member reads the shared map and fills maps of its own: `make tsan` watches. */
static void read_and_fill(void *context, pf_member member) {
    shared_map *shared = context;
    int wrong = 0;
    for (size_t round = 0; round < 50; round++) {
        pf_map own = {0};
        for (size_t i = 0; i < 100; i++) {
            size_t value = SIZE_MAX;
            wrong += !pf_map_get(&shared->map, keys[i], strlen(keys[i]), &value) || value != i;
            wrong += !put(&own, keys[i], i);
        }
        wrong += pf_map_count(&own) != 100;
        pf_map_free(&own);
    }
    shared->wrong[member.index] = wrong;
}

static void threads_read_one_and_fill_their_own(void **state) {
    (void)state;
    shared_map shared = {.wrong = {-1, -1}};
    for (size_t i = 0; i < 100; i++) assert_true(put(&shared.map, keys[i], i));
    pf_parallel(2, read_and_fill, &shared);
    assert_int_equal(shared.wrong[0], 0);
    assert_int_equal(shared.wrong[1], 0);
    pf_map_free(&shared.map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map_has_no_keys),
        cmocka_unit_test(growing_keeps_every_key),
        cmocka_unit_test(first_value_stays),
        cmocka_unit_test(keys_are_bytes_of_a_length),
        cmocka_unit_test(equal_hashes_do_no_harm),
        cmocka_unit_test(failed_allocation_changes_nothing),
        cmocka_unit_test(threads_read_one_and_fill_their_own),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
