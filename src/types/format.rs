//! The settings that value output depends on.

/// `DateStyle`, `IntervalStyle`, `bytea_output`, `extra_float_digits` of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FormatSettings {
    /// First half of DateStyle.
    pub date_style: DateStyle,
    /// Second half of DateStyle: how 01/02/2024 is read.
    pub date_order: DateOrder,
    /// IntervalStyle.
    pub interval_style: IntervalStyle,
    /// bytea_output = escape
    pub bytea_escape: bool,
    /// extra_float_digits; above 0: shortest text that reads back the same.
    pub extra_float_digits: i32,
}

/// DateStyle's output form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DateStyle {
    #[default]
    Iso,
    Sql,
    Postgres,
    German,
}

/// DateStyle's field order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

/// IntervalStyle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IntervalStyle {
    #[default]
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}
