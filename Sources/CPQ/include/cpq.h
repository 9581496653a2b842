// PostgreSQL's client library, loaded on demand: libpq is not needed without [engine].
//
// Only what Holdfast calls is declared here, and libpq-fe.h is not included, so that a build does not need it either.
// The functions and numbers are those of libpq.so.5, whose interface has been the same since PostgreSQL 8.0.
#ifndef HOLDFAST_CPQ_H
#define HOLDFAST_CPQ_H

#include <stddef.h>

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

enum { cpq_ok = 0, cpq_bad = 1 };
/// What PQconnectPoll waits for.
enum { cpq_polling_failed = 0, cpq_polling_reading = 1, cpq_polling_writing = 2, cpq_polling_ok = 3 };
/// Values of PQresultStatus.
enum { cpq_empty = 0, cpq_command = 1, cpq_tuples = 2, cpq_fatal = 7 };
/// The field of a result that holds its SQLSTATE, and the one with the sentence.
enum { cpq_sqlstate = 'C', cpq_primary = 'M' };

typedef struct {
    PGconn *(*connect_start)(const char *const *keywords, const char *const *values, int expands);
    int (*connect_poll)(PGconn *);
    int (*status)(const PGconn *);
    int (*socket)(const PGconn *);
    void (*finish)(PGconn *);
    char *(*error_message)(const PGconn *);
    int (*server_version)(const PGconn *);
    const char *(*parameter)(const PGconn *, const char *name);
    int (*set_nonblocking)(PGconn *, int on);
    int (*send_query)(
        PGconn *, const char *sql, int count, const unsigned *types, const char *const *values, const int *lengths,
        const int *formats, int result_format
    );
    int (*send_prepare)(PGconn *, const char *name, const char *sql, int count, const unsigned *types);
    int (*send_prepared)(
        PGconn *, const char *name, int count, const char *const *values, const int *lengths, const int *formats,
        int result_format
    );
    int (*send_script)(PGconn *, const char *sql);
    int (*flush)(PGconn *);
    int (*consume)(PGconn *);
    int (*is_busy)(PGconn *);
    PGresult *(*get_result)(PGconn *);
    int (*result_status)(const PGresult *);
    char *(*result_field)(const PGresult *, int field);
    char *(*result_message)(const PGresult *);
    int (*rows)(const PGresult *);
    int (*columns)(const PGresult *);
    char *(*value)(const PGresult *, int row, int column);
    int (*length)(const PGresult *, int row, int column);
    int (*is_null)(const PGresult *, int row, int column);
    void (*clear)(PGresult *);
    void *(*notifies)(PGconn *);
    void (*free_memory)(void *);
    void *(*parse)(const char *text, char **error);
    void *(*options)(PGconn *);
    void (*free_options)(void *);
    void *(*set_notice_receiver)(PGconn *, void (*receiver)(void *, const PGresult *), void *argument);
} cpq_functions;

/// The library's functions; NULL if it cannot be loaded, which `cpq_problem` explains. Any thread.
const cpq_functions *cpq_load(void);
const char *cpq_problem(void);

/// How many warnings the server has sent on a connection that a commit may be lost, since a standby may not have it; in the
/// owner's memory. Other warnings, such as those on transaction ids that run out, say nothing about a commit.
typedef struct {
    int doubts;
} cpq_notes;

/// Counts such warnings, and prevents notices from being printed on standard error.
void cpq_note(PGconn *connection, cpq_notes *notes);

/// Takes the oldest notification; NULL if there is none. The caller passes it to `free_memory`, its payload with it.
void *cpq_take_notification(PGconn *connection, const char **payload);

/// The values of a connection string's options: calls back with each keyword that has one. Returns NULL, or why the
/// text cannot be read, which the caller passes to `free_memory`.
char *cpq_options(
    const char *text, void (*each)(void *context, const char *keyword, const char *value), void *context
);

/// The values of all options with which a connection is made, as libpq completes them from the environment, a service
/// file and its defaults. The last of those given must be one that libpq refuses after that, and before it connects.
void cpq_effective_options(
    const char *const *keywords, const char *const *values,
    void (*each)(void *context, const char *keyword, const char *value), void *context
);

#endif
