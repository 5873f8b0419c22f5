"""From a CRM event to LinkedIn's answer. The database is the queue; messages only wake workers.

    planning    in the transaction of the change: one ConversionEvent for each active rule
    ═══════════ commit, then a wake-up that may get lost ═══════════
    deliver     one turn of a company's lane: lease ─▶ select ─▶ send ─▶ settle, until nothing is due. First it follows
                up a request whose worker died in the middle of it
      lane        the lease, the rest, the request budget, and which events the current request contains
      selection   the next batch of one rule, with each event checked again
      sending     sends the batch
      bisection   halves a refused batch until the bad events are known, or the rule is to blame
      outcomes    what follows from each answer
      settle      writes it, in one transaction that also checks that the lease is still ours
      backfill    when nothing is due: plans the next chunk of past events
    sweep       in every worker: finds lanes that are due and have no worker

A rule can count each lead, deal or person once: `deduplication` has the states of a lead's or deal's key, `duplicates`
queues the next event when a key is released, and `persons` chooses a person's event when a request is paid for.

From crm it imports only the models; all HTTP goes through `capi.linkedin`.
"""
