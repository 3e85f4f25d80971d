// The positions of a seek, as extmod/vfs names them.
#pragma once
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
