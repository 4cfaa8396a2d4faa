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
    "stack": "cat of unsqueezed tensors",
    "matmul": "Linear",
    "mm": "Linear",
    "bmm": "Linear",
    "einsum": "Linear or Conv2d",
}


def nearest(target: str, known: Iterable[str]) -> str:
    """Words that end a sentence: "; use ...", or the most similar name; empty where nothing is near."""
    name = target.split(".")[1].rstrip("_") if target.count(".") else target
    if name in _INSTEAD:
        return f"; use {_INSTEAD[name]}"
    similar = difflib.get_close_matches(target, list(known), n=1, cutoff=0.6)
    return f"; the nearest that works is {similar[0]}" if similar else "; docs/operators.md lists what works"
