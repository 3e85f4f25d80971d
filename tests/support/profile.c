// A plugin for QEMU's TCG: how often each translated block ran, and how long it is, in
// instructions.
//
// Written to the file named by out=FILE when QEMU ends, one block a line: address, instructions,
// runs. The few functions of QEMU's plugin interface that are needed are declared here, as Debian
// ships the interface and not its header.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct block;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int operation, void *counter,
                                                     uint64_t by);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern uint64_t qemu_plugin_tb_vaddr(const struct block *);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);

enum { ADD_U64 = 0, MOST = 1 << 20 };

static struct entry {
    uint64_t address, instructions, runs;
} *entries;
static size_t used;
static char path[4096];

EXPORT int qemu_plugin_version = 1;

static void translated(plugin_id id, struct block *block) {
    (void)id;
    if (used < MOST) {
        struct entry *entry = &entries[used++];
        entry->address = qemu_plugin_tb_vaddr(block);
        entry->instructions = qemu_plugin_tb_n_insns(block);
        qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &entry->runs, 1);
    }
}

static void ended(plugin_id id, void *unused) {
    (void)id, (void)unused;
    FILE *file = fopen(path, "w");
    if (file) {
        for (size_t i = 0; i < used; i++) {
            fprintf(file, "%llx %llu %llu\n", (unsigned long long)entries[i].address,
                    (unsigned long long)entries[i].instructions,
                    (unsigned long long)entries[i].runs);
        }
        fclose(file);
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "out=", 4) == 0) {
            snprintf(path, sizeof path, "%s", arguments[i] + 4);
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
