// Modes streams and flow: subscribers hold streams of server-sent events while numbered messages are published; each
// stream must receive every message of its channel once and in order.
//
//   streams  one channel, a message a second: the costs of holding a stream and of a delivery, and the last delivery
//   flow     several channels at a total rate of messages; --search: then finds the highest rate without loss or growing
//            delay, by doubling and halving, with each step on the same streams for --seconds
//
//   lost, duplicated, misordered   as in mode repoll; a message of another channel counts as damaged
//   ended                          streams that the server ended, or that did not begin within 5 s
//
// With several channels each has a publisher of its own, which sends its next message when its last one is acknowledged.
#include <stdio.h>
#include <stdlib.h>

#include "events.h"
#include "load.h"
#include "tally.h"

enum { STREAMS_PER_STEP = 100, STEP_NS = 10000000, OPEN_SECONDS = 5 };
enum { ROUND_SECONDS = 1, IDLE_SECONDS = 2, DRAIN_SECONDS = 10 };
enum { STEPS_MAX = 14, RATE_LEAST = 50, RATE_MOST = 32000 };

typedef struct {
    EventStream events;
    Receipts receipts;
    bool open;
} Stream;

static struct {
    Connection *connections, *publishers;
    Stream *streams;
    Tally tally;
    uint32_t open;
    uint64_t received, ended, gaps;
    uint64_t first_ns, last_ns;  // receipts since `received` was 0
    uint64_t early_until, late_from;  // of a step: what is sent before and after
    Histogram early, late;
} run;

// MARK: streams

static uint32_t channel_of(const Connection *connection) { return connection->index % options.channels; }

static void event_came(Connection *connection, const Event *event) {
    uint64_t now = now_ns();
    Stream *stream = &run.streams[connection->index];
    if (event_is(event, options.dialect == DIALECT_NCHAN ? "open" : "hello")) {
        run.open += !stream->open;
        stream->open = true;
    }
    if (event_is(event, "gap")) run.gaps++;
    if (event->type_length > 0) return;
    const char *at = event->data;
    Stamp stamp;
    if (next_stamp(&at, event->data + event->data_length, &stamp) != 1 || stamp.publisher != channel_of(connection)) {
        run.tally.damaged++;
        return;
    }
    if (!tally_receive(&run.tally, &stream->receipts, &stamp, now)) return;
    if (run.received++ == 0) run.first_ns = now;
    run.last_ns = now;
    if (stamp.sent_ns < run.early_until) histogram_add(&run.early, now - stamp.sent_ns);
    else if (stamp.sent_ns >= run.late_from) histogram_add(&run.late, now - stamp.sent_ns);
}

static void stream_ended(Connection *connection, const Answer *answer) {
    (void)answer;
    run.ended++;
    run.open -= run.streams[connection->index].open;
    run.streams[connection->index].open = false;
}

static void publisher_answered(Connection *connection, const Answer *answer) {
    tally_answered(&run.tally, connection->index, answer);
}

/// The number of streams that are requested and have not begun.
static uint32_t count_beginning(void) {
    uint32_t beginning = 0;
    for (uint32_t i = 0; i < options.count; i++) beginning += run.connections[i].busy && !run.streams[i].open;
    return beginning;
}

/// Opens the closed streams of a range, 10,000 a second, and waits until they have begun.
static void open_streams(uint32_t from, uint32_t to) {
    uint64_t next_step = now_ns();
    for (uint32_t i = from, opened = 0; i < to; i++) {
        Connection *connection = &run.connections[i];
        if (connection->busy) continue;
        events_expect(connection, &run.streams[i].events, event_came);
        client_send(connection, stream_request(channel_of(connection)), 0);
        if (++opened % STREAMS_PER_STEP != 0) continue;
        next_step += STEP_NS;
        do client_turn(1);
        while (now_ns() < next_step);
    }
    uint64_t end = now_ns() + OPEN_SECONDS * 1000000000ull;
    while (count_beginning() > 0 && now_ns() < end) client_turn(10);
}

static void prepare(uint32_t per_channel) {
    tally_start(&run.tally, options.channels, per_channel);
    run.early = histogram_new();
    run.late = histogram_new();
    run.connections = client_connections(options.count, &options.target);
    run.publishers = client_connections(options.channels, &options.publish_target);
    run.streams = calloc(options.count, sizeof *run.streams);
    for (uint32_t i = 0; i < options.count; i++) {
        run.connections[i].handler = stream_ended;
        run.streams[i].receipts = receipts_new(&run.tally);
    }
    for (uint32_t i = 0; i < options.channels; i++) run.publishers[i].handler = publisher_answered;
}

/// The deliveries due for messages acknowledged since `base`, and the number of those that are missing.
static uint64_t count_lost(const uint32_t base[]) {
    uint64_t lost = 0;
    for (uint32_t i = 0; i < options.count; i++) {
        uint32_t channel = i % options.channels;
        lost += tally_lost(&run.tally, &run.streams[i].receipts, channel, base[channel]);
    }
    return lost;
}

static bool publishing(void) {
    for (uint32_t i = 0; i < options.channels; i++) {
        if (run.publishers[i].busy) return true;
    }
    return false;
}

/// Waits until every publish is answered and this many deliveries have arrived, or for some time of silence.
static void drain(uint64_t expected) {
    uint64_t end = now_ns() + DRAIN_SECONDS * 1000000000ull, idle_end = 0, before = 0;
    while (publishing() || run.received < expected) {
        uint64_t now = now_ns();
        if (idle_end == 0 || run.received != before) idle_end = now + IDLE_SECONDS * 1000000000ull;
        before = run.received;
        if (now > idle_end || now > end) return;
        client_turn(10);
    }
}

static void turn_until(uint64_t end_ns) {
    for (uint64_t now; (now = now_ns()) < end_ns;) client_turn((int)((end_ns - now) / 1000000) + 1);
}

static void print_streams(void) {
    printf("streams=%u\nopen=%u\nended=%llu\ngaps=%llu\n", options.count, run.open,
           (unsigned long long)run.ended + count_beginning(), (unsigned long long)run.gaps);
}

// MARK: mode streams

int run_streams(void) {
    if (options.channels != 1) return 2;
    prepare(options.rounds);
    MemorySample small[GROUPS_MAX] = {0}, full[GROUPS_MAX] = {0};
    wait_quiet(1);
    open_streams(0, options.grow_from);
    bool quiet = wait_quiet(3);
    for (int i = 0; i < group_count; i++) small[i] = group_memory(&groups[i]);
    CpuSample setup_from = cpu_sample();
    open_streams(options.grow_from, options.count);
    quiet = wait_quiet(3) && quiet;
    CpuSample setup_to = cpu_sample();
    for (int i = 0; i < group_count; i++) full[i] = group_memory(&groups[i]);

    double first[100], half[100], most[100], last[100], cpu[GROUPS_MAX][100], foreign = 0;
    uint64_t received = 0;
    for (uint32_t round = 0; round < options.rounds; round++) {
        run.received = 0;
        histogram_clear(&run.tally.latencies);
        CpuSample from = cpu_sample();
        Stamp stamp = tally_send(&run.tally, 0);
        client_send(&run.publishers[0], publish_request(&stamp), 0);
        // Measures the whole second, including whatever else happens in it.
        turn_until(from.at_ns + ROUND_SECONDS * 1000000000ull);
        drain(options.count);
        CpuSample to = cpu_sample();
        first[round] = run.received > 0 ? (double)(run.first_ns - stamp.sent_ns) / 1e6 : 0;
        last[round] = run.received > 0 ? (double)(run.last_ns - stamp.sent_ns) / 1e6 : 0;
        half[round] = histogram_ms(&run.tally.latencies, 0.5);
        most[round] = histogram_ms(&run.tally.latencies, 0.99);
        for (int i = 0; i < group_count; i++) {
            cpu[i][round] = (double)(to.group_ns[i] - from.group_ns[i]) / 1000 / options.count;
        }
        double share = foreign_percent(&from, &to);
        foreign = share > foreign ? share : foreign;
        received += run.received;
    }

    int rounds = (int)options.rounds;
    printf("rounds=%d\nquiet=%d\nreceived=%llu\n", rounds, quiet, (unsigned long long)received);
    print_streams();
    tally_print_counts(&run.tally, count_lost(&(uint32_t){0}));
    printf("first_ms=%.2f\nmedian_ms=%.1f\np99_ms=%.1f\nlast_ms=%.1f\n", median(first, rounds), median(half, rounds),
           median(most, rounds), median(last, rounds));
    for (int i = 0; i < group_count; i++) printf("cpu_us_%s=%.2f\n", groups[i].name, median(cpu[i], rounds));
    print_growth(small, full, &setup_from, &setup_to, (double)options.count - options.grow_from);
    printf("foreign_percent=%.0f\n", foreign);
    return run.tally.acknowledged == 0;
}

// MARK: mode flow

/// The result of publishing at a rate for some time.
typedef struct {
    uint32_t rate;
    uint64_t published, received, lost;
    double per_second, p50_ms, p99_ms;
    CpuSample from, to;
    bool held;  // nothing was lost, and neither publishers nor subscribers fell behind
} Step;

static uint64_t wrong_so_far(void) {
    return run.ended + run.gaps + run.tally.duplicated + run.tally.misordered + run.tally.damaged;
}

static Step flow_at(uint32_t rate) {
    static uint32_t base[CHANNELS_MAX];
    Tally *tally = &run.tally;
    open_streams(0, options.count);  // those that were ended
    for (uint32_t i = 0; i < options.channels; i++) base[i] = tally->sent[i];
    histogram_clear(&tally->latencies);
    histogram_clear(&run.early);
    histogram_clear(&run.late);
    uint64_t acknowledged = tally->acknowledged, refused = tally->refused, wrong = wrong_so_far();
    run.received = 0;
    wait_quiet(1);

    Step step = {.rate = rate, .from = cpu_sample()};
    uint64_t start = now_ns(), length = (uint64_t)(options.seconds * 1e9), end = start + length;
    run.early_until = start + length / 3;
    run.late_from = end - length / 3;
    for (uint64_t now = start; now < end; now = now_ns()) {
        publish_due(tally, run.publishers, (uint64_t)((double)(now - start) / 1e9 * rate), &step.published);
        client_turn(1);
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    while (publishing() && now_ns() < end + DRAIN_SECONDS * 1000000000ull) client_turn(10);
    uint64_t due = 0;
    for (uint32_t i = 0; i < options.count; i++) due += tally->sent[i % options.channels] - base[i % options.channels];
    drain(due - (tally->refused - refused) * options.count / options.channels);
    turn_until(now_ns() + 100000000);  // duplicates may come behind the last message
    step.to = cpu_sample();

    step.received = run.received;
    step.lost = count_lost(base);
    step.per_second = (double)step.published / seconds;
    step.p50_ms = histogram_ms(&tally->latencies, 0.5);
    step.p99_ms = histogram_ms(&tally->latencies, 0.99);
    bool complete = step.lost == 0 && wrong_so_far() == wrong && tally->acknowledged - acknowledged == step.published;
    // A publisher that waits for its acknowledgement falls behind the clock where the server cannot keep up.
    bool in_time = step.per_second >= 0.98 * rate &&
                   histogram_ms(&run.late, 0.5) <= 2 * histogram_ms(&run.early, 0.5) + 5;
    step.held = complete && in_time;
    fprintf(stderr, "load: %u/s: %.0f/s, lost %llu, median ms %.1f and then %.1f: %s\n", rate, step.per_second,
            (unsigned long long)step.lost, histogram_ms(&run.early, 0.5), histogram_ms(&run.late, 0.5),
            step.held ? "held" : "not held");
    return step;
}

/// Doubles the rate while it holds, then halves the distance between the highest rate that held and the lowest that did
/// not. The first rate that does not hold is tried twice, because other work on the machine may be the cause.
static void search(const Step *first) {
    uint32_t rate = first->held ? 2 * first->rate : first->rate, failed = RATE_MOST + 1, steps = 0;
    Step best = {0};
    if (first->held) best = *first;
    while (steps < STEPS_MAX && rate >= RATE_LEAST && rate <= RATE_MOST) {
        Step step = flow_at(rate);
        if (++steps < STEPS_MAX && !step.held && failed > RATE_MOST) {
            step = flow_at(rate);
            steps++;
        }
        if (step.held) best = step;
        else failed = rate;
        if (failed <= RATE_MOST && failed - best.rate <= best.rate / 8) break;
        rate = failed <= RATE_MOST ? (best.rate + failed) / 2 : 2 * rate;
    }
    printf("steps=%u\nhighest_per_second=%u\nhighest_p50_ms=%.3f\nhighest_p99_ms=%.3f\n", steps, best.rate, best.p50_ms,
           best.p99_ms);
    uint64_t elapsed_ns = best.to.at_ns - best.from.at_ns;
    if (elapsed_ns > 0) printf("highest_own_percent=%.0f\n", 100.0 * (best.to.own_ns - best.from.own_ns) / elapsed_ns);
    for (int i = 0; i < group_count && best.received > 0; i++) {
        double used = (double)(best.to.group_ns[i] - best.from.group_ns[i]) / 1000;
        printf("highest_cpu_us_%s=%.2f\n", groups[i].name, used / (double)best.received);
    }
}

int run_flow(void) {
    // Has room for all steps of the search, at the highest rate.
    uint64_t most = (uint64_t)((options.search ? (double)RATE_MOST * STEPS_MAX : options.rate) * options.seconds);
    if (most * options.count > 8000000000u) {
        fprintf(stderr, "load: too many messages for one run\n");
        return 2;
    }
    prepare((uint32_t)(most / options.channels) + 1);
    Step step = flow_at(options.rate);
    printf("published=%llu\npublished_per_second=%.0f\nreceived=%llu\n", (unsigned long long)step.published,
           step.per_second, (unsigned long long)step.received);
    print_streams();
    tally_print_counts(&run.tally, step.lost);
    tally_print_latencies(&run.tally);
    print_cpu(&step.from, &step.to, (double)step.received);
    if (options.search) {
        search(&step);
        // Even above its capacity, a server must not repeat, misorder or damage messages.
        printf("beyond_ended=%llu\nbeyond_duplicated=%llu\nbeyond_misordered=%llu\nbeyond_damaged=%llu\n",
               (unsigned long long)run.ended, (unsigned long long)run.tally.duplicated,
               (unsigned long long)run.tally.misordered, (unsigned long long)run.tally.damaged);
    }
    return step.published == 0;
}
