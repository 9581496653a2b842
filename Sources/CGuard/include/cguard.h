// Memory of a file that others may shorten: what was beyond the new end reads as zeros instead of ending the process.
#ifndef HOLDFAST_CGUARD_H
#define HOLDFAST_CGUARD_H

#include <stddef.h>
#include <stdint.h>

/// Guards a read-only mapping of whole pages. An access beyond the file's end replaces the mapping by pages of zeros,
/// which have no connection to the file any more. Any thread. 0, or -1 if there is no place for another one.
int cguard_add(void *start, size_t bytes);

/// To be called before the mapping is removed.
void cguard_remove(void *start);

/// What the kernel or another process last wrote to an aligned number in the mapping.
static inline int64_t cguard_load(const int64_t *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }

#endif
