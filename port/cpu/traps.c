// CPU exceptions: a division becomes Python's ZeroDivisionError, everything else is a panic.
#include "port.h"

enum { DIVIDE_ERROR = 0, DOUBLE_FAULT = 8 };

static const char *const names[32] = {
    "divide error",
    "debug",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor",
    "invalid TSS",
    "segment not present",
    "stack segment fault",
    "protection fault",
    "page fault",
    "15",
    "x87 floating point",
    "alignment check",
    "machine check",
    "SIMD floating point",
};

void trap(struct trap_frame *frame) {
    if (frame->vector == DIVIDE_ERROR && can_raise()) {
        // Native code divides without a check.  Go on in a function that never comes back.
        frame->eip = (uint32_t)raise_zero_division;
        return;
    }
    const char *name = frame->vector < 32 ? names[frame->vector] : NULL;
    panic_at(frame, "CPU exception %u: %s", (unsigned)frame->vector, name ? name : "reserved");
}

// Runs as a task of its own: no stack and no frame to rely on, so the registers come from the TSS.
void double_fault(void) {
    const struct task *task = &running_task;
    struct trap_frame frame = {
        .edi = task->edi,
        .esi = task->esi,
        .ebp = task->ebp,
        .esp = task->esp,
        .ebx = task->ebx,
        .edx = task->edx,
        .ecx = task->ecx,
        .eax = task->eax,
        .vector = DOUBLE_FAULT,
        .eip = task->eip,
        .cs = task->cs,
        .eflags = task->eflags,
    };
    panic_at(&frame, "CPU exception 8: double fault");
}
