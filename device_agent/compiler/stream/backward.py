"""The backward pass of a chain: a sweep for the two sums of each group norm, last norm first, and one to the input.

A gradient of a whole tensor exists only where a convolution's input gradient would have to be computed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_agent.compiler.ir import RESHAPE, Number, Op, Value
from device_agent.compiler.operators import BACKWARD
from device_agent.compiler.operators.base import Backward
from device_agent.compiler.stream.chains import CONV, ELEMENTWISE, GROUP_NORM
from device_agent.compiler.stream.forward import Streamed
from device_agent.compiler.stream.sweep import Sweep, run_sweep


@dataclass(slots=True)
class _Rows(Backward):
    """The gradients of one sweep: rules write into the part of a whole gradient where there is one."""

    places: dict[Value, Value] | None = None

    def new(self, value: Value) -> Value:
        fresh = (self.places or {}).get(value)
        if fresh is None:
            fresh = Value.new(f"d_{value.name}", value.shape)
        self.give(value, fresh)
        return fresh


class StreamedBackward:
    """Walks a chain whose output gradient is known; gradients of parameters are added where they are first seen."""

    def __init__(self, streamed: Streamed, outer: Backward, forward: dict[int, Value]) -> None:
        """`forward`: values of the chain that are there whole, input and kept ones."""
        self.streamed, self.outer, self.whole = streamed, outer, forward
        self.chain, self.choice = streamed.chain, streamed.choice
        self.gradients = {streamed.end: outer.gradient(self.chain.values[-1])}
        self.means = {at: Value.new("means", v.shape) for at, v in streamed.statistics.items()}
        self.seen: set[int] = set()
        """Operations whose parameters have had their gradient."""
        self.lowest = self._lowest()
        self.sums_over_taps: Value | None = None
        self.sums_of_gradient: Value | None = None
        """Of each channel behind the first norm, where the norm's own sums follow from those over taps."""

    def _lowest(self) -> int:
        """The first value of the chain whose gradient is needed."""
        for at, op in enumerate(self.chain.ops):
            if self.chain.values[at] in self.outer.wanted:
                return at
            if any(self.outer.accumulator(value) for value in op.inputs):
                return at + 1
        return self.streamed.end

    def emit(self) -> None:
        norms = [at for at in reversed(self.chain.norms) if at + 1 >= self.lowest]
        for at in norms:
            first = at == norms[-1]
            by_taps = first and at == 1 and self.lowest == 1 and self.choice.first_layer
            self._norm_sums(at, by_taps)
            if by_taps:
                self._first_layer()
                return
        self._to_the_input()

    # the two sums of a norm

    def _norm_sums(self, at: int, by_taps: bool) -> None:
        op, statistics = self.chain.ops[at], self.streamed.statistics[at]
        sums = Value.new("sums", statistics.shape)
        if self.choice.pooled_sums and at == self.streamed.end - 3 and self.streamed.active is not None:
            operands = (self.gradients[self.streamed.end], self.streamed.active, self.streamed.counts, sums)
            self._add([Op("pooled_norm_sums", operands, dict(self.chain.ops[-1].attributes), op.layer)])
        else:
            whole_gradient = None if by_taps else self._whole_gradient_for(at)
            weight = self.chain.ops[0].optional("weight") if by_taps else None
            if by_taps and weight is not None:
                self.sums_over_taps = Value.new("sums over taps", weight.shape)
                self._add([Op("zero", (self.sums_over_taps,), {}, op.layer)])
                if self.chain.ops[at + 1].kind == CONV:  # behind a ReLU the norm's sums come with the gradient
                    self.sums_of_gradient = Value.new("sums of gradient", (weight.shape[0],))
                    self._add([Op("zero", (self.sums_of_gradient,), {}, op.layer)])
            seen = set(self.seen)

            def make(rounds: int) -> Sweep:
                self.seen = set(seen)
                sweep = self._sweep(rounds)
                places = {} if whole_gradient is None else {at + 1: whole_gradient.part(rounds)}
                rows = self._rows(sweep, places)
                dy = self._gradient(at + 1, sweep, rows)
                plain = self.sums_of_gradient and sweep.part(self.sums_of_gradient)
                if plain is None:
                    operands = (dy, sweep.need(at), sweep.part(statistics), sweep.part(sums))
                    sweep.ops.append(Op("norm_backward_sums", operands, {}, op.layer))
                if self.sums_over_taps is not None:
                    convolution = self.chain.ops[0]
                    taps = (sweep.row(0), dy, sweep.part(self.sums_over_taps), plain)
                    settings = dict(convolution.attributes)
                    sweep.ops.append(Op("conv2d_weight_gradient", taps, settings, convolution.layer))
                return sweep

            self._run(make)
            if whole_gradient is not None:
                self.gradients[at + 1] = whole_gradient
            if self.sums_of_gradient is not None:
                given = (self.sums_over_taps, self.sums_of_gradient, weight, statistics, sums)
                self._add([Op("tap_norm_sums", given, {}, op.layer)])
        values = self.chain.values[at]
        settings = {"groups": op.attributes["groups"], "count": values.bytes // 4 // values.shape[0]}
        gamma, beta = op.operand("gamma"), op.operand("beta")
        scratch = (self.outer.accumulator_or_scratch(gamma), self.outer.accumulator_or_scratch(beta))
        self._add(
            [Op("group_norm_backward_finish", (sums, statistics, gamma, self.means[at], *scratch), settings, op.layer)]
        )

    def _whole_gradient_for(self, at: int) -> Value | None:
        """Room for the gradient behind a norm, where the next sweep would have to convolve again for it."""
        if self.lowest > at or self.choice.gradients_twice:
            return None  # there is no next sweep, or it shall
        nearest = min(i for i in self.gradients if i > at)
        again = any(self.chain.ops[i].kind == CONV for i in range(at + 1, nearest))
        value = self.chain.values[at + 1]
        return Value.new(f"d_{value.name}", value.shape) if again else None

    # the way down

    def _to_the_input(self) -> None:
        first, convolution = self.lowest, self.chain.ops[0]
        output = self.chain.values[1]
        plainly = convolution.kind == CONV and 1 in self.choice.kept and first <= 1 and len(self.chain.ops) > 1
        plainly = plainly and not (self.choice.narrow and self.choice.rounds > 1)
        if plainly:  # its gradient takes the place of what was kept
            gradient = Value.new(f"d_{output.name}", output.shape)
            self._down(1, {1: gradient}, whole_convolution=True)
            self.outer.gradients[output] = gradient
            BACKWARD[CONV](convolution, self.outer)
            return
        source = self.chain.values[0]
        if first > 0:
            self._down(first, {})
        elif not self.chain.reads_all_channels or self.choice.rounds == 1:
            gradient = Value.new(f"d_{source.name}", source.shape)
            self._down(0, {0: gradient})
            self.outer.give(source, gradient)
        else:  # each round adds what its output channels give
            gradient = Value.new(f"d_{source.name}", source.shape)
            self._add([Op("zero", (gradient,), {}, convolution.layer)])
            self._down(0, {}, gradient)
            self.outer.give(source, gradient)

    def _down(
        self, to: int, whole: dict[int, Value], total: Value | None = None, whole_convolution: bool = False
    ) -> None:
        seen, last = set(self.seen), max(to, 1) - 1
        left = [at for at in range(last, self.streamed.end) if at not in seen and self.chain.ops[at].kind != GROUP_NORM]
        if to > 0 and not whole and not any(self._trained(at) for at in left):
            return  # everything that is trained has its gradient

        def make(rounds: int) -> Sweep:
            self.seen = set(seen)
            sweep = self._sweep(rounds)
            alone = 0 if self.chain.reads_all_channels else None
            rows = self._rows(sweep, {i: v if i == alone else v.part(rounds) for i, v in whole.items()})
            self._gradient(last + 1, sweep, rows)
            if not whole_convolution and (to == 0 or self.chain.ops[last].kind != GROUP_NORM):
                self._rule(last, sweep, rows)
                if total is not None:
                    operands = (total, rows.gradients[sweep.row(0)], total)
                    sweep.ops.append(Op("add", operands, {}, self.chain.ops[0].layer))
            return sweep

        self._run(make)
        self.gradients.update(whole)

    def _trained(self, at: int) -> bool:
        return any(self.outer.accumulator(value) for value in self.chain.ops[at].inputs)

    def _first_layer(self) -> None:
        convolution, norm = self.chain.ops[0], self.chain.ops[1]
        weight, gradient = convolution.operand("weight"), self.outer.accumulator(convolution.operand("weight"))
        assert self.sums_over_taps is not None
        assert gradient is not None
        taps = weight.bytes // 4 // weight.shape[0]
        sums, covariance = Value.new("tap sums", (taps,)), Value.new("tap covariance", (taps, taps))
        settings: dict[str, Number] = {
            **convolution.attributes,
            "kernel_h": weight.shape[2],
            "kernel_w": weight.shape[3],
        }
        output = self.chain.values[1]
        given = (self.streamed.statistics[1], self.means[1], norm.operand("gamma"), gradient)
        operands = (self.sums_over_taps, weight, sums, covariance, *given)
        positions: dict[str, Number] = {"positions": output.bytes // 4 // output.shape[0]}
        self._add(
            [
                Op("tap_covariance", (self.whole[0], sums, covariance), settings, convolution.layer),
                Op("normed_weight_gradient", operands, positions, convolution.layer),
            ]
        )

    # one sweep

    def _sweep(self, rounds: int) -> Sweep:
        sweep = Sweep(self.chain, rounds, self.whole, {}, self.streamed.statistics)
        batch_norms = [at for at, op in enumerate(self.chain.ops[:-1]) if op.kind == "batch_norm_forward"]
        if batch_norms and self.chain.ops[batch_norms[-1] + 1].kind in ELEMENTWISE:
            sweep.need(batch_norms[-1] + 1)  # it sees all windows; gradients behind it then need one at a time
        return sweep

    def _rows(self, sweep: Sweep, places: dict[int, Value]) -> _Rows:
        for i in sorted(places):  # a view has no gradient of its own: the one behind it is written there
            while self.chain.ops[i].kind == RESHAPE:
                places[i + 1] = places[i].reshaped(places[i].name, sweep.row(i + 1).shape)
                i += 1
        wanted = {sweep.row(i) for i in range(self.lowest, self.streamed.end + 1)}
        rows = _Rows(
            parameter_gradients=self.outer.parameter_gradients,
            wanted=wanted,
            places={sweep.row(i): value for i, value in places.items()},
        )
        for i, gradient in self.gradients.items():
            rows.gradients[sweep.row(i)] = gradient.part(sweep.rounds)
        return rows

    def _gradient(self, index: int, sweep: Sweep, rows: _Rows) -> Value:
        """This round's part of the gradient of a value."""
        if sweep.row(index) not in rows.gradients:
            self._gradient(index + 1, sweep, rows)
            self._rule(index, sweep, rows)
        return rows.gradients[sweep.row(index)]

    def _rule(self, at: int, sweep: Sweep, rows: _Rows) -> None:
        """Backward of operation `at`; what it reads of the forward pass is computed in front of it."""
        op = self.chain.ops[at]
        rows.ops = []
        rows.parameter_gradients = {} if at in self.seen else self.outer.parameter_gradients
        self.seen.add(at)
        if op.kind == GROUP_NORM:
            dy, x = rows.gradients[sweep.row(at + 1)], sweep.row(at)
            of_norm = (
                sweep.part(self.streamed.statistics[at]),
                sweep.part(self.means[at]),
                sweep.part(op.operand("gamma")),
            )
            rows.emit("norm_backward_apply", dy, x, *of_norm, rows.new(x), of=op)
            rows.settle(op)
        else:
            forward = sweep.forward(at)
            BACKWARD[forward.kind](forward, rows)
            rows.settle(forward)
        indices = {value: i for i, value in sweep.rows.items()}
        for emitted in rows.ops:
            for value in emitted.inputs:
                if value in indices:
                    sweep.need(indices[value])
            sweep.ops.append(emitted)

    def _run(self, make: Callable[[int], Sweep]) -> None:
        ops, _ = run_sweep(make, self.choice.rounds)
        self._add(ops)

    def _add(self, ops: list[Op]) -> None:
        self.outer.ops += ops
