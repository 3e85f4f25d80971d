// MicroPython's configuration.  image_config.h, generated from the imports of an image, switches
// the C modules and the costly features on and off; everything else is decided here.
#pragma once

#include <alloca.h>
#include <stdint.h>
#include "image_config.h"

#ifndef IMPORTOS_DEVELOPMENT
#define IMPORTOS_DEVELOPMENT (0) // compiler and REPL
#endif

// Debian's MicroPython comes without axTLS, which has AES, SHA-1 and MD5; SHA-256 is its own.
#undef MICROPY_PY_CRYPTOLIB
#undef MICROPY_PY_HASHLIB_SHA1
#undef MICROPY_PY_HASHLIB_MD5
#define MICROPY_PY_CRYPTOLIB    (0)
#define MICROPY_PY_HASHLIB_SHA1 (0)
#define MICROPY_PY_HASHLIB_MD5  (0)

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// Memory
#define MICROPY_ENABLE_GC           (1)
#define MICROPY_GC_GROW             (1) // patches/30-gc-grow.patch
#define MICROPY_GC_STACK_OUTSIDE    (1) // patches/10-gc-mark-stack.patch
#define MICROPY_ALLOC_GC_STACK_SIZE (mark_stack_size)
extern uintptr_t mark_stack_size;
// A map is rehashed only when it is full, and is slow long before: room for a module's names.
#define MICROPY_MODULE_DICT_SIZE               (64)
#define MICROPY_LOADED_MODULES_DICT_SIZE       (64)
#define MICROPY_STACK_CHECK_MARGIN             (0)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE   (256)
#define MICROPY_MALLOC_USES_ALLOCATED_SIZE     (IMPORTOS_DEVELOPMENT)
#define MICROPY_MEM_STATS                      (IMPORTOS_DEVELOPMENT)

// Numbers
#define MICROPY_LONGINT_IMPL            (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_HIGH_QUALITY_HASH (1)
#define MICROPY_PY_BUILTINS_ROUND_INT   (1)

// Code
#define MICROPY_EMIT_X86                  (1) // frozen code made by @native and @viper needs the glue
#define MICROPY_NLR_X86                   (1)
#define MICROPY_OPT_COMPUTED_GOTO         (1)
#define MICROPY_OPT_MAP_LOOKUP_CACHE      (1)
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (512)
#define MICROPY_NATIVE_SHORT_WAYS         "native.h" // patches/40-native-short-ways.patch
#define MICROPY_OPT_LOAD_ATTR_FAST_PATH   (1)
#define MICROPY_MODULE_FROZEN_MPY         (1)
#define MICROPY_MODULE_FROZEN_STR         (0)
#define MICROPY_QSTR_EXTRA_POOL           mp_qstr_frozen_const_pool
#define MICROPY_ENABLE_EXTERNAL_IMPORT    (1)
#define MICROPY_ENABLE_SOURCE_LINE        (1)
#define MICROPY_LINES_APART               "port/micropython/lines.h" // patches/97-lines-apart.patch
#define MICROPY_MODULE_ATTR_DELEGATION    (1)
#define MICROPY_QSTR_BYTES_IN_HASH        (1) // 2,600 bytes of an image; no dictionary is longer

// The compiler, and what only makes sense with it
#define MICROPY_ENABLE_COMPILER         (IMPORTOS_DEVELOPMENT)
#define MICROPY_HELPER_REPL             (IMPORTOS_DEVELOPMENT)
#define MICROPY_KBD_EXCEPTION           (IMPORTOS_DEVELOPMENT)
#define MICROPY_PERSISTENT_CODE_LOAD    (IMPORTOS_DEVELOPMENT)
#define MICROPY_REPL_EVENT_DRIVEN       (0)
#define MICROPY_VFS                     (IMPORTOS_VFS)
#define MICROPY_VFS_FAT                 (IMPORTOS_FAT)
#define MICROPY_VFS_LFS1                (IMPORTOS_DEVELOPMENT)
#define MICROPY_VFS_LFS2                (IMPORTOS_LITTLEFS)
#define MICROPY_FATFS_REENTRANT         (1) // files.c
#define MICROPY_FATFS_SYNC_T            int
#define MICROPY_FATFS_ENABLE_LFN        (2)
#define MICROPY_FATFS_RPATH             (2)
#define MICROPY_FATFS_MAX_SS            (4096)
#define MICROPY_FATFS_LFN_CODE_PAGE     437
#define MICROPY_READER_VFS              (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_BUILTINS_HELP        (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_BUILTINS_INPUT       (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_SYS_STDFILES         (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_SYS_STDIO_BUFFER     (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_MICROPYTHON_MEM_INFO (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_FRAMEBUF             (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_MARSHAL              (0)
#define MICROPY_PY_DEFLATE_COMPRESS     (IMPORTOS_DEVELOPMENT)
#define MICROPY_WARNINGS                (IMPORTOS_DEVELOPMENT)
#define MICROPY_PY_CRYPTOLIB_CTR        (0)
#define MICROPY_PY_SELECT               (0) // runtime/library/select.py

// Messages: whole sentences, compressed together with the image instead of one by one
#define MICROPY_ERROR_REPORTING      (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_ROM_TEXT_COMPRESSION (0)
#define MICROPY_USE_INTERNAL_ERRNO   (1)
#define MICROPY_PY_SYS_PLATFORM      "importos"
#define MICROPY_HW_BOARD_NAME        "ImportOS"
#define MICROPY_HW_MCU_NAME          "x86"

// Time and chance
#define MICROPY_PY_TIME_TIME_TIME_NS            (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_INCLUDEFILE             "port/micropython/modtime.h"
#define MICROPY_EPOCH_IS_1970                   (1)
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC        ((uint32_t)__builtin_ia32_rdtsc())

typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;
typedef int ssize_t;
#define MP_SSIZE_MAX  (0x7fffffff)
#define MP_NEED_LOG2  (1)
#define MP_STATE_PORT MP_STATE_VM

#include "urgent.h"
#if IMPORTOS_DEVELOPMENT
// Ctrl-C has to be seen while Python runs; interrupts only count, so the VM looks at the counter.
void console_poll(void);
extern volatile uint32_t interrupts[];
extern uint32_t console_seen;
#define MICROPY_VM_HOOK_LOOP                                                                       \
    if (interrupts[4] != console_seen) {                                                           \
        console_poll();                                                                            \
    }                                                                                              \
    URGENT_HOOK
#else
#define MICROPY_VM_HOOK_LOOP URGENT_HOOK
#endif
#define MICROPY_VM_HOOK_RETURN MICROPY_VM_HOOK_LOOP
