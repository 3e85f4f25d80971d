// What native code (viper) asks of the runtime most often, on the shortest way.
//
// Each function gives the same answer as the one of MicroPython that it stands for, and goes there
// when the case is not the common one: an attribute of an instance that is in the instance, a
// method that is in its class, an element of a list, the address of a buffer, a call of a bound
// method.  An attribute then costs 22 instructions instead of 165 and a buffer 8 instead of 95,
// and a packet takes some dozens of each on its way.  patches/40-native-short-ways.patch puts them
// into the table that native code calls through.
//
// The long ways are functions of their own, so that the short ones save no registers.
#include "native.h"
#include "py/objarray.h"
#include "py/objfun.h"
#include "py/objlist.h"
#include "py/objtype.h"
#include "py/smallint.h"

#define APART __attribute__((noinline))

static inline const mp_obj_type_t *type_of(mp_obj_t object) {
    return ((mp_obj_base_t *)MP_OBJ_TO_PTR(object))->type;
}

static inline bool is_instance(mp_obj_t object) {
    return mp_obj_is_obj(object) && mp_obj_is_instance_type(type_of(object));
}

// Where in its instance an attribute was last found, by class and name.  Instances of a class have
// mostly got their attributes in the same order.
static uint8_t places[8192];

static inline uint8_t *place_of(mp_obj_instance_t *self, qstr name) {
    return &places[(name ^ (uintptr_t)self->base.type >> 4) % sizeof(places)];
}

// Where it is, if that is where it was last found, or NULL.
static inline mp_map_elem_t *remembered(mp_obj_instance_t *self, qstr name) {
    size_t place = *place_of(self, name);
    mp_map_elem_t *slot = &self->members.table[place];
    return place < self->members.alloc && slot->key == MP_OBJ_NEW_QSTR(name) ? slot : NULL;
}

static mp_obj_t looked_up(mp_obj_instance_t *self, qstr name) {
    mp_map_elem_t *slot = mp_map_lookup(&self->members, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP);
    if (!slot) {
        return MP_OBJ_NULL;
    }
    *place_of(self, name) = (uint8_t)(slot - self->members.table);
    return slot->value;
}

APART static mp_obj_t load_attr(mp_obj_t base, qstr name) {
    if (is_instance(base)) {
        mp_obj_t value = looked_up(MP_OBJ_TO_PTR(base), name);
        if (value != MP_OBJ_NULL) {
            return value;
        }
    }
    return mp_load_attr(base, name);
}

mp_obj_t native_load_attr(mp_obj_t base, qstr name) {
    if (is_instance(base)) {
        mp_map_elem_t *slot = remembered(MP_OBJ_TO_PTR(base), name);
        if (slot) {
            return slot->value;
        }
    }
    return load_attr(base, name);
}

// A class with properties or __setattr__ has its own rules.
void native_store_attr(mp_obj_t base, qstr name, mp_obj_t value) {
    if (is_instance(base) && value != MP_OBJ_NULL &&
        !(type_of(base)->flags & MP_TYPE_FLAG_HAS_SPECIAL_ACCESSORS)) {
        mp_map_elem_t *slot = remembered(MP_OBJ_TO_PTR(base), name);
        if (slot) {
            slot->value = value;
            return;
        }
    }
    mp_store_attr(base, name, value);
}

APART static void load_method(mp_obj_t base, qstr name, mp_obj_t *destination) {
    if (is_instance(base)) {
        mp_obj_instance_t *self = MP_OBJ_TO_PTR(base);
        mp_obj_t value = looked_up(self, name);
        if (value != MP_OBJ_NULL) {
            destination[0] = value;
            destination[1] = MP_OBJ_NULL;
            return;
        }
        mp_obj_dict_t *locals = MP_OBJ_TYPE_GET_SLOT_OR_NULL(self->base.type, locals_dict);
        mp_map_elem_t *slot = NULL;
        if (locals) {
            slot = mp_map_lookup(&locals->map, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP);
        }
        // Python's own functions bind to the instance; other things have their own rules.
        if (slot && mp_obj_is_obj(slot->value) &&
            (type_of(slot->value)->flags & (MP_TYPE_FLAG_BINDS_SELF | MP_TYPE_FLAG_BUILTIN_FUN)) ==
                MP_TYPE_FLAG_BINDS_SELF) {
            destination[0] = slot->value;
            destination[1] = base;
            return;
        }
    }
    mp_load_method(base, name, destination);
}

void native_load_method(mp_obj_t base, qstr name, mp_obj_t *destination) {
    if (is_instance(base)) {
        mp_map_elem_t *slot = remembered(MP_OBJ_TO_PTR(base), name);
        if (slot) {
            destination[0] = slot->value;
            destination[1] = MP_OBJ_NULL;
            return;
        }
    }
    load_method(base, name, destination);
}

mp_obj_t native_subscr(mp_obj_t base, mp_obj_t index, mp_obj_t value) {
    if (mp_obj_is_exact_type(base, &mp_type_list) && mp_obj_is_small_int(index)) {
        mp_obj_list_t *list = MP_OBJ_TO_PTR(base);
        size_t place = (size_t)MP_OBJ_SMALL_INT_VALUE(index);
        if (place < list->len && value != MP_OBJ_NULL) {
            if (value == MP_OBJ_SENTINEL) {
                return list->items[place];
            }
            list->items[place] = value;
            return mp_const_none;
        }
    }
    return mp_obj_subscr(base, index, value);
}

mp_uint_t native_int_from_obj(mp_obj_t object) {
    if (mp_obj_is_small_int(object)) {
        return (mp_uint_t)MP_OBJ_SMALL_INT_VALUE(object);
    }
    return mp_native_from_obj(object, MP_NATIVE_TYPE_INT);
}

mp_uint_t native_pointer_from_obj(mp_obj_t object) {
    if (mp_obj_is_obj(object)) {
        mp_obj_array_t *array = MP_OBJ_TO_PTR(object);
        if (array->base.type == &mp_type_bytearray) {
            return (mp_uint_t)array->items;
        }
        if (array->base.type == &mp_type_memoryview &&
            (array->typecode & ~MP_OBJ_ARRAY_TYPECODE_FLAG_RW) == 'B') {
            return (mp_uint_t)array->items + array->free; // `free` is the offset of a view
        }
    }
    return mp_native_from_obj(object, MP_NATIVE_TYPE_PTR);
}

mp_obj_t native_int_to_obj(mp_int_t value) {
    mp_int_t twice;
    if (!__builtin_add_overflow(value, value, &twice)) {
        return (mp_obj_t)(uintptr_t)(twice | 1); // a small int
    }
    return mp_obj_new_int(value);
}

// The caller's arguments are on its stack: they say how deep it is.  (Those of a generator are not,
// and take the long way, which looks itself.)
static inline bool deep(const mp_obj_t *arguments) {
    size_t used = (size_t)(MP_STATE_THREAD(stack_top) - (char *)(uintptr_t)arguments);
    return used >= MP_STATE_THREAD(stack_limit);
}

static inline mp_obj_t call(mp_obj_t function, size_t count, const mp_obj_t *arguments) {
    if (mp_obj_is_exact_type(function, &mp_type_fun_viper) && !deep(arguments)) {
        mp_obj_fun_bc_t *viper = MP_OBJ_TO_PTR(function);
        mp_call_fun_t code = (mp_call_fun_t)(uintptr_t)viper->bytecode;
        return code(function, count, 0, arguments);
    }
    return mp_call_function_n_kw(function, count, 0, arguments);
}

// py/objboundmeth.c keeps this to itself.
struct bound_method {
    mp_obj_base_t base;
    mp_obj_t method, self;
};

mp_obj_t native_call(mp_obj_t function, size_t counts, const mp_obj_t *arguments) {
    if (counts <= 2 && mp_obj_is_exact_type(function, &mp_type_bound_meth)) {
        struct bound_method *bound = MP_OBJ_TO_PTR(function);
        mp_obj_t all[3];
        all[0] = bound->self;
        if (counts >= 1) {
            all[1] = arguments[0];
        }
        if (counts == 2) {
            all[2] = arguments[1];
        }
        return call(bound->method, 1 + counts, all);
    }
    if (counts <= 0xff) {
        return call(function, counts, arguments);
    }
    return mp_call_function_n_kw(function, counts & 0xff, counts >> 8 & 0xff, arguments);
}

// The arguments: function, self or MP_OBJ_NULL, the rest; as native_load_method has left them on
// the caller's stack, where nobody looks at them again: so `self` is put where it was missing.
mp_obj_t native_call_method(size_t count, size_t keywords, const mp_obj_t *arguments) {
    if (keywords == 0) {
        mp_obj_t function = arguments[0];
        if (arguments[1] != MP_OBJ_NULL) {
            return call(function, count + 1, arguments + 1);
        }
        if (mp_obj_is_exact_type(function, &mp_type_bound_meth)) {
            struct bound_method *bound = MP_OBJ_TO_PTR(function);
            ((mp_obj_t *)arguments)[1] = bound->self;
            return call(bound->method, count + 1, arguments + 1);
        }
        return call(function, count, arguments + 2);
    }
    return mp_call_method_n_kw(count, keywords, arguments);
}
