/* floor 6.2 - test_file: mappings, slices, and files that appear complete or not at all. */
#define _XOPEN_SOURCE 700 /* mkdtemp, mkfifo, symlink */
#include "file.h"
#include "memory.h"
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASSERT_SAYS(error, text) assert_non_null(strstr((error).message, text))

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/performer-test-file-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder); /* fails if a test left a temporary file behind */
}

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void slices_stay_inside(void **state) {
    (void)state;
    static const uint8_t bytes[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    pf_slice whole = {bytes, 10}, part;
    assert_true(pf_slice_part(whole, 3, 7, &part));
    assert_ptr_equal(part.data, bytes + 3);
    assert_int_equal(part.size, 7);
    assert_true(pf_slice_part(whole, 10, 0, &part));
    assert_false(pf_slice_part(whole, 3, 8, &part));
    assert_false(pf_slice_part(whole, 11, 0, &part));
    assert_false(pf_slice_part(whole, 5, UINT64_MAX, &part)); /* 5 + size would wrap to 4 */
    assert_false(pf_slice_part(whole, UINT64_MAX, 1, &part));
    assert_true(pf_slice_part((pf_slice){NULL, 0}, 0, 0, &part));
}

static void what_is_committed_can_be_mapped(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("a");
    pf_writer *writer = pf_writer_open(path, &error);
    assert_non_null(writer);
    assert_true(pf_writer_write(writer, "hello world", 11, &error));
    assert_int_equal(pf_writer_offset(writer), 11);
    assert_true(pf_writer_patch(writer, 6, "W", 1, &error));
    assert_true(pf_writer_write(writer, "!", 1, &error)); /* goes to the end, not after the patch */
    assert_false(pf_writer_patch(writer, 12, "x", 1, &error));
    assert_int_not_equal(access(path, F_OK), 0); /* not there before the commit */
    assert_true(pf_writer_commit(writer, &error));

    pf_file file;
    assert_true(pf_file_open(path, &file, &error));
    assert_int_equal(file.bytes.size, 12);
    assert_memory_equal(file.bytes.data, "hello World!", 12);
    assert_string_equal(file.path, path);
    pf_file_close(&file);
    pf_file_close(&file); /* a zeroed one is allowed */
    unlink(path);
}

static void an_aborted_write_leaves_the_old_file(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("b");
    for (int round = 0; round < 2; round++) {
        pf_writer *writer = pf_writer_open(path, &error);
        assert_non_null(writer);
        assert_true(pf_writer_write(writer, round ? "new!" : "old", round ? 4 : 3, &error));
        if (round)
            pf_writer_abort(writer);
        else
            assert_true(pf_writer_commit(writer, &error));
    }
    pf_file file;
    assert_true(pf_file_open(path, &file, &error));
    assert_int_equal(file.bytes.size, 3);
    pf_file_close(&file);
    unlink(path);
    pf_writer_abort(NULL);
}

static void a_link_stays_a_link(void **state) {
    (void)state;
    pf_error error = {""};
    char target[128];
    snprintf(target, sizeof target, "%s", in_folder("target"));
    const char *path = in_folder("link");
    FILE *old = fopen(target, "wb");
    assert_non_null(old);
    fclose(old);
    assert_int_equal(symlink("target", path), 0);
    pf_writer *writer = pf_writer_open(path, &error);
    assert_non_null(writer);
    assert_true(pf_writer_write(writer, "x", 1, &error));
    assert_true(pf_writer_commit(writer, &error));
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(stat(target, &status), 0);
    assert_int_equal(status.st_size, 1);
    unlink(path);
    unlink(target);
}

static void a_signal_handler_can_remove_temporaries(void **state) {
    (void)state;
    pf_error error = {""};
    char temporary[160];
    const char *path = in_folder("c");
    snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    pf_writer *writer = pf_writer_open(path, &error);
    assert_non_null(writer);
    assert_int_equal(access(temporary, F_OK), 0);
    pf_writer_remove_all_temporaries();
    assert_int_not_equal(access(temporary, F_OK), 0);
    assert_false(pf_writer_commit(writer, &error)); /* nothing left to rename */
    ASSERT_SAYS(error, path);
}

static void a_full_disk_is_reported(void **state) {
    (void)state;
    pf_error error = {""};
    if (access("/dev/full", W_OK) != 0) SKIP_BECAUSE("/dev/full is not there");
    pf_writer *writer = pf_writer_open("/dev/full", &error);
    assert_non_null(writer);
    char block[1 << 16] = {0};
    bool written = true;
    for (int i = 0; i < 4 && written; i++)
        written = pf_writer_write(writer, block, sizeof block, &error);
    assert_false(written);
    ASSERT_SAYS(error, "No space left on device");
    pf_writer_abort(writer);

    error.message[0] = '\0'; /* so little that it stays in the buffer until the commit */
    writer = pf_writer_open("/dev/full", &error);
    assert_non_null(writer);
    assert_true(pf_writer_write(writer, "x", 1, &error));
    assert_false(pf_writer_commit(writer, &error));
    ASSERT_SAYS(error, "No space left on device");
}

static void devices_are_written_directly(void **state) {
    (void)state;
    pf_error error = {""};
    pf_writer *writer = pf_writer_open("/dev/null", &error);
    assert_non_null(writer);
    assert_true(pf_writer_write(writer, "x", 1, &error));
    assert_true(pf_writer_commit(writer, &error));
}

static void make_file(const char *path, const char *text, mode_t mode) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static mode_t mode_of(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void a_replaced_file_keeps_its_mode(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("mode");
    make_file(path, "old", 0640);
    pf_writer *writer = pf_writer_open(path, &error);
    assert_non_null(writer);
    assert_true(pf_writer_write(writer, "new", 3, &error));
    assert_true(pf_writer_commit(writer, &error));
    assert_int_equal(mode_of(path), 0640);
    chmod(path, 0444);
    assert_null(pf_writer_open(path, &error)); /* for root, too */
    ASSERT_SAYS(error, path);
    assert_false(pf_writer_can_open(path, &error));
    unlink(path);
    mode_t mask = umask(027);
    writer = pf_writer_open(path, &error);
    umask(mask);
    assert_non_null(writer);
    assert_true(pf_writer_commit(writer, &error));
    assert_int_equal(mode_of(path), 0640);
    unlink(path);
}

static void trying_leaves_nothing_behind(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("tried");
    assert_true(pf_writer_can_open(path, &error));
    assert_int_not_equal(access(path, F_OK), 0);
    make_file(path, "old", 0600);
    assert_true(pf_writer_can_open(path, &error));
    pf_file file;
    assert_true(pf_file_open(path, &file, &error));
    assert_memory_equal(file.bytes.data, "old", 3);
    pf_file_close(&file);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(pf_writer_can_open(path, &error)); /* must not wait for a reader */
    unlink(path);
    assert_false(pf_writer_can_open("/nowhere/x", &error));
    ASSERT_SAYS(error, "/nowhere/x");
    assert_null(strstr(error.message, ".tmp"));
    assert_false(pf_writer_can_open("", &error));
}

static void a_name_left_by_a_killed_process_is_no_obstacle(void **state) {
    (void)state;
    pf_error error = {""};
    char stale[160];
    const char *path = in_folder("e");
    snprintf(stale, sizeof stale, "%s.%ld.tmp", path, (long)getpid());
    make_file(stale, "half", 0600);
    pf_writer *writer = pf_writer_open(path, &error);
    assert_non_null(writer);
    assert_true(pf_writer_commit(writer, &error));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(stale, F_OK), 0); /* it is not ours */
    unlink(stale);
    unlink(path);
}

static void the_same_file_has_many_names(void **state) {
    (void)state;
    char a[128], b[128];
    snprintf(a, sizeof a, "%s", in_folder("same"));
    make_file(a, "x", 0600);
    snprintf(b, sizeof b, "%s/./same", folder);
    assert_true(pf_file_is_same(a, b));
    snprintf(b, sizeof b, "%s", in_folder("link"));
    assert_int_equal(symlink("same", b), 0);
    assert_true(pf_file_is_same(a, b));
    unlink(b);
    assert_int_equal(link(a, b), 0);
    assert_true(pf_file_is_same(a, b));
    unlink(b);
    assert_false(pf_file_is_same(a, b)); /* the second is not there */
    make_file(b, "x", 0600);
    assert_false(pf_file_is_same(a, b));
    unlink(b);
    unlink(a);
    snprintf(b, sizeof b, "%s/../%s/same", folder, strrchr(folder, '/') + 1);
    assert_true(pf_file_is_same(a, b)); /* neither is there */
    assert_false(pf_file_is_same(a, "same"));
    assert_false(pf_file_is_same("/nowhere/a", "/nowhere/a"));
}

static void standard_output_is_written_as_it_is(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("stdout");
    make_file(path, "", 0600);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    FILE *redirected = fopen(path, "r+b");
    assert_non_null(redirected);
    dup2(fileno(redirected), STDOUT_FILENO);
    pf_writer *writer = pf_writer_open("/dev/stdout", &error);
    bool good = writer && write(STDOUT_FILENO, "a", 1) == 1 &&
                pf_writer_write(writer, "b", 1, &error) && pf_writer_commit(writer, &error) &&
                write(STDOUT_FILENO, "c", 1) == 1;
    dup2(kept, STDOUT_FILENO);
    close(kept);
    fclose(redirected);
    assert_true(good);
    pf_file file;
    assert_true(pf_file_open(path, &file, &error));
    assert_int_equal(file.bytes.size, 3);
    assert_memory_equal(file.bytes.data, "abc", 3);
    pf_file_close(&file);
    unlink(path);
}

static void wrong_paths_are_named(void **state) {
    (void)state;
    pf_error error = {""};
    pf_file file;
    assert_false(pf_file_open("/nowhere/model.gguf", &file, &error));
    ASSERT_SAYS(error, "/nowhere/model.gguf");
    assert_false(pf_file_open(folder, &file, &error));
    ASSERT_SAYS(error, "directory");
    assert_null(pf_writer_open(folder, &error));
    ASSERT_SAYS(error, "directory");
    assert_null(pf_writer_open("/nowhere/model.gguf", &error));
    ASSERT_SAYS(error, "/nowhere/model.gguf");

    const char *pipe_path = in_folder("pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_false(pf_file_open(pipe_path, &file, &error)); /* must not wait for a writer */
    ASSERT_SAYS(error, "not a regular file");
    unlink(pipe_path);
}

static void an_empty_file_has_no_bytes(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("empty");
    FILE *empty = fopen(path, "wb");
    assert_non_null(empty);
    fclose(empty);
    pf_file file;
    assert_true(pf_file_open(path, &file, &error));
    assert_int_equal(file.bytes.size, 0);
    pf_file_close(&file);
    unlink(path);
}

static void failing_allocations_leave_nothing_behind(void **state) {
    (void)state;
    pf_error error = {""};
    const char *path = in_folder("d");
    for (long n = 1; n <= 4; n++) {
        pf_memory_fail_after(n);
        assert_null(pf_writer_open(path, &error));
    }
    pf_file file;
    pf_memory_fail_after(1);
    assert_false(pf_file_open("/proc/self/exe", &file, &error));
    pf_memory_fail_after(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_stay_inside),
        cmocka_unit_test(what_is_committed_can_be_mapped),
        cmocka_unit_test(an_aborted_write_leaves_the_old_file),
        cmocka_unit_test(a_link_stays_a_link),
        cmocka_unit_test(a_signal_handler_can_remove_temporaries),
        cmocka_unit_test(a_full_disk_is_reported),
        cmocka_unit_test(devices_are_written_directly),
        cmocka_unit_test(a_replaced_file_keeps_its_mode),
        cmocka_unit_test(trying_leaves_nothing_behind),
        cmocka_unit_test(a_name_left_by_a_killed_process_is_no_obstacle),
        cmocka_unit_test(the_same_file_has_many_names),
        cmocka_unit_test(standard_output_is_written_as_it_is),
        cmocka_unit_test(wrong_paths_are_named),
        cmocka_unit_test(an_empty_file_has_no_bytes),
        cmocka_unit_test(failing_allocations_leave_nothing_behind),
    };
    return cmocka_run_group_tests_name("file", tests, make_folder, remove_folder);
}
