// What the VM does at every jump; see urgent.c.
#pragma once
#include <stdint.h>

extern uint32_t lines_masked_here, urgent_fuse;
struct _mp_code_state_t;
void urgent_look(const struct _mp_code_state_t *state);
#define URGENT_HOOK                                                                                \
    if (*(volatile uint32_t *)&lines_masked_here && --urgent_fuse == 0) {                          \
        urgent_look(code_state);                                                                   \
    }
