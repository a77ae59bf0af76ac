//! As much DAG-CBOR as an IPNS record needs: the entries of one map, everything else skipped within bounds.

/// Nesting followed while skipping; records in the network are flat.
const MAX_DEPTH: u32 = 16;

/// A value of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Unsigned(u64),
    Bytes(&'a [u8]),
    /// Anything else, skipped.
    Other,
}

/// The entries of a map that fills `bytes` exactly; `None` when it is anything else.
pub(crate) fn map(bytes: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let mut reader = Reader(bytes);
    let (5, count) = reader.head()? else { return None };
    let mut entries = Vec::new();
    for _ in 0..count {
        let (3, length) = reader.head()? else { return None };
        let name = std::str::from_utf8(reader.take(length)?).ok()?;
        entries.push((name, reader.value()?));
    }
    reader.0.is_empty().then_some(entries)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// Major type and argument. Indefinite lengths are not DAG-CBOR.
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.take(1)?[0];
        let argument = match first & 31 {
            small @ 0..=23 => u64::from(small),
            wide @ 24..=27 => self.take(1 << (wide - 24))?.iter().fold(0, |n, byte| (n << 8) | u64::from(*byte)),
            _ => return None,
        };
        Some((first >> 5, argument))
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let before = self.0;
        match self.head()? {
            (0, n) => Some(Value::Unsigned(n)),
            (2, length) => Some(Value::Bytes(self.take(length)?)),
            _ => {
                self.0 = before;
                self.skip(MAX_DEPTH)?;
                Some(Value::Other)
            }
        }
    }

    /// Every item has at least one byte, so a forged count ends with the input.
    fn skip(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.head()? {
            (0 | 1 | 7, _) => {}
            (2 | 3, length) => {
                self.take(length)?;
            }
            (4, count) => (0..count).try_for_each(|_| self.skip(depth))?,
            (5, count) => (0..count.checked_mul(2)?).try_for_each(|_| self.skip(depth))?,
            _ => self.skip(depth)?,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_the_unknown_skipped() {
        // {"a": 500, "b": h'0102', "c": [1, {"d": -1}], "e": 1.5}
        let bytes = b"\xa4\x61a\x19\x01\xf4\x61b\x42\x01\x02\x61c\x82\x01\xa1\x61d\x20\x61e\xfb\x3f\xf8\0\0\0\0\0\0";
        let expected =
            [("a", Value::Unsigned(500)), ("b", Value::Bytes(&[1, 2])), ("c", Value::Other), ("e", Value::Other)];
        assert_eq!(map(bytes).unwrap(), expected);
        for cut in 0..bytes.len() {
            assert_eq!(map(&bytes[..cut]), None);
        }
    }

    #[test]
    fn hostile_input_ends() {
        for bad in [
            &b""[..],
            b"\x80",
            b"\xa0\x00",
            b"\xbf\xff",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61a\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61\xff\x00",
        ] {
            assert_eq!(map(bad), None, "{bad:x?}");
        }
        let mut deep = b"\xa1\x61a".to_vec();
        deep.extend([0x81; 5000]);
        deep.push(0);
        assert_eq!(map(&deep), None);
    }
}
