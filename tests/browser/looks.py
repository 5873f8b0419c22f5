"""Checks of a page at two sizes and in two themes: axe finds nothing, and nothing scrolls sideways."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count, cycle
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from tests.size import SMALL

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
IN_TURN = cycle(
    [("desktop", "light"), ("phone", "dark"), ("phone", "light"), ("desktop", "dark")]
)

PAGES = count()
ONE_IN: Final = 3  # pages of a test that is marked `sized` is checked in `make test`

# Changing the theme of an open page changes only its colours.
ABOUT_COLOURS = ("color-contrast", "link-in-text-block")

RUN_AXE: Final = """async options => {
    const {url, violations} = await axe.run(document, options);
    return {url, violations, passes: [], incomplete: [], inapplicable: []};
}"""


def open_page(page: Page, address: str, size: str = "desktop") -> None:
    show_at(page, size)
    page.goto(page.server_url + address)  # type: ignore[attr-defined]


def show_at(page: Page, size: str) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})


def assert_fit_to_use(page: Page) -> None:
    """Check the open page at its present size in both themes; in `make test`, in one of them, in turn.

    Of a test that is marked `sized`, `make test` checks a part of the pages.
    """
    if not _is_left_out(page):
        _check(page, [next(IN_TURN)[1]] if SMALL else THEMES)


def assert_fit_to_use_in_each_look(page: Page) -> None:
    """Check the open page on a desk and a phone, in light and dark. Not for pages that refresh themselves.

    In `make test`, each page that is checked is checked in one look, and the looks take turns.
    """
    if _is_left_out(page):
        return
    size, theme = next(IN_TURN)
    looks = {size: [theme]} if SMALL else dict.fromkeys(SIZES, THEMES)
    for size, themes in looks.items():
        show_at(page, size)
        _check(page, themes)


def _is_left_out(page: Page) -> bool:
    return SMALL and getattr(page, "is_sized", False) and next(PAGES) % ONE_IN != 0


def _check(page: Page, themes: Sequence[str]) -> None:
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        _assert_no_finding(page, *(() if theme == themes[0] else ABOUT_COLOURS))
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    ), page.url


def _assert_no_finding(page: Page, *rules: str) -> None:
    """Run axe, with these rules only if there are any.

    A click returns before its page has loaded. If the page changes while axe runs, axe runs again.
    """
    # Only violations are reported. No page has style sheets from another host, so nothing needs preloading.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    result = _asked_again(page, options)
    assert result.violations_count == 0, f"{page.url}\n{result.generate_report()}"


def _asked_again(page: Page, options: dict[str, Any]) -> AxeResults:
    for _ in range(3):
        page.wait_for_load_state()
        with suppress(PlaywrightError):
            return _asked(page, options)
    return _asked(page, options)


def _asked(page: Page, options: dict[str, Any]) -> AxeResults:
    """Run axe. axe_playwright_python would load its half a megabyte into the page for each run."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return AxeResults(page.evaluate(RUN_AXE, options))
