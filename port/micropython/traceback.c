// The Python traceback of running frames, found by reading the C stack.
//
// MicroPython keeps no chain of frames, and keeping one would slow every call for the sake of the
// day the machine dies.  But each running bytecode function has its mp_code_state_t on the stack:
// a pointer to a function object, followed by an instruction pointer inside its bytecode.  A pair
// of words that fits is a frame.  Left out: frames of viper functions and of generators.
#include "port/micropython/lines.h"
#include "py/bc.h"
#include "py/mphal.h"
#include "py/objfun.h"
#include "py/runtime.h"

enum { LONGEST = 32768, FRAMES = 32 };

static bool in_memory(uint32_t address, size_t length) {
    return address >= (uint32_t)image_start && address + length <= heap_end && address % 4 == 0;
}

static const mp_obj_fun_bc_t *function_at(uint32_t word) {
    const mp_obj_fun_bc_t *function = (const void *)word;
    if (!in_memory(word, sizeof(*function)) || function->base.type != &mp_type_fun_bc) {
        return NULL;
    }
    return in_memory((uint32_t)function->context, sizeof(*function->context)) ? function : NULL;
}

static void print_frame(const mp_obj_fun_bc_t *function, const byte *at) {
    const byte *ip = function->bytecode;
    MP_BC_PRELUDE_SIG_DECODE(ip);
    MP_BC_PRELUDE_SIZE_DECODE(ip);
    const byte *lines_end = ip + n_info, *code = lines_end + n_cell;
    if (at < code) {
        return;
    }
    const qstr_short_t *names = function->context->constants.qstr_table;
    qstr name = names[mp_decode_uint_value(ip)];
    for (size_t i = 0; i < 1 + n_pos_args + n_kwonly_args; i++) {
        ip = mp_decode_uint_skip(ip);
    }
    size_t line = ip == lines_end ? line_of((size_t)at)
                                  : mp_bytecode_get_source_line(ip, lines_end, (size_t)(at - code));
    mp_printf(&mp_plat_print, "  File \"%q\", line %u, in %q\n", names[0], (unsigned)line, name);
}

void traceback_print(const uint32_t *from, const uint32_t *to) {
    const uint32_t *frames[FRAMES];
    unsigned n = 0;
    for (const uint32_t *word = from; word + 3 < to && n < FRAMES; word++) {
        const mp_obj_fun_bc_t *function = function_at(word[0]);
        if (function && word[1] - (uint32_t)function->bytecode < LONGEST) {
            frames[n++] = word;
        }
    }
    if (n) {
        mp_printf(&mp_plat_print, "Traceback (running, most recent call last):\n");
    }
    while (n--) {
        print_frame(function_at(frames[n][0]), (const byte *)frames[n][1]);
    }
}
