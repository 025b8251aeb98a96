//! Planes against `dequantize`: what a kernel reads out of them is the weight, bit for bit.

use half::f16;
use silhak_quant::blocks::IQ4_LEVELS;
use silhak_quant::planar::{GROUP, Planes, plane_bytes, planes};
use silhak_quant::{Format, dequantize};

use crate::data::random_bits;

#[test]
fn planes_hold_every_value() {
    for &format in Format::ALL {
        let (n_rows, cols) = (3, if format.block_len() == 1 { 37 } else { 2 * format.block_len() });
        let n_bytes = n_rows * format.row_bytes(cols).unwrap();
        let bytes: Vec<u8> = (0..n_bytes as u64).map(|i| random_bits(i) as u8).collect();
        let mut expected = vec![0.0; n_rows * cols];
        dequantize(format, &bytes, &mut expected).unwrap();
        let split = planes(format, &bytes, cols).unwrap();
        let row = plane_bytes(format, cols).unwrap();
        assert_eq!(
            [split.quants.len(), split.scales.len(), split.further.len()],
            [row.quants, row.scales, row.further].map(|n| n * n_rows),
            "{format}"
        );
        for r in 0..n_rows {
            for c in 0..cols {
                let found = value(format, &split, r * cols.div_ceil(GROUP) + c / GROUP, c % GROUP);
                let expected = expected[r * cols + c];
                let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                assert!(same, "{format} row {r} column {c}: {found} is not {expected}");
            }
        }
    }
}

#[test]
fn planes_of_some_rows_are_those_rows_of_the_planes() {
    // The memory of other rows, of another format, is used again.
    let mut part = planes(Format::Q6K, &[0xff; 210 * 5], 256).unwrap();
    for &format in Format::ALL {
        let (n_rows, cols) = (7, if format.block_len() == 1 { 37 } else { 3 * format.block_len() });
        let row_bytes = format.row_bytes(cols).unwrap();
        let bytes: Vec<u8> = (0..(n_rows * row_bytes) as u64).map(|i| random_bits(i) as u8).collect();
        let all = planes(format, &bytes, cols).unwrap();
        for n_at_a_time in [1, 2, 3, 7] {
            let mut joined = Planes::default();
            for rows in bytes.chunks(n_at_a_time * row_bytes) {
                part.fill(format, rows, cols).unwrap();
                joined.quants.extend(&part.quants);
                joined.scales.extend(&part.scales);
                joined.further.extend(&part.further);
            }
            assert_eq!(joined, all, "{format}, {n_at_a_time} rows at a time");
        }
    }
}

#[test]
fn rows_that_are_not_whole_are_refused() {
    assert!(planes(Format::Q4K, &[0; 144], 128).is_err());
    assert!(planes(Format::Q4_0, &[0; 19], 32).is_err());
    assert_eq!(plane_bytes(Format::Q6K, 255), None);
}

/// Value `i` of a group, read as the module describes the planes.
fn value(format: Format, planes: &Planes, group: usize, i: usize) -> f32 {
    let Planes { quants, scales, further } = planes;
    let (w, b) = (i / 4, i % 4);
    let nibble = || (quants[16 * group + i % 16] >> (4 * (i / 16))) & 15;
    let pair = |plane: &[u8]| (plane[8 * group + 4 * (w / 4) + b] >> (2 * (w % 4))) & 3;
    let single = || (further[4 * group + b] >> w) & 1;
    let half = |at: usize| f16::from_le_bytes([scales[at], scales[at + 1]]).to_f32();
    let (block, j) = (group / 8, group % 8);
    let of_16 = 2 * j + i / 16;
    let k_scale_min = |at: usize| {
        let s = &scales[at + 4..at + 16];
        let (sc, m) = if j < 4 {
            (s[j] & 63, s[j + 4] & 63)
        } else {
            ((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4))
        };
        (half(at) * f32::from(sc), half(at + 2) * f32::from(m))
    };
    match format {
        Format::F32 => f32::from_le_bytes(std::array::from_fn(|k| quants[128 * group + 4 * i + k])),
        Format::F16 => f16::from_le_bytes(std::array::from_fn(|k| quants[64 * group + 2 * i + k])).to_f32(),
        Format::Bf16 => half::bf16::from_le_bytes(std::array::from_fn(|k| quants[64 * group + 2 * i + k])).to_f32(),
        Format::Q4_0 => half(2 * group) * f32::from(nibble() as i8 - 8),
        Format::Q4_1 => half(4 * group) * f32::from(nibble()) + half(4 * group + 2),
        Format::Q5_0 => half(2 * group) * f32::from((nibble() | (single() << 4)) as i8 - 16),
        Format::Q5_1 => half(4 * group) * f32::from(nibble() | (single() << 4)) + half(4 * group + 2),
        Format::Q8_0 => f32::from(quants[32 * group + i].cast_signed()) * half(2 * group),
        Format::Iq4Nl => half(2 * group) * f32::from(IQ4_LEVELS[usize::from(nibble())]),
        Format::Iq4Xs => {
            let upper = u16::from_le_bytes([scales[8 * block + 2], scales[8 * block + 3]]);
            let low = (scales[8 * block + 4 + j / 2] >> (4 * (j % 2))) & 15;
            let scale = (low | (((upper >> (2 * j)) & 3) << 4) as u8) as i8 - 32;
            half(8 * block) * f32::from(scale) * f32::from(IQ4_LEVELS[usize::from(nibble())])
        }
        Format::Q2K => {
            let both = scales[20 * block + of_16];
            let (scale, min) =
                (half(20 * block + 16) * f32::from(both & 15), half(20 * block + 18) * f32::from(both >> 4));
            scale * f32::from(pair(quants)) - min
        }
        Format::Q3K => {
            let s = &scales[16 * block..16 * block + 12];
            let low = (s[of_16 % 8] >> (4 * (of_16 / 8))) & 15;
            let scale = (low | (((s[8 + of_16 % 4] >> (2 * (of_16 / 4))) & 3) << 4)) as i8 - 32;
            half(16 * block + 12) * f32::from(scale) * f32::from((pair(quants) | (single() << 2)) as i8 - 4)
        }
        Format::Q4K => {
            let (scale, min) = k_scale_min(16 * block);
            scale * f32::from(nibble()) - min
        }
        Format::Q5K => {
            let (scale, min) = k_scale_min(16 * block);
            scale * f32::from(nibble() | (single() << 4)) - min
        }
        Format::Q6K => {
            let scale = f32::from(scales[20 * block + of_16].cast_signed());
            half(20 * block + 16) * scale * f32::from((nibble() | (pair(further) << 4)) as i8 - 32)
        }
    }
}
