"""The cards of the board. In Python: as a template with its tags, a hundred of them took half of the page's time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from django import template
from django.template import RequestContext
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm.models import Deal, Stage, Tag, User
from crm.templatetags.formatting import age, as_options, full_day, initials, money, short_day, without_bidi
from crm.templatetags.row_templates import UrlOfRow, as_format, joined, stand_in_key, stand_in_text

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


@register.simple_tag(takes_context=True)
def cards(context: RequestContext, column: "BoardColumn", stages: Sequence[Stage]) -> SafeString:
    """The cards of a column of the board, whose deals can be moved to `stages` by those who may edit them."""
    moves = _moves(context, column.stage, stages) if context["may"]["edit_leads"] and column.cards else ""
    url_of = UrlOfRow("deal")
    owners: dict[int | None, SafeString | str] = {None: ""}

    def values(card: "BoardCard") -> dict[str, object]:
        deal = card.deal
        if deal.owner_id not in owners:
            owners[deal.owner_id] = _owner(deal.owner)
        return {
            "pk": deal.pk,
            "draggable": " data-draggable" if moves else "",
            "url": url_of(deal.pk),
            "title": str(deal),
            "plain_name": without_bidi(card.name),
            "name": card.name,
            "added": full_day(timezone.localdate(deal.created_at)),
            "age": age(deal.created_at),
            "tags": _tags(card.tags),
            "amount": money(deal.amount, deal.currency),
            "close": _close(card),
            "task": _task(card.next_task) if column.stage.is_open else "",
            "move": format_html(moves, pk=deal.pk, title=without_bidi(deal.title)) if moves else "",
            "owner": owners[deal.owner_id],
        }

    return joined(format_html(CARD, **values(card)) for card in column.cards)


def _moves(context: RequestContext, stage: Stage, stages: Sequence[Stage]) -> str:
    """The select that moves a deal of the column, as a format for its `pk` and `title`."""
    stand_in = Deal(pk=stand_in_key(), title=stand_in_text())
    slots = {"pk": str(stand_in.pk), "title": stand_in.title}
    options = {"stage": stage, "moves": as_options(stages, stage), "target": "#board", "also": ",#board-totals"}
    return as_format(context, "crm/deals/_move.html", {"deal": stand_in, **options}, slots)


def _tags(tags: Sequence[Tag]) -> SafeString | str:
    return format_html(TAGS, joined(format_html(TAG, tag.tone, tag) for tag in tags)) if tags else ""


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
