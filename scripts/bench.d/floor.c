// A yardstick: about the least that a FastCGI responder can do. One thread with epoll holds GETs with `wait=` and answers
// all of them when a POST arrives, or at once from a ring of the newest messages. It has one channel, keeps nothing on
// disk, and has no limits, deadlines or checks: it is not a product. It implements what the bench needs of the JSON
// interface, of server-sent events (for `Accept: text/event-stream`, from now on) and, on the same socket, of the bus
// socket's lines: `publish bench TEXT` and `status`.
//
//   floor SOCKET [FAULT:K | alike]
//
// With `alike`, its answers have the header fields and the bodies of holdfast's: what a web server does with them costs
// as much.
//
// With a fault, it makes a known mistake with every K-th message or holder, to prove the counting:
//   drop      acknowledged and never delivered     corrupt   one digit of the message is altered
//   repeat    delivered twice                      gap       reported as a gap, and delivered
//   swap      delivered after the message behind it (K must not divide the number of messages)
//   diverge   delivered together with the message behind it; connections with an odd descriptor see the first two
//             messages of an answer swapped
//   skip      every K-th holder or line is not     early     every K-th poll is answered empty instead of held; every
//             answered; every K-th stream gets               K-th stream ends after its first event
//             nothing                              refuse    every K-th line is refused
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "call.h"
#include "wire.h"

enum { RING = 4096, ANSWER_MESSAGES = 1000, READ_MAX = 256 << 10, EVENTS = 512, MESSAGE_MAX = 32 << 10 };
enum { LINE_ANSWERS_MAX = 64 << 10, LINE_ANSWER_MAX = 128 };

typedef struct {
    uint64_t since;
    uint32_t generation;  // 0: not held
    uint16_t id;
    bool open, keep, closing;
    bool streaming;  // stays held; `since` is the last message it was sent
    char *rest;  // an incomplete request, or with `sending` an answer the peer has not taken
    uint32_t rest_length;
    bool sending;
} Peer;

static Peer *peers;  // by descriptor
static uint32_t *holders, holder_count, generations;  // descriptors; stale entries have another generation
static uint32_t *holder_generations;
static size_t peer_limit;
static int epoll_fd;

static struct {
    char *text;
    uint32_t length;
} ring[RING];
static uint64_t newest;  // messages are numbered from 1

/// Before the number of a cursor.
static const char *log_name = "f-";
static bool alike;

static const char *fault = "";
static uint64_t fault_step = 1, posted, polls;

static bool faulty(const char *name, uint64_t count) { return strcmp(fault, name) == 0 && count % fault_step == 0; }

// MARK: answers

static uint8_t *answer;  // the encoded answer, and for which request it is
static size_t answer_length;
static struct {
    uint64_t since, newest;
    uint16_t id;
    bool odd, events, waits, valid;
} answer_for;

static void encode_answer(const char *head, const char *content, size_t length, uint16_t id) {
    static char *text;
    if (text == NULL) text = malloc(ANSWER_MESSAGES * (MESSAGE_MAX + 256) + 1024);
    int head_length = sprintf(text, "%sContent-Length: %zu\r\n\r\n", head, length);
    memcpy(text + head_length, content, length);
    uint8_t *to = wire_stream(answer, FCGI_STDOUT, id, text, (size_t)head_length + length);
    to = wire_header(to, FCGI_END, id, 8);
    memset(to, 0, 8);
    answer_length = (size_t)(to + 8 - answer);
}

static bool is_encoded(uint64_t since, uint16_t id, bool odd, bool events, bool waits) {
    return answer_for.valid && answer_for.since == since && answer_for.newest == newest && answer_for.id == id &&
           answer_for.odd == odd && answer_for.events == events && answer_for.waits == waits;
}

static void encoded(uint64_t since, uint16_t id, bool odd, bool events, bool waits) {
    answer_for.since = since;
    answer_for.newest = newest;
    answer_for.id = id;
    answer_for.odd = odd;
    answer_for.events = events;
    answer_for.waits = waits;
    answer_for.valid = true;
}

static char *write_message(char *at, uint64_t n) {
    at += sprintf(at, "{\"id\":\"%s%llx\",\"channel\":\"bench\",\"time\":\"2026-01-31T12:00:00.123Z\",\"data\":", log_name,
                  (unsigned long long)n);
    memcpy(at, ring[n % RING].text, ring[n % RING].length);
    at += ring[n % RING].length;
    *at++ = '}';
    return at;
}

/// The fields of every answer that holdfast gives to these requests.
#define ALIKE "Vary: Accept, Origin\r\nX-Content-Type-Options: nosniff\r\n"

static const char *batch_head(uint64_t cursor, bool waits) {
    static char head[512];
    if (!alike) return "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n";
    sprintf(head,
            "Status: 200 OK\r\n" ALIKE "Content-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n"
            "Link: <?%ssince=%s%llx>; rel=\"next\"\r\n",
            waits ? "wait=55&" : "", log_name, (unsigned long long)cursor);
    return head;
}

static void encode_batch(uint64_t since, uint16_t id, bool odd, bool waits) {
    static char *content;
    if (content == NULL) content = malloc(ANSWER_MESSAGES * (MESSAGE_MAX + 256));
    if (is_encoded(since, id, odd, false, waits)) return;
    uint64_t oldest = newest > RING ? newest - RING : 0, from = since < oldest ? oldest : since;
    uint64_t to = newest - from > ANSWER_MESSAGES ? from + ANSWER_MESSAGES : newest;
    bool gap = since < oldest;
    char *at = content + sprintf(content, "{\"cursor\":\"%s%llx\",\"messages\":[", log_name, (unsigned long long)to);
    for (uint64_t i = from + 1; i <= to; i++) {
        uint64_t n = i;
        if (odd && strcmp(fault, "diverge") == 0 && to - from >= 2 && i <= from + 2) n = from + from + 3 - i;
        if (i > from + 1) *at++ = ',';
        at = write_message(at, n);
        gap = gap || faulty("gap", n);
    }
    at += sprintf(at, "],\"more\":%s,\"gap\":%s}%s", to < newest ? "true" : "false",
                  gap ? "{\"reason\":\"trimmed\",\"resumed\":\"f-0\"}" : "null", alike ? "\n" : "");
    encode_answer(batch_head(to, waits), content, (size_t)(at - content), id);
    encoded(since, id, odd, false, waits);
}

/// Encodes the messages newer than `since` in one record; with `first`, the header and the first event before them.
static void encode_events(uint64_t since, uint16_t id, bool first) {
    static char *content;
    if (content == NULL) content = malloc(ANSWER_MESSAGES * (MESSAGE_MAX + 256));
    if (!first && is_encoded(since, id, false, true, true)) return;
    char *at = content;
    if (first) {
        at += sprintf(at, "Status: 200 OK\r\n%sid: %s%llx\nevent: hello\ndata: {}\n\n",
                      alike ? ALIKE "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store, no-transform\r\n"
                                    "X-Accel-Buffering: no\r\nIncremental: ?1\r\n\r\nretry: 2000\n"
                            : "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n",
                      log_name, (unsigned long long)since);
    }
    for (uint64_t n = since + 1; n <= newest; n++) {
        if (faulty("gap", n)) at += sprintf(at, "event: gap\ndata: {\"reason\":\"trimmed\"}\n\n");
        at += sprintf(at, "id: %s%llx\ndata: ", log_name, (unsigned long long)n);
        at = write_message(at, n);
        *at++ = '\n';
        *at++ = '\n';
    }
    answer_length = (size_t)(wire_stream(answer, FCGI_STDOUT, id, content, (size_t)(at - content)) - answer);
    encoded(since, id, false, true, true);
    answer_for.valid = !first;
}

static void drop_peer(int fd) {
    free(peers[fd].rest);
    peers[fd] = (Peer){0};
    close(fd);
}

static void interest(int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

/// Sends the encoded answer; copies what the peer does not take at once, and sends it later.
static void send_answer(int fd) {
    Peer *peer = &peers[fd];
    if (!peer->streaming) peer->generation = 0;
    ssize_t sent = send(fd, answer, answer_length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) sent = 0;
    if (sent < 0) {
        peer->closing = true;
    } else if ((size_t)sent < answer_length) {
        peer->rest_length = (uint32_t)(answer_length - (size_t)sent);
        free(peer->rest);
        peer->rest = malloc(peer->rest_length);
        memcpy(peer->rest, answer + sent, peer->rest_length);
        peer->sending = true;
        interest(fd, EPOLLOUT);
    } else if (!peer->keep && !peer->streaming) {
        peer->closing = true;
    }
}

/// Sends a stream its new messages, unless earlier ones are unread; ends it if they are more than an answer holds.
static void send_events(int fd) {
    Peer *peer = &peers[fd];
    if (peer->sending || peer->since == newest) return;
    if (newest - peer->since > ANSWER_MESSAGES) {
        peer->closing = true;
        return;
    }
    encode_events(peer->since, peer->id, false);
    peer->since = newest;
    send_answer(fd);
}

static void send_rest(int fd) {
    Peer *peer = &peers[fd];
    ssize_t sent = send(fd, peer->rest, peer->rest_length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) drop_peer(fd);
        return;
    }
    peer->rest_length -= (uint32_t)sent;
    memmove(peer->rest, peer->rest + sent, peer->rest_length);
    if (peer->rest_length > 0) return;
    if (!peer->keep && !peer->streaming) return drop_peer(fd);
    peer->sending = false;
    interest(fd, EPOLLIN | EPOLLRDHUP);
    if (peer->streaming) send_events(fd);
    if (peer->closing) drop_peer(fd);
}

// MARK: publishing

static void append(const char *text, size_t length) {
    newest++;
    free(ring[newest % RING].text);
    ring[newest % RING].text = malloc(length);
    memcpy(ring[newest % RING].text, text, length);
    ring[newest % RING].length = (uint32_t)length;
}

/// Removes the entries of connections that were answered or closed.
static void forget_holders(void) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < holder_count; i++) {
        if (peers[holders[i]].generation != holder_generations[i]) continue;
        holders[left] = holders[i];
        holder_generations[left++] = holder_generations[i];
    }
    holder_count = left;
}

static void hold(int fd, uint64_t since) {
    Peer *peer = &peers[fd];
    peer->since = since;
    peer->generation = ++generations;
    holders[holder_count] = (uint32_t)fd;
    holder_generations[holder_count++] = peer->generation;
    if (holder_count == 2 * peer_limit) forget_holders();
}

/// Answers all holders first, and closes connections that are not kept in a second pass. Streams remain.
static void release_holders(void) {
    uint32_t count = holder_count;
    for (uint32_t i = 0; i < count; i++) {
        int fd = (int)holders[i];
        if (peers[fd].generation != holder_generations[i]) continue;
        if (faulty("skip", i + 1)) {
            if (!peers[fd].streaming) peers[fd].generation = 0;
            continue;
        }
        if (peers[fd].streaming) {
            send_events(fd);
            continue;
        }
        encode_batch(peers[fd].since, peers[fd].id, fd % 2 == 1, true);
        send_answer(fd);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (peers[holders[i]].closing) drop_peer((int)holders[i]);
    }
    forget_holders();
}

static void publish(const char *body, size_t length) {
    static char text[MESSAGE_MAX], held_back[MESSAGE_MAX];
    static size_t held_back_length;
    if (length > MESSAGE_MAX) length = MESSAGE_MAX;
    memcpy(text, body, length);
    posted++;
    if (faulty("drop", posted)) return;
    if (faulty("swap", posted) || faulty("diverge", posted)) {
        memcpy(held_back, text, length);
        held_back_length = length;
        return;
    }
    bool in_order = strcmp(fault, "diverge") == 0;
    if (in_order && held_back_length > 0) append(held_back, held_back_length);
    char *stamp = faulty("corrupt", posted) ? memmem(text, length, "\"bench\":\"", 9) : NULL;
    if (stamp != NULL) stamp[9 + 32] = stamp[9 + 32] == '0' ? '1' : '0';
    append(text, length);
    if (faulty("repeat", posted)) append(text, length);
    if (!in_order && held_back_length > 0) append(held_back, held_back_length);
    held_back_length = 0;
    release_holders();
}

// MARK: requests

static void serve(int fd, const Call *call) {
    Peer *peer = &peers[fd];
    peer->keep = call->keep;
    peer->id = call->id;
    if (call->post) {
        char content[96], head[512];
        publish(call->body, call->body_length);
        int length = sprintf(content, "{\"status\":\"sent\",\"id\":\"%s%llx\",\"cursor\":\"%s%llx\"}%s", log_name,
                             (unsigned long long)newest, log_name, (unsigned long long)newest, alike ? "\n" : "");
        if (alike) {
            sprintf(head,
                    "Status: 201 Created\r\n" ALIKE "Content-Type: application/json; charset=utf-8\r\n"
                    "Cache-Control: no-store\r\nLocation: /push/-/messages/%s%llx\r\n",
                    log_name, (unsigned long long)newest);
        } else {
            strcpy(head, "Status: 201 Created\r\nContent-Type: application/json\r\n");
        }
        encode_answer(head, content, (size_t)length, call->id);
        answer_for.valid = false;
        send_answer(fd);
    } else if (call->stream) {
        peer->streaming = true;
        hold(fd, newest);
        encode_events(newest, call->id, true);
        send_answer(fd);
        peer->closing = peer->closing || faulty("early", ++polls);
    } else if (call->wait && call->since >= newest && !faulty("early", ++polls)) {
        hold(fd, call->since == UINT64_MAX ? newest : call->since);
    } else {
        encode_batch(call->since > newest ? newest : call->since, call->id, fd % 2 == 1, call->wait);
        send_answer(fd);
    }
}

/// Answers each line, and sends all answers together.
static void serve_lines(int fd, const char *line, const char *end) {
    static char answers[LINE_ANSWERS_MAX];
    static const char publish_word[] = "publish bench ", status[] = "status\n";
    char *to = answers;
    for (const char *next; line < end; line = next) {
        if (to + LINE_ANSWER_MAX > answers + sizeof answers) return drop_peer(fd);
        next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        const char *text = line + sizeof publish_word - 1;
        if (next - line == sizeof status - 1 && memcmp(line, status, sizeof status - 1) == 0) {
            to += sprintf(to, "{\"kind\":\"status\",\"log\":{\"messages\":%llu}}\n", (unsigned long long)newest);
        } else if (text >= next || memcmp(line, publish_word, sizeof publish_word - 1) != 0) {
            to += sprintf(to, "{\"kind\":\"error\"}\n");
        } else if (faulty("refuse", posted + 1)) {
            posted++;
            to += sprintf(to, "{\"kind\":\"error\"}\n");
        } else {
            publish(text, (size_t)(next - 1 - text));
            if (!faulty("skip", posted)) {
                to += sprintf(to, "{\"kind\":\"ok\",\"id\":\"%s%llx\"}\n", log_name, (unsigned long long)newest);
            }
        }
    }
    answer_for.valid = false;
    answer_length = (size_t)(to - answers);
    memcpy(answer, answers, answer_length);
    peers[fd].keep = true;
    send_answer(fd);
}

static void read_peer(int fd) {
    static uint8_t input[READ_MAX];
    Peer *peer = &peers[fd];
    size_t length = peer->rest_length;
    if (length > 0) memcpy(input, peer->rest, length);
    ssize_t got = recv(fd, input + length, READ_MAX - length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return drop_peer(fd);
    length += (size_t)got;
    Call call = {.since = UINT64_MAX};
    bool lines = input[0] != 1;  // no version of FastCGI
    size_t used = !lines ? read_call(input, length, &call) : input[length - 1] == '\n' ? length : 0;
    if (used == 0) {
        free(peer->rest);
        peer->rest = malloc(length);
        memcpy(peer->rest, input, length);
        peer->rest_length = (uint32_t)length;
        return;
    }
    free(peer->rest);
    peer->rest = NULL;
    peer->rest_length = 0;
    if (used != length || peer->generation != 0) return drop_peer(fd);  // pipelining, or an abort: not spoken here
    if (lines) serve_lines(fd, (const char *)input, (const char *)input + length);
    else serve(fd, &call);
    if (peers[fd].closing) drop_peer(fd);
}

// MARK: the loop

static void accept_peers(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if ((size_t)fd >= peer_limit) {
            close(fd);
            continue;
        }
        peers[fd] = (Peer){.open = true};
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: floor SOCKET [FAULT:K | alike]\n");
        return 2;
    }
    if (argc == 3 && strcmp(argv[2], "alike") == 0) {
        alike = true;
        log_name = "floor000-";
        argc = 2;
    }
    char *colon = argc == 3 ? strchr(argv[2], ':') : NULL;
    if (colon != NULL) {
        *colon = 0;
        fault = argv[2];
        fault_step = strtoull(colon + 1, NULL, 10);
        if (fault_step == 0) return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &files);
    peer_limit = files.rlim_cur;
    peers = calloc(peer_limit, sizeof *peers);
    holders = calloc(2 * peer_limit, sizeof *holders);
    holder_generations = calloc(2 * peer_limit, sizeof *holder_generations);
    answer = malloc(wire_stream_bound(ANSWER_MESSAGES * (MESSAGE_MAX + 256)) + 64);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
        perror(argv[1]);
        return 1;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_peers(listener);
            else if (!peers[fd].open) continue;  // dropped earlier in this turn
            else if (peers[fd].sending) send_rest(fd);
            else read_peer(fd);
        }
    }
}
