// Ways to end: exit to the hypervisor or power off, reset, halt.
#include "port.h"

enum {
    DEBUG_EXIT = 0xf4, // QEMU's isa-debug-exit: the process ends with (status << 1) | 1
    KEYBOARD = 0x64,
    KEYBOARD_RESET = 0xfe,
    RESET_CONTROL = 0xcf9,
    RESET_HARD = 0x06,
};

static uint16_t poweroff_port, poweroff_value;

// ACPI's sleep control register and the value that means S5, which Python has found out.
void set_poweroff(uint16_t port, uint16_t value) {
    poweroff_port = port;
    poweroff_value = value;
}

void machine_exit(int status) {
    out32(DEBUG_EXIT, (uint32_t)status);
    if (poweroff_port) {
        out16(poweroff_port, poweroff_value);
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
