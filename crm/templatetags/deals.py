"""The cards of the board. In Python: as a template with its tags, a hundred of them took half of the page's time."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django import template
from django.template import RequestContext
from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm.models import Deal, Stage, Tag, User
from crm.templatetags.formatting import age, as_options, initials, money, short_day, without_bidi

if TYPE_CHECKING:
    from crm.selectors.boards import BoardCard, BoardColumn
    from crm.selectors.tasks import TaskRow

register = template.Library()

CARD: Final = """
<li class="deal" id="deal-{pk}"{draggable}>
  <a href="{url}" draggable="false" title="{title}"><bdi>{title}</bdi></a>
  <p class="deal-line">
    <small title="{plain_name}"><bdi>{name}</bdi></small>
    <small title="Added {added}"><span class="visually-hidden">Added</span>
      {age}<span class="visually-hidden"> ago</span></small>
  </p>
  {tags}
  <p class="deal-line"><span class="sum">{amount}</span>{close}</p>
  {task}
  <div class="deal-line">{move}{owner}</div>
</li>
"""
TAGS: Final = '<p class="deal-line"><small class="tags">{}</small></p>'
TAG: Final = '<span class="badge tag {}"><bdi>{}</bdi></span> '  # as crm/tags/_names.html
CLOSE: Final = '<small class="{}"><span class="visually-hidden">{}</span> {}</small>'
TASK: Final = """
<p class="deal-line next-task">
  <small title="{task}"><span class="task-dot {tone}"></span><span class="visually-hidden">Next task{due}:</span>
    <bdi>{task}</bdi></small>
</p>
"""
NO_TASK: Final = SafeString(
    '<p class="deal-line next-task"><small><span class="task-dot none"></span>No task</small></p>'
)
OWNER: Final = '<abbr class="initials" title="{}">{}</abbr>'


@dataclass(frozen=True)
class Moves:
    """The selects by which the deals of a column are moved: `_move.html`, rendered once, with a stand-in for the deal.

    Rendered for each card, its tags would take longer than all the rest of the page.
    """

    template: str  # for format_html, which escapes the title

    def of(self, deal: Deal) -> SafeString:
        return format_html(self.template, pk=deal.pk, title=without_bidi(deal.title))


@register.simple_tag(takes_context=True)
def cards(context: RequestContext, column: "BoardColumn", stages: Sequence[Stage]) -> SafeString:
    """The cards of a column of the board, whose deals can be moved to `stages` by those who may edit them."""
    moves = _moves(context, column.stage, stages) if context["may"]["edit_leads"] and column.cards else None
    url, _, end_of_url = reverse("deal", args=[0]).rpartition("0")  # once, as it takes longer than a card
    owners: dict[int | None, SafeString | str] = {None: ""}

    def values(card: "BoardCard") -> dict[str, object]:
        deal = card.deal
        if deal.owner_id not in owners:
            owners[deal.owner_id] = _owner(deal.owner)
        return {
            "pk": deal.pk,
            "draggable": " data-draggable" if moves else "",
            "url": f"{url}{deal.pk}{end_of_url}",
            "title": str(deal),
            "plain_name": without_bidi(card.name),
            "name": card.name,
            "added": _day(timezone.localdate(deal.created_at)),
            "age": age(deal.created_at),
            "tags": _tags(card.tags),
            "amount": money(deal.amount, deal.currency),
            "close": _close(card),
            "task": _task(card.next_task) if column.stage.is_open else "",
            "move": moves.of(deal) if moves else "",
            "owner": owners[deal.owner_id],
        }

    return format_html_join("", CARD, map(values, column.cards))


def _moves(context: RequestContext, stage: Stage, stages: Sequence[Stage]) -> Moves:
    # Random, so that no name of a stage and no address contains them.
    stand_in = Deal(pk=10**17 + secrets.randbelow(9 * 10**17), title=secrets.token_hex())
    options = {"deal": stand_in, "stage": stage, "moves": as_options(stages, stage)}
    move = context.template.engine.get_template("crm/deals/_move.html")  # type: ignore[union-attr]
    with context.push(**options, target="#board", also=",#board-totals"):
        markup = move.render(context).replace("{", "{{").replace("}", "}}")
    return Moves(markup.replace(str(stand_in.pk), "{pk}").replace(stand_in.title, "{title}"))


@lru_cache(maxsize=1_000)  # a board has few days
def _day(value: date) -> str:
    return dateformat.format(value, "j F Y")


def _tags(tags: Sequence[Tag]) -> SafeString | str:
    return format_html(TAGS, format_html_join("", TAG, ((tag.tone, tag) for tag in tags))) if tags else ""


def _close(card: "BoardCard") -> SafeString | str:
    if card.close_date is None:
        return ""
    label = "Closed" if card.closed_on else "Expected close"
    return format_html(CLOSE, "late" if card.is_late else "", label, short_day(card.close_date))


def _task(row: "TaskRow | None") -> SafeString:
    if row is None:
        return NO_TASK
    due = ", late" if row.is_late else ", today" if row.is_today else ""
    return format_html(TASK, task=str(row.task), tone=row.tone, due=due)


def _owner(owner: User | None) -> SafeString | str:
    return format_html(OWNER, owner, initials(owner)) if owner else ""
