"""What to use instead of an operator that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_INSTEAD = {
    "silu": "GELU",
    "hardswish": "GELU",
    "mish": "GELU",
    "leaky_relu": "ELU",
    "prelu": "ELU",
    "selu": "ELU",
    "celu": "ELU",
    "relu6": "ReLU",
    "hardtanh": "clamp",
    "softplus": "ELU",
    "sigmoid": "tanh",
    "softmax": "the logits as they are: the loss applies softmax itself",
    "log_softmax": "the logits as they are: the loss applies softmax itself",
    "instance_norm": "GroupNorm with as many groups as channels",
    "feature_dropout": "Dropout",
    "alpha_dropout": "Dropout",
    "lstm": "causal dilated convolutions, as device_agent/models/eeg_tcnet.py has them",
    "gru": "causal dilated convolutions, as device_agent/models/eeg_tcnet.py has them",
    "rnn": "causal dilated convolutions, as device_agent/models/eeg_tcnet.py has them",
    "rnn_tanh": "causal dilated convolutions, as device_agent/models/eeg_tcnet.py has them",
    "scaled_dot_product_attention": "causal dilated convolutions, as device_agent/models/eeg_tcnet.py has them",
    "conv3d": "Conv2d over a reshaped input",
    "conv_transpose1d": "Conv1d with padding",
    "conv_transpose2d": "Conv2d with padding",
    "cumsum": "a convolution",
    "sum": "mean",
    "amax": "AdaptiveMaxPool",
    "max": "AdaptiveMaxPool",
    "var": "square, then mean",
    "std": "square, then mean",
    "abs": "square",
    "sub": "add, with the sign in the layer before",
    "div": "a convolution or a norm that scales",
    "neg": "the sign in the layer before",
    "rsub": "add, with the sign in the layer before",
    "sqrt": "clamp and log, or the value as it is",
    "mul": "a convolution or a norm that scales",
    "stack": "cat of unsqueezed tensors",
    "upsample_nearest1d": "a pool in the other branch: both then have the smaller size",
    "upsample_nearest2d": "a pool in the other branch: both then have the smaller size",
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne", "where"), "clamp or ReLU: choosing by value is not there"),
    **dict.fromkeys(
        ("nonzero", "masked_select", "index", "index_select", "gather"),
        "slices with fixed bounds: every window must take the same path",
    ),
    **dict.fromkeys(
        ("zeros", "ones", "full", "arange", "zeros_like", "ones_like", "rand", "randn"),
        "parameters: forward may make no tensors (recurrent layers do; causal dilated convolutions stand in for them)",
    ),
    "matmul": "Linear",
    "mm": "Linear",
    "bmm": "Linear",
    "einsum": "Linear or Conv2d",
}


def nearest(target: str, known: Iterable[str]) -> str:
    """Words that end a sentence: "; use ...", or the most similar name; empty where nothing is near."""
    name = target.split(".")[1].rstrip("_") if target.count(".") else target.lower()
    if name in _INSTEAD:
        return f"; use {_INSTEAD[name]}"
    by_name = {other.split(".")[1]: other for other in known if other.count(".")}
    similar = difflib.get_close_matches(name, list(by_name), n=1, cutoff=0.7)
    return f"; the nearest that works is {by_name[similar[0]]}" if similar else "; docs/operators.md lists what works"
