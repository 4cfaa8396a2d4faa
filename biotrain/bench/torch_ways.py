"""One training step in torch, in each of the ways in which it may be fastest.

All ways train the network that the device trains: group norm with one group in the place of batch norm, dropout on,
SGD with momentum and weight decay, one thread.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, conv1d, cross_entropy

from device_agent.models import build_model
from device_agent.models.epidenet import EpiDeNet
from device_agent.models.mi_bminet import MIBMInet
from device_agent.models.norms import with_group_norm


@dataclass(frozen=True, slots=True)
class Way:
    """`step` runs forward, loss, backward and optimiser once, on the batch that it was made with."""

    name: str
    step: Callable[[], None]


def eager_ways(model: str, inputs: Tensor, labels: Tensor) -> list[Way]:
    """`inputs` [batch, 1, channels, samples]. The first is plain Conv2d; Conv1d where the network has such a form."""
    module = with_group_norm(build_model(model)).train()
    last = inputs.contiguous(memory_format=torch.channels_last)
    ways = [
        _way("conv2d", copy.deepcopy(module), inputs, labels),
        _way("conv2d, channels last", _channels_last(module), last, labels),
    ]
    if isinstance(module, MIBMInet):
        ways.append(_way("conv1d", _MIBMInet1d(copy.deepcopy(module)), inputs, labels))
    if isinstance(module, EpiDeNet):
        ways.append(_way("conv1d", _EpiDeNet1d(copy.deepcopy(module)), inputs, labels))
    return ways


def compiled_way(model: str, inputs: Tensor, labels: Tensor) -> Way:
    """With torch.compile. Raises whatever torch does where that cannot work; takes tens of seconds."""
    module = with_group_norm(build_model(model)).train()
    way = _way("torch.compile", torch.compile(module), inputs, labels)
    way.step()
    return way


def _way(name: str, module: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor) -> Way:
    assert isinstance(module, nn.Module)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(module(inputs), labels).backward()
        optimizer.step()

    return Way(name, step)


def _channels_last(module: nn.Module) -> nn.Module:
    module = copy.deepcopy(module)
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


class _MIBMInet1d(nn.Module):
    """The spatial filter as a pointwise convolution over electrodes; all else is one-dimensional by itself."""

    def __init__(self, net: MIBMInet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        n = self.net
        filters, taps = n.temporal.weight.shape[0], n.temporal.weight.shape[3]
        x = n.spatial_norm(conv1d(x.squeeze(1), n.spatial.weight.squeeze(1)))
        x = nn.functional.pad(x, n.temporal_pad.padding[:2])
        x = n.temporal_norm(conv1d(x, n.temporal.weight.view(filters, 1, taps), groups=filters))
        x = n.dropout_1(avg_pool1d(n.relu(x), 8))
        x = nn.functional.pad(x, n.separable_pad.padding[:2])
        x = conv1d(conv1d(x, n.separable.weight.squeeze(2), groups=filters), n.pointwise.weight.squeeze(3))
        x = n.dropout_2(avg_pool1d(n.relu(n.separable_norm(x)), 8))
        return n.classify(torch.flatten(x, 1))


class _EpiDeNet1d(nn.Module):
    """Electrodes as groups of channels, electrode by electrode, with shared weights."""

    def __init__(self, net: EpiDeNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        net, x = self.net, x.squeeze(1)
        rows = x.shape[1]
        for block in (net.block_1, net.block_2, net.block_3):
            conv, norm, pool = block[0], block[1], block[3]
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.GroupNorm)
            assert isinstance(pool, nn.AvgPool2d)
            x = conv1d(x, conv.weight.squeeze(2).repeat(rows, 1, 1), groups=rows)
            x = avg_pool1d(torch.relu(_repeated(norm, x, rows)), pool.kernel_size[1])  # type: ignore[index]
        mixing, pointwise = net.block_4[0], net.block_5[0]
        assert isinstance(mixing, nn.Conv2d)
        assert isinstance(pointwise, nn.Conv2d)
        x = torch.relu(net.block_4[1](conv1d(x, mixing.weight.transpose(1, 2).flatten(1, 2))))
        x = torch.relu(net.block_5[1](conv1d(x, pointwise.weight.squeeze(3))))
        return net.classify(x.mean(2))


def _repeated(norm: nn.GroupNorm, x: Tensor, rows: int) -> Tensor:
    """One group over all channels of all electrodes, as over [channels, electrodes, time]."""
    return nn.functional.group_norm(x, 1, norm.weight.repeat(rows), norm.bias.repeat(rows), norm.eps)
