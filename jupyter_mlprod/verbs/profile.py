"""``profile``: latency, throughput and cold start of a bundle on this machine's CPU.

What is timed is the whole answer, raw input to label, because that is what a caller waits for; the graph alone is timed beside it, in
turns with it, so that a change of the machine's speed meets both.
"""

import gc
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.bundle import GOLDEN_INPUTS
from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.latency import enough, percentile
from jupyter_mlprod.core.ports import Ports, Runtime
from jupyter_mlprod.core.raw import Raw, repeated, rows
from jupyter_mlprod.core.requests.profile import Profile
from jupyter_mlprod.core.resolve import check_trust, find_bundle

WARM_UP = 20
LARGEST_BATCH = 100_000
MOST_SAMPLES = 3000
COLD_STARTS = 6
"""The range of six values is a 96.9 % interval of their median: 1 - 2 * 0.5 ** 6."""

PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
BLOCK = 20


def run(request: Profile, ports: Ports) -> Evidence:
    """Measure; Ctrl-C ends it without a record."""
    if not request.batches or min(request.batches) < 1 or max(request.batches) > LARGEST_BATCH:
        raise MlprodError(Code.BAD_REQUEST, f"batches {request.batches} must be 1 to {LARGEST_BATCH:,}")
    found = find_bundle(request.subject, ports)
    check_trust(found, ports, trust=request.trust)
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=request.threads)
    golden = ports.data.read(str(found.folder / GOLDEN_INPUTS))
    measures: list[Measure] = []
    busy = 0.0
    for batch in ports.progress("profile", _batches(request.batches, found.bundle.contract, golden, ports)):
        at_batch, share = _at_batch(runtime, repeated(golden, batch), batch=batch, budget_s=request.budget_s)
        measures += at_batch
        busy = max(busy, share)
    starts = [ports.runtimes.cold_start_ms(found.folder) for _ in ports.progress("cold start", range(COLD_STARTS))]
    measures.append(
        Measure(
            name="cold_start", value=float(np.median(starts)), low=min(starts), high=max(starts), unit="ms", n=len(starts),
            where={"device": "cpu"}, method="range-of-six", note="fresh process to first answer",
        )
    )  # fmt: skip
    context = {**ports.runtimes.context(), **ports.machine.context(), "threads": str(request.threads), "cpu_over_wall": f"{busy:.2f}"}
    evidence = Evidence(
        kind="latency", subject=found.digest, taken_at=ports.now(), taken_by=ports.taken_by, measures=tuple(measures), context=context
    )
    ports.records.put(evidence)
    return evidence


def _batches(asked: tuple[int, ...], contract: Contract, golden: Raw, ports: Ports) -> list[int]:
    """The batch sizes that a request may have; what is left out is told, and a rule on it stays without evidence."""
    most = contract.rows.per_request if contract.rows else None
    if any(isinstance(field, Column) and field.unique for field in contract.inputs):
        most = min(most or rows(golden), rows(golden))  # more would repeat a value
    kept = sorted({batch for batch in asked if most is None or batch <= most})
    if not kept:
        raise MlprodError(Code.BAD_REQUEST, f"no batch of {asked} is a request that the contract takes: at most {most} rows")
    if len(kept) < len(set(asked)):
        ports.tell(f"batches above {most} rows are left out: the contract takes no such request")
    return kept


def _at_batch(runtime: Runtime, raw: Raw, *, batch: int, budget_s: float) -> tuple[list[Measure], float]:
    """Percentiles of the answer and of the graph, and throughput, at one batch size; and the CPU time over wall time meanwhile."""
    prepared = runtime.prepare(raw)
    begin, cpu = time.perf_counter(), time.process_time()
    answer_ms, graph_ms = _timed(lambda: runtime.answer(raw), lambda: runtime.graph(prepared), budget_s=budget_s)
    share = (time.process_time() - cpu) / (time.perf_counter() - begin)
    where = {"batch": str(batch), "device": "cpu"}
    measures = _percentiles("latency", answer_ms, where) + _percentiles("graph_latency", graph_ms, where)
    rate = _throughput(answer_ms, batch)
    if rate is not None:
        value, low, high = rate
        measures.append(
            Measure(
                name="throughput",
                value=value,
                low=low,
                high=high,
                unit="rows/s",
                n=len(answer_ms),
                where=where,
                method="order-statistics of block means",
            )
        )
    return measures, share


def _timed(
    first: Callable[[], object], second: Callable[[], object], *, budget_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wall time of each call in ms, the two in turns, until the budget or the most samples; the garbage collector rests."""
    for _ in range(WARM_UP):
        first()
        second()
    samples: tuple[list[int], list[int]] = ([], [])
    clock = time.perf_counter_ns
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        end = clock() + int(budget_s * 1e9)
        while len(samples[0]) < MOST_SAMPLES and (clock() < end or len(samples[0]) < enough(0.5)):
            start = clock()
            first()
            middle = clock()
            second()
            samples[1].append(clock() - middle)
            samples[0].append(middle - start)
    finally:
        if was_enabled:
            gc.enable()
    return np.array(samples[0]) / 1e6, np.array(samples[1]) / 1e6


def _percentiles(name: str, samples_ms: NDArray[np.float64], where: dict[str, str]) -> list[Measure]:
    """Those percentiles that the number of samples allows; the others stay unmeasured, which no rule passes."""
    measures = []
    for suffix, q in PERCENTILES:
        if len(samples_ms) < enough(q):
            continue
        value, low, high = percentile(samples_ms, q)
        measures.append(
            Measure(
                name=f"{name}_{suffix}",
                value=value,
                low=low,
                high=high,
                unit="ms",
                n=len(samples_ms),
                where=where,
                method="order-statistics",
            )
        )
    return measures


def _throughput(samples_ms: NDArray[np.float64], batch: int) -> tuple[float, float, float] | None:
    """Rows per second, as the median over blocks of calls; None when there are too few blocks for an interval."""
    blocks = len(samples_ms) // BLOCK
    if blocks < enough(0.5):
        return None
    mean_ms = samples_ms[: blocks * BLOCK].reshape(blocks, BLOCK).mean(axis=1)
    value, low, high = percentile(mean_ms, 0.5)
    return 1000 * batch / value, 1000 * batch / high, 1000 * batch / low
