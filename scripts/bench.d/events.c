// The input begins with unwrapped text, without its chunks or records, followed by bytes as they arrived. Whole events
// are taken from the text; its remainder waits for more.
#include "events.h"

#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum { HEAD_MAX = 16 << 10, CHUNK_MAX = 16 << 20 };

/// Reads the header of the next record or chunk, and stores the lengths of its content and padding. Returns the bytes
/// used; 0 if the header is incomplete, -1 if the answer is over or malformed.
static ssize_t read_frame(Connection *connection, EventStream *stream, size_t at) {
    const uint8_t *from = (const uint8_t *)connection->input + at;
    size_t available = connection->input_length - at;
    if (connection->target->fastcgi) {
        if (available < WIRE_HEADER) return 0;
        if (from[0] != 1 || wire_id(from) != 1 || from[1] == FCGI_END) return -1;
        bool content = from[1] == FCGI_STDOUT;
        if (!content) client_counts.stderr_records++;
        stream->left = content ? wire_length(from) : 0;
        stream->skip = wire_record(from) - WIRE_HEADER - stream->left;
        return WIRE_HEADER;
    }
    const char *line = (const char *)from, *line_end = memchr(line, '\n', available);
    if (line_end == NULL) return 0;
    stream->left = strtoul(line, NULL, 16);
    stream->skip = 2;
    if (stream->left == 0 || stream->left > CHUNK_MAX) return -1;
    return line_end + 1 - line;
}

/// Unwraps what has arrived; false if the answer is over.
static bool unwrap(Connection *connection, EventStream *stream) {
    char *input = connection->input;
    size_t at = stream->text, end = connection->input_length;
    bool goes_on = true;
    while (at < end) {
        if (stream->left > 0 || stream->plain) {
            size_t part = stream->plain || stream->left > end - at ? end - at : stream->left;
            if (at != stream->text) memmove(input + stream->text, input + at, part);
            stream->text += part;
            stream->left -= stream->plain ? 0 : part;
            at += part;
        } else if (stream->skip > 0) {
            size_t part = stream->skip < end - at ? stream->skip : end - at;
            stream->skip -= part;
            at += part;
        } else {
            ssize_t taken = read_frame(connection, stream, at);
            goes_on = taken >= 0;
            if (taken <= 0) break;
            at += (size_t)taken;
        }
    }
    memmove(input + stream->text, input + at, end - at);
    connection->input_length = stream->text + end - at;
    return goes_on;
}

/// Removes bytes from the beginning of the input.
static void consume(Connection *connection, EventStream *stream, size_t bytes) {
    connection->input_length -= bytes;
    memmove(connection->input, connection->input + bytes, connection->input_length);
    if (stream->text > 0) stream->text -= bytes;
}

/// Looks for the header, which is in FastCGI's records or before HTTP's chunks; false if it is not that of a stream.
static bool read_head(Connection *connection, EventStream *stream) {
    bool fastcgi = connection->target->fastcgi;
    size_t length = fastcgi ? stream->text : connection->input_length;
    char *end = memmem(connection->input, length, "\r\n\r\n", 4), value[64];
    if (end == NULL) return length < HEAD_MAX;
    size_t bytes = (size_t)(end - connection->input) + 4;
    Answer answer = {.head = connection->input, .head_length = bytes - 2};
    if (fastcgi) {
        answer.status = answer_header(&answer, "Status", value, sizeof value) ? atoi(value) : 200;
    } else if (bytes > 12) {
        answer.status = atoi(connection->input + 9);
        stream->plain = !answer_header(&answer, "Transfer-Encoding", value, sizeof value);
    }
    if (answer.status != 200 || !answer_header(&answer, "Content-Type", value, sizeof value)) return false;
    if (strncmp(value, "text/event-stream", 17) != 0) return false;
    stream->headed = true;
    consume(connection, stream, bytes);
    stream->handler(connection, &(Event){.type = "open", .type_length = 4});
    return true;
}

/// The value of a line `NAME: value`; NULL for any other line.
static const char *field(const char *line, const char *line_end, const char *name, size_t name_length) {
    if ((size_t)(line_end - line) <= name_length || memcmp(line, name, name_length) != 0 || line[name_length] != ':') {
        return NULL;
    }
    const char *value = line + name_length + 1;
    return value < line_end && *value == ' ' ? value + 1 : value;
}

static void read_event(Connection *connection, EventStream *stream, const char *at, const char *end) {
    Event event = {.type = ""};
    for (const char *line_end, *value; at < end; at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) line_end = end;
        if ((value = field(at, line_end, "event", 5)) != NULL) {
            event.type = value;
            event.type_length = (size_t)(line_end - value);
        } else if ((value = field(at, line_end, "data", 4)) != NULL) {
            if (event.data == NULL) event.data = value;
            event.data_length = (size_t)(line_end - event.data);
        }
    }
    if (event.data != NULL) stream->handler(connection, &event);
}

static bool take_events(Connection *connection) {
    EventStream *stream = connection->context;
    if (!connection->target->fastcgi && !stream->headed) {
        if (!read_head(connection, stream)) return false;
        if (!stream->headed) return true;
    }
    bool goes_on = unwrap(connection, stream);
    if (!stream->headed) {
        if (!read_head(connection, stream)) return false;
        if (!stream->headed) return goes_on;
    }
    const char *at = connection->input, *text_end = connection->input + stream->text;
    for (const char *end; (end = memmem(at, (size_t)(text_end - at), "\n\n", 2)) != NULL; at = end + 2) {
        read_event(connection, stream, at, end);
    }
    if (at != connection->input) consume(connection, stream, (size_t)(at - connection->input));
    return goes_on;
}

void events_expect(Connection *connection, EventStream *stream, EventHandler handler) {
    *stream = (EventStream){.handler = handler};
    connection->taker = take_events;
    connection->context = stream;
}

bool event_is(const Event *event, const char *type) {
    return event->type_length == strlen(type) && memcmp(event->type, type, event->type_length) == 0;
}
