"""The signals that crm sends to other apps, each inside the transaction of its change.

`crm_events_recorded(sender, events)`: a list of the `CrmEvent`s just written, for one or more companies. It is not sent
for CRM events with `history_only`, which must have no effects.
`crm_events_taken_back(sender, company_ids, crm_event_ids)`: CRM events that were undone, or set back before their
release. Receivers cancel what has not been sent, and return an `AlreadySent` for what has, or None.
`crm_event_values_changing(sender, company_ids)`: the amount or currency of CRM events of these companies is about to be
corrected before their release. Receivers make sure that no request that starts later has the old value.
`lead_contact_changed(sender, lead_ids)`: leads whose e-mail address or `share_with_ad_platforms` changed.
`lead_erased(sender, company_id, lead_ids)`: people being erased. Receivers also delete what they have stored about
them, and return only when nothing is still using it.
`leads_merged(sender, merge, without_address)`: all CRM events of one lead now belong to another; `LeadMerge` has both.
`without_address` are those of the two that had no e-mail address before. Receivers move what has not been sent to the
kept lead, send nothing extra because of the merge, and return what they have ended, as a JSON list for an undo.
`merge_undone(sender, merge, crm_events, sharing_changed)`: these CRM events belong to their former lead again.
What the merge had `ended` may go on. `sharing_changed`: someone has opted the person out or in since the merge.
`deal_lead_changed(sender, deal, was)`: the deal is about another lead now (`deal.lead_id`, before: `was`), and so are
its CRM events. Receivers move what has not been sent to the new lead. If anything was sent, or may have been, they
change nothing and return why the lead must stay, in a sentence; the whole change is then rolled back.
`company_closed(sender, company_id)`, `company_reopened(sender, company_id)`: the operator switched a company off or on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """What was sent to an ad platform, or may have been, about CRM events that were taken back: a sentence each.

    `conversions` is the number of conversion events that they are about.
    """

    sentences: Sequence[str]
    conversions: int


crm_events_recorded = Signal()
crm_events_taken_back = Signal()
crm_event_values_changing = Signal()
lead_contact_changed = Signal()
lead_erased = Signal()
leads_merged = Signal()
merge_undone = Signal()
deal_lead_changed = Signal()
company_closed = Signal()
company_reopened = Signal()
