/* The module `hostio` of MicroPython for Linux: the system calls of tools/host.
 *
 * Descriptors are numbers, addresses are bytes of 4 or 16, and a call that fails gives its errno,
 * negative. tools/host/cpython/hostio.py is the same module for CPython, and says what each is.
 *
 * MicroPython's own files read on until the buffer is full, which glues the frames of a TAP device
 * together; its sockets know neither shutdown nor getsockname.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "py/runtime.h"

typedef union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} address_t;

static mp_obj_t result(ssize_t value) {
    return MP_OBJ_NEW_SMALL_INT(value < 0 ? -errno : value);
}

static int number(mp_obj_t object) {
    return mp_obj_get_int(object);
}

/* From an address and a port; returns the length. */
static socklen_t pack(address_t *to, mp_obj_t address, mp_obj_t port) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(address, &from, MP_BUFFER_READ);
    memset(to, 0, sizeof(*to));
    if (from.len == 4) {
        to->in.sin_family = AF_INET;
        to->in.sin_port = htons(number(port));
        memcpy(&to->in.sin_addr, from.buf, 4);
        return sizeof(to->in);
    }
    if (from.len != 16)
        mp_raise_ValueError(MP_ERROR_TEXT("an address has 4 or 16 bytes"));
    to->in6.sin6_family = AF_INET6;
    to->in6.sin6_port = htons(number(port));
    memcpy(&to->in6.sin6_addr, from.buf, 16);
    return sizeof(to->in6);
}

/* (first, address, port) */
static mp_obj_t unpack(ssize_t first, const address_t *from) {
    int wide = from->any.sa_family == AF_INET6;
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(first),
        wide ? mp_obj_new_bytes((const byte *)&from->in6.sin6_addr, 16)
             : mp_obj_new_bytes((const byte *)&from->in.sin_addr, 4),
        MP_OBJ_NEW_SMALL_INT(ntohs(wide ? from->in6.sin6_port : from->in.sin_port)),
    };
    return mp_obj_new_tuple(3, items);
}

/* The bytes from..to of a buffer, checked. */
static char *piece(mp_obj_t buffer, mp_int_t from, mp_int_t to, int flags) {
    mp_buffer_info_t whole;
    mp_get_buffer_raise(buffer, &whole, flags);
    if (from < 0 || to < from || (size_t)to > whole.len)
        mp_raise_ValueError(NULL);
    return (char *)whole.buf + from;
}

static mp_obj_t hostio_read(mp_obj_t descriptor, mp_obj_t buffer) {
    mp_buffer_info_t to;
    mp_get_buffer_raise(buffer, &to, MP_BUFFER_WRITE);
    ssize_t n = read(number(descriptor), to.buf, to.len);
    if (n < 0 && errno != EAGAIN)
        mp_raise_OSError(errno);
    return MP_OBJ_NEW_SMALL_INT(n < 0 ? 0 : n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(hostio_read_obj, hostio_read);

static mp_obj_t hostio_write(size_t n_args, const mp_obj_t *args) {
    mp_int_t start = number(args[2]), end = number(args[3]);
    char *from = piece(args[1], start, end, MP_BUFFER_READ);
    if (write(number(args[0]), from, end - start) < 0 && errno != EAGAIN)
        mp_raise_OSError(errno);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_write_obj, 4, 4, hostio_write);

static mp_obj_t open_socket(mp_obj_t length, int kind) {
    int family = number(length) == 4 ? AF_INET : AF_INET6;
    int made = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (made >= 0 && family == AF_INET6)
        setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    if (made >= 0 && kind == SOCK_STREAM)
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    return result(made);
}
static mp_obj_t hostio_tcp(mp_obj_t length) {
    return open_socket(length, SOCK_STREAM);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_tcp_obj, hostio_tcp);
static mp_obj_t hostio_udp(mp_obj_t length) {
    return open_socket(length, SOCK_DGRAM);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_udp_obj, hostio_udp);

static mp_obj_t hostio_bind(mp_obj_t descriptor, mp_obj_t address, mp_obj_t port) {
    address_t to;
    socklen_t length = pack(&to, address, port);
    return result(bind(number(descriptor), &to.any, length));
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostio_bind_obj, hostio_bind);

static mp_obj_t hostio_connect(mp_obj_t descriptor, mp_obj_t address, mp_obj_t port) {
    address_t to;
    socklen_t length = pack(&to, address, port);
    return result(connect(number(descriptor), &to.any, length));
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostio_connect_obj, hostio_connect);

static mp_obj_t hostio_listen(mp_obj_t descriptor, mp_obj_t backlog) {
    return result(listen(number(descriptor), number(backlog)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(hostio_listen_obj, hostio_listen);

static mp_obj_t hostio_accept(mp_obj_t descriptor) {
    address_t from;
    socklen_t length = sizeof(from);
    int made = accept4(number(descriptor), &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return made < 0 ? result(made) : unpack(made, &from);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_accept_obj, hostio_accept);

static mp_obj_t hostio_name(mp_obj_t descriptor) {
    address_t own;
    socklen_t length = sizeof(own);
    int done = getsockname(number(descriptor), &own.any, &length);
    return done < 0 ? result(done) : unpack(0, &own);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_name_obj, hostio_name);

static mp_obj_t hostio_error(mp_obj_t descriptor) {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(number(descriptor), SOL_SOCKET, SO_ERROR, &error, &length);
    return MP_OBJ_NEW_SMALL_INT(error);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_error_obj, hostio_error);

static mp_obj_t hostio_recv(size_t n_args, const mp_obj_t *args) {
    mp_int_t start = number(args[2]), end = number(args[3]);
    char *to = piece(args[1], start, end, MP_BUFFER_WRITE);
    return result(recv(number(args[0]), to, end - start, 0));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_recv_obj, 4, 4, hostio_recv);

static mp_obj_t hostio_send(size_t n_args, const mp_obj_t *args) {
    mp_int_t start = number(args[2]), end = number(args[3]);
    char *from = piece(args[1], start, end, MP_BUFFER_READ);
    return result(send(number(args[0]), from, end - start, MSG_NOSIGNAL));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_send_obj, 4, 4, hostio_send);

static mp_obj_t hostio_recvfrom(size_t n_args, const mp_obj_t *args) {
    mp_int_t start = number(args[2]), end = number(args[3]);
    char *to = piece(args[1], start, end, MP_BUFFER_WRITE);
    address_t from;
    socklen_t length = sizeof(from);
    ssize_t n = recvfrom(number(args[0]), to, end - start, MSG_TRUNC, &from.any, &length);
    return n < 0 ? result(n) : unpack(n, &from);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_recvfrom_obj, 4, 4, hostio_recvfrom);

static mp_obj_t hostio_sendto(size_t n_args, const mp_obj_t *args) {
    mp_int_t start = number(args[2]), end = number(args[3]);
    char *from = piece(args[1], start, end, MP_BUFFER_READ);
    address_t to;
    socklen_t length = pack(&to, args[4], args[5]);
    return result(sendto(number(args[0]), from, end - start, MSG_NOSIGNAL, &to.any, length));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_sendto_obj, 6, 6, hostio_sendto);

static mp_obj_t hostio_option(size_t n_args, const mp_obj_t *args) {
    int value = number(args[3]);
    return result(
        setsockopt(number(args[0]), number(args[1]), number(args[2]), &value, sizeof(value)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hostio_option_obj, 4, 4, hostio_option);

static mp_obj_t hostio_member(mp_obj_t descriptor, mp_obj_t group, mp_obj_t joins) {
    address_t to;
    pack(&to, group, MP_OBJ_NEW_SMALL_INT(0));
    int join = mp_obj_is_true(joins);
    if (to.any.sa_family == AF_INET6) {
        struct ipv6_mreq wanted = {.ipv6mr_multiaddr = to.in6.sin6_addr};
        return result(setsockopt(number(descriptor), IPPROTO_IPV6,
                                 join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &wanted,
                                 sizeof(wanted)));
    }
    struct ip_mreqn wanted = {.imr_multiaddr = to.in.sin_addr};
    return result(setsockopt(number(descriptor), IPPROTO_IP,
                             join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &wanted,
                             sizeof(wanted)));
}
static MP_DEFINE_CONST_FUN_OBJ_3(hostio_member_obj, hostio_member);

static mp_obj_t hostio_shutdown(mp_obj_t descriptor) {
    return result(shutdown(number(descriptor), SHUT_WR));
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_shutdown_obj, hostio_shutdown);

static mp_obj_t hostio_close(mp_obj_t descriptor) {
    return result(close(number(descriptor)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_close_obj, hostio_close);

static mp_obj_t hostio_reset(mp_obj_t descriptor) {
    struct linger now = {1, 0};
    setsockopt(number(descriptor), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    return result(close(number(descriptor)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_reset_obj, hostio_reset);

static mp_obj_t hostio_stack(mp_obj_t size) {
    MP_STATE_THREAD(stack_limit) = number(size);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(hostio_stack_obj, hostio_stack);

static void interrupt(int signal) {
    (void)signal;
    raise(SIGINT);
}

static mp_obj_t hostio_end_in_order(void) {
    signal(SIGTERM, interrupt);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(hostio_end_in_order_obj, hostio_end_in_order);

static const mp_rom_map_elem_t hostio_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_hostio)},
    {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&hostio_read_obj)},
    {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&hostio_write_obj)},
    {MP_ROM_QSTR(MP_QSTR_tcp), MP_ROM_PTR(&hostio_tcp_obj)},
    {MP_ROM_QSTR(MP_QSTR_udp), MP_ROM_PTR(&hostio_udp_obj)},
    {MP_ROM_QSTR(MP_QSTR_bind), MP_ROM_PTR(&hostio_bind_obj)},
    {MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&hostio_connect_obj)},
    {MP_ROM_QSTR(MP_QSTR_listen), MP_ROM_PTR(&hostio_listen_obj)},
    {MP_ROM_QSTR(MP_QSTR_accept), MP_ROM_PTR(&hostio_accept_obj)},
    {MP_ROM_QSTR(MP_QSTR_name), MP_ROM_PTR(&hostio_name_obj)},
    {MP_ROM_QSTR(MP_QSTR_error), MP_ROM_PTR(&hostio_error_obj)},
    {MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&hostio_recv_obj)},
    {MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&hostio_send_obj)},
    {MP_ROM_QSTR(MP_QSTR_recvfrom), MP_ROM_PTR(&hostio_recvfrom_obj)},
    {MP_ROM_QSTR(MP_QSTR_sendto), MP_ROM_PTR(&hostio_sendto_obj)},
    {MP_ROM_QSTR(MP_QSTR_option), MP_ROM_PTR(&hostio_option_obj)},
    {MP_ROM_QSTR(MP_QSTR_member), MP_ROM_PTR(&hostio_member_obj)},
    {MP_ROM_QSTR(MP_QSTR_shutdown), MP_ROM_PTR(&hostio_shutdown_obj)},
    {MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&hostio_close_obj)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&hostio_reset_obj)},
    {MP_ROM_QSTR(MP_QSTR_stack), MP_ROM_PTR(&hostio_stack_obj)},
    {MP_ROM_QSTR(MP_QSTR_end_in_order), MP_ROM_PTR(&hostio_end_in_order_obj)},
};
static MP_DEFINE_CONST_DICT(hostio_globals, hostio_globals_table);

const mp_obj_module_t hostio_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&hostio_globals,
};
MP_REGISTER_MODULE(MP_QSTR_hostio, hostio_module);
