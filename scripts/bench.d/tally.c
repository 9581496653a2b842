#include "tally.h"

#include <stdio.h>
#include <stdlib.h>

static void *zeros(size_t count, size_t size) {
    void *made = calloc(count, size);
    if (made == NULL) abort();
    return made;
}

static size_t place(const Tally *tally, uint32_t sender, uint32_t number) {
    return (size_t)sender * tally->per_sender + number;
}

static bool has(const Receipts *receipts, size_t at) { return receipts->seen[at / 8] & 1 << at % 8; }

void tally_start(Tally *tally, uint32_t senders, uint32_t per_sender) {
    size_t places = (size_t)senders * per_sender;
    *tally = (Tally){.senders = senders, .per_sender = per_sender};
    tally->sent_ns = zeros(places, sizeof *tally->sent_ns);
    tally->acknowledged_at = zeros(places, sizeof *tally->acknowledged_at);
    tally->sent = zeros(senders, sizeof *tally->sent);
    tally->latencies = histogram_new();
    tally->publish_latencies = histogram_new();
}

Receipts receipts_new(const Tally *tally) {
    return (Receipts){.next = zeros(tally->senders, sizeof(uint32_t)),
                      .seen = zeros((size_t)tally->senders * tally->per_sender / 8 + 1, 1)};
}

Stamp tally_send(Tally *tally, uint32_t sender) {
    Stamp stamp = {.publisher = sender, .number = tally->sent[sender]++, .sent_ns = now_ns()};
    tally->sent_ns[place(tally, sender, stamp.number)] = stamp.sent_ns;
    return stamp;
}

void tally_answered(Tally *tally, uint32_t sender, const Answer *answer) {
    size_t at = place(tally, sender, tally->sent[sender] - 1);
    if (answer->status / 100 == 2) {
        tally->acknowledged_at[at] = true;
        tally->acknowledged++;
        histogram_add(&tally->publish_latencies, now_ns() - tally->sent_ns[at]);
    } else {
        tally->refused++;
    }
}

bool tally_receive(Tally *tally, Receipts *receipts, const Stamp *stamp, uint64_t now) {
    // No publisher sent such a message, or it has another time than that of its sending.
    if (stamp->publisher >= tally->senders || stamp->number >= tally->per_sender || stamp->sent_ns == 0 ||
        tally->sent_ns[place(tally, stamp->publisher, stamp->number)] != stamp->sent_ns) {
        tally->damaged++;
        return false;
    }
    size_t at = place(tally, stamp->publisher, stamp->number);
    if (has(receipts, at)) {
        tally->duplicated++;
        return false;
    }
    receipts->seen[at / 8] |= (uint8_t)(1 << at % 8);
    if (stamp->number < receipts->next[stamp->publisher]) tally->misordered++;
    else receipts->next[stamp->publisher] = stamp->number + 1;
    receipts->order = (receipts->order ^ at) * 0x9E3779B97F4A7C15u + 1;
    receipts->received++;
    histogram_add(&tally->latencies, now - stamp->sent_ns);
    return true;
}

uint64_t tally_lost(const Tally *tally, const Receipts *receipts, uint32_t sender, uint32_t from) {
    uint64_t lost = 0;
    for (uint32_t number = from; number < tally->sent[sender]; number++) {
        size_t at = place(tally, sender, number);
        lost += tally->acknowledged_at[at] && !has(receipts, at);
    }
    return lost;
}

void publish_due(Tally *tally, Connection *senders, uint64_t due, uint64_t *published) {
    static uint32_t turn;
    for (uint32_t tried = 0; *published < due && tried < tally->senders; turn = (turn + 1) % tally->senders) {
        if (senders[turn].busy || tally->sent[turn] == tally->per_sender) {
            tried++;
            continue;
        }
        tried = 0;
        Stamp stamp = tally_send(tally, turn);
        (*published)++;
        client_send(&senders[turn], publish_request(&stamp), 0);
    }
}

void tally_print_counts(const Tally *tally, uint64_t lost) {
    printf("acknowledged=%llu\nrefused=%llu\nlost=%llu\nduplicated=%llu\nmisordered=%llu\ndamaged=%llu\n",
           (unsigned long long)tally->acknowledged, (unsigned long long)tally->refused, (unsigned long long)lost,
           (unsigned long long)tally->duplicated, (unsigned long long)tally->misordered,
           (unsigned long long)tally->damaged);
}

void tally_print_latencies(const Tally *tally) {
    printf("p50_ms=%.3f\np99_ms=%.3f\nmax_ms=%.3f\npublish_p50_ms=%.3f\npublish_p99_ms=%.3f\n",
           histogram_ms(&tally->latencies, 0.5), histogram_ms(&tally->latencies, 0.99),
           histogram_ms(&tally->latencies, 1), histogram_ms(&tally->publish_latencies, 0.5),
           histogram_ms(&tally->publish_latencies, 0.99));
}
