import subprocess
import sys

# In a process of its own: the collector is the whole process's, and other tests measure memory.
SETTLED = """
import gc
from cli import loop
kept = [[] for _ in range(1000)]
loop.settle_heap()
assert gc.get_freeze_count() >= len(kept), gc.get_freeze_count()
assert not any(container is kept for container in gc.get_objects())
"""


def test_what_is_there_once_all_is_built_is_not_looked_through_again():
    subprocess.run([sys.executable, "-c", SETTLED], check=True, timeout=150)
