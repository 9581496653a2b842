// The load generator's measurements of other processes and of itself: CPU, memory, latencies.
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GROUPS_MAX = 4, GROUP_PIDS_MAX = 16 };

/// Processes that are reported together, such as all workers of an nginx.
typedef struct {
    char name[24];
    int pids[GROUP_PIDS_MAX];
    int count;
} Group;

extern Group groups[GROUPS_MAX];
extern int group_count;

/// Parses `NAME=PID[,PID…]`; false if it is malformed.
bool group_add(const char *text);

uint64_t now_ns(void);  // CLOCK_MONOTONIC

/// User and system time of a group so far, in nanoseconds, including its ended threads. Read from the process CPU clock:
/// /proc/PID/stat counts in ticks of 10 ms, which is too coarse for one release.
uint64_t group_cpu_ns(const Group *group);

/// The CPU time of all groups and of the whole machine at one moment.
typedef struct {
    uint64_t at_ns;
    uint64_t group_ns[GROUPS_MAX];
    uint64_t own_ns;
    uint64_t machine_ns;  // all CPUs, without idle and iowait; in steps of 10 ms
} CpuSample;

CpuSample cpu_sample(void);

/// The share of all CPUs, in percent, that other work on the machine used between two samples.
double foreign_percent(const CpuSample *from, const CpuSample *to);

typedef struct {
    uint64_t user_bytes;    // resident, without shared memory: RssAnon + RssFile
    uint64_t shared_bytes;  // RssShmem: nchan's store lives there
    uint64_t pss_bytes;
    int descriptors;
} MemorySample;

MemorySample group_memory(const Group *group);

/// Counts by microseconds, exact to 1 µs up to 40 s; longer times are counted in the last place.
typedef struct {
    uint32_t *counts;
    uint64_t total;
    uint32_t end;  // places used so far
} Histogram;

Histogram histogram_new(void);
void histogram_add(Histogram *histogram, uint64_t ns);
/// In milliseconds; 0 when empty. `share` is 0 to 1.
double histogram_ms(const Histogram *histogram, double share);
void histogram_clear(Histogram *histogram);

/// Median; sorts in place.
double median(double *values, int count);

#endif
