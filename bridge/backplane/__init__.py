"""What several processes of one installation tell one another over Redis, where there is one.

Nothing in it is the truth, and nothing is only there: counters of rates, hints that there is something to read, who is
online, and where brokers listen. Each port has a twin that works within one process; with Redis away, or emptied,
the twin or the database answers.
"""
