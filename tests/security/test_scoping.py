"""S04: pages and the API reach a company's rows through `for_company` or `own_or_404`, and in no other way."""

import ast
from collections.abc import Iterator, Mapping

import pytest
from django.apps import apps
from django.conf import settings

from crm.models.tenancy import CompanyQuerySet

# All models whose rows belong to a company.
TENANTS_MODELS = frozenset(
    model.__name__
    for model in apps.get_models()
    if isinstance(model._default_manager.all(), CompanyQuerySet)
)
MANAGERS = ("objects", "_default_manager", "_base_manager")
EDGES = (
    "crm/views", "crm/api", "crm/forms", "crm/selectors", "crm/lists",
    "capi/views", "capi/api", "capi/forms", "capi/selectors", "capi/diagnostics",
)  # fmt: skip
EDGE_FILES = (
    "crm/accounts/decorators.py",
    "crm/accounts/middleware.py",
    "crm/accounts/sessions.py",
    "crm/accounts/company_sign_in.py",
)
# Calls that are right without the company: the file, the model and method, and why.
REASONED = {
    (
        "capi/selectors/rule_duplicates.py",
        "ConversionRule.filter",
    ): "filtered by the company of each rule",
    (
        "capi/selectors/timeline.py",
        "ConversionRule.filter",
    ): "the rules of events that were found by company",
    (
        "crm/accounts/decorators.py",
        "Membership.filter",
    ): "one's own memberships, whatever the company",
    (
        "crm/accounts/sessions.py",
        "Membership.active",
    ): "one's own memberships, whatever the company",
    (
        "crm/accounts/company_sign_in.py",
        "SignInProvider.filter",
    ): "the code in the address is what tells the company",
    (
        "crm/accounts/company_sign_in.py",
        "Invitation.find",
    ): "the token in the form is the right to it",
    (
        "crm/accounts/decorators.py",
        "SignInProvider.filter",
    ): "of one's own memberships, whatever the company",
    (
        "crm/views/people.py",
        "Invitation.find",
    ): "the token in the address is the right to it",
    ("crm/api/authentication.py", "ApiKey.find"): "the key is what tells the company",
    (
        "crm/api/authentication.py",
        "ApiKey.filter",
    ): "the key that was found a moment ago",
    (
        "crm/views/leads.py",
        "Lead.filter",
    ): "the lead that was found a moment ago, by its id",
    (
        "crm/selectors/timeline.py",
        "CrmEvent.filter",
    ): "of the leads or deals of a page, which are the company's own",
    ("crm/forms/leads.py", "LeadStatus.first_for"): "takes the company itself",
    ("crm/forms/deals.py", "Stage.first_for"): "takes the company itself",
    (
        "crm/forms/deal_outcomes.py",
        "LostReason.none",
    ): "none, until the form knows its deal",
    (
        "crm/api/pipelines.py",
        "Pipeline.prefetch_related",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/pipelines.py",
        "LostReason.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/picklists.py",
        "LeadStatus.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/views/picklists.py",
        "Pipeline.default_of",
    ): "takes the company of the member",
    (
        "crm/selectors/pipelines.py",
        "Deal.open",
    ): "those in pipelines of the company's own stages",
    (
        "crm/api/views.py",
        "Lead.current",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/organisations.py",
        "Lead.current",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/views/intake.py",
        "IntakeSource.find",
    ): "the token in the address is the right to it",
    (
        "crm/views/calendar_feeds.py",
        "CalendarFeed.find",
    ): "the token in the address is the right to it",
    (
        "crm/api/views.py",
        "Task.select_related",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/notes.py",
        "Note.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/attachments.py",
        "Attachment.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/selectors/attachments.py",
        "Attachment.on",
    ): "takes a lead, deal or note, and narrows it to its company",
    (
        "crm/api/views.py",
        "Deal.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "capi/api/views.py",
        "ConversionRule.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "capi/api/views.py",
        "ConversionEvent.select_related",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "capi/forms/reports.py",
        "ConversionRule.none",
    ): "none, until the form knows its company",
    (
        "capi/forms/backfills.py",
        "ConversionRule.none",
    ): "none, until the form knows its company",
    (
        "capi/selectors/rules.py",
        "ConversionEvent.select_related",
    ): "ids that a query of the company's own rules found",
    (
        "capi/selectors/expected_conversions.py",
        "ConversionEvent.filter",
    ): "of one of the company's own rules",
    ("crm/selectors/my_day.py", "Task.open"): "a subquery about the member's own deals",
    (
        "capi/selectors/dashboard.py",
        "Lead.order_by",
    ): "those in the company's own statuses",
    (
        "crm/selectors/deals.py",
        "CrmEvent.filter",
    ): "a subquery about the company's own deals",
    (
        "capi/selectors/event_actions.py",
        "ConversionEvent.filter",
    ): "the event that was found a moment ago, by its id",
    (
        "capi/selectors/reconcile.py",
        "ConversionRule.in_bulk",
    ): "ids that a query of the company's own rules has found",
    (
        "capi/selectors/connection.py",
        "ConversionRule.active",
    ): "a subquery about the connection's own company",
    (
        "capi/diagnostics/checkups.py",
        "Checkup.update_or_create",
    ): "names the company among the fields",
    (
        "capi/diagnostics/checkups.py",
        "Connection.filter",
    ): "the daily check-up goes through all companies",
    (
        "capi/selectors/metrics.py",
        "Connection.filter",
    ): "numbers of all companies together, for the operator",
    (
        "capi/selectors/metrics.py",
        "Connection.annotate",
    ): "numbers of all companies together, for the operator",
    (
        "capi/selectors/metrics.py",
        "Attempt.order_by",
    ): "numbers of all companies together, for the operator",
    (
        "capi/selectors/metrics.py",
        "ConversionEvent.filter",
    ): "of each company's lane",
    (
        "capi/selectors/metrics.py",
        "Mail.filter",
    ): "numbers of all companies together, for the operator",
    (
        "capi/selectors/timeline.py",
        "ConversionEvent.filter",
    ): "of the timeline's own CRM events",
    (
        "crm/api/bulk_changes.py",
        "BulkChange.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/custom_fields.py",
        "CustomField.not_removed",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/deletions.py",
        "Deletion.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/duplicates.py",
        "LeadDuplicate.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/exports.py",
        "DataExport.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/imports.py",
        "LeadImport.select_related",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/merges.py",
        "LeadMerge.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/picklists.py",
        "LeadSource.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/picklists.py",
        "LeadType.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/picklists.py",
        "Tag.all",
    ): "CompanyViewSet narrows it to the caller's company",
    (
        "crm/api/saved_views.py",
        "SavedView.all",
    ): "CompanyViewSet narrows it to the caller's company",
    ("crm/lists/leads.py", "LeadType.filter"): "filtered by the company of each lead",
    (
        "crm/selectors/data_exports.py",
        "ExportPart.filter",
    ): "of an export that was found by company",
    (
        "crm/views/lead_merges.py",
        "LeadMerge.select_related",
    ): "of a lead that was found by company",
    ("crm/api/merges.py", "CustomField.of"): "takes the company itself",
    ("crm/lists/deals.py", "CustomField.of"): "takes the company itself",
    ("crm/lists/definition.py", "CustomField.of"): "takes the company itself",
    ("crm/lists/leads.py", "CustomField.of"): "takes the company itself",
    ("crm/selectors/custom_fields.py", "CustomField.of"): "takes the company itself",
    (
        "crm/api/imports.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/selectors/import_cells.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/selectors/import_presets.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/selectors/import_readings.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/selectors/import_values.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/selectors/lead_imports.py",
        "LeadImportRow.of",
    ): "takes an import, and narrows it to its company",
    (
        "crm/api/exports.py",
        "DataExport.open_to",
    ): "takes its author, and narrows it to their company",
    (
        "crm/selectors/data_exports.py",
        "DataExport.open_to",
    ): "takes its author, and narrows it to their company",
    (
        "crm/views/data_exports.py",
        "DataExport.open_to",
    ): "takes its author, and narrows it to their company",
}


# What takes a company, or a caller who has one, and narrows the rows to it.
OF_A_COMPANY = frozenset(
    {
        "for_company",
        "newest_of",
        "oldest_of",
        "own_or_404",
        "visible_to",
    }
)


def unscoped() -> set[tuple[str, str]]:
    """Each place that reaches a tenant's rows without their company: its file, with the model and the method."""
    root = settings.BASE_DIR
    files = [root / name for name in EDGE_FILES] + [
        path for folder in EDGES for path in (root / folder).rglob("*.py")
    ]
    return {
        (str(path.relative_to(root)), reached)
        for path in files
        for reached in reached_in(ast.parse(path.read_text()))
    }


def reached_in(tree: ast.Module) -> Iterator[str]:
    """`Model.method` of each call in the tree that is not narrowed to a company."""
    parents = {
        child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(ast.Attribute(ast.Name(model), manager), method)
            ) if model in TENANTS_MODELS and manager in MANAGERS:
                if not OF_A_COMPANY & {method, *narrowed_by(node, parents)}:
                    yield f"{model}.{method}"


def narrowed_by(call: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> Iterator[str]:
    """The names of what is called on the result, and of the function that it is passed to."""
    node = parents[call]
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node.func, ast.Name):
            yield node.func.id
        node = parents[node]


def test_no_page_reaches_rows_without_their_company() -> None:
    assert unscoped() - set(REASONED) == set()


@pytest.mark.parametrize("place", REASONED, ids=" ".join)
def test_no_reason_is_left_over(place: tuple[str, str]) -> None:
    assert place in unscoped()
