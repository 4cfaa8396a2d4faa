#ifndef BIOTRAIN_DECLARED_FLASH_H
#define BIOTRAIN_DECLARED_FLASH_H
#include "pmsis.h"
struct pi_flash_conf {
    int opaque;
};
typedef enum { PI_FLASH_IOCTL_INFO } pi_flash_ioctl_e;
struct pi_flash_info {
    uint32_t sector_size, flash_start;
};
int pi_flash_open(struct pi_device *device);
int32_t pi_flash_ioctl(struct pi_device *device, uint32_t cmd, void *arg);
void pi_flash_read(struct pi_device *device, uint32_t pi_flash_addr, void *data, uint32_t size);
void pi_flash_program(struct pi_device *device, uint32_t pi_flash_addr, const void *data, uint32_t size);
void pi_flash_erase_sector(struct pi_device *device, uint32_t pi_flash_addr);
#endif
