"""The messages for readers outside Python: JSON Schema documents, and one AsyncAPI 3 document over all topics."""

from __future__ import annotations

from typing import Any

from schemas.base import MAX_PAYLOAD_BYTES, Document
from schemas.command import GroupCommand
from schemas.messages import MODELS
from schemas.topics import FROM_DEVICE, PREFIX, RETAINED, UNNUMBERED, Kind

Json = dict[str, Any]
_SCHEMA_ROOT = "urn:biotrain:schema:"
_GROUP = "group_command"


def schema_file_name(message: str) -> str:
    """Of a message's JSON schema, beside the AsyncAPI document."""
    return f"{message}.schema.json"


def message_schema(model: type[Document] | type[GroupCommand]) -> Json:
    """JSON Schema of a payload as `to_json` writes it: a field is left out where Python has None."""
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    schema["properties"]["schema"] = {"const": model.SCHEMA, "description": "name and major version of this schema"}
    schema["required"] = ["schema", "time", *schema["required"]]
    for definition in [schema, *schema.get("$defs", {}).values()]:
        _leave_out_nulls(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _SCHEMA_ROOT + model.SCHEMA,
        **schema,
    }


def _leave_out_nulls(definition: Json) -> None:
    optional = {name for name, rule in definition.get("properties", {}).items() if _nullable(rule)}
    for name in optional:
        rule = definition["properties"][name]
        kinds = [kind for kind in rule.pop("anyOf") if kind != {"type": "null"}]
        rule.pop("default", None)
        rule.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    required = [name for name in definition.get("required", []) if name not in optional]
    if required:
        definition["required"] = required
    else:
        definition.pop("required", None)


def _nullable(rule: Json) -> bool:
    return {"type": "null"} in rule.get("anyOf", [])


def asyncapi_document() -> Json:
    """Operations are the device's: what it sends, and what it receives. `alert` is the supervisor's."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "biotrain telemetry",
            "version": PREFIX.rsplit("v", 1)[-1] + ".0.0",
            "description": (
                "MQTT 3.1.1, QoS 1, JSON payloads. Messages may be repeated: they are one and the same when `site`, "
                f"`device`, `boot` and `seq` agree. No payload exceeds {MAX_PAYLOAD_BYTES} bytes, and none carries "
                "samples of a signal. Operations are those of a device; `alert` is published by the supervisor."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            **{str(kind): _channel(kind, model) for kind, model in MODELS.items()},
            _GROUP: _group_channel(),
        },
        "operations": {
            **{f"{_action(kind)}_{kind}": _operation(kind) for kind in MODELS if kind is not Kind.ALERT},
            f"receive_{_GROUP}": _on_channel(_GROUP, retain=False, action="receive"),
        },
        "components": {
            "messages": {
                **{str(kind): _message(str(kind), model) for kind, model in MODELS.items()},
                _GROUP: _message(_GROUP, GroupCommand),
            }
        },
    }


def _channel(kind: Kind, model: type[Document]) -> Json:
    return {
        "address": f"{PREFIX}/{{site}}/{{device}}/{kind}",
        "title": _first_line(model),
        "parameters": {
            "site": {"description": "where the device belongs; letters, digits, '.', '_', '-'"},
            "device": {"description": "the device's name within its site; never `group`"},
        },
        "messages": {str(kind): {"$ref": f"#/components/messages/{kind}"}},
    }


def _group_channel() -> Json:
    return {
        "address": f"{PREFIX}/{{site}}/group/{{group}}/command",
        "title": _first_line(GroupCommand),
        "parameters": {
            "site": {"description": "where the devices belong; letters, digits, '.', '_', '-'"},
            "group": {"description": "a group that devices were told to listen to; `all` is every device of the site"},
        },
        "messages": {_GROUP: {"$ref": f"#/components/messages/{_GROUP}"}},
    }


def _message(name: str, model: type[Document] | type[GroupCommand]) -> Json:
    return {
        "name": model.SCHEMA,
        "title": model.__name__,
        "summary": _first_line(model),
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{schema_file_name(name)}"},
        },
    }


def _action(kind: Kind) -> str:
    return "send" if kind in (*FROM_DEVICE, *UNNUMBERED) else "receive"


def _operation(kind: Kind) -> Json:
    return _on_channel(str(kind), retain=kind in RETAINED, action=_action(kind))


def _on_channel(channel: str, *, retain: bool, action: str) -> Json:
    mqtt: Json = {"qos": 1, "retain": retain, "bindingVersion": "0.2.0"}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{channel}"}],
        "bindings": {"mqtt": mqtt},
    }


def _first_line(model: type[Document] | type[GroupCommand]) -> str:
    return (model.__doc__ or model.__name__).strip().splitlines()[0]


def documents() -> dict[str, Json]:
    """File name -> document: one JSON Schema for each kind of message, and `asyncapi.json`."""
    schemas = {schema_file_name(kind): message_schema(model) for kind, model in MODELS.items()}
    schemas[schema_file_name(_GROUP)] = message_schema(GroupCommand)
    return {**schemas, "asyncapi.json": asyncapi_document()}
