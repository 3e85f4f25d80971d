// A plugin for QEMU's TCG: how many instructions ran in each function, and on whose behalf.
//
// symbols=FILE names the functions in ascending order, one a line: address in hexadecimal, 1 if it
// is an owner. Whatever runs is the owner's that ran last: so C counts for the function of Python
// that called it.
//
// Written to the file named by out=FILE when QEMU ends, one pair a line: index of the owner, index
// of the function, instructions; behind them, as if of one owner more, how many blocks of each
// function were translated. The few functions of QEMU's plugin interface that are needed are
// declared here, as Debian ships the interface and not its header.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct block;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *,
                                                 void (*)(unsigned processor, void *), int flags,
                                                 void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern uint64_t qemu_plugin_tb_vaddr(const struct block *);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

enum { MOST = 1 << 20, SYMBOLS = 1 << 13, NO_REGISTERS = 0 };

static struct entry {
    uint32_t function, instructions;
} *entries;
static size_t used;
static struct symbol {
    uint64_t address;
    uint64_t *spent; // of an owner, per function
} symbols[SYMBOLS];
static uint32_t known, owner, blocks[SYMBOLS];
static char path[4096];

EXPORT int qemu_plugin_version = 1;

static void runs(unsigned processor, void *data) {
    (void)processor;
    struct entry *entry = data;
    if (symbols[entry->function].spent) {
        owner = entry->function;
    }
    symbols[owner].spent[entry->function] += entry->instructions;
}

static uint32_t function_at(uint64_t address) {
    uint32_t low = 0, high = known;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (symbols[middle].address <= address) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void translated(plugin_id id, struct block *block) {
    (void)id;
    if (used < MOST) {
        struct entry *entry = &entries[used++];
        entry->function = function_at(qemu_plugin_tb_vaddr(block));
        blocks[entry->function]++;
        entry->instructions = (uint32_t)qemu_plugin_tb_n_insns(block);
        qemu_plugin_register_vcpu_tb_exec_cb(block, runs, NO_REGISTERS, entry);
    }
}

static void ended(plugin_id id, void *unused) {
    (void)id, (void)unused;
    FILE *file = fopen(path, "w");
    if (file) {
        for (uint32_t i = 0; i < known; i++) {
            for (uint32_t j = 0; symbols[i].spent && j < known; j++) {
                if (symbols[i].spent[j]) {
                    fprintf(file, "%u %u %llu\n", i, j, (unsigned long long)symbols[i].spent[j]);
                }
            }
        }
        for (uint32_t j = 0; j < known; j++) {
            if (blocks[j]) {
                fprintf(file, "%u %u %u\n", known, j, blocks[j]);
            }
        }
        fclose(file);
    }
}

static int read_symbols(const char *name) {
    FILE *file = fopen(name, "r");
    unsigned long long address;
    int owns;
    while (file && known < SYMBOLS && fscanf(file, "%llx %d", &address, &owns) == 2) {
        symbols[known].address = address;
        if (owns || known == 0) {
            symbols[known].spent = calloc(SYMBOLS, sizeof(uint64_t));
        }
        known++;
    }
    return file && known ? 0 : 1;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            snprintf(path, sizeof path, "%s", arguments[i] + 4);
        }
        if (strncmp(arguments[i], "symbols=", 8) == 0 && read_symbols(arguments[i] + 8)) {
            return 1;
        }
    }
    entries = calloc(MOST, sizeof *entries);
    if (!entries) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
