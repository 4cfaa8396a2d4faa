"""Entropy minimisation on confident windows, without labels: the norms are tuned until the network is surer still.

Of the windows of which the network is sure enough, the mean entropy of its own output, H = -sum p log p, goes down the
gradient; only scale and shift of the norms move (Wang et al., Tent, ICLR 2021). The device's engine knows cross-entropy
alone, so this runs in torch, and its weights are put on the device afterwards: it is here to be measured, and the agent
does not offer it (docs/evaluation.md says why).
"""

from __future__ import annotations

import copy

import torch

from biotrain.evaluate.prepared import Prepared
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.tuned import InTorch, Values
from device_agent.sources.recording import Recording

MODE = "norm-only"


def mean_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Of the softmax of `logits` [windows, classes], in nats."""
    logs = torch.log_softmax(logits, 1)
    return -(logs.exp() * logs).sum(1).mean()


def minimise_entropy(prepared: Prepared, values: Values, confident: Recording, tuning: Tuning, seed: int) -> Values:
    """`prepared` must have a plan of `MODE`: it says which parameters move. The labels are not looked at."""
    model = InTorch(prepared.plans[MODE], values, copy.deepcopy(prepared.blank.module), prepared.blank.preprocessing)
    model.descend(confident, tuning, seed, lambda logits, _: mean_entropy(logits))
    return model.values()
