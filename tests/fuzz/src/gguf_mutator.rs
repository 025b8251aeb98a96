//! Mutations that know where the fields of a GGUF file are, for the depths that random bytes do not reach.

use std::ops::Range;

/// The places of a GGUF file, as far as it can be followed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Numbers: counts, lengths, types, dimensions, offsets, values.
    pub fields: Vec<Range<usize>>,
    /// Texts; the eight bytes before each are its length.
    pub texts: Vec<Range<usize>>,
    /// Whole metadata entries.
    pub metadata: Vec<Range<usize>>,
    /// Whole tensor entries.
    pub tensors: Vec<Range<usize>>,
}

const N_TENSORS: Range<usize> = 8..16;
const N_METADATA: Range<usize> = 16..24;

/// A bound on the time it takes to follow a file; a vocabulary of bytes has some hundreds.
const MAX_FIELDS: usize = 2048;

/// Follows the file until its end or the first thing that makes no sense.
pub fn layout(bytes: &[u8]) -> Layout {
    let mut walk = Walk { bytes, at: 0, layout: Layout::default() };
    // Whatever was found up to the end is what there is to mutate.
    let _ = walk.file();
    walk.layout
}

/// As [`mutate`] for half of the seeds; `None` for the others, which are for mutations of bytes: structure alone would
/// never break the structure.
pub fn mutate_half(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    match seed % 2 {
        0 => mutate(data, size, max_size, seed / 2),
        _ => None,
    }
}

/// Changes `data[..size]` in one structural way chosen by `seed`; gives the new size, at most `max_size`. `None` when
/// there is nothing to change so.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let mut random = Random(u64::from(seed) | 1 << 32);
    let layout = layout(data.get(..size)?);
    match random.below(10) {
        0 => splice(data, size, max_size, &mut random, &layout.metadata, N_METADATA),
        1 => splice(data, size, max_size, &mut random, &layout.tensors, N_TENSORS),
        2 => {
            let (a, b) = (random.pick(&layout.fields)?.clone(), random.pick(&layout.fields)?.clone());
            let width = a.len().min(b.len());
            let taken = data[a.start..a.start + width].to_vec();
            data.copy_within(b.start..b.start + width, a.start);
            data[b.start..b.start + width].copy_from_slice(&taken);
            Some(size)
        }
        3 | 4 => resize_text(data, size, max_size, &mut random, &layout.texts),
        _ => {
            let field = random.pick(&layout.fields)?.clone();
            let old = number(&data[field.clone()]);
            put(&mut data[field], interesting(old, size, &mut random));
            Some(size)
        }
    }
}

/// Removes one of `entries` or puts a copy of it behind it, and mends the count (or, one time in four, does not).
fn splice(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    random: &mut Random,
    entries: &[Range<usize>],
    count: Range<usize>,
) -> Option<usize> {
    let entry = random.pick(entries)?.clone();
    let n = number(&data[count.clone()]);
    let (new_size, n) = if random.below(2) == 0 {
        data.copy_within(entry.end..size, entry.start);
        (size - entry.len(), n.wrapping_sub(1))
    } else {
        let new_size = size + entry.len();
        if new_size > max_size.min(data.len()) {
            return None;
        }
        data.copy_within(entry.start..size, entry.end);
        (new_size, n.wrapping_add(1))
    };
    if random.below(4) != 0 {
        put(&mut data[count], n);
    }
    Some(new_size)
}

/// Makes one of `texts` a few bytes shorter, or longer by a piece of another, and mends its length.
fn resize_text(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    random: &mut Random,
    texts: &[Range<usize>],
) -> Option<usize> {
    let text = random.pick(texts)?.clone();
    let piece = data[random.pick(texts)?.clone()].to_vec();
    let n = 1 + random.below(8) as usize;
    let (new_len, new_size) = if random.below(2) == 0 {
        let cut = n.min(text.len());
        data.copy_within(text.end..size, text.end - cut);
        (text.len() - cut, size - cut)
    } else {
        let piece = &piece[..n.min(piece.len())];
        let new_size = size + piece.len();
        if new_size > max_size.min(data.len()) {
            return None;
        }
        data.copy_within(text.end..size, text.end + piece.len());
        data[text.end..text.end + piece.len()].copy_from_slice(piece);
        (text.len() + piece.len(), new_size)
    };
    put(&mut data[text.start - 8..text.start], new_len as u64);
    Some(new_size)
}

/// A number at which readers go wrong.
fn interesting(old: u64, size: usize, random: &mut Random) -> u64 {
    let power = 1u64 << random.below(64);
    match random.below(9) {
        0 => random.below(16),
        1 => power,
        2 => power.wrapping_sub(1),
        3 => power.wrapping_neg(),
        4 => old.wrapping_add(random.below(5)).wrapping_sub(2),
        5 => old ^ power,
        6 => random.below(size as u64 + 64),
        7 => random.below(64) * 32,
        _ => old.wrapping_mul(2),
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
}

impl Walk<'_> {
    fn file(&mut self) -> Option<()> {
        self.skip(4)?;
        self.field(4)?;
        let (n_tensors, n_metadata) = (self.field(8)?, self.field(8)?);
        for _ in 0..n_metadata {
            let start = self.at;
            self.string()?;
            let ty = self.field(4)?;
            self.value(ty)?;
            self.layout.metadata.push(start..self.at);
        }
        for _ in 0..n_tensors {
            let start = self.at;
            self.string()?;
            let n_dims = self.field(4)?;
            for _ in 0..n_dims {
                self.field(8)?;
            }
            self.field(4)?;
            self.field(8)?;
            self.layout.tensors.push(start..self.at);
        }
        Some(())
    }

    fn value(&mut self, ty: u64) -> Option<()> {
        match ty {
            0 | 1 | 7 => self.field(1).map(drop),
            2 | 3 => self.field(2).map(drop),
            4..=6 => self.field(4).map(drop),
            8 => self.string(),
            9 => {
                let element = self.field(4)?;
                // An array of arrays is refused by all readers that matter; following it would only cost time.
                let count = self.field(8).filter(|_| element != 9)?;
                (0..count).try_for_each(|_| self.value(element))
            }
            10..=12 => self.field(8).map(drop),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<()> {
        let n = self.field(8)?;
        let start = self.at;
        self.skip(usize::try_from(n).ok()?)?;
        self.layout.texts.push(start..self.at);
        Some(())
    }

    fn field(&mut self, width: usize) -> Option<u64> {
        let start = self.at;
        self.skip(width)?;
        if self.layout.fields.len() >= MAX_FIELDS {
            return None;
        }
        self.layout.fields.push(start..self.at);
        Some(number(&self.bytes[start..self.at]))
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self.at.checked_add(n).filter(|&end| end <= self.bytes.len())?;
        Some(())
    }
}

/// The little-endian number in at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn put(bytes: &mut [u8], number: u64) {
    let n = bytes.len();
    bytes.copy_from_slice(&number.to_le_bytes()[..n]);
}

/// Xorshift: what libFuzzer's seed decides must be the same at every replay.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % limit
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        match items.len() {
            0 => None,
            n => items.get(self.below(n as u64) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use silhak_gguf::{StringArray, TensorType, Writer};

    fn file() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.add("a", 1u32).unwrap().add("b", StringArray::new(["x", "yz"]).unwrap()).unwrap();
        writer.add_tensor("t", TensorType::F32, &[2, 1]).unwrap();
        let mut data = writer.begin(Vec::new()).unwrap();
        data.write("t", &[0; 8]).unwrap();
        data.finish().unwrap()
    }

    #[test]
    fn finds_every_entry() {
        let layout = layout(&file());
        assert_eq!((layout.metadata.len(), layout.tensors.len()), (2, 1));
        assert_eq!(layout.metadata[0], 24..41);
        assert_eq!(layout.tensors[0].len(), 8 + 1 + 4 + 16 + 4 + 8);
        assert_eq!(layout.texts[0], 32..33);
        assert_eq!(layout.texts.len(), 5);
        // Version, two counts; key length, type, value; key length, type, element type, count, two lengths; name
        // length, dimension count, two dimensions, type, offset.
        assert_eq!(layout.fields.len(), 3 + 3 + 6 + 6);
    }

    #[test]
    fn every_mutation_stays_inside() {
        let file = file();
        let mut changed = 0;
        for seed in 0..20_000 {
            let mut data = file.clone();
            data.resize(file.len() + 40, 0xee);
            if let Some(size) = mutate(&mut data, file.len(), file.len() + 40, seed) {
                assert!(size <= file.len() + 40);
                changed += usize::from(data[..size] != file);
            }
        }
        assert!(changed > 14_000, "{changed}");
        assert_eq!(mutate(&mut [], 0, 0, 1), None);
    }
}
