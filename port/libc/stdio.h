// Formatted output; defined by MicroPython's shared/libc/printf.c.
#pragma once
#include <stdarg.h>
#include <stddef.h>
int printf(const char *format, ...);
int snprintf(char *to, size_t size, const char *format, ...);
int vsnprintf(char *to, size_t size, const char *format, va_list arguments);
