// `lending`: the part of the heap's area that is not in use, for who lends it to the host.
//
// The heap is one piece that grows in place (patches/30-gc-grow): above the pool lies memory that
// nobody looks at and that holds nothing.  What the collector needs of it, it takes without asking;
// `limit` keeps it from doing so while the host may still be throwing pages away.
#include "py/gc.h"
#include "py/mpstate.h"
#include "py/obj.h"
#include "py/runtime.h"

#if MICROPY_PY_LENDING

enum {
    BLOCKS_PER_BYTE = 4, // of the allocation table, py/gc.c
    BYTES = BLOCKS_PER_BYTE * MICROPY_BYTES_PER_GC_BLOCK,
    SMALLEST = 1024 * 1024 / BYTES,
};

static size_t most; // bytes of the table when all of the area is in use

static mp_state_mem_area_t *heap(void) {
    mp_state_mem_area_t *area = &MP_STATE_MEM(area);
    if (!most) {
        most = area->gc_alloc_table_max_len;
    }
    return area;
}

// (start of the pool, its end, end of the area, bytes that were live after the last collection)
static mp_obj_t lending_bounds(void) {
    mp_state_mem_area_t *area = heap();
    uintptr_t start = (uintptr_t)area->gc_pool_start;
    mp_obj_t bounds[] = {
        mp_obj_new_int_from_uint(start),
        mp_obj_new_int_from_uint((uintptr_t)area->gc_pool_end),
        mp_obj_new_int_from_uint(start + most * BYTES),
        mp_obj_new_int_from_uint(area->gc_live_blocks * MICROPY_BYTES_PER_GC_BLOCK),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(bounds), bounds);
}
static MP_DEFINE_CONST_FUN_OBJ_0(lending_bounds_obj, lending_bounds);

// The pool does not grow: the collector has what it has.  Or it may again.
static mp_obj_t lending_limit(mp_obj_t limited) {
    mp_state_mem_area_t *area = heap();
    area->gc_alloc_table_max_len = mp_obj_is_true(limited) ? area->gc_alloc_table_byte_len : most;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(lending_limit_obj, lending_limit);

// Collect, and have the pool end where twice of what is used ends, if that is a quarter of it.
static mp_obj_t lending_shrink(void) {
    mp_state_mem_area_t *area = heap();
    gc_collect();
    size_t used = area->gc_last_used_block / BLOCKS_PER_BYTE + 1;
    size_t wanted = MAX(2 * used, SMALLEST);
    if (wanted * 2 <= area->gc_alloc_table_byte_len) {
        area->gc_alloc_table_byte_len = wanted;
        area->gc_pool_end = area->gc_pool_start + wanted * BYTES;
        area->gc_last_free_atb_index = MIN(area->gc_last_free_atb_index, wanted - 1);
        area->gc_next_fit_atb_index = 0;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(lending_shrink_obj, lending_shrink);

static const mp_rom_map_elem_t lending_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_lending)},
    {MP_ROM_QSTR(MP_QSTR_bounds), MP_ROM_PTR(&lending_bounds_obj)},
    {MP_ROM_QSTR(MP_QSTR_limit), MP_ROM_PTR(&lending_limit_obj)},
    {MP_ROM_QSTR(MP_QSTR_shrink), MP_ROM_PTR(&lending_shrink_obj)},
};
static MP_DEFINE_CONST_DICT(lending_globals, lending_globals_table);

const mp_obj_module_t lending_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&lending_globals,
};

MP_REGISTER_MODULE(MP_QSTR_lending, lending_module);

#endif
