"""The conversion events in the export of a whole company. The address hashes that were sent are not included."""

from typing import Final

from capi.models import ConversionEvent
from crm.data_exchange.exporting.archive import ArchiveFile, columns_of, rows_of

CONVERSION_EVENTS: Final = ArchiveFile(
    "conversion-events.csv",
    "What was sent to LinkedIn or was to be, for each CRM event and rule, with the outcome.",
    columns_of(
        event_id="Event id",
        crm_event_id="CRM event number",
        crm_event__get_kind_display="CRM event",
        rule__name="Rule",
        rule__linkedin_id="LinkedIn rule id",
        happened_at="Happened",
        created_at="Planned",
        get_state_display="State",
        get_reason_display="Reason",
        message="LinkedIn's message",
        http_status="HTTP status",
        attempts="Requests",
        settled_at="Ended",
        lead_id="Lead number",
        deal_id="Deal number",
        is_test="Test",
    ),
    rows_of(ConversionEvent, "rule", "crm_event"),
)
