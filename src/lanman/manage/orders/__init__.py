"""Every order is a plan and a run.

    plan = await plan_sessions(manager, await manager.sessions(user="bob"))
    for target in plan.targets: print(target.key, target.cost.value, target.why)
    for outcome in await run(manager, plan): print(outcome.target.key, outcome.what.value, outcome.reason)

A plan is made from what the server lists, and does nothing. A run reads each target again right before its order and
spares what has changed, whose bystanders nobody consented to, and the session of this program itself; and looks again
afterwards. What a plan and an outcome hold is in `lanman.manage.orders.plan`.
"""

from __future__ import annotations

from lanman.manage.orders.plan import Consent, Cost, Done, Outcome, Plan, Reason, Target, Verb, What

__all__ = [
    "Consent",
    "Cost",
    "Done",
    "Outcome",
    "Plan",
    "Reason",
    "Target",
    "Verb",
    "What",
]
