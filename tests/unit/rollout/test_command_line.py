"""`rollout`, as it is typed: what is wrong is one line that names the option, its value and what is allowed."""

from __future__ import annotations

import getpass
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest

from operations.metrics import KEY_METRICS
from operations.rollout.actions import Report
from operations.rollout.events import Rollback
from operations.rollout.state import Stage
from rollout import cli, command_line, ending
from rollout.errors import JournalFailed
from rollout.handover import lease_of
from rollout.record import Command, Lease, Record
from tests.unit.operations.rollouts import START, World, plan

RECORD = Record(state=World.of(plan()).run().state)
REPORT = World.of(plan()).run().report
DRIVER = lease_of("ada", START)


@dataclass
class Stand:
    """Stands in for a desk: it writes down what it was asked for, and ends as a test wants."""

    asked: ClassVar[list[Any]] = []
    record: ClassVar[Record | None] = RECORD
    ends: ClassVar[Report | Lease | BaseException] = REPORT

    stack: str
    work_dir: Path
    program: Path
    prometheus: str
    file: Any = field(init=False, default=None)

    @property
    def journal(self) -> Stand:
        return self

    def read(self) -> Record | None:
        return self.record

    def begin(self, version: str, who: str, why: str, _: object, *rest: object) -> object:
        self.asked.append((version, who, why, *rest))
        return self._end()

    def take_over(self, command: Command, _: object) -> object:
        self.asked.append((command.kind, command.who))
        return self._end()

    def tell(self, command: Command, say: Callable[[str], None]) -> Lease:
        say(f"waiting for {DRIVER.holder}")
        self.asked.append((command.kind, command.who))
        return DRIVER

    def promotion(self, who: str, reason: str) -> Command:
        return Rollback(at=START, who=who, reason=reason)

    def _end(self) -> object:
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


@pytest.fixture(autouse=True)
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Stand]:
    monkeypatch.setattr(cli, "Desk", Stand)
    monkeypatch.setattr(Stand, "asked", list[Any]())
    monkeypatch.chdir(tmp_path)
    return Stand


@dataclass
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def typed(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["rollout", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return typed


START_IT = ("start", "--stack", "live", "--version", "v2.4.0", "--who", "ada")


# --- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--speed", "0"), 2, "--speed = 0: allowed is a whole number, 1 or more"),
        (("--speed", "fast"), 2, "--speed = fast: allowed is a whole number, 1 or more"),
        (("--interval", "0"), 2, "--interval = 0: allowed are seconds, 0.1 to 300"),
        (("--interval", "1e20"), 2, "--interval = 1e20: allowed are seconds, 0.1 to 300"),
        (("--interval", "inf"), 2, "--interval = inf: allowed are seconds, 0.1 to 300"),
        (("--interval", "nan"), 2, "--interval = nan: allowed are seconds, 0.1 to 300"),
        (("--who", " "), 1, '--who = " ": allowed is a text that is not blank; the journal keeps it'),
        (("--why", " "), 1, '--why = " ": allowed is a text that is not blank; the journal keeps it'),
        (("--version", "2.4"), 1, "--version = 2.4: allowed is a version such as v2.4.0"),
        (("--bogus",), 2, "No such option: --bogus"),
    ],
)
def test_an_option_that_is_wrong_is_one_line(
    run: Any, stand: type[Stand], arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = run(*START_IT, *arguments)
    assert ended.code == code
    assert ended.err.startswith(f"error: {said}")
    assert ended.err.count("\n") == 1
    assert (ended.out, stand.asked) == ("", [])


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("pause", "--reason", " ", "--who", "ada"), "--reason"),
        (("promote", "--reason", "", "--who", "ada"), "--reason"),
        (("rollback", "--reason", " ", "--who", "ada"), "--reason"),
        (("pause", "--reason", "a sale", "--who", " "), "--who"),
        (("promote", "--reason", "known good", "--who", " "), "--who"),
        (("rollback", "--reason", "empty carts", "--who", " "), "--who"),
        (("resume", "--who", "\t"), "--who"),
    ],
)
def test_what_the_journal_keeps_is_not_blank(
    run: Any, stand: type[Stand], arguments: tuple[str, ...], option: str
) -> None:
    command, *options = arguments
    ended = run(command, "--stack", "live", *options)
    assert (ended.code, stand.asked) == (1, [])
    assert ended.err.startswith(f'error: {option} = "')
    assert "allowed is a text that is not blank" in ended.err


def test_an_interval_is_no_longer_than_the_metrics_look_back() -> None:
    assert timedelta(seconds=command_line.MOST_INTERVAL) == min(metric.window for metric in KEY_METRICS)


def test_where_nobody_s_name_is_known_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    def nobody() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 1001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    ended = run("resume", "--stack", "live")
    assert (ended.code, ended.err) == (
        1,
        "error: who asks for it? Nobody's name is known here: give it with --who\n",
    )


@pytest.mark.parametrize("command", ["start", "resume", "rollback"])
def test_a_picture_that_has_no_place_is_refused_before_anything_begins(
    run: Any, stand: type[Stand], tmp_path: Path, command: str
) -> None:
    options = {"start": ("--version", "v2.4.0"), "resume": (), "rollback": ("--reason", "empty carts")}
    nowhere = tmp_path / "nowhere" / "rollout.svg"
    ended = run(command, "--stack", "live", *options[command], "--picture", str(nowhere))
    assert (ended.code, stand.asked) == (1, [])
    assert ended.err == (
        f"error: --picture = {nowhere}: there is no folder {nowhere.parent}; allowed is a file in one that is there\n"
    )
    ended = run(command, "--stack", "live", *options[command], "--picture", str(tmp_path))
    assert ended.err == f"error: --picture = {tmp_path}: is a folder; allowed is the name of a file\n", (
        "a folder is no file"
    )
    assert stand.asked == []


def test_what_is_no_command_is_told_which_there_are(run: Any) -> None:
    ended = run("foo", "--stack", "live")
    assert (ended.code, ended.err) == (
        2,
        "error: command = foo: allowed are start, resume, rollback, pause, promote, status, draw\n",
    )


def test_where_nothing_is_typed_the_help_is_shown_and_nothing_is_called_an_error(run: Any) -> None:
    ended = run()
    assert "Usage: rollout" in ended.out + ended.err
    assert (ended.code, "error" in ended.err) == (2, False)


def test_who_breaks_it_off_hears_what_is_left(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand]
) -> None:
    monkeypatch.setattr(stand, "ends", KeyboardInterrupt())
    ended = run(*START_IT)
    assert ended.code == 130
    assert f"interrupted: {ending.LEFT}. `rollout resume` goes on." in ended.err


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_leaves_as_a_person_does_who_breaks_it_off(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand], sign: signal.Signals
) -> None:
    def told(*_: object) -> NoReturn:
        signal.raise_signal(sign)
        raise AssertionError("it went on")

    monkeypatch.setattr(stand, "begin", told)
    before = signal.signal(sign, signal.SIG_DFL)  # whatever started these tests may have ignored it
    try:
        ended = run(*START_IT)
        assert (ended.code, ending.LEFT in ended.err) == (130, True)
        assert signal.getsignal(sign) is signal.SIG_DFL
    finally:
        signal.signal(sign, before)


def test_who_is_to_outlive_the_terminal_does(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand]
) -> None:
    def told(*_: object) -> Report:
        signal.raise_signal(signal.SIGHUP)
        return REPORT

    monkeypatch.setattr(stand, "begin", told)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        assert run(*START_IT).code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


# --- what is printed -----------------------------------------------------------------------------------------------


def test_a_rollout_goes_at_the_pace_of_the_page_unless_it_is_told_another(
    run: Any, stand: type[Stand]
) -> None:
    run(*START_IT)
    run(*START_IT, "--speed", "60", "--interval", "5", "--why", "a fix", "--change", "CHG0030043")
    assert stand.asked == [
        ("v2.4.0", "ada", "release of v2.4.0", 1, timedelta(seconds=15), None),
        ("v2.4.0", "ada", "a fix", 60, timedelta(seconds=5), "CHG0030043"),
    ]


def test_a_rollout_as_json_is_its_report_and_where_the_picture_is(run: Any, tmp_path: Path) -> None:
    ended = run(*START_IT, "--json")
    printed = json.loads(ended.out)
    assert ended.code == 0
    assert (printed["outcome"], printed["slot"], printed["version"]) == ("completed", "green", "v2.4.0")
    assert printed["picture"] == "rollout-live-v2.4.0.svg"
    assert (tmp_path / "rollout-live-v2.4.0.svg").read_text().startswith("<svg ")


def test_a_rollout_that_is_not_what_was_asked_for_has_a_code_of_its_own(run: Any) -> None:
    assert run("rollback", "--stack", "live", "--reason", "empty carts").code == 3
    assert run("resume", "--stack", "live").code == 0


@pytest.mark.parametrize("as_json", [False, True])
def test_a_picture_that_cannot_be_drawn_takes_nothing_from_how_it_ended(
    monkeypatch: pytest.MonkeyPatch, run: Any, as_json: bool
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    ended = run(*START_IT, *(["--json"] if as_json else []))
    assert ended.code == 0
    assert (
        "the picture cannot be written to rollout-live-v2.4.0.svg: No space left on device; "
        "rollout draw --stack live draws it again\n" in ended.err
    )
    if as_json:
        assert json.loads(ended.out)["picture"] is None
    else:
        assert "All traffic is on green, which runs v2.4.0." in ended.out


def test_a_journal_that_cannot_be_read_at_the_end_takes_nothing_from_how_it_ended(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand]
) -> None:
    def away(_: Stand) -> NoReturn:
        raise JournalFailed("the journal cannot be read: error: ExpiredToken")

    monkeypatch.setattr(stand, "read", away)
    ended = run(*START_IT)
    assert ended.code == 0
    assert "completed: all traffic is on green, which runs v2.4.0.\nWhy: " in ended.out
    assert "error: ExpiredToken; rollout draw --stack live draws it again\n" in ended.err
    assert run("rollback", "--stack", "live", "--reason", "empty carts").code == 3


def test_the_short_report_comes_before_the_picture(run: Any) -> None:
    lines = run(*START_IT).out.splitlines()
    assert lines.index("All traffic is on green, which runs v2.4.0.") < lines.index(
        "Picture: rollout-live-v2.4.0.svg"
    )


def test_a_picture_alone_that_cannot_be_drawn_is_one_line(run: Any, tmp_path: Path) -> None:
    ended = run("draw", "--stack", "live", "--picture", str(tmp_path / "nowhere" / "x.svg"))
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "No such file or directory" in ended.err


def test_before_the_first_rollout_there_is_nothing_to_tell_and_nothing_to_draw(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand]
) -> None:
    monkeypatch.setattr(stand, "record", None)
    assert run("status", "--stack", "live").out == "There was no rollout of 'live' yet.\n"
    drawn = run("draw", "--stack", "live")
    assert (drawn.code, drawn.err) == (1, "error: there was no rollout of 'live' yet\n")


def test_the_status_says_who_drives_and_what_to_do_where_nobody_does(
    monkeypatch: pytest.MonkeyPatch, run: Any, stand: type[Stand]
) -> None:
    baking = World.of(plan()).run(lambda w: w.state.stage is Stage.BAKE).state
    monkeypatch.setattr(stand, "record", Record(state=baking))
    assert "nobody drives it: rollout resume --stack live" in run("status", "--stack", "live").out
    monkeypatch.setattr(stand, "record", Record(state=baking, lease=DRIVER))
    assert "(dead: rollout resume --stack live)" in run("status", "--stack", "live").out


def test_a_command_is_told_to_whoever_drives(run: Any, stand: type[Stand]) -> None:
    ended = run("pause", "--stack", "live", "--reason", "a sale", "--who", "bob", "--json")
    assert stand.asked == [("pause", "bob")]
    assert json.loads(ended.out)["told"]["who"] == "ada"
    assert ended.err.startswith("waiting for ada on ")
    ended = run("pause", "--stack", "live", "--reason", "a sale", "--who", "bob")
    assert ended.out.endswith(f"pause: {DRIVER.holder} has heard it.\n")
