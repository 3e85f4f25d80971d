// What the loader said (memory map, command line, who it was), and how memory is laid out.
//
// Everything is copied at once: the loader leaves its structures in memory that is ours to use.
// The disk loader hands over a multiboot structure whose boot_loader_name begins with "ImportOS".
#include <string.h>
#include "port.h"

enum {
    MULTIBOOT_MAGIC = 0x2badb002,
    FLAG_MEMORY = 1 << 0,
    FLAG_COMMAND_LINE = 1 << 2,
    FLAG_MAP = 1 << 6,
    FLAG_LOADER_NAME = 1 << 9,
    PVH_MAGIC = 0x336ec578,
    USABLE = 1,
    KIB = 1024,
    MIB = 1024 * KIB,
    LARGE_PAGE = 2 * MIB,
};

struct multiboot {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line, modules[2], symbols[4];
    uint32_t map_length, map_address, drives[2], config_table, loader_name;
};

struct multiboot_region {
    uint32_t size; // of the rest
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

struct pvh {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, rsdp, map_address; // map: version 1 and later
    uint32_t map_entries, reserved;
};

struct pvh_region {
    uint64_t base, length;
    uint32_t type, reserved;
};

struct region memory_map[REGIONS];
unsigned memory_regions;
char command_line[COMMAND_LINE];
const char *booted_by = "unknown";
uintptr_t arena_start, arena_size, heap_start, heap_end, mark_stack_size;
void *mark_stack;

static void add_region(uint64_t base, uint64_t length, uint32_t type) {
    if (memory_regions < REGIONS && length) {
        memory_map[memory_regions++] = (struct region){base, length, type};
    }
}

static void copy_command_line(uint32_t address) {
    if (address) {
        strncpy(command_line, (const char *)address, COMMAND_LINE - 1);
    }
}

static void from_multiboot(const struct multiboot *info) {
    static const char ours[] = "ImportOS";
    booted_by = "multiboot";
    if (info->flags & FLAG_LOADER_NAME &&
        memcmp((const char *)info->loader_name, ours, sizeof(ours) - 1) == 0) {
        booted_by = "disk";
    }
    if (info->flags & FLAG_COMMAND_LINE) {
        copy_command_line(info->command_line);
    }
    if (info->flags & FLAG_MAP) {
        uint32_t at = info->map_address, end = at + info->map_length;
        while (at < end) {
            const struct multiboot_region *region = (const void *)at;
            add_region(region->base, region->length, region->type);
            at += region->size + sizeof(region->size);
        }
    } else if (info->flags & FLAG_MEMORY) {
        add_region(0, (uint64_t)info->memory_lower * KIB, USABLE);
        add_region(MIB, (uint64_t)info->memory_upper * KIB, USABLE);
    }
}

static void from_pvh(const struct pvh *info) {
    booted_by = "pvh";
    copy_command_line((uint32_t)info->command_line);
    const struct pvh_region *region = (const void *)(uint32_t)info->map_address;
    for (uint32_t n = info->version ? info->map_entries : 0; n; n--, region++) {
        add_region(region->base, region->length, region->type);
    }
}

void boot_information(uint32_t magic, const void *information) {
    if (magic == MULTIBOOT_MAGIC) {
        from_multiboot(information);
    } else if (*(const uint32_t *)information == PVH_MAGIC) {
        from_pvh(information);
    }
}

// The word NAME=... of the command line, or NULL.
const char *option(const char *name, size_t *length) {
    size_t n = strlen(name);
    for (const char *word = command_line; *word;) {
        const char *end = word;
        while (*end && *end != ' ') {
            end++;
        }
        if (strncmp(word, name, n) == 0 && word[n] == '=') {
            *length = (size_t)(end - word) - n - 1;
            return word + n + 1;
        }
        for (word = end; *word == ' '; word++) {
        }
    }
    return NULL;
}

static uintptr_t page_up(uintptr_t address) {
    return (address + 4095) & ~(uintptr_t)4095;
}

// Above the image: mark stack of the collector, DMA arena, heap up to the end of the memory.
// A machine below 16 MB keeps its arena in conventional memory, one below 8 MB a small mark stack.
void memory_layout(void) {
    uintptr_t free = page_up((uintptr_t)image_end), top = 0;
    for (unsigned i = 0; i < memory_regions; i++) {
        const struct region *region = &memory_map[i];
        if (region->type == USABLE && region->base <= free &&
            region->base + region->length > free) {
            uint64_t end = region->base + region->length;
            top = end > 0xfffff000 ? 0xfffff000 : (uintptr_t)end;
        }
    }
    if (top < free + 64 * KIB) {
        panic("not enough memory: the image ends at %p, usable memory at %p", (void *)free,
              (void *)top);
    }
    uintptr_t size = top - free;
    bool small = size < 14 * MIB;
    mark_stack = (void *)free;
    mark_stack_size = size < 6 * MIB ? 2048 : 32768; // entries
    free = page_up(free + mark_stack_size * sizeof(uint32_t));
    if (small) {
        arena_start = (uintptr_t)low_arena;
        arena_size = (uintptr_t)(stack_bottom - low_arena);
    } else {
        arena_size = size / 8 > 8 * MIB ? 8 * MIB : (size / 8) & ~(uintptr_t)4095;
        // The heap begins where a large page of the host may begin: then the machine starts in one.
        arena_start = free;
        free = (free + arena_size + LARGE_PAGE / 2) & ~(uintptr_t)(LARGE_PAGE - 1);
        arena_size = free - arena_start;
    }
    heap_start = free;
    heap_end = top;
}
