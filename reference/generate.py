"""Writes what is made from the code: schemas and pages. `make generate` runs it, and a test holds the files against it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from reference.cli import complain
from reference.environments import sections
from reference.errors import StackFileError
from reference.markdown import environments_page, settings_page
from reference.schema import Schema, rules_between_groups, stack_schema, state_schema
from reference.stack_files import StackFiles
from settings import SettingsError

ROOT: Final = Path(__file__).parents[1]


def generated(root: Path) -> Mapping[str, str]:
    """Return the text of every file that is made from the code, by its path below the root.

    Raises:
        StackFileError: a stack file cannot be read.
        SettingsError: a stack file has faults.
    """
    files = StackFiles(root)
    facts, refusals = files.all_facts()
    if refusals:
        raise refusals[0]
    stack, state = stack_schema(files.defaults.keys()), state_schema()
    return {
        "schema/stack.schema.json": _text(stack),
        "schema/state.schema.json": _text(state),
        "docs/reference/environments.md": environments_page(facts, sections(facts)),
        "docs/reference/settings.md": settings_page(stack, state, files.defaults, rules_between_groups()),
    }


def main() -> None:
    """Write what differs, and say which files do."""
    try:
        made = generated(ROOT)
    except (StackFileError, SettingsError) as error:
        complain(str(error))
        sys.exit(1)
    for name, text in made.items():
        path = ROOT / name
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"{name} is written\n")


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
