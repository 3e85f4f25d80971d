// MicroPython's life: heap, modules, the service's `runtime.boot.main()`, and how it may end.
#include "files.h"
#include "py/builtin.h"
#include <stdlib.h>
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"

enum {
    STACK_RESERVE = 8 * 1024, // below Python's limit: the C code a Python call may reach
    FIRST_HEAP = 1024 * 1024, // the heap grows by doubling: clearing tables costs instructions
};

static void run_service(void) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_obj_t names = mp_obj_new_tuple(1, (mp_obj_t[]){MP_OBJ_NEW_QSTR(MP_QSTR_main)});
        mp_obj_t boot =
            mp_import_name(qstr_from_str("runtime.boot"), names, MP_OBJ_NEW_SMALL_INT(0));
        mp_call_function_0(mp_load_attr(boot, MP_QSTR_main));
        nlr_pop();
        return;
    }
    mp_obj_t exception = MP_OBJ_FROM_PTR(nlr.ret_val);
    if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(exception)),
                                MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        return;
    }
    mp_obj_print_exception(&mp_plat_print, exception);
#if !IMPORTOS_DEVELOPMENT
    panic("uncaught exception");
#endif
}

#if IMPORTOS_DEVELOPMENT
static void repl(void) {
    for (;;) {
        int end =
            pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
        if (end) {
            break;
        }
    }
    mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
}
#endif

void micropython_main(void) {
    mp_stack_set_top(stack_top);
    mp_stack_set_limit((mp_uint_t)(stack_top - stack_bottom) - STACK_RESERVE);
    MP_STATE_MEM(gc_block_stack) = mark_stack;
    bool measured = false;
    for (;;) {
        gc_init_growing((void *)heap_start, (void *)heap_end, FIRST_HEAP);
        mp_init();
        if (!measured) {
            timer_measure();
            measured = true;
        }
#if IMPORTOS_DEVELOPMENT
        size_t length;
        if (option("service", &length)) {
            run_service();
        }
        repl();
        gc_sweep_all();
        mp_deinit();
#else
        run_service();
        return;
#endif
    }
}

void gc_collect(void) {
    stack_guard_check();
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
#if IMPORTOS_VFS
    files_keep();
#endif
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(value));
    panic("an exception outside of Python");
}

bool can_raise(void) {
    return MP_STATE_THREAD(nlr_top) != NULL;
}

void raise_zero_division(void) {
    mp_raise_msg(&mp_type_ZeroDivisionError, MP_ERROR_TEXT("divide by zero"));
}

#if !MICROPY_VFS
mp_import_stat_t mp_import_stat(const char *path) {
    (void)path;
    return MP_IMPORT_STAT_NO_EXIST; // everything is frozen
}

#if MICROPY_PY_IO
static mp_obj_t no_open(size_t n, const mp_obj_t *arguments, mp_map_t *named) {
    (void)n, (void)arguments, (void)named;
    mp_raise_OSError(MP_ENODEV); // there is no file system
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 1, no_open);
#endif
#endif

#ifndef NDEBUG
void assertion_failed(const char *file, int line, const char *text) {
    panic("%s:%d: assertion failed: %s", file, line, text);
}
#endif

void abort(void) {
    panic("abort");
}
