"""The engine's events of a preview are kept as it spelled them, and the chatter that holds secrets is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rehearsal.errors import RehearsalError
from rehearsal.events import EventLog

KEPT = '{"sequence":2,"timestamp":1,"summaryEvent":{"result":"succeeded"}}'
ERROR = '{"sequence":3,"timestamp":1,"diagnosticEvent":{"message":"no such zone","severity":"error"}}'
CHATTER = json.dumps({"sequence": 1, "diagnosticEvent": {"message": "hunter2", "severity": "debug"}})


def test_events_are_kept_as_the_engine_spelled_them_and_chatter_is_not(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.path.write_text("of an earlier preview\n")
    log.start()
    for line in (CHATTER, KEPT, "", "error: not an event", ERROR):
        log.take(line)
    assert log.path.read_text() == f"{KEPT}\n{ERROR}\n"
    assert log.path.stat().st_mode & 0o077 == 0, "what the program says in the clear is in it"


def test_a_place_where_nothing_can_be_kept_is_named(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match=r"--events .*nowhere/events\.jsonl: No such file or directory"):
        EventLog(tmp_path / "nowhere" / "events.jsonl").start()
