// A whole FastCGI request, as far as the floor responder needs it.
#ifndef BENCH_CALL_H
#define BENCH_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint16_t id;
    bool keep, post, wait;
    bool stream;  // Accept: text/event-stream
    uint64_t since;
    const char *body;
    size_t body_length;
} Call;

/// The length of the complete request at the start, or 0. Joins PARAMS and STDIN in place.
size_t read_call(uint8_t *input, size_t length, Call *call);

#endif
