// Nothing of stdlib is used but these.
#pragma once
#include <stddef.h>
_Noreturn void abort(void);
static inline int abs(int x) {
    return x < 0 ? -x : x;
}
