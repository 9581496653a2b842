// zlib's compression in one call, because deflateInit2 is a macro, which Swift cannot import.
#ifndef HOLDFAST_CZLIB_H
#define HOLDFAST_CZLIB_H

#include <zlib.h>

/// Compresses with gzip. Returns the number of bytes written, or -1 if they do not fit or memory is short.
static inline long czlib_gzip(
    const unsigned char *source, unsigned count, unsigned char *target, unsigned room
) {
    z_stream stream = {0};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    stream.next_in = (Bytef *)source;
    stream.avail_in = count;
    stream.next_out = target;
    stream.avail_out = room;
    long written = deflate(&stream, Z_FINISH) == Z_STREAM_END ? (long)stream.total_out : -1;
    deflateEnd(&stream);
    return written;
}

#endif
