#pragma once
#include <stddef.h>

// The line at a position in a traceback: that of the frozen instruction at this address, or itself.
size_t line_of(size_t position);
