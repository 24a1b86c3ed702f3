//! The statement dispatcher, and statements that define nothing: transactions, settings, cursors, COPY, maintenance.

use super::keywords::Category;
use super::lexer::Kind;
use super::parser::Parser;
use crate::error::Result;
use crate::sql::ast::utility::{
    Analyze, Copy, CopySource, CopyTarget, DeclareCursor, DefElem, DefValue, Discard, Execute, Explain, Fetch,
    FetchDirection, Grant, Isolation, LockTable, Prepare, Set, SetValue, SettingName, TableLockMode, Transaction,
    TransactionModes, Truncate, Utility, Vacuum,
};
use crate::sql::ast::{Ident, ObjectName, Select, SetExpr, Statement, utility};

impl Parser<'_> {
    /// One statement.
    pub(super) fn statement(&mut self) -> Result<Statement> {
        if self.is_query() {
            return self.preparable().map(select_into);
        }
        match self.word() {
            "insert" | "update" | "delete" | "merge" => return self.preparable(),
            _ => {}
        }
        self.utility().map(|utility| Statement::Utility(Box::new(utility)))
    }

    fn utility(&mut self) -> Result<Utility> {
        let pos = self.pos();
        let word = self.word();
        match word {
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop_statement(),
            "truncate" => self.truncate(),
            "comment" => self.comment(),
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
                self.transaction().map(Utility::Transaction)
            }
            "set" => self.set(),
            "reset" => {
                self.advance();
                self.setting_name().map(Utility::Reset)
            }
            "show" => {
                self.advance();
                self.setting_name().map(Utility::Show)
            }
            "discard" => {
                self.advance();
                Ok(Utility::Discard(match self.one_of(&["all", "plans", "sequences", "temp", "temporary"]) {
                    Some("all") => Discard::All,
                    Some("plans") => Discard::Plans,
                    Some("sequences") => Discard::Sequences,
                    Some(_) => Discard::Temp,
                    None => return Err(self.syntax_error()),
                }))
            }
            "prepare" => self.prepare(),
            "execute" => {
                self.advance();
                self.execute().map(Utility::Execute)
            }
            "deallocate" => {
                self.advance();
                self.take_word("prepare");
                let all = self.take_word("all");
                Ok(Utility::Deallocate(if all { None } else { Some(self.name()?) }))
            }
            "declare" => self.declare(),
            "fetch" | "move" => self.fetch(),
            "close" => {
                self.advance();
                let all = self.take_word("all");
                Ok(Utility::Close(if all { None } else { Some(self.name()?) }))
            }
            "explain" => self.explain(),
            "analyze" | "analyse" => self.analyze(),
            "vacuum" => self.vacuum(),
            "checkpoint" => {
                self.advance();
                Ok(Utility::Checkpoint)
            }
            "lock" => self.lock_table(),
            "copy" => self.copy(),
            "listen" => {
                self.advance();
                Ok(Utility::Listen(self.name()?))
            }
            "unlisten" => {
                self.advance();
                let all = self.take_sign(b'*');
                Ok(Utility::Unlisten(if all { None } else { Some(self.name()?) }))
            }
            "notify" => {
                self.advance();
                let channel = self.name()?;
                let payload = if self.take_sign(b',') { Some(self.string()?) } else { None };
                Ok(Utility::Notify { channel, payload })
            }
            "grant" | "revoke" => {
                self.skip_statement();
                Ok(Utility::Grant(Grant { revoke: word == "revoke", pos }))
            }
            "reindex" => self.reindex(),
            "reassign" => {
                self.advance();
                self.expect_words(&["owned", "by"])?;
                let roles = self.list(Self::role_spec)?;
                self.expect_word("to")?;
                Ok(Utility::ReassignOwned { roles, to: self.role_spec()? })
            }
            "do" | "call" | "cluster" | "refresh" | "security" | "import" | "load" => {
                let what = match word {
                    "refresh" => "REFRESH MATERIALIZED VIEW".to_owned(),
                    "security" => "SECURITY LABEL".to_owned(),
                    "import" => "IMPORT FOREIGN SCHEMA".to_owned(),
                    _ => word.to_uppercase(),
                };
                self.refuse_statement(&what)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// Takes the rest of the statement unread: for statements that are refused by name whatever they say.
    pub(super) fn skip_statement(&mut self) {
        while self.kind() != Kind::End && !self.is_sign(b';') {
            self.advance();
        }
    }

    /// A statement that is refused by name when it is executed.
    pub(super) fn refuse_statement(&mut self, what: &str) -> Result<Utility> {
        let pos = self.pos();
        self.skip_statement();
        Ok(Utility::Unsupported { what: what.to_owned(), pos })
    }

    fn truncate(&mut self) -> Result<Utility> {
        self.advance();
        self.take_word("table");
        let names = self.list(|parser| parser.relation_expr().map(|(name, _)| name))?;
        let restart_identity = self.take_words(&["restart", "identity"]);
        if !restart_identity {
            self.take_words(&["continue", "identity"]);
        }
        let cascade = self.behavior();
        Ok(Utility::Truncate(Truncate { names, restart_identity, cascade }))
    }

    /// CASCADE is true; RESTRICT and nothing are false.
    pub(super) fn behavior(&mut self) -> bool {
        self.one_of(&["cascade", "restrict"]) == Some("cascade")
    }

    // --- transactions ---

    fn transaction(&mut self) -> Result<Transaction> {
        let word = self.word();
        self.advance();
        match word {
            "begin" => {
                self.one_of(&["work", "transaction"]);
                Ok(Transaction::Begin { start: false, modes: self.transaction_modes(false)? })
            }
            "start" => {
                self.expect_word("transaction")?;
                Ok(Transaction::Begin { start: true, modes: self.transaction_modes(false)? })
            }
            "commit" if self.take_word("prepared") => {
                self.string()?;
                Ok(Transaction::TwoPhase("COMMIT PREPARED"))
            }
            "commit" | "end" => {
                self.one_of(&["work", "transaction"]);
                Ok(Transaction::Commit { chain: self.chain()? })
            }
            "rollback" if self.take_word("prepared") => {
                self.string()?;
                Ok(Transaction::TwoPhase("ROLLBACK PREPARED"))
            }
            "rollback" | "abort" => {
                self.one_of(&["work", "transaction"]);
                if word == "rollback" && self.take_word("to") {
                    self.take_word("savepoint");
                    return Ok(Transaction::RollbackTo(self.name()?));
                }
                Ok(Transaction::Rollback { chain: self.chain()? })
            }
            "savepoint" => Ok(Transaction::Savepoint(self.name()?)),
            _ => {
                self.take_word("savepoint");
                Ok(Transaction::Release(self.name()?))
            }
        }
    }

    fn chain(&mut self) -> Result<bool> {
        if !self.take_word("and") {
            return Ok(false);
        }
        let no = self.take_word("no");
        self.expect_word("chain")?;
        Ok(!no)
    }

    fn transaction_modes(&mut self, required: bool) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        let mut any = false;
        loop {
            match self.word() {
                "isolation" => {
                    self.advance();
                    self.expect_word("level")?;
                    modes.isolation = Some(self.isolation()?);
                }
                "read" => {
                    self.advance();
                    modes.read_only = match self.one_of(&["only", "write"]) {
                        Some(word) => Some(word == "only"),
                        None => return Err(self.syntax_error()),
                    };
                }
                "deferrable" => {
                    self.advance();
                    modes.deferrable = Some(true);
                }
                "not" => {
                    self.advance();
                    self.expect_word("deferrable")?;
                    modes.deferrable = Some(false);
                }
                _ if any || !required => return Ok(modes),
                _ => return Err(self.syntax_error()),
            }
            any = true;
            if self.take_sign(b',') && !matches!(self.word(), "isolation" | "read" | "deferrable" | "not") {
                return Err(self.syntax_error());
            }
        }
    }

    fn isolation(&mut self) -> Result<Isolation> {
        Ok(match self.one_of(&["serializable", "repeatable", "read"]) {
            Some("serializable") => Isolation::Serializable,
            Some("repeatable") => {
                self.expect_word("read")?;
                Isolation::RepeatableRead
            }
            Some(_) => match self.one_of(&["committed", "uncommitted"]) {
                Some("committed") => Isolation::ReadCommitted,
                Some(_) => Isolation::ReadUncommitted,
                None => return Err(self.syntax_error()),
            },
            None => return Err(self.syntax_error()),
        })
    }

    // --- settings ---

    fn set(&mut self) -> Result<Utility> {
        self.expect_word("set")?;
        if self.is_word("constraints") {
            self.advance();
            let names = match self.take_word("all") {
                true => None,
                false => Some(self.list(Self::object_name)?),
            };
            let deferred = match self.one_of(&["deferred", "immediate"]) {
                Some(word) => word == "deferred",
                None => return Err(self.syntax_error()),
            };
            return Ok(Utility::SetConstraints { names, deferred });
        }
        if self.is_word("transaction") {
            self.advance();
            return Ok(Utility::Transaction(match self.take_word("snapshot") {
                true => Transaction::SetSnapshot(self.string()?),
                false => Transaction::SetTransaction(self.transaction_modes(true)?),
            }));
        }
        if self.take_words(&["session", "characteristics", "as", "transaction"]) {
            return Ok(Utility::Transaction(Transaction::SessionCharacteristics(self.transaction_modes(true)?)));
        }
        let mut local = false;
        if self.is_word("local") && !self.ends_setting_name(1) {
            self.advance();
            local = true;
            if self.is_word("transaction") {
                self.advance();
                return Ok(Utility::Transaction(Transaction::SetTransaction(self.transaction_modes(true)?)));
            }
        } else if self.is_word("session") && self.word_at(1) != "authorization" && !self.ends_setting_name(1) {
            self.advance();
        }
        self.set_rest(local).map(Utility::Set)
    }

    /// Whether what stands there follows a setting's name.
    fn ends_setting_name(&self, ahead: usize) -> bool {
        self.is_sign_at(ahead, b'=') || self.is_sign_at(ahead, b'.') || self.word_at(ahead) == "to"
    }

    /// What follows SET \[LOCAL\]: also of ALTER ROLE and ALTER DATABASE.
    pub(super) fn set_rest(&mut self, local: bool) -> Result<Set> {
        let pos = self.pos();
        let set = |name: &str, values| Set { local, name: name.to_owned(), values, pos };
        let text = |value: String| Some(vec![SetValue::Text(value)]);
        match self.word() {
            "time" if self.word_at(1) == "zone" => {
                self.advance();
                self.advance();
                return Ok(set("timezone", self.zone_value()?));
            }
            "schema" if self.is_string_at(1) => {
                self.advance();
                return Ok(set("search_path", text(self.string()?)));
            }
            "names" if !self.ends_setting_name(1) => {
                self.advance();
                let value = if self.is_string() { text(self.string()?) } else { None };
                if value.is_none() {
                    self.take_word("default");
                }
                return Ok(set("client_encoding", value));
            }
            "role" if !self.ends_setting_name(1) => {
                self.advance();
                let role = if self.is_string() { self.string()? } else { self.nonreserved()? };
                return Ok(set("role", text(role)));
            }
            "session" if self.word_at(1) == "authorization" => {
                self.advance();
                self.advance();
                if self.take_word("default") {
                    return Ok(set("session_authorization", None));
                }
                let role = if self.is_string() { self.string()? } else { self.nonreserved()? };
                return Ok(set("session_authorization", text(role)));
            }
            "xml" if self.word_at(1) == "option" => {
                self.advance();
                self.advance();
                return match self.one_of(&["document", "content"]) {
                    Some(word) => Ok(set("xmloption", text(word.to_owned()))),
                    None => Err(self.syntax_error()),
                };
            }
            "catalog" if self.is_string_at(1) => return Err(self.unsupported("SET CATALOG")),
            _ => {}
        }
        let name = self.variable_name()?;
        if self.take_words(&["from", "current"]) {
            return Err(self.unsupported("SET FROM CURRENT"));
        }
        if !self.take_sign(b'=') && !self.take_word("to") {
            return Err(self.syntax_error());
        }
        if self.take_word("default") {
            return Ok(set(&name, None));
        }
        let values = self.list(Self::set_value)?;
        Ok(set(&name, Some(values)))
    }

    /// var_name.
    fn variable_name(&mut self) -> Result<String> {
        let mut name = self.name()?;
        while self.take_sign(b'.') {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name)
    }

    fn set_value(&mut self) -> Result<SetValue> {
        if self.is_string() {
            return self.string().map(SetValue::Text);
        }
        if matches!(self.kind(), Kind::Integer | Kind::Number | Kind::Sign(b'-' | b'+')) {
            return self.number().map(SetValue::Number);
        }
        match self.word() {
            word @ ("true" | "false" | "on") => {
                self.advance();
                Ok(SetValue::Text(word.to_owned()))
            }
            _ => self.nonreserved().map(SetValue::Text),
        }
    }

    fn zone_value(&mut self) -> Result<Option<Vec<SetValue>>> {
        if self.one_of(&["local", "default"]).is_some() {
            return Ok(None);
        }
        if self.take_word("interval") {
            if self.take_sign(b'(') {
                self.integer()?;
                self.expect_sign(b')')?;
            }
            let text = self.string()?;
            self.interval_fields()?;
            return Ok(Some(vec![SetValue::Interval(text)]));
        }
        if self.is_string() {
            return Ok(Some(vec![SetValue::Text(self.string()?)]));
        }
        if matches!(self.kind(), Kind::Integer | Kind::Number | Kind::Sign(b'-' | b'+')) {
            return Ok(Some(vec![SetValue::Number(self.number()?)]));
        }
        match self.category() {
            Some(Category::Name) => Ok(Some(vec![SetValue::Text(self.name()?)])),
            _ => Err(self.syntax_error()),
        }
    }

    /// What SHOW and RESET name.
    pub(super) fn setting_name(&mut self) -> Result<SettingName> {
        let name = |name: &str| SettingName::Name(name.to_owned());
        Ok(match self.word() {
            "all" => {
                self.advance();
                SettingName::All
            }
            "time" if self.word_at(1) == "zone" => {
                self.advance();
                self.advance();
                name("timezone")
            }
            "transaction" if self.word_at(1) == "isolation" => {
                self.advance();
                self.advance();
                self.expect_word("level")?;
                name("transaction_isolation")
            }
            "session" if self.word_at(1) == "authorization" => {
                self.advance();
                self.advance();
                name("session_authorization")
            }
            _ => SettingName::Name(self.variable_name()?),
        })
    }

    // --- prepared statements and cursors ---

    fn prepare(&mut self) -> Result<Utility> {
        self.advance();
        if self.is_word("transaction") && self.is_string_at(1) {
            self.advance();
            self.string()?;
            return Ok(Utility::Transaction(Transaction::TwoPhase("PREPARE TRANSACTION")));
        }
        let name = self.name()?;
        let types = if self.is_sign(b'(') { self.parenthesised(Self::type_name)? } else { Vec::new() };
        self.expect_word("as")?;
        let (mark, pos) = (self.mark(), self.pos());
        let statement = Box::new(self.preparable()?);
        let text = self.source_since(mark);
        Ok(Utility::Prepare(Prepare { name, types, statement, text, pos }))
    }

    /// EXECUTE's name and parameters.
    pub(super) fn execute(&mut self) -> Result<Execute> {
        let name = self.name()?;
        let params = if self.is_sign(b'(') { self.parenthesised(Self::expr)? } else { Vec::new() };
        Ok(Execute { name, params })
    }

    fn declare(&mut self) -> Result<Utility> {
        self.advance();
        let name = self.name()?;
        let (mut binary, mut insensitive, mut scroll) = (false, None, None);
        let both = |what: &str| {
            let message = format!("cannot specify both {what}");
            crate::error::Error::new(crate::error::SqlState::InvalidCursorDefinition, message)
        };
        let mut contradiction = None;
        loop {
            match self.one_of(&["binary", "insensitive", "asensitive", "scroll", "no"]) {
                Some("binary") => binary = true,
                Some(word @ ("insensitive" | "asensitive")) => {
                    let before = insensitive.replace(word == "insensitive");
                    if before.is_some_and(|before| insensitive != Some(before)) {
                        contradiction.get_or_insert_with(|| both("ASENSITIVE and INSENSITIVE"));
                    }
                }
                Some(word @ ("scroll" | "no")) => {
                    if word == "no" {
                        self.expect_word("scroll")?;
                    }
                    let before = scroll.replace(word == "scroll");
                    if before.is_some_and(|before| scroll != Some(before)) {
                        contradiction.get_or_insert_with(|| both("SCROLL and NO SCROLL"));
                    }
                }
                _ => break,
            }
        }
        self.expect_word("cursor")?;
        let hold = self.take_words(&["with", "hold"]);
        if !hold {
            self.take_words(&["without", "hold"]);
        }
        self.expect_word("for")?;
        let mark = self.mark();
        let query = Box::new(self.query()?);
        let text = self.source_since(mark);
        if let Some(contradiction) = contradiction {
            return Err(contradiction);
        }
        Ok(Utility::DeclareCursor(DeclareCursor { name, binary, insensitive, scroll, hold, query, text }))
    }

    fn fetch(&mut self) -> Result<Utility> {
        let is_move = self.is_word("move");
        self.advance();
        let direction = self.fetch_direction()?;
        self.one_of(&["from", "in"]);
        let cursor = self.name()?;
        Ok(Utility::Fetch(Fetch { is_move, cursor, direction }))
    }

    fn fetch_direction(&mut self) -> Result<FetchDirection> {
        // `FETCH next` of a cursor named next: a direction is one only before FROM, IN or a name.
        let last = matches!(self.kind_at(1), Kind::End | Kind::Sign(b';'));
        if last && self.is_name() {
            return Ok(FetchDirection::Forward(1));
        }
        let numeric = |parser: &Self| matches!(parser.kind(), Kind::Integer | Kind::Sign(b'-' | b'+'));
        if numeric(self) {
            return Ok(FetchDirection::Forward(i64::from(self.signed_integer()?)));
        }
        Ok(
            match self.one_of(&["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"])
            {
                None => FetchDirection::Forward(1),
                Some("next") => FetchDirection::Forward(1),
                Some("prior") => FetchDirection::Backward(1),
                Some("first") => FetchDirection::Absolute(1),
                Some("last") => FetchDirection::Absolute(-1),
                Some("absolute") => FetchDirection::Absolute(i64::from(self.signed_integer()?)),
                Some("relative") => FetchDirection::Relative(i64::from(self.signed_integer()?)),
                Some("all") => FetchDirection::Forward(i64::MAX),
                Some(word) => {
                    let count = if self.take_word("all") {
                        i64::MAX
                    } else if numeric(self) {
                        i64::from(self.signed_integer()?)
                    } else {
                        1
                    };
                    match word {
                        "forward" => FetchDirection::Forward(count),
                        _ => FetchDirection::Backward(count),
                    }
                }
            },
        )
    }

    // --- EXPLAIN, ANALYZE, VACUUM, LOCK ---

    /// `(name [value], …)`.
    pub(super) fn option_list(&mut self) -> Result<Vec<DefElem>> {
        self.parenthesised(|parser| {
            let pos = parser.pos();
            let name = match parser.take_word("analyse") {
                true => "analyze".to_owned(),
                false => parser.any_label()?,
            };
            let value = match parser.is_sign(b',') || parser.is_sign(b')') {
                true => None,
                false => Some(parser.option_value()?),
            };
            Ok(DefElem { name, value, pos })
        })
    }

    /// A number, a string, a word, `*`, or a list of words.
    pub(super) fn option_value(&mut self) -> Result<DefValue> {
        if self.is_string() {
            return self.string().map(DefValue::Text);
        }
        if matches!(self.kind(), Kind::Integer | Kind::Number | Kind::Sign(b'-' | b'+')) {
            return self.number().map(DefValue::Number);
        }
        if self.take_sign(b'*') {
            return Ok(DefValue::Star);
        }
        if self.is_sign(b'(') {
            return self.parenthesised(Self::option_word).map(DefValue::List);
        }
        self.option_word().map(DefValue::Text)
    }

    fn option_word(&mut self) -> Result<String> {
        if self.is_string() { self.string() } else { self.any_label() }
    }

    fn explain(&mut self) -> Result<Utility> {
        self.advance();
        let flag = |name: &str, pos| DefElem { name: name.to_owned(), value: None, pos };
        let mut options = Vec::new();
        if self.is_sign(b'(') && !self.is_query() {
            options = self.option_list()?;
        } else {
            let pos = self.pos();
            if self.one_of(&["analyze", "analyse"]).is_some() {
                options.push(flag("analyze", pos));
            }
            let pos = self.pos();
            if self.take_word("verbose") {
                options.push(flag("verbose", pos));
            }
        }
        let statement = match self.word() {
            "create" | "declare" | "execute" | "refresh" => {
                let begins = self.at;
                let statement = self.statement()?;
                if matches!(&statement, Statement::Utility(utility) if matches!(**utility, Utility::CreateTable(_))) {
                    // Where a table's definition is no list of names for CREATE TABLE AS: behind the first column's name.
                    self.at = begins;
                    while !self.is_sign(b'(') && self.kind() != Kind::End {
                        self.advance();
                    }
                    self.advance();
                    self.advance();
                    return Err(self.syntax_error());
                }
                statement
            }
            _ => self.preparable()?,
        };
        Ok(Utility::Explain(Explain { options, statement: Box::new(statement) }))
    }

    fn relation_columns(&mut self) -> Result<Vec<(ObjectName, Vec<Ident>)>> {
        if matches!(self.kind(), Kind::End | Kind::Sign(b';')) {
            return Ok(Vec::new());
        }
        self.list(|parser| {
            let (name, _) = parser.relation_expr()?;
            let columns = if parser.is_sign(b'(') { parser.parenthesised(Self::ident)? } else { Vec::new() };
            Ok((name, columns))
        })
    }

    fn analyze(&mut self) -> Result<Utility> {
        self.advance();
        let mut options = Vec::new();
        if self.is_sign(b'(') {
            options = self.option_list()?;
        } else {
            let pos = self.pos();
            if self.take_word("verbose") {
                options.push(DefElem { name: "verbose".to_owned(), value: None, pos });
            }
        }
        Ok(Utility::Analyze(Analyze { options, tables: self.relation_columns()? }))
    }

    fn vacuum(&mut self) -> Result<Utility> {
        self.advance();
        let mut options = Vec::new();
        if self.is_sign(b'(') {
            options = self.option_list()?;
        } else {
            for word in ["full", "freeze", "verbose", "analyze"] {
                let pos = self.pos();
                if self.take_word(word) || (word == "analyze" && self.take_word("analyse")) {
                    options.push(DefElem { name: word.to_owned(), value: None, pos });
                }
            }
        }
        Ok(Utility::Vacuum(Vacuum { options, tables: self.relation_columns()? }))
    }

    fn lock_table(&mut self) -> Result<Utility> {
        self.advance();
        self.take_word("table");
        let names = self.list(|parser| parser.relation_expr().map(|(name, _)| name))?;
        let mut mode = TableLockMode::AccessExclusive;
        if self.take_word("in") {
            mode = match self.one_of(&["access", "row", "share", "exclusive"]) {
                Some("access") => match self.one_of(&["share", "exclusive"]) {
                    Some("share") => TableLockMode::AccessShare,
                    Some(_) => TableLockMode::AccessExclusive,
                    None => return Err(self.syntax_error()),
                },
                Some("row") => match self.one_of(&["share", "exclusive"]) {
                    Some("share") => TableLockMode::RowShare,
                    Some(_) => TableLockMode::RowExclusive,
                    None => return Err(self.syntax_error()),
                },
                Some("share") => match self.one_of(&["update", "row"]) {
                    Some("update") => {
                        self.expect_word("exclusive")?;
                        TableLockMode::ShareUpdateExclusive
                    }
                    Some(_) => {
                        self.expect_word("exclusive")?;
                        TableLockMode::ShareRowExclusive
                    }
                    None => TableLockMode::Share,
                },
                Some(_) => TableLockMode::Exclusive,
                None => return Err(self.syntax_error()),
            };
            self.expect_word("mode")?;
        }
        let nowait = self.take_word("nowait");
        Ok(Utility::LockTable(LockTable { names, mode, nowait }))
    }

    fn reindex(&mut self) -> Result<Utility> {
        self.advance();
        if self.is_sign(b'(') {
            self.option_list()?;
        }
        let kind = match self.one_of(&["index", "table", "schema", "database", "system"]) {
            Some("index") => utility::ObjectKind::Index,
            Some("table") => utility::ObjectKind::Table,
            Some("schema") => utility::ObjectKind::Schema,
            Some(_) => utility::ObjectKind::Database,
            None => return Err(self.syntax_error()),
        };
        let concurrently = self.take_word("concurrently");
        let name = self.object_name()?;
        Ok(Utility::Reindex { concurrently, kind, name })
    }

    // --- COPY ---

    fn copy(&mut self) -> Result<Utility> {
        self.advance();
        let mut options = Vec::new();
        let source = if self.is_sign(b'(') {
            self.advance();
            let statement = self.preparable()?;
            self.expect_sign(b')')?;
            CopySource::Statement(Box::new(statement))
        } else {
            let pos = self.pos();
            if self.is_word("binary") {
                self.advance();
                options.push(DefElem {
                    name: "format".to_owned(),
                    value: Some(DefValue::Text("binary".to_owned())),
                    pos,
                });
            }
            let name = self.object_name()?;
            let columns = if self.is_sign(b'(') { self.parenthesised(Self::ident)? } else { Vec::new() };
            CopySource::Table { name, columns }
        };
        let at = self.token();
        let from = match self.one_of(&["from", "to"]) {
            Some(word) => word == "from",
            None => return Err(self.syntax_error()),
        };
        if from && matches!(source, CopySource::Statement(_)) {
            return Err(self.syntax_error_at(at));
        }
        let target = self.copy_target()?;
        // Old syntax: [USING] DELIMITERS 'c' before WITH.
        let pos = self.pos();
        if self.take_words(&["using", "delimiters"]) || self.take_word("delimiters") {
            options.push(DefElem { name: "delimiter".to_owned(), value: Some(DefValue::Text(self.string()?)), pos });
        }
        self.take_word("with");
        if self.is_sign(b'(') {
            options.extend(self.option_list()?);
        } else {
            self.old_copy_options(&mut options)?;
        }
        let filter = if self.take_word("where") { Some(self.expr_text()?) } else { None };
        if !from && filter.is_some() {
            return Err(self.error_at("WHERE clause not allowed with COPY TO", 0));
        }
        Ok(Utility::Copy(Box::new(Copy { source, from, target, options, filter })))
    }

    fn copy_target(&mut self) -> Result<CopyTarget> {
        if self.take_word("program") {
            return self.string().map(CopyTarget::Program);
        }
        if self.is_string() {
            return self.string().map(CopyTarget::File);
        }
        let token = self.token();
        match self.one_of(&["stdin", "stdout"]) {
            // PostgreSQL takes either word in either direction.
            Some(_) => Ok(CopyTarget::Client),
            None => Err(self.syntax_error_at(token)),
        }
    }

    fn old_copy_options(&mut self, options: &mut Vec<DefElem>) -> Result<()> {
        loop {
            let pos = self.pos();
            let mut push = |name: &str, value: Option<DefValue>| {
                options.push(DefElem { name: name.to_owned(), value, pos });
            };
            let text = |text: &str| Some(DefValue::Text(text.to_owned()));
            match self.word() {
                "binary" | "csv" => push("format", text(self.word())),
                "freeze" => push("freeze", None),
                "header" => push("header", None),
                "delimiter" | "null" | "quote" | "escape" => {
                    let word = self.word();
                    self.advance();
                    self.take_word("as");
                    push(word, Some(DefValue::Text(self.string()?)));
                    continue;
                }
                "encoding" => {
                    self.advance();
                    push("encoding", Some(DefValue::Text(self.string()?)));
                    continue;
                }
                "force" => {
                    self.advance();
                    let name = match self.one_of(&["quote", "not", "null"]) {
                        Some("quote") => "force_quote",
                        Some("null") => "force_null",
                        Some(_) => {
                            self.expect_word("null")?;
                            "force_not_null"
                        }
                        None => return Err(self.syntax_error()),
                    };
                    let value = match name == "force_quote" && self.take_sign(b'*') {
                        true => DefValue::Star,
                        false => DefValue::List(self.list(Self::name)?),
                    };
                    push(name, Some(value));
                    continue;
                }
                _ => return Ok(()),
            }
            self.advance();
        }
    }
}

/// `SELECT … INTO t` at the top of a statement is CREATE TABLE AS.
fn select_into(statement: Statement) -> Statement {
    let Statement::Query(mut query) = statement else { return statement };
    let Some(into) = first_select(&mut query.body).and_then(|select| select.into.take()) else {
        return Statement::Query(query);
    };
    Statement::Utility(Box::new(Utility::CreateTableAs(utility::CreateTableAs {
        if_not_exists: false,
        temporary: into.temporary,
        unlogged: false,
        materialized: false,
        name: into.name,
        columns: Vec::new(),
        options: Vec::new(),
        on_commit: None,
        tablespace: None,
        source: utility::CreateTableSource::Query(query),
        with_data: true,
    })))
}

fn first_select(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOp { left, .. } => first_select(left),
        SetExpr::Values { .. } | SetExpr::Query(_) => None,
    }
}
