"""What can be chosen for a chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from device_agent.compiler.stream.chains import CONV, NORMS, Chain

ALL = frozenset(
    {
        "rounds",
        "drop",
        "transient",
        "pooled_sums",
        "first_layer",
        "gradients_twice",
        "drop_output",
        "fuse",
        "l1",
        "staging",
    }
)
"""The techniques, by the names of their switches."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Indices are those of the chain's values."""

    rounds: int = 1
    """In how many parts the channels are taken; one: the tensors are whole."""
    kept: frozenset[int] = frozenset()
    """Whole from the forward to the backward pass. What is not kept is computed again."""
    transient: frozenset[int] = frozenset()
    """Whole in the forward pass, because it would be computed twice there, and then dropped."""
    pooled_sums: bool = False
    """The last norm's backward sums come from what was kept of each pooled cell (kernels/pooled_norm.c)."""
    first_layer: bool = False
    """The first layer's weight gradient follows from sums (kernels/first_layer.c)."""

    gradients_twice: bool = False
    """Input gradients of convolutions between norms are computed for each sweep instead of being whole for a while."""

    drops_output: bool = False
    """The output is computed again where the backward pass of what reads it needs it."""

    narrow: bool = False
    """What is kept is narrow: it is read, and the gradient goes down to the input, part by part."""

    def __str__(self) -> str:
        words = [f"{self.rounds} parts" if self.rounds > 1 else "whole"]
        words += [f"keeps {','.join(map(str, sorted(self.kept)))}"] if self.kept else []
        words += [f"holds {','.join(map(str, sorted(self.transient)))}"] if self.transient else []
        words += ["pooled sums"] if self.pooled_sums else []
        words += ["first layer by sums"] if self.first_layer else []
        words += ["gradients twice"] if self.gradients_twice else []
        words += ["output again"] if self.drops_output else []
        return "; ".join(words)


def plain(chain: Chain) -> Choice:
    """Everything whole, every convolution's output kept."""
    return Choice(kept=frozenset(chain.inner_convolutions))


def candidates(
    chain: Chain, wants_input: bool, techniques: frozenset[str] = ALL, narrow: bool = False
) -> Iterator[Choice]:
    """The choices worth looking at; `wants_input`: somebody needs the gradient of the chain's input."""
    convolutions = chain.inner_convolutions
    most = chain.most_rounds if "rounds" in techniques else 1
    by_sums = can_use_sums(chain, wants_input) and "first_layer" in techniques
    pooled = ends_pooled(chain) and "pooled_sums" in techniques
    for rounds in sorted({1, most}):
        held_too = rounds > 1 and "transient" in techniques
        states: tuple[str, ...] = ("kept", "held", "dropped") if held_too else ("kept", "dropped")
        if "drop" not in techniques:
            states = ("kept",)
        for chosen in product(states, repeat=len(convolutions)):
            kept = frozenset(i for i, state in zip(convolutions, chosen, strict=True) if state == "kept")
            held = frozenset(i for i, state in zip(convolutions, chosen, strict=True) if state == "held")
            sums = by_sums and rounds > 1 and 1 not in kept
            last_kept = bool(convolutions) and convolutions[-1] in kept
            for pooling in [False] + [True] * (pooled and rounds > 1 and not last_kept):
                for again in [False] + [True] * _may_convolve_twice(chain, rounds, sums, techniques):
                    choice = Choice(rounds, kept, held, pooling, sums, again, narrow=narrow)
                    yield choice
                    if "drop_output" in techniques and last_kept:
                        yield replace(choice, drops_output=True)  # it costs no multiply-accumulate
    if "drop_output" in techniques and not any(op.kind in NORMS for op in chain.ops):
        yield replace(plain(chain), drops_output=True)


def _may_convolve_twice(chain: Chain, rounds: int, sums: bool, techniques: frozenset[str]) -> bool:
    """Convolutions stand behind a group norm that is not the last sweep's."""
    behind = any(op.kind == CONV for op in chain.ops[min(chain.norms, default=len(chain.ops)) :])
    return behind and rounds > 1 and not sums and "gradients_twice" in techniques


def can_use_sums(chain: Chain, wants_input: bool) -> bool:
    """A convolution without bias and a group norm begin the network, and the sums cost less than they save."""
    first = chain.ops[0]
    if wants_input or not chain.reads_all_channels or first.optional("bias") is not None:
        return False
    weight = first.operand("weight")
    taps = weight.bytes // 4 // weight.shape[0]
    return 1 in chain.norms and (taps + 1) / 2 <= weight.shape[0] and taps <= 1024


def ends_pooled(chain: Chain) -> bool:
    """Whether norm, ReLU and average pool end the chain, so that backward needs sums over pools only. Counts in a
    pool are bytes.
    """
    kinds = [op.kind for op in chain.ops[-3:]]
    if kinds != ["group_norm_forward", "relu_forward", "average_pool_forward"]:
        return False
    pool = chain.ops[-1].attributes
    return len(chain.norms) > 1 and pool["kernel_h"] * pool["kernel_w"] <= 255
