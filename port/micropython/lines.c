// The line of a frozen instruction.
//
// Frozen bytecode has no lines of its own, and a traceback has addresses in their place.  When it
// is printed, the table that tools/image/frozen.py draws and writes is read along with the bytecode
// of all modules, in the order in which it was written, up to the instruction: 20 instructions for
// each of the image's.  Neighbours: patches/97-lines-apart.patch, traceback.c.
#include "port/micropython/lines.h"
#include <string.h>
#include "py/bc.h"
#include "py/bc0.h"
#include "py/emitglue.h"

enum { LOWEST_ADDRESS = 0x100000, OVER = 0x80, COUNTED = 7, FAR = 15 };

extern const char mp_frozen_names[];
extern const mp_frozen_module_t *const mp_frozen_mpy_content[];
extern const byte frozen_lines[];

struct search {
    const byte *next, *wanted;
    size_t base; // the line that began last
};

struct entry {
    bool over, counted; // the function ends; instructions are counted, not ends of statements
    int awaited, lines, passed, steps;
};

static const byte *behind(const byte *ip) {
    byte opcode = *ip++;
    unsigned format = 0x000003a4 >> (2 * (opcode >> 4)) & 3;
    if (format == MP_BC_FORMAT_OFFSET) {
        ip += 1 + (*ip >> 7);
    } else if (format != MP_BC_FORMAT_BYTE) {
        ip = mp_decode_uint_skip(ip);
    }
    return ip + ((opcode & MP_BC_MASK_EXTRA_BYTE) == 0);
}

static bool ends_statement(byte opcode) {
    switch (opcode) {
    case MP_BC_STORE_NAME:
    case MP_BC_STORE_GLOBAL:
    case MP_BC_STORE_ATTR:
    case MP_BC_STORE_SUBSCR:
    case MP_BC_STORE_MAP:
    case MP_BC_STORE_FAST_N:
    case MP_BC_STORE_DEREF:
    case MP_BC_POP_TOP:
    case MP_BC_JUMP:
    case MP_BC_POP_JUMP_IF_TRUE:
    case MP_BC_POP_JUMP_IF_FALSE:
    case MP_BC_SETUP_EXCEPT:
    case MP_BC_SETUP_FINALLY:
    case MP_BC_END_FINALLY:
    case MP_BC_RETURN_VALUE:
    case MP_BC_RAISE_OBJ:
        return true;
    default:
        return (byte)(opcode - MP_BC_STORE_FAST_MULTI) < MP_BC_STORE_FAST_MULTI_NUM;
    }
}

static bool makes_function(byte opcode) {
    return opcode == MP_BC_MAKE_FUNCTION || opcode == MP_BC_MAKE_FUNCTION_DEFARGS ||
           opcode == MP_BC_MAKE_CLOSURE || opcode == MP_BC_MAKE_CLOSURE_DEFARGS;
}

static int number(struct search *search) {
    search->next += 2;
    return (int16_t)(search->next[-2] << 8 | search->next[-1]);
}

// Read the next entry.
static void advance(struct search *search, struct entry *entry) {
    byte first = *search->next++;
    entry->over = first & OVER;
    entry->awaited = first >> 4 & 7;
    entry->counted = entry->awaited == COUNTED;
    if (entry->counted) {
        entry->awaited = (uint16_t)number(search);
    }
    entry->lines = first & FAR;
    if (entry->lines == FAR) {
        entry->lines = number(search);
    }
    entry->passed = entry->steps = 0;
}

// The line of the instruction wanted if it is in this function, or in one that is made in it.
static size_t line_in(struct search *search, const byte *function) {
    void *const *children = NULL;
    if (function[0] == MP_PROTO_FUN_INDICATOR_RAW_CODE_0 &&
        function[1] == MP_PROTO_FUN_INDICATOR_RAW_CODE_1) {
        const mp_raw_code_truncated_t *code = (const void *)function;
        if (code->kind != MP_CODE_BYTECODE) {
            return 0;
        }
        function = code->fun_data;
        children = (void *const *)code->children;
    }
    const byte *ip = function;
    MP_BC_PRELUDE_SIG_DECODE(ip);
    MP_BC_PRELUDE_SIZE_DECODE(ip);
    ip += n_info + n_cell;
    size_t line = search->base;
    bool after_end = true;
    struct entry entry;
    advance(search, &entry);
    for (;;) {
        if (entry.counted ? entry.steps == entry.awaited
                          : after_end && entry.passed == entry.awaited) {
            if (entry.over) {
                return 0;
            }
            do {
                line = search->base += entry.lines;
                advance(search, &entry);
            } while (entry.counted && entry.awaited == 0);
        } else if (after_end) {
            entry.passed++;
        }
        const byte *end = behind(ip);
        if (ip <= search->wanted && search->wanted < end) {
            return line;
        }
        if (makes_function(*ip)) {
            const byte *argument = ip + 1;
            size_t found = line_in(search, children[mp_decode_uint(&argument)]);
            if (found) {
                return found;
            }
        }
        after_end = ends_statement(*ip);
        entry.steps++;
        ip = end;
    }
}

size_t line_of(size_t position) {
    if (position < LOWEST_ADDRESS) {
        return position; // is the line
    }
    struct search search = {frozen_lines, (const byte *)position, 1};
    const char *name = mp_frozen_names;
    for (size_t i = 0; *name; i++) {
        size_t found = line_in(&search, mp_frozen_mpy_content[i]->proto_fun);
        if (found) {
            return found;
        }
        name += strlen(name) + 1;
    }
    return 1; // compiled on the machine, from a text of one line
}
