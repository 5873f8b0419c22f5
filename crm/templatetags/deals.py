"""The cards of the board."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django import template
from django.template import RequestContext
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm.models import Deal, Stage
from crm.templatetags.formatting import as_options, without_bidi

register = template.Library()


@dataclass(frozen=True)
class Moves:
    """The selects by which the deals of a column are moved: `_move.html`, rendered once, with a stand-in for the deal.

    In a card itself, its tags would be almost as many again as those of the card.
    """

    template: str  # for format_html, which escapes the title

    def of(self, deal: Deal) -> SafeString:
        return format_html(self.template, pk=deal.pk, title=without_bidi(deal.title))


@register.simple_tag(takes_context=True)
def moves_from(context: RequestContext, stage: Stage, stages: Sequence[Stage]) -> Moves:
    """The selects of the deals in `stage`, which can be moved to `stages`."""
    # Random, so that no name of a stage and no address contains them.
    stand_in = Deal(pk=10**17 + secrets.randbelow(9 * 10**17), title=secrets.token_hex())
    options = {"deal": stand_in, "stage": stage, "moves": as_options(stages, stage)}
    move = context.template.engine.get_template("crm/deals/_move.html")  # type: ignore[union-attr]
    with context.push(**options, target="#board", also=",#board-totals"):
        markup = move.render(context).replace("{", "{{").replace("}", "}}")
    return Moves(markup.replace(str(stand_in.pk), "{pk}").replace(stand_in.title, "{title}"))


@register.filter
def of(moves: Moves, deal: Deal) -> SafeString:
    return moves.of(deal)
