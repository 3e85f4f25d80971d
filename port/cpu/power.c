// Ways to end: exit to the hypervisor or power off, reset, halt.
#include "port.h"

enum {
    DEBUG_EXIT = 0xf4, // QEMU's isa-debug-exit: the process ends with (status << 1) | 1
    KEYBOARD = 0x64,
    KEYBOARD_RESET = 0xfe,
    RESET_CONTROL = 0xcf9,
    RESET_HARD = 0x06,
    PANICKED = 1,
};

static uintptr_t poweroff_register, panic_register;
static uint16_t poweroff_value;

// ACPI's sleep control register, a port of 16 bits or a byte in memory, and the value that means
// S5; Python has found them out.
void set_poweroff(uintptr_t where, uint16_t value) {
    poweroff_register = where;
    poweroff_value = value;
}

char panic_policy;

// The register of pvpanic, a port or in memory; or a letter: what follows unless the command line
// says something else.
void set_panic(uintptr_t where) {
    if (where < 128) {
        panic_policy = (char)where;
    } else {
        panic_register = where;
    }
}

static void store(uintptr_t where, uint8_t value) {
    if (where >> 16) {
        *(volatile uint8_t *)where = value;
    } else if (where) {
        out8((uint16_t)where, value);
    }
}

// The hypervisor may let us go on, or not.
void machine_panicked(void) {
    store(panic_register, PANICKED);
}

void machine_exit(int status) {
    out32(DEBUG_EXIT, (uint32_t)status);
    if (poweroff_register >> 16) {
        store(poweroff_register, (uint8_t)poweroff_value);
    } else if (poweroff_register) {
        out16((uint16_t)poweroff_register, poweroff_value);
    }
    machine_halt();
}

void machine_reset(void) {
    out8(KEYBOARD, KEYBOARD_RESET);
    out8(RESET_CONTROL, RESET_HARD);
    static const struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none)); // last resort: a triple fault
    machine_halt();
}

void machine_halt(void) {
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
