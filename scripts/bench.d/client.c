#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "meter.h"
#include "wire.h"

enum { EVENTS_PER_TURN = 512, INPUT_MAX = 16 << 20, RETRY_NS = 1000000 };

ClientCounts client_counts;
static int epoll_fd = -1;
static Connection **delayed;  // requests whose time has not come, in no order
static size_t delayed_count, delayed_capacity;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

void client_start(void) {
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll_create1");
}

Connection *client_connections(uint32_t count, const Target *target) {
    Connection *connections = calloc(count, sizeof *connections);
    if (connections == NULL) fail("calloc");
    for (uint32_t i = 0; i < count; i++) {
        connections[i].fd = -1;
        connections[i].index = i;
        connections[i].target = target;
    }
    return connections;
}

void client_close(Connection *connection) {
    if (connection->fd >= 0) close(connection->fd);
    connection->fd = -1;
    connection->arming = false;
}

/// 0: connected or under way; otherwise an errno.
static int open_connection(Connection *connection) {
    const Target *target = connection->target;
    int fd = socket(target->fastcgi ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    int result;
    if (target->fastcgi) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", target->path);
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    } else {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(target->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        result = connect(fd, (struct sockaddr *)&address, sizeof address);
    }
    if (result != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
    connection->fd = fd;
    connection->input_length = 0;
    client_counts.connects++;
    return 0;
}

static void delay(Connection *connection, uint64_t at_ns) {
    if (delayed_count == delayed_capacity) {
        delayed_capacity = delayed_capacity == 0 ? 1024 : delayed_capacity * 2;
        delayed = realloc(delayed, delayed_capacity * sizeof *delayed);
        if (delayed == NULL) fail("realloc");
    }
    connection->waiting = true;
    connection->send_at = at_ns;
    delayed[delayed_count++] = connection;
}

static void finish(Connection *connection, const Answer *answer) {
    connection->busy = false;
    if (answer->status == 0 && connection->taker == NULL) client_counts.broken++;
    connection->handler(connection, answer);
}

static void break_off(Connection *connection) {
    bool busy = connection->busy;
    client_close(connection);
    Answer none = {0};
    if (busy) finish(connection, &none);
}

/// Opens the connection if necessary, and writes as much as it takes.
static void push_output(Connection *connection) {
    if (connection->fd < 0) {
        int error = open_connection(connection);
        if (error != 0) {
            // A full backlog of a Unix socket is reported as EAGAIN at once: retries a little later.
            if (error == EAGAIN) delay(connection, now_ns() + RETRY_NS);
            else break_off(connection);
            return;
        }
    }
    while (connection->output_done < connection->output_length) {
        ssize_t sent = send(connection->fd, connection->output + connection->output_done,
                            connection->output_length - connection->output_done, MSG_NOSIGNAL);
        if (sent > 0) {
            connection->output_done += (size_t)sent;
        } else if (errno == EAGAIN || errno == ENOTCONN) {
            break;
        } else if (errno != EINTR) {
            break_off(connection);
            return;
        }
    }
    bool wanted = connection->output_done < connection->output_length;
    if (wanted != connection->arming) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wanted ? EPOLLOUT : 0), .data.ptr = connection};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) != 0) fail("epoll_ctl");
        connection->arming = wanted;
    }
}

static void reserve_output(Connection *connection, size_t bytes) {
    if (connection->output_capacity >= bytes) return;
    free(connection->output);
    connection->output = malloc(bytes);
    if (connection->output == NULL) fail("malloc");
    connection->output_capacity = bytes;
}

static void encode_http(Connection *connection, const Request *request) {
    reserve_output(connection, 768 + strlen(request->path) + request->body_length);
    char *to = connection->output;
    to += sprintf(to, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", request->method, request->path,
                  request->extra_headers != NULL ? request->extra_headers : "");
    if (request->accept != NULL) to += sprintf(to, "Accept: %s\r\n", request->accept);
    if (request->content_type != NULL) {
        to += sprintf(to, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", request->content_type, request->body_length);
        memcpy(to, request->body, request->body_length);
        to += request->body_length;
    } else {
        to += sprintf(to, "\r\n");
    }
    connection->output_length = (size_t)(to - connection->output);
}

/// The variables that nginx sends with Debian's fastcgi_params, as far as a responder cares.
static void encode_fastcgi(Connection *connection, const Request *request) {
    uint8_t params[4096], *pair = params;
    char length[24];
    const char *query = strchr(request->path, '?');
    if (strlen(request->path) > 1024) fail("path too long");
    snprintf(length, sizeof length, "%zu", request->body_length);
    pair = wire_pair(pair, "QUERY_STRING", query != NULL ? query + 1 : "");
    pair = wire_pair(pair, "REQUEST_METHOD", request->method);
    pair = wire_pair(pair, "CONTENT_TYPE", request->content_type != NULL ? request->content_type : "");
    pair = wire_pair(pair, "CONTENT_LENGTH", request->content_type != NULL ? length : "");
    pair = wire_pair(pair, "REQUEST_URI", request->path);
    pair = wire_pair(pair, "SERVER_PROTOCOL", "HTTP/1.1");
    pair = wire_pair(pair, "REQUEST_SCHEME", "http");
    pair = wire_pair(pair, "GATEWAY_INTERFACE", "CGI/1.1");
    pair = wire_pair(pair, "SERVER_SOFTWARE", "bench/1");
    pair = wire_pair(pair, "REMOTE_ADDR", "127.0.0.1");
    pair = wire_pair(pair, "HTTP_HOST", "127.0.0.1");
    if (request->accept != NULL) pair = wire_pair(pair, "HTTP_ACCEPT", request->accept);

    reserve_output(connection, 8192 + wire_stream_bound(request->body_length));
    uint8_t *start = (uint8_t *)connection->output, *to = wire_header(start, FCGI_BEGIN, 1, 8);
    memcpy(to, (uint8_t[8]){0, 1, connection->target->keep}, 8);
    to = wire_stream(to + 8, FCGI_PARAMS, 1, params, (size_t)(pair - params));
    to = wire_header(to, FCGI_PARAMS, 1, 0);
    to = wire_stream(to, FCGI_STDIN, 1, request->body, request->body_length);
    to = wire_header(to, FCGI_STDIN, 1, 0);
    connection->output_length = (size_t)(to - start);
}

void client_send(Connection *connection, const Request *request, uint64_t at_ns) {
    if (connection->busy) fail("request on a busy connection");
    if (connection->target->fastcgi) encode_fastcgi(connection, request);
    else encode_http(connection, request);
    connection->output_done = 0;
    connection->busy = true;
    if (at_ns > 0) delay(connection, at_ns);
    else push_output(connection);
}

bool answer_header(const Answer *answer, const char *name, char *to, size_t capacity) {
    size_t name_length = strlen(name);
    const char *at = answer->head, *end = answer->head + answer->head_length;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) line_end = end;
        if ((size_t)(line_end - at) > name_length && at[name_length] == ':' && strncasecmp(at, name, name_length) == 0) {
            const char *value = at + name_length + 1, *stop = line_end;
            while (value < stop && *value == ' ') value++;
            while (stop > value && (stop[-1] == '\r' || stop[-1] == '\n')) stop--;
            if ((size_t)(stop - value) >= capacity) return false;
            memcpy(to, value, (size_t)(stop - value));
            to[stop - value] = 0;
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

/// Joins the chunks in place. Returns the bytes used of the input, 0 while the last chunk is missing, -1 if malformed.
static ssize_t join_chunks(char *body, size_t available, size_t *length, bool apply) {
    size_t at = 0;
    *length = 0;
    for (;;) {
        char *line_end = memchr(body + at, '\n', available - at);
        if (line_end == NULL) return 0;
        size_t size = strtoul(body + at, NULL, 16), data = (size_t)(line_end + 1 - body);
        if (size > INPUT_MAX) return -1;
        if (data + size + 2 > available) return 0;
        if (apply) memmove(body + *length, body + data, size);
        *length += size;
        at = data + size + 2;
        if (size == 0) return (ssize_t)at;
    }
}

/// Returns 1 if the answer is complete, 0 if more is to come, -1 if malformed; `used` is its length in the input.
static int parse_http(Connection *connection, Answer *answer, size_t *used, bool *last) {
    char *input = connection->input, *end = memmem(input, connection->input_length, "\r\n\r\n", 4), value[32];
    if (end == NULL) return 0;
    if (connection->input_length < 12 || memcmp(input, "HTTP/1.", 7) != 0) return -1;
    answer->status = atoi(input + 9);
    answer->head = input;
    answer->head_length = (size_t)(end - input) + 2;
    char *body = end + 4;
    size_t available = connection->input_length - (size_t)(body - input), length = 0;
    answer->body = body;
    if (answer_header(answer, "Content-Length", value, sizeof value)) {
        length = strtoul(value, NULL, 10);
        if (length > INPUT_MAX) return -1;
        if (available < length) return 0;
        *used = (size_t)(body - input) + length;
    } else if (answer_header(answer, "Transfer-Encoding", value, sizeof value)) {
        ssize_t taken = join_chunks(body, available, &length, false);
        if (taken <= 0) return (int)taken;
        join_chunks(body, available, &length, true);
        *used = (size_t)(body - input) + (size_t)taken;
    } else {
        *used = (size_t)(body - input);
    }
    answer->body_length = length;
    *last = answer_header(answer, "Connection", value, sizeof value) && strcasecmp(value, "close") == 0;
    return 1;
}

static int parse_fastcgi(Connection *connection, Answer *answer, size_t *used, bool *last) {
    uint8_t *input = (uint8_t *)connection->input;
    size_t at = 0, content = 0;
    for (;; at += wire_record(input + at)) {
        if (connection->input_length - at < WIRE_HEADER) return 0;
        if (input[at] != 1 || wire_id(input + at) > 1) return -1;
        if (connection->input_length - at < wire_record(input + at)) return 0;
        if (input[at + 1] == FCGI_END) break;
    }
    *used = at + wire_record(input + at);
    if (input[at + WIRE_HEADER + 4] != 0) return -1;  // protocolStatus other than FCGI_REQUEST_COMPLETE
    for (size_t from = 0, next; from < at; from = next) {
        size_t length = wire_length(input + from);
        next = from + wire_record(input + from);
        if (input[from + 1] == FCGI_STDOUT) {
            memmove(input + content, input + from + WIRE_HEADER, length);
            content += length;
        } else {
            client_counts.stderr_records++;
        }
    }
    char *end = memmem(input, content, "\r\n\r\n", 4), status[32];
    if (end == NULL) return -1;
    answer->head = connection->input;
    answer->head_length = (size_t)(end - connection->input) + 2;
    answer->body = end + 4;
    answer->body_length = content - (size_t)(end + 4 - connection->input);
    answer->status = answer_header(answer, "Status", status, sizeof status) ? atoi(status) : 200;
    *last = !connection->target->keep;
    return 1;
}

static void take_input(Connection *connection) {
    bool ended = false;
    for (;;) {
        if (connection->input_capacity - connection->input_length < 512) {
            if (connection->input_capacity >= INPUT_MAX) return break_off(connection);
            connection->input_capacity = connection->input_capacity == 0 ? 1024 : connection->input_capacity * 4;
            connection->input = realloc(connection->input, connection->input_capacity);
            if (connection->input == NULL) fail("realloc");
        }
        size_t room = connection->input_capacity - connection->input_length;
        ssize_t got = recv(connection->fd, connection->input + connection->input_length, room, 0);
        if (got > 0) connection->input_length += (size_t)got;
        if (got > 0 && connection->taker != NULL && !connection->taker(connection)) return break_off(connection);
        if (got == (ssize_t)room) continue;
        ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        break;
    }
    if (connection->input_length > 0 && connection->busy && connection->taker == NULL) {
        Answer answer = {0};
        size_t used = 0;
        bool last = false;
        int complete = connection->target->fastcgi ? parse_fastcgi(connection, &answer, &used, &last)
                                                   : parse_http(connection, &answer, &used, &last);
        if (complete < 0) return break_off(connection);
        if (complete > 0) {
            if (used < connection->input_length) client_counts.leftover++;
            connection->input_length = 0;
            if (last || ended) client_close(connection);
            return finish(connection, &answer);
        }
    }
    if (ended) break_off(connection);
}

/// Sends the delayed requests that are due; returns milliseconds until the next one, at most `milliseconds`.
static int send_due(int milliseconds) {
    if (delayed_count == 0) return milliseconds;
    uint64_t now = now_ns();
    for (size_t i = 0; i < delayed_count;) {
        Connection *connection = delayed[i];
        if (connection->send_at <= now) {
            delayed[i] = delayed[--delayed_count];
            connection->waiting = false;
            push_output(connection);
        } else {
            uint64_t left = (connection->send_at - now) / 1000000 + 1;
            if (left < (uint64_t)milliseconds) milliseconds = (int)left;
            i++;
        }
    }
    return milliseconds;
}

void client_turn(int milliseconds) {
    static struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, send_due(milliseconds));
    for (int i = 0; i < count; i++) {
        Connection *connection = events[i].data.ptr;
        // A handler may have closed or reopened another connection of this batch; reading from it returns EAGAIN.
        if (connection->fd < 0) continue;
        if (events[i].events & EPOLLOUT) push_output(connection);
        if (connection->fd >= 0 && events[i].events & ~(uint32_t)EPOLLOUT) take_input(connection);
    }
    send_due(0);
}
