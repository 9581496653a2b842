// Mode repoll: subscribers poll repeatedly with the cursor of their last answer, while publishers send numbered messages
// at a rate. Each publisher sends its next message when its last one is acknowledged, so its numbers have one right order;
// across publishers, all subscribers must see the same order.
//
//   lost        acknowledged, but not received by a subscriber before 3 s of silence, or 10 s after the end
//               (counted in messages × subscribers)
//   duplicated  received again by the same subscriber
//   misordered  received after a later one of the same publisher
//   orders      different orders of all messages among the subscribers that got everything once; 1 is right
#include <stdio.h>
#include <stdlib.h>

#include "load.h"
#include "tally.h"

enum { RETRY_NS = 100000000, MESSAGES_MAX = 1000000, IDLE_SECONDS = 3, DRAIN_SECONDS = 10 };

typedef struct {
    Place place;
    Receipts receipts;
} Subscriber;

static struct {
    Connection *subscriber_connections, *publisher_connections;
    Subscriber *subscribers;
    Tally tally;
    uint64_t gaps, errors, answers;
    bool ending;
} run;

static void subscriber_answered(Connection *connection, const Answer *answer) {
    uint64_t now = now_ns();
    Subscriber *subscriber = &run.subscribers[connection->index];
    run.answers++;
    if (answer->status != 200 || !place_advance(&subscriber->place, answer)) {
        run.errors++;
        if (!run.ending) client_send(connection, poll_request(&subscriber->place, true), now + RETRY_NS);
        return;
    }
    const char *at = answer->body;
    Stamp stamp;
    for (int found; (found = next_stamp(&at, answer->body + answer->body_length, &stamp)) != 0;) {
        if (found > 0) tally_receive(&run.tally, &subscriber->receipts, &stamp, now);
        else run.tally.damaged++;
    }
    run.gaps += answer_has_gap(answer);
    if (!run.ending) client_send(connection, poll_request(&subscriber->place, true), 0);
}

static void publisher_answered(Connection *connection, const Answer *answer) {
    tally_answered(&run.tally, connection->index, answer);
}

static bool everybody_has_all(void) {
    for (uint32_t i = 0; i < options.count; i++) {
        if (run.subscribers[i].receipts.received < run.tally.acknowledged) return false;
    }
    return true;
}

static uint64_t count_lost(void) {
    uint64_t lost = 0;
    for (uint32_t i = 0; i < options.count; i++) {
        const Receipts *receipts = &run.subscribers[i].receipts;
        for (uint32_t sender = 0; sender < options.publishers; sender++) {
            lost += tally_lost(&run.tally, receipts, sender, 0);
        }
    }
    return lost;
}

static int compare_orders(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/// The number of different orders seen by the subscribers that received everything.
static uint32_t count_orders(void) {
    uint64_t *orders = calloc(options.count, sizeof *orders);
    uint32_t complete = 0, different = 0;
    for (uint32_t i = 0; i < options.count; i++) {
        const Receipts *receipts = &run.subscribers[i].receipts;
        if (receipts->received >= run.tally.acknowledged) orders[complete++] = receipts->order;
    }
    qsort(orders, complete, sizeof *orders, compare_orders);
    for (uint32_t i = 0; i < complete; i++) different += i == 0 || orders[i] != orders[i - 1];
    free(orders);
    return different;
}

static void prepare(uint32_t per_publisher) {
    tally_start(&run.tally, options.publishers, per_publisher);
    run.subscribers = calloc(options.count, sizeof *run.subscribers);
    run.subscriber_connections = client_connections(options.count, &options.target);
    run.publisher_connections = client_connections(options.publishers, &options.publish_target);
    for (uint32_t i = 0; i < options.count; i++) {
        run.subscriber_connections[i].handler = subscriber_answered;
        run.subscribers[i].receipts = receipts_new(&run.tally);
        run.subscribers[i].place.subscriber = i;
    }
    for (uint32_t i = 0; i < options.publishers; i++) run.publisher_connections[i].handler = publisher_answered;
}

int run_repoll(void) {
    uint64_t wanted = (uint64_t)(options.rate * options.seconds);
    if (wanted > MESSAGES_MAX || wanted * options.count > 8000000000u) {
        fprintf(stderr, "load: too many messages for one run\n");
        return 2;
    }
    // Publishers take turns, but a slow answer may shift part of a publisher's share to the others.
    prepare((uint32_t)wanted);
    for (uint32_t i = 0; i < options.count; i++) {
        client_send(&run.subscriber_connections[i], poll_request(&run.subscribers[i].place, true), 0);
        if (i % 100 == 99) client_turn(1);
    }
    wait_quiet(3);

    uint64_t published = 0, start = now_ns(), end = start + (uint64_t)(options.seconds * 1e9);
    CpuSample from = cpu_sample();
    for (uint64_t now = start; now < end && published < wanted; now = now_ns()) {
        uint64_t due = (uint64_t)((double)(now - start) / 1e9 * options.rate);
        publish_due(&run.tally, run.publisher_connections, due, &published);
        client_turn(1);
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    // A slow server may still be delivering, which is latency, not loss.
    uint64_t drain_end = now_ns() + DRAIN_SECONDS * 1000000000ull, idle_end = 0, answers = 0;
    while (run.tally.acknowledged + run.tally.refused < published || !everybody_has_all()) {
        uint64_t now = now_ns();
        if (idle_end == 0 || run.answers != answers) idle_end = now + IDLE_SECONDS * 1000000000ull;
        answers = run.answers;
        if (now > idle_end || now > drain_end) break;
        client_turn(10);
    }
    uint64_t settle = now_ns() + 100000000;  // duplicates may come behind the last message
    while (now_ns() < settle) client_turn(10);
    CpuSample to = cpu_sample();
    run.ending = true;

    uint64_t received = 0;
    for (uint32_t i = 0; i < options.count; i++) received += run.subscribers[i].receipts.received;
    printf("subscribers=%u\npublishers=%u\npublished=%llu\npublished_per_second=%.0f\n", options.count,
           options.publishers, (unsigned long long)published, (double)published / seconds);
    printf("messages_an_answer=%.2f\n", run.answers > 0 ? (double)received / (double)run.answers : 0);
    printf("expected=%llu\nreceived=%llu\nanswers=%llu\ngaps=%llu\norders=%u\nerrors=%llu\n",
           (unsigned long long)run.tally.acknowledged * options.count, (unsigned long long)received,
           (unsigned long long)run.answers, (unsigned long long)run.gaps, count_orders(),
           (unsigned long long)run.errors);
    tally_print_counts(&run.tally, count_lost());
    tally_print_latencies(&run.tally);
    print_cpu(&from, &to, (double)received);
    return run.tally.acknowledged == 0;
}
