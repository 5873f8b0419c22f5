"""`/api/v1/docs/`: the schema as a page of our own, so that no viewer's scripts have to be let in."""

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

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an answer: what it holds, and whether it can or must be written."""

    name: str
    kind: str
    writing: str


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of row: its addresses, the filters of its list, and its fields."""

    title: str
    sentence: str
    operations: tuple[tuple[str, str], ...]
    filters: tuple[str, ...]
    fields: tuple[Field, ...]


@require_safe
@member(Action.SEE_LEADS)
def docs(request: MemberRequest) -> HttpResponse:
    """What scripts can do with a key, for whoever writes them."""
    context = {"parts": parts(), "page_size": KeysetPagination.page_size, "most": KeysetPagination.max_page_size}
    return render(request, "crm/api_docs.html", context)


@cache
def parts() -> tuple[Part, ...]:
    """The API's parts, read from the schema; it changes with the code alone."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    paths, components = schema["paths"], schema["components"]["schemas"]
    rows = sorted(path for path in paths if path.endswith("{id}/"))
    return tuple(_part(path.removesuffix("{id}/"), path, paths, components) for path in rows)


def _part(list_path: str, row_path: str, paths: Json, components: Json) -> Part:
    listing, row = paths[list_path], paths[row_path]
    addresses = [list_path, *sorted(path for path in paths if path.startswith(row_path))]
    shown = row["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return Part(
        title=listing["get"]["tags"][0].replace("-", " ").capitalize(),
        sentence=listing["get"]["description"],
        operations=tuple(operation for path in addresses for operation in _operations(path, paths[path])),
        filters=tuple(
            parameter["name"]
            for parameter in listing["get"]["parameters"]
            if parameter["name"] not in ("cursor", "page_size")
        ),
        fields=tuple(_fields(_named(shown, components), components)),
    )


def _operations(path: str, item: Json) -> Iterator[tuple[str, str]]:
    return ((method.upper(), path) for method in METHODS if method in item)


def _fields(component: Json, components: Json) -> Iterator[Field]:
    for name, field in component["properties"].items():
        writing = "required" if name in component["required"] else "optional"
        yield Field(name, _kind(field, components), "no" if field.get("readOnly") else writing)


def _kind(field: Json, components: Json) -> str:
    """In a few words: the values of a choice, or the type with its format."""
    choices = [value for one in _alternatives(field) for value in _named(one, components).get("enum", []) if value]
    if choices:
        return " · ".join(choices)
    return str(field.get("format") or field.get("type") or "object").replace("-", " and ")


def _alternatives(field: Json) -> Iterable[Json]:
    found: Iterable[Json] = field.get("oneOf") or field.get("allOf") or [field]
    return found


def _named(schema: Json, components: Json) -> Json:
    """The component that a `$ref` names, or the schema itself."""
    found: Json = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found
