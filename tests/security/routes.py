"""Every URL of the installation, from Django's own resolver: a handwritten list could forget one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import get_resolver
from django.urls.resolvers import RoutePattern, URLPattern, URLResolver


@dataclass(frozen=True)
class Route:
    """`name` with its namespace, and the URL with placeholders such as `{pk}`."""

    name: str
    template: str

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.template)

    def path(self, **values: object) -> str:
        return "/" + self.template.format(**values)


def all_routes() -> list[Route]:
    return sorted(
        set(_walk(get_resolver(), "", "")),
        key=lambda route: (route.name, route.template),
    )


def _walk(resolver: URLResolver, before: str, namespace: str) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        template = before + _template(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield Route(namespace + (pattern.name or pattern.lookup_str), template)
        else:
            yield from _walk(
                pattern,
                template,
                namespace + (f"{pattern.namespace}:" if pattern.namespace else ""),
            )


def _template(pattern: object) -> str:
    if isinstance(pattern, RoutePattern):
        return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern))
    # The only regular expressions in use have named groups of the simplest kind.
    text = re.sub(r"\(\?P<(\w+)>[^()]*\)", r"{\1}", str(pattern))
    return (
        text.removeprefix("^")
        .removesuffix("$")
        .removesuffix("\\Z")
        .replace("\\.", ".")
        .replace("(?:/)?", "/")
    )
