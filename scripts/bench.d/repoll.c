// Mode repoll: subscribers poll again and again with the cursor they were given, while publishers send numbered
// messages at a rate. Each publisher sends its next message when its last one is acknowledged, so its numbers have one
// right order; between publishers every subscriber must see the same order as all others.
//
//   lost        acknowledged, and not received by a subscriber by the time that nothing has come for 3 s, or
//               10 s after the end (of messages × subscribers)
//   duplicated  received again by the same subscriber
//   misordered  received after a later one of the same publisher
//   orders      different orders of all messages among the subscribers that got everything once; 1 is right
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { RETRY_NS = 100000000, MESSAGES_MAX = 1000000, IDLE_SECONDS = 3, DRAIN_SECONDS = 10 };

typedef struct {
    Place place;
    uint64_t received, order;  // `order`: a hash of the messages in the order they came
    uint32_t next[PUBLISHERS_MAX];  // one more than the greatest number seen
    uint8_t *seen;  // a bit for each publisher and number
} Subscriber;

static struct {
    Connection *subscriber_connections, *publisher_connections;
    Subscriber *subscribers;
    uint64_t *sent_ns;  // by place(); 0: not published
    bool *acknowledged_at;  // by place()
    uint32_t per_publisher, *sent;
    uint64_t acknowledged, refused;
    uint64_t duplicated, misordered, damaged, gaps, errors, answers;
    bool ending;
    Histogram latencies, publish_latencies;
} run;

static size_t place(uint32_t publisher, uint32_t number) { return (size_t)publisher * run.per_publisher + number; }

static void take_message(Subscriber *subscriber, const Stamp *stamp, uint64_t now) {
    // A message that nobody sent, or another time than it was sent with.
    if (stamp->publisher >= options.publishers || stamp->number >= run.per_publisher ||
        run.sent_ns[place(stamp->publisher, stamp->number)] != stamp->sent_ns || stamp->sent_ns == 0) {
        run.damaged++;
        return;
    }
    size_t at = place(stamp->publisher, stamp->number);
    if (subscriber->seen[at / 8] & 1 << at % 8) {
        run.duplicated++;
        return;
    }
    subscriber->seen[at / 8] |= (uint8_t)(1 << at % 8);
    if (stamp->number < subscriber->next[stamp->publisher]) run.misordered++;
    else subscriber->next[stamp->publisher] = stamp->number + 1;
    subscriber->order = (subscriber->order ^ at) * 0x9E3779B97F4A7C15u + 1;
    subscriber->received++;
    histogram_add(&run.latencies, now - stamp->sent_ns);
}

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
        if (found > 0) take_message(subscriber, &stamp, now);
        else run.damaged++;
    }
    run.gaps += answer_has_gap(answer);
    if (!run.ending) client_send(connection, poll_request(&subscriber->place, true), 0);
}

static void publisher_answered(Connection *connection, const Answer *answer) {
    uint32_t publisher = connection->index;
    size_t at = place(publisher, run.sent[publisher] - 1);
    if (answer->status / 100 == 2) {
        run.acknowledged_at[at] = true;
        run.acknowledged++;
        histogram_add(&run.publish_latencies, now_ns() - run.sent_ns[at]);
    } else {
        run.refused++;
    }
}

/// Sends what is due by the clock, round robin over the publishers that have nothing under way.
static void publish_due(uint64_t due, uint64_t *published) {
    static uint32_t turn;
    for (uint32_t tried = 0; *published < due && tried < options.publishers; turn = (turn + 1) % options.publishers) {
        Connection *connection = &run.publisher_connections[turn];
        if (connection->busy || run.sent[turn] == run.per_publisher) {
            tried++;
            continue;
        }
        tried = 0;
        Stamp stamp = {.publisher = turn, .number = run.sent[turn]++, .sent_ns = now_ns()};
        run.sent_ns[place(stamp.publisher, stamp.number)] = stamp.sent_ns;
        (*published)++;
        client_send(connection, publish_request(&stamp), 0);
    }
}

static bool everybody_has_all(void) {
    for (uint32_t i = 0; i < options.count; i++) {
        if (run.subscribers[i].received < run.acknowledged) return false;
    }
    return true;
}

static uint64_t count_lost(void) {
    uint64_t lost = 0;
    for (size_t at = 0; at < (size_t)options.publishers * run.per_publisher; at++) {
        if (!run.acknowledged_at[at]) continue;
        for (uint32_t i = 0; i < options.count; i++) lost += !(run.subscribers[i].seen[at / 8] & 1 << at % 8);
    }
    return lost;
}

static int compare_orders(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/// How many different orders the subscribers saw that received everything.
static uint32_t count_orders(void) {
    uint64_t *orders = calloc(options.count, sizeof *orders);
    uint32_t complete = 0, different = 0;
    for (uint32_t i = 0; i < options.count; i++) {
        if (run.subscribers[i].received >= run.acknowledged) orders[complete++] = run.subscribers[i].order;
    }
    qsort(orders, complete, sizeof *orders, compare_orders);
    for (uint32_t i = 0; i < complete; i++) different += i == 0 || orders[i] != orders[i - 1];
    free(orders);
    return different;
}

static void prepare(void) {
    size_t places = (size_t)options.publishers * run.per_publisher;
    run.sent_ns = calloc(places, sizeof *run.sent_ns);
    run.acknowledged_at = calloc(places, sizeof *run.acknowledged_at);
    run.sent = calloc(options.publishers, sizeof *run.sent);
    run.subscribers = calloc(options.count, sizeof *run.subscribers);
    run.subscriber_connections = client_connections(options.count, &options.target);
    run.publisher_connections = client_connections(options.publishers, &options.publish_target);
    run.latencies = histogram_new();
    run.publish_latencies = histogram_new();
    for (uint32_t i = 0; i < options.count; i++) {
        run.subscriber_connections[i].handler = subscriber_answered;
        run.subscribers[i].seen = calloc(1, places / 8 + 1);
    }
    for (uint32_t i = 0; i < options.publishers; i++) run.publisher_connections[i].handler = publisher_answered;
}

int run_repoll(void) {
    uint64_t wanted = (uint64_t)(options.rate * options.seconds);
    if (wanted > MESSAGES_MAX || wanted * options.count > 8000000000u) {
        fprintf(stderr, "load: too many messages for one run\n");
        return 2;
    }
    // Publishers take turns, but a slow answer may shift some of one's share to the others.
    run.per_publisher = (uint32_t)wanted;
    prepare();
    for (uint32_t i = 0; i < options.count; i++) {
        client_send(&run.subscriber_connections[i], poll_request(&run.subscribers[i].place, true), 0);
        if (i % 100 == 99) client_turn(1);
    }
    wait_quiet(3);

    uint64_t published = 0, start = now_ns(), end = start + (uint64_t)(options.seconds * 1e9);
    CpuSample from = cpu_sample();
    for (uint64_t now = start; now < end && published < wanted; now = now_ns()) {
        publish_due((uint64_t)((double)(now - start) / 1e9 * options.rate), &published);
        client_turn(1);
    }
    double seconds = (double)(now_ns() - start) / 1e9;
    // A slow server may still be delivering: that is latency, not loss.
    uint64_t drain_end = now_ns() + DRAIN_SECONDS * 1000000000ull, idle_end = 0, answers = 0;
    while (run.acknowledged + run.refused < published || !everybody_has_all()) {
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
    for (uint32_t i = 0; i < options.count; i++) received += run.subscribers[i].received;
    printf("subscribers=%u\npublishers=%u\npublished=%llu\nacknowledged=%llu\nrefused=%llu\n", options.count,
           options.publishers, (unsigned long long)published, (unsigned long long)run.acknowledged,
           (unsigned long long)run.refused);
    printf("published_per_second=%.0f\nexpected=%llu\nreceived=%llu\nanswers=%llu\n", (double)published / seconds,
           (unsigned long long)run.acknowledged * options.count, (unsigned long long)received,
           (unsigned long long)run.answers);
    printf("lost=%llu\nduplicated=%llu\nmisordered=%llu\ndamaged=%llu\ngaps=%llu\norders=%u\nerrors=%llu\n",
           (unsigned long long)count_lost(), (unsigned long long)run.duplicated, (unsigned long long)run.misordered,
           (unsigned long long)run.damaged, (unsigned long long)run.gaps, count_orders(),
           (unsigned long long)run.errors);
    printf("p50_ms=%.3f\np99_ms=%.3f\nmax_ms=%.3f\npublish_p50_ms=%.3f\npublish_p99_ms=%.3f\n",
           histogram_ms(&run.latencies, 0.5), histogram_ms(&run.latencies, 0.99), histogram_ms(&run.latencies, 1),
           histogram_ms(&run.publish_latencies, 0.5), histogram_ms(&run.publish_latencies, 0.99));
    print_cpu(&from, &to, (double)received);
    return run.acknowledged == 0;
}
