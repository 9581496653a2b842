// SQLite, and the one call of it that Swift cannot import, because it is variadic.
#ifndef HOLDFAST_CSQLITE_H
#define HOLDFAST_CSQLITE_H

#include <sqlite3.h>

/// Keeps the write-ahead log when the last connection closes. Returns an SQLite result code.
static inline int csqlite_no_checkpoint_on_close(sqlite3 *connection) {
    return sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

#endif
