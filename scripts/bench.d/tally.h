// Which subscriber has received which of the numbered messages: what is lost, duplicated, misordered or damaged.
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include "load.h"

/// What was sent. A message's index follows from its sender and number.
typedef struct {
    uint32_t senders, per_sender;
    uint64_t *sent_ns;  // by place; 0: not sent
    bool *acknowledged_at;  // by place
    uint32_t *sent;  // by sender
    uint64_t acknowledged, refused;
    uint64_t duplicated, misordered, damaged;
    Histogram latencies, publish_latencies;
} Tally;

/// What one subscriber has received.
typedef struct {
    uint64_t received, order;  // `order`: a hash of the messages in the order they came
    uint32_t *next;  // by sender: one more than the greatest number seen
    uint8_t *seen;   // a bit for each place
} Receipts;

void tally_start(Tally *tally, uint32_t senders, uint32_t per_sender);
Receipts receipts_new(const Tally *tally);

/// Records the sender's next message as sent now; it must have sent fewer than `per_sender`.
Stamp tally_send(Tally *tally, uint32_t sender);

/// Records the answer to the sender's last message: whether every subscriber must receive it.
void tally_answered(Tally *tally, uint32_t sender, const Answer *answer);

/// Records a message that a subscriber received; false if it was never sent, or is repeated.
bool tally_receive(Tally *tally, Receipts *receipts, const Stamp *stamp, uint64_t now);

/// The number of acknowledged messages of a sender, from number `from` on, that the subscriber has not received.
uint64_t tally_lost(const Tally *tally, const Receipts *receipts, uint32_t sender, uint32_t from);

/// Sends what is due by the clock, round robin over the idle senders, and adds to `published`. A sender has the index of
/// its connection.
void publish_due(Tally *tally, Connection *senders, uint64_t due, uint64_t *published);

/// `KEY=value` lines.
void tally_print_counts(const Tally *tally, uint64_t lost);
void tally_print_latencies(const Tally *tally);

#endif
