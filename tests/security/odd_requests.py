"""Requests with odd values under every name that the code reads, at every address.

No list of names could be complete, so requests are watched: each parameter, field, cookie and header that the code asks
for, ours or a library's, is known from then on.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode

from django.core.cache import cache
from django.db import transaction
from django.http import QueryDict
from django.http.request import HttpHeaders
from django.test import Client
from django.test.client import BOUNDARY, encode_multipart
from rest_framework.fields import Field

from tests.security import odd_values
from tests.security.matrix import Row
from tests.security.odd_values import odd
from tests.security.routes import Route

FORM = "application/x-www-form-urlencoded"


@dataclass
class Names:
    """What the code has asked for: per route the parameters and fields, and the headers of all routes."""

    parameters: dict[str, dict[str, None]] = field(default_factory=dict)
    headers: dict[str, None] = field(
        default_factory=lambda: dict.fromkeys(odd_values.HEADERS)
    )
    current: dict[str, None] = field(default_factory=dict)

    def of(self, route: Route) -> list[str]:
        return list(self.parameters.get(route.name, {}))

    @contextmanager
    def watched(self) -> Iterator["Names"]:
        """Sees every read of every request inside the context."""
        with (
            self._seeing(QueryDict, "__getitem__", lambda: self.current),
            self._seeing(QueryDict, "_getlist", lambda: self.current),
            self._seeing(QueryDict, "__contains__", lambda: self.current),
            self._seeing(HttpHeaders, "__getitem__", lambda: self.headers),
            self._seeing_fields(),
        ):
            yield self

    def at(self, route: Route) -> None:
        """Count what is read from now on as read by this route."""
        self.current = self.parameters.setdefault(route.name, {})

    def _seeing(
        self, kind: type, method: str, names: Callable[[], dict[str, None]]
    ) -> Any:
        read = getattr(kind, method)

        def seen(mapping: Any, name: Any, *rest: Any, **options: Any) -> Any:
            names()[str(name)] = None
            return read(mapping, name, *rest, **options)

        return mock.patch.object(kind, method, seen)

    def _seeing_fields(self) -> Any:
        """The fields of the API's bodies, which are plain dictionaries."""
        read = Field.get_value

        def seen(of_serializer: Any, data: Any) -> Any:
            self.current[of_serializer.field_name] = None
            return read(of_serializer, data)

        return mock.patch.object(Field, "get_value", seen)


@dataclass(frozen=True)
class Door:
    """A URL, and someone who may open it."""

    route: Route
    row: Row
    cookies: str
    key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    likely: dict[str, Any] = field(default_factory=dict)

    @property
    def takes_json(self) -> bool:
        return (
            not self.row.files
            and self.route.name.startswith("api-")
            and self.route.name != "api-docs"
        )


@dataclass(frozen=True)
class Sent:
    """A request as it went out; its `repr` can be kept in a list of those that broke something."""

    route: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    content_type: str = FORM

    def answer(self) -> Any:
        """The response, read to its end. Whatever it wrote is rolled back."""
        before = transaction.savepoint()
        try:
            response = Client(raise_request_exception=False).generic(
                self.method,
                self.path,
                self.body,
                content_type=self.content_type,
                headers=self.headers,
            )
            if response.streaming:
                b"".join(response)
            return response
        finally:
            transaction.set_rollback(False)
            transaction.savepoint_rollback(before)
            cache.clear()  # no rate limit: all of them are to get through


def compose(door: Door, names: Names, chance: random.Random, *, method: str) -> Sent:
    """A request that would be valid but for some of its values."""
    headers = _headers(door, names, chance)
    known = names.of(door.route)
    query = (
        _some_odd(chance.sample(known, min(len(known), 2)), door, chance)
        if chance.random() < 0.6
        else []
    )
    path = _path(door, chance) + (f"?{_urlencoded(query)}" if query else "")
    if method == "GET":
        return Sent(door.route.name, method, path, headers)
    body, content_type = (
        _json(door, known, chance) if door.takes_json else _form(door, known, chance)
    )
    content_type = headers.pop("Content-Type", content_type)
    return Sent(door.route.name, method, path, headers, body, content_type)


def _path(door: Door, chance: random.Random) -> str:
    values = dict(door.values)
    if values and chance.random() < 0.1:
        name = chance.choice(list(values))
        values[name] = quote(_as_bytes(odd(chance)), safe="")
    return door.route.path(**values)


def _headers(door: Door, names: Names, chance: random.Random) -> dict[str, str]:
    headers = (
        {"Authorization": f"Bearer {door.key}"}
        if door.key
        else {"Cookie": door.cookies}
    )
    if chance.random() < 0.4:
        name = chance.choice(list(names.headers))
        value = chance.choice([*odd_values.HEADERS.get(name, ()), odd(chance)])
        # No server lets these through.
        text = _as_bytes(value).translate(None, b"\r\n\0").decode("latin-1")
        headers[name] = f"{headers.get(name, '')}; {text}" if name == "Cookie" else text
    return headers


def _some_odd(
    chosen: list[str], door: Door, chance: random.Random
) -> list[tuple[str, Any]]:
    return [
        (name, odd(chance) if chance.random() < 0.8 else door.likely.get(name, ""))
        for name in chosen
    ]


def _form(door: Door, known: list[str], chance: random.Random) -> tuple[bytes, str]:
    good = {
        name: door.likely[name] for name in known if name in door.likely
    } | door.row.body(door.likely["world"])
    spoilt = chance.sample(known, min(len(known), chance.randint(0, 3)))
    fields = [
        (name, value) for name, value in good.items() if name not in spoilt
    ] + _some_odd(spoilt, door, chance)
    if chance.random() < 0.1:
        as_text = {
            name: _as_bytes(value).decode("utf-8", "replace") for name, value in fields
        }
        return encode_multipart(
            BOUNDARY, as_text
        ), f"multipart/form-data; boundary={BOUNDARY}"
    return _urlencoded(fields).encode(), FORM


def _json(door: Door, known: list[str], chance: random.Random) -> tuple[bytes, str]:
    if chance.random() < 0.1:
        return chance.choice(odd_values.BODIES).encode(), "application/json"
    body = dict(door.row.body(door.likely["world"]))
    for name in chance.sample(known, min(len(known), chance.randint(0, 3))):
        body[name] = chance.choice(odd_values.JSON)
    return json.dumps(body).encode(), "application/json"


def _urlencoded(fields: list[tuple[str, Any]]) -> str:
    return urlencode(
        [
            (name.encode("utf-8", "surrogatepass"), _as_bytes(value))
            for name, value in fields
        ]
    )


def _as_bytes(value: Any) -> bytes:
    return (
        value
        if isinstance(value, bytes)
        else str(value).encode("utf-8", "surrogatepass")
    )
