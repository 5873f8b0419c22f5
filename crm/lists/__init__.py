"""A list is declared once, and everything else reads it there:

    columns.py · filters.py · keyset.py · custom_fields.py      what lists are made of
                      │
                      ▼
    definition.py     List: rows, columns, filters, orders, who may see and export it
                      │
                      ▼
    leads.py · deals.py · tasks.py · organisations.py           each of them once
                      │
                      ▼
    registry.py       all of them by key, as apps register them when they start

Page, saved views, bulk changes, export and REST API all go through the registry or import a list.
"""
