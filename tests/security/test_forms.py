"""No page shows its reader a form that they can't submit."""

import logging
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.security.routes import all_routes
from tests.security.test_walk import Walk
from tests.security.world import World, everybody
from tests.size import sized_sample

# The search above this form may find a lead, whose button is put into it.
FILLED_LATER = "deal_people"
PAGES = [
    route
    for route in all_routes()
    if not route.name.startswith(("admin:", "api-", FILLED_LATER))
]


@dataclass
class Form:
    """A form of a page; `can_be_submitted` once something is found that submits it."""

    action: str
    id: str
    can_be_submitted: bool = False


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._forms: list[Form] = []
        self._is_open = False
        self._submitted_from_outside: set[str] = set()
        self.feed(page)

    @property
    def dead(self) -> list[str]:
        """The actions of those that nothing submits."""
        rest = (form for form in self._forms if not form.can_be_submitted)
        return [
            form.action for form in rest if form.id not in self._submitted_from_outside
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._forms.append(
                Form(given.get("action", "the page itself"), given.get("id", ""))
            )
            self._is_open = True
        elif _submits(tag, given):
            if "form" in given:
                self._submitted_from_outside.add(given["form"])
            elif self._is_open:
                self._forms[-1].can_be_submitted = True

    def handle_endtag(self, tag: str) -> None:
        self._is_open = self._is_open and tag != "form"


def _submits(tag: str, given: dict[str, str]) -> bool:
    """True for a button, and for the palette's only field, which Enter submits."""
    if tag == "button":
        return given.get("type", "submit") == "submit"
    return tag == "input" and given.get("role") == "combobox"


@pytest.mark.sized
@pytest.mark.timeout(300)
def test_each_form_can_be_submitted_by_whoever_sees_it(
    ours: World, theirs: World, settings: Any, caplog: Any
) -> None:
    settings.LINKEDIN_SANDBOX = True
    caplog.set_level(logging.CRITICAL, "django.request")
    members = [
        caller for caller in everybody(ours) if caller.role and not caller.is_key
    ]
    walk = Walk(members, ours, theirs, "")
    pages = sized_sample(PAGES, one_in=5)

    seen = [
        made
        for route in pages
        for made in walk.tries(route, ("GET",))
        if made.whose == "own"
    ]

    dead = {
        f"{made.route.name} as {made.caller.name}: {action}"
        for made in seen
        for action in Forms(made.told.decode(errors="replace")).dead
    }
    assert sorted(dead) == []
    assert len(seen) >= len(pages)
