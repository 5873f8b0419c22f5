"""capi's pages: the dashboard, LinkedIn setup, rules, Recent Events, reports and the sandbox."""

from django.urls import path

from capi.views import (
    alerts,
    backfills,
    connection,
    dashboard,
    dry_run,
    events,
    reports,
    rule_import,
    rules,
    sandbox,
)

urlpatterns = [
    path("dashboard/", dashboard.dashboard, name="dashboard"),
    path("integrations/linkedin/", connection.setup, name="linkedin"),
    path("integrations/linkedin/token/", connection.token, name="token_save"),
    path(
        "integrations/linkedin/token/remove/",
        connection.remove_token,
        name="token_remove",
    ),
    path("integrations/linkedin/resume/", connection.resume, name="connection_resume"),
    path("integrations/linkedin/grace/", connection.save_grace, name="grace_save"),
    path(
        "integrations/linkedin/account/",
        rule_import.save_account,
        name="ad_account_save",
    ),
    path("integrations/linkedin/check/", connection.check, name="check"),
    path("integrations/linkedin/rules/new/", rules.new, name="rule_new"),
    path("integrations/linkedin/rules/import/", rule_import.choose, name="rule_import"),
    path("integrations/linkedin/rules/<int:pk>/", rules.detail, name="rule"),
    path("integrations/linkedin/rules/<int:pk>/edit/", rules.edit, name="rule_edit"),
    path(
        "integrations/linkedin/rules/<int:pk>/active/",
        rules.set_active,
        name="rule_active",
    ),
    path(
        "integrations/linkedin/rules/<int:pk>/resume/", rules.resume, name="rule_resume"
    ),
    path(
        "integrations/linkedin/rules/<int:pk>/delete/", rules.delete, name="rule_delete"
    ),
    path(
        "integrations/linkedin/rules/<int:pk>/test/", rules.send_test, name="rule_test"
    ),
    path(
        "integrations/linkedin/tests/<int:pk>/", rules.test_result, name="test_result"
    ),
    path("integrations/linkedin/overview/", reports.overview, name="overview"),
    path(
        "integrations/linkedin/overview/export/",
        reports.overview_export,
        name="overview_export",
    ),
    path("integrations/linkedin/backfill/", backfills.overview, name="backfills"),
    path("integrations/linkedin/backfill/plan/", backfills.plan, name="backfill_plan"),
    path("integrations/linkedin/backfill/<int:pk>/", backfills.detail, name="backfill"),
    path(
        "integrations/linkedin/backfill/<int:pk>/pause/",
        backfills.pause,
        name="backfill_pause",
    ),
    path(
        "integrations/linkedin/backfill/<int:pk>/resume/",
        backfills.resume,
        name="backfill_resume",
    ),
    path(
        "integrations/linkedin/backfill/<int:pk>/cancel/",
        backfills.cancel,
        name="backfill_cancel",
    ),
    path("integrations/linkedin/events/", events.events, name="events"),
    path("integrations/linkedin/events/retry/", events.retry, name="events_retry"),
    path("integrations/linkedin/events/cancel/", events.cancel, name="events_cancel"),
    path(
        "integrations/linkedin/events/export/",
        events.events_export,
        name="events_export",
    ),
    path("integrations/linkedin/events/<int:pk>/", events.detail, name="event"),
    path("integrations/linkedin/alerts/", alerts.alerts, name="alerts"),
    path("integrations/linkedin/alerts/mail/", alerts.choose_mail, name="mail_choice"),
    path(
        "mail/unsubscribe/<str:token>/",
        alerts.unsubscribe_from_mail,
        name="mail_unsubscribe",
    ),
    path("integrations/linkedin/reconcile/", reports.week, name="reconcile"),
    path(
        "integrations/linkedin/reconcile/export/",
        reports.export_week,
        name="reconcile_export",
    ),
    path("integrations/linkedin/dry-run/", dry_run.dry_run, name="dry_run"),
    path("integrations/linkedin/hash/", dry_run.check_hash, name="check_hash"),
    path("sandbox/linkedin/", sandbox.received, name="sandbox"),
]
