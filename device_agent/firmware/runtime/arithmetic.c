/* exp, log, erf, tanh and cosine in float32 from fmaf alone, so that every port computes the same bits.
 * docs/arithmetic.md states how far each may be off; NaN gives NaN. */
#include "arithmetic.h"

#include <string.h>

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* exp(x) = 2^n * exp(r), |r| <= ln(2)/2, exp(r) by its Taylor polynomial of degree 7.
 * Below -87 the result is 0, above 88 it is exp(88): softmax never goes there. */
float bt_expf(float x) {
    if (x < -87.0f) return 0.0f;
    if (x > 88.0f) x = 88.0f;
    if (isnan(x)) return x;
    const float scaled = x * 1.44269504f;
    const int32_t n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    float r = fmaf((float)-n, 0.693145751953125f, x); /* ln 2, high bits: the product is exact */
    r = fmaf((float)-n, 1.42860677e-6f, r);
    float p = 1.0f / 5040.0f;
    p = fmaf(p, r, 1.0f / 720.0f);
    p = fmaf(p, r, 1.0f / 120.0f);
    p = fmaf(p, r, 1.0f / 24.0f);
    p = fmaf(p, r, 1.0f / 6.0f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    /* n may be 127 with p slightly above 1: two factors keep the exponent in range */
    const int32_t half = n / 2;
    return p * from_bits((uint32_t)(half + 127) << 23) * from_bits((uint32_t)(n - half + 127) << 23);
}

/* log(x) = e ln 2 + 2 atanh(s), s = (m-1)/(m+1), m in [sqrt(1/2), sqrt(2)); for normal x > 0. */
float bt_logf(float x) {
    if (x < 1.17549435e-38f) x = 1.17549435e-38f;
    uint32_t bits = to_bits(x);
    int32_t e = (int32_t)(bits >> 23) - 127;
    float m = from_bits((bits & 0x007fffffu) | 0x3f800000u);
    if (m > 1.41421356f) {
        m *= 0.5f;
        e += 1;
    }
    const float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    float p = 1.0f / 11.0f;
    p = fmaf(p, q, 1.0f / 9.0f);
    p = fmaf(p, q, 1.0f / 7.0f);
    p = fmaf(p, q, 0.2f);
    p = fmaf(p, q, 1.0f / 3.0f);
    const float twice = 2.0f * s;
    const float mantissa = fmaf(twice * q, p, twice);
    return fmaf((float)e, 0.693147182f, fmaf((float)e, -1.90465421e-9f, mantissa));
}

/* cos(pi x) = 1 - 2 sin(pi x / 2)^2, exactly 1 at 0; sine by its Taylor polynomial of degree 13 on [0, pi/2]. */
float bt_cospif(float x) {
    const float y = 1.57079633f * x, q = y * y;
    float p = 1.0f / 6227020800.0f;
    p = fmaf(p, q, -1.0f / 39916800.0f);
    p = fmaf(p, q, 1.0f / 362880.0f);
    p = fmaf(p, q, -1.0f / 5040.0f);
    p = fmaf(p, q, 1.0f / 120.0f);
    p = fmaf(p, q, -1.0f / 6.0f);
    const float sine = fmaf(y * q, p, y);
    return fmaf(-2.0f * sine, sine, 1.0f);
}

/* Near 0 its Taylor polynomial of degree 8; elsewhere exp loses at most two bits to the subtraction. */
float bt_expm1f(float x) {
    if (!(x > -0.4f && x < 0.4f)) return bt_expf(x) - 1.0f;
    float p = 1.0f / 40320.0f;
    p = fmaf(p, x, 1.0f / 5040.0f);
    p = fmaf(p, x, 1.0f / 720.0f);
    p = fmaf(p, x, 1.0f / 120.0f);
    p = fmaf(p, x, 1.0f / 24.0f);
    p = fmaf(p, x, 1.0f / 6.0f);
    p = fmaf(p, x, 0.5f);
    return fmaf(x * x, p, x);
}

/* Up to 0.6: x + x^3 P(x^2), P fitted at Chebyshev nodes; beyond: 1 - 2 / (exp(2x) + 1). */
float bt_tanhf(float x) {
    if (isnan(x)) return x;
    const float size = fabsf(x);
    if (size < 0.6f) {
        const float q = x * x;
        float p = 0.00237352354f;
        p = fmaf(p, q, -0.00841256231f);
        p = fmaf(p, q, 0.0217891112f);
        p = fmaf(p, q, -0.0539616533f);
        p = fmaf(p, q, 0.133333132f);
        p = fmaf(p, q, -0.333333343f);
        return fmaf(x * q, p, x);
    }
    const float value = size > 10.0f ? 1.0f : 1.0f - 2.0f / (bt_expf(2.0f * size) + 1.0f);
    return x < 0.0f ? -value : value;
}

/* Up to 1: x + x P(x^2); beyond: 1 - exp(-Q(x)), Q fitted to -log(1 - erf) on [1, 4]; 1 above 4. */
float bt_erff(float x) {
    if (isnan(x)) return x;
    const float size = fabsf(x);
    if (size <= 1.0f) {
        const float q = x * x;
        float p = 7.88249745e-05f;
        p = fmaf(p, q, -0.000801885501f);
        p = fmaf(p, q, 0.00518931216f);
        p = fmaf(p, q, -0.0268543288f);
        p = fmaf(p, q, 0.112835974f);
        p = fmaf(p, q, -0.37612626f);
        p = fmaf(p, q, 0.128379166f);
        return fmaf(x, p, x);
    }
    float value = 1.0f;
    if (size < 4.0f) {
        float p = -1.6140616e-06f;
        p = fmaf(p, size, 4.55906229e-05f);
        p = fmaf(p, size, -0.000592769531f);
        p = fmaf(p, size, 0.00474022236f);
        p = fmaf(p, size, -0.0263647176f);
        p = fmaf(p, size, 0.109978244f);
        p = fmaf(p, size, 0.631937087f);
        p = fmaf(p, size, 1.13016665f);
        p = fmaf(p, size, -0.000303212961f);
        value = 1.0f - bt_expf(-p);
    }
    return x < 0.0f ? -value : value;
}

uint32_t bt_window_key(uint32_t key, uint32_t counter) { return bt_hash_counter(key, counter); }
