// Who has got which of the numbered messages: what is lost, duplicated, misordered or damaged.
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include "load.h"

/// What was sent. A message's place is that of its sender and number.
typedef struct {
    uint32_t senders, per_sender;
    uint64_t *sent_ns;  // by place; 0: not sent
    bool *acknowledged_at;  // by place
    uint32_t *sent;  // by sender
    uint64_t acknowledged, refused;
    uint64_t duplicated, misordered, damaged;
    Histogram latencies, publish_latencies;
} Tally;

/// What one subscriber has got.
typedef struct {
    uint64_t received, order;  // `order`: a hash of the messages in the order they came
    uint32_t *next;  // by sender: one more than the greatest number seen
    uint8_t *seen;   // a bit for each place
} Receipts;

void tally_start(Tally *tally, uint32_t senders, uint32_t per_sender);
Receipts receipts_new(const Tally *tally);

/// The sender's next message, sent now; it must have fewer than `per_sender` behind it.
Stamp tally_send(Tally *tally, uint32_t sender);

/// The answer to the sender's last message: whether it will be expected of everybody.
void tally_answered(Tally *tally, uint32_t sender, const Answer *answer);

/// Takes what a subscriber got; false if it is no message that was sent, or a repeated one.
bool tally_receive(Tally *tally, Receipts *receipts, const Stamp *stamp, uint64_t now);

/// Acknowledged messages of a sender, from number `from` on, that the subscriber has not got.
uint64_t tally_lost(const Tally *tally, const Receipts *receipts, uint32_t sender, uint32_t from);

/// Sends what is due by the clock, round robin over the senders that have nothing under way; `published` counts on. The
/// sender's index is its connection's.
void publish_due(Tally *tally, Connection *senders, uint64_t due, uint64_t *published);

/// `KEY=value` lines.
void tally_print_counts(const Tally *tally, uint64_t lost);
void tally_print_latencies(const Tally *tally);

#endif
