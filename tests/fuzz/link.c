/* What may come over a link. Two programs in one:
 * - under libFuzzer, frames whose checksums are right and whose content is anything, to a wearable with a plan;
 * - with -DCOUNTED, a main that sends so many bytes of noise, of which no frame is whole: nothing may be executed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../device_agent/firmware/app/app.h"
#include "../../device_agent/firmware/port/host/host.h"
#include "../../device_agent/firmware/port/host/local.h"
#include "../../device_agent/firmware/protocol/frame.h"
#include "../../device_agent/firmware/protocol/opcodes.h"

static const uint8_t HELLO[] = {1, 1, 7, 0, 0, 0};

static bt_local *start(uint8_t *storage) {
    char error[BT_ERROR_BYTES];
    bt_local *local = bt_local_create("fuzzed", NULL, storage, NULL, NULL, NULL, 1.0, error, sizeof error);
    if (!local) abort();
    return local;
}

static void settle(bt_local *local) {
    static uint8_t answers[65536];
    for (int i = 0; i < 64; i++) {
        const int more = bt_local_poll(local);
        if (!bt_local_drain(local, answers, sizeof answers) && !more) return;
    }
}

static void send(bt_local *local, const bt_frame *frame) {
    uint8_t encoded[BT_MAX_ENCODED];
    const uint32_t bytes = bt_frame_encode(frame, encoded);
    bt_local_feed(local, encoded, bytes);
    settle(local);
}

static void request(bt_local *local, uint32_t opcode, uint16_t sequence, const uint8_t *payload, uint32_t length) {
    const bt_frame frame = {.kind = BT_FRAME_REQUEST, .opcode = (uint8_t)opcode, .sequence = sequence, .session = 7,
                            .id = 2u * sequence, .payload = payload, .length = length};
    send(local, &frame);
}

#ifdef COUNTED

static uint64_t state = 88172645463325252u;

static uint32_t number(uint32_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

/* A frame that would do something, with one to four bytes altered (never to themselves, never all back). */
static uint32_t spoiled(uint8_t *out) {
    static const uint8_t opcodes[] = {BT_OP_HELLO, BT_OP_BEGIN, BT_OP_COMMIT, BT_OP_ROLL_BACK, BT_OP_END, BT_OP_REPLAY};
    uint8_t payload[64];
    for (uint32_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)number(256);
    const bt_frame frame = {.kind = BT_FRAME_REQUEST, .opcode = opcodes[number(sizeof opcodes)], .session = 7,
                            .sequence = (uint16_t)number(65536), .id = 2 + number(1000), .payload = payload,
                            .length = number(sizeof payload)};
    const uint32_t length = bt_frame_encode(&frame, out), at = number(length - 1), times = 1 + number(4);
    for (uint32_t i = 0; i < times && at + i < length - 1; i++) out[at + i] ^= (uint8_t)(1 + number(255));
    return length;
}

int main(int count, char **words) {
    const uint64_t bytes = count > 1 ? strtoull(words[1], NULL, 10) : 0;
    uint8_t *storage = calloc(1, bt_local_storage_bytes()), *before = malloc(bt_local_storage_bytes());
    bt_local *local = start(storage);
    settle(local);
    memcpy(before, storage, bt_local_storage_bytes());
    uint64_t sent = 0;
    while (sent < bytes) {
        uint8_t piece[BT_MAX_ENCODED * 2];
        uint32_t length = 1 + number(3000);
        if (number(3) == 0) {
            for (uint32_t i = 0; i < length; i++) piece[i] = number(40) ? (uint8_t)number(256) : 0;
        } else if (number(8) == 0) {
            memset(piece, 1 + (int)number(255), length);
        } else {
            length = spoiled(piece);
        }
        bt_local_feed(local, piece, length);
        settle(local);
        sent += length;
    }
    printf("%llu bytes, storage %s\n", (unsigned long long)sent,
           memcmp(before, storage, bt_local_storage_bytes()) ? "changed" : "as before");
    /* it still listens */
    const uint8_t end = 0;
    bt_local_feed(local, &end, 1);
    settle(local);
    uint8_t answer[4096];
    uint8_t encoded[BT_MAX_ENCODED];
    const bt_frame hello = {.kind = BT_FRAME_REQUEST, .opcode = BT_OP_HELLO, .sequence = 1, .session = 9, .id = 2,
                            .payload = HELLO, .length = sizeof HELLO};
    bt_local_feed(local, encoded, bt_frame_encode(&hello, encoded));
    bt_local_poll(local);
    printf("answers %s\n", bt_local_drain(local, answer, sizeof answer) > 40 ? "yes" : "no");
    bt_local_destroy(local);
    free(storage), free(before);
    return 0;
}

#else

enum { INPUTS_A_DEVICE = 200 };

static uint8_t *read_file(const char *name, uint32_t *length) {
    const char *folder = getenv("BIOTRAIN_FUZZ_FILES");
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    uint8_t *bytes = malloc(1 << 20);
    *length = (uint32_t)fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void upload(bt_local *local, uint32_t object, const char *name, uint16_t *sequence) {
    uint32_t length = 0;
    uint8_t *file = read_file(name, &length), payload[BT_MAX_PAYLOAD];
    if (!file) abort();
    const uint32_t crc = bt_crc32(0, file, length);
    payload[0] = (uint8_t)object;
    memcpy(payload + 1, &length, 4), memcpy(payload + 5, &crc, 4);
    request(local, BT_OP_BEGIN, ++*sequence, payload, 9);
    for (uint32_t at = 0; at < length; at += 2000) {
        const uint32_t part = length - at < 2000 ? length - at : 2000;
        payload[0] = (uint8_t)object;
        memcpy(payload + 1, &at, 4), memcpy(payload + 5, file + at, part);
        const bt_frame chunk = {.kind = BT_FRAME_ONE_WAY, .opcode = BT_OP_CHUNK, .sequence = ++*sequence, .session = 7,
                                .payload = payload, .length = part + 5};
        send(local, &chunk);
    }
    payload[0] = (uint8_t)object;
    memcpy(payload + 1, &length, 4), memcpy(payload + 5, &crc, 4);
    request(local, BT_OP_END, ++*sequence, payload, 9);
    free(file);
}

/* Frames: kind u8, opcode u8, length u8, payload. An upload's CRC cannot be guessed: an END is given the right one. */
static void say(bt_local *local, const uint8_t *data, size_t size, uint16_t *sequence) {
    static uint8_t held[4096];
    while (size >= 3) {
        uint8_t payload[300];
        uint32_t length = data[2] < size - 3 ? data[2] : (uint32_t)size - 3;
        memcpy(payload, data + 3, length);
        const uint32_t kind = data[0] % 8, opcode = data[1] % 32;
        data += 3 + length, size -= 3 + length;
        if (opcode == BT_OP_END && length) { /* [object, body...]: begin, one chunk and end in one */
            const uint32_t body = length - 1, crc = bt_crc32(0, payload + 1, body), zero = 0;
            memcpy(held, payload, 1), memcpy(held + 1, &body, 4), memcpy(held + 5, &crc, 4);
            request(local, BT_OP_BEGIN, ++*sequence, held, 10);
            uint8_t chunk[310];
            chunk[0] = payload[0];
            memcpy(chunk + 1, &zero, 4), memcpy(chunk + 5, payload + 1, body);
            const bt_frame frame = {.kind = BT_FRAME_ONE_WAY, .opcode = BT_OP_CHUNK, .sequence = ++*sequence,
                                    .session = 7, .payload = chunk, .length = body + 5};
            send(local, &frame);
            request(local, BT_OP_END, ++*sequence, held, 9);
            continue;
        }
        const bt_frame frame = {.kind = (uint8_t)kind, .opcode = (uint8_t)opcode, .sequence = ++*sequence, .session = 7,
                                .id = 2u * *sequence, .payload = payload, .length = length};
        send(local, &frame);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *storage, *whole;
    static bt_local *local;
    static uint32_t inputs;
    static uint16_t sequence;
    if (!storage) {
        storage = calloc(1, bt_local_storage_bytes());
        whole = calloc(1, bt_local_storage_bytes());
        local = start(storage);
        request(local, BT_OP_HELLO, ++sequence, HELLO, sizeof HELLO);
        upload(local, BT_OBJECT_PLAN, "plan", &sequence);
        upload(local, BT_OBJECT_WEIGHTS, "weights", &sequence);
        memcpy(whole, storage, bt_local_storage_bytes());
    }
    if (++inputs % INPUTS_A_DEVICE == 0) { /* another life, from a known state */
        bt_local_destroy(local);
        memcpy(storage, whole, bt_local_storage_bytes());
        local = start(storage);
    }
    if (size && data[0] & 1) {
        bt_local_feed(local, data + 1, size - 1);
        settle(local);
        const uint8_t end = 0;
        bt_local_feed(local, &end, 1);
    } else if (size) {
        sequence = 0;
        bt_local_link_lost(local);
        request(local, BT_OP_HELLO, ++sequence, HELLO, sizeof HELLO);
        say(local, data + 1, size - 1, &sequence);
    }
    settle(local);
    return 0;
}

#endif
