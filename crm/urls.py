"""URLs of the CRM pages."""

from django.urls import include, path

from crm.views import audit, company, deals, leads, people, shell, sign_in_provider, undo

urlpatterns = [
    path("", include("crm.accounts.urls")),
    path("theme/", shell.theme, name="theme"),
    path("switch-company/", shell.switch_company, name="switch_company"),
    path("outcomes-column/", shell.outcomes_column, name="outcomes_column"),
    path("undo/<uuid:action>/", undo.undo_action, name="undo"),
    path("leads/", leads.leads, name="leads"),
    path("leads/status/", leads.lead_bulk_status, name="lead_bulk_status"),
    path("leads/new/", leads.lead_new, name="lead_new"),
    path("leads/<int:pk>/", leads.lead, name="lead"),
    path("leads/<int:pk>/edit/", leads.lead_edit, name="lead_edit"),
    path("leads/<int:pk>/delete/", leads.lead_delete, name="lead_delete"),
    path("leads/<int:pk>/erase/", leads.lead_erase, name="lead_erase"),
    path("leads/<int:pk>/status/", leads.lead_status, name="lead_status"),
    path("deals/", deals.deals, name="deals"),
    path("deals/new/", deals.deal_new, name="deal_new"),
    path("deals/<int:pk>/", deals.deal, name="deal"),
    path("deals/<int:pk>/edit/", deals.deal_edit, name="deal_edit"),
    path("deals/<int:pk>/delete/", deals.deal_delete, name="deal_delete"),
    path("deals/<int:pk>/move/", deals.deal_move, name="deal_move"),
    path("company/", company.company, name="company"),
    path("company/sign-in/", sign_in_provider.sign_in_provider, name="sign_in_provider"),
    path("company/sign-in/remove/", sign_in_provider.sign_in_provider_remove, name="sign_in_provider_remove"),
    path("company/audit/", audit.audit_log, name="audit_log"),
    path("company/audit/export/", audit.audit_export, name="audit_export"),
    path("company/api-keys/new/", company.api_key_new, name="api_key_new"),
    path("company/api-keys/made/", company.api_key_made, name="api_key_made"),
    path("company/api-keys/<int:pk>/revoke/", company.api_key_revoke, name="api_key_revoke"),
    path("company/people/", people.people, name="people"),
    path("company/people/<int:pk>/role/", people.member_role, name="member_role"),
    path("company/people/<int:pk>/deactivate/", people.member_deactivate, name="member_deactivate"),
    path("company/people/<int:pk>/reactivate/", people.member_reactivate, name="member_reactivate"),
    path("company/invitations/<int:pk>/resend/", people.invitation_resend, name="invitation_resend"),
    path("company/invitations/<int:pk>/revoke/", people.invitation_revoke, name="invitation_revoke"),
    path("invitations/<str:token>/", people.invitation, name="invitation"),
    path("company/<str:kind>/", company.company_steps, name="company_steps"),
]
