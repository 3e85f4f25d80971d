// Console and clocks for MicroPython.
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/timeutils/timeutils.h"

mp_uint_t mp_hal_ticks_ms(void) {
    return clock_ms();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)clock_us();
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)rdtsc();
}

uint64_t mp_hal_time_ns(void) {
    return wall_us() * 1000;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t length) {
    serial_write(text, length);
    return length;
}

// Sleep as the event loop does: note the counters, look for work, and halt unless they moved since.
static void note(uint32_t *seen) {
    for (unsigned i = 0; i < lines_used; i++) {
        seen[i] = interrupts[i];
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t seen[LINES];
    uint64_t end = clock_us() + ms * 1000ULL;
    for (uint64_t now; (now = clock_us()) < end;) {
        note(seen);
#if IMPORTOS_DEVELOPMENT
        console_poll();
#endif
        mp_handle_pending(true);
        uint64_t left = (end - now + 999) / 1000;
        uint32_t step = left > 1000000 ? 1000000 : (uint32_t)left;
        interrupts_wait(seen, (int32_t)((clock_ms() + step) & ((1u << 30) - 1)));
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    for (uint64_t end = clock_us() + us; clock_us() < end;) {
    }
}

#if IMPORTOS_DEVELOPMENT
enum { BUFFER = 512 };

static uint8_t buffer[BUFFER];
static unsigned head, tail;
uint32_t console_seen;

// Move what has arrived into the buffer; Ctrl-C interrupts Python.
void console_poll(void) {
    console_seen = interrupts[LINE_SERIAL];
    while ((head + 1) % BUFFER != tail) {
        int c = serial_read();
        if (c < 0) {
            break;
        }
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            buffer[head] = (uint8_t)c;
            head = (head + 1) % BUFFER;
        }
    }
    line_unmask(LINE_SERIAL);
}

int mp_hal_stdin_rx_chr(void) {
    uint32_t seen[LINES];
    for (;;) {
        note(seen);
        console_poll();
        if (head != tail) {
            int c = buffer[tail];
            tail = (tail + 1) % BUFFER;
            return c;
        }
        mp_handle_pending(true);
        interrupts_wait(seen, -1);
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    console_poll();
    uintptr_t ready = poll_flags & MP_STREAM_POLL_WR;
    return head != tail ? ready | (poll_flags & MP_STREAM_POLL_RD) : ready;
}
#endif
