"""A provider plugin for any package: it records inputs as state and gives plausible identifiers.

``python -m rehearsal.providers.recorder aws <engine address>`` serves the package whose Python SDK is
``pulumi_aws``. The SDK is the schema: what it can know to be wrong is refused, and what only an account could tell is
made up, the same way each time. ``REHEARSAL_WORLD`` names a JSON file, ``{"<type token>": {"<output>": …}}``, of
outputs that are real; those are known in a preview too.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    InvokeResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from rehearsal.providers.checking import faults
from rehearsal.providers.differences import differences
from rehearsal.providers.naming import automatic_name, naming_property
from rehearsal.providers.plausible import Subject
from rehearsal.providers.schema import Kind, ResourceSchema, Schema, SchemaError, Type
from rehearsal.providers.server import Refusal, old_inputs, old_outputs, serve, type_token
from rehearsal.providers.values import (
    COMPUTED,
    Json,
    Values,
    is_map,
    is_unknown,
    members,
    overlaid,
    property_value,
    public,
    same,
)

World = Mapping[str, Mapping[str, Json]]


class Recorder(Provider):
    """Records the resources of one package.

    ``world`` holds, by type token, outputs that are known and real.
    """

    def __init__(self, schema: Schema, world: World) -> None:
        self._schema = schema
        self._world = world
        self._region: str | None = None
        self._replaced: dict[str, str] = {}

    async def check_config(self, request: CheckRequest) -> CheckResponse:
        """Refuses an AWS provider without a region, as AWS's does."""
        if self._schema.package == "aws" and "region" not in request.new_inputs:
            reason = "no region: set it with `pulumi config set aws:region eu-west-1`"
            return CheckResponse(inputs=request.new_inputs, failures=[CheckFailure("region", reason)])
        return CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: DiffRequest) -> DiffResponse:
        """Another region is another provider: its resources are replaced."""
        old, new = request.old_state.get("region"), request.new_inputs.get("region")
        moved = old is not None and new is not None and not same(old, new)
        return DiffResponse(replaces=["region"] if moved else [], diffs=["region"] if moved else [])

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        """Remembers the region; asks for secrets as such and for previews of creation."""
        region = request.args.get("region", PropertyValue(""))
        self._region = None if is_unknown(region) else str(region.value)
        return ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: CheckRequest) -> CheckResponse:
        """Names what was left unnamed, then refuses what the SDK knows to be wrong."""
        try:
            resource = self._schema.resource(type_token(request.urn))
        except SchemaError as error:
            return CheckResponse(inputs=request.new_inputs, failures=[CheckFailure("", str(error))])
        inputs = self._named(resource, request)
        return CheckResponse(inputs=inputs, failures=list(faults(self._schema, resource.inputs, inputs)))

    async def diff(self, request: DiffRequest) -> DiffResponse:
        """Compares inputs with inputs; outputs count only where the real world's have changed."""
        resource = self._schema.resource(type_token(request.urn))
        outputs, old, new = old_outputs(request), dict(old_inputs(request)), dict(request.new_inputs)
        if "region" in resource.inputs and "region" in outputs and (self._region or "region" in new):
            old["region"] = outputs["region"]
            new.setdefault("region", PropertyValue(self._region))
        found = list(differences(self._schema, resource, request.resource_id, old, new))
        detailed = {difference.path: difference.diff for difference in found}
        for name, value in self._overridden(resource, outputs).items():
            if name not in outputs or not same(outputs[name], value):
                detailed.setdefault(name, PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False))
        replaces = sorted({difference.path for difference in found if difference.replaces})
        # A creation that follows for the same URN replaces this resource: it must not get the same identifier.
        self._replaced[request.urn] = request.resource_id
        return DiffResponse(
            changes=bool(detailed), replaces=replaces, diffs=sorted(detailed), detailed_diff=detailed
        )

    async def create(self, request: CreateRequest) -> CreateResponse:
        """Inputs as given, the rest plausible; in a preview the rest is unknown."""
        resource = self._schema.resource(type_token(request.urn))
        subject = self._subject(resource, request.urn, request.name, request.properties)
        outputs = self._outputs(resource, subject, request.properties, {}, preview=request.preview)
        return CreateResponse(resource_id="" if request.preview else subject.id, properties=outputs)

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        """New inputs; identifiers and all else that was computed stay."""
        resource = self._schema.resource(type_token(request.urn))
        subject = self._subject(resource, request.urn, request.name, request.news)
        return UpdateResponse(
            self._outputs(resource, subject, request.news, request.olds, preview=request.preview)
        )

    async def delete(self, request: DeleteRequest) -> None:
        """There is nothing but the state to forget it."""

    async def read(self, request: ReadRequest) -> ReadResponse:
        """What the state says. Raises ``Refusal`` for a resource that no state knows, as an import asks for."""
        if not request.properties and not request.inputs:
            raise Refusal(
                f"rehearsal: reading {type_token(request.urn)} `{request.resource_id}` would ask a real account"
            )
        return ReadResponse(request.resource_id, request.properties, request.inputs)

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        """Refused: only an account can answer."""
        return InvokeResponse(
            failures=[CheckFailure("", f"rehearsal: {request.tok} would ask a real account")]
        )

    def _seed(self, urn: str) -> str:
        return f"{urn}\n{self._replaced.get(urn, '')}"

    def _named(self, resource: ResourceSchema, request: CheckRequest) -> dict[str, PropertyValue]:
        inputs = dict(request.new_inputs)
        name = naming_property(resource)
        if name is None or name in inputs or f"{name}Prefix" in inputs:
            return inputs
        inputs[name] = request.old_inputs.get(name) or PropertyValue(
            automatic_name(resource.token, request.name, self._seed(request.urn))
        )
        return inputs

    def _subject(self, resource: ResourceSchema, urn: str, name: str, inputs: Values) -> Subject:
        region = public(inputs["region"]) if "region" in inputs else self._region
        return Subject(
            schema=resource,
            fields=self._schema.fields,
            inputs={key: public(value) for key, value in inputs.items()},
            logical_name=name,
            region=str(region or ""),
            seed=self._seed(urn),
        )

    def _outputs(
        self, resource: ResourceSchema, subject: Subject, inputs: Values, old: Values, *, preview: bool
    ) -> dict[str, PropertyValue]:
        outputs: dict[str, PropertyValue] = {}
        for name, declared in resource.outputs.items():
            given = inputs.get(name)
            if given is not None and given.value is not None:
                outputs[name] = self._completed(
                    subject, name, declared.type, given, old.get(name), preview=preview
                )
            elif declared.optional and name in resource.inputs:
                continue
            elif name == "tagsAll":
                outputs[name] = inputs.get("tags", PropertyValue({}))
            elif name == "region":
                outputs[name] = COMPUTED if self._region is None else PropertyValue(self._region)
            elif name in old:
                outputs[name] = old[name]
            else:
                outputs[name] = COMPUTED if preview else property_value(subject.output(name, declared.type))
        outputs.update(self._overridden(resource, outputs))
        for name in resource.secrets & outputs.keys():
            outputs[name] = outputs[name].with_secret(True)
        return outputs

    def _completed(
        self,
        subject: Subject,
        path: str,
        kind: Type,
        given: PropertyValue,
        old: PropertyValue | None,
        *,
        preview: bool,
    ) -> PropertyValue:
        """An object that was given, with the members that only AWS fills in."""
        known = members(given)
        if known is None or kind.kind is not Kind.OBJECT:
            return given
        before = (members(old) if old is not None else None) or {}
        filled = {
            name: before.get(name) or (COMPUTED if preview else property_value(value))
            for name, value in subject.nested(path).items()
        }
        return PropertyValue({**filled, **known}, is_secret=given.is_secret)

    def _overridden(self, resource: ResourceSchema, outputs: Values) -> dict[str, PropertyValue]:
        overrides = self._world.get(resource.token, {})
        return {name: overlaid(outputs.get(name), value) for name, value in overrides.items()}


def load_world(environment: Mapping[str, str]) -> World:
    """The real outputs that ``REHEARSAL_WORLD`` names; none where it is not set.

    Raises ``SchemaError`` when the file cannot be read or is no JSON object of objects.
    """
    file = environment.get("REHEARSAL_WORLD")
    if not file:
        return {}
    try:
        world: Any = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SchemaError(f"REHEARSAL_WORLD={file}: {error}") from error
    if not is_map(world) or not all(map(is_map, world.values())):
        raise SchemaError(f"REHEARSAL_WORLD={file}: must map type tokens to objects of outputs")
    return world


def main(arguments: Sequence[str]) -> None:
    """Serves the package that the first argument names; the last is the engine's address."""
    try:
        schema = Schema(arguments[0])
        recorder = Recorder(schema, load_world(os.environ))
    except SchemaError as error:
        sys.exit(f"rehearsal: {error}")
    serve(recorder, version=schema.version, engine=arguments[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
