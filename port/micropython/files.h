// What other parts of the port want of files.c, in an image that has files.
#pragma once
#include "py/obj.h"

// For the collector: while a file operation waits, files that nobody knows any more stay.
void files_keep(void);

MP_DECLARE_CONST_FUN_OBJ_0(metal_files_obj);
