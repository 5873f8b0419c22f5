"""The triggers that note deletions: in the database, so that a cascade, plain SQL and the admin are included."""

from typing import Any, Final

from django.db import migrations

# The clock, not the transaction's start, so that what is noted late is not dated early.
DELETED_ROWS: Final = """
CREATE FUNCTION crm_note_deleted_rows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO crm_deletion (company_id, object, object_id, deleted_at)
    SELECT company_id, TG_ARGV[0], id, clock_timestamp() FROM gone;
    RETURN NULL;
END $$
"""
# Those that were erased or merged have been noted then.
DELETED_LEADS: Final = """
CREATE FUNCTION crm_note_deleted_leads() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO crm_deletion (company_id, object, object_id, deleted_at)
    SELECT company_id, 'lead', id, clock_timestamp() FROM gone
    WHERE erased_at IS NULL AND merged_into_id IS NULL;
    RETURN NULL;
END $$
"""
# A lead that was merged comes back when that is undone.
ENDED_LEAD: Final = """
CREATE FUNCTION crm_note_ended_lead() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.erased_at IS NULL AND NEW.merged_into_id IS NULL THEN
        DELETE FROM crm_deletion WHERE company_id = NEW.company_id AND object = 'lead' AND object_id = NEW.id;
    ELSE
        INSERT INTO crm_deletion (company_id, object, object_id, deleted_at, merged_into)
        VALUES (NEW.company_id, 'lead', NEW.id, clock_timestamp(), NEW.merged_into_id);
    END IF;
    RETURN NULL;
END $$
"""
# Rows by statement: a bulk change deletes 500 leads at a time. Any other save only evaluates the last condition.
TRIGGERS: Final = (
    "CREATE TRIGGER note_deleted AFTER DELETE ON crm_lead REFERENCING OLD TABLE AS gone "
    "FOR EACH STATEMENT EXECUTE FUNCTION crm_note_deleted_leads()",
    "CREATE TRIGGER note_deleted AFTER DELETE ON crm_deal REFERENCING OLD TABLE AS gone "
    "FOR EACH STATEMENT EXECUTE FUNCTION crm_note_deleted_rows('deal')",
    "CREATE TRIGGER note_deleted AFTER DELETE ON crm_task REFERENCING OLD TABLE AS gone "
    "FOR EACH STATEMENT EXECUTE FUNCTION crm_note_deleted_rows('task')",
    "CREATE TRIGGER note_ended AFTER UPDATE ON crm_lead FOR EACH ROW "
    "WHEN ((old.erased_at IS NULL AND old.merged_into_id IS NULL) "
    "<> (new.erased_at IS NULL AND new.merged_into_id IS NULL)) EXECUTE FUNCTION crm_note_ended_lead()",
)
# Django deletes a company's leads last but one, and would leave what they note then.
COMPANY_KEY: Final = (
    "ALTER TABLE crm_deletion ADD CONSTRAINT crm_deletion_of_company "
    "FOREIGN KEY (company_id) REFERENCES crm_company (id) ON DELETE CASCADE"
)
REMOVE: Final = (
    "DROP FUNCTION crm_note_deleted_rows, crm_note_deleted_leads, crm_note_ended_lead CASCADE",
    "ALTER TABLE crm_deletion DROP CONSTRAINT crm_deletion_of_company",
)


def deletion_triggers() -> migrations.RunPython:
    """Note each deletion from now on."""
    return migrations.RunPython(_add, _remove)


def _add(apps: Any, editor: Any) -> None:
    for statement in (COMPANY_KEY, DELETED_ROWS, DELETED_LEADS, ENDED_LEAD, *TRIGGERS):
        editor.execute(statement, None)


def _remove(apps: Any, editor: Any) -> None:
    for statement in REMOVE:
        editor.execute(statement, None)
