"""IREE's runtime: a compiled artefact on a device of one of its drivers."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.ir import Module
from netc.netspec.errors import NetcError, UserError
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.compile import check_pair
from netc.runtime.target import TARGETS, Target

# glibc's mallopt parameters. IREE's CPU device takes one slab for the transient tensors of every call. If glibc maps it
# anew each time, or gives it back to the system, the page faults cost as much as the arithmetic: slabs of large nets
# are above any threshold that mallopt takes, so that nothing is mapped and nothing is given back.
MALLOPT = {-8: 1, -4: 0, -1: -1, -2: 64 << 20}  # arenas, blocks that are mapped, trim threshold (never), top pad
SCRATCH = "iree.abi.transients.size.constant"  # what an artefact says of the memory that a function wants to be given
LARGE = 32 << 20  # bytes of state, or of what looks at one: it gains from pages of 2 MiB (docs/design-notes.md)
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25  # of Linux, the second since 6.1
LARGE_PAGE = 2 << 20
# Worker stacks must hold --iree-llvmcpu-stack-allocation-limit (runtime/target.py); the default is 128 KiB.
WORKER_STACK = 4 << 20


@lru_cache(maxsize=1)
def _prepare() -> Any:
    """Import the runtime with the process set up for it, once."""
    check_pair()
    try:
        libc = ctypes.CDLL(None)
        for parameter, value in MALLOPT.items():
            libc.mallopt(parameter, value)
    except (OSError, AttributeError):
        pass  # another C library: only speed is lost
    import iree.runtime as rt

    rt.flags.parse_flags(f"--task_worker_stack_size={WORKER_STACK}")
    return rt


@lru_cache(maxsize=8)
def device_of(driver: str) -> Any:
    """The first device of a driver; raises UserError when there is none."""
    rt = _prepare()
    if driver not in rt.query_available_drivers():
        raise UserError(
            f"wants the IREE driver {driver!r}, got a runtime with {', '.join(rt.query_available_drivers())}"
        )
    try:
        return rt.get_device(driver)
    except (RuntimeError, ValueError) as error:
        advice = (
            "the system gives this process too little memory (see ulimit -v): raise it, or use `target=reference`"
            if "RESOURCE_EXHAUSTED" in str(error)
            else "run `netc doctor` to see what is missing, or use "
            + next(f"`target={row.instead}`" for row in TARGETS.values() if row.driver == driver)
        )
        raise UserError(
            f"wants a device for the driver {driver!r}, got none on this machine ({_short(error)}); {advice}"
        ) from error


def _short(error: Exception) -> str:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"^.*?\.c(c|pp)?:\d+: ", "", first)[:160]


class IreeLoaded:
    """One VM context. Calls go straight to the VM: no conversion, no copy, results stay on the device."""

    exact_loops = True
    synchronous = True

    def __init__(self, source: Source, target: Target) -> None:
        if source.artefact is None:
            raise NetcError(f"{target.word} wants a compiled artefact, got none; compile the module first")
        rt = self._rt = _prepare()
        self._device = device_of(target.driver)
        instance = rt.VmInstance()
        hal = rt.create_hal_module(instance, self._device)
        try:
            # `VmModule.mmap` opens for writing too, which a cache that is shared read-only does not allow
            content = np.memmap(source.artefact, np.uint8, "c")
            module = rt.VmModule.wrap_buffer(instance, content)
            self._context = rt.VmContext(instance, modules=[hal, module])
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f"{source.artefact} cannot be loaded on {target.word} ({_short(error)}); run `netc cache clear`"
            ) from error
        self._functions = {f.name: module.lookup_function(f.name) for f in source.module if not f.private}
        self._results = {f.name: len(f.results) for f in source.module}
        # functions of a training that were not called yet, and those that only look at a state before any of these was
        called = [f for f in source.module if not f.private and target.on_host]
        self._untried = {f.name for f in called if f.donated}
        self._looking = {f.name: f for f in called if not f.donated and f.name != "init"}
        self._large = target.on_host and has_large_state(source.module)
        self._begun: set[str] = set()  # of those that large pages were taken for, what was called once
        self._scratch = _scratch_of(module)
        self._unused: dict[str, list[Any]] = {}  # memory that was given to a function before, and is not in use
        self._dtypes = {np.dtype(t): getattr(rt.HalElementType, n) for t, n in _ELEMENTS.items()}
        self._numpy: dict[Any, np.dtype[Any]] = {}  # of element types met in results
        self._mappable = target.on_host
        # The CUDA driver's context is current only in the thread that made the device, and IREE's allocator does not
        # make it so in another one; the other drivers are untried.
        self.concurrent_put = self._mappable

    def put(self, array: Array, axis: int | None = None) -> Any:
        """Copy to the device, the only one."""
        rt = self._rt
        held = np.asarray(array, order="C")
        return self._device.allocator.allocate_buffer_copy(
            memory_type=rt.MemoryType.DEVICE_LOCAL, allowed_usage=rt.BufferUsage.DEFAULT,
            device=self._device, buffer=held, element_type=self._dtypes[held.dtype],
        )  # fmt: skip

    def get(self, buffer: Any) -> Array:
        """Copy to the host."""
        element = buffer.element_type
        dtype = self._numpy.get(element) or self._numpy.setdefault(
            element, np.dtype(self._rt.HalElementType.map_to_dtype(element))
        )
        if self._mappable:  # read as bytes: the mapping's own `asarray` takes twice as long
            return np.frombuffer(buffer.map(), dtype).reshape(buffer.shape).copy()
        return self._staged(buffer, dtype)

    def _staged(self, view: Any, dtype: np.dtype[Any]) -> Array:
        """Through a buffer that host and device both see: mapping device memory itself fails on Vulkan."""
        rt, source = self._rt, view.get_buffer()
        host = self._device.allocator.allocate_buffer(
            memory_type=int(rt.MemoryType.HOST_LOCAL | rt.MemoryType.DEVICE_VISIBLE),
            allowed_usage=int(rt.BufferUsage.TRANSFER_TARGET | rt.BufferUsage.MAPPING_SCOPED),
            allocation_size=source.byte_length(),
        )
        ready = self._device.create_semaphore(0)
        self._device.queue_copy(
            source,
            host,
            wait_semaphores=rt.HalFence.create_at(ready, 0),
            signal_semaphores=rt.HalFence.create_at(ready, 1),
        )
        rt.HalFence.create_at(ready, 1).wait()
        count = int(np.prod(view.shape, dtype=np.int64))
        return np.array(host.map().asarray((count,), dtype)).reshape(view.shape)

    def wait(self, buffers: Sequence[Any]) -> None:
        """Nothing to wait for: `call` returns when its results are computed."""

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Invoke; returns when the results are computed."""
        rt = self._rt
        if self._mappable:
            _wake_without_preempting(threading.get_ident())
        if function in self._untried:
            self._untried.discard(function)
            self._looking.clear()
            _give_back()
            if self._large:
                _take_large_pages()
                self._begun.add(function)
        elif function in self._looking:
            large = self._looking[function].made >= LARGE
            self._looking.clear()
            if large:
                _give_back()
                _take_large_pages()
                self._begun.add(function)
        elif function in self._begun:
            self._begun.discard(function)
            _beside_until_the_end(_gather_in_large_pages)
        inputs, outputs = rt.VmVariantList(len(args)), rt.VmVariantList(self._results[function])
        for a in args:
            inputs.push_ref(a)
        scratch = self._taken(function)
        if scratch is not None:
            inputs.push_ref(scratch)
        self._context.invoke(self._functions[function], inputs, outputs)
        if scratch is not None:
            self._unused.setdefault(function, []).append(scratch)
        return [outputs.get_as_object(i, rt.HalBufferView) for i in range(self._results[function])]

    def _taken(self, function: str) -> Any:
        """Memory for the function's transient tensors, if it wants some: as long as no other function is called, the
        same again, since IREE's allocator clears what is new."""
        held = self._unused.pop(function, [])
        self._unused.clear()
        if function not in self._scratch:
            return None
        if held:
            self._unused[function] = held[1:]
            return held[0]
        rt = self._rt
        return self._device.allocator.allocate_buffer(
            memory_type=rt.MemoryType.DEVICE_LOCAL, allowed_usage=rt.BufferUsage.DEFAULT,
            allocation_size=self._scratch[function],
        )  # fmt: skip


def scratch_of(artefact: Path) -> dict[str, int]:
    """Bytes of the memory that functions of an artefact want as a last argument, a `!hal.buffer`; of those that do."""
    rt = _prepare()
    return _scratch_of(rt.VmModule.wrap_buffer(rt.VmInstance(), np.memmap(artefact, np.uint8, "c")))


def _scratch_of(module: Any) -> dict[str, int]:
    said = {name: module.lookup_function(name).reflection for name in module.function_names}
    return {name: int(words[SCRATCH]) for name, words in said.items() if SCRATCH in words}


def has_large_state(module: Module) -> bool:
    """Whether the state that a step of the module updates takes LARGE bytes or more."""
    return any(sum(v.type.bytes for v in f.params[: f.donated]) >= LARGE for f in module)


def takes_large_pages(module: Module, function: str) -> bool:
    """Whether calls of this function alone have large pages: a step's of a large state, another's that makes much."""
    called = module.function(function)
    return has_large_state(module) if called.donated else called.made >= LARGE


def _give_back() -> None:
    """Give the system what is free now: what a training was begun with, such as a checkpoint's tensors, is not needed.

    MALLOPT has it that nothing is given back by itself, and what a step takes does not fit into such holes.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _take_large_pages() -> None:
    """Have the heap grow in pages of 2 MiB, where the system grants them to those who ask.

    The heap is grown once by more than a step takes, advised, and given to malloc, which keeps it (MALLOPT). Nothing of
    it is resident before it is written. A system that commits no more than it has would count it: there it is left.
    """
    with contextlib.suppress(OSError, AttributeError, ValueError):  # no Linux, no glibc: only speed is lost
        if Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() == "2":
            return
        libc = ctypes.CDLL(None)
        libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
        room = libc.malloc(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
        for begin, end in _heaps():
            _madvise()(begin, end - begin, MADV_HUGEPAGE)
        libc.free(room)


def _gather_in_large_pages(ending: threading.Event) -> None:
    """Have Linux move what lies in the heap to pages of 2 MiB: the state, which was there before the first step.

    It would do so by itself, 16 MB in ten seconds. Here it takes a second and a processor, beside the steps; it stops
    when the process ends.
    """
    with contextlib.suppress(OSError, AttributeError, ValueError):  # no Linux, or an older one: only speed is lost
        for begin, end in _heaps():
            for page in range(-(-begin // LARGE_PAGE) * LARGE_PAGE, end - LARGE_PAGE + 1, LARGE_PAGE):
                if ending.is_set():
                    return
                _madvise()(page, LARGE_PAGE, MADV_COLLAPSE)  # refused where nothing lies


def _beside_until_the_end(work: Callable[[threading.Event], None]) -> None:
    """Start work in a thread of its own, whose event is set when the process ends, which then waits for it."""
    ending = threading.Event()
    thread = threading.Thread(target=work, args=[ending], daemon=True)
    thread.start()
    atexit.register(thread.join)
    atexit.register(ending.set)  # the last is called first


@lru_cache(maxsize=1)
def _madvise() -> Any:
    """Of where memory begins, its bytes, and the advice."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return madvise


def _heaps() -> list[tuple[int, int]]:
    """Where the heap begins and ends; Linux shows it in parts that differ in what was advised."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    places = [line.split()[0].split("-") for line in lines if line.endswith("[heap]")]
    return [(int(begin, 16), int(end, 16)) for begin, end in places]


@lru_cache(maxsize=64)
def _wake_without_preempting(thread: int) -> None:
    """Make the calling thread one that does not take the processor from another one when it is woken; once a thread.

    A worker wakes the thread that waits for a step, which then spins until the worker has left its callback. Where it
    has taken the worker's own processor for that, it spins for the rest of its slice, about 3 ms, and the worker is
    bound to that processor. The share of the processor that a thread gets is the same under SCHED_BATCH, which threads
    and processes that it starts later inherit. Only an ordinary thread is changed, and only where the system knows it.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    with contextlib.suppress(OSError):  # a sandbox that forbids it: only speed is lost
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


_ELEMENTS = {
    "float32": "FLOAT_32", "float64": "FLOAT_64", "int32": "SINT_32", "uint32": "UINT_32",
    "uint8": "UINT_8", "bool": "BOOL_8",
}  # fmt: skip


def load_iree(source: Source, target: Target) -> IreeLoaded:
    """Load the artefact on the target's device."""
    if target.on_host and hasattr(os, "sched_getaffinity"):
        os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    return IreeLoaded(source, target)
