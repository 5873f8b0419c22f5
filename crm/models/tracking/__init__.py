"""From a write to a CRM event and a line of the history, whichever way of the ORM the write took.

    save(), create(), get_or_create(), forms, the admin, the API   ─▶ `Tracked.save_base()`
    update(), bulk_update(), related managers, bulk changes        ─▶ `TrackedQuerySet.update()`
    bulk_create(); imports                                         ─▶ `TrackedQuerySet.bulk_create()`; `insert_like()`
                                                                      and `update_rows()`
    loaddata, which bypasses all of these                          ─▶ signals, in `crm.models.fixtures`

Each of them goes through the modules below, in one transaction:

    tracked       locks the rows, writes them and compares. Values in memory are never trusted: another request may have
                  changed the row
      snapshots     a `RowSnapshot` of each row before and after. A save writes and gets both in one statement, from
                    PostgreSQL 18 on
      recorder      `record()` turns the two into rows. Before its release, an event whose row has left its status or
                    stage is taken back, and a deal's new amount is written into it
        differences   the fields that differ: a `Change` each, which is a line of the history
        origin        who makes the change (`acting_as()`), and its action, by which it can be undone
        recorder_sql  inserts the `CrmEvent`s and `Change`s. With an action, an event gets its `release_at`: this is
                      where the grace period begins
      crm.signals   `crm_events_recorded`, `crm_events_taken_back`, `lead_contact_changed`: capi plans and cancels
    ═══════════ commit ═══════════

A merge is written by `update_without_events()`, for the history alone. Raw SQL is not tracked.

The package is among the models, because it is in the middle of them: `Lead` and `Deal` are `Tracked`, and what it
writes are the tables `CrmEvent` and `Change`, for a `Company` and a `User`. On a floor below it could not know these
tables, and above it could not be a base class. It imports no lead and no deal; `fixtures` does, and so stays outside.
"""
