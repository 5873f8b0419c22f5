"""From a CRM event to LinkedIn's answer. The database is the truth and the queue; messages are wake-ups only.

    plan     in the transaction of the change: one ConversionEvent per active rule
    ════════ commit, then a wake-up that may get lost ════════
    deliver  one turn of a company's lane: lease ─▶ take ─▶ send ─▶ settle, until nothing is due
      lane     the lease, the rest, and the purse of requests
      take     the next batch of one rule, checked again
      batch    sends it; halves what is refused until it is known who or what is refused
      settle   writes what came of it, in one transaction that also proves that the lease is still ours
      backfill where nothing is due: plans the next chunk of what happened before
    sweep    in every worker: lanes that are due and that nobody works on

It knows no crm (an event's lead and address are reached through its foreign keys) and no HTTP but `capi.linkedin`.
"""
