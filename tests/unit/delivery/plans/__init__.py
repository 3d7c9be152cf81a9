"""Events of real previews, recorded from the rehearsal's engine with `rehearse preview --events`, and reduced to a few resources.

The lines are the engine's own, without the outputs of resources.
"""

from __future__ import annotations

from pathlib import Path

from delivery.preview_report.reader import read
from operations.environments import EnvironmentName
from operations.preview.digest import Digest

FOLDER = Path(__file__).parent
PLANS = sorted(FOLDER.glob("*.jsonl"))


def digest_of(plan: str, stack: EnvironmentName = EnvironmentName.DEV) -> Digest:
    """The digest of a recorded preview."""
    return read(stack, FOLDER / f"{plan}.jsonl")
