"""What a search compares a deal with: its title and the search text of its lead, in one text of the deal.

PostgreSQL keeps it in a column of the deal, by triggers, so that a search reads no lead, and a change by SQL alone
counts too. An erasure empties it with the title and the lead's own text. On SQLite both are compared where they are.
"""

from typing import Any, Final

from django.db import connections, migrations

from crm.models.search import STABLE_COLLATION, folded_sql

# Of leads that are erased, or merged into another one, nothing is found.
TEXT: Final = """
CREATE FUNCTION crm_deal_text(title text, of_lead text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT ' ' || {title} || coalesce(of_lead, '')
$$
"""
# The leads first, as a change of a lead does, which then reaches for its deals.
LOCK: Final = "LOCK TABLE crm_lead IN SHARE ROW EXCLUSIVE MODE"
COLUMN: Final = "ALTER TABLE crm_deal ADD COLUMN search_text text NOT NULL DEFAULT ''"
FILL: Final = """
UPDATE crm_deal SET search_text = crm_deal_text(title, (
    SELECT lead.search_text FROM crm_lead AS lead
    WHERE lead.id = lead_id AND lead.erased_at IS NULL AND lead.merged_into_id IS NULL
))
"""
# The lead is locked: else a change of its name that isn't committed yet would be missed, and would miss this deal. The
# search path is part of both functions, as a restored dump has none.
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
# Most saves change nothing of what is searched, and only compare.
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
    "WITH (gin_pending_list_limit = 256)"  # as that of leads
)
REMOVE: Final = (
    "DROP FUNCTION crm_deal_search, crm_deal_search_of_lead CASCADE",
    "DROP FUNCTION crm_deal_text",
    "ALTER TABLE crm_deal DROP COLUMN search_text",
)


def deal_search_column() -> migrations.RunPython:
    """Give each deal a search text, on PostgreSQL."""
    return migrations.RunPython(_add_column, _drop_column)


def _add_column(apps: Any, editor: Any) -> None:
    if editor.connection.vendor != "postgresql":
        return
    has_collation = editor.connection.pg_version >= STABLE_COLLATION
    text = TEXT.format(title=folded_sql("title", has_collation=has_collation))
    # The triggers before the texts: a change of a lead meanwhile would be missed.
    for statement in (LOCK, text, COLUMN, OF_DEAL, OF_LEAD, *TRIGGERS, FILL, INDEX):
        editor.execute(statement, None)


def _drop_column(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for statement in REMOVE:
            editor.execute(statement, None)


def rewrite_deal_texts(leads: Any, *, using: str) -> None:
    """Write the search texts of these leads' deals again. A fixture may bring a deal before its lead."""
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(f"{FILL} WHERE lead_id = ANY(%s)", [[*leads]])
