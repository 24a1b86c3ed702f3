//! Utility statements: DDL, transaction control, settings, cursors, COPY and the rest of what is not planned.
//!
//! Expressions that the catalog keeps (DEFAULT, CHECK, index keys, view queries) carry their source text beside the tree.

use super::{Expr, Ident, ObjectName, Query, Statement, TypeName};

/// A utility statement.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Utility {
    CreateTable(CreateTable),
    CreateTableAs(CreateTableAs),
    CreateIndex(CreateIndex),
    CreateView(CreateView),
    CreateSchema(CreateSchema),
    CreateSequence(CreateSequence),
    CreateDatabase(CreateDatabase),
    /// CREATE TYPE … AS ENUM
    CreateEnum {
        name: ObjectName,
        labels: Vec<String>,
    },
    CreateDomain(CreateDomain),
    /// ALTER TYPE and DOMAIN.
    AlterType(AlterType),
    CreateRole(CreateRole),
    AlterTable(AlterTable),
    AlterSequence(AlterSequence),
    AlterRole(AlterRole),
    AlterDatabase(AlterDatabase),
    /// ALTER … RENAME TO of anything that is not a table, view, index or sequence column.
    Rename(Rename),
    /// ALTER SCHEMA/DATABASE … OWNER TO
    Owner {
        kind: ObjectKind,
        name: ObjectName,
        owner: RoleSpec,
    },
    Drop(Drop),
    /// REASSIGN OWNED BY … TO
    ReassignOwned {
        roles: Vec<RoleSpec>,
        to: RoleSpec,
    },
    DropOwned {
        roles: Vec<RoleSpec>,
        cascade: bool,
    },
    Truncate(Truncate),
    Comment(Comment),
    Transaction(Transaction),
    Set(Set),
    Reset(SettingName),
    Show(SettingName),
    /// SET CONSTRAINTS; `None`: ALL.
    SetConstraints {
        names: Option<Vec<ObjectName>>,
        deferred: bool,
    },
    Discard(Discard),
    Prepare(Prepare),
    Execute(Execute),
    /// DEALLOCATE; `None`: ALL.
    Deallocate(Option<String>),
    DeclareCursor(DeclareCursor),
    Fetch(Fetch),
    /// CLOSE; `None`: ALL.
    Close(Option<String>),
    Explain(Explain),
    Analyze(Analyze),
    Vacuum(Vacuum),
    Checkpoint,
    LockTable(LockTable),
    Copy(Box<Copy>),
    Listen(String),
    /// UNLISTEN; `None`: `*`.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: Option<String>,
    },
    Grant(Grant),
    Reindex {
        concurrently: bool,
        kind: ObjectKind,
        name: ObjectName,
    },
    /// Parsed far enough to be named; executed as 0A000 under this name ("CREATE FUNCTION", "DO", …).
    Unsupported {
        what: String,
        pos: u32,
    },
}

/// CREATE DOMAIN.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CreateDomain {
    pub name: ObjectName,
    pub ty: TypeName,
    pub collation: Option<ObjectName>,
    /// DEFAULT, \[NOT\] NULL and CHECK are right; what else stands there is refused.
    pub constraints: Vec<ConstraintDef>,
}

/// ALTER TYPE or ALTER DOMAIN.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct AlterType {
    /// Type or Domain.
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub action: AlterTypeAction,
}

/// What ALTER TYPE and ALTER DOMAIN change.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum AlterTypeAction {
    /// ADD VALUE; `place`: whether BEFORE, and which label.
    AddValue {
        if_not_exists: bool,
        label: String,
        place: Option<(bool, String)>,
    },
    RenameValue {
        from: String,
        to: String,
    },
    Rename(Ident),
    Owner(RoleSpec),
    SetSchema(Ident),
    /// SET DEFAULT, DROP DEFAULT.
    Default(Option<ExprText>),
    /// SET NOT NULL, DROP NOT NULL.
    NotNull(bool),
    AddConstraint(ConstraintDef),
    DropConstraint {
        if_exists: bool,
        name: Ident,
        cascade: bool,
    },
    ValidateConstraint(Ident),
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    /// A form that is refused by name.
    Unsupported(String),
}

/// An expression with its text.
#[derive(Clone, Debug)]
pub struct ExprText {
    /// The tree.
    pub expr: Expr,
    /// Its source, from its first to its last token.
    pub text: String,
}

/// A query with its text.
#[derive(Clone, Debug)]
pub struct QueryText {
    /// The tree.
    pub query: Box<Query>,
    /// Its source.
    pub text: String,
}

/// A role as written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RoleSpec {
    Name(Ident),
    CurrentUser,
    SessionUser,
    Public,
}

/// Kinds of objects that DROP, COMMENT, ALTER … RENAME and GRANT name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ObjectKind {
    Table,
    View,
    MaterializedView,
    Index,
    Sequence,
    Schema,
    Database,
    Role,
    Column,
    Constraint,
    Function,
    Procedure,
    Type,
    Domain,
    Extension,
    Trigger,
    /// ALL TABLES IN SCHEMA and so on, tablespaces, languages, …: only ever refused.
    Other,
}

/// CREATE TABLE.
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// TEMP
    pub temporary: bool,
    /// UNLOGGED
    pub unlogged: bool,
    /// Name.
    pub name: ObjectName,
    /// Columns in order.
    pub columns: Vec<ColumnDef>,
    /// Table constraints in order.
    pub constraints: Vec<ConstraintDef>,
    /// LIKE clauses, with the number of columns written before each.
    pub likes: Vec<LikeClause>,
    /// WITH (…) storage parameters.
    pub options: Vec<DefElem>,
    /// ON COMMIT
    pub on_commit: Option<OnCommitClause>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
    /// USING access method
    pub access_method: Option<Ident>,
}

/// LIKE source [INCLUDING | EXCLUDING …].
#[derive(Clone, Debug)]
pub struct LikeClause {
    /// The source.
    pub source: ObjectName,
    /// (including, what): what in lower case, `all` too.
    pub options: Vec<(bool, String)>,
    /// Columns written before it.
    pub after_columns: usize,
}

/// ON COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OnCommitClause {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// A column definition.
#[derive(Clone, Debug)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type; `serial` and its kin are still names here.
    pub ty: TypeName,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Column constraints in order; attributes (DEFERRABLE …) are folded into the one before.
    pub constraints: Vec<ConstraintDef>,
    /// The name's position.
    pub pos: u32,
}

/// A constraint of a column or table.
#[derive(Clone, Debug)]
pub struct ConstraintDef {
    /// CONSTRAINT name
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintBody,
    /// \[NOT\] DEFERRABLE
    pub deferrable: Option<bool>,
    /// INITIALLY DEFERRED (`Some(true)`) or IMMEDIATE
    pub initially_deferred: Option<bool>,
    /// NOT VALID
    pub not_valid: bool,
    /// NO INHERIT
    pub no_inherit: bool,
    /// Its position.
    pub pos: u32,
}

/// Constraint bodies. The column form has empty `columns`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ConstraintBody {
    Null,
    NotNull,
    Default(ExprText),
    Check(ExprText),
    Generated(ExprText),
    Identity {
        always: bool,
        options: Vec<SequenceOption>,
    },
    PrimaryKey {
        columns: Vec<Ident>,
        index: IndexParameters,
    },
    Unique {
        columns: Vec<Ident>,
        nulls_not_distinct: bool,
        index: IndexParameters,
    },
    /// ADD CONSTRAINT … {PRIMARY KEY | UNIQUE} USING INDEX name
    UsingIndex {
        primary: bool,
        index: Ident,
    },
    ForeignKey(ForeignKey),
    Exclude,
}

/// INCLUDE, WITH and TABLESPACE of a constraint's index.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct IndexParameters {
    pub include: Vec<Ident>,
    pub options: Vec<DefElem>,
    pub tablespace: Option<Ident>,
}

/// REFERENCES.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Referencing columns (table form).
    pub columns: Vec<Ident>,
    /// The referenced table.
    pub references: ObjectName,
    /// Its columns; empty: its primary key.
    pub referenced_columns: Vec<Ident>,
    /// MATCH FULL (`Some(true)`), SIMPLE (`Some(false)`); PARTIAL is refused by the parser.
    pub match_full: bool,
    /// ON UPDATE
    pub on_update: crate::catalog::image::ReferentialAction,
    /// ON DELETE
    pub on_delete: crate::catalog::image::ReferentialAction,
    /// ON DELETE SET NULL/DEFAULT (columns)
    pub delete_columns: Vec<Ident>,
}

/// `name = value` of option lists.
#[derive(Clone, Debug)]
pub struct DefElem {
    /// Lower case; `namespace.name` for qualified ones.
    pub name: String,
    /// The value.
    pub value: Option<DefValue>,
    /// The name's position.
    pub pos: u32,
}

/// Values of option lists.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum DefValue {
    /// A keyword or name (lower case), or a quoted string.
    Text(String),
    /// A number as written, sign included.
    Number(String),
    /// `(a, b)`
    List(Vec<String>),
    /// `*`
    Star,
}

/// One option of CREATE/ALTER SEQUENCE and identity columns.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum SequenceOption {
    As(TypeName),
    Increment(i64),
    /// `None`: NO MINVALUE
    MinValue(Option<i64>),
    MaxValue(Option<i64>),
    Start(i64),
    Restart(Option<i64>),
    Cache(i64),
    Cycle(bool),
    /// `None`: OWNED BY NONE; else the column's name as written, table included.
    OwnedBy(Option<ObjectName>),
    /// SEQUENCE NAME (identity columns, pg_dump)
    Name(ObjectName),
}

/// CREATE TABLE AS, SELECT INTO.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// TEMP
    pub temporary: bool,
    /// UNLOGGED
    pub unlogged: bool,
    /// MATERIALIZED VIEW
    pub materialized: bool,
    /// Name.
    pub name: ObjectName,
    /// Column names.
    pub columns: Vec<Ident>,
    /// WITH (…)
    pub options: Vec<DefElem>,
    /// ON COMMIT
    pub on_commit: Option<OnCommitClause>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
    /// The source: a query, or EXECUTE.
    pub source: CreateTableSource,
    /// WITH NO DATA is false.
    pub with_data: bool,
}

/// What CREATE TABLE AS runs.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum CreateTableSource {
    Query(Box<Query>),
    Execute(Execute),
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// UNIQUE
    pub unique: bool,
    /// CONCURRENTLY
    pub concurrently: bool,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Name; chosen by the server when not given.
    pub name: Option<Ident>,
    /// ONLY
    pub only: bool,
    /// Table.
    pub table: ObjectName,
    /// USING method
    pub method: Option<Ident>,
    /// Keys.
    pub keys: Vec<IndexKeyDef>,
    /// INCLUDE
    pub include: Vec<IndexKeyDef>,
    /// NULLS NOT DISTINCT
    pub nulls_not_distinct: bool,
    /// WITH (…)
    pub options: Vec<DefElem>,
    /// TABLESPACE
    pub tablespace: Option<Ident>,
    /// WHERE
    pub predicate: Option<ExprText>,
}

/// One key of CREATE INDEX.
#[derive(Clone, Debug)]
pub struct IndexKeyDef {
    /// A bare column.
    pub column: Option<Ident>,
    /// Or an expression.
    pub expr: Option<ExprText>,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Operator class.
    pub operator_class: Option<ObjectName>,
    /// DESC
    pub descending: Option<bool>,
    /// NULLS FIRST (`Some(true)`), LAST
    pub nulls_first: Option<bool>,
}

/// CREATE VIEW.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// OR REPLACE
    pub or_replace: bool,
    /// TEMP
    pub temporary: bool,
    /// RECURSIVE
    pub recursive: bool,
    /// Name.
    pub name: ObjectName,
    /// Column names.
    pub columns: Vec<Ident>,
    /// WITH (…)
    pub options: Vec<DefElem>,
    /// The query.
    pub query: QueryText,
    /// WITH \[LOCAL | CASCADED\] CHECK OPTION
    pub check_option: Option<crate::catalog::image::CheckOption>,
}

/// CREATE SCHEMA.
#[derive(Clone, Debug)]
pub struct CreateSchema {
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Name; the owner's when not given.
    pub name: Option<Ident>,
    /// AUTHORIZATION
    pub owner: Option<RoleSpec>,
    /// Statements inside it.
    pub elements: Vec<Statement>,
}

/// CREATE SEQUENCE.
#[derive(Clone, Debug)]
pub struct CreateSequence {
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// TEMP
    pub temporary: bool,
    /// UNLOGGED
    pub unlogged: bool,
    /// Name.
    pub name: ObjectName,
    /// Options in order.
    pub options: Vec<SequenceOption>,
}

/// ALTER SEQUENCE with sequence options (other forms are [`AlterTable`]).
#[derive(Clone, Debug)]
pub struct AlterSequence {
    /// IF EXISTS
    pub if_exists: bool,
    /// Name.
    pub name: ObjectName,
    /// Options in order.
    pub options: Vec<SequenceOption>,
}

/// CREATE DATABASE.
#[derive(Clone, Debug)]
pub struct CreateDatabase {
    /// Name.
    pub name: Ident,
    /// Options: owner, template, encoding, locale, lc_collate, lc_ctype, tablespace, allow_connections, connection_limit, is_template, …
    pub options: Vec<DefElem>,
}

/// ALTER DATABASE name options (RENAME and OWNER are statements of their own; SET is `setting`).
#[derive(Clone, Debug)]
pub struct AlterDatabase {
    /// Name.
    pub name: Ident,
    /// Options.
    pub options: Vec<DefElem>,
    /// SET or RESET of a setting.
    pub setting: Option<Result<Set, SettingName>>,
}

/// CREATE ROLE / USER / GROUP.
#[derive(Clone, Debug)]
pub struct CreateRole {
    /// Written CREATE USER: LOGIN is the default.
    pub user: bool,
    /// Name.
    pub name: Ident,
    /// Options in order.
    pub options: Vec<RoleOption>,
}

/// ALTER ROLE / USER.
#[derive(Clone, Debug)]
pub struct AlterRole {
    /// The role.
    pub role: RoleSpec,
    /// Options in order.
    pub options: Vec<RoleOption>,
    /// SET or RESET of a setting.
    pub setting: Option<Result<Set, SettingName>>,
    /// IN DATABASE, for settings.
    pub database: Option<Ident>,
}

/// Role options.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum RoleOption {
    Superuser(bool),
    CreateDb(bool),
    CreateRole(bool),
    Inherit(bool),
    Login(bool),
    Replication(bool),
    BypassRls(bool),
    ConnectionLimit(i32),
    /// `None`: PASSWORD NULL
    Password(Option<String>),
    ValidUntil(String),
    /// IN ROLE / IN GROUP
    InRole(Vec<RoleSpec>),
    /// ROLE / USER
    Members(Vec<RoleSpec>),
    /// ADMIN
    Admins(Vec<RoleSpec>),
    /// SYSID n: ignored by PostgreSQL too, with a notice.
    SysId,
}

/// ALTER TABLE / INDEX / VIEW / SEQUENCE.
#[derive(Clone, Debug)]
pub struct AlterTable {
    /// The word after ALTER: what the relation must be.
    pub kind: ObjectKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// ONLY
    pub only: bool,
    /// The relation.
    pub name: ObjectName,
    /// Actions in order.
    pub actions: Vec<AlterTableAction>,
}

/// ALTER TABLE actions.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum AlterTableAction {
    AddColumn {
        if_not_exists: bool,
        column: ColumnDef,
    },
    DropColumn {
        if_exists: bool,
        name: Ident,
        cascade: bool,
    },
    AlterType {
        name: Ident,
        ty: TypeName,
        collation: Option<ObjectName>,
        using: Option<ExprText>,
    },
    SetDefault {
        name: Ident,
        expr: ExprText,
    },
    DropDefault {
        name: Ident,
    },
    SetNotNull {
        name: Ident,
    },
    DropNotNull {
        name: Ident,
    },
    DropExpression {
        name: Ident,
        if_exists: bool,
    },
    AddIdentity {
        name: Ident,
        always: bool,
        options: Vec<SequenceOption>,
    },
    /// SET GENERATED (`always`), and sequence options.
    SetIdentity {
        name: Ident,
        always: Option<bool>,
        options: Vec<SequenceOption>,
    },
    DropIdentity {
        name: Ident,
        if_exists: bool,
    },
    /// SET STATISTICS n: kept.
    SetStatistics {
        name: Ident,
        target: i32,
    },
    /// SET STORAGE: refused or ignored by execution.
    SetStorage {
        name: Ident,
        storage: String,
    },
    AddConstraint(ConstraintDef),
    AlterConstraint {
        name: Ident,
        deferrable: Option<bool>,
        initially_deferred: Option<bool>,
    },
    ValidateConstraint {
        name: Ident,
    },
    DropConstraint {
        if_exists: bool,
        name: Ident,
        cascade: bool,
    },
    RenameTable {
        to: Ident,
    },
    RenameColumn {
        from: Ident,
        to: Ident,
    },
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    OwnerTo(RoleSpec),
    SetSchema(Ident),
    SetOptions(Vec<DefElem>),
    ResetOptions(Vec<DefElem>),
    SetTablespace(Ident),
    SetLogged(bool),
    ReplicaIdentity(String),
    /// CLUSTER ON, INHERIT, ATTACH PARTITION, ENABLE TRIGGER, … : 0A000 by this name.
    Unsupported(String),
}

/// ALTER kind name RENAME TO.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Rename {
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub to: Ident,
}

/// DROP.
#[derive(Clone, Debug)]
pub struct Drop {
    /// What.
    pub kind: ObjectKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// CONCURRENTLY (indexes)
    pub concurrently: bool,
    /// Names.
    pub names: Vec<ObjectName>,
    /// CASCADE
    pub cascade: bool,
    /// DROP DATABASE … WITH (FORCE)
    pub force: bool,
}

/// TRUNCATE.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Truncate {
    pub names: Vec<ObjectName>,
    pub restart_identity: bool,
    pub cascade: bool,
}

/// COMMENT ON.
#[derive(Clone, Debug)]
pub struct Comment {
    /// What.
    pub kind: ObjectKind,
    /// The object; for columns `[schema.]table.column`, for constraints and triggers the bare name.
    pub name: ObjectName,
    /// The table of a constraint or trigger, or a constraint's domain.
    pub on: Option<ObjectName>,
    /// ON DOMAIN
    pub on_domain: bool,
    /// `None`: IS NULL
    pub text: Option<String>,
}

/// Transaction control.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Transaction {
    /// BEGIN, START TRANSACTION (`start`: its command tag differs)
    Begin {
        start: bool,
        modes: TransactionModes,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED: refused by name.
    TwoPhase(&'static str),
    /// SET TRANSACTION
    SetTransaction(TransactionModes),
    /// SET TRANSACTION SNAPSHOT
    SetSnapshot(String),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION
    SessionCharacteristics(TransactionModes),
}

/// Transaction modes as written; later ones win.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TransactionModes {
    pub isolation: Option<Isolation>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

/// Isolation levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// SET \[SESSION | LOCAL\] name = values. `SET TIME ZONE`, `SET ROLE`, `SET SESSION AUTHORIZATION`, `SET NAMES`, `SET SCHEMA`,
/// `SET XML OPTION` have the settings' names `timezone`, `role`, `session_authorization`, `client_encoding`, `search_path`.
#[derive(Clone, Debug)]
pub struct Set {
    /// LOCAL
    pub local: bool,
    /// Lower case, `a.b` for custom ones.
    pub name: String,
    /// The values; `None`: DEFAULT.
    pub values: Option<Vec<SetValue>>,
    /// The name's position.
    pub pos: u32,
}

/// One value of SET.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum SetValue {
    /// A quoted string or a name (folded); `true`, `on` and such are text too.
    Text(String),
    /// A number as written, with its sign.
    Number(String),
    /// SET TIME ZONE INTERVAL '…' HOUR TO MINUTE: the interval's text.
    Interval(String),
}

/// The object of SHOW and RESET.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SettingName {
    All,
    Name(String),
}

/// DISCARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// PREPARE.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// Name.
    pub name: String,
    /// Declared parameter types.
    pub types: Vec<TypeName>,
    /// The statement.
    pub statement: Box<Statement>,
    /// Its source text.
    pub text: String,
    /// Position of the statement's first character, 1-based.
    pub pos: u32,
}

/// EXECUTE.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Execute {
    pub name: String,
    pub params: Vec<Expr>,
}

/// DECLARE … CURSOR.
#[derive(Clone, Debug)]
pub struct DeclareCursor {
    /// Name.
    pub name: String,
    /// BINARY
    pub binary: bool,
    /// INSENSITIVE (`Some(true)`) or ASENSITIVE
    pub insensitive: Option<bool>,
    /// \[NO\] SCROLL
    pub scroll: Option<bool>,
    /// WITH HOLD
    pub hold: bool,
    /// The query.
    pub query: Box<Query>,
    /// Its source text.
    pub text: String,
}

/// FETCH and MOVE.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// MOVE
    pub is_move: bool,
    /// The cursor.
    pub cursor: String,
    /// How far.
    pub direction: FetchDirection,
}

/// Directions of FETCH. `All` forms are `i64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FetchDirection {
    Forward(i64),
    Backward(i64),
    /// FIRST is 1, LAST is -1.
    Absolute(i64),
    Relative(i64),
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub struct Explain {
    /// Options: analyze, verbose, costs, settings, buffers, wal, timing, summary, format.
    pub options: Vec<DefElem>,
    /// What is explained.
    pub statement: Box<Statement>,
}

/// ANALYZE.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Analyze {
    pub options: Vec<DefElem>,
    pub tables: Vec<(ObjectName, Vec<Ident>)>,
}

/// VACUUM; old-style words are options too.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Vacuum {
    pub options: Vec<DefElem>,
    pub tables: Vec<(ObjectName, Vec<Ident>)>,
}

/// LOCK TABLE.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct LockTable {
    pub names: Vec<ObjectName>,
    pub mode: TableLockMode,
    pub nowait: bool,
}

/// Table lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum TableLockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What is copied.
    pub source: CopySource,
    /// FROM; else TO.
    pub from: bool,
    /// The other end.
    pub target: CopyTarget,
    /// Options, old syntax translated: format, freeze, delimiter, null, header, quote, escape, force_quote, force_not_null,
    /// force_null, encoding. Values unchecked.
    pub options: Vec<DefElem>,
    /// WHERE of COPY FROM
    pub filter: Option<ExprText>,
}

/// What COPY reads or writes.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum CopySource {
    Table {
        name: ObjectName,
        columns: Vec<Ident>,
    },
    /// SELECT, INSERT, UPDATE or DELETE with RETURNING
    Statement(Box<Statement>),
}

/// COPY's other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CopyTarget {
    /// STDIN or STDOUT
    Client,
    File(String),
    Program(String),
}

/// GRANT and REVOKE, kept only as far as they can be named.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Grant {
    pub revoke: bool,
    pub pos: u32,
}
