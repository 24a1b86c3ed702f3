//! Temporary files of rows: where operators put what does not fit into work_mem. Three shapes: a file read once from its
//! first row on ([`SpillWriter`]), blocks read by number ([`SpillBlocks`]), and partitions by hash ([`Partitions`]).
//!
//! ```text
//! row   := values            value := tag (1 byte) payload
//! tags   0 NULL · 1 false · 2 true · 3 char · 4 int2 · 5 int4 · 6 int8 · 7 float4 · 8 float8 · 9 numeric · 10 text ·
//!        11 bytea · 12 date · 13 time · 14 timetz · 15 timestamp · 16 timestamptz · 17 interval · 18 uuid · 19 oid ·
//!        20 array · 21 record; lengths are u32, numbers little endian
//! ```
//! A file is removed from its folder as soon as it is open, so that nothing remains whatever happens to the process. The
//! form is private to one execution and may change at will.

use crate::error::{Error, Result, SqlState};
use crate::types::jsonb::Jsonb;
use crate::types::numeric::Numeric;
use crate::types::{Array, ArrayDim, Datum, Interval, Oid, Type};
use std::borrow::Borrow;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUFFER_BYTES: usize = 64 * 1024;

/// Rows being written.
pub struct SpillWriter {
    file: BufWriter<Temporary>,
    rows: u64,
}

/// Rows being read, from the first on.
pub struct SpillReader {
    file: BufReader<Temporary>,
    rows: u64,
}

/// Where a session's temporary files go, and how much all of them may hold (temp_file_limit).
#[derive(Clone, Debug)]
pub struct Folder {
    path: Arc<Path>,
    limit_kib: Option<u64>,
    used_bytes: Arc<AtomicU64>,
}

impl Folder {
    /// A session's folder; `used_bytes` is the session's.
    pub fn new(path: Arc<Path>, limit_kib: Option<u64>, used_bytes: Arc<AtomicU64>) -> Folder {
        Folder { path, limit_kib, used_bytes }
    }

    fn take(&self, bytes: u64) -> Io<()> {
        let used = self.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match self.limit_kib {
            Some(limit) if used > limit << 10 => {
                self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
                let message = format!("temporary file size exceeds temp_file_limit ({limit}kB)");
                Err(std::io::Error::other(Error::new(SqlState::ConfigurationLimitExceeded, message)))
            }
            _ => Ok(()),
        }
    }
}

impl From<PathBuf> for Folder {
    fn from(path: PathBuf) -> Folder {
        Folder::new(path.into(), None, Arc::default())
    }
}

/// A nameless temporary file, which counts in its folder for as long as it is open. It is written at its end, wherever it is
/// read.
#[derive(Debug)]
pub struct Temporary {
    file: File,
    bytes: u64,
    folder: Folder,
}

impl Temporary {
    /// An empty one.
    pub fn create(folder: &Folder) -> Result<Temporary> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.path.join(format!("lightning_tmp.{}.{number}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(io_error)?;
        std::fs::remove_file(&path).map_err(io_error)?;
        Ok(Temporary { file, bytes: 0, folder: folder.clone() })
    }

    /// Its size.
    pub fn size_bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Io<()> {
        self.folder.take(bytes.len() as u64)?;
        let end = self.bytes;
        self.bytes += bytes.len() as u64;
        self.file.write_all_at(bytes, end)
    }

    /// Reads up to `most` bytes from `at` on; nothing at the end.
    pub fn read_at(&self, at: u64, most: usize) -> Io<Vec<u8>> {
        let mut bytes = vec![0; most.min(self.bytes.saturating_sub(at) as usize)];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

impl Write for Temporary {
    fn write(&mut self, bytes: &[u8]) -> Io<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Io<()> {
        self.file.flush()
    }
}

impl Read for Temporary {
    fn read(&mut self, bytes: &mut [u8]) -> Io<usize> {
        self.file.read(bytes)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.folder.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the statement ends with.
pub fn io_error(error: impl Borrow<std::io::Error>) -> Error {
    let error = error.borrow();
    if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return own.clone();
    }
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::new(SqlState::DiskFull, "could not write to temporary file: No space left on device")
        }
        _ => Error::new(SqlState::IoError, format!("could not use a temporary file: {error}")),
    }
}

impl SpillWriter {
    /// A new file in `folder`.
    pub fn create(folder: &Folder) -> Result<SpillWriter> {
        Ok(SpillWriter { file: BufWriter::with_capacity(BUFFER_BYTES, Temporary::create(folder)?), rows: 0 })
    }

    /// Appends a row.
    pub fn push(&mut self, row: &[Datum]) -> Result<()> {
        for value in row {
            write_value(value, &mut self.file).map_err(io_error)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows, to be read.
    pub fn finish(self) -> Result<SpillReader> {
        let file = self.file.into_inner().map_err(|error| io_error(error.into_error()))?;
        Ok(SpillReader { file: BufReader::with_capacity(BUFFER_BYTES, file), rows: self.rows })
    }
}

impl SpillReader {
    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The next row of `width` values into `row`; `false` at the end.
    pub fn next(&mut self, width: usize, row: &mut Vec<Datum>) -> Result<bool> {
        row.clear();
        if self.rows == 0 {
            return Ok(false);
        }
        self.rows -= 1;
        for _ in 0..width {
            row.push(read_value(&mut self.file).map_err(io_error)?);
        }
        Ok(true)
    }
}

/// Blocks of rows, each read back whole by its number.
#[derive(Debug)]
pub struct SpillBlocks {
    file: Temporary,
    /// Where each block ends.
    ends: Vec<u64>,
    scratch: Vec<u8>,
}

impl SpillBlocks {
    /// None yet, in a new file in `folder`.
    pub fn create(folder: &Folder) -> Result<SpillBlocks> {
        Ok(SpillBlocks { file: Temporary::create(folder)?, ends: Vec::new(), scratch: Vec::new() })
    }

    /// Appends a block.
    pub fn push<'a>(&mut self, values: impl IntoIterator<Item = &'a Datum>) -> Result<()> {
        self.scratch.clear();
        for value in values {
            write_value(value, &mut self.scratch).map_err(io_error)?;
        }
        self.file.append(&self.scratch).map_err(io_error)?;
        self.ends.push(self.file.size_bytes());
        Ok(())
    }

    /// Reads block `number` of `count` values.
    pub fn read(&mut self, number: usize, count: usize, values: &mut Vec<Datum>) -> Result<()> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        self.scratch.resize((self.ends[number] - start) as usize, 0);
        self.file.file.read_exact_at(&mut self.scratch, start).map_err(io_error)?;
        values.clear();
        let mut input = &self.scratch[..];
        for _ in 0..count {
            values.push(read_value(&mut input).map_err(io_error)?);
        }
        Ok(())
    }
}

/// Partitions that rows are divided into at a time.
const FAN_OUT: u32 = 16;
/// Beyond it, rows that still are too many have equal hashes, and dividing them is of no use.
pub const LEVEL_MAX: u32 = 12;

/// Rows divided by their hash: equal ones are in one partition, so that each can be worked off for itself.
pub struct Partitions {
    writers: Vec<SpillWriter>,
    level: u32,
}

/// One partition's rows, in the order in which they came, and the level to divide them at again.
pub struct Partition {
    /// The rows.
    pub rows: SpillReader,
    /// Level of its own partitions.
    pub level: u32,
}

impl Partitions {
    /// Empty ones in `folder`; rows of one partition of level n are divided at level n + 1.
    pub fn create(folder: &Folder, level: u32) -> Result<Partitions> {
        let writers = (0..FAN_OUT).map(|_| SpillWriter::create(folder)).collect::<Result<_>>()?;
        Ok(Partitions { writers, level })
    }

    /// Puts a row into the partition of its hash.
    pub fn push(&mut self, hash: u64, row: &[Datum]) -> Result<()> {
        let number = hash.rotate_left(4 * (self.level + 1)) % u64::from(FAN_OUT);
        self.writers[number as usize].push(row)
    }

    /// The partitions, in an order that two divisions by the same hashes share. Empty ones too.
    pub fn finish(self) -> Result<Vec<Partition>> {
        let level = self.level + 1;
        self.writers.into_iter().map(|writer| Ok(Partition { rows: writer.finish()?, level })).collect()
    }
}

type Io<T> = std::io::Result<T>;

fn write_bytes(tag: u8, bytes: &[u8], out: &mut impl Write) -> Io<()> {
    out.write_all(&[tag])?;
    out.write_all(&(bytes.len() as u32).to_le_bytes())?;
    out.write_all(bytes)
}

fn write_fixed<const N: usize>(tag: u8, bytes: [u8; N], out: &mut impl Write) -> Io<()> {
    out.write_all(&[tag])?;
    out.write_all(&bytes)
}

fn write_value(value: &Datum, out: &mut impl Write) -> Io<()> {
    match value {
        Datum::Null => out.write_all(&[0]),
        Datum::Bool(v) => out.write_all(&[1 + u8::from(*v)]),
        Datum::Char(v) => out.write_all(&[3, *v]),
        Datum::Int2(v) => write_fixed(4, v.to_le_bytes(), out),
        Datum::Int4(v) => write_fixed(5, v.to_le_bytes(), out),
        Datum::Int8(v) => write_fixed(6, v.to_le_bytes(), out),
        Datum::Float4(v) => write_fixed(7, v.to_le_bytes(), out),
        Datum::Float8(v) => write_fixed(8, v.to_le_bytes(), out),
        Datum::Numeric(v) => {
            let mut bytes = Vec::new();
            v.send(&mut bytes);
            write_bytes(9, &bytes, out)
        }
        Datum::Text(v) => write_bytes(10, v.as_bytes(), out),
        Datum::Padded(v) => write_bytes(22, v.as_bytes(), out),
        Datum::Bytea(v) => write_bytes(11, v, out),
        Datum::Jsonb(v) => write_bytes(23, v.bytes(), out),
        Datum::Enum(ty, place) => {
            write_fixed(24, ty.0.to_le_bytes(), out)?;
            out.write_all(&(place.len() as u32).to_le_bytes())?;
            out.write_all(place.as_bytes())
        }
        Datum::Date(v) => write_fixed(12, v.to_le_bytes(), out),
        Datum::Time(v) => write_fixed(13, v.to_le_bytes(), out),
        Datum::TimeTz(v, west) => {
            write_fixed(14, v.to_le_bytes(), out)?;
            out.write_all(&west.to_le_bytes())
        }
        Datum::Timestamp(v) => write_fixed(15, v.to_le_bytes(), out),
        Datum::TimestampTz(v) => write_fixed(16, v.to_le_bytes(), out),
        Datum::Interval(v) => {
            write_fixed(17, v.months.to_le_bytes(), out)?;
            out.write_all(&v.days.to_le_bytes())?;
            out.write_all(&v.micros.to_le_bytes())
        }
        Datum::Uuid(v) => write_fixed(18, *v, out),
        Datum::Oid(v) => write_fixed(19, v.0.to_le_bytes(), out),
        Datum::Array(array) => {
            write_fixed(20, array.element.0.to_le_bytes(), out)?;
            out.write_all(&(array.dims.len() as u32).to_le_bytes())?;
            for dim in &array.dims {
                out.write_all(&dim.len.to_le_bytes())?;
                out.write_all(&dim.lower.to_le_bytes())?;
            }
            out.write_all(&(array.items.len() as u32).to_le_bytes())?;
            array.items.iter().try_for_each(|item| write_value(item, out))
        }
        Datum::Record(fields) => {
            write_fixed(21, (fields.len() as u32).to_le_bytes(), out)?;
            fields.iter().try_for_each(|(ty, field)| {
                out.write_all(&ty.oid.0.to_le_bytes())?;
                out.write_all(&ty.typmod.to_le_bytes())?;
                write_value(field, out)
            })
        }
    }
}

fn fixed<const N: usize>(input: &mut impl Read) -> Io<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u32_of(input: &mut impl Read) -> Io<u32> {
    Ok(u32::from_le_bytes(fixed(input)?))
}

fn i32_of(input: &mut impl Read) -> Io<i32> {
    Ok(i32::from_le_bytes(fixed(input)?))
}

fn i64_of(input: &mut impl Read) -> Io<i64> {
    Ok(i64::from_le_bytes(fixed(input)?))
}

fn bytes_of(input: &mut impl Read) -> Io<Vec<u8>> {
    let mut bytes = vec![0; u32_of(input)? as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "it does not hold what was written")
}

fn read_value(input: &mut impl Read) -> Io<Datum> {
    let [tag] = fixed::<1>(input)?;
    Ok(match tag {
        0 => Datum::Null,
        1 => Datum::Bool(false),
        2 => Datum::Bool(true),
        3 => Datum::Char(fixed::<1>(input)?[0]),
        4 => Datum::Int2(i16::from_le_bytes(fixed(input)?)),
        5 => Datum::Int4(i32_of(input)?),
        6 => Datum::Int8(i64_of(input)?),
        7 => Datum::Float4(f32::from_le_bytes(fixed(input)?)),
        8 => Datum::Float8(f64::from_le_bytes(fixed(input)?)),
        9 => Datum::Numeric(Numeric::receive(&bytes_of(input)?).map_err(|_| damaged())?),
        10 => Datum::Text(String::from_utf8(bytes_of(input)?).map_err(|_| damaged())?.into()),
        22 => Datum::Padded(String::from_utf8(bytes_of(input)?).map_err(|_| damaged())?.into()),
        11 => Datum::Bytea(bytes_of(input)?.into()),
        23 => Datum::Jsonb(Jsonb::from_bytes(&bytes_of(input)?).ok_or_else(damaged)?),
        24 => {
            let ty = Oid(u32_of(input)?);
            Datum::Enum(ty, String::from_utf8(bytes_of(input)?).map_err(|_| damaged())?.into())
        }
        12 => Datum::Date(i32_of(input)?),
        13 => Datum::Time(i64_of(input)?),
        14 => Datum::TimeTz(i64_of(input)?, i32_of(input)?),
        15 => Datum::Timestamp(i64_of(input)?),
        16 => Datum::TimestampTz(i64_of(input)?),
        17 => Datum::Interval(Interval { months: i32_of(input)?, days: i32_of(input)?, micros: i64_of(input)? }),
        18 => Datum::Uuid(fixed(input)?),
        19 => Datum::Oid(Oid(u32_of(input)?)),
        20 => {
            let element = Oid(u32_of(input)?);
            let dims = (0..u32_of(input)?)
                .map(|_| Ok(ArrayDim { len: i32_of(input)?, lower: i32_of(input)? }))
                .collect::<Io<Vec<_>>>()?;
            let items = (0..u32_of(input)?).map(|_| read_value(input)).collect::<Io<Vec<_>>>()?;
            Datum::Array(Arc::new(Array { element, dims, items }))
        }
        21 => {
            let fields = (0..u32_of(input)?)
                .map(|_| {
                    let ty = Type::with_typmod(Oid(u32_of(input)?), i32_of(input)?);
                    Ok((ty, read_value(input)?))
                })
                .collect::<Io<Vec<_>>>()?;
            Datum::Record(fields.into())
        }
        _ => return Err(damaged()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::oid;

    #[test]
    fn rows_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let row = vec![
            Datum::Null,
            Datum::Bool(true),
            Datum::Int4(-5),
            Datum::Enum(Oid(20_000), "0001".into()),
            Datum::Text("a text longer than what fits inline, certainly".into()),
            Datum::Numeric(Numeric::parse("-12345678901234567890.5000").unwrap()),
            Datum::TimeTz(7, -3600),
            Datum::Interval(Interval { months: 1, days: -2, micros: 3 }),
            Datum::Array(Arc::new(Array::of(oid::INT4, vec![Datum::Int4(1), Datum::Null]))),
            Datum::Record(vec![(Type::new(oid::TEXT), Datum::Text("x".into()))].into()),
        ];
        let mut writer = SpillWriter::create(&folder.path().to_owned().into()).unwrap();
        for _ in 0..1000 {
            writer.push(&row).unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name any more");
        let (mut reader, mut back, mut count) = (writer.finish().unwrap(), Vec::new(), 0);
        while reader.next(row.len(), &mut back).unwrap() {
            assert_eq!(format!("{back:?}"), format!("{row:?}"));
            count += 1;
        }
        assert_eq!(count, 1000);
    }
}
