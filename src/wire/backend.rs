//! Backend messages, encoded straight into the connection's output buffer.

use crate::error::{Report, SqlState};
use crate::types::Oid;
use bytes::{BufMut, BytesMut};
use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use pgwire::messages::{Message, startup::ParameterStatus};

/// A session's state as ReadyForQuery tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TransactionStatus {
    Idle = b'I' as isize,
    InTransaction = b'T' as isize,
    Failed = b'E' as isize,
}

/// One field of RowDescription.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Field<'a> {
    pub name: &'a str,
    pub table: Oid,
    pub attribute: i16,
    pub ty: Oid,
    /// typlen
    pub size: i16,
    pub typmod: i32,
    /// 0 text, 1 binary
    pub format: i16,
}

fn put(out: &mut BytesMut, message: &impl Message) {
    message.encode(out).expect("backend messages stay below pgwire's limits");
}

fn put_cstring(out: &mut BytesMut, text: &str) {
    // A NUL would end the string early for the client.
    for part in text.as_bytes().split(|&b| b == 0) {
        out.put_slice(part);
    }
    out.put_u8(0);
}

/// NotificationResponse.
pub fn notification(out: &mut BytesMut, pid: i32, channel: &str, payload: &str) {
    frame(out, b'A', |out| {
        out.put_i32(pid);
        for text in [channel, payload] {
            out.put_slice(text.as_bytes());
            out.put_u8(0);
        }
    });
}

/// A message of type `kind` whose length is filled in after `body` has written it.
pub fn frame(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let start = out.len();
    out.put_i32(0);
    body(out);
    let len = (out.len() - start) as i32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn fields(report: &Report, severity: &str) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', report.code.code().to_owned()),
        (b'M', report.message.replace('\0', "")),
    ];
    let mut optional = |tag, value: &Option<String>| {
        if let Some(text) = value {
            fields.push((tag, text.replace('\0', "")));
        }
    };
    optional(b'D', &report.detail);
    optional(b'H', &report.hint);
    optional(b'P', &report.position.map(|p| p.to_string()));
    optional(b'W', &report.context);
    optional(b's', &report.schema);
    optional(b't', &report.table);
    optional(b'c', &report.column);
    optional(b'd', &report.data_type);
    optional(b'n', &report.constraint);
    fields
}

/// ErrorResponse.
pub fn error(out: &mut BytesMut, report: &Report) {
    let severity = if report.fatal { "FATAL" } else { "ERROR" };
    put(out, &ErrorResponse::new(fields(report, severity)));
}

/// NoticeResponse: WARNING for class 01 and for codes that PostgreSQL warns with, else NOTICE.
pub fn notice(out: &mut BytesMut, report: &Report) {
    put(out, &NoticeResponse::new(fields(report, severity(report))));
}

/// The severity of a notice: conditions of success and "skipping" notes are NOTICE, the rest WARNING.
pub fn severity(report: &Report) -> &'static str {
    match report.code {
        SqlState::SuccessfulCompletion | SqlState::NoData => "NOTICE",
        SqlState::DuplicateTable
        | SqlState::DuplicateSchema
        | SqlState::DuplicateColumn
        | SqlState::DuplicateObject => "NOTICE",
        SqlState::NameTooLong => "NOTICE",
        _ => "WARNING",
    }
}

/// ParameterStatus.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    put(out, &ParameterStatus::new(name.to_owned(), value.to_owned()));
}

/// CommandComplete.
pub fn command_complete(out: &mut BytesMut, tag: &str) {
    frame(out, b'C', |out| put_cstring(out, tag));
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut BytesMut, status: TransactionStatus) {
    frame(out, b'Z', |out| out.put_u8(status as u8));
}

/// A message that is only its type: ParseComplete `1`, BindComplete `2`, CloseComplete `3`, NoData `n`,
/// EmptyQueryResponse `I`, PortalSuspended `s`, CopyDone `c`.
pub fn bare(out: &mut BytesMut, kind: u8) {
    frame(out, kind, |_| ());
}

/// ParameterDescription.
pub fn parameter_description(out: &mut BytesMut, types: &[Oid]) {
    frame(out, b't', |out| {
        out.put_u16(types.len() as u16);
        types.iter().for_each(|ty| out.put_u32(ty.0));
    });
}

/// RowDescription.
pub fn row_description<'a>(out: &mut BytesMut, fields: impl ExactSizeIterator<Item = Field<'a>>) {
    frame(out, b'T', |out| {
        out.put_u16(fields.len() as u16);
        for field in fields {
            put_cstring(out, field.name);
            out.put_u32(field.table.0);
            out.put_i16(field.attribute);
            out.put_u32(field.ty.0);
            out.put_i16(field.size);
            out.put_i32(field.typmod);
            out.put_i16(field.format);
        }
    });
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
pub fn copy_response(out: &mut BytesMut, kind: u8, binary: bool, columns: usize) {
    frame(out, kind, |out| {
        out.put_u8(u8::from(binary));
        out.put_u16(columns as u16);
        (0..columns).for_each(|_| out.put_u16(u16::from(binary)));
    });
}
