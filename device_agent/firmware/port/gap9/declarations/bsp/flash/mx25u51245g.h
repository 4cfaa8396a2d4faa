#ifndef BIOTRAIN_DECLARED_MX25U51245G_H
#define BIOTRAIN_DECLARED_MX25U51245G_H
#include "bsp/flash.h"
struct pi_mx25u51245g_conf {
    struct pi_flash_conf flash;
    int xip_en;
};
void pi_mx25u51245g_conf_init(struct pi_mx25u51245g_conf *conf);
#endif
