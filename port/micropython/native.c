// What native code (viper) asks of the runtime most often, on the shortest way.
//
// Each function gives the same answer as the one of MicroPython that it stands for, and goes there
// when the case is not the common one: an attribute of an instance that is in the instance, a
// method that is in its class, an element of a list, the address of a buffer, a call of a bound
// method.  An attribute then costs 35 instructions instead of 165 and a buffer 15 instead of 95,
// and a packet takes some dozens of each on its way.  patches/40-native-short-ways.patch puts them
// into the table that native code calls through.
#include "native.h"
#include "py/objarray.h"
#include "py/objfun.h"
#include "py/objlist.h"
#include "py/objtype.h"

// The value of a key in a map, MP_OBJ_NULL: not there.  py/map.c keeps the cache.
static inline mp_obj_t lookup(mp_map_t *map, mp_obj_t key) {
    if (map->alloc) {
        size_t place = ((uintptr_t)key >> 2) % MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE;
        mp_map_elem_t *slot = &map->table[MP_STATE_VM(map_lookup_cache)[place] % map->alloc];
        if (slot->key == key) {
            return slot->value;
        }
    }
    mp_map_elem_t *slot = mp_map_lookup(map, key, MP_MAP_LOOKUP);
    return slot ? slot->value : MP_OBJ_NULL;
}

static inline const mp_obj_type_t *type_of(mp_obj_t object) {
    return ((mp_obj_base_t *)MP_OBJ_TO_PTR(object))->type;
}

static inline bool is_instance(mp_obj_t object) {
    return mp_obj_is_obj(object) && mp_obj_is_instance_type(type_of(object));
}

mp_obj_t native_load_attr(mp_obj_t base, qstr name) {
    if (is_instance(base)) {
        mp_obj_instance_t *self = MP_OBJ_TO_PTR(base);
        mp_obj_t value = lookup(&self->members, MP_OBJ_NEW_QSTR(name));
        if (value != MP_OBJ_NULL) {
            return value;
        }
    }
    return mp_load_attr(base, name);
}

void native_load_method(mp_obj_t base, qstr name, mp_obj_t *destination) {
    if (is_instance(base)) {
        mp_obj_instance_t *self = MP_OBJ_TO_PTR(base);
        mp_obj_t key = MP_OBJ_NEW_QSTR(name);
        mp_obj_t value = lookup(&self->members, key);
        if (value != MP_OBJ_NULL) {
            destination[0] = value;
            destination[1] = MP_OBJ_NULL;
            return;
        }
        mp_obj_dict_t *locals = MP_OBJ_TYPE_GET_SLOT_OR_NULL(self->base.type, locals_dict);
        value = locals ? lookup(&locals->map, key) : MP_OBJ_NULL;
        // Python's own functions bind to the instance; other things have their own rules.
        if (value != MP_OBJ_NULL && mp_obj_is_obj(value) &&
            (type_of(value)->flags & (MP_TYPE_FLAG_BINDS_SELF | MP_TYPE_FLAG_BUILTIN_FUN)) ==
                MP_TYPE_FLAG_BINDS_SELF) {
            destination[0] = value;
            destination[1] = base;
            return;
        }
    }
    mp_load_method(base, name, destination);
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

mp_uint_t native_from_obj(mp_obj_t object, mp_uint_t type) {
    if ((type & 15) >= MP_NATIVE_TYPE_INT) {
        if (mp_obj_is_small_int(object)) {
            return (mp_uint_t)MP_OBJ_SMALL_INT_VALUE(object);
        }
        if ((type & 15) >= MP_NATIVE_TYPE_PTR && mp_obj_is_obj(object)) {
            mp_obj_array_t *array = MP_OBJ_TO_PTR(object);
            if (array->base.type == &mp_type_bytearray) {
                return (mp_uint_t)array->items;
            }
            if (array->base.type == &mp_type_memoryview &&
                (array->typecode & ~MP_OBJ_ARRAY_TYPECODE_FLAG_RW) == 'B') {
                return (mp_uint_t)array->items + array->free; // `free` is the offset of a view
            }
        }
    }
    return mp_native_from_obj(object, type);
}

// py/objboundmeth.c keeps this to itself.
struct bound_method {
    mp_obj_base_t base;
    mp_obj_t method, self;
};

mp_obj_t native_call(mp_obj_t function, size_t counts, const mp_obj_t *arguments) {
    enum { MOST = 3 };
    if (counts <= MOST && mp_obj_is_exact_type(function, &mp_type_bound_meth)) {
        struct bound_method *bound = MP_OBJ_TO_PTR(function);
        mp_obj_t all[1 + MOST] = {bound->self};
        for (size_t i = 0; i < counts; i++) {
            all[1 + i] = arguments[i];
        }
        return mp_call_function_n_kw(bound->method, 1 + counts, 0, all);
    }
    return mp_call_function_n_kw(function, counts & 0xff, counts >> 8 & 0xff, arguments);
}

// The arguments: function, self or MP_OBJ_NULL, the rest; as native_load_method has left them.
mp_obj_t native_call_method(size_t count, size_t keywords, const mp_obj_t *arguments) {
    if (arguments[1] != MP_OBJ_NULL) {
        return mp_call_function_n_kw(arguments[0], count + 1, keywords, arguments + 1);
    }
    return native_call(arguments[0], count | keywords << 8, arguments + 2);
}
