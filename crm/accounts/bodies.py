"""What the body of a request may be: a short form or short JSON, unless its view says otherwise in one line."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.http import HttpRequest

V = TypeVar("V", bound=Callable[..., Any])

KB: Final = 1024
SHORT: Final = 256 * KB
LONGEST: Final = 2 * KB * KB  # leadmachine/web_worker.py lets no more in, except to IMPORT_PATH
LONGEST_IMPORT: Final = 20 * KB * KB + 64 * KB  # the file, and the parts around it
IMPORT_PATH: Final = "/leads/import/"


@dataclass(frozen=True)
class BodyRule:
    """`at_most` is in bytes. With `files`, the parts of a form may be files."""

    at_most: int = SHORT
    files: bool = False


def takes_bulk(view: V) -> V:
    """Decorate a view, or the method of a viewset, whose body may have 2 MB."""
    return _with(view, BodyRule(LONGEST))


def takes_files(view: V) -> V:
    """Decorate the only views that files may be sent to, 2 MB in all. Everywhere else a file is a 400."""
    return _with(view, BodyRule(LONGEST, files=True))


def takes_import(view: V) -> V:
    """Decorate the one view at IMPORT_PATH: a file of 20 MB."""
    return _with(view, BodyRule(LONGEST_IMPORT, files=True))


def rule_of(view: Callable[..., Any], request: HttpRequest) -> BodyRule:
    """Return what the view says about the bodies that it takes. A viewset says it of each method."""
    method = (request.method or "").lower()
    methods: dict[str, str] = getattr(view, "actions", None) or {}
    of_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    handler = getattr(of_class, methods.get(method, method), view)
    rule: BodyRule = getattr(handler, "body_rule", BodyRule())
    return rule


def _with(view: V, rule: BodyRule) -> V:
    view.body_rule = rule  # type: ignore[attr-defined]
    return view
