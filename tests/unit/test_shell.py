"""The reader of the pages' shell finds the commands that a shell would run, and nothing else."""

import pytest

from tests.unit.shell import commands


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("make test    # everything", [["make", "test"]]),
        ("a --x 'one two' \\\n  --y \"$Z\"\nb", [["a", "--x", "one two", "--y", "$Z"], ["b"]]),
        ("A=1 B=2 c && d || e; f &", [["c"], ["d"], ["e"], ["f"]]),
        ('X="$(pulumi stack output x | sort)"', [["pulumi", "stack", "output", "x"], ["sort"]]),
        ('a "$(b "$(c)")" d', [["c"], ["b", "$()"], ["a", "$()", "d"]]),
        ("p() { a -n x; }\np 1", [["a", "-n", "x"], ["p", "1"]]),
        ('for X in 1 2; do\n  a "$X"\ndone', [["a", "$X"]]),
        ("if ! a; then b; fi", [["a"], ["b"]]),
        ('case "$X" in\n  *-y) a 1 ;;\n  *) b ;;\nesac\nc', [["a", "1"], ["b"], ["c"]]),
        ("a > out.json 2>&1 < in.json", [["a"]]),
        ('read -r A B <<<"$(c)"', [["c"], ["read", "-r", "A", "B"]]),
        ("a --region <region> --x <the one>", [["a", "--region", "<region>", "--x", "<the one>"]]),
        ("a '#' \"#\" # b", [["a", "#", "#"]]),
        (r"a \$x", [["a", "$x"]]),
    ],
)
def test_commands_are_found(script: str, found: list[list[str]]) -> None:
    assert list(commands(script)) == found
