// Files that are part of the program: the pages that it serves, and the SQL that creates a bus.
//
// C's #embed (C23) includes them as they are. As Swift arrays, which "embedInCode" makes of resources, they cost half a
// minute of processor time in each build.
#ifndef HOLDFAST_CEMBEDDED_H
#define HOLDFAST_CEMBEDDED_H

#include <stddef.h>

typedef struct {
    /// NULL if there is no such file.
    const void *bytes;
    size_t count;
} cembedded_file;

/// The file of this name, such as "client.js".
cembedded_file cembedded(const char *name);

#endif
