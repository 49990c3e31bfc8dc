"""
The memory allocator of a process that runs for months.
"""

import pyarrow as pa


def use_one_allocator() -> None:
    """
    Make Arrow use the system's allocator.

    Its own allocator keeps a heap for every thread that ever archived: over a day of archiving it took some 30 MB more,
    and kept growing.
    """
    pa.set_memory_pool(pa.system_memory_pool())
