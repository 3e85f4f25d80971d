// The monotonic clock: the TSC, its rate told by KVM or else measured against the PIT, or, on
// machines without one, once against the timer of the local APIC.
//
// There is no long wait to measure.  Channel 2 of the PIT runs free from the start; the first time
// somebody asks for the time, the counts that have passed since give a rate good to a percent or
// two (20 us are spent to check that the counter has not wrapped meanwhile).  It is refined when 10
// ms, 100 ms, 1 s, 10 s have passed and every half minute after that. The 16-bit counter wraps
// every 55 ms; the rate known so far says how often.
#include "port.h"

enum {
    PIT_HZ = 1193182,
    CHANNEL_2 = 0x42,
    CONTROL = 0x43,
    MODE_2 = 0xb4,    // of channel 2, low then high byte
    READ_BACK = 0xe8, // its status, of which the lower six bits are the mode
    GATE = 0x61,
    FIRST_COUNTS = 120, // 100 us
    CHECK_COUNTS = 24,  // 20 us
    SLOW_COUNTS = 2400, // 2 ms
    WINDOW_FIRST = 10000,
    WINDOW_LAST = 30000000,
    WINDOW_TOLD = 1000000,             // how soon a migration is noticed
    LONGEST_MS = 3 * 24 * 3600 * 1000, // timers know six days ahead and six back
};

static struct {
    uint64_t tsc;
    uint16_t count;
} from; // where the running measurement began

static uint64_t base_tsc, base_us, refine_at;
static uint64_t last_tsc, longest; // an armed timer asks every minute: what is LONGEST is no sleep
static uint32_t khz, multiplier, shift, window;
static bool suspicious, pit;

static uint16_t pit_count(uint64_t *tsc) {
    out8(CONTROL, 0x80); // latch
    *tsc = rdtsc();
    uint8_t low = in8(CHANNEL_2);
    return (uint16_t)(low | in8(CHANNEL_2) << 8);
}

static void restart(void) {
    from.count = pit_count(&from.tsc);
    window = WINDOW_FIRST;
}

// us = delta * multiplier / 2^(32 + shift), the multiplier as large as fits.
static uint64_t elapsed_us(uint64_t tsc) {
    uint64_t delta = tsc - base_tsc;
    uint64_t low = (uint64_t)(uint32_t)delta * multiplier;
    uint64_t high = (delta >> 32) * multiplier;
    return (high + (low >> 32)) >> shift;
}

static void set_rate(uint32_t new_khz, uint64_t tsc) {
    if (khz) {
        base_us += elapsed_us(tsc); // time goes on from where it is
    }
    base_tsc = tsc;
    khz = new_khz;
    longest = (uint64_t)khz * LONGEST_MS;
    uint64_t scaled = (1000ULL << 32) / khz;
    for (shift = 0; !(scaled >> 31); shift++) {
        scaled = (1000ULL << (33 + shift)) / khz;
    }
    multiplier = (uint32_t)scaled;
    refine_at = from.tsc + (uint64_t)window * khz / 1000;
}

static uint32_t rate(uint64_t ticks, uint64_t counts) {
    return (uint32_t)(ticks * PIT_HZ / (counts * 1000));
}

// Wait until channel 2 has counted on since `from`, and say how fast the TSC is by that.
static uint32_t measure(uint16_t wanted) {
    uint64_t tsc;
    uint16_t counts;
    unsigned patience = 100000;
    do {
        counts = (uint16_t)(from.count - pit_count(&tsc));
    } while (counts < wanted && --patience);
    if (!patience) {
        panic("the PIT does not count: no clock");
    }
    return rate(tsc - from.tsc, counts);
}

static uint32_t distance(uint32_t a, uint32_t b) {
    return a > b ? a - b : b - a;
}

static void first_measurement(void) {
    uint32_t told = kvmclock_khz();
    if (!told && !pit) {
        told = timer_tsc_khz();
    }
    if (told) {
        set_rate(told, from.tsc);
        return;
    }
    uint32_t since_boot = measure(FIRST_COUNTS);
    __typeof__(from) boot = from;
    restart();
    uint32_t now = measure(CHECK_COUNTS);
    if (distance(since_boot, now) < now / 4) {
        from = boot;
        now = since_boot;
    } else { // a slow or busy host: the counter has wrapped since boot
        restart();
        now = measure(SLOW_COUNTS);
    }
    set_rate(now, boot.tsc);
}

static void refine(void) {
    uint64_t tsc;
    uint32_t told = kvmclock_khz();
    if (told) {
        from.tsc = rdtsc();
        window = WINDOW_TOLD;
        set_rate(told, from.tsc);
        return;
    }
    if (!pit) {
        refine_at = UINT64_MAX;
        return;
    }
    uint16_t counted = (uint16_t)(from.count - pit_count(&tsc));
    uint64_t ticks = tsc - from.tsc;
    uint64_t expected = ticks / khz * PIT_HZ / 1000;
    if (ticks / khz > 2 * WINDOW_LAST / 1000) {
        restart(); // slept too long to know how often the counter wrapped
        window = WINDOW_LAST;
        set_rate(khz, tsc);
        return;
    }
    uint64_t wraps = expected > counted ? (expected - counted + 0x8000) >> 16 : 0;
    uint32_t better = rate(ticks, (suspicious ? 0 : wraps << 16) + counted);
    if (distance(better, khz) > khz / 16 && !suspicious) {
        suspicious = true; // a long pause of the host spoilt one of the two: measure anew
        restart();
        better = khz;
    } else {
        suspicious = false;
        window = window < WINDOW_LAST ? window * 10 : window;
        if (window > WINDOW_LAST) {
            window = WINDOW_LAST;
        }
        if (window == WINDOW_LAST) {
            from.tsc = tsc;
            from.count = (uint16_t)(from.count - counted);
        }
    }
    set_rate(better, tsc);
}

void clock_init(void) {
    out8(GATE, (uint8_t)((in8(GATE) & ~2) | 1)); // gate on, speaker off
    out8(CONTROL, MODE_2);
    out8(CHANNEL_2, 0);
    out8(CHANNEL_2, 0);
    out8(CONTROL, READ_BACK);
    pit = (in8(CHANNEL_2) & 0x3f) == (MODE_2 & 0x3f);
    kvmclock_init();
    restart();
}

uint64_t clock_us(void) {
    if (!khz) {
        first_measurement();
        last_tsc = rdtsc();
    }
    uint64_t tsc = rdtsc(), passed = tsc - last_tsc;
    last_tsc = tsc;
    if (passed > longest) { // stopped for days, or the counter is another one: no time has passed
        base_tsc += passed;
        from.tsc += passed;
        refine_at += passed;
    }
    if (tsc >= refine_at) {
        refine();
        tsc = rdtsc();
    }
    return base_us + elapsed_us(tsc);
}

// Milliseconds modulo 2^30.
uint32_t clock_ms(void) {
    uint64_t us = clock_us();
    uint32_t high = (uint32_t)(us >> 32) % 1000, low = (uint32_t)us, rest;
    __asm__("divl %4" : "=a"(low), "=d"(rest) : "a"(low), "d"(high), "r"(1000));
    return low & ((1u << 30) - 1);
}

uint32_t clock_khz(void) {
    if (!khz) {
        first_measurement();
    }
    return khz;
}
