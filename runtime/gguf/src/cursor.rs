//! A reader over a file's bytes that never passes their end.

use std::fmt::Arguments;

use crate::Error;

/// A position in a file. Every method says which field it reads, for the error message.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Bytes left.
    pub(crate) fn available(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: u64, field: Arguments<'_>) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(n).ok().and_then(|n| rest.get(..n)).ok_or_else(|| Error::Truncated {
            field: field.to_string(),
            offset: self.offset(),
            needed: n,
            available: self.available(),
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(crate) fn u32(&mut self, field: Arguments<'_>) -> Result<u32, Error> {
        self.number(field).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, field: Arguments<'_>) -> Result<u64, Error> {
        self.number(field).map(u64::from_le_bytes)
    }

    /// The `N` bytes of a number, as stored.
    pub(crate) fn number<const N: usize>(&mut self, field: Arguments<'_>) -> Result<[u8; N], Error> {
        let taken = self.take(N as u64, field)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(taken);
        Ok(bytes)
    }

    /// A count of entries that take at least `entry_bytes` each: refused above `limit` or when the rest of the file
    /// cannot hold them, so that it is safe to make room for so many.
    pub(crate) fn count(&mut self, entry_bytes: u64, limit: u64, field: Arguments<'_>) -> Result<usize, Error> {
        let offset = self.offset();
        let found = self.u64(field)?;
        check_limit(found, limit, offset, field)?;
        let needed = found.saturating_mul(entry_bytes);
        let available = self.available();
        if needed > available {
            return Err(Error::CountPastEnd { field: field.to_string(), offset, found, needed, available });
        }
        // Not above `limit`, which fits 32 bits.
        Ok(found as usize)
    }

    /// A length and so many bytes of UTF-8.
    pub(crate) fn string(&mut self, limit: u64, field: Arguments<'_>) -> Result<&'a str, Error> {
        let bytes = self.string_bytes(limit, field)?;
        std::str::from_utf8(bytes)
            .map_err(|_| Error::InvalidUtf8 { field: field.to_string(), offset: self.offset() - bytes.len() as u64 })
    }

    /// A length and so many bytes, which should be UTF-8 but are not looked at.
    pub(crate) fn string_bytes(&mut self, limit: u64, field: Arguments<'_>) -> Result<&'a [u8], Error> {
        let offset = self.offset();
        let n = self.u64(format_args!("the length of {field}"))?;
        check_limit(n, limit, offset, format_args!("the length of {field}"))?;
        self.take(n, field)
    }

    /// A string that must not be empty: a metadata key or a tensor name.
    pub(crate) fn name(&mut self, limit: u64, field: Arguments<'_>) -> Result<&'a str, Error> {
        let offset = self.offset();
        let name = self.string(limit, field)?;
        if name.is_empty() {
            return Err(Error::EmptyName { field: field.to_string(), offset });
        }
        Ok(name)
    }
}

fn check_limit(found: u64, limit: u64, offset: u64, field: Arguments<'_>) -> Result<(), Error> {
    if found > limit {
        return Err(Error::TooLarge { field: field.to_string(), offset, found, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_to_the_last_byte_and_no_further() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9]);
        assert_eq!(cursor.u32(format_args!("one")).unwrap(), 1);
        let error = cursor.u64(format_args!("two")).unwrap_err();
        assert!(matches!(error, Error::Truncated { offset: 4, needed: 8, available: 1, .. }), "{error}");
        assert_eq!(cursor.take(1, format_args!("three")).unwrap(), [9]);
        assert!(cursor.take(u64::MAX, format_args!("four")).is_err());
        assert_eq!(cursor.take(0, format_args!("five")).unwrap(), []);
    }

    #[test]
    fn counts_are_held_against_the_rest_of_the_file() {
        let count = |n: u64, entry, limit| {
            let mut bytes = n.to_le_bytes().to_vec();
            bytes.extend([0; 20]);
            Cursor::new(&bytes).count(entry, limit, format_args!("count"))
        };
        assert_eq!(count(10, 2, 10).unwrap(), 10);
        assert!(matches!(count(11, 2, 100).unwrap_err(), Error::CountPastEnd { needed: 22, available: 20, .. }));
        assert!(matches!(count(11, 2, 10).unwrap_err(), Error::TooLarge { found: 11, limit: 10, .. }));
        assert!(matches!(count(u64::MAX, 2, u64::MAX).unwrap_err(), Error::CountPastEnd { needed: u64::MAX, .. }));
    }
}
