"""`/api/v1/docs/`: the API schema as our own page, because a third-party viewer would need its scripts allowed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from crm.accounts.decorators import MemberRequest, member
from crm.api.pagination import KeysetPagination
from crm.models.roles import Action

METHODS: Final = ("get", "post", "put", "patch", "delete")
ROWS: Final = ("{id}/", "{key}/")  # how the path of one row ends

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a resource: its type, and whether it is writable or required."""

    name: str
    kind: str
    writing: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API: its operations, the filters of its list and its fields."""

    title: str
    sentence: str
    operations: tuple[tuple[str, str], ...]
    filters: tuple[str, ...]
    fields: tuple[Field, ...]


@require_safe
@member(Action.SEE_LEADS)
def docs(request: MemberRequest) -> HttpResponse:
    """The API reference, for people who write scripts."""
    context = {
        "parts": resources(),
        "page_size": KeysetPagination.page_size,
        "most": KeysetPagination.max_page_size,
    }
    return render(request, "crm/api_docs.html", context)


@cache
def resources() -> tuple[Resource, ...]:
    """The API's resources, from the schema. Cached, because the schema changes only with the code."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    paths, components = schema["paths"], schema["components"]["schemas"]
    rows = sorted(
        (path[: -len(each)], path)
        for path in paths
        for each in ROWS
        if path.endswith(each)
    )
    return tuple(
        _resource(list_path, row_path, paths, components)
        for list_path, row_path in rows
    )


def _resource(list_path: str, row_path: str, paths: Json, components: Json) -> Resource:
    listing, row = paths[list_path], paths[row_path]
    all_paths = sorted(path for path in paths if path.startswith(list_path))
    schema = row["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return Resource(
        title=listing["get"]["tags"][0].replace("-", " ").capitalize(),
        sentence=listing["get"]["description"],
        operations=tuple(
            operation
            for path in all_paths
            for operation in _operations(path, paths[path])
        ),
        filters=tuple(
            parameter["name"]
            for parameter in listing["get"]["parameters"]
            if parameter["name"] not in ("cursor", "page_size")
        ),
        fields=tuple(_fields(schema, components)),
    )


def _operations(path: str, item: Json) -> Iterator[tuple[str, str]]:
    return ((method.upper(), path) for method in METHODS if method in item)


def _fields(schema: Json, components: Json) -> Iterator[Field]:
    """The fields of an answer. What has to be sent is in the component for requests, if there is one."""
    required = components.get(
        f"{schema.get('$ref', '').rpartition('/')[2]}Request", {}
    ).get("required", [])
    for name, field in _resolve(schema, components)["properties"].items():
        writing = "required" if name in required else "optional"
        yield Field(
            name, _kind(field, components), "no" if field.get("readOnly") else writing
        )


def _kind(field: Json, components: Json) -> str:
    """The values of a choice, or else the format or type."""
    choices = [
        value
        for one in _alternatives(field)
        for value in _resolve(one, components).get("enum", [])
        if value
    ]
    if choices:
        return " · ".join(choices)
    return str(field.get("format") or field.get("type") or "object").replace(
        "-", " and "
    )


def _alternatives(field: Json) -> Iterable[Json]:
    alternatives: Iterable[Json] = field.get("oneOf") or field.get("allOf") or [field]
    return alternatives


def _resolve(schema: Json, components: Json) -> Json:
    """The component that `$ref` refers to, or the schema itself."""
    resolved: Json = (
        components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    )
    return resolved
