"""Work in the background, chunk by chunk: bulk changes, exports, imports, and all kinds that other apps register.

    a service stores a job ──► its row: who, what for, state, cursor        crm.models.job, one table for each kind
                                  │
    leadmachine.timers, every 2 s │
        Jobs ──► rounds.work_through(): each company in turn, one chunk of one of its jobs
                    └──► JobRunner.advance(), in runner.py
                            1. lock the row; another worker skips it
                            2. check that its author may still do this
                            3. work(): a chunk, the counts and the cursor
                            4. commit all of it, or nothing
                            └──► interrupted, too slow: again with a smaller chunk; failed after 5 in a row

No message is sent, so none can get lost. A worker that dies has done the whole chunk or none of it.

A kind is a `JobRunner`, which its app registers when it starts: `crm/apps.py`, `capi/apps.py`.
"""
