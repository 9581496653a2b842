#include "cframes.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 24,
    /// More than a message of 64 kB needs, and more than one frame of any page size.
    CAPACITY = 128 << 10,
};

/// SQLite's own file follows it in memory.
struct cframes {
    sqlite3_file base;
    enum {
        PLAIN,
        /// Waits for a header, or for the page that follows one; the last page is the one that ends the commit.
        HEADER_NEXT,
        PAGE_NEXT,
        LAST_PAGE_NEXT,
    } state;
    int count;  // gathered, for `start`
    sqlite3_int64 start;
    unsigned char *bytes;  // CAPACITY, or none yet
};

static sqlite3_vfs *below;
static sqlite3_vfs ours;

static sqlite3_file *real(sqlite3_file *file) { return (sqlite3_file *)((cframes *)file + 1); }

static int write_out(sqlite3_file *file) {
    cframes *log = (cframes *)file;
    int count = log->count;
    log->count = 0;
    return count == 0 ? SQLITE_OK : real(file)->pMethods->xWrite(real(file), log->bytes, count, log->start);
}

static int keep(cframes *log, const void *bytes, int count, sqlite3_int64 offset) {
    if (log->count > 0 && (offset != log->start + log->count || count > CAPACITY - log->count)) {
        int code = write_out(&log->base);
        if (code != SQLITE_OK) return code;
    }
    if (log->count == 0) log->start = offset;
    memcpy(log->bytes + log->count, bytes, (size_t)count);
    log->count += count;
    return SQLITE_OK;
}

static int write_bytes(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    cframes *log = (cframes *)file;
    const unsigned char *header = bytes;
    int code;
    if (log->state == HEADER_NEXT && count == HEADER) {
        // Bytes 4 to 7 of a header: the size of the database, in the last frame of a commit, else 0.
        int ends = (header[4] | header[5] | header[6] | header[7]) != 0;
        log->state = ends ? LAST_PAGE_NEXT : PAGE_NEXT;
        return keep(log, bytes, count, offset);
    }
    if (log->state == PAGE_NEXT && offset == log->start + log->count && count <= CAPACITY - HEADER) {
        log->state = HEADER_NEXT;
        return keep(log, bytes, count, offset);
    }
    if (log->state == LAST_PAGE_NEXT && offset == log->start + log->count && count <= CAPACITY - HEADER) {
        log->state = PLAIN;
        code = keep(log, bytes, count, offset);
        return code == SQLITE_OK ? write_out(file) : code;
    }
    // The header of the file, or a page that is written before the commit, for example when the cache is full. Only
    // frames whose end is known are gathered.
    log->state = PLAIN;
    code = write_out(file);
    return code == SQLITE_OK ? real(file)->pMethods->xWrite(real(file), bytes, count, offset) : code;
}

// Every other use of the file finds it as SQLite has written it.

static int read_bytes(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    int code = write_out(file);
    return code == SQLITE_OK ? real(file)->pMethods->xRead(real(file), bytes, count, offset) : code;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size) {
    int code = write_out(file);
    return code == SQLITE_OK ? real(file)->pMethods->xTruncate(real(file), size) : code;
}

static int sync_file(sqlite3_file *file, int flags) {
    int code = write_out(file);
    return code == SQLITE_OK ? real(file)->pMethods->xSync(real(file), flags) : code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    int code = write_out(file);
    return code == SQLITE_OK ? real(file)->pMethods->xFileSize(real(file), size) : code;
}

static int close_file(sqlite3_file *file) {
    free(((cframes *)file)->bytes);
    return real(file)->pMethods->xClose(real(file));
}

static int lock(sqlite3_file *file, int level) { return real(file)->pMethods->xLock(real(file), level); }

static int unlock(sqlite3_file *file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }

static int is_reserved(sqlite3_file *file, int *answer) {
    return real(file)->pMethods->xCheckReservedLock(real(file), answer);
}

static int control(sqlite3_file *file, int operation, void *argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int sector_size(sqlite3_file *file) { return real(file)->pMethods->xSectorSize(real(file)); }

static int characteristics(sqlite3_file *file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

// The write-ahead log is not mapped and has no shared memory, for which later versions have methods.
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = close_file,
    .xRead = read_bytes,
    .xWrite = write_bytes,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock,
    .xUnlock = unlock,
    .xCheckReservedLock = is_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
};

/// Write-ahead logs are wrapped; every other file is SQLite's own.
static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *outcome) {
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL)) return below->xOpen(below, name, file, flags, outcome);
    memset(file, 0, sizeof(cframes));
    int code = below->xOpen(below, name, real(file), flags, outcome);
    // SQLite closes everything that has methods, also what could not be opened.
    if (real(file)->pMethods != NULL) file->pMethods = &methods;
    return code;
}

static void make(void) {
    // Without statistics, which are not used, memory is allocated without a lock.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    below = sqlite3_vfs_find(NULL);
    if (below == NULL) return;
    // The other functions are those of the VFS below, which take nothing from their first argument but pAppData.
    ours = *below;
    ours.iVersion = below->iVersion < 3 ? below->iVersion : 3;
    ours.szOsFile = below->szOsFile + (int)sizeof(cframes);
    ours.pNext = NULL;
    ours.zName = "holdfast";
    ours.xOpen = open_file;
    if (sqlite3_vfs_register(&ours, 0) != SQLITE_OK) below = NULL;
}

const char *cframes_vfs(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
    return below == NULL ? NULL : ours.zName;
}

cframes *cframes_begin(sqlite3 *connection) {
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK) return NULL;
    if (file == NULL || file->pMethods != &methods) return NULL;
    cframes *log = (cframes *)file;
    if (log->bytes == NULL) log->bytes = malloc(CAPACITY);
    log->count = 0;
    log->state = log->bytes == NULL ? PLAIN : HEADER_NEXT;
    return log;
}

int cframes_end(cframes *log, int committed) {
    if (log == NULL) return SQLITE_OK;
    log->state = PLAIN;
    if (committed) return write_out(&log->base);
    log->count = 0;
    return SQLITE_OK;
}
