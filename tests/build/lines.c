// Addresses in, the lines of the frozen instructions there out: port/micropython/lines.c on the
// host.
#include <stdio.h>

unsigned line_of(unsigned position);

int main(void) {
    unsigned address;
    while (scanf("%x", &address) == 1) {
        printf("%u\n", line_of(address));
    }
    return 0;
}
