// Mode hold: holds subscribers, publishes one message, and checks that each subscriber gets exactly that message.
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

enum { POLLS_PER_STEP = 100, STEP_NS = 10000000, RELEASE_NS_MAX = 10000000000ull };

static struct {
    Connection *connections;
    Place *places;
    uint8_t *right;  // how often each has got this round's message
    bool releasing;
    uint32_t round, answered;
    uint64_t published_ns, first_ns, last_ns;
    int publish_status;
    uint64_t missing, duplicated, wrong, early, errors, gaps;
    Histogram latencies;
} hold;

static void subscriber_answered(Connection *connection, const Answer *answer) {
    uint64_t now = now_ns();
    uint32_t index = connection->index;
    if (!hold.releasing) hold.early++;
    if (answer->status != 200 || !place_advance(&hold.places[index], answer)) {
        hold.errors++;
        return;
    }
    const char *at = answer->body;
    Stamp stamp;
    for (int found; (found = next_stamp(&at, answer->body + answer->body_length, &stamp)) != 0;) {
        if (found > 0 && stamp.publisher == 0 && stamp.number == hold.round) hold.right[index]++;
        else hold.wrong++;
    }
    hold.gaps += answer_has_gap(answer);
    if (!hold.releasing) return;
    if (hold.answered++ == 0) hold.first_ns = now;
    hold.last_ns = now;
    histogram_add(&hold.latencies, now - hold.published_ns);
}

static void publisher_answered(Connection *connection, const Answer *answer) {
    (void)connection;
    hold.publish_status = answer->status == 0 ? -1 : answer->status;
}

/// Sends the polls of all idle subscribers in a range, 10,000 a second, so that no server's backlog overflows.
static void send_polls(uint32_t from, uint32_t to) {
    uint64_t next_step = now_ns();
    for (uint32_t i = from; i < to; i++) {
        if (!hold.connections[i].busy) client_send(&hold.connections[i], poll_request(&hold.places[i], true), 0);
        if ((i - from) % POLLS_PER_STEP != POLLS_PER_STEP - 1) continue;
        next_step += STEP_NS;
        do client_turn(1);
        while (now_ns() < next_step);
    }
}

static void release(Connection *publisher) {
    hold.releasing = true;
    hold.answered = 0;
    hold.publish_status = 0;
    hold.published_ns = now_ns();
    Stamp stamp = {.publisher = 0, .number = hold.round, .sent_ns = hold.published_ns};
    client_send(publisher, publish_request(&stamp), 0);
    uint64_t end = hold.published_ns + RELEASE_NS_MAX, stalled = 0;
    uint32_t before = 0;
    // Ends when all have been answered, or after 2 s of silence.
    while (now_ns() < end && (hold.answered < options.count || hold.publish_status == 0)) {
        client_turn(10);
        if (hold.answered != before) stalled = 0;
        else if (stalled == 0) stalled = now_ns();
        else if (now_ns() - stalled > 2000000000u) break;
        before = hold.answered;
    }
    wait_quiet(1);
    hold.releasing = false;
}

int run_hold(void) {
    hold.connections = client_connections(options.count, &options.target);
    hold.places = calloc(options.count, sizeof *hold.places);
    hold.right = calloc(options.count, 1);
    hold.latencies = histogram_new();
    for (uint32_t i = 0; i < options.count; i++) {
        hold.connections[i].handler = subscriber_answered;
        hold.places[i].subscriber = i;
    }
    Connection *publisher = client_connections(1, &options.target);
    publisher->handler = publisher_answered;

    MemorySample small[GROUPS_MAX] = {0}, full[GROUPS_MAX] = {0};
    wait_quiet(1);
    send_polls(0, options.grow_from);
    bool quiet = wait_quiet(3);
    for (int i = 0; i < group_count; i++) small[i] = group_memory(&groups[i]);
    CpuSample setup_from = cpu_sample();
    send_polls(options.grow_from, options.count);
    quiet = wait_quiet(3) && quiet;
    CpuSample setup_to = cpu_sample();
    for (int i = 0; i < group_count; i++) full[i] = group_memory(&groups[i]);

    double first[100], half[100], most[100], last[100], cpu[GROUPS_MAX][100], foreign = 0;
    for (hold.round = 0; hold.round < options.rounds; hold.round++) {
        if (hold.round > 0) {
            send_polls(0, options.count);
            quiet = wait_quiet(3) && quiet;
        }
        for (uint32_t i = 0; i < options.count; i++) hold.right[i] = 0;
        histogram_clear(&hold.latencies);
        CpuSample from = cpu_sample();
        release(publisher);
        CpuSample to = cpu_sample();
        if (hold.publish_status / 100 != 2) {
            fprintf(stderr, "load: the message was not accepted (status %d)\n", hold.publish_status);
            return 1;
        }
        for (uint32_t i = 0; i < options.count; i++) {
            hold.missing += hold.right[i] == 0;
            hold.duplicated += hold.right[i] > 1;
        }
        uint32_t round = hold.round;
        first[round] = hold.answered > 0 ? (double)(hold.first_ns - hold.published_ns) / 1e6 : 0;
        last[round] = hold.answered > 0 ? (double)(hold.last_ns - hold.published_ns) / 1e6 : 0;
        half[round] = histogram_ms(&hold.latencies, 0.5);
        most[round] = histogram_ms(&hold.latencies, 0.99);
        for (int i = 0; i < group_count; i++) {
            cpu[i][round] = (double)(to.group_ns[i] - from.group_ns[i]) / 1000 / options.count;
        }
        double share = foreign_percent(&from, &to);
        foreign = share > foreign ? share : foreign;
    }

    int rounds = (int)options.rounds;
    printf("held=%u\nrounds=%d\nquiet=%d\n", options.count, rounds, quiet);
    printf("missing=%llu\nduplicated=%llu\nwrong=%llu\nearly=%llu\nerrors=%llu\ngaps=%llu\n",
           (unsigned long long)hold.missing, (unsigned long long)hold.duplicated, (unsigned long long)hold.wrong,
           (unsigned long long)hold.early, (unsigned long long)hold.errors, (unsigned long long)hold.gaps);
    printf("first_ms=%.2f\nmedian_ms=%.1f\np99_ms=%.1f\nlast_ms=%.1f\n", median(first, rounds), median(half, rounds),
           median(most, rounds), median(last, rounds));
    for (int i = 0; i < group_count; i++) printf("cpu_us_%s=%.2f\n", groups[i].name, median(cpu[i], rounds));
    double grown = (double)options.count - options.grow_from;
    print_growth(small, full, &setup_from, &setup_to, grown);
    printf("foreign_percent=%.0f\n", foreign);
    return 0;
}
