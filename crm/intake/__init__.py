"""Leads from websites and programs: what a payload says, and the lead that it is about.

crm/views/intake.py       stores what comes to a source's address
  → signatures.py         whether the sender has signed it
crm/services/payloads.py  takes the stored payloads, company by company
  → bodies.py             the fields of a body, by path
  → leads.py              adds the lead, or fills what is empty in a known one
      consent.py          whether it may be shared with ad platforms
forgetting.py             deletes a person's payloads when they are erased
"""
