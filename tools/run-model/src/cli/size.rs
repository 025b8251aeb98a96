//! Sizes of memory as people write them.

/// Bytes with a unit: powers of ten, or of two with an `i`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("b", 1),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
    ];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim().to_lowercase());
    let unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    match (number.parse::<f64>(), unit) {
        (Ok(number), Some(unit)) => Ok((number * unit as f64) as u64),
        _ => Err("expected a size such as 24GB or 512MiB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("24GB", 24_000_000_000), ("1.5 GiB", 3 << 29), ("512mib", 512 << 20), ("7", 7)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1GB", "1.2.3GB", "24 bananas"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
