from django.apps import AppConfig


class CapiConfig(AppConfig):
    name = "capi"
    verbose_name = "LinkedIn conversions"

    def ready(self) -> None:
        from capi import receivers  # noqa: F401 - importing it connects the signal handlers
        from capi.delivery.backfill import BackfillRunner
        from capi.selectors import deal_people, expected_conversions, timeline
        from capi.selectors.company_archive import CONVERSION_EVENTS
        from crm.data_exchange.exporting import archive
        from crm.jobs.rounds import RUNNERS
        from crm.selectors import lead_imports, picklists
        from crm.selectors.timeline import event_outcomes, outlooks
        from crm.services import status_changes
        from crm.services.deal_people import reasons_to_keep_lead

        event_outcomes.append(timeline.outcomes)
        outlooks.append(timeline.outlook)
        status_changes.expected_conversions.append(expected_conversions.of_leads)
        lead_imports.conversions_of_new_leads.append(expected_conversions.of_new_leads)
        picklists.reported_kinds.append(expected_conversions.reported_kinds)
        reasons_to_keep_lead.append(deal_people.why_lead_stays)
        archive.FILES.append(CONVERSION_EVENTS)
        RUNNERS.append(BackfillRunner())
