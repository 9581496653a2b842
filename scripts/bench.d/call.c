#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "wire.h"

static uint32_t pair_length(const uint8_t **at) {
    const uint8_t *b = *at;
    *at += b[0] < 128 ? 1 : 4;
    return b[0] < 128 ? b[0] : (uint32_t)(b[0] & 0x7F) << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void read_params(const uint8_t *at, size_t length, Call *call) {
    const uint8_t *end = at + length;
    while (at + 8 < end) {
        uint32_t name_length = pair_length(&at), value_length = pair_length(&at);
        const char *name = (const char *)at, *value = name + name_length;
        if (value_length > (size_t)(end - at) || name_length > (size_t)(end - at) - value_length) return;
        at += name_length + value_length;
        if (name_length == 14 && memcmp(name, "REQUEST_METHOD", 14) == 0) {
            call->post = value_length == 4 && memcmp(value, "POST", 4) == 0;
        } else if (name_length == 11 && memcmp(name, "REQUEST_URI", 11) == 0) {
            const char *since = memmem(value, value_length, "since=", 6), *stop = value + value_length;
            // Of a cursor, the number behind the log; otherwise from now on.
            for (since = since != NULL ? since + 6 : stop; since < stop && *since != '&'; since++) {
                if (*since == '-') call->since = strtoull(since + 1, NULL, 16);
            }
            call->wait = memmem(value, value_length, "wait=", 5) != NULL;
        } else if (name_length == 11 && memcmp(name, "HTTP_ACCEPT", 11) == 0) {
            call->stream = value_length == 17 && memcmp(value, "text/event-stream", 17) == 0;
        }
    }
}

size_t read_call(uint8_t *input, size_t length, Call *call) {
    size_t at = 0, params_length = 0, body_length = 0;
    uint8_t *params = NULL, *body = NULL;
    for (;; at += wire_record(input + at)) {
        if (length - at < WIRE_HEADER || length - at < wire_record(input + at)) return 0;
        if (input[at + 1] == FCGI_STDIN && wire_length(input + at) == 0) break;
    }
    size_t end = at + wire_record(input + at), next;
    for (size_t from = 0; from < at; from = next) {
        uint8_t *content = input + from + WIRE_HEADER;
        size_t content_length = wire_length(input + from);
        int type = input[from + 1];
        next = from + wire_record(input + from);
        if (type == FCGI_BEGIN) {
            call->id = (uint16_t)wire_id(input + from);
            call->keep = content[2] & 1;
        } else if (type == FCGI_PARAMS) {
            if (params == NULL) params = content;
            memmove(params + params_length, content, content_length);
            params_length += content_length;
        } else if (type == FCGI_STDIN) {
            if (body == NULL) body = content;
            memmove(body + body_length, content, content_length);
            body_length += content_length;
        }
    }
    if (params != NULL) read_params(params, params_length, call);
    call->body = (const char *)body;
    call->body_length = body_length;
    return end;
}
