"""Alerts: tell each person once about each change.

Every worker, every SWEEP_SECONDS:
   evaluate        finds the companies that are due and compares the state of each with its open alerts; in one
                   transaction, opens and closes alerts and writes one Mail for each person who wants it
     conditions      pauses and dates
     detectors       what has to be counted: failures, silence, the oldest event on hold
   notifications   sends the mails that are due, claiming each first
"""
