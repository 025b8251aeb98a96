//! The element types a tensor can have, by ggml's type ids.

use std::fmt;

/// A ggml tensor type: how elements are grouped into blocks and how many bytes a block takes.
///
/// Every id in current use is here by name, whether or not Silhak can compute with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, missing_docs, reason = "the names are ggml's own and say all there is to say")]
#[repr(u32)]
pub enum TensorType {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
    Q1_0 = 41,
    Q2_0 = 42,
}

/// Why an id is not a [`TensorType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeIdError {
    /// The id was given to a format that ggml has since withdrawn.
    Removed {
        /// The withdrawn format's name.
        name: &'static str,
    },
    /// The id is not one this version knows.
    Unknown,
}

impl TensorType {
    /// Every type, by ascending id.
    pub const ALL: [TensorType; 35] = {
        let mut all = [TensorType::F32; TABLE.len()];
        let mut i = 0;
        while i < TABLE.len() {
            all[i] = TABLE[i].0;
            i += 1;
        }
        all
    };

    /// The type with ggml's id `id`.
    ///
    /// # Errors
    /// [`TypeIdError`] tells a withdrawn id from one never seen.
    pub fn from_id(id: u32) -> Result<TensorType, TypeIdError> {
        if let Some(row) = TABLE.iter().find(|row| row.0.id() == id) {
            return Ok(row.0);
        }
        match REMOVED.iter().find(|(removed, _)| *removed == id) {
            Some((_, name)) => Err(TypeIdError::Removed { name }),
            None => Err(TypeIdError::Unknown),
        }
    }

    /// The type with ggml's name `name` (`"Q4_K"`); case does not matter.
    pub fn from_name(name: &str) -> Option<TensorType> {
        TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// ggml's id, as stored in files.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// ggml's name, such as `"Q4_K"`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Elements in one block; 1 for plain numbers.
    pub fn block_len(self) -> usize {
        self.row().2
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        self.row().3
    }

    /// Mean bits per element.
    pub fn bits_per_weight(self) -> f64 {
        8.0 * self.block_bytes() as f64 / self.block_len() as f64
    }

    /// Bytes of a row of `row_len` elements; `None` if that is not a whole number of blocks or overflows.
    pub fn row_bytes(self, row_len: u64) -> Option<u64> {
        let block_len = self.block_len() as u64;
        if !row_len.is_multiple_of(block_len) {
            return None;
        }
        (row_len / block_len).checked_mul(self.block_bytes() as u64)
    }

    fn row(self) -> &'static Row {
        // `ROW_OF_ID` is built from `TABLE`, which a test holds to have every variant.
        &TABLE[ROW_OF_ID[self.id() as usize] as usize]
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Type, name, elements in a block, bytes of a block.
type Row = (TensorType, &'static str, usize, usize);

/// Elements in a super-block of the K and IQ formats.
const QK_K: usize = 256;

const TABLE: [Row; 35] = {
    use TensorType::*;
    [
        (F32, "F32", 1, 4),
        (F16, "F16", 1, 2),
        (Q4_0, "Q4_0", 32, 2 + 16),
        (Q4_1, "Q4_1", 32, 2 + 2 + 16),
        (Q5_0, "Q5_0", 32, 2 + 4 + 16),
        (Q5_1, "Q5_1", 32, 2 + 2 + 4 + 16),
        (Q8_0, "Q8_0", 32, 2 + 32),
        // Two f16 (scale and scaled sum), as in ggml; gguf-py's table still has the two f32 of old.
        (Q8_1, "Q8_1", 32, 2 + 2 + 32),
        (Q2_K, "Q2_K", QK_K, 2 + 2 + QK_K / 16 + QK_K / 4),
        (Q3_K, "Q3_K", QK_K, 2 + QK_K / 4 + QK_K / 8 + 12),
        (Q4_K, "Q4_K", QK_K, 2 + 2 + QK_K / 2 + 12),
        (Q5_K, "Q5_K", QK_K, 2 + 2 + QK_K / 2 + QK_K / 8 + 12),
        (Q6_K, "Q6_K", QK_K, 2 + QK_K / 2 + QK_K / 4 + QK_K / 16),
        (Q8_K, "Q8_K", QK_K, 4 + QK_K + QK_K / 8),
        (IQ2_XXS, "IQ2_XXS", QK_K, 2 + QK_K / 4),
        (IQ2_XS, "IQ2_XS", QK_K, 2 + QK_K / 4 + QK_K / 32),
        (IQ3_XXS, "IQ3_XXS", QK_K, 2 + QK_K / 4 + QK_K / 8),
        (IQ1_S, "IQ1_S", QK_K, 2 + QK_K / 8 + QK_K / 16),
        (IQ4_NL, "IQ4_NL", 32, 2 + 16),
        (IQ3_S, "IQ3_S", QK_K, 2 + QK_K / 4 + QK_K / 8 + QK_K / 32 + 4),
        (IQ2_S, "IQ2_S", QK_K, 2 + QK_K / 4 + QK_K / 16),
        (IQ4_XS, "IQ4_XS", QK_K, 2 + 2 + QK_K / 2 + QK_K / 64),
        (I8, "I8", 1, 1),
        (I16, "I16", 1, 2),
        (I32, "I32", 1, 4),
        (I64, "I64", 1, 8),
        (F64, "F64", 1, 8),
        (IQ1_M, "IQ1_M", QK_K, QK_K / 8 + QK_K / 16 + QK_K / 32),
        (BF16, "BF16", 1, 2),
        (TQ1_0, "TQ1_0", QK_K, 2 + 4 * 13),
        (TQ2_0, "TQ2_0", QK_K, 2 + 64),
        (MXFP4, "MXFP4", 32, 1 + 16),
        (NVFP4, "NVFP4", 64, 4 + 32),
        (Q1_0, "Q1_0", 128, 2 + 16),
        (Q2_0, "Q2_0", 64, 2 + 16),
    ]
};

/// Ids that ggml gave out and withdrew; the formats with row interleaving are now made at load instead.
const REMOVED: [(u32, &str); 8] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// Position in [`TABLE`] of each id; ids without a type point to row 0 and no [`TensorType`] has them.
const ROW_OF_ID: [u8; 43] = {
    let mut rows = [0; 43];
    let mut i = 0;
    while i < TABLE.len() {
        rows[TABLE[i].0 as usize] = i as u8;
        i += 1;
    }
    rows
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_agrees_with_ids_and_names() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0.id() < pair[1].0.id()));
        for ty in TensorType::ALL {
            assert_eq!(TensorType::from_id(ty.id()), Ok(ty));
            assert_eq!(TensorType::from_name(&ty.name().to_lowercase()), Some(ty));
            assert_eq!(format!("{ty:?}"), ty.name());
        }
    }

    #[test]
    fn every_id_is_known_removed_or_unknown() {
        for id in 0..=42 {
            let removed = REMOVED.iter().any(|(removed, _)| *removed == id);
            assert_eq!(TensorType::from_id(id).is_err(), removed, "id {id}");
        }
        assert_eq!(TensorType::from_id(4), Err(TypeIdError::Removed { name: "Q4_2" }));
        assert_eq!(TensorType::from_id(43), Err(TypeIdError::Unknown));
        assert_eq!(TensorType::from_id(u32::MAX), Err(TypeIdError::Unknown));
    }

    #[test]
    fn rows_are_whole_blocks() {
        assert_eq!(TensorType::Q4_K.row_bytes(512), Some(288));
        assert_eq!(TensorType::Q4_K.row_bytes(576), None);
        assert_eq!(TensorType::F64.row_bytes(u64::MAX), None);
    }
}
