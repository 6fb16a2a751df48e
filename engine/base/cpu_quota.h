/* floor 0.1 - CPU quota: how many CPUs' time the control groups of this process allow it.
 *
 * A container has all the machine's cores, but often only a part of their time: `docker run --cpus
 * 1.5` or a limit in Kubernetes. More threads than that are stopped until the next period, in the
 * middle of a barrier, so they are slower than fewer.
 *
 * The quotas, over the process's group and all groups above it (man 7 cgroups):
 *
 *   version 2   /sys/fs/cgroup/GROUP/cpu.max             "QUOTA PERIOD", or "max PERIOD"
 *   version 1   /sys/fs/cgroup/cpu/GROUP/cpu.cfs_quota_us, -1 for none, and cpu.cfs_period_us
 */
#ifndef PF_CPU_QUOTA_H
#define PF_CPU_QUOTA_H

/* The smallest quota, in CPUs, such as 1.5; 0 if there is none. `root` comes before the paths of
 * /proc and /sys: "" but in tests. */
double pf_cpu_quota(const char *root);

#endif
