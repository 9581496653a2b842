// Loads libpq and hides its structures.
#include "cpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static cpq_functions functions;
static char problem[256];
static int is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *reason = dlerror();
        snprintf(problem, sizeof problem, "%s", reason ? reason : "libpq.so.5 can't be loaded");
        return;
    }
    struct {
        const char *name;
        void *place;
    } wanted[] = {
        {"PQconnectStartParams", &functions.connect_start},
        {"PQconnectPoll", &functions.connect_poll},
        {"PQstatus", &functions.status},
        {"PQsocket", &functions.socket},
        {"PQfinish", &functions.finish},
        {"PQerrorMessage", &functions.error_message},
        {"PQserverVersion", &functions.server_version},
        {"PQparameterStatus", &functions.parameter},
        {"PQsetnonblocking", &functions.set_nonblocking},
        {"PQsendQueryParams", &functions.send_query},
        {"PQsendPrepare", &functions.send_prepare},
        {"PQsendQueryPrepared", &functions.send_prepared},
        {"PQsendQuery", &functions.send_script},
        {"PQflush", &functions.flush},
        {"PQconsumeInput", &functions.consume},
        {"PQisBusy", &functions.is_busy},
        {"PQgetResult", &functions.get_result},
        {"PQresultStatus", &functions.result_status},
        {"PQresultErrorField", &functions.result_field},
        {"PQresultErrorMessage", &functions.result_message},
        {"PQntuples", &functions.rows},
        {"PQnfields", &functions.columns},
        {"PQgetvalue", &functions.value},
        {"PQgetlength", &functions.length},
        {"PQgetisnull", &functions.is_null},
        {"PQclear", &functions.clear},
        {"PQnotifies", &functions.notifies},
        {"PQfreemem", &functions.free_memory},
        {"PQconninfoParse", &functions.parse},
        {"PQconninfo", &functions.options},
        {"PQconninfoFree", &functions.free_options},
        {"PQsetNoticeReceiver", &functions.set_notice_receiver},
    };
    for (size_t at = 0; at < sizeof wanted / sizeof *wanted; at++) {
        void *found = dlsym(library, wanted[at].name);
        if (!found) {
            snprintf(problem, sizeof problem, "libpq.so.5 has no function %s", wanted[at].name);
            return;
        }
        // A pointer to a function has the size and form of one to data on every system that has dlsym.
        memcpy(wanted[at].place, &found, sizeof found);
    }
    is_loaded = 1;
}

const cpq_functions *cpq_load(void) {
    pthread_once(&once, load);
    return is_loaded ? &functions : NULL;
}

const char *cpq_problem(void) { return problem; }

static void note(void *argument, const PGresult *result) {
    // The severity that is never translated.
    const char *severity = functions.result_field(result, 'V');
    if (!severity || strcmp(severity, "WARNING") != 0) return;
    // The sentence is translated, and its SQLSTATE is that of most warnings: only the place in the server's source says
    // what kind it is.
    const char *file = functions.result_field(result, 'F');
    if (!file || strcmp(file, "syncrep.c") == 0) ((cpq_notes *)argument)->doubts++;
}

void cpq_note(PGconn *connection, cpq_notes *notes) {
    functions.set_notice_receiver(connection, note, notes);
}

/// libpq's PGnotify.
struct notification {
    char *channel;
    int process;
    char *payload;
};

void *cpq_take_notification(PGconn *connection, const char **payload) {
    struct notification *notification = functions.notifies(connection);
    if (notification) *payload = notification->payload;
    return notification;
}

/// libpq's PQconninfoOption.
struct option {
    char *keyword, *environment, *compiled, *value, *label, *display;
    int size;
};

static void give(
    struct option *options, void (*each)(void *context, const char *keyword, const char *value), void *context
) {
    for (struct option *option = options; option->keyword; option++) {
        if (option->value) each(context, option->keyword, option->value);
    }
    functions.free_options(options);
}

char *cpq_options(
    const char *text, void (*each)(void *context, const char *keyword, const char *value), void *context
) {
    char *error = NULL;
    struct option *options = functions.parse(text, &error);
    if (!options) return error;
    give(options, each, context);
    return NULL;
}

void cpq_effective_options(
    const char *const *keywords, const char *const *values,
    void (*each)(void *context, const char *keyword, const char *value), void *context
) {
    PGconn *connection = functions.connect_start(keywords, values, 0);
    if (!connection) return;
    struct option *options = functions.options(connection);
    if (options) give(options, each, context);
    functions.finish(connection);
}
