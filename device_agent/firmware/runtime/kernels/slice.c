/* Part of a tensor along one dimension: concatenation, crops, and their gradients. Immediates: rows, and where the part
 * begins in each row. With x seen as [rows][n] and y as [rows][m]:
 *   insert_slice   y[r][at + i] = x[r][i], n <= m
 *   extract_slice  y[r][i] = x[r][at + i], m <= n */
#include "kernel.h"

static bool part_fits(const bt_operands *o, const bt_tensor *part, const bt_tensor *whole) {
    const uint32_t rows = o->immediate[0];
    return part->of->rank && whole->of->rank && rows && part->of->count % rows == 0 && whole->of->count % rows == 0 &&
           (uint64_t)o->immediate[1] + part->of->count / rows <= whole->of->count / rows;
}

BT_CHECK(insert_slice) { return part_fits(o, &o->view[0], &o->view[1]); }

BT_RUN(insert_slice) {
    const uint32_t rows = o->immediate[0], n = o->view[0].of->count / rows, m = o->view[1].of->count / rows;
    for (uint32_t r = 0; r < rows; r++)
        memmove(o->view[1].data + r * m + o->immediate[1], o->view[0].data + r * n, n * sizeof(float));
}

BT_CHECK(extract_slice) { return part_fits(o, &o->view[1], &o->view[0]); }

BT_RUN(extract_slice) {
    const uint32_t rows = o->immediate[0], n = o->view[0].of->count / rows, m = o->view[1].of->count / rows;
    for (uint32_t r = 0; r < rows; r++)
        memmove(o->view[1].data + r * m, o->view[0].data + r * n + o->immediate[1], m * sizeof(float));
}
