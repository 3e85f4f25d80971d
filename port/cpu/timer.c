// The one-shot timer: the local APIC's, or the PIT where there is no APIC.  There is no tick.
//
// The APIC's timer counts a bus clock that no register tells.  QEMU and KVM have 1 GHz; elsewhere
// it is measured while Python comes up, and long deadlines are shortened by what the
// measurement may be wrong: a timer that fires early is armed again for the rest.
#include "port.h"

enum {
    APIC_BASE_MSR = 0x1b,
    APIC_ENABLE = 1 << 11,
    APIC = 0xfee00000,
    SPURIOUS = 0xf0,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    INITIAL_COUNT = 0x380,
    CURRENT_COUNT = 0x390,
    DIVIDE = 0x3e0,
    TASK_PRIORITY = 0x80,
    ENABLED_SPURIOUS = 0x1ff,
    EXTINT = 0x700,
    NMI = 0x400,
    MASKED = 1 << 16,
    TIMER_VECTOR = 48,
    BY_16 = 3,
    KNOWN_KHZ = 1000000 / 16,
    PIT_KHZ = 1193,
    PIT_LINE = 0,
};

static bool have_apic;
static uint32_t khz; // counts per millisecond
static uint64_t measured_from;

static inline volatile uint32_t *apic(uint32_t offset) {
    return (volatile uint32_t *)(APIC + offset);
}

void timer_init(void) {
    uint32_t eax, ebx, ecx, edx, high, low;
    cpuid(1, &eax, &ebx, &ecx, &edx);
    have_apic = edx & 1 << 9;
    if (!have_apic) {
        line_unmask(PIT_LINE);
        return;
    }
    // The firmware left the PIT ticking at 18 Hz: unheard by us, but not for free on the host.
    out8(0x43, 0x30); // channel 0, mode 0 without a count: silent
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(APIC_BASE_MSR));
    __asm__ volatile("wrmsr"
                     :
                     : "a"(APIC | APIC_ENABLE | (low & 0x100)), "d"(0), "c"(APIC_BASE_MSR));
    *apic(SPURIOUS) = ENABLED_SPURIOUS;
    *apic(TASK_PRIORITY) = 0;
    *apic(LVT_LINT0) = EXTINT; // the 8259 pair comes in here
    *apic(LVT_LINT1) = NMI;
    *apic(DIVIDE) = BY_16;
    *apic(LVT_TIMER) = MASKED | TIMER_VECTOR;
    *apic(INITIAL_COUNT) = 0xffffffff;
    measured_from = rdtsc();
}

// The rate of the TSC, where there is no PIT to tell it: QEMU's and KVM's APIC counts 1 GHz, so 10
// ms of waiting tell it to 0.1 %, as no reading may have been interrupted for more than 10 us.
uint32_t timer_tsc_khz(void) {
    uint64_t first = 0, start = 0;
    for (unsigned patience = 1000000; have_apic && patience; patience--) {
        uint64_t before = rdtsc();
        uint32_t count = 0xffffffff - *apic(CURRENT_COUNT);
        uint64_t taken = rdtsc() - before;
        if (taken > 30000) {
            continue;
        }
        if (!first) {
            first = count;
            start = before;
        } else if (count - first > 10 * KNOWN_KHZ) {
            return (uint32_t)((before - start) * KNOWN_KHZ / (count - first));
        }
    }
    panic("nothing counts at a known rate: no clock");
}

// Called once, when enough has happened since timer_init to measure by.
void timer_measure(void) {
    if (!have_apic) {
        return;
    }
    uint32_t tsc_khz = clock_khz(); // may spin: before the two are read
    uint32_t counts = 0xffffffff - *apic(CURRENT_COUNT);
    uint64_t ticks = rdtsc() - measured_from;
    khz = (uint32_t)(counts * (uint64_t)tsc_khz / ticks);
    if (khz > KNOWN_KHZ - KNOWN_KHZ / 16 && khz < KNOWN_KHZ + KNOWN_KHZ / 16) {
        khz = KNOWN_KHZ;
    } else {
        khz -= khz / 32;
    }
    *apic(INITIAL_COUNT) = 0;
    *apic(LVT_TIMER) = TIMER_VECTOR;
}

unsigned timer_line(void) {
    return have_apic ? LINE_TIMER : PIT_LINE;
}

void timer_arm(uint32_t milliseconds) {
    if (have_apic) {
        uint64_t counts = (uint64_t)milliseconds * khz;
        *apic(INITIAL_COUNT) = counts >> 32 ? 0xffffffff : (uint32_t)counts;
        return;
    }
    uint32_t counts = milliseconds > 54 ? 0xffff : milliseconds * PIT_KHZ;
    out8(0x43, 0x30); // channel 0, low then high byte, mode 0: interrupt at zero, once
    out8(0x40, (uint8_t)counts);
    out8(0x40, (uint8_t)(counts >> 8));
}

void timer_disarm(void) {
    if (have_apic) {
        *apic(INITIAL_COUNT) = 0;
    } else {
        out8(0x43, 0x30); // mode 0 without a count: silent
    }
}
