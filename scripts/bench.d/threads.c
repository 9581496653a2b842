// A yardstick: a responder on libfcgi as responders are usually written, with blocking FCGX_Accept_r and FCGX_Finish_r in
// threads. It answers every request at once with an empty JSON batch. It cannot hold thousands of requests.
//
//   threads SOCKET COUNT
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

static int listener;

static void *answer_requests(void *none) {
    static const char body[] = "{\"cursor\":\"f-1\",\"messages\":[],\"more\":false,\"gap\":null}";
    FCGX_Request request;
    (void)none;
    if (FCGX_InitRequest(&request, listener, 0) != 0) return NULL;
    while (FCGX_Accept_r(&request) == 0) {
        char drain[4096];
        while (FCGX_GetStr(drain, sizeof drain, request.in) > 0) continue;
        const char *uri = FCGX_GetParam("REQUEST_URI", request.envp);
        FCGX_FPrintF(request.out,
                     "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: %s\r\nContent-Length: %d\r\n\r\n",
                     uri != NULL && strchr(uri, '?') != NULL ? "no-store" : "no-cache", (int)sizeof body - 1);
        FCGX_PutStr(body, sizeof body - 1, request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int main(int argc, char **argv) {
    int count = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: threads SOCKET COUNT\n");
        return 2;
    }
    // libfcgi waits up to this long for the peer's close in each thread; with 0, libfcgi is measured and not the wait.
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 0);
    if (FCGX_Init() != 0) return 1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    listener = FCGX_OpenSocket(argv[1], 4096);
    pthread_t thread;
    for (int i = 0; i < count; i++) {
        if (pthread_create(&thread, NULL, answer_requests, NULL) != 0) return 1;
    }
    for (;;) pause();
}
