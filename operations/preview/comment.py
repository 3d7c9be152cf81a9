"""The comment on a pull request: one table, what deserves fear in red, and the rest folded away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

from operations.environments import EnvironmentName
from operations.limits import ISSUE_LENGTH
from operations.markdown import block, code, words
from operations.preview.costs import Measure
from operations.preview.digest import Change, Digest, SlotChange, Violation
from operations.preview.fears import Caution, Fear
from operations.release import SlotRelease
from operations.slots import Slot

Row = TypeVar("Row")

MARKER: Final = "<!-- preview-report -->"
"""How our comment begins; nobody sees it."""

OPERATIONS: Final = ("create", "update", "replace", "delete")
"""The operations that have a column."""

_WORST_FIRST: Final = ("delete", "replace", "update", "create")

_SHOWN: Final = (100, 50, 25, 12, 6, 3, 1)
"""How many rows each list may have: the first of these with which the comment fits."""


def markdown(digests: Sequence[Digest]) -> str:
    """Return what the comment says; the same digests give the same text.

    Args:
        digests: one for each stack. However much they hold, the comment fits GitHub with `MARKER` before it.
    """
    order = list(EnvironmentName)
    ordered = sorted(digests, key=lambda digest: order.index(digest.stack))
    room = ISSUE_LENGTH.value - len(MARKER) - 1
    texts = (_Page(shown).text(ordered) for shown in _SHOWN)
    return next(text for text in texts if len(text) <= room)


def cells(digest: Digest) -> tuple[str, ...]:
    """Return the cells of a stack in the table: name, a count for each of `OPERATIONS`, release, costs, what to look at."""
    others = sum(digest.counts.values()) - sum(digest.counts.get(name, 0) for name in OPERATIONS)
    return (
        digest.stack,
        *(str(digest.counts.get(name) or "") for name in OPERATIONS),
        "; ".join(map(_told_slot, digest.slots[: len(Slot)])),
        _cut([_told_measure(measure) for measure in digest.costs], 4),
        ", ".join(
            said
            for said in (
                "failed" if digest.errors else "",
                _counted(len(digest.refused), "violation"),
                _counted(len(digest.cautions), "caution"),
                _counted(others, "other change"),
                "" if digest.changes or digest.is_red else "no change",
            )
            if said
        ),
    )


def warnings(digest: Digest) -> list[str]:
    """Return what a person on a terminal is told first: why it failed, what refuses it, what deserves fear."""
    return [
        *(f"{digest.stack}: failed: {error}" for error in digest.errors),
        *(f"{digest.stack}: refused: {_told_violation(violation)}" for violation in digest.refused),
        *(f"{digest.stack}: {caution.fear}: {_told_caution(caution)}" for caution in digest.cautions),
    ]


def _told_slot(change: SlotChange) -> str:
    """Return the change of a slot: `blue v2.3.0, 100 → 95 %`."""
    before, after = change.before, change.after
    if before is None or after is None:
        return f"{change.slot} {_told_release(before)} → {_told_release(after)}"
    versions = [before.version] if before.version == after.version else [before.version, after.version]
    weights = (
        [str(before.weight)] if before.weight == after.weight else [str(before.weight), str(after.weight)]
    )
    return f"{change.slot} {' → '.join(versions)}, {' → '.join(weights)} %"


def _told_caution(caution: Caution) -> str:
    """Return a caution without its fear, as text of ours and code."""
    why = f": {words(caution.why)}" if caution.why else ""
    return f"{words(caution.operation)} {code(caution.type)} {code(caution.name)}{why}"


def _told_release(release: SlotRelease | None) -> str:
    return "(none)" if release is None else f"{release.version}, {release.weight} %"


def _told_measure(measure: Measure) -> str:
    more = measure.after - measure.before
    unit = f" {words(measure.unit)}" if measure.unit else ""
    return f"{words(measure.what)} {more:+g}{unit}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}" if count else ""


def _cut(items: Sequence[str], shown: int) -> str:
    more = len(items) - shown
    return ", ".join([*items[:shown], *([f"{more} more"] if more > 0 else [])])


@dataclass(frozen=True)
class _Page:
    """The comment with lists of a bounded length."""

    shown: int

    def text(self, digests: Sequence[Digest]) -> str:
        lines = [
            "### What this change would do",
            "",
            f"| stack | {' | '.join(OPERATIONS)} | release | monthly cost | look at |",
            "| --- | --: | --: | --: | --: | --- | --- | --- |",
            *(f"| {' | '.join(cells(digest))} |" for digest in digests),
        ]
        for digest in digests:
            lines += self._caution(digest)
        for digest in digests:
            lines += self._details(digest)
        lines += ["", "How to read it: [docs/previews.md](../blob/HEAD/docs/previews.md).", ""]
        return "\n".join(lines)

    def _caution(self, digest: Digest) -> list[str]:
        said = [
            *self._errors(digest),
            *self._list(f"**{digest.stack}** is refused by the guardrails", digest.refused, _told_violation),
        ]
        for fear, group in groupby(digest.cautions, lambda caution: caution.fear):
            title = f"**{digest.stack}** {fear}"
            if fear in (Fear.IDENTITY, Fear.REACH):
                # Of rights and ways in there are many, and what they are about stands in their names.
                kinds = groupby(group, lambda caution: (caution.operation, caution.type))
                said += self._list(title, [list(alike) for _, alike in kinds], self._told_kind)
            else:
                said += self._list(title, list(group), _told_caution)
        return ["", "> [!CAUTION]", *(f"> {line}".rstrip() for line in said[1:])] if said else []

    def _errors(self, digest: Digest) -> list[str]:
        if not digest.errors:
            return []
        more = len(digest.errors) - self.shown
        shown = [line for error in digest.errors[: self.shown] for line in block(error)]
        return [
            "",
            f"**{digest.stack}**: the preview failed",
            *shown,
            *([f"… and {more} more"] if more > 0 else []),
        ]

    def _told_kind(self, alike: Sequence[Caution]) -> str:
        first, shown = alike[0], min(self.shown, 5)
        more = [f"{len(alike) - shown} more"] if len(alike) > shown else []
        names = ", ".join([*(code(caution.name) for caution in alike[:shown]), *more])
        return f"{words(first.operation)} {len(alike)} {code(first.type)}: {names}"

    def _list(self, title: str, rows: Sequence[Row], told: Callable[[Row], str]) -> list[str]:
        shown = min(self.shown, 10)
        more = [f"- … and {len(rows) - shown} more"] if len(rows) > shown else []
        return ["", f"{title}:", *(f"- {told(row)}" for row in rows[:shown]), *more] if rows else []

    def _details(self, digest: Digest) -> list[str]:
        parts = [
            *self._table(
                ("slot", "before", "after"),
                digest.slots,
                lambda slot: (slot.slot, _told_release(slot.before), _told_release(slot.after)),
            ),
            *self._table(
                ("monthly cost", "before", "after"),
                digest.costs,
                lambda cost: (
                    words(f"{cost.what}{f', {cost.unit}' if cost.unit else ''}"),
                    f"{cost.before:g}",
                    f"{cost.after:g}",
                ),
            ),
            *self._table(
                ("guardrail", "resource", "what it says"),
                [violation for violation in digest.violations if not violation.mandatory],
                lambda violation: (
                    code(violation.policy),
                    code(violation.resource),
                    code(violation.message, 300),
                ),
            ),
            *self._table(
                ("change", "type", "resource", "properties"),
                sorted(digest.changes, key=_worst_first),
                lambda change: (
                    words(change.operation),
                    code(change.type),
                    code(change.name),
                    _cut([code(path) for path in change.properties], 5),
                ),
            ),
        ]
        if not parts:
            return []
        title = f"{digest.stack}: {_counted(len(digest.changes), 'change')}, {digest.unchanged} unchanged"
        return ["", f"<details><summary>{title}</summary>", *parts, "", "</details>"]

    def _table(
        self, head: Sequence[str], rows: Sequence[Row], told: Callable[[Row], Iterable[str]]
    ) -> list[str]:
        if not rows:
            return []
        more = len(rows) - self.shown
        return [
            "",
            f"| {' | '.join(head)} |",
            f"| {' | '.join('---' for _ in head)} |",
            *(f"| {' | '.join(told(row))} |" for row in rows[: self.shown]),
            *(["", f"… and {more} more"] if more > 0 else []),
        ]


def _told_violation(violation: Violation) -> str:
    return f"{code(violation.policy)} {code(violation.resource)} {code(violation.message, 300)}"


def _worst_first(change: Change) -> int:
    operation = change.operation
    return _WORST_FIRST.index(operation) if operation in _WORST_FIRST else len(_WORST_FIRST)
