// Modes bus and lines: publishing without FastCGI, as fast as it is taken.
//
//   bus    clients of the bus socket send `publish`, each with so many commands under way
//   lines  one writer fills a named pipe that Holdfast or `holdfast pub --lines` reads, until the last line is committed
//
// Compares what was acknowledged or written with what the responder's `status` reports as committed meanwhile:
//
//   missing     commands without an answer after 3 s of silence
//   lost        acknowledged (a line: written) and not committed
//   duplicated  committed beyond that
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

enum { CONNECTIONS_MAX = 999, LINE_BYTES = MESSAGE_BYTES + 1, LINES_MAX = 100000000 };
static const uint64_t idle_ns = 3000000000u, settle_ns = 100000000;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/// Waits at most 5 s for the bus socket: Holdfast creates it when the log is open, a little after the FastCGI socket.
static int connect_bus(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", options.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    for (uint64_t end_ns = now_ns() + 5000000000u; connect(fd, (struct sockaddr *)&address, sizeof address) != 0;) {
        if (now_ns() > end_ns) fail(options.socket);
        usleep(10000);
    }
    return fd;
}

static void write_all(int fd, const char *bytes, size_t length) {
    for (ssize_t done; length > 0; bytes += done, length -= (size_t)done) {
        done = write(fd, bytes, length);
        if (done < 0 && errno != EINTR) fail("write");
        if (done < 0) done = 0;
    }
}

/// The number of messages that the responder reports as committed since its start.
static uint64_t committed(void) {
    static int fd = -1;
    static const char log_key[] = "\"log\":{", key[] = "\"messages\":";
    char answer[8192];
    size_t length = 0;
    if (fd < 0) fd = connect_bus();
    write_all(fd, "status\n", 7);
    do {
        struct pollfd socket = {.fd = fd, .events = POLLIN};
        if (poll(&socket, 1, 5000) != 1) fail("no status within 5 s");
        ssize_t got = read(fd, answer + length, sizeof answer - 1 - length);
        if (got <= 0) fail("status");
        length += (size_t)got;
    } while (answer[length - 1] != '\n');
    answer[length] = 0;
    const char *log = strstr(answer, log_key), *count = log != NULL ? strstr(log, key) : NULL;
    if (count == NULL) fail("status without log.messages");
    return strtoull(count + sizeof key - 1, NULL, 10);
}

static void print_committed(uint64_t count, uint64_t least, uint64_t most) {
    printf("lost=%llu\nduplicated=%llu\n", (unsigned long long)(count < least ? least - count : 0),
           (unsigned long long)(count > most ? count - most : 0));
}

static uint64_t settled(uint64_t before) {
    usleep((useconds_t)(settle_ns / 1000));  // duplicates may come behind the last message
    return committed() - before;
}

static const char *text(void) { return publish_request(&(Stamp){0})->body; }

// MARK: bus

typedef struct {
    uint32_t under_way;
    size_t length;
    char input[32 << 10];  // more than the answers to OUTSTANDING_MAX commands
} Client;

static struct {
    Client *clients;
    struct pollfd sockets[CONNECTIONS_MAX];
    char *commands;  // `options.outstanding` of them
    size_t command_length;
    uint64_t sent, acknowledged, refused;
    bool ending;
} bus;

static uint64_t unanswered(void) { return bus.sent - bus.acknowledged - bus.refused; }

/// Does not block: the socket's buffer has room for all commands.
static void send_commands(uint32_t index) {
    uint32_t count = options.outstanding - bus.clients[index].under_way;
    write_all(bus.sockets[index].fd, bus.commands, count * bus.command_length);
    bus.clients[index].under_way += count;
    bus.sent += count;
}

static void take_answers(uint32_t index) {
    static const char good[] = "{\"kind\":\"ok\"";
    Client *client = &bus.clients[index];
    ssize_t got = read(bus.sockets[index].fd, client->input + client->length, sizeof client->input - client->length);
    if (got <= 0) fail("the bus socket ended");
    client->length += (size_t)got;
    char *at = client->input, *end = at + client->length;
    for (char *line_end; (line_end = memchr(at, '\n', (size_t)(end - at))) != NULL; at = line_end + 1) {
        bool is_good = (size_t)(line_end - at) >= sizeof good - 1 && memcmp(at, good, sizeof good - 1) == 0;
        bus.acknowledged += is_good;
        bus.refused += !is_good;
        client->under_way--;
    }
    client->length = (size_t)(end - at);
    memmove(client->input, at, client->length);
    if (!bus.ending) send_commands(index);
}

static void turn(void) {
    if (poll(bus.sockets, options.connections, 10) <= 0) return;
    for (uint32_t i = 0; i < options.connections; i++) {
        if (bus.sockets[i].revents != 0) take_answers(i);
    }
}

int run_bus(void) {
    char command[32 + MESSAGE_BYTES];
    bus.command_length = (size_t)sprintf(command, "publish bench %s\n", text());
    bus.commands = malloc(options.outstanding * bus.command_length);
    for (uint32_t i = 0; i < options.outstanding; i++) {
        memcpy(bus.commands + i * bus.command_length, command, bus.command_length);
    }
    bus.clients = calloc(options.connections, sizeof *bus.clients);
    uint64_t before = committed(), warm_ns = now_ns() + 200000000;
    for (uint32_t i = 0; i < options.connections; i++) {
        bus.sockets[i] = (struct pollfd){.fd = connect_bus(), .events = POLLIN};
        send_commands(i);
    }
    while (now_ns() < warm_ns) turn();
    uint64_t first = bus.acknowledged, end_ns = now_ns() + (uint64_t)(options.seconds * 1e9);
    CpuSample from = cpu_sample();
    while (now_ns() < end_ns) turn();
    CpuSample to = cpu_sample();
    double counted = (double)(bus.acknowledged - first);

    bus.ending = true;
    for (uint64_t left = unanswered(), moved_ns = now_ns(); left > 0 && now_ns() < moved_ns + idle_ns;) {
        turn();
        if (unanswered() < left) moved_ns = now_ns();
        left = unanswered();
    }
    printf("per_second=%.0f\nsent=%llu\nfailed=%llu\nmissing=%llu\n", counted * 1e9 / (double)(to.at_ns - from.at_ns),
           (unsigned long long)bus.sent, (unsigned long long)bus.refused, (unsigned long long)unanswered());
    print_committed(settled(before), bus.acknowledged, bus.acknowledged + unanswered());
    print_cpu(&from, &to, counted);
    return bus.acknowledged == 0;
}

// MARK: lines

int run_lines(void) {
    // PIPE_BUF at a time: a pipe that is not full takes that much at once.
    static char lines[4096 / LINE_BYTES * LINE_BYTES];
    for (char *line = lines; line < lines + sizeof lines; line += LINE_BYTES) {
        memcpy(line, text(), MESSAGE_BYTES);
        line[MESSAGE_BYTES] = '\n';
    }
    int fd = options.lines_path != NULL ? open(options.lines_path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0) fail("--to");
    uint64_t before = committed(), written = 0, count = 0;
    uint64_t end_ns = now_ns() + (uint64_t)(options.seconds * 1e9);
    CpuSample from = cpu_sample();
    while (now_ns() < end_ns && written < LINES_MAX) {
        struct pollfd pipe = {.fd = fd, .events = POLLOUT};
        if (poll(&pipe, 1, 10) <= 0) continue;
        write_all(fd, lines, sizeof lines);
        written += sizeof lines / LINE_BYTES;
    }
    for (uint64_t moved_ns = now_ns(), last = 0; count < written && now_ns() < moved_ns + idle_ns; last = count) {
        usleep(1000);
        count = committed() - before;
        if (count > last) moved_ns = now_ns();
    }
    CpuSample to = cpu_sample();
    printf("per_second=%.0f\nwritten=%llu\n", (double)count * 1e9 / (double)(to.at_ns - from.at_ns),
           (unsigned long long)written);
    print_committed(settled(before), written, written);
    print_cpu(&from, &to, (double)count);
    close(fd);
    return written == 0;
}
