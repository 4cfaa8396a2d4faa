import json
from pathlib import Path

import pytest

from biotrain.asyncapi import asyncapi_document, documents, message_schema
from schemas.messages import MODELS
from schemas.state import DeviceState, State, Tally, Totals
from schemas.topics import RETAINED, DeviceTopic, GroupTopic, Kind


def test_committed_documents_are_those_that_the_models_give(repository: Path) -> None:
    folder = repository / "docs" / "schemas"
    written = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
    assert written == documents(), "run `biotrain schema`"


@pytest.mark.parametrize("kind", list(MODELS))
def test_every_kind_has_a_channel_whose_address_is_its_topic(kind: Kind) -> None:
    channel = asyncapi_document()["channels"][kind]
    address = channel["address"].format(site="lab", device="cap-1")
    assert DeviceTopic.parse(address) == DeviceTopic("lab", "cap-1", kind)


def test_the_groups_channel_has_its_topics_address() -> None:
    address = asyncapi_document()["channels"]["group_command"]["address"].format(site="lab", group="left")
    assert GroupTopic.parse(address) == GroupTopic("lab", "left")


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document, files = asyncapi_document(), documents()

    def follow(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(target := node.get("$ref"), str):
                if target.startswith("./"):
                    assert target.removeprefix("./") in files
                else:
                    place: object = document
                    for step in target.removeprefix("#/").split("/"):
                        assert isinstance(place, dict)
                        place = place[step]
            for value in node.values():
                follow(value)
        elif isinstance(node, list):
            for value in node:
                follow(value)

    follow(document)


def test_retained_kinds_are_marked_as_retained() -> None:
    for operation in asyncapi_document()["operations"].values():
        channel = operation["channel"]["$ref"].rsplit("/", 1)[-1]
        assert operation["bindings"]["mqtt"]["retain"] == (channel in set(RETAINED))


def test_a_message_has_every_field_that_its_schema_requires_and_no_other_than_its_schema_knows() -> None:
    message = State(
        site="lab", device="cap-1", boot=1, seq=4, state=DeviceState.ONLINE,
        totals=Totals(windows=3, before_drift=Tally(labelled=3, correct=2)),
    )  # fmt: skip
    written = json.loads(message.to_json())
    schema = message_schema(State)
    assert set(schema["required"]) <= written.keys() <= schema["properties"].keys()
    assert written["schema"] == schema["properties"]["schema"]["const"]
    assert set(schema["$defs"]["Totals"].get("required", [])) <= written["totals"].keys()


def test_no_message_has_room_for_samples() -> None:
    """An array of numbers would be the place to smuggle a signal in; there is none."""
    for kind, model in MODELS.items():
        for name, definition in {kind: (whole := message_schema(model)), **whole.get("$defs", {})}.items():
            for field, rule in definition.get("properties", {}).items():
                items = rule.get("items", {})
                assert items.get("type") not in {"number", "integer", "array"}, f"{name}.{field}"
