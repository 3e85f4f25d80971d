// GDT, TSS and IDT: flat segments, one gate per vector, a task for the double fault.
#include "port.h"

enum {
    CODE = 0x08,
    DATA = 0x10,
    TASK = 0x18,
    FAULT_TASK = 0x20,
    VECTORS = 65, // 0..31 exceptions, 32..47 PIC lines, 48 timer, 49..63 messages, 64 serial
    VECTOR_SIZE = 16,
    DOUBLE_FAULT = 8,
    SPURIOUS = 0xff,
    INTERRUPT_GATE = 0x8e,
    TASK_GATE = 0x85,
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t zero, type;
    uint16_t offset_high;
};

struct pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

struct task running_task; // the CPU saves the registers here when it leaves for the double fault
static struct task fault_task;
static struct gate idt[256] __attribute__((aligned(8)));
static uint64_t gdt[] __attribute__((aligned(8))) = {
    0,
    0x00cf9b000000ffff, // code: base 0, limit 4 GiB, ring 0
    0x00cf93000000ffff, // data
    0,                  // tasks, filled below
    0,
};

static uint64_t task_descriptor(const struct task *task) {
    uint64_t base = (uintptr_t)task, limit = sizeof(*task) - 1;
    return limit | (base & 0xffffff) << 16 | 0x89ULL << 40 | (base >> 24) << 56;
}

static void set_gate(unsigned vector, uintptr_t offset) {
    idt[vector] =
        (struct gate){(uint16_t)offset, CODE, 0, INTERRUPT_GATE, (uint16_t)(offset >> 16)};
}

void descriptors_init(void) {
    gdt[TASK / 8] = task_descriptor(&running_task);
    gdt[FAULT_TASK / 8] = task_descriptor(&fault_task);
    struct pointer pointer = {sizeof(gdt) - 1, (uintptr_t)gdt};
    __asm__ volatile("lgdt %0\n"
                     "ljmp %1, $1f\n"
                     "1: movw %w2, %%ds\n movw %w2, %%es\n movw %w2, %%ss\n"
                     "movw %w2, %%fs\n movw %w2, %%gs\n"
                     "ltr %w3\n"
                     :
                     : "m"(pointer), "i"(CODE), "r"(DATA), "r"(TASK)
                     : "memory");

    for (unsigned vector = 0; vector < VECTORS; vector++) {
        set_gate(vector, (uintptr_t)vectors + vector * VECTOR_SIZE);
    }
    set_gate(SPURIOUS, (uintptr_t)vectors + VECTORS * VECTOR_SIZE);
    // The stack may be what failed, so the double fault comes with its own.
    fault_task.eip = (uintptr_t)double_fault;
    fault_task.esp = (uintptr_t)fault_stack_top;
    fault_task.eflags = 2;
    fault_task.cs = CODE;
    fault_task.ss = fault_task.ds = fault_task.es = fault_task.fs = fault_task.gs = DATA;
    idt[DOUBLE_FAULT] = (struct gate){0, FAULT_TASK, 0, TASK_GATE, 0};
    pointer = (struct pointer){sizeof(idt) - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}
