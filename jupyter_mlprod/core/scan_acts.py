"""What names of Python do to the machine: the tables that `scan_code` reads.

`ACTS` lists what is harmful, because nobody could list all of the rest; of `os`, where nearly everything acts, what is harmless is
listed instead.
"""

import re

_PROCESSES = """
subprocess multiprocessing pty posix nt _posixsubprocess concurrent.futures.ProcessPoolExecutor asyncio.create_subprocess_exec
asyncio.create_subprocess_shell sh pexpect
"""
_CONNECTIONS = """
socket _socket ssl socketserver http urllib.request urllib3 requests httpx aiohttp ftplib smtplib imaplib poplib telnetlib xmlrpc paramiko
websocket websockets webbrowser boto3 asyncio.open_connection asyncio.start_server torch.hub torch.utils.model_zoo huggingface_hub wandb
fsspec s3fs gcsfs pooch gdown wget nltk.download datasets.load_dataset sklearn.datasets.fetch_openml
logging.handlers.HTTPHandler logging.handlers.SocketHandler logging.handlers.DatagramHandler logging.handlers.SMTPHandler
logging.handlers.SysLogHandler
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
importlib.machinery logging.config
"""
_FILES = """
shutil tempfile numpy.save numpy.savez numpy.savez_compressed numpy.savetxt numpy.memmap torch.save sqlite3 dbm
logging.FileHandler logging.handlers.RotatingFileHandler logging.handlers.TimedRotatingFileHandler logging.handlers.WatchedFileHandler
pathlib.Path.rename pathlib.Path.replace pathlib.Path.touch pathlib.Path.mkdir pathlib.Path.unlink pathlib.Path.rmdir
pathlib.Path.write_text pathlib.Path.write_bytes pathlib.Path.symlink_to pathlib.Path.hardlink_to pathlib.Path.chmod
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

_WRITERS = "write_text write_bytes touch mkdir unlink rmdir symlink_to hardlink_to chmod lchmod tofile to_pickle"
WRITERS = frozenset(_WRITERS.split())
LOADERS = frozenset({"read_pickle", "__reduce__", "__reduce_ex__"})
"""Methods, of whatever object."""

PATH_WRITERS = frozenset({"rename", "replace"})
"""Methods of a path with one argument; strings and tables have harmless ones of the same names."""
PATHS = frozenset({"pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.Path.cwd", "pathlib.Path.home"})
PATH_MAKERS = frozenset({"with_name", "with_stem", "with_suffix", "joinpath", "expanduser"})
"""Methods that only paths have, and that give paths."""
PATH_KEEPERS = frozenset({"resolve", "absolute", "parent"})
"""What gives a path of a path."""
PATH_LISTS = frozenset({"iterdir", "glob", "rglob"})

_READERS = (
    r"(?:read|scan|load|open|fetch|download)(?:_\w+)?|loadtxt|genfromtxt|imread|urlopen|urlretrieve|retrieve|get_file|from_(?:url|file)"
)
READERS = re.compile(_READERS)
"""What is called to read something, by whatever library; an address among its arguments is one that it connects to."""
ADDRESS = re.compile(r"(https?|ftps?|s3|gs|gcs|hf|abfss?|az|adl|wasbs?)://", re.IGNORECASE)
PRETRAINED = "from_pretrained"
"""Takes a folder or, of the same form, a name on a hub."""

ALLOW_PICKLE_AT = {"numpy.load": 2, "numpy.lib.format.read_array": 1}
"""Where ``allow_pickle`` stands when it is given by position."""

READ_HERE = frozenset({"builtins.getattr", "builtins.setattr", "builtins.delattr", "builtins.open", "builtins.vars"})
"""Builtins whose arguments decide, so that their name alone says nothing."""

POWERFUL = frozenset({"os", "sys", "builtins", "importlib", "subprocess", "socket", "shutil", "ctypes", "pickle"})
"""Modules that are the same wherever they are reached from: ``random._os`` is `os`."""

_BUILTINS = "eval exec compile __import__ breakpoint globals __builtins__ open getattr setattr delattr vars"
BUILTINS = tuple(_BUILTINS.split())
