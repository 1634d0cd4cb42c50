"""The stack laboratory: brings docker/ up for real, breaks it under load, and holds what it did against the guarantee.

`verdict` judges; `rounds` is what is done, one after the other; everything else is a part of the bench: the
containers, the crew that talks, the backup.
"""
