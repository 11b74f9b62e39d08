"""A papermill engine with true statuses: a code cell is ``completed`` only when the kernel replied ok and nothing failed behind its back.

It raises for the first cell that ended otherwise, since papermill forgives ``sys.exit(0)`` afterwards, and it runs its own loop over
the cells, since papermill's marks the cell of a dead kernel completed. Import papermill before this module (as ``papermill --engine
mlprod`` does): papermill loads its engines while it is itself being imported.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from time import monotonic
from typing import IO, Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async
from papermill.clientwrap import PapermillNotebookClient  # type: ignore[import-untyped]
from papermill.engines import Engine, NotebookExecutionManager  # type: ignore[import-untyped]
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from papermill.iorw import LocalHandler, papermill_io  # type: ignore[import-untyped]
from papermill.log import logger  # type: ignore[import-untyped]

from jupyter_mlprod.adapters.kernel_probe import TELL, install_text
from jupyter_mlprod.core.errors import Code, MlprodError

OUTPUT_CAP = 10_000_000
"""Characters of output that a cell may leave in the notebook."""
SETTLE_S = 5.0
"""How long threads and tasks of the notebook may run on after its last cell."""
INTERRUPT_GRACE_S = 4
"""How long a cell may take to answer an interrupt before its kernel is killed."""
SAVE_SHARE = 20
"""A save waits for this many times the duration of the last one, so that saving costs at most 5 % of the run."""

# nbformat's constructors are untyped.
_new_output: Any = nbformat.v4.new_output
_new_node: Any = nbformat.NotebookNode


class MlprodEngine(Engine):  # type: ignore[misc]
    """The engine that ``papermill --engine mlprod`` and the gate use.

    Beyond papermill's options it takes ``kernel_env``, variables that the kernel gets in addition, and ``save_to``, an output that
    only the engine writes, whole or not at all.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: nbformat.NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        save_to: str | None = None,
        **options: Any,
    ) -> Any:
        manager = TrueStatuses(nb, save_to or output_path, log_output, progress_bar, autosave_cell_every)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, **options)
        finally:
            manager.notebook_complete()
        return _forgiven(nb)

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: "TrueStatuses",
        kernel_name: str,
        execution_timeout: int | None = None,
        start_timeout: int = 60,
        kernel_env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        options.pop("input_path", None)
        timeout = execution_timeout or None  # papermill's own engine takes 0 for no limit as well
        client = CellByCell(nb_man, kernel_name=kernel_name, timeout=timeout, startup_timeout=start_timeout, log=logger, **options)
        _run(client.run_notebook({**os.environ, **(kernel_env or {})}))


class TrueStatuses(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps the notebook on disk while it runs; what never ran stays ``pending``."""

    _next_save = 0.0

    def notebook_start(self, **options: Any) -> None:
        self.nb.metadata.papermill["output_path"] = self.output_path
        for cell in self.nb.cells:  # a lone surrogate could be neither sent to the kernel nor written
            cell.source = cell.source.encode("utf-8", "replace").decode()
        super().notebook_start(**options)

    def notebook_complete(self, **_: Any) -> None:
        self.end_time = self.now()
        about = self.nb.metadata.papermill
        about["end_time"] = self.end_time.isoformat()
        about["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        self._next_save = 0.0
        self.save()

    def save(self, **_: Any) -> None:
        began = monotonic()
        if not self.output_path or began < self._next_save:
            return
        _write(self.nb, self.output_path)
        self.last_save_time = self.now()
        self._next_save = monotonic() + SAVE_SHARE * (monotonic() - began)


class CellByCell(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells in order and raises ``PapermillExecutionError`` for the first that did not end well."""

    def __init__(self, manager: TrueStatuses, **options: Any) -> None:
        super().__init__(manager, **options)
        self.on_cell_executed = self._keep_reply
        self.iopub_timeout = 30  # 4 s by default, which a slow machine needs for 10 MB of output
        self.shell_timeout_interval = 1
        self._reply: dict[str, Any] | None = None
        self._probed = self._timed_out = self._over_cap = False
        self._kept = 0
        self._stopping: asyncio.Future[None] | None = None

    async def run_notebook(self, env: Mapping[str, str]) -> None:
        self.reset_execution_trackers()
        try:
            await self._start(env)
            last: tuple[int, Any] | None = None
            for index, cell in enumerate(self.nb.cells):
                await self._run_cell(index, cell)
                last = (index, cell) if self._reply else last
            if last is not None and self._probed:
                self._raise_if(await self._settle(*last), *last)
            self.set_widgets_metadata()
        finally:
            if self.km is not None:
                await self._async_cleanup_kernel()

    async def _start(self, env: Mapping[str, str]) -> None:
        with tempfile.TemporaryFile() as words:
            try:
                self.create_kernel_manager()
                await self.async_start_new_kernel(env=env, stdout=words, stderr=words)
                await self.async_start_new_kernel_client()
            except (NoSuchKernel, OSError, RuntimeError) as error:
                cause = _last_line(words) or str(error)
                message = f"the kernel {self.kernel_name!r} did not start: {cause}"
                hint = "jupyter kernelspec list; for Python: python -m pip install ipykernel && python -m ipykernel install --user"
                raise MlprodError(Code.KERNEL, message, hint=hint) from error
        info = await self.async_wait_for_reply(self.kc.kernel_info())
        if info is not None:
            self.nb.metadata["language_info"] = info["content"]["language_info"]
            if info["content"]["language_info"].get("name") == "python":
                self._probed = (await self._ask(install_text())).get("status") == "ok"
        if not self._probed:
            self.log.warning("mlprod: in this kernel failures of threads, tasks and shell commands go unseen")

    async def _run_cell(self, index: int, cell: Any) -> None:
        self._reply, self._kept, self._over_cap = None, 0, False
        if cell.cell_type == "code" and self.skip_cells_with_tag in cell.metadata.get("tags", []):
            cell.metadata.papermill["status"] = "skipped"
            return
        self.nb_man.cell_start(cell, cell_index=index)
        try:
            error = await self._outcome(index, cell)
        except BaseException:  # cancelled, or a full disk: this cell did not complete, whatever else is true
            self.nb_man.cell_exception(cell, cell_index=index)
            raise
        self._raise_if(error, index, cell)
        self.nb_man.cell_complete(cell, cell_index=index)

    def _raise_if(self, error: PapermillExecutionError | None, index: int, cell: Any) -> None:
        if error is None:
            return
        if not any(output.output_type == "error" and output.ename == error.ename for output in cell.outputs):
            cell.outputs.append(_new_output("error", ename=error.ename, evalue=error.evalue, traceback=error.traceback))
        self.nb_man.cell_exception(cell, cell_index=index, exception=error)
        self.nb_man.cell_complete(cell, cell_index=index)
        raise error

    async def _outcome(self, index: int, cell: Any) -> PapermillExecutionError | None:
        try:
            await self.async_execute_cell(cell, index)
        except DeadKernelError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # nbclient takes every cancellation for the kernel's death
                raise asyncio.CancelledError from None
            death = await self._death()
            if not self._over_cap:
                return _error(index, cell, "DeadKernel", death)
        except (CellExecutionError, CellTimeoutError):
            pass  # what the kernel replied is judged below, with tags and limits
        finally:
            if self._stopping is not None:
                self._stopping.cancel()
        if cell.cell_type != "code" or not cell.source.strip():
            return None
        return self._judged(index, cell)

    def _judged(self, index: int, cell: Any) -> PapermillExecutionError | None:
        if self._over_cap:
            return _error(index, cell, "OutputOverCap", f"output over the cap of {OUTPUT_CAP // 1_000_000} MB")
        if self._timed_out:
            return _error(index, cell, "CellTimeout", f"still running after {self.timeout} s")
        if self._reply is None:
            return _error(index, cell, "NoReply", "the kernel did not tell how the cell ended")
        if any(payload.get("source") == "ask_exit" for payload in self._reply.get("payload", [])):
            return _error(index, cell, "EarlyExit", "exit() or quit() ended the notebook before its last cell had run")
        if _may_raise(cell):
            return None
        if self._reply["status"] != "ok":
            told = self._reply
            return _error(index, cell, told.get("ename", "Aborted"), told.get("evalue", told["status"]), told.get("traceback"))
        for output in cell.outputs:  # %run prints the error of its script and goes on
            if output.output_type == "error":
                return _error(index, cell, output.ename, output.evalue, output.traceback)
        return _background(index, cell, self._reply)

    async def _settle(self, index: int, cell: Any) -> PapermillExecutionError | None:
        """What fails, or is not over, in the seconds after the last cell: its outcome would go unseen."""
        deadline = monotonic() + SETTLE_S
        while True:
            try:
                reply = await self._ask(TELL)
            except DeadKernelError:
                return _error(index, cell, "DeadKernel", await self._death())
            if reply.get("status") != "ok":
                return _error(index, cell, "NoReply", "the kernel did not tell what its threads and tasks do after the last cell")
            if _may_raise(cell):
                return None
            error = _background(index, cell, reply)
            busy = [name for payload in _probe_payloads(reply) for name in payload["busy"]]
            if error is not None or not busy:
                return error
            if monotonic() > deadline:
                self.shutdown_kernel = "immediate"
                return _error(index, cell, "StillRunning", f"{busy[0]} has not ended {SETTLE_S:g} s after the last cell: await or join it")
            await asyncio.sleep(0.05)

    async def _ask(self, code: str) -> dict[str, Any]:
        request = self.kc.execute(code, silent=True, store_history=False, allow_stdin=False)
        reply = await self.async_wait_for_reply(request)
        return reply["content"] if reply is not None else {}

    def _keep_reply(self, *, execute_reply: dict[str, Any] | None, **_: Any) -> None:
        self._reply = execute_reply["content"] if execute_reply is not None else None

    async def _death(self) -> str:
        status = await ensure_async(self.km.provisioner.poll())
        await ensure_async(self.km.provisioner.kill())  # what the kernel started lives on in its process group
        if status is None or status >= 0:
            return f"the kernel died (exit status {status})"
        memory = "; the machine may be out of memory" if status == -9 else ""
        return f"the kernel died (signal {-status}: {signal.strsignal(-status)}{memory})"

    async def _async_handle_timeout(self, timeout: int, cell: Any = None) -> dict[str, Any]:  # noqa: ARG002 - nbclient's signature
        self._timed_out = True
        self.iopub_timeout = INTERRUPT_GRACE_S
        self.shutdown_kernel = "immediate"
        await ensure_async(self.km.interrupt_kernel())
        return {"content": {"status": "error", "ename": "CellTimeout", "evalue": "", "traceback": []}}

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        if self._over_cap:
            return None
        if self.clear_before_next_output:
            self._kept = 0
        content = msg["content"]
        weight = len(content["text"]) if msg["msg_type"] == "stream" else len(json.dumps(content, default=str))
        if self._kept + weight <= OUTPUT_CAP:
            self._kept += weight
            return super().output(outs, msg, display_id, cell_index)
        self._over_cap = True
        if msg["msg_type"] == "stream":
            outs.append(_new_output("stream", name=content["name"], text=content["text"][: OUTPUT_CAP - self._kept]))
        outs.append(_new_output("stream", name="stderr", text="\n[mlprod: the rest of the output was dropped]\n"))
        self._stopping = asyncio.ensure_future(self._stop())
        return None

    async def _stop(self) -> None:
        await ensure_async(self.km.interrupt_kernel())
        await asyncio.sleep(INTERRUPT_GRACE_S)
        await ensure_async(self.km.provisioner.kill())  # a flood may take its kernel minutes to send

    def clear_output(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        super().clear_output(outs, msg, cell_index)
        if not outs:
            self._kept = 0


def _probe_payloads(reply: dict[str, Any]) -> list[dict[str, Any]]:
    return [payload for payload in reply.get("payload", []) if payload.get("source") == "mlprod"]


def _background(index: int, cell: Any, reply: dict[str, Any]) -> PapermillExecutionError | None:
    faults = [fault for payload in _probe_payloads(reply) for fault in payload["faults"]]
    return _error(index, cell, *faults[0]) if faults else None


def _may_raise(cell: Any) -> bool:
    return "raises-exception" in cell.metadata.get("tags", [])


def _error(index: int, cell: Any, ename: str, evalue: str, traceback: list[str] | None = None) -> PapermillExecutionError:
    return PapermillExecutionError(index, cell.execution_count, cell.source, ename, evalue, traceback or [f"{ename}: {evalue}"])


def _forgiven(nb: nbformat.NotebookNode) -> Any:
    """papermill raises for every error that it finds in an output; one that the cell's tag allows is shown to it as text."""
    cells = []
    for cell in nb.cells:
        if cell.cell_type == "code" and _may_raise(cell):
            told = [_as_text(output) if output.output_type == "error" else output for output in cell.outputs]
            cell = _new_node({**cell, "outputs": told})
        cells.append(cell)
    return _new_node({**nb, "cells": cells})


def _as_text(error: Any) -> Any:
    return _new_output("stream", name="stderr", text="\n".join(error.traceback) + "\n")


def _last_line(words: IO[bytes]) -> str:
    words.seek(0)
    lines = words.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _write(nb: nbformat.NotebookNode, path: str) -> None:
    """Write the notebook whole or not at all: papermill's own writer leaves an empty file when it fails half-way."""
    text = (nbformat.v4.writes(nb) + "\n").encode("utf-8", "replace")  # type: ignore[no-untyped-call]
    handler = papermill_io.get_handler(path)
    if not isinstance(handler, LocalHandler):
        handler.write(text.decode(), path)
        return
    target = Path(handler._cwd or ".", path).resolve()
    part = target.with_name(f".{target.name}.part")
    try:
        if target.exists() and not target.is_file():  # /dev/null
            target.write_bytes(text)
        else:
            part.write_bytes(text)
            part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise MlprodError(Code.DISK, f"cannot write {target}: {error.strerror}", hint="choose another folder, or make room") from error


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, also from within a kernel, where a loop is running already; an interrupt first lets the work clean up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    started: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = concurrent.futures.Future()

    async def cancellable() -> None:
        task = asyncio.ensure_future(work)
        started.set_result((asyncio.get_running_loop(), task))
        await task

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, cancellable())
        try:
            done.result()
        except KeyboardInterrupt:
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
            raise
