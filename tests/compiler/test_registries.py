"""An operator is whole: rule, number, kernel, test and a line of documentation. One that lacks a part is named here."""

from __future__ import annotations

import re
import sys

import pytest

from device_agent.compiler.capture import capture
from device_agent.compiler.differentiate import choose_trained, training
from device_agent.compiler.ir import RESHAPE, Value
from device_agent.compiler.normalise import Norm, normalise
from device_agent.compiler.operators import BACKWARD, CAPTURES, OPERATORS
from device_agent.compiler.training_options import Loss, Mode
from schemas.plan_operations import OPERATIONS
from tests.compiler.test_operators import CHANNELS, NETWORKS, SAMPLES

#: Not from a user's network but the engine's own: see tests/runtime, test_training_options.py, test_batch_norm.py.
ENGINES_OWN = {
    *("zero", "copy", "decode_counts", "mix_channels", "filter_sections", "scale_channels", "centre_channels"),
    *("cross_entropy", "smoothed_cross_entropy", "sgd", "adam", "batch_norm_track"),
}
#: The planner's, for tensors whose channels come and go in a loop: see test_streaming.py.
STREAMED = {
    *("norm_row_statistics", "group_norm_finish", "norm_apply"),
    *("norm_backward_sums", "group_norm_backward_finish", "norm_backward_apply"),
    *("norm_relu_pool_forward", "norm_relu_pool_backward_sums", "norm_relu_pool_backward"),
    *("tap_covariance", "normed_weight_gradient", "tap_norm_sums", "active_sums", "pooled_norm_sums"),
    # copies beside the work: see test_staging.py
    *("copy_start", "copy_ahead", "copy_wait", "staged_conv2d_forward", "staged_conv2d_weight_gradient"),
}
#: Of narrow storage: see test_narrow.py.
NARROW = {"narrow_bf16", "widen_bf16", "narrow_counts", "widen_counts"}


@pytest.fixture(scope="module")
def tested() -> set[str]:
    """The kinds of operations that the parity tests' networks train with."""
    kinds = {"dropout_forward", "dropout_backward"}  # test_dropout.py: its masks must be given to torch
    for case in NETWORKS.values():
        for norm in Norm:
            graph = normalise(capture(case(), (1, CHANNELS, SAMPLES)), norm)
            choose_trained(graph, Mode.FULL)
            inputs = Value.new("inputs", graph.input.shape) if norm is Norm.BATCH else None
            learning, _ = training(graph, Loss(), None, inputs)
            kinds |= {op.kind for op in learning}
    return kinds - {RESHAPE}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_every_operation_has_a_rule_that_makes_it_and_a_parity_test(tested):
    assert tested | ENGINES_OWN | STREAMED | NARROW == set(OPERATIONS)
    assert set(BACKWARD) - {RESHAPE} <= tested


def test_every_file_is_registered(repository):
    files = {path.stem for path in (repository / "device_agent/compiler/operators").glob("*.py")}
    registered = {
        name
        for name in files
        if getattr(sys.modules.get(f"device_agent.compiler.operators.{name}"), "OPERATOR", None) in OPERATORS
    }
    assert files - registered == {"__init__", "base"}


def test_every_operation_has_a_kernel_and_every_kernel_an_operation(repository):
    kernels = set()
    for path in (repository / "device_agent/firmware/runtime/kernels").glob("*.[ch]"):
        text = path.read_text()
        checks, runs = (set(re.findall(rf"^BT_{part}\((\w+)\) ?\{{", text, re.MULTILINE)) for part in ("CHECK", "RUN"))
        assert checks == runs, path.name
        kernels |= runs
    assert kernels == set(OPERATIONS)


def test_every_operator_has_a_line_of_documentation(repository):
    documented = set(re.findall(r"`(\w+)\.py` \|$", (repository / "docs/operators.md").read_text(), re.MULTILINE))
    files = {path.stem for path in (repository / "device_agent/compiler/operators").glob("*.py")} - {"__init__", "base"}
    assert documented == files


def test_no_two_operators_want_the_same_call():
    assert len(CAPTURES) == sum(len(operator.captures) for operator in OPERATORS)
    assert len({op.number for op in OPERATIONS.values()}) == len(OPERATIONS)
