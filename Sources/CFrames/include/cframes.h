// The frames of a commit in one write.
//
// SQLite writes each frame of the write-ahead log in two pieces, a header of 24 bytes and a page: eight system calls
// for the four pages that a commit of one message changes. Connections that are opened with this VFS can have them
// gathered and written by one call.
//
// The files contain at any time what SQLite itself could have left there, since only the boundaries between writes
// become fewer: frames reach the file in their order, and the last bytes of a commit are written before the SQLite call
// that gave them returns. So its index never names frames that are not in the file, and an error is SQLite's own, at
// the frame with which the commit ends.
#ifndef HOLDFAST_CFRAMES_H
#define HOLDFAST_CFRAMES_H

struct sqlite3;
/// A write-ahead log that a connection has open.
typedef struct cframes cframes;

/// The name of the VFS, for sqlite3_open_v2; NULL if there is none. Any thread; to be called before anything else of
/// SQLite in the process, since it also configures SQLite.
const char *cframes_vfs(void);

/// To be called before a COMMIT, on the connection's thread; cframes_end after it. Returns NULL, and gathers nothing, if
/// the connection has no write-ahead log of this VFS.
cframes *cframes_begin(struct sqlite3 *connection);

/// Discards what was gathered for a commit that failed, since other processes may write there by now. After a
/// successful commit nothing is left; if something were, it would be written. Returns an SQLite result code.
int cframes_end(cframes *log, int committed);

#endif
