"""
Where the server of a storage keeps its data; to be asked without loading what talks to a server.
"""

from pathlib import Path

FOLDER = "redis"
"""Below the storage folder."""


def holds_data(storage: Path) -> bool:
    """Whether this storage ever had a server of its own."""
    return (storage / FOLDER / "appendonlydir").exists()
