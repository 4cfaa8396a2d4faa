#ifndef BIOTRAIN_DECLARED_APS25XXXN_H
#define BIOTRAIN_DECLARED_APS25XXXN_H
#include "bsp/ram.h"
struct pi_aps25xxxn_conf {
    struct pi_ram_conf ram;
    int xip_en;
};
void pi_aps25xxxn_conf_init(struct pi_aps25xxxn_conf *conf);
#endif
