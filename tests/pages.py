"""Pages as a browser reads them: a test then says what a page shows, not how its template is laid out."""

import re
from collections.abc import Callable
from typing import Any, Final

from django.http import FileResponse
from django.template import Context, Template
from django.test.signals import template_rendered

KEPT: Final = re.compile(r"(<(pre|textarea|script)\b.*?</\2>)", re.DOTALL)
REST_OF_TAG: Final = r"(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+>"
TAG: Final = re.compile(rf"<[a-zA-Z/!]{REST_OF_TAG}")
LOOSE: Final = re.compile(r"[^\S ]|  | >")  # most tags have none of this
VALUE_OR_SPACE: Final = re.compile(r"(\"[^\"]*\"|'[^']*')|\s+")
# One blank stays as it is.
TAG_OR_SPACE: Final = re.compile(rf"({TAG.pattern})|[ \t\r\n\f]{{2,}}|[\t\r\n\f]")
BLOCKS: Final = (  # a <small> too is a line of its own wherever there is one
    "article|aside|body|dd|details|div|dl|dt|fieldset|footer|form|g|h1|h2|h3|head|header|html|legend|li|line|link|main|"
    "meta|nav|ol|option|p|path|pre|rect|script|section|select|small|summary|table|tbody|td|text|th|thead|title|tr|ul"
)
AROUND_BLOCK: Final = re.compile(rf" ?(</?(?:{BLOCKS})\b{REST_OF_TAG}) ?")


_streamed: list[Any] = []


def disconnect(response: Any) -> None:
    """What the web server's `close` does to a response, without the end of its request, which closes the database."""
    for close in response._resource_closers:
        close()


def disconnect_all() -> None:
    """End the downloads that a test has not read: their queries would end in another test's transaction."""
    while _streamed:
        disconnect(_streamed.pop())


def render(template: Template, context: Context) -> str:
    """Render a template as Django does in tests, but keep only the page's own context for `response.context`.

    Django also copies the context of each template that a page includes, which takes up to a third of the page's time.
    """
    if context.template is template:
        template_rendered.send(sender=template, template=template, context=context)
    rendered: str = template.nodelist.render(context)
    return rendered


def as_read(html: str) -> str:
    """The page without white space that never shows: within tags, around blocks, and after other white space."""
    # In turn: the text before a match, the match, the name of its tag.
    parts = KEPT.split(TAG.sub(_tight, html))
    return "".join(
        part if at % 3 == 1 else _squeezed(part)
        for at, part in enumerate(parts)
        if at % 3 != 2
    )


def _tight(tag: re.Match[str]) -> str:
    if not LOOSE.search(tag[0]):
        return tag[0]
    return VALUE_OR_SPACE.sub(lambda found: found[1] or " ", tag[0]).replace(" >", ">")


def _squeezed(html: str) -> str:
    return AROUND_BLOCK.sub(
        r"\1", TAG_OR_SPACE.sub(lambda found: found[1] or " ", html)
    )


def read(request: Callable[..., Any]) -> Callable[..., Any]:
    """`Client.request`, but with HTML as a browser reads it, and with files read and closed."""

    def reading(*args: Any, **kwargs: Any) -> Any:
        response = request(*args, **kwargs)
        if isinstance(response, FileResponse):
            response.streaming_content = [b"".join(response.streaming_content)]
        elif response.streaming:
            _streamed.append(response)
        is_plain = not response.streaming and "Content-Encoding" not in response.headers
        if is_plain and response.headers.get("Content-Type", "").startswith(
            "text/html"
        ):
            response.content = as_read(response.content.decode()).encode()
        return response

    return reading
