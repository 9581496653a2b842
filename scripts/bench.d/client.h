// Non-blocking requests to a web server (HTTP/1.1, kept connections, TCP) or straight to a responder (FastCGI over a
// Unix socket, kept or a connection each): one thread, one epoll, one request at a time on a connection.
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Where requests go.
typedef struct {
    bool fastcgi;
    char path[108];  // of the Unix socket
    uint16_t port;   // of the web server on 127.0.0.1
    bool keep;       // FCGI_KEEP_CONN; HTTP connections are always kept
} Target;

typedef struct {
    const char *method;
    const char *path;  // with the query
    const char *accept;         // NULL: none
    const char *extra_headers;  // HTTP lines, each ended by CRLF; ignored by FastCGI
    const char *content_type;   // NULL: no body
    const char *body;
    size_t body_length;
} Request;

/// A complete answer; the pointers are valid during the call that hands it over.
typedef struct {
    int status;  // 0: the connection broke before a complete answer came
    const char *head;
    size_t head_length;
    const char *body;
    size_t body_length;
} Answer;

typedef struct Connection Connection;
typedef void (*AnswerHandler)(Connection *connection, const Answer *answer);
/// Takes what it can from the input, which has just grown; false if the answer is over or malformed.
typedef bool (*InputTaker)(Connection *connection);

struct Connection {
    int fd;  // -1: closed
    uint32_t index;
    const Target *target;
    AnswerHandler handler;
    InputTaker taker;  // of an answer without end; the handler is then told of its end, by status 0
    void *context;     // the taker's
    bool busy;      // a request is under way
    bool arming;    // epoll is told of EPOLLOUT too
    bool waiting;   // its request goes out at `send_at`
    uint64_t send_at;
    char *output;
    size_t output_length, output_done, output_capacity;
    char *input;
    size_t input_length, input_capacity;
};

/// Counters for the whole run.
typedef struct {
    uint64_t connects, broken, leftover, stderr_records;
} ClientCounts;

extern ClientCounts client_counts;

void client_start(void);
/// The target must outlive the connections.
Connection *client_connections(uint32_t count, const Target *target);

/// Sends at `at_ns` (0: now). The connection must not be busy.
void client_send(Connection *connection, const Request *request, uint64_t at_ns);
void client_close(Connection *connection);

/// One turn: waits at most this many milliseconds for events, handles them, and sends what is due.
void client_turn(int milliseconds);

/// Copies the value of a header field into `to`; false if there is none or it does not fit.
bool answer_header(const Answer *answer, const char *name, char *to, size_t capacity);

#endif
