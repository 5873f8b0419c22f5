"""crm's whole outward surface. Both signals are sent inside the transaction of the change they tell of.

`crm_events_recorded(sender, events)`: the `CrmEvent`s just written, a list, of one or several companies.
`lead_contact_changed(sender, lead_ids)`: leads whose e-mail address or `share_with_ad_platforms` changed.
"""

from django.dispatch import Signal

crm_events_recorded = Signal()
lead_contact_changed = Signal()
