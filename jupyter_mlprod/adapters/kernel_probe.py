"""What runs in a notebook's kernel beside its cells, and tells what failed behind their backs.

The class is sent there as source text, because a kernel may run another interpreter than the runner; it is a part of the papermill
engine in a file of its own, and no adapter.
"""

import asyncio
import inspect
import subprocess
import sysconfig
import threading
from typing import Any


class Probe:
    """Runs in the kernel, sent there as source: tells with each cell what failed in threads, tasks, shell commands and nested cells.

    It is for accidents, not malice. Not seen: a future of an executor that nobody read, ``subprocess.run`` without ``check``.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.faults: list[tuple[str, str]] = []
        self.tasks: list[Any] = []
        self.quiet_hook = threading.excepthook
        self.create_task = asyncio.BaseEventLoop.create_task
        threading.excepthook = self.on_thread_error
        asyncio.BaseEventLoop.create_task = lambda loop, coro, **how: self.on_task(loop, coro, how)  # type: ignore[method-assign]
        shell.system, shell.getoutput = self.system, self.getoutput
        shell.events.register("post_run_cell", self.tell)

    def on_thread_error(self, told: Any) -> None:
        if told.exc_type is not SystemExit:  # the quiet way to end a thread
            self.blame(told.exc_value or told.exc_type(), f"in {getattr(told.thread, 'name', 'a thread')}")
        self.quiet_hook(told)

    def on_task(self, loop: Any, coro: Any, how: dict[str, Any]) -> Any:
        task = self.create_task(loop, coro, **how)
        if self.is_users(getattr(coro, "cr_code", None)):
            self.tasks.append(task)
        return task

    def system(self, cmd: str) -> None:
        """``!cmd``; raises as ``system_raise_on_error`` of the newest IPython does."""
        from IPython.utils.process import system  # type: ignore[attr-defined]

        code = system(self.shell.var_expand(cmd, depth=1))
        self.shell.user_ns["_exit_code"] = code
        if code:
            raise subprocess.CalledProcessError(code, cmd)

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """``x = !cmd``."""
        from IPython.utils.process import get_output_error_code  # type: ignore[attr-defined]
        from IPython.utils.text import LSString, SList

        out, err, code = get_output_error_code(self.shell.var_expand(cmd, depth=depth + 1))
        self.shell.user_ns["_exit_code"] = code
        if code:
            raise subprocess.CalledProcessError(code, cmd, out, err)
        return SList((out + err).splitlines()) if split else LSString(out + err)

    def tell(self, result: Any = None) -> None:
        """Put the faults since the last call into the reply to the request that is being answered."""
        if result is not None and not result.success:  # of a cell in a cell: %%capture drops it
            self.blame(result.error_before_exec or result.error_in_exec, "in a nested cell")
        for task in [task for task in self.tasks if task.done()]:
            self.tasks.remove(task)
            if task._log_traceback:  # failed, and nobody has asked
                self.blame(task.exception(), f"in the asyncio task {task.get_coro().__qualname__}")
        busy = [f"the asyncio task {task.get_coro().__qualname__}" for task in self.tasks]
        busy += [f"the thread {thread.name}" for thread in threading.enumerate() if self.is_waited_for(thread)]
        faults, self.faults = self.faults, []
        self.shell.payload_manager.write_payload({"source": "mlprod", "faults": faults, "busy": busy}, single=False)

    def blame(self, error: Any, where: str) -> None:
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - the user's __str__ may raise anything
            text = "<no message>"
        self.faults.append((type(error).__name__, f"{text} ({where})".encode("utf-8", "replace").decode()))

    def is_waited_for(self, thread: threading.Thread) -> bool:
        target = getattr(thread, "_target", None) if type(thread) is threading.Thread else type(thread).run
        return not thread.daemon and self.is_users(getattr(getattr(target, "__func__", target), "__code__", None))

    def is_users(self, code: Any) -> bool:
        """Whether code was written for the notebook: libraries keep tasks and threads for ever, and that is fine."""
        file = code.co_filename if code is not None else "<frozen"
        library = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<frozen")
        return not file.startswith(library) and "site-packages" not in file and "dist-packages" not in file


TELL = "__import__('IPython').get_ipython()._mlprod_probe.tell()"


def install_text() -> str:
    """Source that puts the probe into a kernel, which may run another interpreter, and leaves the notebook's names alone."""
    imports = "import asyncio, subprocess, sysconfig, threading\nfrom typing import Any\n"
    install = "\n__import__('IPython').get_ipython()._mlprod_probe = Probe(__import__('IPython').get_ipython())\n"
    return f"exec({imports + inspect.getsource(Probe) + install!r}, {{'__name__': '_mlprod_probe'}})"
