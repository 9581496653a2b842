// SIGBUS for pages beyond the end of a mapped file. Everything in the handler is a system call or an atomic access.
#define _GNU_SOURCE
#include "cguard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { PLACES = 16 };

static struct {
    /// 0: free.
    _Atomic uintptr_t start;
    _Atomic size_t bytes;
} places[PLACES];

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
static int is_installed;
static struct sigaction before;

static void handle(int signal, siginfo_t *info, void *context) {
    (void)context;
    uintptr_t at = (uintptr_t)info->si_addr;
    for (int place = 0; place < PLACES; place++) {
        uintptr_t start = atomic_load(&places[place].start);
        size_t bytes = atomic_load(&places[place].bytes);
        if (start == 0 || at < start || at - start >= bytes) continue;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        if (mmap((void *)start, bytes, PROT_READ, flags, -1, 0) != MAP_FAILED) return;
    }
    // Not of a guarded mapping: the access is repeated, and has its original effect.
    sigaction(signal, &before, NULL);
}

// A parent may have left the signal blocked, and a blocked one ends the process.
__attribute__((constructor)) static void unblock(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int cguard_add(void *start, size_t bytes) {
    int outcome = -1;
    pthread_mutex_lock(&changing);
    if (!is_installed) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        is_installed = sigaction(SIGBUS, &action, &before) == 0;
    }
    for (int place = 0; is_installed && outcome != 0 && place < PLACES; place++) {
        if (atomic_load(&places[place].start) != 0) continue;
        atomic_store(&places[place].bytes, bytes);
        atomic_store(&places[place].start, (uintptr_t)start);
        outcome = 0;
    }
    pthread_mutex_unlock(&changing);
    return outcome;
}

void cguard_remove(void *start) {
    pthread_mutex_lock(&changing);
    for (int place = 0; place < PLACES; place++) {
        if (atomic_load(&places[place].start) == (uintptr_t)start) atomic_store(&places[place].start, 0);
    }
    pthread_mutex_unlock(&changing);
}
