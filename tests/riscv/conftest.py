"""The images, built once, and a model small enough for an emulator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from biotrain.riscv.image import COMPILER, EMULATOR, TRAINING_IMAGE, WEARABLE_IMAGE, image
from device_agent.compiler.compile import CompiledPlan
from device_agent.models import SIZES, build_model
from device_agent.models.norms import with_group_norm
from tests.compiled import Windows, compiled, learnable_windows

MODEL = "epidenet-short"


@pytest.fixture(scope="session", autouse=True)
def cross_tools() -> None:
    """Without them these tests say why they do nothing; `make setup` installs them."""
    for name in (COMPILER, EMULATOR):
        if shutil.which(name) is None:
            packages = "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc"
            pytest.skip(f"{name} is not installed: apt-get install {packages}")


@pytest.fixture(scope="session")
def wearable_image(cross_tools: None) -> Path:
    return image(WEARABLE_IMAGE)


@pytest.fixture(scope="session")
def training_image(cross_tools: None) -> Path:
    return image(TRAINING_IMAGE)


@dataclass(frozen=True)
class Model:
    plan: CompiledPlan
    weights: bytes
    windows: Windows
    scale: np.ndarray


@pytest.fixture(scope="session")
def model() -> Model:
    torch.manual_seed(3)
    size = SIZES[MODEL]
    windows = learnable_windows(16, size.channels, size.samples, size.classes)
    module = with_group_norm(build_model(MODEL, size))
    plan = compiled(module, windows, size.classes)
    return Model(plan, plan.weights_file(module), windows, windows.scale)
