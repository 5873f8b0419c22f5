"""What the body of a request may be: a short form or short JSON, unless the view is decorated to accept files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.http import HttpRequest

V = TypeVar("V", bound=Callable[..., Any])

KB: Final = 1024
DEFAULT_BODY_BYTES: Final = 256 * KB
FORM_OVERHEAD_BYTES: Final = 64 * KB  # what a form sends apart from its files
MAX_IMPORT_BODY_BYTES: Final = 20 * KB * KB + FORM_OVERHEAD_BYTES
MAX_UPLOAD_BODY_BYTES: Final = 25 * KB * KB + FORM_OVERHEAD_BYTES
# Where leadmachine/web_worker.py accepts long bodies. The proxies have the same list: deploy/caddy/Caddyfile
# and deploy/nginx/leadmachine.conf.
UPLOAD_PATHS: Final = re.compile(
    r"/(leads/import|(leads|deals|notes)/[0-9]+/files|api/v1/(files|imports))/"
)


@dataclass(frozen=True)
class BodyRule:
    """`at_most` is in bytes. With `files`, the parts of a form may be files. Unless `read`, a body may be anything."""

    at_most: int = DEFAULT_BODY_BYTES
    files: bool = False
    read: bool = True


def takes_import(view: V) -> V:
    """Decorate a view, or a viewset's method, that accepts a list of leads of up to 20 MB at one of UPLOAD_PATHS."""
    return _with(view, BodyRule(MAX_IMPORT_BODY_BYTES, files=True))


def takes_uploads(view: V) -> V:
    """Decorate a view, or a viewset's method, that accepts files of up to 25 MB in all at one of UPLOAD_PATHS."""
    return _with(view, BodyRule(MAX_UPLOAD_BODY_BYTES, files=True))


def takes_anything(view: V) -> V:
    """Decorate a view that stores a body of any type as it is, and reads no form."""
    return _with(view, BodyRule(read=False))


def rule_of(view: Callable[..., Any], request: HttpRequest) -> BodyRule:
    """Return the view's rule for request bodies. A viewset has a rule for each method."""
    method = (request.method or "").lower()
    methods: dict[str, str] = getattr(view, "actions", None) or {}
    if methods and method not in methods:
        return BodyRule(read=False)  # a 405
    of_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    handler = getattr(of_class, methods.get(method, method), view)
    rule: BodyRule = getattr(handler, "body_rule", BodyRule())
    return rule


def _with(view: V, rule: BodyRule) -> V:
    view.body_rule = rule  # type: ignore[attr-defined]
    return view
