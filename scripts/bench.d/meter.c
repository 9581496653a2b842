#include "meter.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HISTOGRAM_PLACES = 40000001 };

Group groups[GROUPS_MAX];
int group_count;

bool group_add(const char *text) {
    const char *equals = strchr(text, '=');
    if (group_count == GROUPS_MAX || equals == NULL || (size_t)(equals - text) >= sizeof groups[0].name) return false;
    Group *group = &groups[group_count];
    memset(group, 0, sizeof *group);
    memcpy(group->name, text, (size_t)(equals - text));
    for (const char *at = equals; *at != 0;) {
        char *end;
        long pid = strtol(at + 1, &end, 10);
        if (end == at + 1 || pid <= 0 || group->count == GROUP_PIDS_MAX || (*end != 0 && *end != ',')) return false;
        group->pids[group->count++] = (int)pid;
        at = end;
    }
    group_count++;
    return true;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t group_cpu_ns(const Group *group) {
    uint64_t sum = 0;
    for (int i = 0; i < group->count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(group->pids[i], &clock) == 0) sum += clock_ns(clock);
    }
    return sum;
}

static uint64_t machine_busy_ns(void) {
    unsigned long long user = 0, nice = 0, system = 0, idle, wait, irq = 0, soft = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    if (file == NULL) return 0;
    int read = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq,
                      &soft, &steal);
    fclose(file);
    if (read < 8) return 0;
    return (user + nice + system + irq + soft) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

CpuSample cpu_sample(void) {
    CpuSample sample = {.at_ns = now_ns(), .own_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
    for (int i = 0; i < group_count; i++) sample.group_ns[i] = group_cpu_ns(&groups[i]);
    sample.machine_ns = machine_busy_ns();
    return sample;
}

double foreign_percent(const CpuSample *from, const CpuSample *to) {
    double foreign = (double)(to->machine_ns - from->machine_ns) - (double)(to->own_ns - from->own_ns);
    for (int i = 0; i < group_count; i++) foreign -= (double)(to->group_ns[i] - from->group_ns[i]);
    double all = (double)(to->at_ns - from->at_ns) * (double)sysconf(_SC_NPROCESSORS_ONLN);
    return foreign <= 0 || all <= 0 ? 0 : 100 * foreign / all;
}

/// Adds up the `NAME:   123 kB` lines of a /proc file, in bytes.
static uint64_t proc_field(int pid, const char *file_name, const char *field) {
    char path[64], line[256];
    uint64_t kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        size_t length = strlen(field);
        if (strncmp(line, field, length) == 0 && line[length] == ':') kilobytes += strtoull(line + length + 1, NULL, 10);
    }
    fclose(file);
    return kilobytes * 1024;
}

static int open_descriptors(int pid) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (directory == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

MemorySample group_memory(const Group *group) {
    MemorySample sample = {0};
    for (int i = 0; i < group->count; i++) {
        int pid = group->pids[i];
        // smaps_rollup walks the pages; the counters in status are kept per CPU and may be off by some hundred kB.
        uint64_t resident = proc_field(pid, "smaps_rollup", "Rss"), shared = proc_field(pid, "status", "RssShmem");
        sample.user_bytes += resident > shared ? resident - shared : 0;
        sample.shared_bytes += shared;
        sample.pss_bytes += proc_field(pid, "smaps_rollup", "Pss");
        sample.descriptors += open_descriptors(pid);
    }
    return sample;
}

Histogram histogram_new(void) {
    Histogram histogram = {.counts = calloc(HISTOGRAM_PLACES, sizeof(uint32_t))};
    if (histogram.counts == NULL) abort();
    return histogram;
}

void histogram_add(Histogram *histogram, uint64_t ns) {
    uint64_t place = ns / 1000;
    if (place >= HISTOGRAM_PLACES) place = HISTOGRAM_PLACES - 1;
    if (place >= histogram->end) histogram->end = (uint32_t)place + 1;
    histogram->counts[place]++;
    histogram->total++;
}

double histogram_ms(const Histogram *histogram, double share) {
    if (histogram->total == 0) return 0;
    uint64_t wanted = (uint64_t)(share * (double)(histogram->total - 1)) + 1, seen = 0;
    for (uint32_t place = 0; place < histogram->end; place++) {
        seen += histogram->counts[place];
        if (seen >= wanted) return place / 1000.0;
    }
    return 0;
}

void histogram_clear(Histogram *histogram) {
    memset(histogram->counts, 0, histogram->end * sizeof(uint32_t));
    histogram->total = 0;
    histogram->end = 0;
}

static int compare_doubles(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return difference < 0 ? -1 : difference > 0;
}

double median(double *values, int count) {
    if (count == 0) return 0;
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
