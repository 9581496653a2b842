// The load generator: one thread, epoll, raw sockets, loopback only. scripts/bench drives it.
//
//   load MODE [TARGET] [OPTION…]
//   MODE    hold     hold subscribers, publish once, time the answers and check that each got exactly that message
//           rate     immediate answers a second, closed loop
//           publish  acknowledged publishes a second, closed loop
//           repoll   re-polling subscribers at a rate of numbered messages: lost, duplicated, misordered
//           streams  hold event streams, publish once a second to all, time it and check that each got every message once
//           flow     event streams on several channels at a rate of numbered messages; --search: finds the highest rate
//                    that they keep up with
//           bus      publishes a second by clients of the bus socket, each with --outstanding commands under way
//           lines    lines a second that a named pipe takes, until the last is committed
//           ready    exit 0 as soon as the target answers instant_path with anything
//           port     print a free TCP port
//   TARGET  --http PORT | --fcgi SOCKET [--keep]; of bus and lines --socket BUS-SOCKET; port has none
//   OPTION  --publish-fcgi SOCKET     repoll: publish there, at another process on the same bus
//           --to PIPE                 lines: write there
//           --instant-list FILE       rate, with --no-cursor: ask its lines in turn instead of instant_path
//           --pages                   hold, repoll: poll as pages do with -/holdfast.js, each with a subscriber of its own
//           --dialect push|nchan  --poll PATH  --instant PATH  --publish PATH  --no-cursor
//           --count N  --grow-from N  --rounds N  --connections N  --outstanding N  --publishers N  --rate N
//           --channels N  --search  --seconds S
//           --group NAME=PID[,PID…]   whose CPU and memory to report; up to four
//
// Prints key=value lines. Exit status: 0 measured, 1 not measured, 2 wrong usage. Losses are results, not errors.
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COUNT_MAX = 20000, SECONDS_MAX = 120 };

Options options = {.poll_path = "/push/bench",
                   .instant_path = "/push/bench",
                   .publish_path = "/push/bench",
                   .count = 1000,
                   .rounds = 3,
                   .connections = 16,
                   .outstanding = 1,
                   .publishers = 4,
                   .rate = 100,
                   .channels = 1,
                   .seconds = 2};

// MARK: shared by the modes

bool wait_quiet(double seconds) {
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), before = 0;
    int calm = 0;
    for (int i = 0; i < group_count; i++) before += group_cpu_ns(&groups[i]);
    while (calm < 5 && now_ns() < end) {
        uint64_t turn_end = now_ns() + 10000000, after = 0;
        while (now_ns() < turn_end) client_turn(10);
        for (int i = 0; i < group_count; i++) after += group_cpu_ns(&groups[i]);
        calm = after - before < 100000 ? calm + 1 : 0;  // below 1 % of a CPU
        before = after;
    }
    return calm >= 5;
}

void print_cpu(const CpuSample *from, const CpuSample *to, double operations) {
    for (int i = 0; i < group_count; i++) {
        double used = (double)(to->group_ns[i] - from->group_ns[i]) / 1000;
        printf("cpu_us_%s=%.2f\n", groups[i].name, operations > 0 ? used / operations : 0);
    }
    printf("foreign_percent=%.0f\n", foreign_percent(from, to));
}

void print_growth(const MemorySample small[], const MemorySample full[], const CpuSample *from, const CpuSample *to,
                  double grown) {
    for (int i = 0; i < group_count && grown > 0; i++) {
        const char *name = groups[i].name;
        printf("user_bytes_%s=%.0f\n", name, ((double)full[i].user_bytes - (double)small[i].user_bytes) / grown);
        printf("shared_bytes_%s=%.0f\n", name, ((double)full[i].shared_bytes - (double)small[i].shared_bytes) / grown);
        printf("pss_bytes_%s=%.0f\n", name, ((double)full[i].pss_bytes - (double)small[i].pss_bytes) / grown);
        printf("descriptors_%s=%.2f\n", name, (full[i].descriptors - small[i].descriptors) / grown);
        printf("setup_us_%s=%.1f\n", name, (double)(to->group_ns[i] - from->group_ns[i]) / 1000 / grown);
        printf("resident_%s=%llu\n", name, (unsigned long long)full[i].user_bytes);
    }
}

// MARK: rate and publish: closed loops over a number of connections

static struct {
    Connection *connections;
    Place place;
    uint64_t end_ns, *sent_ns, done, failed;
    Stamp *stamps;
    Histogram latencies;
    bool counting;
} loop;

static struct {
    char *text, *next;
} list;

/// The next line of the list, from the first again after the last.
static const char *next_path(void) {
    if (list.text == NULL) return options.instant_path;
    char *path = list.next;
    list.next += strlen(path) + 1;
    if (*list.next == 0) list.next = list.text;
    return path;
}

/// Each line ends with a zero byte then, and the list with another one.
static bool read_list(const char *name) {
    FILE *file = fopen(name, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return false;
    long length = ftell(file);
    rewind(file);
    list.text = list.next = calloc((size_t)length + 1, 1);
    if (list.text == NULL || length == 0 || fread(list.text, 1, (size_t)length, file) != (size_t)length) return false;
    fclose(file);
    for (char *at = list.text; at < list.text + length; at++) {
        if (*at == '\n') *at = 0;
    }
    return list.text[0] != 0 && list.text[length - 1] == 0;
}

static void loop_send(Connection *connection, uint64_t at_ns) {
    static Request plain;
    uint64_t now = now_ns();
    loop.sent_ns[connection->index] = now;
    if (loop.stamps != NULL) {
        loop.stamps[connection->index].sent_ns = now;
        client_send(connection, publish_request(&loop.stamps[connection->index]), at_ns);
        loop.stamps[connection->index].number++;
    } else if (options.no_cursor) {
        plain = (Request){.method = "GET", .path = next_path()};
        client_send(connection, &plain, at_ns);
    } else {
        client_send(connection, poll_request(&loop.place, false), at_ns);
    }
}

static void loop_answered(Connection *connection, const Answer *answer) {
    uint64_t now = now_ns();
    bool good = answer->status == 304 || (answer->status >= 200 && answer->status < 300);
    if (loop.counting) {
        loop.done += good;
        loop.failed += !good;
        if (good) histogram_add(&loop.latencies, now - loop.sent_ns[connection->index]);
    }
    if (now < loop.end_ns) loop_send(connection, good ? 0 : now + 10000000);
}

static void first_answered(Connection *connection, const Answer *answer) {
    (void)connection;
    loop.failed += answer->status / 100 != 2 || (!options.no_cursor && !place_advance(&loop.place, answer));
    loop.done++;
}

/// Publishes one message and stores its cursor, so that polls can ask for newer ones.
static int take_cursor(void) {
    Connection *connection = client_connections(1, &options.target);
    connection->handler = first_answered;
    options.no_cursor = true;
    client_send(connection, publish_request(&(Stamp){.sent_ns = now_ns()}), 0);
    for (uint64_t end = now_ns() + 5000000000u; loop.done < 1 && now_ns() < end;) client_turn(10);
    options.no_cursor = false;
    if (loop.done < 1 || loop.failed > 0) return 1;
    client_send(connection, &(Request){.method = "GET", .path = options.instant_path}, 0);
    for (uint64_t end = now_ns() + 5000000000u; loop.done < 2 && now_ns() < end;) client_turn(10);
    client_close(connection);
    return loop.done < 2 || loop.failed > 0;
}

static int run_loop(void) {
    loop.connections = client_connections(options.connections, &options.target);
    loop.sent_ns = calloc(options.connections, sizeof *loop.sent_ns);
    loop.latencies = histogram_new();
    loop.done = loop.failed = 0;
    uint64_t warm_ns = now_ns() + 200000000;
    loop.end_ns = warm_ns + (uint64_t)(options.seconds * 1e9);
    for (uint32_t i = 0; i < options.connections; i++) {
        loop.connections[i].handler = loop_answered;
        if (loop.stamps != NULL) loop.stamps[i].publisher = i;
        loop_send(&loop.connections[i], 0);
    }
    while (now_ns() < warm_ns) client_turn(10);
    loop.counting = true;
    CpuSample from = cpu_sample();
    while (now_ns() < loop.end_ns) client_turn(10);
    CpuSample to = cpu_sample();
    loop.counting = false;
    double seconds = (double)(to.at_ns - from.at_ns) / 1e9;
    printf("per_second=%.0f\ndone=%llu\nfailed=%llu\n", (double)loop.done / seconds, (unsigned long long)loop.done,
           (unsigned long long)loop.failed);
    printf("p50_ms=%.3f\np99_ms=%.3f\nmax_ms=%.3f\n", histogram_ms(&loop.latencies, 0.5),
           histogram_ms(&loop.latencies, 0.99), histogram_ms(&loop.latencies, 1));
    print_cpu(&from, &to, (double)loop.done);
    return loop.done == 0;
}

int run_rate(void) {
    if (!options.no_cursor && take_cursor() != 0) {
        fprintf(stderr, "load: no cursor from %s\n", options.instant_path);
        return 1;
    }
    return run_loop();
}

int run_publish(void) {
    loop.stamps = calloc(options.connections, sizeof *loop.stamps);
    return run_loop();
}

// MARK: the rest

static int ready_status;

static void ready_answered(Connection *connection, const Answer *answer) {
    (void)connection;
    ready_status = answer->status;
}

static int run_ready(void) {
    Connection *connection = client_connections(1, &options.target);
    connection->handler = ready_answered;
    Request request = {.method = "GET", .path = options.instant_path};
    uint64_t now, end = now_ns() + (uint64_t)(options.seconds * 1e9);
    while (ready_status == 0 && (now = now_ns()) < end) {
        if (!connection->busy) client_send(connection, &request, now + 10000000);
        client_turn(20);
    }
    return ready_status == 0;
}

static int print_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("load: port");
        return 1;
    }
    printf("%u\n", ntohs(address.sin_port));
    return 0;
}

static uint32_t number(const char *text, uint32_t least, uint32_t most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == 0 || *end != 0 || value < least || value > most) {
        fprintf(stderr, "load: %s: a number from %u to %u is allowed\n", text, least, most);
        exit(2);
    }
    return (uint32_t)value;
}

static int usage(void) {
    fprintf(stderr, "usage: load hold|rate|publish|repoll|streams|flow|ready --http PORT | --fcgi SOCKET [--keep] [option…]\n"
                    "       load bus|lines --socket SOCKET [option…]\n"
                    "       load port\n");
    return 2;
}

static const struct {
    const char *name;
    int (*run)(void);
    enum { NOWHERE, WEB, BUS } target;
} modes[] = {{"hold", run_hold, WEB},   {"rate", run_rate, WEB},       {"publish", run_publish, WEB}, {"repoll", run_repoll, WEB},
             {"flow", run_flow, WEB},   {"streams", run_streams, WEB}, {"ready", run_ready, WEB},     {"bus", run_bus, BUS},
             {"lines", run_lines, BUS}, {"port", print_port, NOWHERE}};

static bool take_fastcgi(Target *target, const char *path) {
    target->fastcgi = true;
    if (strlen(path) >= sizeof target->path) return false;
    strcpy(target->path, path);
    return true;
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"http", 1, NULL, 'h'},       {"fcgi", 1, NULL, 'f'},      {"keep", 0, NULL, 'k'},
        {"dialect", 1, NULL, 'd'},    {"poll", 1, NULL, 'o'},      {"instant", 1, NULL, 'i'},
        {"publish", 1, NULL, 'p'},    {"no-cursor", 0, NULL, 'n'}, {"count", 1, NULL, 'c'},
        {"grow-from", 1, NULL, 'g'},  {"rounds", 1, NULL, 'r'},    {"connections", 1, NULL, 'x'},
        {"rate", 1, NULL, 'R'},       {"publishers", 1, NULL, 'P'}, {"seconds", 1, NULL, 's'},
        {"group", 1, NULL, 'G'},      {"publish-fcgi", 1, NULL, 'F'}, {"socket", 1, NULL, 'S'},
        {"to", 1, NULL, 't'},         {"outstanding", 1, NULL, 'O'},
        {"channels", 1, NULL, 'C'},   {"search", 0, NULL, 'e'},    {"instant-list", 1, NULL, 'l'},
        {"pages", 0, NULL, 'a'},
        {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'h': options.target.port = (uint16_t)number(optarg, 1, 65535); break;
        case 'f':
            if (!take_fastcgi(&options.target, optarg)) return usage();
            break;
        case 'F':
            if (!take_fastcgi(&options.publish_target, optarg)) return usage();
            break;
        case 'S': options.socket = optarg; break;
        case 't': options.lines_path = optarg; break;
        case 'k': options.target.keep = true; break;
        case 'd': options.dialect = strcmp(optarg, "nchan") == 0 ? DIALECT_NCHAN : DIALECT_PUSH; break;
        case 'o': options.poll_path = optarg; break;
        case 'i': options.instant_path = optarg; break;
        case 'l':
            if (!read_list(optarg)) {
                fprintf(stderr, "load: %s is no list of lines\n", optarg);
                return 2;
            }
            break;
        case 'p': options.publish_path = optarg; break;
        case 'n': options.no_cursor = true; break;
        case 'c': options.count = number(optarg, 1, COUNT_MAX); break;
        case 'g': options.grow_from = number(optarg, 0, COUNT_MAX); break;
        case 'r': options.rounds = number(optarg, 1, 100); break;
        case 'x': options.connections = number(optarg, 1, 999); break;
        case 'O': options.outstanding = number(optarg, 1, OUTSTANDING_MAX); break;
        case 'C': options.channels = number(optarg, 1, CHANNELS_MAX); break;
        case 'e': options.search = true; break;
        case 'a': options.pages = true; break;
        case 'R': options.rate = number(optarg, 1, 20000); break;
        case 'P': options.publishers = number(optarg, 1, PUBLISHERS_MAX); break;
        case 's': options.seconds = number(optarg, 1, SECONDS_MAX); break;
        case 'G':
            if (!group_add(optarg)) return usage();
            break;
        default: return usage();
        }
    }
    size_t mode = 0, mode_count = sizeof modes / sizeof *modes;
    while (mode < mode_count && (optind != argc - 1 || strcmp(argv[optind], modes[mode].name) != 0)) mode++;
    if (mode == mode_count) return usage();
    if (modes[mode].target == NOWHERE) return modes[mode].run();
    if (modes[mode].target == BUS && options.socket == NULL) return usage();
    if (modes[mode].target == WEB && options.target.fastcgi == (options.target.port != 0)) return usage();
    options.publish_target.keep = options.target.keep;
    if (!options.publish_target.fastcgi) options.publish_target = options.target;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    client_start();
    int status = modes[mode].run();
    if (modes[mode].run == run_ready) return status;
    printf("broken=%llu\nleftover=%llu\nstderr_records=%llu\n", (unsigned long long)client_counts.broken,
           (unsigned long long)client_counts.leftover, (unsigned long long)client_counts.stderr_records);
    return status;
}
