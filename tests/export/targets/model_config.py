"""The fields of Triton's documented ModelConfig that fmtool writes, for protobuf's text parser.

Names, numbers and types after triton-inference-server/common, protobuf/model_config.proto.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format

_INT32, _INT64, _UINT32, _UINT64, _BOOL, _STRING = 5, 3, 13, 4, 8, 9
_ENUM, _MESSAGE = 14, 11

_ENUMS = {
    "DataType": {"TYPE_INVALID": 0, "TYPE_FP16": 10, "TYPE_FP32": 11},
    "Kind": {"KIND_AUTO": 0, "KIND_GPU": 1, "KIND_CPU": 2, "KIND_MODEL": 3},
}

_MESSAGES = {
    "ModelInput": [("name", 1, _STRING), ("data_type", 2, "DataType"), ("dims", 4, [_INT64])],
    "ModelOutput": [("name", 1, _STRING), ("data_type", 2, "DataType"), ("dims", 3, [_INT64])],
    "Latest": [("num_versions", 1, _UINT32)],
    "VersionPolicy": [("latest", 1, "Latest")],
    "DynamicBatching": [
        ("preferred_batch_size", 1, [_INT32]), ("max_queue_delay_microseconds", 2, _UINT64),
    ],
    "InstanceGroup": [("count", 2, _INT32), ("kind", 4, "Kind")],
    "WarmupInput": [
        ("data_type", 1, "DataType"), ("dims", 2, [_INT64]), ("zero_data", 3, _BOOL),
        ("random_data", 4, _BOOL), ("input_data_file", 5, _STRING),
    ],
    "Warmup": [
        ("name", 1, _STRING), ("batch_size", 2, _UINT32), ("inputs", 3, {"value": "WarmupInput"}),
        ("count", 4, _UINT32),
    ],
    "Parameter": [("string_value", 1, _STRING)],
    "ModelConfig": [
        ("name", 1, _STRING), ("platform", 2, _STRING), ("backend", 17, _STRING),
        ("version_policy", 3, "VersionPolicy"), ("max_batch_size", 4, _INT32),
        ("input", 5, ["ModelInput"]), ("output", 6, ["ModelOutput"]),
        ("instance_group", 7, ["InstanceGroup"]), ("default_model_filename", 8, _STRING),
        ("dynamic_batching", 11, "DynamicBatching"),
        ("parameters", 14, {"value": "Parameter"}), ("model_warmup", 16, ["Warmup"]),
    ],
}  # fmt: skip


def parse(text: str) -> message.Message:
    """The configuration; a field or a word that Triton does not document is an error."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("triton.ModelConfig"))
    return text_format.Parse(text, kind())


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="config", package="triton", syntax="proto3")
    for name, words in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for word, number in words.items():
            enum.value.add(name=word, number=number)
    for name, fields in _MESSAGES.items():
        kind = file.message_type.add(name=name)
        for field in fields:
            _add(kind, *field)
    return file


def _add(kind: descriptor_pb2.DescriptorProto, name: str, number: int, what: object) -> None:
    repeated = isinstance(what, (list, dict))
    field = kind.field.add(name=name, number=number, label=3 if repeated else 1)
    if isinstance(what, dict):  # a map: a repeated message of key and value
        entry = kind.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add(entry, "key", 1, _STRING)
        _add(entry, "value", 2, what["value"])
        field.type, field.type_name = _MESSAGE, f".triton.{kind.name}.{entry.name}"
        return
    one = what[0] if isinstance(what, list) else what
    if isinstance(one, int):
        field.type = one
    else:
        field.type = _ENUM if one in _ENUMS else _MESSAGE
        field.type_name = f".triton.{one}"
