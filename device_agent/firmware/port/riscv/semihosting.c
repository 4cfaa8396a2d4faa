#include "semihosting.h"

#include <string.h>

typedef enum operation {
    OPEN = 0x01,
    CLOSE = 0x02,
    WRITE = 0x05,
    READ = 0x06,
    SEEK = 0x0a,
    LENGTH = 0x0c,
    COMMAND_LINE = 0x15,
    EXIT = 0x20
} operation;

enum { APPLICATION_EXIT = 0x20026, MOST_ARGUMENTS = 256 };

/* start.S. `block` holds the operation's words. */
int bt_semihost(uint32_t operation, const uint32_t *block);

static uint32_t word(const void *pointer) { return (uint32_t)(uintptr_t)pointer; }

static int call(operation what, uint32_t a, uint32_t b, uint32_t c) {
    const uint32_t block[3] = {a, b, c};
    __asm__ volatile("" : : "r"(block) : "memory"); /* the host reads and writes what only numbers point at */
    const int result = bt_semihost(what, block);
    __asm__ volatile("" : : : "memory");
    return result;
}

int bt_file_open(const char *name, bt_file_mode mode) { return call(OPEN, word(name), mode, (uint32_t)strlen(name)); }

void bt_file_close(int file) { call(CLOSE, (uint32_t)file, 0, 0); }

int32_t bt_file_length(int file) { return call(LENGTH, (uint32_t)file, 0, 0); }

/* READ and WRITE return how many bytes were not moved. */
bool bt_file_read(int file, uint32_t offset, void *to, uint32_t count) {
    return call(SEEK, (uint32_t)file, offset, 0) == 0 && call(READ, (uint32_t)file, word(to), count) == 0;
}

bool bt_file_write(int file, uint32_t offset, const void *from, uint32_t count) {
    return call(SEEK, (uint32_t)file, offset, 0) == 0 && bt_file_append(file, from, count);
}

bool bt_file_append(int file, const void *from, uint32_t count) {
    return call(WRITE, (uint32_t)file, word(from), count) == 0;
}

/* ":tt" is the emulator's own terminal; the mode says which of its streams. */
static void print(const char *text, uint32_t mode) {
    const int stream = call(OPEN, word(":tt"), mode, 3);
    if (stream < 0) return;
    bt_file_append(stream, text, (uint32_t)strlen(text));
    bt_file_append(stream, "\n", 1);
    bt_file_close(stream);
}

void bt_say(const char *text) { print(text, 4); }
void bt_complain(const char *text) { print(text, 8); }

uint32_t bt_argument(const char *name, uint32_t otherwise) {
    char line[MOST_ARGUMENTS];
    uint32_t value = 0;
    const uint32_t block[2] = {word(line), sizeof line};
    __asm__ volatile("" : : "r"(block) : "memory");
    if (bt_semihost(COMMAND_LINE, block) != 0) return otherwise;
    __asm__ volatile("" : : : "memory");
    const char *found = strstr(line, name);
    if (!found || found[strlen(name)] != '=') return otherwise;
    for (const char *digit = found + strlen(name) + 1; *digit >= '0' && *digit <= '9'; digit++)
        value = value * 10 + (uint32_t)(*digit - '0');
    return value;
}

_Noreturn void bt_exit(int code) {
    for (;;) call(EXIT, APPLICATION_EXIT, (uint32_t)code, 0);
}
