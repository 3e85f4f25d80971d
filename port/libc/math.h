// Double-precision mathematics; defined by MicroPython's lib/libm_dbl.
#pragma once
typedef float float_t;
typedef double double_t;
#define M_PI          3.14159265358979323846
#define M_E           2.71828182845904523536
#define NAN           __builtin_nanf("")
#define INFINITY      __builtin_inff()
#define HUGE_VAL      __builtin_inf()
#define nan(text)     __builtin_nan(text)
#define isnan(x)      __builtin_isnan(x)
#define isinf(x)      __builtin_isinf(x)
#define isfinite(x)   __builtin_isfinite(x)
#define signbit(x)    __builtin_signbit(x)
#define FP_NAN        0
#define FP_INFINITE   1
#define FP_ZERO       2
#define FP_SUBNORMAL  3
#define FP_NORMAL     4
#define fpclassify(x) __builtin_fpclassify(FP_NAN, FP_INFINITE, FP_NORMAL, FP_SUBNORMAL, FP_ZERO, x)
double acos(double), acosh(double), asin(double), asinh(double), atan(double);
double atan2(double, double), atanh(double), ceil(double), copysign(double, double), cos(double);
double cosh(double), erf(double), erfc(double), exp(double), expm1(double);
double floor(double), fmod(double, double), frexp(double, int *), ldexp(double, int);
double lgamma(double), log(double), log10(double), log1p(double), log2(double);
double modf(double, double *), nearbyint(double), pow(double, double), rint(double);
double round(double), scalbn(double, int), sin(double), sinh(double), sqrt(double), tan(double);
double tanh(double), tgamma(double), trunc(double);
static inline double fabs(double x) {
    return __builtin_fabs(x);
}
