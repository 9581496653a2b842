// Swift reads its list of arguments from /proc, which may be missing: `holdfast --help` would then run as `holdfast`,
// and serve. And a signal that arrives while libraries and options are read would end a process that should first
// answer all held requests.
#include "cstart.h"

#include <signal.h>
#include <stddef.h>

static int count = -1;
static char **arguments;

extern int main(int, char **);
// SwiftPM's name for the entry of the executable of this name, and the same function as main in the executable itself.
extern int holdfast_main(int, char **) __attribute__((weak));

static sigset_t signals_of_serve(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void note_start(int given, char **values, char **environment) {
    (void)environment;
    count = given;
    arguments = values;
    // The tests link this object, too.
    if (holdfast_main != NULL && main != holdfast_main) return;
    sigset_t set = signals_of_serve();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

// Called before the initialisers of all libraries, with the arguments of main.
__attribute__((section(".preinit_array"), used)) static void (*const at_start)(int, char **, char **) = note_start;

int cstart_argument_count(void) { return count; }

const char *cstart_argument(int index) { return index >= 0 && index < count ? arguments[index] : NULL; }

void cstart_let_signals_through(void) {
    sigset_t set = signals_of_serve();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
