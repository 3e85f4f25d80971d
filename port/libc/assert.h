// A failed assertion of C code is a panic.  Production images are built with NDEBUG.
#undef assert
#ifdef NDEBUG
#define assert(condition) ((void)0)
#else
_Noreturn void assertion_failed(const char *file, int line, const char *text);
#define assert(condition) ((condition) ? (void)0 : assertion_failed(__FILE__, __LINE__, #condition))
#endif
#ifndef static_assert
#define static_assert _Static_assert
#endif
