// How this process was started, as told to the C library before any other code ran.
#ifndef HOLDFAST_CSTART_H
#define HOLDFAST_CSTART_H

/// The number of arguments, including the program's name; -1 if the C library did not give it.
int cstart_argument_count(void);

/// One of the arguments; NULL after the last.
const char *cstart_argument(int index);

/// SIGTERM, SIGINT and SIGHUP are blocked from the first moment on. From this call on, those that arrived before, and
/// later ones, have their default effect.
void cstart_let_signals_through(void);

#endif
