"""The rows of *My day* that aren't tasks, each from a template in `crm/my_day/`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django import template
from django.template import RequestContext
from django.template.defaultfilters import pluralize
from django.utils.safestring import SafeString

from crm.models import Deal, Lead
from crm.templatetags.formatting import ago, dialled, money
from crm.templatetags.row_templates import RowTemplate, UrlOfRow, joined

if TYPE_CHECKING:
    from crm.selectors.my_day import DealRow, WaitingLead
    from crm.selectors.timeline import TimelineEntry

register = template.Library()


@register.simple_tag(takes_context=True)
def deal_rows(context: RequestContext, rows: Iterable["DealRow"], remedy: str) -> SafeString:
    """The rows of open deals that need a `remedy`: another close date ("date") or a task ("task")."""
    row_template = RowTemplate(context, "crm/my_day/_deal.html", "title", "name", "amount", "days", remedy=remedy)

    def filled(row: "DealRow") -> SafeString:
        deal = row.deal
        values = {
            "pk": deal.pk,
            "title": str(deal),
            "name": deal.lead.organisation or deal.lead.name,
            "amount": "" if deal.amount is None else f" · {money(deal.amount, deal.currency)}",
            "days": f"{row.days} day{pluralize(row.days)}",
        }
        return row_template.filled(values, is_of_today=not row.days)

    return joined(map(filled, rows))


@register.simple_tag(takes_context=True)
def lead_rows(context: RequestContext, rows: Iterable["WaitingLead"]) -> SafeString:
    """The rows of new leads that no one has touched yet."""
    texts = ("name", "organisation", "source", "tone", "waiting", "phone", "email")
    row_template = RowTemplate(context, "crm/my_day/_lead.html", *texts)

    def filled(row: "WaitingLead") -> SafeString:
        lead = row.lead
        values = {
            "pk": lead.pk,
            "name": str(lead),
            "organisation": lead.organisation,
            "source": lead.source,
            "tone": row.tone,
            "waiting": row.waiting,
            "phone": dialled(lead.phone),
            "email": lead.email,
        }
        has = {"has_phone": bool(lead.phone), "has_email": bool(lead.email)}
        return row_template.filled(values, **has, has_both=bool(lead.organisation and lead.source))

    return joined(map(filled, rows))


@register.simple_tag(takes_context=True)
def news_rows(context: RequestContext, entries: Iterable["TimelineEntry"]) -> SafeString:
    """The rows of what others have changed."""
    row_template = RowTemplate(context, "crm/my_day/_news.html", "url", "subject", "title", "detail", "by", "ago")
    urls = {Deal: UrlOfRow("deal"), Lead: UrlOfRow("lead")}

    def filled(entry: "TimelineEntry") -> SafeString:
        subject, by = entry.subject, entry.by
        values = {
            "url": urls[type(subject)](subject.pk) if subject else "",
            "subject": str(subject),
            "title": entry.title,
            "detail": entry.detail,
            "by": by,
            "ago": ago(entry.occurred_at),
        }
        return row_template.filled(values, has_subject=bool(subject), has_detail=bool(entry.detail), has_by=bool(by))

    return joined(map(filled, entries))
