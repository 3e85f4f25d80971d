#pragma once
#include <stdint.h>
#define PRIu32 "u"
#define PRIx32 "x"
#define PRId32 "d"
