// Reads an answer that is a stream of server-sent events, as far as it has arrived.
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include "client.h"

/// An event with data; the pointers are valid during the call that hands it over.
typedef struct {
    const char *type;  // not terminated; empty: a message. `open`, without data: the header was that of a stream
    size_t type_length;
    const char *data;  // all its lines, as they came
    size_t data_length;
} Event;

typedef void (*EventHandler)(Connection *connection, const Event *event);

/// The state of reading one stream.
typedef struct {
    EventHandler handler;
    size_t text;  // bytes at the beginning of the input that are unwrapped
    size_t left;  // bytes of content that are still to come of this chunk or record
    size_t skip;  // and bytes behind them that are none
    bool headed;  // the header has been read
    bool plain;   // not in chunks
} EventStream;

/// Makes the next answer on the connection such a stream. `stream` must outlive it.
void events_expect(Connection *connection, EventStream *stream, EventHandler handler);

bool event_is(const Event *event, const char *type);

#endif
