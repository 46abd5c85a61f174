"""A share that is added, changed or taken away.

The rules:

  - What is changed or taken away is compared with the row that was looked at, when the plan is made, and again right
    before the order: its folder, its remark and its limit.
  - Taking a share away closes what is open there, which is told with what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lanman import codes
from lanman.errors import Win32Error
from lanman.faces.web.plans.work import DONE, Place, Tell, Work, changed, failed, outcome, row
from lanman.manage.manager import Manager
from lanman.manage.orders import plan_share, run
from lanman.manage.orders.plan import Outcome, Target, What, target_json
from lanman.manage.watching.rows import ShareRow
from lanman.names import fold
from lanman.records import ShareInfo
from lanman.settings import UNLIMITED

ANOTHER: Final = "it is another share"


def limit_of(uses: int | None) -> int | None:
    """A share's limit as it is asked for: 0 for none."""
    return 0 if uses == UNLIMITED else uses


class Add(Work):
    """A folder is shared."""

    def __init__(self, name: str, path: str, remark: str, max_users: int) -> None:
        self._asked = name, path, remark, max_users
        self.rows = [
            row(0, "share", f"share:{name}", name=name, path=path, remark=remark, max_users=max_users, action="add")
        ]

    async def check(self, manager: Manager) -> None:
        """Raise Win32Error 2118 where there is a share of that name."""
        wanted = fold(self._asked[0])
        if any(fold(share.netname or "") == wanted for share in await manager.shares()):
            raise Win32Error(
                codes.NERR_DuplicateShare,
                f"there is a share {self._asked[0]} already",
                hint="take another name, or change that one",
                subject=f"share {self._asked[0]}",
            )

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`. The server itself refuses a name that was taken meanwhile."""
        name, path, remark, max_users = self._asked
        async with place.opening() as manager:
            try:
                await manager.add_share(name, path, remark=remark, max_users=max_users)
            except Win32Error as error:
                tell.outcome(0, failed(error))
                return None
        tell.outcome(0, DONE)
        return None


class Change(Work):
    """A share has another remark, or another limit."""

    def __init__(self, looked: ShareRow, remark: str | None, max_users: int | None) -> None:
        self._looked, self._remark, self._max_users = looked, remark, max_users
        self.rows = [
            row(
                0,
                "share",
                str(looked.key),
                name=looked.name,
                path=looked.path,
                remark=remark,
                max_users=max_users,
                before={"remark": looked.remark, "max_users": limit_of(looked.max_uses)},
                action="change",
            )
        ]

    async def check(self, manager: Manager) -> None:
        """Raise Win32Error 170 where the share is not as it was looked at, and 2310 where there is none."""
        if not is_same_share(self._looked, await manager.share(self._looked.name)):
            raise not_the_same(self._looked)

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`."""
        async with place.opening() as manager:
            if not await _is_still(manager, self._looked, tell):
                return None
            try:
                await manager.set_share(self._looked.name, remark=self._remark, max_users=self._max_users)
            except Win32Error as error:
                tell.outcome(0, failed(error))
                return None
        tell.outcome(0, DONE)
        return None


class Delete(Work):
    """A share is taken away, with what is open there. Made by `deletion`."""

    def __init__(self, looked: ShareRow, plan: Any) -> None:
        self._looked, self._plan = looked, plan
        self.rows = [_row(number, target, looked) for number, target in enumerate(plan.targets)]

    def is_grave(self, *, with_others: bool) -> bool:
        """See `Work.is_grave`."""
        return bool(self._plan.is_grave(with_others=with_others))

    async def run(self, place: Place, tell: Tell, *, with_others: bool) -> str | None:
        """See `Work.run`."""
        numbers = {id(target): number for number, target in enumerate(self._plan.targets)}

        def done(one: Outcome) -> None:
            reason = None if one.reason is None else one.reason.value
            tell.outcome(numbers[id(one.target)], outcome(one.what, one.error, reason=reason, note=one.note))

        async with place.opening() as manager:
            if await _is_still(manager, self._looked, tell):
                await run(manager, self._plan, done=done)
        return None


async def deletion(manager: Manager, looked: ShareRow) -> Delete:
    """The work that takes a share away as it was looked at. Raises Win32Error 2310 and 170."""
    plan = await plan_share(manager, looked.name)
    share = plan.targets[0].record
    assert isinstance(share, ShareInfo)
    if not is_same_share(looked, share):
        raise not_the_same(looked)
    return Delete(looked, plan)


def is_same_share(looked: ShareRow, now: ShareInfo) -> bool:
    """Whether a share is as its row has shown it, as far as both were told."""
    pairs = ((looked.path, now.path), (looked.remark, now.remark), (looked.max_uses, now.max_uses))
    return all(before is None or after is None or before == after for before, after in pairs)


def not_the_same(looked: ShareRow) -> Win32Error:
    """A share is another one by now."""
    return Win32Error(
        codes.ERROR_BUSY,
        f"the share {looked.name} is not as it was looked at: its folder, its remark or its limit is another",
        hint="look at it again",
        subject=f"share {looked.name}",
    )


async def _is_still(manager: Manager, looked: ShareRow, tell: Tell) -> bool:
    try:
        now = await manager.share(looked.name)
    except Win32Error as error:
        if error.code != codes.NERR_NetNameNotFound:
            raise
        tell.outcome(0, outcome(What.SPARED, error, reason="gone"))
        return False
    if not is_same_share(looked, now):
        tell.outcome(0, changed(ANOTHER))
        return False
    return True


def _row(number: int, target: Target, looked: ShareRow) -> dict[str, Any]:
    form: Mapping[str, Any] = target_json(target)
    if target.kind != "share":
        return row(number, "file", form["key"]) | dict(form)
    return row(
        number,
        "share",
        str(looked.key),
        target.cost,
        target.why,
        name=looked.name,
        path=looked.path,
        remark=looked.remark,
        max_users=limit_of(looked.max_uses),
        current_uses=form["current_uses"],
        action="delete",
    )
