// The 8259 pair, the counters of the lines, and the atomic check-and-halt.
//
// A stub (vectors.S) counts and masks its line.  Lines stay masked while Python works and are
// unmasked only when it waits: one interrupt per batch, however many packets arrive.
#include "port.h"

enum {
    PIC1 = 0x20,
    PIC2 = 0xa0,
    ICW1 = 0x11, // initialise, ICW4 follows
    ICW4 = 0x01, // 8086 mode, normal end of interrupt
    CASCADE = 2,
    FIRST_VECTOR = 32,
    TICKS_MASK = (1 << 30) - 1,
    TICKS_HALF = 1 << 29,
};

volatile uint32_t interrupts[LINES];
unsigned lines_used = LINE_FIRST_NEW; // more with metal.new_line: for messages and the IOAPIC
uint32_t lines_masked;                // what both mask registers hold
uint32_t lines_masked_here;           // those masked by a stub: to be unmasked before a halt
static int32_t armed = -1;            // the deadline the timer is set for
static uint32_t armed_count;

static void write_masks(void) {
    out8(PIC1 + 1, (uint8_t)lines_masked);
    out8(PIC2 + 1, (uint8_t)(lines_masked >> 8));
}

void interrupts_init(void) {
    out8(PIC1, ICW1);
    out8(PIC2, ICW1);
    out8(PIC1 + 1, FIRST_VECTOR);
    out8(PIC2 + 1, FIRST_VECTOR + 8);
    out8(PIC1 + 1, 1 << CASCADE);
    out8(PIC2 + 1, CASCADE);
    out8(PIC1 + 1, ICW4);
    out8(PIC2 + 1, ICW4);
    lines_masked = 0xffff & ~(1u << CASCADE);
    write_masks();
    line_unmask(LINE_SERIAL);
}

void line_mask(unsigned line) {
    uint32_t flags = interrupts_off();
    lines_masked |= 1u << line;
    lines_masked_here &= ~(1u << line);
    write_masks();
    interrupts_restore(flags);
}

void line_unmask(unsigned line) {
    uint32_t flags = interrupts_off();
    lines_masked &= ~(1u << line);
    lines_masked_here &= ~(1u << line);
    write_masks();
    interrupts_restore(flags);
}

static inline void unmask_served(void) {
    uint32_t lines = lines_masked_here;
    if (lines) {
        lines_masked &= ~lines;
        lines_masked_here = 0;
        if (lines & 0x00ff) {
            out8(PIC1 + 1, (uint8_t)lines_masked);
        }
        if (lines & 0xff00) {
            out8(PIC2 + 1, (uint8_t)(lines_masked >> 8));
        }
    }
}

// Edges are never masked: one that has come since `lines_take_edges` is still to be looked at.
void lines_unmask_served(void) {
    uint32_t flags = interrupts_off();
    uint32_t edges = lines_masked_here & LINES_EDGES;
    unmask_served();
    lines_masked_here = edges;
    interrupts_restore(flags);
}

void lines_take_edges(void) {
    uint32_t flags = interrupts_off();
    lines_masked_here &= ~LINES_EDGES;
    interrupts_restore(flags);
}

void lines_look_again(void) {
    uint32_t flags = interrupts_off();
    lines_masked_here |= LINES_EDGES;
    interrupts_restore(flags);
}

static inline bool nothing_new(const uint32_t *seen) {
    bool same;
    const volatile uint32_t *counters = interrupts;
    unsigned n = lines_used;
    __asm__ volatile("repe cmpsl"
                     : "=@ccz"(same), "+S"(seen), "+D"(counters), "+c"(n)
                     :
                     : "memory");
    return same;
}

// True if the timer is set for the deadline, false if the deadline has passed.
static bool arm(int32_t deadline) {
    if (interrupts[timer_line()] != armed_count) {
        armed = -1; // it has fired
    }
    if (deadline == armed) {
        return true;
    }
    if (deadline < 0) {
        timer_disarm();
    } else {
        int32_t now = (int32_t)clock_ms();
        int32_t distance = ((deadline - now + TICKS_HALF) & TICKS_MASK) - TICKS_HALF;
        if (distance <= 0) {
            return false;
        }
        timer_arm((uint32_t)distance);
    }
    armed = deadline;
    armed_count = interrupts[timer_line()];
    return true;
}

// Have the timer interrupt a callback that computes (micropython/urgent.c), once.
void interrupts_alarm(uint32_t milliseconds) {
    uint32_t flags = interrupts_off();
    timer_arm(milliseconds);
    armed = -2; // nobody's deadline: the next wait sets its own
    armed_count = interrupts[timer_line()];
    interrupts_restore(flags);
}

// Halt until a counter differs from what the caller has seen.  Interrupts are off between the
// comparison and the halt, and `sti` takes effect only after the instruction that follows it
// (Intel SDM 2, STI), so an interrupt in between wakes the halt.
void interrupts_wait(const uint32_t *seen, int32_t deadline) {
    stack_guard_check();
    __asm__ volatile("cli" : : : "memory");
    if (nothing_new(seen)) {
        bool later = arm(deadline);
        unmask_served();
        if (later) {
            __asm__ volatile("sti; hlt" : : : "memory");
            return;
        }
    }
    __asm__ volatile("sti" : : : "memory");
}
