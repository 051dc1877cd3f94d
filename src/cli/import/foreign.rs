//! Formats that are not imported, with a hint for each.

/// Format that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignFormat {
    Zip,
    EncryptedZip,
    /// Compressed by a program other than gzip.
    Compressed(&'static str),
    Utf16,
    Html,
    Csv,
    Binary,
    /// Text of another kind.
    Text,
}

/// First bytes of compressed files.
const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"BZh", "bzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (&[b'7', b'z', 0xbc, 0xaf], "7z"),
];

impl ForeignFormat {
    /// Identifies a format by the first eight bytes. None for text.
    pub(super) fn of_magic(magic: &[u8]) -> Option<Self> {
        if magic.starts_with(b"PK\x03\x04") {
            // The first bit of the flags of the first file.
            let is_encrypted = magic.get(6).is_some_and(|flags| flags & 1 == 1);
            return Some(if is_encrypted { Self::EncryptedZip } else { Self::Zip });
        }
        if let Some((_, name)) = COMPRESSED.iter().find(|(bytes, _)| magic.starts_with(bytes)) {
            return Some(Self::Compressed(name));
        }
        if magic.starts_with(&[0xff, 0xfe]) || magic.starts_with(&[0xfe, 0xff]) {
            return Some(Self::Utf16);
        }
        let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
        magic.iter().any(is_control).then_some(Self::Binary)
    }

    /// Identifies a format by the first line. None if it may be JSON.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        match line.trim_ascii_start().first()? {
            b'{' | b'[' => None,
            b'<' => Some(Self::Html),
            _ if std::str::from_utf8(line).is_err() => Some(Self::Binary),
            _ if line.iter().any(|byte| matches!(byte, b',' | b';' | b'\t')) => Some(Self::Csv),
            _ => Some(Self::Text),
        }
    }

    /// Sentence that names the format and says what to do.
    pub(super) fn refusal(self) -> String {
        match self {
            Self::Zip => "a zip archive: unpack it, and import the files inside".to_owned(),
            Self::EncryptedZip => {
                "an encrypted zip archive: unpack it with its password, and import the files inside"
                    .to_owned()
            }
            Self::Compressed(name) => {
                format!("compressed with {name}: decompress it, or compress it with gzip")
            }
            Self::Utf16 => "text in UTF-16: save it as UTF-8".to_owned(),
            Self::Html => {
                "HTML or XML: import the JSON of Stripe's API, not a page of the Dashboard".to_owned()
            }
            Self::Csv => "CSV: import the JSON of Stripe's API; `subledger users import` reads CSV of users and \
                          their customers"
                .to_owned(),
            Self::Binary => "a binary file: import JSON, which may be compressed with gzip".to_owned(),
            Self::Text => "not JSON: import the JSON of Stripe's API, or an export".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_name_the_format() {
        for (magic, format) in [
            (&b"PK\x03\x04\x14\x00\x00\x00"[..], Some(ForeignFormat::Zip)),
            (b"PK\x03\x04\x14\x00\x09\x00", Some(ForeignFormat::EncryptedZip)),
            (b"\x28\xb5\x2f\xfd\x24\x00", Some(ForeignFormat::Compressed("zstd"))),
            (b"\xff\xfe{\x00\"\x00", Some(ForeignFormat::Utf16)),
            (b"\x7fELF\x02\x01", Some(ForeignFormat::Binary)),
            (b"{\r\n\t\"id\"", None),
            ("\u{feff}{}".as_bytes(), None),
            (b"", None),
        ] {
            assert_eq!(ForeignFormat::of_magic(magic), format, "{magic:?}");
        }
    }

    #[test]
    fn the_first_line_tells_csv_and_html_from_json() {
        for (line, format) in [
            (&b"user_id,customer_id\n"[..], Some(ForeignFormat::Csv)),
            (b"<!doctype html>\n", Some(ForeignFormat::Html)),
            (b"hello\n", Some(ForeignFormat::Text)),
            (b"\xc3\x28\n", Some(ForeignFormat::Binary)),
            (b" {\n", None),
            (b"[\n", None),
        ] {
            assert_eq!(ForeignFormat::of_line(line), format, "{line:?}");
        }
    }
}
