"""The function that takes the administrator's password away: in the order that RDS demands, repeatable, and telling nobody."""

import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from components.administrator.handler import handler, sign_in_with_iam

CLUSTER = "quikapp-test-database"


class PlayedRds:
    """RDS, as far as the function sees it: a change shows after a while, and takes its time."""

    def __init__(self, *, managed: bool, knows: str = "MasterUserAuthenticationType") -> None:
        shape = SimpleNamespace(input_shape=SimpleNamespace(members={"ManageMasterUserPassword", knows}))
        self.meta = SimpleNamespace(
            service_model=SimpleNamespace(operation_model={"ModifyDBCluster": shape}.__getitem__)
        )
        self.managed = managed
        self.sign_in = "password"
        self.calls: list[Mapping[str, Any]] = []
        self._begins_in = 0.0
        self._takes = 0.0
        self._under_way: Mapping[str, Any] = {}

    def pass_time(self, seconds: float) -> None:
        if self._begins_in > 0:
            self._begins_in -= seconds
        elif self._under_way:
            self._takes -= seconds
            if self._takes <= 0:
                self._finish()

    def describe_db_clusters(self, **parameters: Any) -> Mapping[str, Any]:
        assert parameters == {"DBClusterIdentifier": CLUSTER}
        busy = bool(self._under_way) and self._begins_in <= 0
        found = {"Status": "resetting-master-credentials" if busy else "available"}
        secret = {"MasterUserSecret": {"SecretArn": "arn:aws:secretsmanager:…"}} if self.managed else {}
        return {"DBClusters": [{**found, **secret, "PendingModifiedValues": {}}]}

    def modify_db_cluster(self, **parameters: Any) -> object:
        assert not self._under_way, "the change before is still under way"
        assert parameters.pop("DBClusterIdentifier") == CLUSTER
        assert parameters.pop("ApplyImmediately") is True
        self.calls.append(parameters)
        if "MasterUserAuthenticationType" in parameters:
            # As RDS itself refuses it, says https://github.com/hashicorp/terraform-provider-aws/pull/49670
            assert not self.managed, "RDS still manages the password"
            assert "MasterUserPassword" not in parameters
        if parameters.get("ManageMasterUserPassword") is False:
            assert self.managed, "RDS does not manage the password"
            assert len(parameters["MasterUserPassword"]) >= 8
        self._under_way, self._begins_in, self._takes = parameters, 20.0, 45.0
        return {}

    def _finish(self) -> None:
        self.managed = self.managed and self._under_way.get("ManageMasterUserPassword") is not False
        self.sign_in = self._under_way.get("MasterUserAuthenticationType", self.sign_in)
        self._under_way = {}


def test_the_password_is_given_up_first_and_then_there_is_none() -> None:
    rds = PlayedRds(managed=True)
    sign_in_with_iam(rds, CLUSTER, rds.pass_time)
    assert [sorted(call) for call in rds.calls] == [
        ["ManageMasterUserPassword", "MasterUserPassword"],
        ["MasterUserAuthenticationType"],
    ]
    assert (rds.managed, rds.sign_in) == (False, "iam-db-auth")


def test_a_call_that_ended_half_way_is_repeated_without_a_second_password() -> None:
    rds = PlayedRds(managed=False)
    sign_in_with_iam(rds, CLUSTER, rds.pass_time)
    assert [sorted(call) for call in rds.calls] == [["MasterUserAuthenticationType"]]


def test_a_boto3_that_cannot_go_the_whole_way_does_not_begin_it() -> None:
    rds = PlayedRds(managed=True, knows="MasterUsername")
    with pytest.raises(RuntimeError, match="does not know MasterUserAuthenticationType: nothing is changed"):
        sign_in_with_iam(rds, CLUSTER, rds.pass_time)
    assert rds.managed
    assert not rds.calls


def test_the_password_in_between_is_another_one_each_time_and_of_characters_that_rds_takes() -> None:
    made: set[str] = set()
    for _ in range(20):
        rds = PlayedRds(managed=True)
        sign_in_with_iam(rds, CLUSTER, rds.pass_time)
        made.add(rds.calls[0]["MasterUserPassword"])
    assert len(made) == 20
    assert all(8 <= len(password) <= 41 for password in made)
    assert not {"/", '"', "@", " "} & set("".join(made))


def test_the_answer_which_the_state_keeps_and_the_log_hold_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rds = PlayedRds(managed=True)
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client={"rds": rds}.__getitem__))
    monkeypatch.setattr("time.sleep", rds.pass_time)
    assert handler({"cluster": CLUSTER}, None) == {"cluster": CLUSTER, "administrator": "iam-db-auth"}
    assert capsys.readouterr() == ("", "")
