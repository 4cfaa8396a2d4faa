"""The planner: chains, what is chosen for each, and the arena that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from device_agent.compiler.allocate import Arena, preparing_problem, slot_bytes
from device_agent.compiler.assemble import Programs, Task, assemble
from device_agent.compiler.differentiate import Streams, wanted_values
from device_agent.compiler.errors import CompileError
from device_agent.compiler.ir import Program
from device_agent.compiler.levels import place_levels
from device_agent.compiler.macs import count_macs, forward_macs
from device_agent.compiler.schedule import lifetimes
from device_agent.compiler.search import Choices, Search, Trial
from device_agent.compiler.stream.chains import Chain, find_chains
from device_agent.compiler.stream.choice import Choice, candidates, plain
from schemas.plan import Region

#: Working in L1 on parts of what lies in L2 is worth so much more of the training state, where no budget speaks.
STAGING_ROOM = 1.07


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Programs with every buffer in its place, and the choices that led to them."""

    programs: Programs
    arena: Arena
    chains: tuple[tuple[int, ...], ...]
    choices: Choices


def plan_memory(
    task: Task,
    preparing: Program,
    budget: int | None,
    techniques: frozenset[str],
    watch: Callable[[str, str], None] = lambda name, text: None,
    aside: int = 0,
) -> MemoryPlan:
    """`watch` sees the chosen training program behind each of the passes that make it; `aside`: so many bytes of L2 go
    to L3.

    Raises CompileError when nothing fits the budget, with what stands in the way and the smallest one that works."""
    chosen = _choose(task, preparing, budget, techniques)
    if task.bf16 and not task.round_all:
        chosen = _only_if_smaller(chosen, _choose(replace(task, bf16=False), preparing, budget, techniques))
    if not chosen.fits:
        assert budget is not None
        raise CompileError(_too_small(budget, chosen.trial))
    room = budget if budget is not None else int(chosen.trial.total_bytes * STAGING_ROOM)
    most = room - chosen.trial.rest_bytes
    programs, arena = place_levels(chosen.task, chosen.streams, preparing, techniques, most, aside, watch)
    return MemoryPlan(programs, arena, tuple(chain for chain, _ in chosen.streams), chosen.trial.choices)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What the search has come to; where it does not fit, the smallest."""

    task: Task
    trial: Trial
    fits: bool
    streams: list[tuple[tuple[int, ...], Choice]]


def _choose(task: Task, preparing: Program, budget: int | None, techniques: frozenset[str]) -> _Chosen:
    graph = task.graph
    found = find_chains(graph)
    chains = [Chain(tuple(graph.ops[at] for at in indices)) for indices in found]
    wanted = wanted_values(graph)
    options = [list(candidates(chain, chain.values[0] in wanted, techniques, task.bf16)) for chain in chains]
    trained = sum(p.value.storage.bytes for p in graph.parameters if p.trained)
    weights = sum(p.value.storage.bytes for p in graph.parameters)
    besides = weights + trained + trained * task.optimizer.states

    def attempt(choices: Choices, task: Task = task) -> Trial:
        made = assemble(task, list(zip(found, choices, strict=True)))
        before = frozenset({task.input.storage} | ({made.inputs.storage} if made.inputs else set()))
        programs = (preparing, made.infer, made.train)
        batch = made.inputs.storage if made.inputs else None
        problems = (
            preparing_problem(preparing, before, batch),
            *(lifetimes(program, Region.ARENA, before) for program in programs[1:]),
        )
        arena = max(problem.lower_bound() for problem in problems)
        rest = besides + slot_bytes([made.infer, made.train], Region.SCALARS)
        macs = count_macs(made.train)
        names = tuple(tuple(f"{op.kind} of {op.layer}" for op in program) for program in programs)
        return Trial(choices, rest + arena, macs.forward + macs.backward, problems, rest, names)

    rounds = [[n for n in range(1, chain.most_rounds + 1) if chain.most_rounds % n == 0] for chain in chains]
    search = Search(attempt, options, rounds, [_touched(chain) for chain in chains], max(1, forward_macs(graph)))
    start = tuple(plain(chain) for chain in chains)
    trial, fits = (search.without_limit(start), True) if budget is None else search.within(start, budget)
    streams = list(zip(found, trial.choices, strict=True))
    if task.bf16 and not task.round_all:
        task, trial = _without_idle_rounding(task, trial, streams, attempt)
    return _Chosen(task, trial, fits, streams)


def _only_if_smaller(narrow: _Chosen, wide: _Chosen) -> _Chosen:
    """Rounding must buy something: less memory, or less to compute again in the same."""
    if narrow.fits != wide.fits:
        return narrow if narrow.fits else wide
    ours, plainly = narrow.trial, wide.trial
    if plainly.total_bytes <= ours.total_bytes and plainly.macs <= ours.macs:
        return wide
    return narrow


def _without_idle_rounding(
    task: Task, trial: Trial, streams: Streams, attempt: Callable[[Choices, Task], Trial]
) -> tuple[Task, Trial]:
    """Leaves those activations in float32 whose narrow form saves nothing."""
    for name in assemble(task, streams).narrowed:
        wider = replace(task, wide=task.wide | {name})
        other = attempt(trial.choices, wider)
        if other.total_bytes <= trial.total_bytes:
            task, trial = wider, other
    return task, trial


def _touched(chain: Chain) -> frozenset[str]:
    """Names of what the choice for a chain can make smaller: everything but its input."""
    names = {value.name for value in chain.values[1:]}
    return frozenset(names | {f"d_{name}" for name in names})


def _too_small(budget: int, smallest: Trial) -> str:
    at = max(range(len(smallest.problems)), key=lambda n: smallest.problems[n].lower_bound())
    problem = smallest.problems[at]
    step, _ = problem.peak()
    operation = smallest.operations[at][step] if step < len(smallest.operations[at]) else "the end"
    live = sorted((b for b in problem.buffers if b.start <= step < b.end), key=lambda b: -b.bytes)
    names = ", ".join(f"{buffer.name} {buffer.bytes:,}" for buffer in live[:5])
    return (
        f"a training state of {budget:,} bytes is too small: the smallest that works is {smallest.total_bytes:,} "
        f"bytes; {smallest.rest_bytes:,} of them are weights, gradients and optimiser, "
        f"and at the peak, {operation}, live {names}"
    )
