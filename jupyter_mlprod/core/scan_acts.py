"""What names of Python do to the machine: the tables that `scan_code` reads.

`ACTS` lists what is harmful, because nobody could list all of the rest; of `os`, where nearly everything acts, what is harmless is
listed instead.
"""

_PROCESSES = """
subprocess multiprocessing pty posix nt _posixsubprocess concurrent.futures.ProcessPoolExecutor asyncio.create_subprocess_exec
asyncio.create_subprocess_shell sh pexpect
"""
_CONNECTIONS = """
socket _socket ssl socketserver http urllib.request urllib3 requests httpx aiohttp ftplib smtplib imaplib poplib telnetlib xmlrpc paramiko
websocket websockets webbrowser boto3 asyncio.open_connection asyncio.start_server torch.hub huggingface_hub wandb
"""
_NATIVE = """
ctypes _ctypes cffi numpy.ctypeslib numpy.f2py torch.utils.cpp_extension torch.ops.load_library torch.classes.load_library mmap
"""
_LOADERS = """
pickle _pickle cPickle cloudpickle dill joblib marshal shelve torch.load torch.jit.load torch.export.load torch.package pandas.read_pickle
jsonpickle yaml.load yaml.unsafe_load
"""
_MADE_UP = """
code codeop runpy imp zipimport pip ensurepip venv bdb pdb cProfile profile timeit numpy.testing builtins.eval builtins.exec
builtins.compile builtins.__import__ builtins.breakpoint types.CodeType types.FunctionType pydoc importlib.reload importlib.util
importlib.machinery
"""
_FILES = """
shutil tempfile numpy.save numpy.savez numpy.savez_compressed numpy.savetxt numpy.memmap torch.save sqlite3 dbm
"""
_INTERPRETER = """
sys.modules sys.meta_path sys.path_hooks sys.settrace sys.setprofile sys._getframe gc.get_objects
gc.get_referrers gc.get_referents inspect.stack inspect.currentframe builtins.globals
builtins.__builtins__ faulthandler atexit signal
"""

ACTS: dict[str, str] = {
    name: what
    for names, what in (
        (_PROCESSES, "starts processes"),
        (_CONNECTIONS, "opens connections"),
        (_NATIVE, "runs native code"),
        (_LOADERS, "loads what may run code"),
        (_MADE_UP, "runs code that is made up as it goes"),
        (_FILES, "writes or removes files"),
        (_INTERPRETER, "reaches into the interpreter"),
        ("sys.path", "changes where modules come from"),
    )
    for name in names.split()
}
"""Dotted name → what using it, or anything below it, does."""

_HARMLESS_OS = """
path fspath PathLike sep altsep extsep pardir curdir linesep name pathsep devnull listdir scandir walk stat lstat getcwd cpu_count
SEEK_SET SEEK_CUR SEEK_END O_RDONLY DirEntry stat_result error access R_OK
"""
HARMLESS_OS = frozenset(_HARMLESS_OS.split())
HARMLESS_SHUTIL = frozenset({"shutil.which", "shutil.disk_usage", "shutil.get_terminal_size"})
ENVIRONMENT = frozenset({"os.environ", "os.getenv", "os.environb", "os.getenvb"})
_INSIDES = """
__subclasses__ __globals__ __builtins__ __code__ __closure__ __mro__ __bases__ __loader__ __import__ __getattribute__ f_globals f_locals
f_back gi_frame cr_frame tb_frame
"""
INSIDES = frozenset(_INSIDES.split())
"""Attributes by which code gets from any object to everything."""

WRITERS = frozenset({"write_text", "write_bytes", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod", "tofile", "to_pickle"})
LOADERS = frozenset({"read_pickle", "__reduce__", "__reduce_ex__"})
"""Methods, of whatever object."""

READ_HERE = frozenset({"builtins.getattr", "builtins.setattr", "builtins.delattr", "builtins.open", "builtins.vars"})
"""Builtins whose arguments decide, so that their name alone says nothing."""

POWERFUL = frozenset({"os", "sys", "builtins", "importlib", "subprocess", "socket", "shutil", "ctypes", "pickle"})
"""Modules that are the same wherever they are reached from: ``random._os`` is `os`."""

_BUILTINS = "eval exec compile __import__ breakpoint globals __builtins__ open getattr setattr delattr vars"
BUILTINS = tuple(_BUILTINS.split())
