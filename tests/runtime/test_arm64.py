"""The kernels for arm64, which take NEON's vectors, give the bits of this machine's: built and emulated where there are
Debian's gcc-aarch64-linux-gnu and qemu-user-static."""

from __future__ import annotations

import shutil
import struct
import subprocess

import numpy as np
import pytest

from biotrain.bench.networks import Network, compile_network
from device_agent.engine.engine import CANDIDATE, Engine
from schemas.weights import HEADER_BYTES

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
RATE, DECAY = 0.01, 1e-3

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "biotrain/engine.h"
#include "operation.h"
typedef struct bt_handle bt_handle;
bt_handle *bt_handle_open(const uint8_t *, uint32_t, uint32_t, uint32_t, uint32_t, bt_status *);
bt_engine *bt_handle_engine(bt_handle *);
bt_status bt_handle_train(bt_handle *, const bt_window *, const uint32_t *, uint32_t, bt_optimizer, float *);
bt_operation_table bt_operations_plain = {{0}};

static uint8_t *load(const char *name, uint32_t *length) {
    FILE *file = fopen(name, "rb");
    if (!file) exit(3);
    fseek(file, 0, SEEK_END);
    *length = (uint32_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*length + 16);
    if (!bytes || fread(bytes, 1, *length, file) != *length) exit(3);
    fclose(file);
    return bytes;
}

/* windows: u32 count, values of a window, channels; labels u32, scale f32, counts i16. */
int main(void) {
    uint32_t plan_length, values_length, length;
    bt_status status;
    float loss;
    const uint8_t *plan = load("plan", &plan_length), *values = load("values", &values_length);
    const uint32_t *windows = (const uint32_t *)(const void *)load("windows", &length), count = windows[0];
    const uint32_t *labels = windows + 3;
    const float *scale = (const float *)(const void *)(labels + count);
    const int16_t *counts = (const int16_t *)(const void *)(scale + windows[2]);
    bt_handle *handle = bt_handle_open(plan, plan_length, 128000, 8000000, 8000000, &status);
    if (!handle) return 4;
    bt_engine *engine = bt_handle_engine(handle);
    memcpy(bt_engine_weights(engine, BT_BANK_SERVING), values, values_length);
    bt_fit_begin(engine);
    bt_window *all = calloc(count, sizeof *all);
    for (uint32_t n = 0; n < count; n++) all[n].counts = counts + n * windows[1], all[n].scale = scale;
    const bt_optimizer optimizer = {.learning_rate = RATE, .momentum = 0.9f, .weight_decay = DECAY};
    for (int step = 0; step < 2; step++)
        if (bt_handle_train(handle, all, labels, count, optimizer, &loss) != BT_OK) return 5;
    FILE *out = fopen("result", "wb");
    fwrite(bt_engine_weights(engine, BT_BANK_CANDIDATE), 1, values_length, out);
    return fclose(out);
}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory, repository):
    for name in (COMPILER, EMULATOR):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: apt-get install gcc-aarch64-linux-gnu qemu-user-static")
    folder, firmware = tmp_path_factory.mktemp("arm64"), repository / "device_agent" / "firmware"
    (folder / "train.c").write_text(PROGRAM)
    runtime = firmware / "runtime"
    port = firmware / "port"
    host = (port / "cell.c", *(port / "host" / name for name in ("engine_handle.c", "port.c")))
    flags = ("-static", "-std=c11", "-O1", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
    settings = ("-DBT_KERNEL_SET=base", f"-DRATE={RATE}f", f"-DDECAY={DECAY}f")
    sources = [folder / "train.c", *host, *sorted(runtime.glob("*.c")), *sorted((runtime / "kernels").glob("*.c"))]
    include = ("-I", firmware / "include", "-I", runtime)
    words = [COMPILER, *flags, *settings, *include, *sources, "-lm", "-o", folder / "train"]
    subprocess.run(words, check=True, capture_output=True, text=True)
    return folder


def on_this_machine(network: Network) -> bytes:
    with Engine(network.plan, network.weights) as engine:
        engine.begin_fit()
        step = engine.prepared_step(network.counts, network.scale, network.labels.tolist(), RATE, weight_decay=DECAY)
        step()
        step()
        return engine.values(CANDIDATE)


@pytest.mark.parametrize("model", ["epidenet", "mi-bminet"])
def test_two_steps_leave_the_same_bits(program, model):
    network = compile_network(model, 2)
    count, channels, samples = network.counts.shape
    windows = struct.pack("<III", count, channels * samples, channels) + network.labels.astype(np.uint32).tobytes()
    (program / "windows").write_bytes(windows + network.scale.tobytes() + network.counts.tobytes())
    (program / "plan").write_bytes(network.plan)
    values = network.weights[HEADER_BYTES:]
    (program / "values").write_bytes(values)
    subprocess.run([EMULATOR, "./train"], cwd=program, check=True, timeout=120)
    result = (program / "result").read_bytes()
    assert result == on_this_machine(network)
    assert result != values
