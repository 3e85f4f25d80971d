// The names; MicroPython's own numbers are used (MICROPY_USE_INTERNAL_ERRNO).
#pragma once
#define EINTR  4
#define EIO    5
#define EAGAIN 11
#define ENOMEM 12
#define EINVAL 22
