"""What Prometheus is told, by role: a table each, with one row for each metric.

Everything is a plain number that the role keeps anyway, read when somebody asks. The tables of docs/ are made from
these: `python -m cli.exposition` prints them.
"""
