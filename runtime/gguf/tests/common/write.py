"""Writes, with gguf-py, to the paths given: a model with a value of each type and tensors of several, and one that is
split into shards of two tensors."""

import sys

import numpy
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType, GGUFValueType as V

writer = GGUFWriter(sys.argv[1], "exaone4")
writer.add_custom_alignment(64)
writer.add_uint8("u8", 255)
writer.add_int8("i8", -128)
writer.add_uint16("u16", 65535)
writer.add_int16("i16", -32768)
writer.add_uint32("u32", 4294967295)
writer.add_int32("i32", -2147483648)
writer.add_uint64("u64", 18446744073709551615)
writer.add_int64("i64", -9223372036854775808)
writer.add_float32("f32", 0.1)
writer.add_float64("f64", 0.1)
writer.add_bool("bool", True)
writer.add_string("string", "실학은 실사구시")
writer.add_key_value("strings", ["더", "스마트하게", ""], V.ARRAY, sub_type=V.STRING)
writer.add_key_value("bools", [True, False], V.ARRAY, sub_type=V.BOOL)
writer.add_key_value("u64s", [1, 2**64 - 1], V.ARRAY, sub_type=V.UINT64)
writer.add_key_value("i8s", [-1, 1], V.ARRAY, sub_type=V.INT8)
writer.add_token_types([1, 2, 3])
writer.add_token_scores([0.5, -0.5])

numbers = numpy.arange(96, dtype=numpy.float32).reshape(3, 32)
writer.add_tensor("f32", numbers)
writer.add_tensor("f16", numbers.astype(numpy.float16).reshape(2, 3, 16))
writer.add_tensor("i32", numpy.array([7, -7], dtype=numpy.int32))
blocks = numpy.arange(3 * 34, dtype=numpy.uint8).reshape(3, 34)
writer.add_tensor("q8_0", blocks, raw_dtype=GGMLQuantizationType.Q8_0)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


finish(writer)
split = GGUFWriter(sys.argv[2], "exaone4", split_max_tensors=2)
split.add_block_count(1)
for index in range(5):
    split.add_tensor(f"t{index}", numpy.array([index], dtype=numpy.int32))
finish(split)
