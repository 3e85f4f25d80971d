// From the loader's hands to Python: the order in which the machine comes up.
#include "port.h"

void start(uint32_t magic, const void *information) {
    boot_information(magic, information); // first: what it points at may lie in free memory
    stack_guard_init();
    descriptors_init();
    serial_init();
    interrupts_init();
    clock_init();
    timer_init();
    memory_layout();
    __asm__ volatile("sti");
    micropython_main();
    machine_exit(0);
}
