// The loud end: what happened, registers, where Python was, which image, then the policy `panic=`.
#include <stdarg.h>
#include <string.h>
#include "port.h"
#include "py/mphal.h"
#include "py/mpprint.h"

enum { GUARD_WORDS = 16, GUARD = 0x600df00d, DOUBLE_FAULT = 8 };

static bool panicking;

static void print(void *data, const char *text, size_t length) {
    (void)data;
    mp_hal_stdout_tx_strn_cooked(text, length);
}

static const mp_print_t out = {NULL, print};

static void print_registers(const struct trap_frame *f, uint32_t esp) {
    uint32_t cr2;
    __asm__ volatile("movl %%cr2, %0" : "=r"(cr2));
    mp_printf(&out, "eip=%08x cs=%04x eflags=%08x error=%08x cr2=%08x\n", (unsigned)f->eip,
              (unsigned)f->cs, (unsigned)f->eflags, (unsigned)f->error, (unsigned)cr2);
    mp_printf(&out, "eax=%08x ebx=%08x ecx=%08x edx=%08x\n", (unsigned)f->eax, (unsigned)f->ebx,
              (unsigned)f->ecx, (unsigned)f->edx);
    mp_printf(&out, "esi=%08x edi=%08x ebp=%08x esp=%08x\n", (unsigned)f->esi, (unsigned)f->edi,
              (unsigned)f->ebp, (unsigned)esp);
}

// Its first letter says which: reset, exit or halt.
static _Noreturn void finish(void) {
    size_t length;
    const char *given = option("panic", &length);
    char policy = given ? *given : panic_policy;
    machine_panicked();
    if (policy == 'e') {
        machine_exit(1);
    }
    if (policy == 'h') {
        machine_halt();
    }
    machine_reset();
}

static _Noreturn void die(const struct trap_frame *frame, const char *format, va_list arguments) {
    __asm__ volatile("cli");
    if (panicking) {
        static const char again[] = "\nPANIC while panicking\n";
        serial_write(again, sizeof(again) - 1);
        finish();
    }
    panicking = true;
    mp_printf(&out, "\nPANIC: ");
    mp_vprintf(&out, format, arguments);
    mp_printf(&out, "\n");
    const uint32_t *stack = __builtin_frame_address(0);
    if (frame) {
        uint32_t esp = frame->vector == DOUBLE_FAULT ? frame->esp : (uint32_t)(frame + 1);
        print_registers(frame, esp);
        stack = (const uint32_t *)(esp & ~3u);
    }
    if ((const char *)stack < stack_bottom || (const char *)stack > stack_top) {
        stack = (const uint32_t *)stack_bottom;
    }
    traceback_print(stack, (const uint32_t *)stack_top);
    mp_printf(&out, "build %s, booted by %s\n", build_id, booted_by);
    finish();
}

void panic(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    die(NULL, format, arguments);
}

void panic_at(const struct trap_frame *frame, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    die(frame, format, arguments);
}

// Known words at the end of the stack.  MicroPython checks the depth of every Python call; this
// finds C code that went deeper.  Whoever waits or collects looks.
void stack_guard_init(void) {
    for (unsigned i = 0; i < GUARD_WORDS; i++) {
        ((uint32_t *)stack_bottom)[i] = GUARD;
    }
}

void stack_guard_check(void) {
    for (unsigned i = 0; i < GUARD_WORDS; i += 4) {
        if (((const volatile uint32_t *)stack_bottom)[i] != GUARD) {
            stack_guard_init();
            panic("stack overflow: the guard words below the stack are gone");
        }
    }
}
