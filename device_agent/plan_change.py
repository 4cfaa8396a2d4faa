"""A plan that was pushed: fetched, checked, written when it costs no window, and taken back where it does not serve.

The wearable keeps its old plan until it has accepted the new one, and the weights of before in a bank of their own. The
agent keeps both as files besides, so that the way back does not depend on what has happened since.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from device_agent.admission import Admitted, admit
from device_agent.context import Context
from device_agent.link import WearableLink
from device_agent.outbox import Draft
from device_agent.plan_fetch import PlanFetch
from device_agent.plan_files import PlanFiles, digest
from device_agent.state import Before, Pushed
from device_agent.trusted import TrustedKeys
from device_agent.wearable.api import Bank, Wearable, WearableError, WearableInfo, WearableLost
from schemas.command import ReplyStatus
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.plan_push import PlanStep, PlanWish
from schemas.topics import Kind
from schemas.weights import WeightsError, read_weights

_log = structlog.get_logger("agent")
_ENDS = {
    PlanStep.RUNNING: ReplyStatus.DONE,
    PlanStep.REFUSED: ReplyStatus.REFUSED,
    PlanStep.FAILED: ReplyStatus.FAILED,
}


class PlanChange:
    """`run` it as a task. One wish at a time; a newer one takes its place as soon as the wearable is whole."""

    def __init__(
        self,
        context: Context,
        link: WearableLink,
        fetch: PlanFetch,
        files: PlanFiles,
        *,
        adapting: Callable[[], bool],
        tell: Callable[[], None],
    ) -> None:
        self._context, self._link, self._fetch, self._files = context, link, fetch, files
        self._adapting, self._tell = adapting, tell
        self._waiting = asyncio.Event()

    @property
    def pending(self) -> bool:
        """No adaptation begins: its fit would be for nothing."""
        return self._context.state.plan.open

    @property
    def writing(self) -> bool:
        """The wearable may be without weights for a moment: a window that it refuses is given to it again."""
        return self.pending and self._context.state.plan.report.step is PlanStep.WRITING

    async def written(self) -> None:
        await self._context.changed.until(lambda: not self.writing)

    async def wish(self, wish: PlanWish) -> None:
        """Kept before it is answered; the same one again says nothing new."""
        kept = self._context.state.plan
        if kept.wish is not None and kept.wish.command_id == wish.command_id:
            return
        if kept.wish is not None and kept.open:
            await self._reply(kept.wish, ReplyStatus.FAILED, "a newer plan was pushed before it was done")
        kept.wish, kept.open = wish, True
        kept.report = kept.report.model_copy(
            update={"command_id": wish.command_id, "step": PlanStep.FETCHING, "detail": ""}
        )
        await self._reply(wish, ReplyStatus.ACCEPTED, "")
        self._waiting.set()
        self._context.changed.notify()
        self._tell()

    async def run(self) -> None:
        """What was open when the agent was stopped is carried on."""
        while True:
            wish = self._context.state.plan.wish
            if wish is None or not self.pending:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            try:
                detail = await self._fulfil(wish)
            except WearableLost as error:
                if self._link.wearable is not None:
                    self._link.lost(self._link.wearable)
                _log.info("the plan waits for the wearable", reason=str(error))
                await asyncio.sleep(0.1)
            except UserError as error:
                await self._end(wish, PlanStep.REFUSED, str(error))
            except WearableError as error:
                await self._end(wish, PlanStep.FAILED, f"the wearable refuses it: {error}; {await self._restore()}")
            else:
                if detail is not None:
                    await self._end(wish, PlanStep.RUNNING, detail)

    async def _fulfil(self, wish: PlanWish) -> str | None:
        """What is to be said of its end; None when a newer wish has come. Raises UserError, WearableError."""
        kept = self._context.state.plan
        running = None if kept.pushed is None else kept.pushed.plan
        if wish.back and wish.instead_of not in (None, running) and kept.report.step is not PlanStep.WRITING:
            return "the plan that it was to give up does not run here"
        plan, weights = await self._bytes_of(wish)
        wearable = await self._link.up()
        wanted = self._admit(plan, weights, wearable.info)
        pushed = kept.before.pushed if wish.back and kept.before is not None else _name(plan, weights)
        if kept.report.step is not PlanStep.WRITING:
            if not wish.back and wearable.info.plan_hash == wanted.plan.hash and kept.pushed == pushed:
                return "it runs already"
            self._step(PlanStep.WAITING, "for the adaptation that is running" if self._adapting() else "")
            await self._context.changed.until(lambda: not self._adapting() or kept.wish is not wish)
            if kept.wish is not wish:
                return None
            wearable = await self._link.up()
            if not wish.back:
                kept.before = await self._remember(wearable)
            self._step(PlanStep.WRITING, "")
            await self._context.reporter.keep()  # before the wearable is told
        began_s = time.monotonic()
        await self._write(wearable, wanted, back=wish.back)
        kept.pushed, kept.over = pushed, kept.over if wish.back else self._start_option()
        if wish.back:
            kept.before = None
        await self._take_up(wearable)
        self._files.keep_only(_names(kept.pushed) + ([] if kept.before is None else kept.before.names))
        return (
            f"plan {wanted.plan.hash[:12]} runs with weights version {self._context.state.device_version}, "
            f"written in {time.monotonic() - began_s:.1f} s"
        )

    async def _bytes_of(self, wish: PlanWish) -> tuple[bytes, bytes | None]:
        kept = self._context.state.plan
        if wish.back:
            before = kept.before
            plan = None if before is None else self._files.load(before.plan)
            if before is None or plan is None:
                raise UserError("there is no plan from before a push to go back to")
            return plan, None if before.weights is None else self._files.load(before.weights)
        if wish.plan is None:
            raise UserError("the wish names no plan: push it again")
        found = []
        for file in (wish.plan, wish.weights):
            content = None if file is None else self._files.load(file.sha256)
            if file is not None and content is None:
                content = await self._fetch.fetch(file)
                await asyncio.to_thread(self._files.save, content)
            found.append(content)
        plan, weights = found
        assert plan is not None
        return plan, weights if weights is not None else self._weights_of_before(plan)

    def _weights_of_before(self, plan: bytes) -> bytes | None:
        """A way back that was signed anew is the plan of before, and begins with the weights of then."""
        before = self._context.state.plan.before
        old = None if before is None else self._files.load(before.plan)
        if before is None or before.weights is None or old is None or read_plan(old).hash != read_plan(plan).hash:
            return None
        return self._files.load(before.weights)

    def _admit(self, plan: bytes, weights: bytes | None, info: WearableInfo) -> Admitted:
        """Raises UserError, and counts it."""
        try:
            return admit(plan, weights, info, TrustedKeys.of(self._context.settings.trusted_keys))
        except UserError:
            self._context.refused += 1
            raise

    async def _remember(self, wearable: Wearable) -> Before:
        """What to go back to."""
        plan = await wearable.read_plan()
        weights = await wearable.read_weights(Bank.SERVING) if wearable.info.weights_version else None
        names = [await asyncio.to_thread(self._files.save, one) for one in (plan, weights) if one is not None]
        return Before(
            plan=names[0], weights=names[1] if weights is not None else None, pushed=self._context.state.plan.pushed
        )

    async def _write(self, wearable: Wearable, wanted: Admitted, *, back: bool) -> None:
        """Plan first: the wearable checks it whole before it gives up the old one. Then weights, unless they serve."""
        await wearable.write_plan(wanted.plan_file)
        if wearable.info.plan_hash != wanted.plan.hash:
            raise WearableError("WRONG_PLAN", "it holds another plan than the one that was written")
        if wanted.weights_file is not None and await _serving(wearable) != wanted.weights_hash:
            await wearable.write_weights(wanted.weights_file)
        if not wearable.info.weights_version:
            raise WearableError("NO_WEIGHTS", "it came without weights, and the wearable has none that go with it")

    async def _restore(self) -> str:
        """The old plan again, with the weights of then; says how it went."""
        before = self._context.state.plan.before
        plan = None if before is None else self._files.load(before.plan)
        if before is None or plan is None or self._context.state.plan.report.step is not PlanStep.WRITING:
            return "what ran before goes on"
        weights = None if before.weights is None else self._files.load(before.weights)
        while True:
            wearable = await self._link.up()
            try:
                await self._write(wearable, self._admit(plan, weights, wearable.info), back=True)
                await self._take_up(wearable)
            except WearableLost:
                self._link.lost(wearable)
                await asyncio.sleep(0.1)
            except (WearableError, UserError) as error:
                return f"and the plan from before could not be brought back: {error}"
            else:
                return "the plan from before runs again"

    async def _take_up(self, wearable: Wearable) -> None:
        """Other weights' errors, windows and figures say nothing of these."""
        context, state = self._context, self._context.state
        context.info = wearable.info
        state.device_version = wearable.info.weights_version
        context.forget_model()

    async def _end(self, wish: PlanWish, step: PlanStep, detail: str) -> None:
        context, kept = self._context, self._context.state.plan
        if kept.wish is not wish:
            return
        kept.open = False
        self._step(step, detail)
        (_log.info if step is PlanStep.RUNNING else _log.warning)("a pushed plan", step=str(step), detail=detail)
        info = context.info
        context.state.remember(f"plan_{step}", None, context.state.device_version if info else None)
        told = context.state_draft(context.doing, f"pushed plan: {detail}") if step is not PlanStep.REFUSED else None
        await self._reply(wish, _ENDS[step], detail, *(() if told is None else (told,)))
        context.changed.notify()

    async def _reply(self, wish: PlanWish, status: ReplyStatus, detail: str, *more: Draft) -> None:
        fields = {"command_id": wish.command_id, "status": status, "detail": detail[:500]}
        await self._context.reporter.put(*more, Draft(Kind.REPLY, fields))

    def _step(self, step: PlanStep, detail: str) -> None:
        kept = self._context.state.plan
        window = self._context.newest_window + 1 if step is PlanStep.RUNNING else kept.report.since_window
        kept.report = kept.report.model_copy(update={"step": step, "detail": detail[:500], "since_window": window})
        self._tell()

    def _start_option(self) -> str:
        plan = self._context.settings.plan
        return "" if plan is None else digest(plan.read_bytes())


async def _serving(wearable: Wearable) -> str | None:
    """Digest of the values that serve; None where there are none."""
    if not wearable.info.weights_version:
        return None
    try:
        return read_weights(await wearable.read_weights(Bank.SERVING)).hash
    except WeightsError:
        return None


def _name(plan: bytes, weights: bytes | None) -> Pushed:
    return Pushed(plan=digest(plan), weights=None if weights is None else digest(weights))


def _names(pushed: Pushed | None) -> list[str | None]:
    return [] if pushed is None else [pushed.plan, pushed.weights]
