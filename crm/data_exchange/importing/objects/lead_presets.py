"""The exports of leads of other CRMs: what their columns are named, and which field each of them is.

A name that is not here is guessed, as in any other file. Sources, as of 2026-12-02:

HubSpot: the labels of a contact's properties name the columns, https://knowledge.hubspot.com/crm-setup/set-up-your-import-file
Pipedrive: "All default Pipedrive fields" in https://support.pipedrive.com/en/article/importing-sample-import-spreadsheets
(for these two, what others quote of the pages; the pages themselves were not read)
Salesforce: https://developer.salesforce.com/docs/atlas.en-us.sfFieldRef.meta/sfFieldRef/salesforce_field_reference_Lead.htm,
whose labels name the columns of a report, and whose names those of a data export
Zoho: https://help.zoho.com/portal/en/kb/crm-nextgen/sales-force-automation/leads, "Standard Fields in Leads"
Attio: https://developers.attio.com/docs/standard-objects-people
"""

from typing import Final

from crm.data_exchange.importing.objects.definition import (
    LEFT_OUT,
    Preset,
)

HUBSPOT: Final = Preset(
    "hubspot",
    "HubSpot",
    {
        "Record ID": LEFT_OUT,
        "First Name": "first_name",
        "Last Name": "last_name",
        "Email": "email",
        "Phone Number": "phone",
        "Mobile Phone Number": "phone",
        "Job Title": "title",
        "Company Name": "organisation",
        "Associated Company": "organisation",
        "Contact owner": "owner",
        "Lead Status": "status",
        "Lifecycle Stage": LEFT_OUT,
        "Original Source": "source",
        "Original Traffic Source": "source",
        "Message": "notes",
        "Unsubscribed from all email": "opted_out",
    },
    marks=[
        "Record ID", "Contact owner", "Lifecycle Stage", "Create Date", "Associated Company", "Original Source",
        "Original Traffic Source", "Unsubscribed from all email", "Marketing contact status", "Last Activity Date",
    ],
)  # fmt: skip
_PIPEDRIVE: Final = {
    "Person - Name": "full_name",
    "Person - First name": "first_name",
    "Person - Last name": "last_name",
    "Person - Email": "email",
    "Person - Email - Work": "email",
    "Person - Email - Home": "email",
    "Person - Email - Other": "email",
    "Person - Phone": "phone",
    "Person - Phone - Work": "phone",
    "Person - Phone - Mobile": "phone",
    "Person - Phone - Home": "phone",
    "Person - Phone - Other": "phone",
    "Person - Job title": "title",
    "Person - Organization": "organisation",
    "Person - Owner": "owner",
    "Person - Label": "tags",
    "Person - Labels": "tags",
    "Person - Notes": "notes",
    "Person - ID": LEFT_OUT,
    "Person - Pipedrive System ID": LEFT_OUT,
    "Lead - Title": LEFT_OUT,
    "Lead - Contact person": "full_name",
    "Lead - Organization": "organisation",
    "Lead - Owner": "owner",
    "Lead - Labels": "tags",
    "Lead - Source": "source",
    "Lead - Source channel": "source",
    "Lead - Pipedrive System ID": LEFT_OUT,
    "Organization - Name": "organisation",
}
PIPEDRIVE: Final = Preset(
    "pipedrive",
    "Pipedrive",
    {**_PIPEDRIVE, "Contact person": "full_name", "Organization": "organisation"},
    marks=[*_PIPEDRIVE],
)
# Salesforce and Zoho have these.
_OF_A_LEAD: Final = {
    "Lead Owner": "owner",
    "First Name": "first_name",
    "Last Name": "last_name",
    "Full Name": "full_name",
    "Company": "organisation",
    "Title": "title",
    "Email": "email",
    "Phone": "phone",
    "Mobile": "phone",
    "Lead Source": "source",
    "Lead Status": "status",
    "Description": "notes",
    "Email Opt Out": "opted_out",
    "Rating": LEFT_OUT,
}
_MARKS_OF_A_LEAD: Final = ("Lead Owner", "Lead Source", "Lead Status", "Email Opt Out")
SALESFORCE: Final = Preset(
    "salesforce",
    "Salesforce",
    {
        **_OF_A_LEAD,
        "Company / Account": "organisation",
        "Mobile Phone": "phone",
        "Status": "status",
        "HasOptedOutOfEmail": "opted_out",
        "Name": "full_name",
        "Id": LEFT_OUT,
        "Lead ID": LEFT_OUT,
        "OwnerId": LEFT_OUT,
    },
    marks=[
        *_MARKS_OF_A_LEAD, "Company / Account", "Lead ID", "LeadSource", "MobilePhone", "OwnerId", "IsConverted",
        "HasOptedOutOfEmail", "SystemModstamp", "CreatedById", "LastModifiedById", "MasterRecordId",
    ],
)  # fmt: skip
ZOHO: Final = Preset(
    "zoho",
    "Zoho",
    {
        **_OF_A_LEAD,
        "Record Id": LEFT_OUT,
        "Lead Owner.id": LEFT_OUT,
        "Lead Name": "full_name",
        "Designation": "title",
        "Secondary Email": LEFT_OUT,
        "Tag": "tags",
    },
    marks=[
        *_MARKS_OF_A_LEAD, "Record Id", "Lead Owner.id", "Created By.id", "Secondary Email", "Skype ID",
        "Unsubscribed Mode", "Lead Conversion Time",
    ],
)  # fmt: skip
ATTIO: Final = Preset(
    "attio",
    "Attio",
    {
        "Record ID": LEFT_OUT,
        "Name": "full_name",
        "Email addresses": "email",
        "Phone numbers": "phone",
        "Company": "organisation",
        "Job title": "title",
        "Description": "notes",
        "Primary location": LEFT_OUT,
    },
    marks=[
        "Record ID", "Email addresses", "Phone numbers", "Primary location", "Associated deals", "Associated users",
        "AngelList",
    ],
)  # fmt: skip
PRESETS: Final = {
    preset.key: preset for preset in (HUBSPOT, PIPEDRIVE, SALESFORCE, ZOHO, ATTIO)
}
