// Shared by the modes of the load generator: options, the two ways of polling, and the numbered messages.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "client.h"
#include "meter.h"

/// How subscribers poll. push: since=CURSOR, JSON answers with any number of messages. nchan: If-Modified-Since and
/// If-None-Match, an answer is one message's bare body. Streams are server-sent events in both; the data of push is an
/// object with the message in it, and the first event a hello.
typedef enum { DIALECT_PUSH, DIALECT_NCHAN } Dialect;

typedef struct {
    Target target;
    Target publish_target;  // of the repoll mode, where it is another process on the same bus
    const char *socket;     // the bus socket
    const char *lines_path;  // the named pipe that the lines mode writes into
    Dialect dialect;
    const char *poll_path;     // held until there is a message
    const char *instant_path;  // answered at once
    const char *publish_path;
    bool no_cursor;  // the rate mode asks instant_path as it is
    bool pages;  // a held poll is as -/holdfast.js makes it, with the random name of its subscriber
    uint32_t count, grow_from, rounds, connections, outstanding, publishers, rate, channels;
    bool search;  // of the flow mode: go on to the highest rate
    double seconds;
} Options;

extern Options options;

/// The position of a subscriber, from its last answer.
typedef struct {
    char cursor[64];  // the cursor, or nchan's Etag; empty: from now on
    char modified[40];  // nchan's Last-Modified
    uint64_t subscriber;  // whose place it is, from 0
} Place;

/// A request in its own buffers; valid until the next one is built.
const Request *poll_request(const Place *place, bool hold);
/// A request for a stream of messages from now on.
const Request *stream_request(uint32_t channel);
/// False if the answer carries no cursor.
bool place_advance(Place *place, const Answer *answer);

enum { MESSAGE_BYTES = 100, PUBLISHERS_MAX = 64, CHANNELS_MAX = 999, OUTSTANDING_MAX = 256 };

/// The identity of a message: its number, counted from 0 for each publisher, and when it was sent. With several channels,
/// each has its own publisher, of the same number.
typedef struct {
    uint32_t publisher, number;
    uint64_t sent_ns;
} Stamp;

const Request *publish_request(const Stamp *stamp);

/// Finds the next message of an answer from `*at` on: 1 if found, 0 if there is none, -1 if it is damaged.
int next_stamp(const char **at, const char *end, Stamp *stamp);

/// True if the answer says that messages are missing from it.
bool answer_has_gap(const Answer *answer);

/// Waits until no group uses CPU any more, at most this many seconds, and handles answers meanwhile.
bool wait_quiet(double seconds);

/// `KEY=value` lines with each group's CPU between two samples, divided by `operations`.
void print_cpu(const CpuSample *from, const CpuSample *to, double operations);

/// The same, with the memory that each of `grown` more subscribers took, and the CPU to begin with them.
void print_growth(const MemorySample small[], const MemorySample full[], const CpuSample *from, const CpuSample *to,
                  double grown);

int run_hold(void);
int run_rate(void);
int run_publish(void);
int run_repoll(void);
int run_streams(void);
int run_flow(void);
int run_bus(void);
int run_lines(void);

#endif
