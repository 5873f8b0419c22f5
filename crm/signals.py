"""crm's whole outward surface. All are sent inside the transaction of the change they tell of.

`crm_events_recorded(sender, events)`: the `CrmEvent`s just written, a list, of one or several companies.
`lead_contact_changed(sender, lead_ids)`: leads whose e-mail address or `share_with_ad_platforms` changed.
`lead_erased(sender, company_id, lead_ids)`: persons who asked to be erased. It is more than a changed contact: what was
kept of them elsewhere has to go too, and the erasure is done only when nobody holds them any more.
`company_closed(sender, company_id)`, `company_reopened(sender, company_id)`: the operator switched a company off or on.
"""

from django.dispatch import Signal

crm_events_recorded = Signal()
lead_contact_changed = Signal()
lead_erased = Signal()
company_closed = Signal()
company_reopened = Signal()
