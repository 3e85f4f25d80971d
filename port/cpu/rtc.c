// Wall time at boot: the MC146818 real-time clock, taken as UTC.
#include "port.h"

enum {
    INDEX = 0x70,
    DATA = 0x71,
    STATUS_A = 10,
    STATUS_B = 11,
    UPDATING = 0x80,
    BINARY = 4,
    H24 = 2,
    LOOK_US = 1000000,
    DRIFT_US = 2500000, // the RTC counts seconds
};

static const uint8_t registers[] = {0, 2, 4, 7, 8, 9}; // second minute hour day month year

static uint8_t cmos(uint8_t index) {
    out8(INDEX, index);
    return in8(DATA);
}

static void read_all(uint8_t *fields) {
    for (unsigned patience = 100000; cmos(STATUS_A) & UPDATING && patience; patience--) {
    }
    for (unsigned i = 0; i < sizeof(registers); i++) {
        fields[i] = cmos(registers[i]);
    }
}

// Days from 1970-01-01 of the proleptic Gregorian calendar, the year beginning in March.
static uint32_t days(uint32_t year, uint32_t month, uint32_t day) {
    year -= month <= 2;
    uint32_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719468;
}

uint64_t rtc_seconds(void) {
    uint8_t f[6], again[6];
    bool same;
    if (cmos(STATUS_A) == 0xff) {
        return 0; // there is none: 1970
    }
    unsigned tries = 10; // a broken one never says the same twice
    do {                 // an update between two registers shows as a difference
        read_all(f);
        read_all(again);
        same = true;
        for (unsigned i = 0; i < sizeof(f); i++) {
            same &= f[i] == again[i];
        }
    } while (!same && --tries);
    uint8_t mode = cmos(STATUS_B), afternoon = f[2] & 0x80;
    f[2] &= 0x7f;
    if (!(mode & BINARY)) {
        for (unsigned i = 0; i < sizeof(f); i++) {
            f[i] = (uint8_t)((f[i] >> 4) * 10 + (f[i] & 15));
        }
    }
    if (!(mode & H24)) {
        f[2] = (uint8_t)(f[2] % 12 + (afternoon ? 12 : 0));
    }
    return days(2000u + f[5], f[4], f[3]) * 86400ULL + f[2] * 3600u + f[1] * 60u + f[0];
}

// The RTC is read when somebody first asks for the date; from there the monotonic clock goes on.
// While a machine is paused, saved or moved the RTC goes on and that clock may not, so the RTC is
// looked at again when somebody asks, once a second at most; what is too much for a drift is a
// jump.
uint64_t wall_us(void) {
    static uint64_t boot_us, looked;
    static int64_t ahead;
    uint64_t now = clock_us();
    if (!looked || now - looked >= LOOK_US) {
        int64_t there = (int64_t)(rtc_seconds() * 1000000 - now), change = there - ahead;
        int64_t drift = DRIFT_US + (int64_t)((now - looked) >> 10);
        if (!looked) {
            boot_us = (uint64_t)there;
        } else if (change > drift || change < -drift) {
            boot_us += (uint64_t)change;
        }
        ahead = there;
        looked = now;
    }
    return boot_us + now;
}
