#ifndef BIOTRAIN_DECLARED_RAM_H
#define BIOTRAIN_DECLARED_RAM_H
#include "pmsis.h"
struct pi_ram_conf {
    int opaque;
};
int pi_ram_open(struct pi_device *device);
int pi_ram_alloc(struct pi_device *device, uint32_t *addr, uint32_t size);
#endif
