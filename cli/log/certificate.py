"""
`liquidity log check --day`: writes a day's certificate, or compares the day with one.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cli import console
from eventlog.proof.certificate import Certificate, certify, find_difference, load, path_of, save
from eventlog.store.log import Log
from market.ranges import Range
from market.timestamps import DAY_NS, MINUTE_NS, parse_iso

_MAX_RANGES = 3  # named, the others are counted


def certify_day(log: Log, day: str, as_json: bool, allow_gaps: bool) -> bool:
    """
    Write a day's certificate beside the log's files and print it.

    Args:
        log: of a market.
        day: UTC date, like 2026-01-05.
        as_json: whether it is printed as JSON.
        allow_gaps: whether a day passes whose missing entries are all recorded as gaps.

    Returns:
        Whether the day passes.
    """
    if waiting := log.cold.pending_bytes:
        raise console.Failure(
            f"{waiting:,} bytes wait on disk for {log.name} and may belong to {day}; "
            "certify after the collector has stored them"
        )
    with console.progress("certifying", None) as advance:
        certificate = certify(log, _midnight(day), advance)
    path = path_of(log.cold, certificate.day)
    save(certificate, path)
    if as_json:
        console.print_json(msgspec.to_builtins(certificate))
    else:
        _print(certificate, path)
    return certificate.complete or (allow_gaps and certificate.sound)


def compare(log: Log, path: Path, day: str | None, as_json: bool) -> bool:
    """
    Compare a day with its certificate and print the difference.

    Args:
        log: of the certificate's market.
        path: the certificate.
        day: UTC date that the certificate must be of, None for any.
        as_json: whether the result is printed as JSON.

    Returns:
        Whether nothing differs.
    """
    certificate = load(path.resolve())  # a link stands for its target
    if day is not None and certificate.day != day:
        raise console.Failure(f"{path} is of {certificate.day}, not of {day}; omit --day, or name the other file")
    with console.progress("comparing", None) as advance:
        text = find_difference(log, certificate, advance)
    if as_json:
        console.print_json({"day": certificate.day, "seal": certificate.seal, "difference": text})
    else:
        console.show(text or f"{certificate.day}: as certified, seal {certificate.seal}")
    return text is None


def _midnight(day: str) -> int:
    time_ns = parse_iso(day)
    if time_ns % DAY_NS:
        raise console.Failure(f"{day!r} is not a date; write 2026-01-05")
    return time_ns


def _print(certificate: Certificate, path: Path) -> None:
    trades, book, ticks = certificate.trades, certificate.book, certificate.ticks
    word = "complete" if certificate.complete else "NOT complete"
    console.show(f"{certificate.log} {certificate.day}: {word}")
    for reason in certificate.reasons:
        console.show(f"  {reason}")
    console.show(
        f"  entries  {certificate.entries:,}" + (f", seq {_range(certificate.seqs)}" if certificate.seqs else "")
    )
    console.show(
        f"  trades   {trades.count:,}, agg ids {_ranges(trades.agg_ids)}; trade ids {_ranges(trades.trade_ids)}"
    )
    sources = ", ".join(f"{source} {count:,}" for source, count in trades.sources.items())
    console.show(f"  sources  {sources or 'none'}")
    console.show(f"  updates  {certificate.updates.count:,}, ids {_ranges(certificate.updates.chained)}")
    console.show(
        f"  book     {book.snapshots:,} snapshots, {book.audits:,} audits, {book.unhealthy:,} of them unhealthy, "
        f"{len(book.resets):,} resets"
    )
    console.show(
        f"  ticks    {ticks.present:,} of {ticks.expected:,}; "
        f"trades live at {ticks.trades_live:,}, depth at {ticks.depth_live:,}"
    )
    console.show(
        f"  unproven trades {_minutes(certificate.unproven_trades)}, depth {_minutes(certificate.unproven_depth)}"
    )
    for gap in certificate.gaps:
        console.show(f"  gap      {gap.what} {gap.first}-{gap.last}: {gap.cause}, {gap.state}")
    if certificate.quarantined:
        console.show("  quarantined " + ", ".join(f"{n} {reason}" for reason, n in certificate.quarantined.items()))
    console.show(f"  seal     {certificate.seal} in {path}")


def _range(pair: Range) -> str:
    return f"{pair[0]} to {pair[1]}"


def _ranges(pairs: Sequence[Range]) -> str:
    if not pairs:
        return "none"
    text = ", ".join(_range(pair) for pair in pairs[:_MAX_RANGES])
    return text + (f" … in {len(pairs):,} runs" if len(pairs) > _MAX_RANGES else "")


def _minutes(ranges: Sequence[Range]) -> str:
    total = sum(end - start for start, end in ranges)
    return f"{total / MINUTE_NS:.2f} min" if total else "none"
