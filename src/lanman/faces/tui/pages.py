"""Pages over the screen: the help, what is known of a row, a plan with its question, and what became of an order.

Rules of the question:

  - Nothing is done by one key: the plan is shown first, and its default is No.
  - A grave plan wants the server's name to be typed (`Plan.is_grave`): many targets, or what may be unsaved.
  - Who would end without being meant is left alone, unless `o` says otherwise, which the page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from lanman.faces.text import fit
from lanman.faces.tui.details import COSTS
from lanman.faces.tui.lines import WHEEL
from lanman.faces.tui.symbols import Symbols
from lanman.faces.tui.views import access, client, user
from lanman.manage.orders.plan import Outcome, Plan, Target, Verb, What
from lanman.records import FileInfo, SessionInfo, ShareInfo


class TextLine(Widget):
    """One line of text, as long as the terminal is wide."""

    DEFAULT_CSS = """
    TextLine { height: 1; }
    """

    def __init__(self, symbols: Symbols, text: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.symbols = symbols
        self.text = text

    def say(self, text: str) -> None:
        """Show another text, not escaped."""
        if text != self.text:
            self.text = text
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The text, as far as it fits."""
        width = self.size.width
        return Strip([Segment(fit(self.symbols.shown(self.text), width), self.rich_style)], width)


class TextLines(Widget, can_focus=True):
    """Many lines of text, folded where they are too wide; of which those are made that are seen."""

    DEFAULT_CSS = """
    TextLines { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "look(1)", show=False),
        Binding("up,k", "look(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home,g", "look(-1000000000)", show=False),
        Binding("end,G", "look(1000000000)", show=False),
    ]

    def __init__(self, symbols: Symbols, lines: Sequence[str]) -> None:
        super().__init__()
        self.symbols = symbols
        self.top = 0
        self._given = list(lines)
        self._folded: list[str] = []

    def on_resize(self, event: events.Resize) -> None:
        """Fold it anew."""
        self._folded = [part for line in self._given for part in self._parts(line)]
        self.action_look(0)

    def _parts(self, line: str) -> list[str]:
        return folded(self.symbols.shown(line), self.size.width)

    def add(self, line: str) -> None:
        """One line more, and the end in sight."""
        self._given.append(line)
        self._folded += self._parts(line)
        self.action_look(len(self._folded))

    def action_look(self, lines: int) -> None:
        """Look further down, or up where negative."""
        self.top = max(0, min(self.top + lines, len(self._folded) - self.size.height))
        self.refresh()

    def action_page(self, pages: int) -> None:
        """Look further down by what is seen at once."""
        self.action_look(pages * max(1, self.size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Look further down."""
        self.action_look(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Look further up."""
        self.action_look(-WHEEL)

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        place, width = self.top + y, self.size.width
        text = self._folded[place] if place < len(self._folded) else ""
        return Strip([Segment(fit(text, width), self.rich_style)], width)


def folded(line: str, columns: int) -> list[str]:
    """A line in as many as it needs; the others stand further in."""
    if columns < 10:
        return [line]
    # Always less than the width: each part must take some of the line.
    indent = min(len(line) - len(line.lstrip()) + 2, columns // 2)
    parts: list[str] = []
    while True:
        part = fit(line, columns).rstrip()
        if len(part) >= len(line.rstrip()):
            return [*parts, part]
        # At a blank where there is one in the last half.
        at = part.rfind(" ", columns // 2)
        at = len(part) if at < 0 or not part[:at].strip() else at
        parts.append(line[:at].rstrip())
        line = " " * indent + line[at:].lstrip()


class Page(ModalScreen[None]):
    """A page of text, closed by Escape, Enter or `q`."""

    DEFAULT_CSS = """
    Page { background: $background; }
    Page > #title, Page > #prompt { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,x,question_mark", "close", show=False)]

    def __init__(self, symbols: Symbols, title: str, lines: Sequence[str], prompt: str = "Escape: back") -> None:
        super().__init__()
        self.symbols = symbols
        self.title_line = TextLine(symbols, title, id="title")
        self.text = TextLines(symbols, lines)
        self.prompt = TextLine(symbols, prompt, id="prompt")

    def compose(self) -> ComposeResult:
        """The title, the text, and what may be pressed."""
        yield self.title_line
        yield self.text
        yield self.prompt

    def on_mount(self) -> None:
        """The keys move the text."""
        self.text.focus()

    def action_close(self) -> None:
        """Back to the lists."""
        self.dismiss(None)


class Answer(NamedTuple):
    """Whether to go on, and whether the bystanders end too."""

    yes: bool
    with_others: bool = False


class PlanPage(ModalScreen[Answer]):
    """A plan, and whether to run it."""

    DEFAULT_CSS = """
    PlanPage { background: $background; }
    PlanPage > #title, PlanPage > #prompt { text-style: bold; }
    PlanPage > Input { height: 1; border: none; padding: 0; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "answer(True)", show=False),
        Binding("n,N,enter,q,escape", "answer(False)", show=False),
        Binding("o", "others", show=False),
    ]

    def __init__(self, symbols: Symbols, plan: Plan, left_out: Sequence[str]) -> None:
        super().__init__()
        self.symbols = symbols
        self.plan = plan
        self.left_out = left_out
        self.with_others = False
        self.typed = plan.is_grave(with_others=True)
        self.text = TextLines(symbols, plan_lines(plan, left_out))
        self.prompt = TextLine(symbols, "", id="prompt")

    def compose(self) -> ComposeResult:
        """The plan and the question."""
        yield TextLine(self.symbols, f"{self._what} on {self.plan.server}?", id="title")
        yield self.text
        yield self.prompt
        if self.typed:
            yield Input(placeholder="No", id="typed", compact=True)

    def on_mount(self) -> None:
        """What is typed goes to the name, where one is wanted."""
        self._ask()
        if self.typed:
            self.query_one(Input).focus()
        else:
            self.text.focus()

    @property
    def _what(self) -> str:
        count = len(self.plan.targets)
        thing = {Verb.END: "session", Verb.CLOSE: "file", Verb.UNSHARE: "share"}[self.plan.verb]
        return f"{self.plan.verb.value.capitalize()} {count:,} {thing}{'' if count == 1 else 's'}"

    def _ask(self) -> None:
        others = len(self.plan.bystanders)
        also = ""
        if others:
            box = "x" if self.with_others else " "
            key = "F2" if self.typed else "o"
            also = f"   {key}: [{box}] end the {others:,} other{'' if others == 1 else 's'} too"
        if self.typed:
            self.prompt.say(f"{self._what}? Type {self.plan.server} and Enter to do it; Escape: no{also}")
        else:
            self.prompt.say(f"{self._what}? y: yes   n: no   [No]{also}")

    def on_key(self, event: events.Key) -> None:
        """F2 stands for `o` where letters are typed."""
        if event.key == "f2":
            event.stop()
            self.action_others()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The server's name, and nothing else, is Yes."""
        self.dismiss(Answer(event.value.strip() == self.plan.server, self.with_others))

    def action_answer(self, yes: bool) -> None:
        """Yes or No; where a name is wanted, only typing it is Yes."""
        self.dismiss(Answer(yes and not self.typed, self.with_others))

    def action_others(self) -> None:
        """Whether the bystanders end too."""
        if self.plan.bystanders:
            self.with_others = not self.with_others
            self._ask()


class OutcomePage(Page):
    """What becomes of each target while an order is carried out. It closes when all is done."""

    def __init__(self, symbols: Symbols, plan: Plan) -> None:
        super().__init__(symbols, f"{plan.verb.value.capitalize()} on {plan.server}", [], "")
        self.plan = plan
        self.counts = dict.fromkeys(What, 0)
        self.running = True
        self._say()

    def add(self, outcome: Outcome) -> None:
        """One target is done with."""
        self.counts[outcome.what] += 1
        self.text.add(outcome_line(outcome))
        self._say()

    def finish(self, problem: str = "") -> None:
        """Nothing more comes; `problem` is why it broke off, where it did."""
        self.running = False
        if problem:
            self.text.add(f"BROKEN OFF: {problem}")
        self._say()

    def _say(self) -> None:
        done, spared, failed = (self.counts[what] for what in (What.DONE, What.SPARED, What.FAILED))
        so_far = f"{done:,} done, {spared:,} spared, {failed:,} failed"
        total = len(self.plan.targets)
        if self.running:
            self.prompt.say(f"{done + spared + failed:,} of {total:,}: {so_far}")
        else:
            self.prompt.say(f"{so_far}.   Escape: back")

    def action_close(self) -> None:
        """Back to the lists, when all is done."""
        if not self.running:
            self.dismiss(None)


# --- what the pages say


def named(record: SessionInfo | FileInfo | ShareInfo) -> str:
    """What a record is, in a few words."""
    if isinstance(record, SessionInfo):
        opens = "" if record.num_opens is None else f", {record.num_opens} open"
        return f"{user(record.user_name)}  {client(record.client_name)}{opens}"
    if isinstance(record, FileInfo):
        return f"{user(record.user_name)}  {access(record.permissions)}  {record.path or '-'}  (id {record.id})"
    return record.netname or "-"


def target_line(target: Target) -> str:
    """A target of a plan, what it costs and why."""
    own = "  YOUR OWN, left alone" if target.is_own else ""
    why = f" ({target.why})" if target.why else ""
    return f"  {named(target.record)}:  {COSTS[target.cost]}{why}{own}"


def plan_lines(plan: Plan, left_out: Sequence[str]) -> list[str]:
    """A plan in words, the dearest targets first."""
    lines = [""]
    lines += [target_line(target) for target in sorted(plan.targets, key=lambda one: -one.cost.rank)]
    if not plan.targets:
        lines.append("  Nothing is left of what was chosen.")
    if plan.bystanders:
        lines += [
            "",
            "Would end too, without having been chosen; what ends them is left alone unless you say otherwise:",
        ]
        lines += [f"  {named(other)}" for other in plan.bystanders]
    if left_out:
        lines += ["", "Left out:", *(f"  {line}" for line in left_out)]
    return lines


WORDS: Final[dict[What, Callable[[Outcome], str]]] = {
    What.DONE: lambda outcome: "done",
    What.SPARED: lambda outcome: f"spared ({outcome.reason.value})" if outcome.reason else "spared",
    What.FAILED: lambda outcome: "FAILED",
}


def outcome_line(outcome: Outcome) -> str:
    """What became of a target, and why."""
    why = "" if outcome.error is None or outcome.what is What.DONE else f": {outcome.error.with_hint}"
    note = f"; {outcome.note}" if outcome.note else ""
    return f"  {WORDS[outcome.what](outcome)}  {named(outcome.target.record)}{why}{note}"
