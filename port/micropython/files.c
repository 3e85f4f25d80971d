// What the file systems of MicroPython want of a port: one operation at a time, the date, and that
// no open file is forgotten.
#include "files.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objlist.h"
#include "shared/timeutils/timeutils.h"

#if IMPORTOS_VFS
// While a file operation waits for the disk, the event loop turns (runtime/blocks.py), and what it
// calls may use files, too.  It cannot wait for the other to end, which lies below it on the stack,
// and must not disturb it: it is told EBUSY.
static bool taken;

static bool take(void) {
    bool free = !taken;
    taken = true;
    return free;
}

// lib/littlefs, LFS2_THREADSAFE; patches/90-littlefs-sectors.patch puts them into its
// configuration.
struct lfs2_config;
int file_system_take(const struct lfs2_config *config);
int file_system_take(const struct lfs2_config *config) {
    (void)config;
    return take() ? 0 : -MP_EBUSY;
}

int file_system_release(const struct lfs2_config *config);
int file_system_release(const struct lfs2_config *config) {
    (void)config;
    taken = false;
    return 0;
}

// lib/oofatfs, FF_FS_REENTRANT.
int ff_cre_syncobj(void *volume, int *object);
int ff_cre_syncobj(void *volume, int *object) {
    (void)volume;
    *object = 0;
    return 1;
}

int ff_req_grant(int object);
int ff_req_grant(int object) {
    (void)object;
    return take();
}

void ff_rel_grant(int object);
void ff_rel_grant(int object) {
    (void)object;
    taken = false;
}

int ff_del_syncobj(int object);
int ff_del_syncobj(int object) {
    (void)object;
    return 1;
}

static void keep(void *object) {
    gc_collect_root(&object, 1);
}

void files_keep(void) {
    if (taken) {
        gc_each_finaliser(keep);
    }
}

static mp_obj_t found;

static void note(void *object) {
    const mp_obj_type_t *type = ((mp_obj_base_t *)object)->type;
    if (type && (type->name == MP_QSTR_FileIO || type->name == MP_QSTR_TextIOWrapper)) {
        mp_obj_list_append(found, MP_OBJ_FROM_PTR(object));
    }
}

// All files that were opened, whether or not they were closed.
static mp_obj_t metal_files(void) {
    mp_obj_t files = found = mp_obj_new_list(0, NULL);
    gc_each_finaliser(note);
    return files;
}
MP_DEFINE_CONST_FUN_OBJ_0(metal_files_obj, metal_files);

// The date in FAT's form, for lib/oofatfs.
uint32_t get_fattime(void);
uint32_t get_fattime(void) {
    timeutils_struct_time_t tm;
    timeutils_seconds_since_epoch_to_struct_time(mp_hal_time_ns() / 1000000000ULL, &tm);
    return (uint32_t)((tm.tm_year - 1980) << 25 | tm.tm_mon << 21 | tm.tm_mday << 16 |
                      tm.tm_hour << 11 | tm.tm_min << 5 | tm.tm_sec / 2);
}
#endif
