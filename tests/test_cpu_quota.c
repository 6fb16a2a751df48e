/* floor 6.2 - test_cpu_quota: quotas of control groups, in folders like /proc and /sys. */
#define _XOPEN_SOURCE 700
#include "cpu_quota.h"
#include "testing.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info, (void)type, (void)where;
    return remove(path);
}

static int new_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/performer-test-quota-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes root/path, with its folders. */
static void put(const char *path, const char *text) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_quota(double expected) {
    assert_float_equal(pf_cpu_quota(root), expected, 1e-9);
}

static void no_quota(void **state) {
    (void)state;
    assert_quota(0); /* no /proc at all */
    put("/proc/self/cgroup", "0::/user.slice\n");
    assert_quota(0);
    put("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    assert_quota(0);
    put("/sys/fs/cgroup/user.slice/cpu.max", "");
    assert_quota(0);
    put("/sys/fs/cgroup/user.slice/cpu.max", "100000 0\n");
    assert_quota(0);
    put("/proc/self/cgroup", "::::\n\nnonsense\n0:\n");
    assert_quota(0);
}

static void version_2(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
    assert_quota(2);
    put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n"); /* a group above may allow less */
    assert_quota(1.5);
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_quota(0.5);
}

/* /proc names the group as the machine outside sees it. */
static void in_a_container(void **state) {
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/docker-0123.scope\n");
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_quota(1);
}

static void version_1(void **state) {
    (void)state;
    put("/proc/self/cgroup", "9:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/docker/x\n0::/\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpuset/s/cpu.cfs_quota_us", "1\n"); /* of another controller */
    put("/sys/fs/cgroup/cpuset/s/cpu.cfs_period_us", "100000\n");
    assert_quota(0);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
    assert_quota(3);
    put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "25000\n");
    assert_quota(0.25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_quota, new_root, remove_root),
        cmocka_unit_test_setup_teardown(version_2, new_root, remove_root),
        cmocka_unit_test_setup_teardown(in_a_container, new_root, remove_root),
        cmocka_unit_test_setup_teardown(version_1, new_root, remove_root),
    };
    return cmocka_run_group_tests_name("cpu quota", tests, NULL, NULL);
}
