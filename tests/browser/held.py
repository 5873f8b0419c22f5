"""Requests that a page has made, and that the test holds (`page.route`)."""

from playwright.sync_api import Page, Route


def are_posted(page: Page, held: list[Route], count: int = 1) -> bool:
    """True once the page has posted that many, and no more. What it shows may come before the test hears of it."""
    for _ in range(100):
        if len(held) >= count:
            break
        page.wait_for_timeout(50)
    return len(held) == count


def let_go(page: Page, held: list[Route], count: int = 1) -> None:
    """Let the last of `count` requests reach the server, once it is posted."""
    assert are_posted(page, held, count)
    held[-1].continue_()
