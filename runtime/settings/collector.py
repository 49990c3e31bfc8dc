"""
The settings of the collector: what it records, how much may be pending, and its metrics.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from runtime.settings.types import Exact, Host, Section

_Null = BeforeValidator(lambda value: () if value is None else value)


class DepthSnapshot(Section):
    """REST snapshots of the book."""

    limit: Literal[5, 10, 20, 50, 100, 500, 1000, 5000] = Field(
        default=5000, description="Levels per side of a snapshot; more levels cost more request weight."
    )
    update_interval_seconds: int = Field(default=60, ge=1, le=3600, description="Seconds between snapshots.")
    window_size: int = Field(default=60, ge=1, le=1440, description="Number of latest snapshots that are analysed.")


class OrderFlow(Section):
    """Minute buckets of trades."""

    window_size_minutes: int = Field(
        default=2880,
        ge=1,
        le=10_080,
        description="Minutes of trades in the views; an analysis always uses at least 4320.",
    )
    price_precision: Exact | None = Field(
        default=None, ge=1e-8, le=1_000_000,
        description="Width of a price level, in quote coins, at most 8 decimals; null: a power of ten chosen by "
        "price, 0.05 to 0.5 basis points of it.",
    )  # fmt: skip
    history_hours: int = Field(
        default=72, ge=0, le=168, description="Hours of past trades fetched from the venue when a log is started."
    )


class Archive(Section):
    """When entries move from the log's server to Parquet, and how many also stay in the server for readers."""

    every_seconds: int = Field(default=300, ge=1, le=3600, description="Seconds between archivings.")
    keep_entries: int = Field(
        default=20_000,
        ge=1,
        le=10_000_000,
        description="Number of archived entries that stay in the server for readers.",
    )


class Backpressure(Section):
    """
    How much waits in memory while the log's server is slow or away; the rest goes to a file beside the log, up to
    `spill_megabytes`. Beyond that nothing more is read.
    """

    queue_facts: int = Field(
        default=50_000,
        ge=1_000,
        le=10_000_000,
        description="Maximum number of facts, of all markets, waiting in memory.",
    )
    queue_megabytes: int = Field(
        default=64, ge=1, le=16_384, description="Maximum megabytes of facts waiting in memory."
    )
    spill_megabytes: int = Field(
        default=8192,
        ge=1,
        le=10_000_000,
        description="Maximum megabytes of facts waiting in spill files; beyond that reading stops.",
    )


class DataCollector(Section):
    """What is recorded for every market."""

    depth_snapshot: DepthSnapshot = Field(default=DepthSnapshot(), description="REST snapshots of the book.")
    order_flow: OrderFlow = Field(default=OrderFlow(), description="Minute buckets of trades.")
    depth_diff: bool = Field(default=True, description="Whether every update of the book is recorded.")
    views: bool = Field(
        default=True,
        description="Whether lists of minutes and books are written to the server for other programs; costs CPU for "
        "each market.",
    )
    archive: Archive = Field(default=Archive(), description="When entries move from the log's server to Parquet.")
    backpressure: Backpressure = Field(
        default=Backpressure(), description="How much data may wait while the log's server is slow or away."
    )


class Metrics(Section):
    """The Prometheus endpoint, on this machine by default; none without a port."""

    host: Host = Field(default="127.0.0.1", description="The address to listen on.")
    port: int | None = Field(default=None, ge=1, le=65_535, description="The port to listen on; null: no endpoint.")
    allowed_hosts: Annotated[tuple[Host, ...], _Null] = Field(
        default=(),
        max_length=100,
        description="Host names (without port) accepted in requests, besides this machine's and `host`.",
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _as_compared(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower().removesuffix(".") for name in value)
