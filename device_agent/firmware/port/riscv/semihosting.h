/* Files, arguments and the end of the machine, served by the emulator (RISC-V semihosting). Names are fixed and lie
 * in the emulator's working folder, where whoever starts it has put links to the real files. */
#ifndef BIOTRAIN_RISCV_SEMIHOSTING_H
#define BIOTRAIN_RISCV_SEMIHOSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bt_file_mode { BT_READ = 1, BT_READ_WRITE = 3, BT_WRITE = 5 } bt_file_mode;

/* A handle, or a negative number. */
int bt_file_open(const char *name, bt_file_mode mode);
void bt_file_close(int file);
/* Negative when it is not known. */
int32_t bt_file_length(int file);
/* False unless all bytes were moved. */
bool bt_file_read(int file, uint32_t offset, void *to, uint32_t count);
bool bt_file_write(int file, uint32_t offset, const void *from, uint32_t count);
bool bt_file_append(int file, const void *from, uint32_t count);

/* A line on the emulator's standard output or error stream. */
void bt_say(const char *text);
void bt_complain(const char *text);

/* The number after `name=` among the machine's arguments. */
uint32_t bt_argument(const char *name, uint32_t otherwise);

_Noreturn void bt_exit(int code);

#endif
