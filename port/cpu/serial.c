// The console: a 16550 at COM1.  Output polls the FIFO, input raises line 4.
#include "port.h"

enum {
    COM1 = 0x3f8,
    INTERRUPT_ENABLE = COM1 + 1,
    FIFO_CONTROL = COM1 + 2,
    LINE_CONTROL = COM1 + 3,
    MODEM_CONTROL = COM1 + 4,
    LINE_STATUS = COM1 + 5,
    DIVISOR_LATCH = 0x80,
    EIGHT_NO_ONE = 0x03,
    FIFO_ON_CLEARED = 0x07,
    DTR_RTS_OUT2 = 0x0b, // OUT2 gates the interrupt line on a PC
    DATA_AVAILABLE = 1 << 0,
    TRANSMITTER_EMPTY = 1 << 5,
    FIFO_SIZE = 16,
};

void serial_init(void) {
    out8(INTERRUPT_ENABLE, 0);
    out8(LINE_CONTROL, DIVISOR_LATCH);
    out8(COM1, 1); // 115200 bit/s
    out8(COM1 + 1, 0);
    out8(LINE_CONTROL, EIGHT_NO_ONE);
    out8(FIFO_CONTROL, FIFO_ON_CLEARED);
    out8(MODEM_CONTROL, DTR_RTS_OUT2);
    out8(INTERRUPT_ENABLE, DATA_AVAILABLE);
}

void serial_write(const char *data, size_t length) {
    while (length) {
        for (unsigned patience = 1000000; patience; patience--) {
            if (in8(LINE_STATUS) & TRANSMITTER_EMPTY) {
                break;
            }
        }
        // One exit to a hypervisor for all that the FIFO takes.
        size_t some = length < FIFO_SIZE ? length : FIFO_SIZE;
        length -= some;
        __asm__ volatile("rep outsb" : "+S"(data), "+c"(some) : "d"(COM1) : "memory");
    }
}

bool serial_ready(void) {
    uint8_t status = in8(LINE_STATUS);
    return status != 0xff && status & DATA_AVAILABLE; // 0xff: there is no such device
}

int serial_read(void) {
    return serial_ready() ? in8(COM1) : -1;
}
