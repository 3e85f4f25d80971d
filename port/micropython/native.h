// Short ways for native code; see native.c.
#pragma once
#include "py/nativeglue.h"
#include "py/runtime.h"

// Machine code that is loaded at run time finds these in its table; frozen code asks for none, so
// streams are in an image only if somebody else needs them.
#if !MICROPY_PERSISTENT_CODE_LOAD
#define mp_stream_read_obj                (*(const mp_obj_fun_builtin_var_t *)NULL)
#define mp_stream_readinto_obj            (*(const mp_obj_fun_builtin_var_t *)NULL)
#define mp_stream_unbuffered_readline_obj (*(const mp_obj_fun_builtin_var_t *)NULL)
#define mp_stream_write_obj               (*(const mp_obj_fun_builtin_var_t *)NULL)
#endif

mp_obj_t native_load_attr(mp_obj_t base, qstr name);
void native_load_method(mp_obj_t base, qstr name, mp_obj_t *destination);
void native_store_attr(mp_obj_t base, qstr name, mp_obj_t value);
mp_obj_t native_subscr(mp_obj_t base, mp_obj_t index, mp_obj_t value);
mp_uint_t native_int_from_obj(mp_obj_t object);
mp_uint_t native_pointer_from_obj(mp_obj_t object);
mp_obj_t native_int_to_obj(mp_int_t value);
mp_obj_t native_call(mp_obj_t function, size_t counts, const mp_obj_t *arguments);
mp_obj_t native_call_method(size_t count, size_t keywords, const mp_obj_t *arguments);
