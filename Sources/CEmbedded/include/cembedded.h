// Files that are in the program: the pages that it serves, and the SQL that makes a bus.
//
// C's #embed (C23) takes them as they are. As arrays of Swift, which "embedInCode" makes of resources, they cost half a
// minute of processor time in each build.
#ifndef HOLDFAST_CEMBEDDED_H
#define HOLDFAST_CEMBEDDED_H

#include <stddef.h>

typedef struct {
    /// NULL where there is no such file.
    const void *bytes;
    size_t count;
} cembedded_file;

/// The file of this name, such as "client.js".
cembedded_file cembedded(const char *name);

#endif
