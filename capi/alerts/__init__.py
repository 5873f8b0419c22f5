"""Telling people what changed, once each.

watcher (each worker, every SWEEP_SECONDS)
   look      which companies are due; their state is compared with their open alerts, in one transaction:
               facts      what pauses and dates say now
               measures   what has to be counted: failures, silence, the oldest event on hold
               book       opens and closes alerts, and writes one Mail for each person who wants it
   post      sends the mails that are due, each claimed first
"""
