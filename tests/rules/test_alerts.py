"""Series in, alerts out: every alert fires just above its threshold and is silent at it."""

import pytest

from tests.rules.cases import CASES
from tests.rules.conftest import Hold
from tests.rules.promtool import Case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_rules_tell(hold: Hold, case: Case) -> None:
    hold(case)
