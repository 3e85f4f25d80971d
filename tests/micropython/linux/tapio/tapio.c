/* The module `tapio` of MicroPython for Linux: one frame per system call.
 *
 * MicroPython's own files read on until the buffer is full, which glues the frames of a TAP device
 * together.
 */
#include <errno.h>
#include <unistd.h>
#include "py/mperrno.h"
#include "py/runtime.h"

/* read(descriptor, buffer) -> bytes read, 0 when there is no frame */
static mp_obj_t tapio_read(mp_obj_t descriptor, mp_obj_t buffer) {
    mp_buffer_info_t to;
    mp_get_buffer_raise(buffer, &to, MP_BUFFER_WRITE);
    ssize_t n = read(mp_obj_get_int(descriptor), to.buf, to.len);
    if (n < 0 && errno != EAGAIN)
        mp_raise_OSError(errno);
    return MP_OBJ_NEW_SMALL_INT(n < 0 ? 0 : n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(tapio_read_obj, tapio_read);

/* write(descriptor, buffer, start, end) */
static mp_obj_t tapio_write(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(args[1], &from, MP_BUFFER_READ);
    mp_int_t start = mp_obj_get_int(args[2]);
    mp_int_t end = mp_obj_get_int(args[3]);
    if (start < 0 || end < start || (size_t)end > from.len)
        mp_raise_ValueError(NULL);
    ssize_t n = write(mp_obj_get_int(args[0]), (char *)from.buf + start, end - start);
    if (n < 0 && errno != EAGAIN)
        mp_raise_OSError(errno);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tapio_write_obj, 4, 4, tapio_write);

static const mp_rom_map_elem_t tapio_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tapio)},
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&tapio_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&tapio_write_obj)},
};
static MP_DEFINE_CONST_DICT(tapio_globals, tapio_globals_table);

const mp_obj_module_t tapio_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tapio_globals,
};
MP_REGISTER_MODULE(MP_QSTR_tapio, tapio_module);
