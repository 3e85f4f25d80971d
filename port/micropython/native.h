// Short ways for native code; see native.c.
#pragma once
#include "py/nativeglue.h"
#include "py/runtime.h"

mp_obj_t native_load_attr(mp_obj_t base, qstr name);
void native_load_method(mp_obj_t base, qstr name, mp_obj_t *destination);
void native_store_attr(mp_obj_t base, qstr name, mp_obj_t value);
mp_obj_t native_subscr(mp_obj_t base, mp_obj_t index, mp_obj_t value);
mp_uint_t native_from_obj(mp_obj_t object, mp_uint_t type);
mp_obj_t native_to_obj(mp_uint_t value, mp_uint_t type);
mp_obj_t native_call(mp_obj_t function, size_t counts, const mp_obj_t *arguments);
mp_obj_t native_call_method(size_t count, size_t keywords, const mp_obj_t *arguments);
