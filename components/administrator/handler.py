"""A Lambda function: lets a database's administrator sign in with IAM, and gives up the password of the cluster's birth.

It stands alone. AWS's Python runtime brings boto3, and this file is all that is deployed. The event names the cluster, which is in
the function's own region:

    {"cluster": "quikapp-live-database"}

A call that ended half way is simply repeated: what is done already is not done again.
Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBCluster.html
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol, TypedDict

AUTHENTICATION: Final = "MasterUserAuthenticationType"
SIGN_IN: Final = "iam-db-auth"

FIRST_LOOK_SECONDS: Final = 30
"""How long RDS may take to show that it has begun: until then a cluster looks as if it were done."""

LOOK_SECONDS: Final = 10
"""Time between two looks at a cluster that is under way."""

THROWAWAY_BYTES: Final = 30
"""Random bytes of the password that nobody gets to know: 40 characters, none of them one that RDS refuses."""


class Event(TypedDict):
    """Whose administrator it is about."""

    cluster: str


class Rds(Protocol):
    """What is used of boto3's client of RDS."""

    meta: Any
    """The model of the API that this boto3 has."""

    def describe_db_clusters(self, **parameters: Any) -> Mapping[str, Any]: ...

    def modify_db_cluster(self, **parameters: Any) -> object: ...


def handler(event: Event, _context: object) -> Mapping[str, str]:
    """What Lambda calls. The answer lies in Pulumi's state, so it says what was done and nothing else."""
    rds: Rds = import_module("boto3").client("rds")
    sign_in_with_iam(rds, event["cluster"], time.sleep)
    return {"cluster": event["cluster"], "administrator": SIGN_IN}


def sign_in_with_iam(rds: Rds, cluster: str, pause: Callable[[float], None]) -> None:
    """Leave the administrator no way to sign in but a token of IAM.

    RDS lets go of a password that it manages only for another one, so there is one for the minutes between the two changes. It is
    made here, sent to RDS and forgotten.

    Raises:
        RuntimeError: the runtime's boto3 is too old to ask for the second change, so the first is not made either.
    """
    if AUTHENTICATION not in rds.meta.service_model.operation_model("ModifyDBCluster").input_shape.members:
        raise RuntimeError(f"boto3 of this runtime does not know {AUTHENTICATION}: nothing is changed")

    def settle() -> Mapping[str, Any]:
        while True:
            (found,) = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
            if found["Status"] == "available" and not found.get("PendingModifiedValues"):
                return found
            pause(LOOK_SECONDS)

    def modify(**changes: object) -> None:
        rds.modify_db_cluster(DBClusterIdentifier=cluster, ApplyImmediately=True, **changes)
        pause(FIRST_LOOK_SECONDS)
        settle()

    if settle().get("MasterUserSecret"):
        modify(ManageMasterUserPassword=False, MasterUserPassword=secrets.token_urlsafe(THROWAWAY_BYTES))
    modify(**{AUTHENTICATION: SIGN_IN})
