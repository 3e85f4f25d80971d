// A look at the network while Python is busy.
//
// Drivers run between callbacks, so a callback that computes for seconds would make the machine
// deaf.  The VM looks at `lines_masked_here` at every jump of bytecode: a line that has raised an
// interrupt stays masked until somebody has looked.  After FUSE jumps `urgent_look` is called, and
// if the turn of the loop has lasted a millisecond by then, the function that runtime/urgent.py has
// given to `metal.on_busy`.  What it lets happen must not disturb the code in whose midst it runs:
// it is not called while a function of the system itself is the one executing, nor within itself,
// nor where the scheduler or the heap is locked.  SystemExit from there goes to that code.
#include <string.h>
#include "port.h"
#include "py/bc.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/objfun.h"
#include "py/runtime.h"
#include "urgent.h"

enum {
    FUSE = 256,        // jumps between two looks
    SHORT_FUSE = 16,   // where the system's own code was found executing
    STACK = 16 * 1024, // what the network may need
    // A counter that no line has: the loop clears it in every turn.
    NEW_TURN = LINES - 1,
};

uint32_t urgent_fuse = FUSE;
static bool looking;
static uint64_t began;

MP_REGISTER_ROOT_POINTER(mp_obj_t on_busy);

// Modules whose data a poll may change; of a package all.
static const char *const SYSTEM[] = {"net", "runtime", "drivers", "asyncio", "socket", "select"};

static bool is_system(const mp_code_state_t *state) {
    mp_map_t *names = &state->fun_bc->context->module.globals->map;
    mp_map_elem_t *slot = mp_map_lookup(names, MP_OBJ_NEW_QSTR(MP_QSTR___name__), MP_MAP_LOOKUP);
    if (!slot || !mp_obj_is_str(slot->value)) {
        return true;
    }
    const char *name = mp_obj_str_get_str(slot->value);
    for (size_t i = 0; i < MP_ARRAY_SIZE(SYSTEM); i++) {
        size_t length = strlen(SYSTEM[i]);
        if (strncmp(name, SYSTEM[i], length) == 0 && (name[length] == '.' || !name[length])) {
            return true;
        }
    }
    return false;
}

void urgent_look(const mp_code_state_t *state) {
    urgent_fuse = FUSE;
    mp_obj_t poll = MP_STATE_PORT(on_busy);
    if (!poll || looking || gc_is_locked() || MP_STATE_VM(sched_state) == MP_SCHED_LOCKED) {
        return;
    }
    if (mp_cstack_usage() + STACK > MP_STATE_THREAD(stack_limit)) {
        return;
    }
    uint64_t now = rdtsc();
    if (!interrupts[NEW_TURN]) {
        interrupts[NEW_TURN] = 1;
        began = now;
        return;
    }
    if (now - began < clock_khz()) {
        return;
    }
    if (is_system(state)) {
        urgent_fuse = SHORT_FUSE;
        return;
    }
    looking = true;
    lines_take_edges(); // before the look: what comes meanwhile is for the next one
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        bool more = mp_obj_is_true(mp_call_function_0(poll));
        nlr_pop();
        if (more) {
            lines_look_again();
        } else {
            lines_unmask_served();
        }
    } else if (mp_obj_is_subclass_fast(
                   MP_OBJ_FROM_PTR(mp_obj_get_type(MP_OBJ_FROM_PTR(nlr.ret_val))),
                   MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        // The code in whose midst we are has had time enough to end (runtime/ending.py).
        mp_sched_exception(MP_OBJ_FROM_PTR(nlr.ret_val));
    } else {
        // A bug of the system's: not the business of the code in whose midst it happened.
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
        panic("uncaught exception");
    }
    looking = false;
}
