// KVM tells the rate of the TSC: kvmclock (Linux, Documentation/virt/kvm/x86/msr.rst and
// cpuid.rst).
//
// The host keeps a page of ours up to date, also when a migration changes the rate.  Only the rate
// is taken from it; time itself is counted by clock.c.
#include "port.h"

enum {
    HYPERVISOR = 1u << 31, // CPUID 1, ecx
    SIGNATURE = 0x40000000,
    FEATURES = 0x40000001,
    CLOCKSOURCE2 = 1 << 3,
    SYSTEM_TIME_MSR = 0x4b564d01,
    ENABLE = 1,
};

static volatile struct {
    uint32_t version, padding; // odd while it changes
    uint64_t tsc, system_time;
    uint32_t multiplier;
    int8_t shift;
    uint8_t flags, more_padding[2];
} page __attribute__((aligned(32)));

static bool enabled;

void kvmclock_init(void) {
    uint32_t eax, ebx, ecx, edx;
    cpuid(1, &eax, &ebx, &ecx, &edx);
    if (!(ecx & HYPERVISOR)) {
        return;
    }
    cpuid(SIGNATURE, &eax, &ebx, &ecx, &edx);
    if (ebx != 0x4b4d564b || ecx != 0x564b4d56 || edx != 0x4d) { // "KVMKVMKVM"
        return;
    }
    cpuid(FEATURES, &eax, &ebx, &ecx, &edx);
    if (eax & CLOCKSOURCE2) {
        __asm__ volatile("wrmsr"
                         :
                         : "a"((uint32_t)&page | ENABLE), "d"(0), "c"(SYSTEM_TIME_MSR)
                         : "memory");
        enabled = true;
    }
}

// The rate of the TSC, or 0 if nobody tells.
uint32_t kvmclock_khz(void) {
    uint32_t version, multiplier;
    int shift;
    if (!enabled || !page.multiplier) {
        return 0;
    }
    do {
        version = page.version;
        multiplier = page.multiplier;
        shift = page.shift;
    } while (version & 1 || version != page.version);
    uint64_t khz = (1000000ULL << 32) / multiplier;
    return (uint32_t)(shift < 0 ? khz << -shift : khz >> shift);
}
