"""The search text of a deal: its title and the search text of its lead.

Triggers keep it in a column of the deal: a search reads no leads, and changes by plain SQL are included. An erasure
empties it along with the title and the lead's search text.
"""

from typing import Any, Final

from django.db import connections, migrations

from crm.search.folding import folded_sql

# The texts of leads that were erased or merged into another one are left out.
TEXT: Final = """
CREATE FUNCTION crm_deal_text(title text, of_lead text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT ' ' || {title} || coalesce(of_lead, '')
$$
"""
# Leads first: a change of a lead also locks the lead before its deals.
LOCK: Final = "LOCK TABLE crm_lead IN SHARE ROW EXCLUSIVE MODE"
COLUMN: Final = "ALTER TABLE crm_deal ADD COLUMN search_text text NOT NULL DEFAULT ''"
FILL: Final = """
UPDATE crm_deal SET search_text = crm_deal_text(title, (
    SELECT lead.search_text FROM crm_lead AS lead
    WHERE lead.id = lead_id AND lead.erased_at IS NULL AND lead.merged_into_id IS NULL
))
"""
# Locks the lead: otherwise this would miss an uncommitted change of its name, and that change would miss this deal.
# Both functions set the search path, because a dump is restored without one.
OF_DEAL: Final = """
CREATE FUNCTION crm_deal_search() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE of_lead text;
BEGIN
    SELECT search_text INTO of_lead FROM crm_lead
    WHERE id = NEW.lead_id AND erased_at IS NULL AND merged_into_id IS NULL FOR SHARE;
    NEW.search_text := crm_deal_text(NEW.title, of_lead);
    RETURN NEW;
END $$
"""
OF_LEAD: Final = """
CREATE FUNCTION crm_deal_search_of_lead() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE crm_deal SET search_text = crm_deal_text(
        title, CASE WHEN NEW.erased_at IS NULL AND NEW.merged_into_id IS NULL THEN NEW.search_text END
    ) WHERE lead_id = NEW.id;
    RETURN NULL;
END $$
"""
# Most saves change nothing that is searched: they only evaluate the conditions.
TRIGGERS: Final = (
    "CREATE TRIGGER deal_search_insert BEFORE INSERT ON crm_deal FOR EACH ROW EXECUTE FUNCTION crm_deal_search()",
    "CREATE TRIGGER deal_search_update BEFORE UPDATE ON crm_deal FOR EACH ROW "
    "WHEN (old.title <> new.title OR old.lead_id <> new.lead_id) EXECUTE FUNCTION crm_deal_search()",
    "CREATE TRIGGER deal_search_of_lead AFTER UPDATE ON crm_lead FOR EACH ROW "
    "WHEN (old.search_text <> new.search_text OR (old.erased_at IS NULL) <> (new.erased_at IS NULL) "
    "OR (old.merged_into_id IS NULL) <> (new.merged_into_id IS NULL)) EXECUTE FUNCTION crm_deal_search_of_lead()",
)
INDEX: Final = (
    "CREATE INDEX deal_search ON crm_deal USING gin (company_id, search_text gin_trgm_ops) "
    "WITH (gin_pending_list_limit = 256)"  # as for leads
)
REMOVE: Final = (
    "DROP FUNCTION crm_deal_search, crm_deal_search_of_lead CASCADE",
    "DROP FUNCTION crm_deal_text",
    "ALTER TABLE crm_deal DROP COLUMN search_text",
)


def deal_search_column() -> migrations.RunPython:
    """Give each deal a search text."""
    return migrations.RunPython(_add_column, _drop_column)


def _add_column(apps: Any, editor: Any) -> None:
    text = TEXT.format(title=folded_sql("title"))
    # Triggers before FILL: otherwise a change of a lead in between would be missed.
    for statement in (LOCK, text, COLUMN, OF_DEAL, OF_LEAD, *TRIGGERS, FILL, INDEX):
        editor.execute(statement, None)


def _drop_column(apps: Any, editor: Any) -> None:
    for statement in REMOVE:
        editor.execute(statement, None)


def rewrite_deal_texts(leads: Any, *, using: str) -> None:
    """Rewrite the search texts of these leads' deals. A fixture may load a deal before its lead."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"{FILL} WHERE lead_id = ANY(%s)", [[*leads]])
