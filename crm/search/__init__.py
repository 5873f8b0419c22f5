"""From what someone types to the leads and deals that have it. The database keeps the texts that are searched.

When a lead is saved, in whatever way:

    lead_index    `search_text` of a lead: names, address, organisation, job title, digits of the phone number. A
                  generated column, folded by `folded_sql()`, with a GIN index of trigrams that begins with the company
    deal_index    `search_text` of a deal: its title and the text of its lead. Two triggers write it, and an index like
                  that of leads serves it

When someone searches:

    the page posts the text: `crm.services.searches` keeps it, and the URL has its key; the API has it in `?search=`
      crm.lists   `searched()` of the list's filter set calls `search()` of the queryset of `Lead` or `Deal`
      conditions  `matches()` or `deal_matches()`: each word, and the whole text where it is a phone number, becomes
                  `Contains`, a LIKE on `search_text` that the index answers
      folding     `folded()` does to the words what `folded_sql()` did to the texts: lower case, no accents

A word of one or two letters finds only the beginnings of words: it has no trigram unless a space precedes it.

Organisations are found by the texts of their leads (`crm.selectors.organisations`), custom fields without an index
(`contains_text()` in `crm.models.custom_lookups`).

The package imports nothing of crm. Leads and deals import it for their querysets, the first migration for its columns.
`LeadSearch`, the search that someone has typed, is a table, and so in `crm.models`.
"""
