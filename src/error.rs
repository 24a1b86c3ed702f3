//! The one error that crosses the wire: PostgreSQL's SQLSTATE, message and fields.
//!
//! Every error a client can see is an [`Error`]. Its class decides what the session does: any error fails the
//! transaction block; [`Error::is_fatal`] ends the connection too. Where a lower layer has an error type of its own
//! (`lightning_storage::Error`), its `From` here is the only place that chooses a SQLSTATE for it.

use std::fmt;

/// A result whose error can be sent to a client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error report: five-character SQLSTATE, primary message, and the optional fields of PostgreSQL's ErrorResponse.
///
/// Boxed, so that `Result<Datum>` stays small on the row road.
#[derive(Clone, Debug)]
pub struct Error(Box<Report>);

/// The fields of an [`Error`] or of a notice.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The condition.
    pub code: SqlState,
    /// FATAL: the connection ends after it.
    pub fatal: bool,
    /// Field M.
    pub message: String,
    /// Field D.
    pub detail: Option<String>,
    /// Field H.
    pub hint: Option<String>,
    /// Field P: 1-based character (not byte) position in the statement's text.
    pub position: Option<u32>,
    /// Field W.
    pub context: Option<String>,
    /// Field s.
    pub schema: Option<String>,
    /// Field t.
    pub table: Option<String>,
    /// Field c.
    pub column: Option<String>,
    /// Field d.
    pub data_type: Option<String>,
    /// Field n.
    pub constraint: Option<String>,
    /// Not an error at all: an operator had to wait (design rule 25). Never leaves the executor.
    pub(crate) wait: Option<lightning_storage::Waiter>,
}

macro_rules! sqlstates {
    ($($name:ident = $code:literal;)*) => {
        /// PostgreSQL's condition names (errcodes.txt) that this database raises.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum SqlState { #[default] $($name),* }

        impl SqlState {
            /// The five-character code.
            pub const fn code(self) -> &'static str {
                match self { $(SqlState::$name => $code),* }
            }
        }
    };
}

sqlstates! {
    InternalError = "XX000";
    DataCorrupted = "XX001";
    SuccessfulCompletion = "00000";
    Warning = "01000";
    StringDataRightTruncationWarning = "01004";
    NoData = "02000";
    ConnectionException = "08000";
    ProtocolViolation = "08P01";
    FeatureNotSupported = "0A000";
    InvalidGrantor = "0L000";
    CardinalityViolation = "21000";
    DataException = "22000";
    StringDataRightTruncation = "22001";
    NumericValueOutOfRange = "22003";
    NullValueNotAllowed = "22004";
    DatetimeFieldOverflow = "22008";
    InvalidDatetimeFormat = "22007";
    SubstringError = "22011";
    DivisionByZero = "22012";
    InvalidPrecedingOrFollowingSize = "22013";
    InvalidArgumentForNtile = "22014";
    IntervalFieldOverflow = "22015";
    InvalidArgumentForNthValue = "22016";
    InvalidCharacterValueForCast = "22018";
    InvalidEscapeCharacter = "22019";
    InvalidUseOfEscapeCharacter = "2200C";
    InvalidRegularExpression = "2201B";
    InvalidArgumentForLogarithm = "2201E";
    InvalidArgumentForPowerFunction = "2201F";
    InvalidArgumentForWidthBucket = "2201G";
    InvalidRowCountInLimit = "2201W";
    InvalidRowCountInOffset = "2201X";
    CharacterNotInRepertoire = "22021";
    InvalidParameterValue = "22023";
    InvalidEscapeSequence = "22025";
    ArraySubscriptError = "2202E";
    InvalidTimeZoneDisplacement = "22009";
    InvalidTextRepresentation = "22P02";
    InvalidBinaryRepresentation = "22P03";
    BadCopyFileFormat = "22P04";
    UntranslatableCharacter = "22P05";
    SequenceGeneratorLimitExceeded = "2200H";
    IntegrityConstraintViolation = "23000";
    NotNullViolation = "23502";
    ForeignKeyViolation = "23503";
    UniqueViolation = "23505";
    CheckViolation = "23514";
    InvalidCursorState = "24000";
    InvalidTransactionState = "25000";
    ActiveSqlTransaction = "25001";
    ReadOnlySqlTransaction = "25006";
    NoActiveSqlTransaction = "25P01";
    InFailedSqlTransaction = "25P02";
    IdleInTransactionSessionTimeout = "25P03";
    InvalidSqlStatementName = "26000";
    InvalidAuthorizationSpecification = "28000";
    InvalidPassword = "28P01";
    DependentObjectsStillExist = "2BP01";
    InvalidCursorName = "34000";
    InvalidSavepointSpecification = "3B001";
    InvalidCatalogName = "3D000";
    InvalidSchemaName = "3F000";
    SerializationFailure = "40001";
    DeadlockDetected = "40P01";
    SyntaxError = "42601";
    InsufficientPrivilege = "42501";
    CannotCoerce = "42846";
    GroupingError = "42803";
    WindowingError = "42P20";
    InvalidRecursion = "42P19";
    InvalidForeignKey = "42830";
    InvalidName = "42602";
    NameTooLong = "42622";
    ReservedName = "42939";
    DatatypeMismatch = "42804";
    IndeterminateDatatype = "42P18";
    CollationMismatch = "42P21";
    InvalidTablesampleArgument = "2202H";
    InvalidTablesampleRepeat = "2202G";
    IndeterminateCollation = "42P22";
    WrongObjectType = "42809";
    GeneratedAlways = "428C9";
    UndefinedColumn = "42703";
    UndefinedFunction = "42883";
    UndefinedTable = "42P01";
    UndefinedParameter = "42P02";
    UndefinedObject = "42704";
    DuplicateColumn = "42701";
    DuplicateCursor = "42P03";
    DuplicateDatabase = "42P04";
    DuplicatePreparedStatement = "42P05";
    DuplicateSchema = "42P06";
    DuplicateTable = "42P07";
    DuplicateAlias = "42712";
    DuplicateObject = "42710";
    DuplicateFunction = "42723";
    AmbiguousColumn = "42702";
    AmbiguousFunction = "42725";
    AmbiguousParameter = "42P08";
    AmbiguousAlias = "42P09";
    InvalidColumnReference = "42P10";
    InvalidColumnDefinition = "42611";
    InvalidCursorDefinition = "42P11";
    InvalidDatabaseDefinition = "42P12";
    InvalidFunctionDefinition = "42P13";
    InvalidPreparedStatementDefinition = "42P14";
    InvalidSchemaDefinition = "42P15";
    InvalidTableDefinition = "42P16";
    InvalidObjectDefinition = "42P17";
    WithCheckOptionViolation = "44000";
    DiskFull = "53100";
    OutOfMemory = "53200";
    TooManyConnections = "53300";
    ConfigurationLimitExceeded = "53400";
    ProgramLimitExceeded = "54000";
    StatementTooComplex = "54001";
    TooManyColumns = "54011";
    TooManyArguments = "54023";
    ObjectNotInPrerequisiteState = "55000";
    ObjectInUse = "55006";
    CantChangeRuntimeParam = "55P02";
    UnsafeNewEnumValueUsage = "55P04";
    LockNotAvailable = "55P03";
    QueryCanceled = "57014";
    AdminShutdown = "57P01";
    CrashShutdown = "57P02";
    CannotConnectNow = "57P03";
    DatabaseDropped = "57P04";
    IdleSessionTimeout = "57P05";
    IoError = "58030";
    SnapshotTooOld = "72000";
    RaiseException = "P0001";
}

impl Error {
    /// An error with a code and a message, PostgreSQL's words where it has them.
    pub fn new(code: SqlState, message: impl Into<String>) -> Error {
        Error(Box::new(Report { code, message: message.into(), ..Report::default() }))
    }

    /// 0A000: a feature that PostgreSQL has and this database refuses.
    pub fn unsupported(what: impl fmt::Display) -> Error {
        Error::new(SqlState::FeatureNotSupported, format!("{what} is not supported"))
    }

    /// XX000: a broken invariant of ours. Never for bad input.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(SqlState::InternalError, message)
    }

    /// An operator has to wait; the statement is called again when `waiter` is ready.
    pub fn wait(waiter: lightning_storage::Waiter) -> Error {
        Error(Box::new(Report { wait: Some(waiter), ..Report::default() }))
    }

    /// The waiter, if this is no error but a wait. The caller keeps its state and calls again once it is ready.
    pub fn waiter(&self) -> Option<&lightning_storage::Waiter> {
        self.0.wait.as_ref()
    }

    /// 57014: somebody asked for the statement's end.
    pub(crate) fn canceled() -> Error {
        Error::new(SqlState::QueryCanceled, "canceling statement due to user request")
    }

    /// The end of a time slice: no error either; the executor calls again after letting others run.
    pub(crate) fn pause() -> Error {
        Error::new(SqlState::SuccessfulCompletion, "")
    }

    /// Whether this is [`Error::pause`].
    pub(crate) fn is_pause(&self) -> bool {
        self.0.code == SqlState::SuccessfulCompletion
    }

    /// The report's fields.
    pub fn report(&self) -> &Report {
        &self.0
    }

    /// The report's fields, to be changed.
    pub fn report_mut(&mut self) -> &mut Report {
        &mut self.0
    }

    /// The condition.
    pub fn code(&self) -> SqlState {
        self.0.code
    }

    /// Whether the connection ends with it.
    pub fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    /// Makes the error end the connection.
    pub fn fatal(mut self) -> Error {
        self.0.fatal = true;
        self
    }

    /// Sets field D.
    pub fn detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets field H.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets field P (1-based characters) unless a deeper place has set it already; 0 is "unknown".
    pub fn at(mut self, position: u32) -> Error {
        if position > 0 && self.0.position.is_none() {
            self.0.position = Some(position);
        }
        self
    }

    /// Without field P: positions in a text that is not the client's mean nothing to it.
    pub fn without_position(mut self) -> Error {
        self.0.position = None;
        self
    }

    /// Adds a line to field W: what is around comes after what is inside.
    pub fn context(mut self, context: impl Into<String>) -> Error {
        let context = context.into();
        self.0.context = Some(match self.0.context.take() {
            Some(inner) => format!("{inner}\n{context}"),
            None => context,
        });
        self
    }

    /// Sets fields s and t.
    pub fn table(mut self, schema: impl Into<String>, table: impl Into<String>) -> Error {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }

    /// The type that it is about.
    #[must_use]
    pub fn data_type(mut self, schema: impl Into<String>, name: impl Into<String>) -> Error {
        self.0.schema = Some(schema.into());
        self.0.data_type = Some(name.into());
        self
    }

    /// Sets field c.
    pub fn column(mut self, column: impl Into<String>) -> Error {
        self.0.column = Some(column.into());
        self
    }

    /// Sets field n.
    pub fn constraint(mut self, constraint: impl Into<String>) -> Error {
        self.0.constraint = Some(constraint.into());
        self
    }
}

impl From<lightning_storage::Error> for Error {
    /// Exhaustive on purpose: a new way for storage to fail must choose its SQLSTATE here. Operators that know more (which
    /// constraint, which row) look at storage's error before it comes here.
    fn from(error: lightning_storage::Error) -> Error {
        use lightning_storage::Error as Storage;
        match error {
            Storage::Wait(waiter) => Error::wait(waiter),
            Storage::Conflict => {
                Error::new(SqlState::SerializationFailure, "could not serialize access due to concurrent update")
            }
            Storage::Deadlock { detail } => Error::new(SqlState::DeadlockDetected, "deadlock detected").detail(detail),
            Storage::Unsupported(what) => Error::unsupported(what),
            Storage::Duplicate { .. } => {
                Error::new(SqlState::UniqueViolation, "duplicate key value violates unique constraint")
            }
            Storage::TooLarge { bytes, max_bytes } => Error::new(
                SqlState::ProgramLimitExceeded,
                format!("index row size {bytes} exceeds btree version 4 maximum {max_bytes}"),
            ),
            Storage::Full => Error::new(SqlState::DiskFull, "could not extend the database: no space left on device"),
            Storage::OutOfMemory => Error::new(SqlState::OutOfMemory, "out of memory"),
            Storage::LockNotAvailable => {
                Error::new(SqlState::LockNotAvailable, "could not obtain lock on row or relation")
            }
            Storage::SnapshotTooOld => Error::new(SqlState::SnapshotTooOld, "snapshot too old"),
            Storage::SequenceLimit { limit, upper } => {
                let end = if upper { "maximum" } else { "minimum" };
                Error::new(
                    SqlState::SequenceGeneratorLimitExceeded,
                    format!("nextval: reached {end} value of sequence ({limit})"),
                )
            }
            error @ (Storage::Corrupt(_) | Storage::CorruptPage { .. }) => {
                Error::new(SqlState::DataCorrupted, error.to_string())
            }
            error @ (Storage::Io(_) | Storage::Poisoned | Storage::Locked) => {
                Error::new(SqlState::IoError, error.to_string())
            }
            // A plan that named an object of before a TRUNCATE or DROP: the session plans again.
            error @ Storage::NotFound => Error::internal(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.0.message, self.0.code.code())
    }
}

impl std::error::Error for Error {}
