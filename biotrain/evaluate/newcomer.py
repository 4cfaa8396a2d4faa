"""A new person with few labelled windows, or none: what alignment, the guard and self-teaching do, on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from biotrain.evaluate import entropy
from biotrain.evaluate.prepared import Prepared
from biotrain.evaluate.settings import Tuning
from biotrain.evaluate.tuned import OnDevice, Values
from device_agent.adaptation.alignment import alignment_of
from device_agent.adaptation.folds import folds
from device_agent.adaptation.guard import judge, worth_committing
from device_agent.models.aligned import ALIGNMENT
from device_agent.sources.recording import Recording

RISK = 0.05
PARTS = 8
"""Of the labelled windows: each is left out once, to judge."""
CONFIDENT = 0.5
"""Margin from which a window is taught with its own prediction: about the better half of them."""
LEAST = 6
"""Confident windows without which nothing is taught."""


@dataclass(frozen=True)
class Newcomer:
    """One person: networks of everybody else, with and without alignment, and what there is to learn from."""

    plain: Prepared
    aligned: Prepared
    first: Recording
    """The session that is learned from."""
    tuning: Tuning
    seed: int


@dataclass(frozen=True)
class Outcome:
    """A model ready to be tested, and what the guard said."""

    model: OnDevice
    committed: bool = True


Method = Callable[[Newcomer], Outcome]


def aligned_values(who: Newcomer) -> Values:
    """The network of others with this person's filters: its first session's windows, without their labels."""
    prepared = who.aligned.blank.preprocessing.apply(who.first.values)
    filters = alignment_of(prepared)
    shape = who.aligned.values[ALIGNMENT].shape
    return {**who.aligned.values, ALIGNMENT: filters.reshape(shape)}


def _start(who: Newcomer, align: bool) -> tuple[Prepared, Values]:
    return (who.aligned, aligned_values(who)) if align else (who.plain, who.plain.values)


def untouched(align: bool) -> Method:
    """The network of other people as it is, with or without alignment."""

    def method(who: Newcomer) -> Outcome:
        prepared, values = _start(who, align)
        return Outcome(OnDevice(prepared.plans["full"], values))

    return method


def tuned(mode: str, align: bool, guarded: bool) -> Method:
    """On all labelled windows. The guard first asks models that have seen all parts but one about that one."""

    def method(who: Newcomer) -> Outcome:
        prepared, values = _start(who, align)
        plan = prepared.plans[mode]
        if guarded and not _worth_it(who, plan, values):
            return Outcome(OnDevice(plan, values), committed=False)
        model = OnDevice(plan, values)
        model.tune(who.first, who.tuning, who.seed)
        return Outcome(model)

    return method


def _worth_it(who: Newcomer, plan: bytes, values: Values) -> bool:
    labels = [int(label) for label in who.first.labels]
    after = [-1] * len(labels)
    for part in folds(labels, PARTS):
        rest = np.setdiff1d(np.arange(len(labels)), part)
        model = OnDevice(plan, values)
        try:
            model.tune(who.first.chosen(rest), who.tuning, who.seed)
            for window, predicted in zip(part, model.predict(who.first.chosen(np.array(part))), strict=True):
                after[window] = predicted
        finally:
            model.close()
    before = _said(plan, values, who.first)
    return worth_committing(judge(labels, before, after, RISK))


def _said(plan: bytes, values: Values, windows: Recording) -> list[int]:
    model = OnDevice(plan, values)
    try:
        return model.predict(windows)
    finally:
        model.close()


def surer(guarded: bool) -> Method:
    """No labels: entropy minimisation of the norms on confident windows. The guard asks labels that come later, those
    of the same session: none of them has been learned from."""

    def method(who: Newcomer) -> Outcome:
        prepared, values = _start(who, True)
        plan = prepared.plans[entropy.MODE]
        margins = _margins(plan, values, who.first)
        sure = np.flatnonzero(np.array(margins) >= CONFIDENT)
        if len(sure) < LEAST:
            return Outcome(OnDevice(plan, values), committed=False)
        after = entropy.minimise_entropy(prepared, values, who.first.chosen(sure), who.tuning, who.seed)
        if guarded:
            labels = [int(label) for label in who.first.labels]
            was, now = _said(plan, values, who.first), _said(plan, after, who.first)
            if not worth_committing(judge(labels, was, now, RISK)):
                return Outcome(OnDevice(plan, values), committed=False)
        return Outcome(OnDevice(plan, after))

    return method


def _margins(plan: bytes, values: Values, windows: Recording) -> list[float]:
    model = OnDevice(plan, values)
    try:
        return [model.engine.predict(counts, windows.scale).margin for counts in windows.counts]
    finally:
        model.close()


def self_taught(mode: str) -> Method:
    """No labels: entropy is brought down on confident windows by teaching them their own predictions (Lee, ICML
    workshop 2013: what entropy minimisation comes to with hard labels); of the norms alone, as in Wang et al., Tent,
    ICLR 2021. The guard would ask later labels: here it is shown what happens without."""

    def method(who: Newcomer) -> Outcome:
        prepared, values = _start(who, True)
        model = OnDevice(prepared.plans[mode], values)
        said = [model.engine.predict(counts, who.first.scale) for counts in who.first.counts]
        sure = np.array([i for i, p in enumerate(said) if p.margin >= CONFIDENT], np.int64)
        if len(sure) < LEAST:
            return Outcome(model, committed=False)
        taught = who.first.chosen(sure)
        own = replace(taught, labels=np.array([said[i].predicted for i in sure], np.int64))
        model.tune(own, who.tuning, who.seed)
        return Outcome(model)

    return method


METHODS: Mapping[str, Method] = {
    "none": untouched(align=False),
    "full": tuned("full", align=False, guarded=False),
    "full, guarded": tuned("full", align=False, guarded=True),
    "aligned": untouched(align=True),
    "aligned, norms self-taught": self_taught("norm-only"),
    "aligned, entropy": surer(guarded=False),
    "aligned, entropy, guarded": surer(guarded=True),
    "aligned, last layer, guarded": tuned("last-layer", align=True, guarded=True),
    "aligned, full": tuned("full", align=True, guarded=False),
    "aligned, full, guarded": tuned("full", align=True, guarded=True),
}
NEEDED_MODES = ("full", "last-layer", "norm-only")
