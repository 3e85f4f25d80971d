#pragma once
typedef int ssize_t;
