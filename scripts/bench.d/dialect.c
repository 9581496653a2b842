#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static Request request;
static char path[512], headers[256], body[MESSAGE_BYTES + 1];

const Request *poll_request(const Place *place, bool hold) {
    const char *base = hold ? options.poll_path : options.instant_path;
    headers[0] = 0;
    if (options.dialect == DIALECT_NCHAN) {
        snprintf(path, sizeof path, "%s", base);
        if (place->cursor[0] != 0) {
            snprintf(headers, sizeof headers, "If-Modified-Since: %s\r\nIf-None-Match: %s\r\n", place->modified,
                     place->cursor);
        }
    } else {
        const char *since = place->cursor[0] != 0 ? place->cursor : "now";
        int length = snprintf(path, sizeof path, "%s?since=%s%s", base, since, hold ? "&wait=55" : "");
        if (hold && options.pages) {
            uint64_t random = (place->subscriber + 1) * 0x9E3779B97F4A7C15u;
            snprintf(path + length, sizeof path - (size_t)length, "&subscriber=%08x-%04x-4%03x-8%03x-%012llx",
                     (unsigned)(random >> 32), (unsigned)(random & 0xFFFF), (unsigned)(random >> 16 & 0xFFF),
                     (unsigned)(random >> 28 & 0xFFF), (unsigned long long)place->subscriber);
        }
    }
    request = (Request){.method = "GET", .path = path, .extra_headers = headers};
    return &request;
}

/// With several channels, each has its own path.
static const char *channel_path(const char *base, uint32_t channel) {
    if (options.channels == 1) return base;
    snprintf(path, sizeof path, "%s%03u", base, channel);
    return path;
}

const Request *stream_request(uint32_t channel) {
    request = (Request){
        .method = "GET", .path = channel_path(options.poll_path, channel), .accept = "text/event-stream"};
    return &request;
}

bool place_advance(Place *place, const Answer *answer) {
    if (options.dialect == DIALECT_NCHAN) {
        return answer_header(answer, "Etag", place->cursor, sizeof place->cursor) &&
               answer_header(answer, "Last-Modified", place->modified, sizeof place->modified);
    }
    static const char key[] = "\"cursor\":\"";
    const char *at = memmem(answer->body, answer->body_length, key, sizeof key - 1);
    if (at == NULL) return false;
    at += sizeof key - 1;
    const char *end = memchr(at, '"', (size_t)(answer->body + answer->body_length - at));
    if (end == NULL || (size_t)(end - at) >= sizeof place->cursor) return false;
    memcpy(place->cursor, at, (size_t)(end - at));
    place->cursor[end - at] = 0;
    return true;
}

// {"bench":"PPP.NNNNNNNNN.TTTTTTTTTTTTTTTTTTT","pad":"xxx…"}: publisher, number, CLOCK_MONOTONIC in nanoseconds.
static const char stamp_key[] = "\"bench\":\"";
enum { STAMP_BYTES = 3 + 1 + 9 + 1 + 19 };

const Request *publish_request(const Stamp *stamp) {
    memset(body, 'x', MESSAGE_BYTES);
    int length = sprintf(body, "{%s%03u.%09u.%019llu\",\"pad\":\"", stamp_key, stamp->publisher, stamp->number,
                         (unsigned long long)stamp->sent_ns);
    body[length] = 'x';
    memcpy(body + MESSAGE_BYTES - 2, "\"}", 3);
    request = (Request){.method = "POST",
                        .path = channel_path(options.publish_path, stamp->publisher),
                        .content_type = "application/json",
                        .body = body,
                        .body_length = MESSAGE_BYTES};
    return &request;
}

static bool digits(const char *at, int count, uint64_t *value) {
    *value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
        *value = *value * 10 + (uint64_t)(at[i] - '0');
    }
    return true;
}

int next_stamp(const char **at, const char *end, Stamp *stamp) {
    const char *key = *at < end ? memmem(*at, (size_t)(end - *at), stamp_key, sizeof stamp_key - 1) : NULL;
    if (key == NULL) return 0;
    const char *text = key + sizeof stamp_key - 1;
    *at = text;
    uint64_t publisher, number;
    if (end - text <= STAMP_BYTES || text[3] != '.' || text[13] != '.' || text[STAMP_BYTES] != '"') return -1;
    if (!digits(text, 3, &publisher) || !digits(text + 4, 9, &number) || !digits(text + 14, 19, &stamp->sent_ns)) return -1;
    stamp->publisher = (uint32_t)publisher;
    stamp->number = (uint32_t)number;
    return 1;
}

bool answer_has_gap(const Answer *answer) {
    static const char key[] = "\"gap\":{";
    return memmem(answer->body, answer->body_length, key, sizeof key - 1) != NULL;
}
