"""The stack's configuration, read once and validated before anything is planned.

This module alone reads Pulumi's configuration. What it returns is immutable and obeys every rule of
`operations.facts`; what it refuses it reports with all faults at once.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

import pulumi
from pulumi.runtime import config as runtime
from pydantic import TypeAdapter, ValidationError

from operations.environments import EnvironmentName
from operations.facts import EnvironmentFacts, breaches
from operations.faults import Fault, show
from operations.limits import (
    DATABASE_RETENTION_MAXIMUM,
    DATABASE_RETENTION_MINIMUM,
    GLACIER_MINIMUM_STORAGE,
    RECOVERY_POINT_MINIMUM,
)
from operations.model import Model
from operations.monitoring import Monitoring
from operations.services import Service
from operations.state import StateFacts
from operations.state import breaches as state_breaches

FACTS: Final = "quikapp:"
SECRETS: Final = "secrets:"
REGION: Final = "aws:region"
STATE: Final = "quikapp-state:backend"
"""The one group of `bootstrap/`, which declares where Pulumi's own state lies."""
STACK: Final = "stack"

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: REGION if name == "region" else f"{FACTS}{field.alias}"
        for name, field in EnvironmentFacts.model_fields.items()
        if name != "name"
    }
)
"""The key of each field of the facts; the name alone has none, since it is the stack's."""

_ADAPTERS: Final[Mapping[str, TypeAdapter[Any]]] = MappingProxyType(
    {name: TypeAdapter[Any](EnvironmentFacts.model_fields[name].rebuild_annotation()) for name in KEYS}
)

_MESSAGES: Final = MappingProxyType(
    {
        "missing": "is missing",
        "greater_than": "allowed is more than {gt}",
        "greater_than_equal": "allowed is at least {ge}",
        "less_than": "allowed is less than {lt}",
        "less_than_equal": "allowed is at most {le}",
        "multiple_of": "allowed is a multiple of {multiple_of}",
        "too_short": "takes at least {min_length}",
        "too_long": "takes at most {max_length}",
        "value_error": "{error}",
        "int_type": "allowed is a whole number",
        "int_from_float": "allowed is a whole number",
        "int_parsing_size": "allowed is a whole number",
        "float_type": "allowed is a number",
        "finite_number": "allowed is a number",
        "bool_type": "allowed is true or false",
        "string_type": "allowed is text",
        "tuple_type": "allowed is a list",
        "frozen_set_type": "allowed is a list",
        "mapping_type": "allowed is a map",
        "model_type": "allowed is a map",
        "json_invalid": "allowed is a {form}",
    }
)
"""Pydantic's kinds of error in the words of this house."""

_BOUND_BY: Final = MappingProxyType(
    {
        ("quikapp:retention.databaseDays", "greater_than_equal"): (
            f"Aurora's continuous backup cannot be turned off ({DATABASE_RETENTION_MINIMUM.source})"
        ),
        ("quikapp:retention.databaseDays", "less_than_equal"): (
            f"Aurora's continuous backup keeps no more ({DATABASE_RETENTION_MAXIMUM.source})"
        ),
        ("quikapp:retention.filesDays", "greater_than_equal"): (
            f"S3 Glacier bills as many in any case ({GLACIER_MINIMUM_STORAGE.source})"
        ),
        ("quikapp:recovery.recoveryPointSeconds", "greater_than_equal"): (
            f"rds.global_db_rpo takes no less ({RECOVERY_POINT_MINIMUM.source})"
        ),
    }
)
"""What sets a bound, by the key and by Pydantic's kind of error: the mechanism, and who says so."""


class SettingsError(pulumi.RunError):
    """A stack file is refused: `faults` says why, one line each. Pulumi prints it without a traceback."""

    def __init__(self, stack: str, faults: Sequence[Fault]) -> None:
        self.faults: Final = tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        name = stack if stack.isprintable() else show(stack)
        super().__init__("\n".join((f"Pulumi.{name}.yaml has {count}:", *(f"  {fault}" for fault in faults))))


@dataclass(frozen=True)
class Settings:
    """What the program is given: the facts of the environment, and its secrets by name."""

    facts: EnvironmentFacts
    secrets: Mapping[str, pulumi.Output[str]]
    """Of every secret that a service or the monitoring takes; each stays a secret in state and previews."""


def load() -> Settings:
    """Return the selected stack's settings.

    Raises:
        SettingsError: the stack file has faults.
    """
    config = _configuration()
    secret_keys = {*runtime.get_config_secret_keys_env(), *filter(runtime.is_config_secret, config)}
    facts = parse(pulumi.get_stack(), config, secret_keys)
    store = pulumi.Config(SECRETS.removesuffix(":"))
    return Settings(
        facts, MappingProxyType({name: store.require_secret(name) for name in sorted(facts.secrets)})
    )


def load_state() -> tuple[str, StateFacts]:
    """Return the region of the selected stack of `bootstrap/`, and the home of the state that it declares there.

    Raises:
        SettingsError: the stack file has faults.
    """
    return parse_state(pulumi.get_stack(), _configuration())


def parse_state(stack: str, config: Mapping[str, str]) -> tuple[str, StateFacts]:
    """Return the region and the home of the state that a configuration of `bootstrap/` states; see `parse`.

    Raises:
        SettingsError: with every fault that can be seen at once.
    """
    faults: list[Fault] = []
    region, facts = "", None
    try:
        region = str(_ADAPTERS["region"].validate_python(config.get(REGION, "")))
    except ValidationError as refusal:
        faults.extend(_faults(REGION, str, refusal) if REGION in config else [Fault(REGION, "is missing")])
    try:
        facts = StateFacts.model_validate_json(config.get(STATE, "").encode(), by_alias=True, by_name=False)
    except ValidationError as refusal:
        faults.extend(
            _faults(STATE, StateFacts, refusal) if STATE in config else [Fault(STATE, "is missing")]
        )
    prefix, _, group = STATE.partition(":")
    faults.extend(_unknown_keys(config, f"{prefix}:", [group]))
    if facts is not None and region:
        faults.extend(state_breaches(region, facts))
    if faults or facts is None:
        raise SettingsError(stack, sorted(faults, key=lambda fault: (fault.key, fault.message)))
    return region, facts


def parse(
    stack: str, config: Mapping[str, str], secret_keys: Set[str], *, complete: bool = True
) -> EnvironmentFacts:
    """Return the facts that a stack's configuration states.

    Args:
        stack: the stack's name, which is the environment's.
        config: all configuration by full key; objects as JSON, the way Pulumi hands them over.
        secret_keys: the keys whose values are encrypted in the stack file.
        complete: whether each secret that is taken has to be there; whoever only reads facts needs none.

    Raises:
        SettingsError: with every fault that can be seen at once. No value of a secret is in it.
    """
    faults: list[Fault] = []
    known: dict[str, Any] = {}
    if stack in set(EnvironmentName):
        known["name"] = EnvironmentName(stack)
    else:
        faults.append(Fault(STACK, f"is no known environment{_near(stack, EnvironmentName)}", show(stack)))
    for name, key in KEYS.items():
        field = EnvironmentFacts.model_fields[name]
        if key in secret_keys:
            faults.append(
                Fault(key, "is a secret; facts are plain, and secrets have keys of their own (secrets:…)")
            )
        elif key in config:
            try:
                known[name] = _value(name, config[key])
            except ValidationError as refusal:
                faults.extend(_faults(key, field.annotation, refusal))
        elif field.is_required():
            faults.append(Fault(key, "is missing"))
        else:
            known[name] = field.get_default()
    groups = [key.removeprefix(FACTS) for key in KEYS.values() if key != REGION]
    faults.extend(_unknown_keys(config, FACTS, groups))
    faults.extend(
        _secret_faults(config, secret_keys, known.get("services"), known.get("monitoring"), complete=complete)
    )
    faults.extend(breaches(known))
    if faults:
        raise SettingsError(stack, sorted(faults, key=_place))
    return EnvironmentFacts(**known)


def _configuration() -> dict[str, str]:
    """Return all configuration by full key, objects as JSON."""
    return {key: str(value) for key, value in {**runtime.get_config_env(), **runtime.CONFIG.get()}.items()}


def _unknown_keys(config: Iterable[str], prefix: str, known: Sequence[str]) -> Iterator[Fault]:
    """Yield a fault for each key of a namespace that is none of the known ones."""
    for key in config:
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and name not in known:
            yield Fault(f"{prefix}{_name(name)}", f"is no known key{_near(name, known)}")


def _secret_faults(
    config: Mapping[str, str],
    secret_keys: Set[str],
    services: Mapping[str, Service] | None,
    monitoring: Monitoring | None,
    *,
    complete: bool,
) -> Iterator[Fault]:
    present = {key.removeprefix(SECRETS) for key in config if key.startswith(SECRETS)}
    for name in present:
        if f"{SECRETS}{name}" not in secret_keys:
            yield Fault(
                f"{SECRETS}{_name(name)}", "is in plain text; set it anew with `pulumi config set --secret`"
            )
    if services is None or monitoring is None:
        return
    users = dict(monitoring.secrets)
    for service_name, service in services.items():
        users |= dict.fromkeys(service.secrets, f"the service {service_name}")
    for name in present - users.keys():
        yield Fault(f"{SECRETS}{_name(name)}", f"is named by nobody{_near(name, sorted(users))}")
    for name in users.keys() - present if complete else ():
        yield Fault(
            f"{SECRETS}{name}",
            f"is missing; {users[name]} takes it: `pulumi config set --secret {SECRETS}{name}`",
        )


def _value(name: str, text: str) -> object:
    """Return a field's value from its configuration: the region is plain text, a group is JSON."""
    if name == "region":
        return _ADAPTERS[name].validate_python(text)
    return _ADAPTERS[name].validate_json(text.encode(errors="replace"), by_alias=True, by_name=False)


def _faults(key: str, annotation: object, refusal: ValidationError) -> Iterator[Fault]:
    errors = refusal.errors(include_url=False)
    inner = {error["loc"][:-1] for error in errors if error["loc"]}
    for error in errors:
        # A list whose entry was refused is not too short as well.
        if not (error["type"] == "too_short" and error["loc"] in inner):
            yield _fault(key, annotation, error)


def _fault(key: str, annotation: object, error: Mapping[str, Any]) -> Fault:
    path = list(error["loc"])
    # Pydantic marks an error in a key, not its value, by a last step "[key]"; a file may have a key of that name.
    if path[-1:] == ["[key]"] and error["type"] != "extra_forbidden":
        path.pop()
    where = key + "".join(f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in path)
    kind = error["type"]
    given: object = error["input"]
    if isinstance(given, bytes):  # the text that was to be JSON
        given = given.decode(errors="replace")
    shown = show(given)
    if kind == "extra_forbidden":
        return Fault(
            where, f"is no known key{_near(str(path[-1]), _fields(annotation, path[:-1]))}", show(given)
        )
    message = _message(error, annotation)
    if (mechanism := _BOUND_BY.get((where, kind))) is not None:
        message = f"{message}; {mechanism}"
    # A whole group says nothing to the point, and its message names the values that matter.
    tells = kind != "missing" and not (kind == "value_error" and isinstance(given, dict))
    return Fault(where, message, shown if tells else None)


def _message(error: Mapping[str, Any], annotation: object) -> str:
    context = {**error.get("ctx", {}), "form": "list" if get_origin(annotation) is tuple else "map"}
    if error["type"] == "enum":
        # Pydantic writes "'a', 'b' or 'c'".
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"is no known value{_near(str(error['input']), choices)}"
    if error["type"] not in _MESSAGES:
        return error["msg"]
    bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
    return _MESSAGES[error["type"]].format(**bounds)


def _name(name: str) -> str:
    """Return a step of a key the way Pulumi spells it: as it is, or quoted in brackets where it is odd."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) else f"[{show(name)}]"


def _near(name: str, known: Iterable[str]) -> str:
    """Return what may have been meant: the nearest of what is known, else all of it."""
    candidates = list(known)
    match get_close_matches(name, candidates, n=1):
        case [meant]:
            return f"; did you mean {meant}?"
        case _:
            return f"; allowed: {', '.join(candidates)}" if candidates else ""


def _fields(annotation: object, path: Sequence[int | str]) -> list[str]:
    """Return the names that stack files use for the fields of the model at a path below a type."""
    model = _model(annotation)
    if model is None:
        # A map or a list: every entry is of the same type, its last argument; a list's ends in an ellipsis.
        entry = next(part for part in reversed(get_args(annotation)) if part is not Ellipsis)
        return _fields(entry, path[1:])
    if not path:
        return [field.alias or name for name, field in model.model_fields.items()]
    chosen = next(f for name, f in model.model_fields.items() if (f.alias or name) == path[0])
    return _fields(chosen.annotation, path[1:])


def _model(annotation: object) -> type[Model] | None:
    """Return the model in an annotation: itself, or the one of `Model | None` and `Annotated[Model, …]`."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    if get_origin(annotation) in {Mapping, dict, tuple}:
        return None
    return next((found for part in get_args(annotation) if (found := _model(part))), None)


def _place(fault: Fault) -> tuple[int, str, str]:
    """Order faults as a stack file orders its keys: the stack, the region, the groups, the secrets."""
    prefixes = (STACK, *KEYS.values(), FACTS, SECRETS)
    place = next(place for place, prefix in enumerate(prefixes) if fault.key.startswith(prefix))
    return place, fault.key, fault.message
