"""The forward pass of a chain: a sweep for the statistics of each group norm, and one to the end."""

from __future__ import annotations

from collections.abc import Callable

from device_agent.compiler.ir import Op, Value
from device_agent.compiler.operators.base import scalars
from device_agent.compiler.stream.chains import Chain
from device_agent.compiler.stream.choice import Choice
from device_agent.compiler.stream.sweep import Sweep, run_sweep


class Streamed:
    """A chain in one program, and what its forward pass leaves to its backward pass."""

    def __init__(self, chain: Chain, choice: Choice) -> None:
        self.chain, self.choice = chain, choice
        self.statistics = {
            at: scalars(f"{chain.ops[at].layer}.statistics", 2 * chain.values[at].shape[0]).reshaped(
                "statistics", (chain.values[at].shape[0], 2)
            )
            for at in chain.norms
        }
        self.end = len(chain.ops)
        self.active: Value | None = None
        self.counts: Value | None = None

    def forward(self, training: bool) -> list[Op]:
        chain, choice = self.chain, self.choice
        whole = {0: chain.values[0]}
        targets = {i: chain.values[i] for i in (*sorted(choice.kept | choice.transient), self.end)}
        ops: list[Op] = []

        def sweep(rounds: int) -> Sweep:
            return Sweep(chain, rounds, dict(whole), targets, self.statistics)

        def first(rounds: int) -> Sweep:
            made = sweep(rounds)
            made.need(1)
            return made

        if 1 in targets and self.end > 1:  # it reads the input as a whole: once, before the loops
            ops += self._run(first, whole, targets)
        for at in chain.norms:
            rows = Value.new(f"{chain.ops[at].layer}.rows", self.statistics[at].shape)

            def statistics(rounds: int, at: int = at, rows: Value = rows) -> Sweep:
                made = sweep(rounds)
                made.ops.append(Op("norm_row_statistics", (made.need(at), made.part(rows)), {}, chain.ops[at].layer))
                return made

            ops += self._run(statistics, whole, targets)
            norm = chain.ops[at].attributes
            values = chain.values[at]
            settings = {"groups": norm["groups"], "count": values.bytes // 4 // values.shape[0], "eps": norm["eps"]}
            ops.append(Op("group_norm_finish", (rows, self.statistics[at]), settings, chain.ops[at].layer))

        def last(rounds: int) -> Sweep:
            made = sweep(rounds)
            made.need(self.end - 1)
            if training and choice.pooled_sums:
                made.ops.append(self._keep_active(made))
            made.need(self.end)
            return made

        return ops + self._run(last, whole, targets)

    def again(self) -> list[Op]:
        """The output once more, from the input and what was kept; the statistics are known."""
        chain = self.chain
        whole = {i: chain.values[i] for i in (0, *sorted(self.choice.kept))}

        def last(rounds: int) -> Sweep:
            made = Sweep(chain, rounds, whole, {self.end: chain.values[self.end]}, self.statistics)
            made.need(self.end)
            return made

        return run_sweep(last, self.choice.rounds)[0]

    def _run(self, make: Callable[[int], Sweep], whole: dict[int, Value], targets: dict[int, Value]) -> list[Op]:
        ops, made = run_sweep(make, self.choice.rounds)
        whole.update({i: targets[i] for i in made.written})
        return ops

    def _keep_active(self, sweep: Sweep) -> Op:
        pool, x, y = self.chain.ops[-1], sweep.need(self.end - 3), sweep.need(self.end - 1)
        shape = self.chain.values[-1].shape
        if self.active is None or self.counts is None:
            self.active = Value.new(f"{pool.layer}.active", shape)
            self.counts = Value.new(f"{pool.layer}.counts", (shape[0], -(-shape[1] * shape[2] // 4)))
        operands = (x, sweep.part(self.statistics[self.end - 3]), y, sweep.part(self.active), sweep.part(self.counts))
        return Op("active_sums", operands, dict(pool.attributes), pool.layer)
