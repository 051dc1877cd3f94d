//! Bytes of an input: a file or standard input, decompressed if it is gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::foreign::ForeignFormat;

/// Number of bytes at the beginning that identify a format.
const MAGIC_BYTES: u64 = 8;
const GZIP: &[u8] = &[0x1f, 0x8b];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Content of an input.
pub(super) enum Source {
    /// Text, without a byte order mark.
    Text(Box<dyn BufRead>),
    /// Something else, which its first bytes name.
    Foreign(ForeignFormat),
}

/// Opens a file, or standard input for `-`.
pub(super) fn open(path: &Path) -> io::Result<Source> {
    if path == Path::new("-") {
        return decode(Box::new(BufReader::new(io::stdin())));
    }
    decode(Box::new(BufReader::new(File::open(path)?)))
}

/// Decompresses gzip, of any number of members. Its bytes tell, not its name.
pub(super) fn decode(bytes: Box<dyn BufRead>) -> io::Result<Source> {
    let (magic, bytes) = peek(bytes)?;
    if !magic.starts_with(GZIP) {
        return Ok(text(&magic, bytes));
    }
    let (magic, bytes) = peek(Box::new(BufReader::new(MultiGzDecoder::new(bytes))))?;
    Ok(text(&magic, bytes))
}

fn text(magic: &[u8], mut bytes: Box<dyn BufRead>) -> Source {
    if let Some(foreign) = ForeignFormat::of_magic(magic) {
        return Source::Foreign(foreign);
    }
    if magic.starts_with(UTF8_MARK) {
        // These bytes are in memory.
        bytes.consume(UTF8_MARK.len());
    }
    Source::Text(bytes)
}

/// Reads the first bytes, and puts them back.
fn peek(mut bytes: Box<dyn BufRead>) -> io::Result<(Vec<u8>, Box<dyn BufRead>)> {
    let mut magic = Vec::new();
    (&mut bytes).take(MAGIC_BYTES).read_to_end(&mut magic)?;
    Ok((magic.clone(), Box::new(Cursor::new(magic).chain(bytes))))
}
