// Every function of port/ by file: the table of contents of the unsafe code.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// boot/start.c
void start(uint32_t magic, const void *information);

// boot/memory.c: what the loader said
struct region {
    uint64_t base, length;
    uint32_t type; // 1: usable, as in the firmware's map (INT 15h, E820)
};
enum { REGIONS = 32, COMMAND_LINE = 1024 };
extern struct region memory_map[REGIONS];
extern unsigned memory_regions;
extern char command_line[COMMAND_LINE];
extern const char *booted_by;
extern uintptr_t arena_start, arena_size, heap_start, heap_end, mark_stack_size;
extern void *mark_stack;
void boot_information(uint32_t magic, const void *information);
void memory_layout(void);
const char *option(const char *name, size_t *length);

// boot/link.ld
extern char image_start[], image_end[], low_arena[], stack_bottom[], stack_top[], fault_stack_top[];

// generated with every image
extern const char build_id[];

// cpu/descriptors.c
struct task {
    uint32_t link, esp0, ss0, unused[4], cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt, io_map;
};
extern struct task running_task; // holds the registers after a double fault
void descriptors_init(void);

// cpu/traps.c, cpu/vectors.S
struct trap_frame {
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax; // pushal
    uint32_t vector, error;
    uint32_t eip, cs, eflags;
    // esp is pushal's; the stack before the trap begins after eflags, as there is one ring.
};
extern char vectors[];
void trap(struct trap_frame *frame);
void double_fault(void);

// cpu/panic.c
_Noreturn void panic(const char *format, ...);
_Noreturn void panic_at(const struct trap_frame *frame, const char *format, ...);
void stack_guard_init(void);
void stack_guard_check(void);

// cpu/power.c
_Noreturn void machine_exit(int status);
_Noreturn void machine_reset(void);
_Noreturn void machine_halt(void);
void set_poweroff(uintptr_t where, uint16_t value);
extern char panic_policy;
void set_panic(uintptr_t where);
void machine_panicked(void);

// cpu/interrupts.c
enum { LINES = 64, LINE_TIMER = 16, LINE_FIRST_NEW = 17, LINE_END = 32, LINE_SERIAL = 4 };
extern volatile uint32_t interrupts[LINES];
extern unsigned lines_used;
#define LINES_EDGES (1u << 16) // in lines_masked_here: an edge has come (vectors.S)
void interrupts_init(void);
void line_mask(unsigned line);
void line_unmask(unsigned line);
void lines_unmask_served(void);
void lines_take_edges(void);
void lines_look_again(void);
void interrupts_wait(const uint32_t *seen, int32_t deadline);
void interrupts_alarm(uint32_t milliseconds);

// cpu/timer.c: the one-shot
void timer_init(void);
void timer_measure(void);
uint32_t timer_tsc_khz(void);
unsigned timer_line(void);
void timer_arm(uint32_t milliseconds);
void timer_disarm(void);

// cpu/clock.c
void clock_init(void);
uint64_t clock_us(void);
uint32_t clock_ms(void);
uint32_t clock_khz(void);
uint64_t wall_us(void); // since 1970
static inline uint64_t rdtsc(void) {
    uint64_t value;
    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

// cpu/kvmclock.c
void kvmclock_init(void);
uint32_t kvmclock_khz(void);

// cpu/rtc.c
uint64_t rtc_seconds(void);

// cpu/serial.c
void serial_init(void);
void serial_write(const char *data, size_t length);
int serial_read(void);
bool serial_ready(void);

// micropython/
void micropython_main(void);
void traceback_print(const uint32_t *from, const uint32_t *to);
_Noreturn void raise_zero_division(void);
bool can_raise(void);

// port instructions
static inline void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void out16(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline void out32(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
static inline uint8_t in8(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint16_t in16(uint16_t port) {
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline uint32_t in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
static inline void cpuid(uint32_t leaf, uint32_t *eax, uint32_t *ebx, uint32_t *ecx,
                         uint32_t *edx) {
    __asm__ volatile("cpuid" : "=a"(*eax), "=b"(*ebx), "=c"(*ecx), "=d"(*edx) : "a"(leaf), "c"(0));
}
static inline uint32_t interrupts_off(void) {
    uint32_t flags;
    __asm__ volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
    return flags;
}
static inline void interrupts_restore(uint32_t flags) {
    __asm__ volatile("pushl %0; popfl" : : "r"(flags) : "memory", "cc");
}
