// The frames of a commit in one write.
//
// SQLite writes each frame of the write-ahead log in two pieces, a header of 24 bytes and a page: eight system calls
// for the four pages that a commit of one message changes. Connections that are opened with this VFS can have them
// gathered and written by one call.
//
// What may be in the files at any moment is what SQLite itself leaves there, since only the cuts between writes are
// fewer: frames reach the file in their order, and the last bytes of a commit are written before the call of SQLite's
// returns that gave them. So its index never names frames that are not in the file, and an error is SQLite's own, at
// the frame with which the commit ends.
#ifndef HOLDFAST_CFRAMES_H
#define HOLDFAST_CFRAMES_H

struct sqlite3;
/// A write-ahead log that a connection has open.
typedef struct cframes cframes;

/// The name of the VFS, for sqlite3_open_v2; NULL where there is none. Any thread; before anything else of SQLite is
/// called in the process, since it also configures that.
const char *cframes_vfs(void);

/// To be called before a COMMIT, on the connection's thread; cframes_end after it. Returns NULL, and gathers nothing, if
/// the connection has no write-ahead log of this VFS.
cframes *cframes_begin(struct sqlite3 *connection);

/// What was gathered for a commit that failed is dropped: others may write there by now. A commit that was done has
/// left nothing; if it had, that would be written. Returns an SQLite result code.
int cframes_end(cframes *log, int committed);

#endif
