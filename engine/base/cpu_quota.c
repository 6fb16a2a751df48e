/* floor 0.1 - CPU quota: how many CPUs' time the control groups of this process allow it. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "cpu_quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATH = 4096 };

/* Reads up to two numbers from folder/name; returns how many there are. */
static int read_numbers(const char *folder, const char *name, double numbers[2]) {
    char path[MAX_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int n = fscanf(file, "%lf %lf", &numbers[0], &numbers[1]);
    fclose(file);
    return n > 0 ? n : 0;
}

/* The quota of one group, 0 if it has none. */
static double quota_of(const char *folder) {
    double numbers[2], period[2];
    if (read_numbers(folder, "cpu.max", numbers) == 2 && numbers[0] > 0 && numbers[1] > 0)
        return numbers[0] / numbers[1];
    if (read_numbers(folder, "cpu.cfs_quota_us", numbers) == 1 && numbers[0] > 0 &&
        read_numbers(folder, "cpu.cfs_period_us", period) == 1 && period[0] > 0)
        return numbers[0] / period[0];
    return 0;
}

/* The smallest quota from the group up to the mount. A group that is not there belongs to the
 * machine outside of a container: then the mount itself is the container's group. */
static void walk_up(const char *mount, const char *group, double *least) {
    char folder[MAX_PATH];
    int n = snprintf(folder, sizeof folder, "%s%s", mount, group);
    size_t top = strlen(mount);
    if (n < 0 || (size_t)n >= sizeof folder) return;
    for (bool at_top = false; !at_top;) {
        char *slash = strrchr(folder, '/');
        double quota = quota_of(folder);
        if (quota > 0 && (*least == 0 || quota < *least)) *least = quota;
        at_top = strlen(folder) <= top || !slash || slash < folder + top;
        if (!at_top) *slash = '\0';
    }
}

/* A line of /proc/self/cgroup is "ID:CONTROLLERS:GROUP"; version 2 has no controllers. */
static void read_line(const char *root, char *line, double *least) {
    static const char *const v1[] = {"cpu", "cpu,cpuacct", "cpuacct,cpu"};
    static const char *const v2[] = {"", "/unified"};
    char mount[MAX_PATH], *controllers = strchr(line, ':');
    char *group = controllers ? strchr(++controllers, ':') : NULL;
    if (!group) return;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    if (strcmp(group, "/") == 0) group = "";
    for (size_t i = 0; !*controllers && i < sizeof v2 / sizeof *v2; i++) {
        snprintf(mount, sizeof mount, "%.2000s/sys/fs/cgroup%s", root, v2[i]);
        walk_up(mount, group, least);
    }
    bool named = false; /* `cpu` is one of the controllers */
    for (char *rest = controllers, *name; (name = strtok_r(rest, ",", &rest));)
        named |= strcmp(name, "cpu") == 0;
    for (size_t i = 0; named && i < sizeof v1 / sizeof *v1; i++) {
        snprintf(mount, sizeof mount, "%.2000s/sys/fs/cgroup/%s", root, v1[i]);
        walk_up(mount, group, least);
    }
}

double pf_cpu_quota(const char *root) {
    char path[MAX_PATH], line[MAX_PATH];
    double least = 0;
    snprintf(path, sizeof path, "%.2000s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) read_line(root, line, &least);
    fclose(file);
    return least;
}
