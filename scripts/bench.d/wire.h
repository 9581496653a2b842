// FastCGI 1.0 records as the bench programs need them: §3.3 (record header), §3.4 (name-value pairs), §5.1-5.5.
//
//   version 1 | type | id hi | id lo | length hi | length lo | padding | reserved
//
// Every record is padded to a multiple of 8 bytes.
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FCGI_BEGIN = 1, FCGI_ABORT = 2, FCGI_END = 3, FCGI_PARAMS = 4, FCGI_STDIN = 5, FCGI_STDOUT = 6 };

enum { WIRE_HEADER = 8, WIRE_CONTENT_MAX = 65528 };  // the largest content that needs no padding

static inline size_t wire_padding(size_t length) { return (8 - length % 8) % 8; }

static inline uint8_t *wire_header(uint8_t *to, int type, unsigned id, size_t length) {
    to[0] = 1;
    to[1] = (uint8_t)type;
    to[2] = (uint8_t)(id >> 8);
    to[3] = (uint8_t)id;
    to[4] = (uint8_t)(length >> 8);
    to[5] = (uint8_t)length;
    to[6] = (uint8_t)wire_padding(length);
    to[7] = 0;
    return to + WIRE_HEADER;
}

static inline size_t wire_length(const uint8_t *header) { return (size_t)header[4] << 8 | header[5]; }

/// The length of the record that begins here, including header and padding.
static inline size_t wire_record(const uint8_t *header) { return WIRE_HEADER + wire_length(header) + header[6]; }

static inline unsigned wire_id(const uint8_t *header) { return (unsigned)header[2] << 8 | header[3]; }

/// Writes a stream's content in as many records as necessary, without the empty record that ends it.
static inline uint8_t *wire_stream(uint8_t *to, int type, unsigned id, const void *content, size_t length) {
    const uint8_t *from = content;
    while (length > 0) {
        size_t part = length < WIRE_CONTENT_MAX ? length : WIRE_CONTENT_MAX;
        to = wire_header(to, type, id, part);
        memcpy(to, from, part);
        memset(to + part, 0, wire_padding(part));
        to += part + wire_padding(part);
        from += part;
        length -= part;
    }
    return to;
}

/// The most bytes that wire_stream writes for this much content.
static inline size_t wire_stream_bound(size_t length) { return length + (length / WIRE_CONTENT_MAX + 1) * 16; }

/// One pair, §3.4: lengths below 128 take one byte, others four with the top bit set.
static inline uint8_t *wire_pair(uint8_t *to, const char *name, const char *value) {
    size_t lengths[2] = {strlen(name), strlen(value)};
    for (int i = 0; i < 2; i++) {
        if (lengths[i] < 128) {
            *to++ = (uint8_t)lengths[i];
        } else {
            *to++ = (uint8_t)(lengths[i] >> 24 | 0x80);
            *to++ = (uint8_t)(lengths[i] >> 16);
            *to++ = (uint8_t)(lengths[i] >> 8);
            *to++ = (uint8_t)lengths[i];
        }
    }
    memcpy(to, name, lengths[0]);
    memcpy(to + lengths[0], value, lengths[1]);
    return to + lengths[0] + lengths[1];
}

#endif
