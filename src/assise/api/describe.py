"""What OpenAPI says of the resources: parameters, bodies and answers, with examples."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from assise.api.idempotency import HEADER
from assise.api.queries import COUNTS, LIMIT, MAX_LIMIT
from assise.api.resources import TableEndpoints
from assise.api.values import JsonMap, describe_field, example_of, find_kind, is_array
from assise.schema import resources
from assise.schema.resources import Resource

PROBLEM = "application/problem+json"
_PROBLEM_SCHEMA: JsonMap = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_STATES: Mapping[str, tuple[str, ...]] = {
    "list": ("400",),
    "read": ("304", "400", "404"),
    "create": ("400", "409", "413", "415", "422"),
    "put": ("400", "404", "409", "412", "413", "415", "422"),
    "change": ("400", "404", "409", "412", "413", "415", "422"),
    "delete": ("400", "404", "409", "412"),
    "restore": ("400", "404", "409", "422"),
}
_ALWAYS = ("401", "403", "429", "503", "504")


def describe_operation(rows: TableEndpoints, method: str, action: str) -> JsonMap:
    """What OpenAPI says of a method of a resource."""
    resource = rows.resource
    parameters = [] if action in {"list", "create"} else _describe_key(resource)
    parameters += _describe_query(resource, action)
    answers: JsonMap = {"200": _answer("The rows.", _page(resource))}
    if action != "list":
        answers = _describe_success(resource, action)
    for status in (*_STATES[action], *_ALWAYS):
        answers[status] = {
            "description": "A problem.",
            "content": {PROBLEM: {"schema": _PROBLEM_SCHEMA}},
        }
    if "304" in answers:
        answers["304"] = {"description": "The row is as the caller knows it."}
    found: JsonMap = {
        "parameters": parameters,
        "responses": answers,
        "security": [{"bearer": []}],
    }
    if resource.is_public and method == "GET":
        found["security"] = [{}, {"bearer": []}]
    if body := _describe_body(rows, action):
        found["requestBody"] = body
    return found


def _describe_success(resource: Resource, action: str) -> JsonMap:
    if action == "delete" and not resource.is_hidden:
        return {"204": {"description": "The row is deleted."}}
    if action in {"delete", "restore"}:
        counts = {"type": "object", "additionalProperties": {"type": "integer"}}
        return {"200": _answer("How many rows of each table went with it.", counts)}
    row = describe_row(resource)
    if action == "create":
        return {"201": _answer("The new rows.", {"anyOf": [row, {"type": "array", "items": row}]})}
    if action == "put":
        return {"200": _answer("The row.", row), "201": _answer("The new row.", row)}
    return {"200": _answer("The row.", row)}


def describe_row(resource: Resource) -> JsonMap:
    """The JSON Schema of a row."""
    properties = {name: describe_field(field) for name, field in resource.fields.items()}
    included = {name: {"type": ["object", "null"]} for name in resource.includes}
    return {"type": "object", "properties": {**included, **properties}}


def _page(resource: Resource) -> JsonMap:
    properties = {
        "items": {"type": "array", "items": describe_row(resource)},
        "next": {"type": ["string", "null"]},
        "count": {"type": "integer"},
        "count_is": {"enum": [*COUNTS]},
    }
    return {"type": "object", "required": ["items", "next"], "properties": properties}


def _answer(description: str, schema: JsonMap) -> JsonMap:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _describe_key(resource: Resource) -> list[JsonMap]:
    found = []
    for n, name in enumerate(resource.key):
        field = resource.fields[name]
        schema = find_kind(field.type).shown
        found.append(
            {
                "name": f"key{n}",
                "in": "path",
                "required": True,
                "description": f"The {name} of the row.",
                "schema": schema,
                "example": example_of(field),
            }
        )
    return found


def _describe_query(resource: Resource, action: str) -> list[JsonMap]:
    names = ",".join([*resource.fields][:2])
    include = ",".join(resource.includes)
    words = {"select": ("Columns, with commas between them.", names)}
    if include:
        words["include"] = ("Rows that the row refers to.", include)
    found: list[JsonMap] = []
    if action in {"list", "read"}:
        found += [_parameter(name, text, example) for name, (text, example) in words.items()]
    if action == "list":
        last = [*resource.fields][-1]
        ordered = [name for name, each in resource.fields.items() if _is_ordered(each)]
        about = "Columns, a descending one with - in front."
        found.append(_parameter("order", about, f"-{(ordered or [last])[0]}"))
        schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT}
        found.append({**_parameter("limit", "Rows of a page.", 5), "schema": schema})
        count = _parameter("count", "Count the rows: exactly up to 10,000, or estimated.", "exact")
        found.append({**count, "schema": {"enum": [*COUNTS]}})
        found.append(_parameter("cursor", "`next` of the page before.", None))
        for name, field in resource.fields.items():
            if _is_ordered(field):
                about = (
                    f"{name} is this value; also {name}.ne, .gt, .gte, .lt, .lte, .in, .is, .not."
                )
                found.append(_parameter(name, about, _text_of(field)))
    if action in {"change", "delete", "put"}:
        found.append(_header("If-Match", "The ETag of the row as the caller knows it."))
    if action == "create":
        found.append(_header(HEADER, "The same key gets the same answer for 24 hours."))
    return found


def _is_ordered(field: resources.ServedColumn) -> bool:
    return find_kind(field.type).is_ordered and not is_array(field.type)


def _text_of(field: resources.ServedColumn) -> str:
    example = example_of(field)
    return str(example).lower() if isinstance(example, bool) else str(example)


def _parameter(name: str, about: str, example: object) -> JsonMap:
    found: JsonMap = {
        "name": name,
        "in": "query",
        "description": about,
        "schema": {"type": "string"},
    }
    return found if example is None else {**found, "example": example}


def _header(name: str, about: str) -> JsonMap:
    return {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _describe_body(rows: TableEndpoints, action: str) -> JsonMap | None:
    resource = rows.resource
    fields = {"create": resource.create, "put": resource.put, "change": resource.update}.get(action)
    if fields is None:
        return None
    models = {"create": rows.model, "put": rows.put_model, "change": rows.change_model}
    schema: JsonMap = _schema_of(models[action])
    example: JsonMap = {name: example_of(field) for name, field in fields.items()}
    if action == "create":
        schema = {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _schema_of(model: type[BaseModel]) -> JsonMap:
    found = model.model_json_schema(by_alias=True)
    # JSON of any shape is described by a recursive definition: any value says the same.
    definitions = found.pop("$defs", {})
    assert not definitions or set(definitions) == {"JsonValue"}  # noqa: S101
    return found
