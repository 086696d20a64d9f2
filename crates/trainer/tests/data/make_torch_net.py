"""Writes torch_net.pt as torch.save(checkpoint, path) does, without PyTorch.

A checkpoint of a small network: the format is that of PyTorch 1.6 and later, a
ZIP archive of a pickle and one entry per storage. Deterministic: the same bytes
each time.

    python3 make_torch_net.py
"""

import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path


def module(name):
    made = types.ModuleType(name)
    sys.modules[name] = made
    return made


torch = module("torch")
utils = module("torch._utils")
torch._utils = utils


def _rebuild_tensor_v2(*_):
    raise NotImplementedError


_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
for name in ["FloatStorage", "HalfStorage", "LongStorage"]:
    setattr(torch, name, type(name, (), {"__module__": "torch"}))


class Storage:
    def __init__(self, kind, form, values):
        self.kind, self.count = kind, len(values)
        self.bytes = struct.pack(f"<{len(values)}{form}", *values)


class Tensor:
    def __init__(self, storage, shape, offset=0, stride=None):
        self.storage, self.shape, self.offset = storage, tuple(shape), offset
        if stride is None:
            stride, step = [], 1
            for size in reversed(shape):
                stride.insert(0, step)
                step *= size
        self.stride = tuple(stride)

    def __reduce__(self):
        return _rebuild_tensor_v2, (
            self.storage,
            self.offset,
            self.shape,
            self.stride,
            False,
            OrderedDict(),
        )


class Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value not in self.storages:
            self.storages.append(value)
        key = str(self.storages.index(value))
        return "storage", getattr(torch, value.kind), key, "cpu", value.count


def floats(values):
    return Storage("FloatStorage", "f", values)


shared = floats([20.0 + i for i in range(3)] + [30.0 + i for i in range(3)])
state = OrderedDict()
# A view with strides: the columns of a [2, 3] storage are its rows.
state["body.0.weight"] = Tensor(floats([0.0, 2.0, 4.0, 1.0, 3.0, 5.0]), [3, 2], stride=[1, 3])
state["body.0.bias"] = Tensor(Storage("HalfStorage", "e", [10.0, 10.5, 11.0]), [3])
state["body.1.weight"] = Tensor(shared, [3])
state["body.1.bias"] = Tensor(shared, [3], offset=3)
state["body.1.running_mean"] = Tensor(floats([40.0, 41.0, 42.0]), [3])
state["body.1.running_var"] = Tensor(floats([50.0, 51.0, 52.0]), [3])
state["body.1.num_batches_tracked"] = Tensor(Storage("LongStorage", "q", [7]), [])
state["head.weight"] = Tensor(floats([60.0 + i for i in range(15)]), [5, 3])
state["head.bias"] = Tensor(floats([90.0 + i for i in range(5)]), [5])
checkpoint = {"epoch": 3, "state_dict": state}

path = Path(__file__).with_name("torch_net.pt")
with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:

    def add(name, data):
        archive.writestr(zipfile.ZipInfo(f"torch_net/{name}", (1980, 1, 1, 0, 0, 0)), data)

    import io

    buffer = io.BytesIO()
    pickler = Pickler(buffer)
    pickler.dump(checkpoint)
    add("data.pkl", buffer.getvalue())
    add("byteorder", "little")
    for key, storage in enumerate(pickler.storages):
        add(f"data/{key}", storage.bytes)
    add("version", "3\n")
