// How this process was started, as the C library was told before any other code ran.
#ifndef HOLDFAST_CSTART_H
#define HOLDFAST_CSTART_H

/// How many arguments there are, the program's name among them; -1 where the C library did not say.
int cstart_argument_count(void);

/// One of them; NULL beyond the last.
const char *cstart_argument(int index);

/// SIGTERM, SIGINT and SIGHUP are blocked from the first moment on. Those that came, and come, have their usual effect
/// from here.
void cstart_let_signals_through(void);

#endif
