"""What a person has to mend in a file that pydantic has refused, in one line."""

from __future__ import annotations

import difflib

from pydantic import BaseModel, ValidationError


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong: the field, what is the matter, and for an unknown one those that it may mean."""
    errors = error.errors(include_url=False)
    # a misspelt field is also a missing one: the misspelling is what helps
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        said = first["msg"].removeprefix("Value error, ")
        return f"{'.'.join(where)}: {said}" if where else said
    fields = _fields_at(model, where[:-1])
    near = difflib.get_close_matches(where[-1], fields, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(fields)}"
    return f"{'.'.join(where)}: there is no such field: {advice}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        if name.isdigit():
            continue  # a place in a list, whose model was found already
        annotation = model.model_fields[name].annotation
        found = [annotation, *getattr(annotation, "__args__", ())]
        model = next(one for one in found if isinstance(one, type) and issubclass(one, BaseModel))
    return list(model.model_fields)
