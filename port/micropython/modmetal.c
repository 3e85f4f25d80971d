// The module `metal`: everything Python can do to the machine.  runtime/ and drivers/ import it.
#include <string.h>
#include "files.h"
#include "py/binary.h"
#include "py/frozenmod.h"
#include "py/mphal.h"
#include "py/objarray.h"
#include "py/objstr.h"
#include "py/runtime.h"
#include "py/smallint.h"

#define TICKS_MASK ((1u << 30) - 1)

static uint32_t number(mp_obj_t value) {
    return (uint32_t)mp_obj_get_int_truncated(value);
}

#define PORT_ACCESS(width)                                                                         \
    static mp_obj_t metal_in##width(mp_obj_t port) {                                               \
        return mp_obj_new_int_from_uint(in##width((uint16_t)number(port)));                        \
    }                                                                                              \
    static MP_DEFINE_CONST_FUN_OBJ_1(metal_in##width##_obj, metal_in##width);                      \
    static mp_obj_t metal_out##width(mp_obj_t port, mp_obj_t value) {                              \
        out##width((uint16_t)number(port), (uint##width##_t)number(value));                        \
        return mp_const_none;                                                                      \
    }                                                                                              \
    static MP_DEFINE_CONST_FUN_OBJ_2(metal_out##width##_obj, metal_out##width)

PORT_ACCESS(8);
PORT_ACCESS(16);
PORT_ACCESS(32);

static mp_obj_t metal_memory(mp_obj_t address, mp_obj_t length) {
    return mp_obj_new_memoryview('B' | MP_OBJ_ARRAY_TYPECODE_FLAG_RW, number(length),
                                 (void *)number(address));
}
static MP_DEFINE_CONST_FUN_OBJ_2(metal_memory_obj, metal_memory);

// Copy `count` pieces of memory, each three words of a buffer: to, from, length.
static mp_obj_t metal_copy(mp_obj_t pieces, mp_obj_t count) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(pieces, &buffer, MP_BUFFER_READ);
    const uint32_t *piece = buffer.buf;
    size_t n = number(count);
    for (n = n < buffer.len / 12 ? n : buffer.len / 12; n; n--, piece += 3) {
        memcpy((void *)piece[0], (const void *)piece[1], piece[2]);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(metal_copy_obj, metal_copy);

static mp_obj_t metal_arena(void) {
    mp_obj_t pair[] = {MP_OBJ_NEW_SMALL_INT(arena_start), MP_OBJ_NEW_SMALL_INT(arena_size)};
    return mp_obj_new_tuple(2, pair);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_arena_obj, metal_arena);

static mp_obj_t metal_mask(mp_obj_t line) {
    line_mask(number(line) & 31);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_mask_obj, metal_mask);

static mp_obj_t metal_unmask(mp_obj_t line) {
    line_unmask(number(line) & 31);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_unmask_obj, metal_unmask);

// A line that nobody has, whose vector is 32 more, for messages and the IOAPIC; 0: none is left.
static mp_obj_t metal_new_line(void) {
    return MP_OBJ_NEW_SMALL_INT(lines_used < LINE_END ? lines_used++ : 0);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_new_line_obj, metal_new_line);

static mp_obj_t metal_wait(mp_obj_t seen, mp_obj_t deadline) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(seen, &buffer, MP_BUFFER_READ);
    if (buffer.len < LINES * sizeof(uint32_t)) {
        mp_raise_ValueError(MP_ERROR_TEXT("wait: the buffer has to hold 64 u32"));
    }
    interrupts_wait(buffer.buf, MP_OBJ_SMALL_INT_VALUE(deadline));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(metal_wait_obj, metal_wait);

static mp_obj_t metal_alarm(mp_obj_t milliseconds) {
    interrupts_alarm(number(milliseconds));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_alarm_obj, metal_alarm);

static mp_obj_t metal_ticks_ms(void) {
    return MP_OBJ_NEW_SMALL_INT(clock_ms());
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_ticks_ms_obj, metal_ticks_ms);

static mp_obj_t metal_ticks_us(void) {
    return MP_OBJ_NEW_SMALL_INT((uint32_t)clock_us() & TICKS_MASK);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_ticks_us_obj, metal_ticks_us);

// Whether a module is in the image: cheaper than an ImportError.
static mp_obj_t metal_has(mp_obj_t name) {
    bool package;
    return mp_obj_new_bool(mp_frozen_module_of(mp_obj_str_get_qstr(name), &package) != NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_has_obj, metal_has);

static mp_obj_t metal_uptime_ms(void) {
    uint64_t now = clock_us() / 1000;
    return now <= MP_SMALL_INT_MAX ? MP_OBJ_NEW_SMALL_INT((mp_int_t)now)
                                   : mp_obj_new_int_from_ull(now);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_uptime_ms_obj, metal_uptime_ms);

static mp_obj_t metal_time(void) {
    return mp_obj_new_int_from_ull(wall_us() / 1000000);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_time_obj, metal_time);

// The time of day as eight bytes, for seeds.
static mp_obj_t metal_stamp(void) {
    uint64_t now = wall_us();
    return mp_obj_new_bytes((const byte *)&now, sizeof now);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_stamp_obj, metal_stamp);

static mp_obj_t metal_cycles(void) {
    return MP_OBJ_NEW_SMALL_INT((uint32_t)rdtsc() & TICKS_MASK);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_cycles_obj, metal_cycles);

// Fill a buffer with what the processor's generator gives; False: there is none, or it fails.
// Ten attempts: Intel SDM 1, section 7.3.17.1.  All ones is how a broken one answers.
static mp_obj_t metal_rdrand(mp_obj_t target) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(target, &buffer, MP_BUFFER_WRITE);
    uint32_t eax, ebx, ecx, edx;
    cpuid(1, &eax, &ebx, &ecx, &edx);
    if (!(ecx & 1u << 30)) {
        return mp_const_false;
    }
    for (size_t i = 0; i + sizeof(uint32_t) <= buffer.len; i += sizeof(uint32_t)) {
        uint32_t value = UINT32_MAX;
        bool good = false;
        for (int attempts = 10; attempts && !good; attempts--) {
            __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
        }
        if (!good || value == UINT32_MAX) {
            return mp_const_false;
        }
        memcpy((uint8_t *)buffer.buf + i, &value, sizeof value);
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_rdrand_obj, metal_rdrand);

// What to call while Python is busy (urgent.c).
static mp_obj_t metal_on_busy(mp_obj_t function) {
    MP_STATE_PORT(on_busy) = function;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_on_busy_obj, metal_on_busy);

static mp_obj_t metal_write(mp_obj_t data) {
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(data, &buffer, MP_BUFFER_READ);
    mp_hal_stdout_tx_strn_cooked(buffer.buf, buffer.len); // a terminal wants CR LF
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_write_obj, metal_write);

static mp_obj_t metal_read(void) {
    return MP_OBJ_NEW_SMALL_INT(serial_read());
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_read_obj, metal_read);

// Bytes allocated on the heap since the last collection: tells cheaply whether one is worth it.
static mp_obj_t metal_allocated(void) {
    return mp_obj_new_int_from_uint(MP_STATE_MEM(gc_alloc_amount) * MICROPY_BYTES_PER_GC_BLOCK);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_allocated_obj, metal_allocated);

// Bytes that the last collection left alive.  (gc.mem_alloc walks the whole heap: 3 M
// instructions.)
static mp_obj_t metal_live(void) {
    return mp_obj_new_int_from_uint(MP_STATE_MEM(area).gc_live_blocks * MICROPY_BYTES_PER_GC_BLOCK);
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_live_obj, metal_live);

static mp_obj_t metal_set_poweroff(mp_obj_t port, mp_obj_t value) {
    set_poweroff(number(port), (uint16_t)number(value));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(metal_set_poweroff_obj, metal_set_poweroff);

static mp_obj_t metal_set_panic(mp_obj_t where) {
    set_panic(number(where));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_set_panic_obj, metal_set_panic);

static mp_obj_t metal_exit(mp_obj_t status) {
    machine_exit((int)number(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_exit_obj, metal_exit);

static mp_obj_t metal_reset(void) {
    machine_reset();
}
static MP_DEFINE_CONST_FUN_OBJ_0(metal_reset_obj, metal_reset);

static mp_obj_t metal_panic(mp_obj_t text) {
    panic("%s", mp_obj_str_get_str(text));
}
static MP_DEFINE_CONST_FUN_OBJ_1(metal_panic_obj, metal_panic);

static mp_obj_array_t counters = {{&mp_type_memoryview},
                                  'B' | MP_OBJ_ARRAY_TYPECODE_FLAG_RW,
                                  0,
                                  sizeof(interrupts),
                                  (void *)interrupts};

static mp_obj_t map_tuple(void) {
    mp_obj_t map[REGIONS];
    for (unsigned i = 0; i < memory_regions; i++) {
        mp_obj_t region[] = {mp_obj_new_int_from_ull(memory_map[i].base),
                             mp_obj_new_int_from_ull(memory_map[i].length),
                             mp_obj_new_int_from_uint(memory_map[i].type)};
        map[i] = mp_obj_new_tuple(3, region);
    }
    return mp_obj_new_tuple(memory_regions, map);
}

static mp_obj_t text(const char *string) {
    return mp_obj_new_str(string, strlen(string));
}

// Attributes whose value only the running machine knows.
void metal_attribute(mp_obj_t self, qstr name, mp_obj_t *destination); // called by py/objmodule.c
void metal_attribute(mp_obj_t self, qstr name, mp_obj_t *destination) {
    (void)self;
    if (destination[0] != MP_OBJ_NULL) {
        return; // no stores
    }
    switch (name) {
    case MP_QSTR_tsc_khz:
        destination[0] = mp_obj_new_int_from_uint(clock_khz());
        break;
    case MP_QSTR_command_line:
        destination[0] = text(command_line);
        break;
    case MP_QSTR_build_id:
        destination[0] = text(build_id);
        break;
    case MP_QSTR_booted_by:
        destination[0] = text(booted_by);
        break;
    case MP_QSTR_memory_map:
        destination[0] = map_tuple();
        break;
    default:
        break;
    }
}

static const mp_rom_map_elem_t metal_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_metal)},
    {MP_ROM_QSTR(MP_QSTR_interrupts), MP_ROM_PTR(&counters)},
    {MP_ROM_QSTR(MP_QSTR_in8), MP_ROM_PTR(&metal_in8_obj)},
    {MP_ROM_QSTR(MP_QSTR_in16), MP_ROM_PTR(&metal_in16_obj)},
    {MP_ROM_QSTR(MP_QSTR_in32), MP_ROM_PTR(&metal_in32_obj)},
    {MP_ROM_QSTR(MP_QSTR_out8), MP_ROM_PTR(&metal_out8_obj)},
    {MP_ROM_QSTR(MP_QSTR_out16), MP_ROM_PTR(&metal_out16_obj)},
    {MP_ROM_QSTR(MP_QSTR_out32), MP_ROM_PTR(&metal_out32_obj)},
    {MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&metal_memory_obj)},
    {MP_ROM_QSTR(MP_QSTR_copy), MP_ROM_PTR(&metal_copy_obj)},
    {MP_ROM_QSTR(MP_QSTR_arena), MP_ROM_PTR(&metal_arena_obj)},
    {MP_ROM_QSTR(MP_QSTR_mask), MP_ROM_PTR(&metal_mask_obj)},
    {MP_ROM_QSTR(MP_QSTR_unmask), MP_ROM_PTR(&metal_unmask_obj)},
    {MP_ROM_QSTR(MP_QSTR_new_line), MP_ROM_PTR(&metal_new_line_obj)},
    {MP_ROM_QSTR(MP_QSTR_wait), MP_ROM_PTR(&metal_wait_obj)},
    {MP_ROM_QSTR(MP_QSTR_alarm), MP_ROM_PTR(&metal_alarm_obj)},
    {MP_ROM_QSTR(MP_QSTR_ticks_ms), MP_ROM_PTR(&metal_ticks_ms_obj)},
    {MP_ROM_QSTR(MP_QSTR_ticks_us), MP_ROM_PTR(&metal_ticks_us_obj)},
    {MP_ROM_QSTR(MP_QSTR_stamp), MP_ROM_PTR(&metal_stamp_obj)},
    {MP_ROM_QSTR(MP_QSTR_has), MP_ROM_PTR(&metal_has_obj)},
    {MP_ROM_QSTR(MP_QSTR_uptime_ms), MP_ROM_PTR(&metal_uptime_ms_obj)},
    {MP_ROM_QSTR(MP_QSTR_time), MP_ROM_PTR(&metal_time_obj)},
    {MP_ROM_QSTR(MP_QSTR_cycles), MP_ROM_PTR(&metal_cycles_obj)},
    {MP_ROM_QSTR(MP_QSTR_on_busy), MP_ROM_PTR(&metal_on_busy_obj)},
    {MP_ROM_QSTR(MP_QSTR_rdrand), MP_ROM_PTR(&metal_rdrand_obj)},
#if IMPORTOS_VFS
    {MP_ROM_QSTR(MP_QSTR_files), MP_ROM_PTR(&metal_files_obj)},
#endif
    {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&metal_write_obj)},
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&metal_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_allocated), MP_ROM_PTR(&metal_allocated_obj)},
    {MP_ROM_QSTR(MP_QSTR_live), MP_ROM_PTR(&metal_live_obj)},
    {MP_ROM_QSTR(MP_QSTR_set_poweroff), MP_ROM_PTR(&metal_set_poweroff_obj)},
    {MP_ROM_QSTR(MP_QSTR_set_panic), MP_ROM_PTR(&metal_set_panic_obj)},
    {MP_ROM_QSTR(MP_QSTR_exit), MP_ROM_PTR(&metal_exit_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&metal_reset_obj)},
    {MP_ROM_QSTR(MP_QSTR_panic), MP_ROM_PTR(&metal_panic_obj)},
};
static MP_DEFINE_CONST_DICT(metal_globals, metal_globals_table);

const mp_obj_module_t metal_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&metal_globals,
};

MP_REGISTER_MODULE(MP_QSTR_metal, metal_module);
MP_REGISTER_MODULE_DELEGATION(metal_module, metal_attribute);
