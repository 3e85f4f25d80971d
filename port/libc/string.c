// The string functions.  Built without -fbuiltin and LTO, so that none becomes a call of itself.
//
// Copies move 16 bytes at a time with SSE2: a string instruction costs an instruction per item
// under emulation and tens of cycles to start on hardware.
#include <stdint.h>
#include <string.h>

typedef long long wide __attribute__((vector_size(16), aligned(1), may_alias));

enum { WIDE = sizeof(wide) };

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    unsigned char *t = to;
    const unsigned char *f = from;
    // As many as there are registers.
    for (; n >= 8 * WIDE; n -= 8 * WIDE, t += 8 * WIDE, f += 8 * WIDE) {
        const wide *s = (const wide *)f;
        wide a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], g = s[5], h = s[6], i = s[7];
        wide *u = (wide *)t;
        u[0] = a, u[1] = b, u[2] = c, u[3] = d, u[4] = e, u[5] = g, u[6] = h, u[7] = i;
    }
    for (; n >= WIDE; n -= WIDE, t += WIDE, f += WIDE) {
        *(wide *)t = *(const wide *)f;
    }
    for (; n >= 4; n -= 4, t += 4, f += 4) {
        *(uint32_t *)t = *(const uint32_t *)f;
    }
    while (n--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    if ((uintptr_t)to - (uintptr_t)from >= n) {
        return memcpy(to, from, n); // upwards is safe: it loads before it stores
    }
    unsigned char *t = (unsigned char *)to + n;
    const unsigned char *f = (const unsigned char *)from + n;
    for (; n >= WIDE; n -= WIDE) {
        t -= WIDE;
        f -= WIDE;
        *(wide *)t = *(const wide *)f;
    }
    while (n--) {
        *--t = *--f;
    }
    return to;
}

void *memset(void *to, int byte, size_t n) {
    unsigned char *t = to;
    uint32_t pattern = (unsigned char)byte * 0x01010101u;
    if (n >= WIDE) {
        long long twice = (long long)((unsigned long long)pattern << 32 | pattern);
        wide value = {twice, twice};
        for (; n >= WIDE; n -= WIDE, t += WIDE) {
            *(wide *)t = value;
        }
    }
    for (; n >= 4; n -= 4, t += 4) {
        *(uint32_t *)t = pattern; // what a call of a Python function clears is a few words
    }
    while (n--) {
        *t++ = (unsigned char)byte;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n >= 4 && *(const uint32_t *)x == *(const uint32_t *)y; n -= 4) {
        x += 4;
        y += 4;
    }
    for (; n; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

void *memchr(const void *s, int byte, size_t n) {
    for (const unsigned char *p = s; n; n--, p++) {
        if (*p == (unsigned char)byte) {
            return (void *)p;
        }
    }
    return NULL;
}

// (A load of four bytes may reach past the end: there is no page to fall off.)
size_t strlen(const char *s) {
    const char *end = s;
    for (;; end += 4) {
        uint32_t word = *(const uint32_t *)end;
        if ((word - 0x01010101) & ~word & 0x80808080) {
            break; // one of the four is zero
        }
    }
    while (*end) {
        end++;
    }
    return (size_t)(end - s);
}

int strcmp(const char *a, const char *b) {
    for (; *a && *a == *b; a++, b++) {
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n) {
    for (; n && *a && *a == *b; n--, a++, b++) {
    }
    return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *strchr(const char *s, int byte) {
    for (; *s != (char)byte; s++) {
        if (!*s) {
            return NULL;
        }
    }
    return (char *)s;
}

char *strrchr(const char *s, int byte) {
    const char *last = NULL;
    do {
        if (*s == (char)byte) {
            last = s;
        }
    } while (*s++);
    return (char *)last;
}

char *strstr(const char *s, const char *part) {
    for (size_t n = strlen(part); *s || !n; s++) {
        if (strncmp(s, part, n) == 0) {
            return (char *)s;
        }
    }
    return NULL;
}

char *strcpy(char *restrict to, const char *restrict from) {
    return memcpy(to, from, strlen(from) + 1);
}

char *strncpy(char *restrict to, const char *restrict from, size_t n) {
    size_t i = 0;
    for (; i < n && from[i]; i++) {
        to[i] = from[i];
    }
    for (; i < n; i++) {
        to[i] = 0;
    }
    return to;
}

char *strcat(char *restrict to, const char *restrict from) {
    strcpy(to + strlen(to), from);
    return to;
}

size_t strspn(const char *s, const char *set) {
    size_t n = 0;
    while (s[n] && strchr(set, s[n])) {
        n++;
    }
    return n;
}

size_t strcspn(const char *s, const char *set) {
    size_t n = 0;
    while (s[n] && !strchr(set, s[n])) {
        n++;
    }
    return n;
}
