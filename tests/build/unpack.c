// What a loader unpacks with as a program of the host: a stream in, what it means out.
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

uint8_t *unpack(uint8_t *out, const uint8_t *from, void *tables);

enum { LARGEST = 1 << 22, TABLES = 1 << 16 };

int main(void) {
    uint8_t *in = calloc(1, LARGEST), *out = malloc(LARGEST);
    ssize_t n, at = 0;
    while ((n = read(0, in + at, LARGEST - at)) > 0) {
        at += n;
    }
    uint8_t *end = unpack(out, in, calloc(1, TABLES));
    for (uint8_t *next = out; next < end; next += n) {
        n = write(1, next, end - next);
        if (n <= 0) {
            return 1;
        }
    }
    return 0;
}
