//! One handcrafted file for each way to break a rule, and some at the edge that break none.
//!
//! Names beginning with `cve-` or naming an advisory are the class of that hole in other readers, not its proof of
//! concept.

use super::raw::*;

/// A file, and what must come of it.
pub(crate) struct Case {
    /// The variant of `Error`, or `"Ok"`.
    pub(crate) expected: &'static str,
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = header();
    cases.extend(metadata());
    cases.extend(arrays());
    cases.extend(tensors());
    cases.extend(data());
    cases.extend(accepted());
    cases
}

fn case(expected: &'static str, name: &'static str, raw: Raw) -> Case {
    Case { expected, name, bytes: raw.0 }
}

fn header() -> Vec<Case> {
    vec![
        case("Truncated", "empty", Raw::default()),
        case("Truncated", "three-bytes", Raw::default().bytes(b"GGU")),
        case("Truncated", "cve-2024-39720-magic-only", Raw::default().bytes(b"GGUF")),
        case("Truncated", "no-metadata-count", Raw::default().bytes(b"GGUF").u32(3).u64(0)),
        case("NotGguf", "other-magic", Raw::default().bytes(b"GGML").u32(3).u64(0).u64(0)),
        case("NotGguf", "magic-reversed", Raw::default().bytes(b"FUGG").u32(3).u64(0).u64(0)),
        case("UnsupportedVersion", "version-0", Raw::default().bytes(b"GGUF").u32(0).u64(0).u64(0)),
        case("UnsupportedVersion", "version-1", Raw::default().bytes(b"GGUF").u32(1).u32(0).u32(0)),
        case("UnsupportedVersion", "version-4", Raw::default().bytes(b"GGUF").u32(4).u64(0).u64(0)),
        case("BigEndian", "big-endian", Raw::default().bytes(b"GGUF\0\0\0\x03").u64(0).u64(0)),
        case("TooLarge", "tensor-count-over-cap", Raw::v3(65_537, 0)),
        case("TooLarge", "cve-2024-23605-metadata-count", Raw::v3(0, u64::MAX)),
        case("TooLarge", "tensor-count-negative", Raw::v3(u64::MAX, 0)),
        case("CountPastEnd", "tensor-count-past-end", Raw::v3(2, 0).tensor("t", &[1], T_F32, 0)),
        case("CountPastEnd", "metadata-count-past-end", Raw::v3(0, 2).key("k", U8).bytes(&[0])),
        case("CountPastEnd", "gguf-of-36-bytes", Raw::v3(0, 1).u64(u64::MAX).u32(0)),
    ]
}

fn metadata() -> Vec<Case> {
    let one = |raw: &dyn Fn(Raw) -> Raw| raw(Raw::v3(0, 1));
    let padded = |raw: Raw| raw.bytes(&[0; 32]);
    vec![
        case("EmptyName", "empty-key", padded(one(&|r| r.key("", U8).bytes(&[0])))),
        case("TooLarge", "cve-2024-23496-key-length", padded(one(&|r| r.u64(u64::MAX)))),
        case("TooLarge", "key-over-cap", one(&|r| r.key(&"k".repeat(65_536), U8).bytes(&[0]))),
        case("Truncated", "key-past-end", one(&|r| r.u64(100).bytes(&[b'k'; 20]))),
        case("InvalidUtf8", "key-not-utf8", one(&|r| r.string(b"\xff\xfe").u32(U8).bytes(&[0; 2]))),
        case("UnknownValueType", "value-type-13", one(&|r| r.key("k", 13).bytes(&[0; 8]))),
        case("UnknownValueType", "value-type-negative", one(&|r| r.key("k", u32::MAX).bytes(&[0; 8]))),
        case("Truncated", "number-past-end", one(&|r| r.key("k", U64).bytes(&[0; 7]))),
        case("InvalidBool", "bool-2", one(&|r| r.key("k", BOOL).bytes(&[2]))),
        case("TooLarge", "string-over-cap", padded(one(&|r| r.key("k", STRING).u64((16 << 20) + 1)))),
        case("TooLarge", "string-length-wraps", padded(one(&|r| r.key("k", STRING).u64(u64::MAX - 7)))),
        case("Truncated", "string-past-end", one(&|r| r.key("k", STRING).u64(10).bytes(b"nine char"))),
        case("InvalidUtf8", "string-not-utf8", one(&|r| r.key("k", STRING).string(b"\xea\xb0"))),
        case("InvalidUtf8", "string-surrogate", one(&|r| r.key("k", STRING).string(b"\xed\xa0\x80"))),
        case("DuplicateKey", "duplicate-key", Raw::v3(0, 2).key("k", U8).bytes(&[0]).key("k", U32).u32(0)),
        case("AlignmentType", "alignment-u64", one(&|r| r.key("general.alignment", U64).u64(32))),
        case("AlignmentType", "alignment-string", one(&|r| r.key("general.alignment", STRING).string("32"))),
        case("InvalidAlignment", "cve-2025-0317-alignment-0", one(&|r| r.key("general.alignment", U32).u32(0))),
        case("InvalidAlignment", "alignment-4", one(&|r| r.key("general.alignment", U32).u32(4))),
        case("InvalidAlignment", "alignment-48", one(&|r| r.key("general.alignment", U32).u32(48))),
        case("InvalidAlignment", "alignment-2-to-31", one(&|r| r.key("general.alignment", U32).u32(1 << 31))),
        case("InvalidAlignment", "alignment-131072", one(&|r| r.key("general.alignment", U32).u32(131_072))),
    ]
}

fn arrays() -> Vec<Case> {
    let one = |element, count| Raw::v3(0, 1).array("k", element, count);
    vec![
        case("UnknownValueType", "array-of-type-13", one(13, 1).u64(0)),
        case("NestedArray", "array-of-arrays", one(ARRAY, 1).u32(U8).u64(1).bytes(&[0])),
        case("TooLarge", "array-over-cap", one(U8, (16 << 20) + 1).u64(0)),
        case("TooLarge", "array-size-wraps", one(U64, 1 << 61).u64(0)),
        case("CountPastEnd", "array-past-end", one(U32, 3).u64(0)),
        case("CountPastEnd", "array-of-16-mi-missing-u64", one(U64, 16 << 20).u64(0)),
        case("CountPastEnd", "array-of-16-mi-missing-strings", one(STRING, 16 << 20).u64(0)),
        case("CountPastEnd", "array-of-strings-count", one(STRING, 2).string("only")),
        case("Truncated", "array-string-past-end", one(STRING, 2).string("first").u64(1)),
        case("TooLarge", "array-string-over-cap", one(STRING, 1).u64(1 << 40)),
        case("InvalidUtf8", "array-string-not-utf8", one(STRING, 2).string("first").string(b"\x80")),
        case("InvalidBool", "array-bool-255", one(BOOL, 3).bytes(&[1, 0, 255])),
    ]
}

fn tensors() -> Vec<Case> {
    let one = |dims: &[u64], ty| Raw::v3(1, 0).tensor("t", dims, ty, 0).data(64);
    vec![
        case("EmptyName", "empty-tensor-name", Raw::v3(1, 0).tensor("", &[1], T_F32, 0).data(64)),
        case("TooLarge", "tensor-name-length", Raw::v3(1, 0).u64(1 << 63).data(64)),
        case("Truncated", "tensor-name-past-end", Raw::v3(1, 0).u64(100).data(64)),
        case(
            "InvalidUtf8",
            "tensor-name-not-utf8",
            Raw::v3(1, 0).string(b"\xc0\x80").u32(1).u64(1).u32(0).u64(0).data(4),
        ),
        case("DimCount", "ghsa-3p75-pq92-q28f-no-dims", one(&[], T_F32)),
        case("DimCount", "five-dims", one(&[1, 1, 1, 1, 1], T_F32)),
        case("DimCount", "dims-negative", Raw::v3(1, 0).string("t").u32(u32::MAX).data(64)),
        case("ZeroDim", "row-of-none", one(&[0], T_F32)),
        case("ZeroDim", "no-rows", one(&[4, 0], T_F32)),
        case("SizeOverflow", "cve-2024-21802-elements", one(&[1 << 32, 1 << 32], T_F32)),
        case("SizeOverflow", "cve-2026-27940-bytes", one(&[1 << 62], T_F32)),
        case("SizeOverflow", "cve-2026-33298-sum", one(&[u64::MAX, 1, 1, 1], T_F32)),
        case("SizeOverflow", "four-dims-wrap-to-zero", one(&[1 << 16, 1 << 16, 1 << 16, 1 << 16], T_F32)),
        case("PartialBlock", "row-of-half-a-block", one(&[128, 2], T_Q4_K)),
        case("UnknownTensorType", "type-43", one(&[1], 43)),
        case("UnknownTensorType", "type-negative", one(&[1], u32::MAX)),
        case("RemovedTensorType", "type-q4-2", one(&[32], 4)),
        case("RemovedTensorType", "type-q4-0-4-4", one(&[32], 31)),
        case("UnalignedTensor", "offset-8", Raw::v3(1, 0).tensor("t", &[1], T_F32, 8).data(64)),
        case("UnalignedTensor", "offset-negative", Raw::v3(1, 0).tensor("t", &[1], T_F32, u64::MAX).data(64)),
        case(
            "UnalignedTensor",
            "offset-for-other-alignment",
            Raw::v3(1, 1).key("general.alignment", U32).u32(64).tensor("t", &[1], T_F32, 32).pad(64).data(64),
        ),
        case(
            "DuplicateTensor",
            "duplicate-tensor",
            Raw::v3(2, 0).tensor("t", &[1], T_F32, 0).tensor("t", &[1], T_F32, 32).data(64),
        ),
        case("Truncated", "tensor-table-ends-early", Raw::v3(1, 0).string("name").u32(4).u64(1).u64(1).u32(1)),
    ]
}

fn data() -> Vec<Case> {
    let two = |a: u64, b: u64| Raw::v3(2, 0).tensor("a", &[16], T_F32, a).tensor("b", &[16], T_F32, b).data(128);
    vec![
        case("TensorPastEnd", "cve-2026-7482-one-byte-short", Raw::v3(1, 0).tensor("t", &[16], T_F32, 0).data(63)),
        case("TensorPastEnd", "no-data", Raw::v3(1, 0).tensor("t", &[16], T_F32, 0)),
        case("TensorPastEnd", "padding-cut", Raw::v3(1, 0).tensor("t", &[1], T_F32, 0).bytes(&[0; 4])),
        case("TensorPastEnd", "offset-past-end", Raw::v3(1, 0).tensor("t", &[1], T_F32, 64).data(64)),
        case("TensorPastEnd", "offset-wraps", Raw::v3(1, 0).tensor("t", &[16], T_F32, !31).data(64)),
        case("TensorPastEnd", "llama-cpp-6774-huge", Raw::v3(1, 0).tensor("t", &[1 << 40], T_F32, 0).data(64)),
        case("TensorOverlap", "same-data-twice", two(0, 0)),
        case("TensorOverlap", "half-shared", two(0, 32)),
        case("TensorOverlap", "half-shared-in-reverse", two(32, 0)),
    ]
}

fn accepted() -> Vec<Case> {
    vec![
        case("Ok", "nothing", Raw::v3(0, 0)),
        case("Ok", "version-2", Raw::default().bytes(b"GGUF").u32(2).u64(0).u64(1).key("k", U8).bytes(&[7])),
        case("Ok", "one-tensor", Raw::v3(1, 0).tensor("t", &[256], T_Q4_K, 0).data(144)),
        case(
            "Ok",
            "data-out-of-order",
            Raw::v3(2, 0).tensor("a", &[8], T_F32, 32).tensor("b", &[8], T_F32, 0).data(64),
        ),
        case("Ok", "gap-and-tail", Raw::v3(2, 0).tensor("a", &[8], T_F32, 0).tensor("b", &[8], T_F32, 96).data(999)),
        case("Ok", "empty-string-and-arrays", {
            let raw = Raw::v3(0, 3).key("s", STRING).string("");
            raw.array("a", F32, 0).array("b", STRING, 0)
        }),
        case("Ok", "alignment-8", {
            let raw = Raw::v3(1, 1).key("general.alignment", U32).u32(8);
            raw.tensor("t", &[1], T_F32, 8).pad(8).bytes(&[0; 12])
        }),
        case("Ok", "alignment-65536", {
            let raw = Raw::v3(1, 1).key("general.alignment", U32).u32(65_536);
            raw.tensor("t", &[1], T_F32, 0).pad(65_536).bytes(&[0; 4])
        }),
    ]
}
