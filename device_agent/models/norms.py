"""From batch norm to the norm that can be trained one window at a time."""

from __future__ import annotations

import copy

from torch import nn


def with_group_norm(module: nn.Module, groups: int = 1) -> nn.Module:
    """A copy whose batch norms are group norms with the same eps and affine parameters.

    The running statistics have no counterpart and are left behind: the copy needs training.
    """
    module = copy.deepcopy(module)
    for name, child in list(module.named_modules()):
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            norm = nn.GroupNorm(groups, child.num_features, eps=child.eps)
            norm.weight, norm.bias = child.weight, child.bias
            parent, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(parent), leaf, norm)
    return module
