"""No plaintext secrets: what looks like one is one, unless the program says that it is secret.

Two things give a secret away. Its shape: some vendors' keys are known by how they begin. And its name: what ends in
`password`, `token`, `secret` or a key of some kind holds one, unless its value only says where it is.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from policy.resources import Resource, Rule, Shown, Violation, items, mapping, strings

_SHAPES: Final = {
    "an AWS access key": r"\b(AKIA|ASIA)[A-Z2-7]{16}\b",
    "a private key": r"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "a Slack webhook": r"https://hooks\.slack\.com/(services|workflows)/[0-9A-Za-z/]{20,}",
    "a GitHub token": r"\b(gh[oprsu]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{22,})",
    "a PagerDuty API key": r"\bu\+[0-9A-Za-z_-]{18}\b",
    "a JSON web token": r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.",
    "a password in a URL": r"\b[a-z][a-z0-9+.-]*://[^\s/:@$\"']+:[^\s/:@${\"']+@",
}

_SHAPE: Final = re.compile("|".join(f"(?P<s{place}>{shape})" for place, shape in enumerate(_SHAPES.values())))

_WORDS: Final = "password|passwd|passphrase|secret|token|credential|credentials"
_NAME: Final = re.compile(
    rf"(.*[_.-])?({_WORDS}|(api|app|application|access|auth|encryption|integration|license|private|secret|signing)[_-]?key)",
    re.IGNORECASE,
)
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_ASSIGNED: Final = re.compile(r"""["']?([\w.-]+)["']?[ \t]*[:=][ \t]*["']?([^\s"',}\]]+)""")
"""A name and its value in a configuration file, be it JSON, YAML, an ini file or properties."""

_REFERENCE: Final = re.compile(
    r"arn:.*|[/$<{%\[(|>@!&*#].*|.*\$\{.*|true|false|yes|no|on|off|null|none|[0-9]{1,8}[a-z]{0,2}",
    re.IGNORECASE,
)
"""A value that says where a secret is, or how many, and not what."""


def names_a_secret(name: str) -> bool:
    """Return whether what has this name, in whatever spelling, is a secret: `dbPassword`, `API_KEY`, `slack-token`."""
    return _NAME.fullmatch(_HUMPS.sub("-", name)) is not None


def _plaintext(resource: Resource) -> Iterator[Violation]:
    for path, text in strings(resource.inputs):
        if found := _SHAPE.search(text):
            what = list(_SHAPES)[int(str(found.lastgroup)[1:])]
            yield _told(resource, path, f"{what} in plain text")
    for path, name, value in _named(resource):
        if isinstance(value, str) and value and not _REFERENCE.fullmatch(value):
            yield _told(resource, path, f"plain text, and {name} names a secret")


def _told(resource: Resource, path: str, what: str) -> Violation:
    return resource.breaks(path, Shown(what), "a secret of Pulumi's, or a reference to one")


def _named(resource: Resource) -> Iterator[tuple[str, str, Any]]:
    """Yield path, name and value of whatever has a secret's name."""
    yield from _keyed(resource.inputs, "")
    if resource.type == "kubernetes:core/v1:ConfigMap":
        for file, text in mapping(resource.at("data")).items():
            if isinstance(text, str):
                for name, value in _ASSIGNED.findall(text):
                    if names_a_secret(name):
                        yield f"data.{file}", name, value


def _keyed(value: object, path: str) -> Iterator[tuple[str, str, Any]]:
    for key, item in mapping(value).items():
        here = f"{path}.{key}" if path else key
        if names_a_secret(key):
            yield here, key, item
        yield from _keyed(item, here)
    name = mapping(value).get("name")
    if isinstance(name, str) and names_a_secret(name):  # an environment variable, a parameter
        yield f"{path}.value", name, mapping(value).get("value")
    for place, item in enumerate(items(value)):
        yield from _keyed(item, f"{path}[{place}]")


RULES: Final = (
    Rule(
        name="no-plaintext-secrets",
        description="No password, token or key stands in plain text in what is declared.",
        check=_plaintext,
    ),
)
