//! CREATE, ALTER, DROP, COMMENT.

use super::lexer::Kind;
use super::parser::Parser;
use crate::catalog::image::CheckOption;
use crate::catalog::image::ReferentialAction;
use crate::error::Result;
use crate::sql::ast::utility::{
    AlterDatabase, AlterRole, AlterSequence, AlterTable, AlterTableAction, ColumnDef, Comment, ConstraintBody,
    ConstraintDef, CreateDatabase, CreateIndex, CreateRole, CreateSchema, CreateSequence, CreateTable, CreateTableAs,
    CreateTableSource, CreateView, DefElem, DefValue, Drop, ExprText, ForeignKey, IndexKeyDef, IndexParameters,
    LikeClause, ObjectKind, OnCommitClause, QueryText, Rename, RoleOption, RoleSpec, SequenceOption, Utility,
};
use crate::sql::ast::{ExprKind, Ident, ObjectName, TypeName};

/// What stands between CREATE and the object's kind.
#[derive(Default)]
struct Prefix {
    or_replace: bool,
    temporary: bool,
    unlogged: bool,
}

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Utility> {
        self.expect_word("create")?;
        let mut prefix = Prefix::default();
        if self.take_words(&["or", "replace"]) {
            prefix.or_replace = true;
        }
        if self.one_of(&["local", "global"]).is_some() && !matches!(self.word(), "temp" | "temporary") {
            return Err(self.syntax_error());
        }
        prefix.temporary = self.one_of(&["temp", "temporary"]).is_some();
        prefix.unlogged = self.take_word("unlogged");
        match self.word() {
            "table" if !prefix.or_replace => self.create_table(prefix),
            "view" => self.create_view(prefix, false),
            "recursive" => {
                self.advance();
                self.create_view(prefix, true)
            }
            "sequence" if !prefix.or_replace => self.create_sequence(prefix),
            _ if prefix.temporary || prefix.unlogged => Err(self.syntax_error()),
            "unique" | "index" if !prefix.or_replace => self.create_index(),
            "schema" if !prefix.or_replace => self.create_schema(),
            "database" if !prefix.or_replace => self.create_database(),
            "role" | "user" | "group" if !prefix.or_replace => self.create_role(),
            "materialized" => self.create_materialized_view(),
            "type" if !prefix.or_replace => self.create_type(),
            "domain" if !prefix.or_replace => self.create_domain(),
            word @ ("function" | "procedure" | "trigger" | "extension" | "rule" | "policy" | "aggregate"
            | "operator" | "cast" | "collation" | "conversion" | "language" | "statistics" | "publication"
            | "subscription" | "tablespace" | "server" | "foreign" | "text" | "transform" | "access"
            | "event" | "constraint" | "trusted" | "procedural") => {
                let what = match (word, self.word_at(1)) {
                    ("operator", second @ ("class" | "family")) => format!("CREATE OPERATOR {}", second.to_uppercase()),
                    ("foreign", second) => format!("CREATE FOREIGN {}", second.to_uppercase()),
                    ("text", _) => "CREATE TEXT SEARCH".to_owned(),
                    ("access", _) => "CREATE ACCESS METHOD".to_owned(),
                    ("event", _) => "CREATE EVENT TRIGGER".to_owned(),
                    ("constraint", _) => "CREATE CONSTRAINT TRIGGER".to_owned(),
                    ("trusted" | "procedural", _) => "CREATE LANGUAGE".to_owned(),
                    _ => format!("CREATE {}", word.to_uppercase()),
                };
                self.refuse_statement(&what)
            }
            _ => Err(self.syntax_error()),
        }
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.take_words(&["if", "not", "exists"])
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.take_words(&["if", "exists"])
    }

    // --- tables ---

    fn create_table(&mut self, prefix: Prefix) -> Result<Utility> {
        self.expect_word("table")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        if self.take_word("of") {
            return self.refuse_statement("CREATE TABLE OF");
        }
        if self.is_word("partition") {
            return self.refuse_statement("CREATE TABLE PARTITION OF");
        }
        let plain_names =
            self.is_sign(b'(') && self.is_name_at(1) && (self.is_sign_at(2, b',') || self.is_sign_at(2, b')'));
        if !self.is_sign(b'(') || plain_names {
            return self.create_table_as(prefix, if_not_exists, name);
        }
        let mut table = CreateTable {
            if_not_exists,
            temporary: prefix.temporary,
            unlogged: prefix.unlogged,
            name,
            columns: Vec::new(),
            constraints: Vec::new(),
            likes: Vec::new(),
            options: Vec::new(),
            on_commit: None,
            tablespace: None,
            access_method: None,
        };
        self.advance();
        if !self.take_sign(b')') {
            loop {
                self.table_element(&mut table)?;
                if !self.take_sign(b',') {
                    break;
                }
            }
            self.expect_sign(b')')?;
        }
        if self.is_word("inherits") {
            return Err(self.unsupported("INHERITS"));
        }
        if self.is_word("partition") {
            return Err(self.unsupported("PARTITION BY"));
        }
        if self.take_word("using") {
            table.access_method = Some(self.ident()?);
        }
        table.options = self.with_options()?;
        table.on_commit = self.on_commit()?;
        table.tablespace = self.tablespace()?;
        Ok(Utility::CreateTable(table))
    }

    fn table_element(&mut self, table: &mut CreateTable) -> Result<()> {
        if self.take_word("like") {
            let source = self.object_name()?;
            let mut options = Vec::new();
            while let Some(word) = self.one_of(&["including", "excluding"]) {
                let what = self.one_of(&[
                    "comments",
                    "compression",
                    "constraints",
                    "defaults",
                    "identity",
                    "generated",
                    "indexes",
                    "statistics",
                    "storage",
                    "all",
                ]);
                match what {
                    Some(what) => options.push((word == "including", what.to_owned())),
                    None => return Err(self.syntax_error()),
                }
            }
            table.likes.push(LikeClause { source, options, after_columns: table.columns.len() });
        } else if self.begins_table_constraint() {
            let constraint = self.table_constraint()?;
            table.constraints.push(constraint);
        } else {
            let column = self.column_def()?;
            table.columns.push(column);
        }
        Ok(())
    }

    fn begins_table_constraint(&self) -> bool {
        match self.word() {
            "constraint" | "check" | "unique" | "primary" | "foreign" => true,
            "exclude" => self.is_sign_at(1, b'(') || self.word_at(1) == "using",
            _ => false,
        }
    }

    fn with_options(&mut self) -> Result<Vec<DefElem>> {
        if self.take_words(&["without", "oids"]) {
            return Ok(Vec::new());
        }
        if self.take_word("with") {
            return self.definition();
        }
        Ok(Vec::new())
    }

    /// `(name [= value], …)`, names possibly qualified.
    fn definition(&mut self) -> Result<Vec<DefElem>> {
        self.parenthesised(|parser| {
            let pos = parser.pos();
            let mut name = parser.any_label()?;
            if parser.take_sign(b'.') {
                name = format!("{name}.{}", parser.any_label()?);
            }
            let value = if parser.take_sign(b'=') { Some(parser.option_value()?) } else { None };
            Ok(DefElem { name, value, pos })
        })
    }

    fn on_commit(&mut self) -> Result<Option<OnCommitClause>> {
        if !self.take_words(&["on", "commit"]) {
            return Ok(None);
        }
        Ok(Some(match self.one_of(&["drop", "delete", "preserve"]) {
            Some("drop") => OnCommitClause::Drop,
            Some(word) => {
                self.expect_word("rows")?;
                if word == "delete" { OnCommitClause::DeleteRows } else { OnCommitClause::PreserveRows }
            }
            None => return Err(self.syntax_error()),
        }))
    }

    fn tablespace(&mut self) -> Result<Option<Ident>> {
        if self.take_word("tablespace") { self.ident().map(Some) } else { Ok(None) }
    }

    fn create_table_as(&mut self, prefix: Prefix, if_not_exists: bool, name: ObjectName) -> Result<Utility> {
        let columns = if self.is_sign(b'(') { self.parenthesised(Self::ident)? } else { Vec::new() };
        if self.take_word("using") {
            self.ident()?;
        }
        let options = self.with_options()?;
        let on_commit = self.on_commit()?;
        let tablespace = self.tablespace()?;
        self.expect_word("as")?;
        let source = match self.take_word("execute") {
            true => CreateTableSource::Execute(self.execute()?),
            false => CreateTableSource::Query(Box::new(self.query()?)),
        };
        let with_data = self.with_data()?;
        Ok(Utility::CreateTableAs(CreateTableAs {
            if_not_exists,
            temporary: prefix.temporary,
            unlogged: prefix.unlogged,
            materialized: false,
            name,
            columns,
            options,
            on_commit,
            tablespace,
            source,
            with_data,
        }))
    }

    fn with_data(&mut self) -> Result<bool> {
        if !self.take_word("with") {
            return Ok(true);
        }
        let no = self.take_word("no");
        self.expect_word("data")?;
        Ok(!no)
    }

    fn create_materialized_view(&mut self) -> Result<Utility> {
        self.expect_words(&["materialized", "view"])?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let prefix = Prefix::default();
        match self.create_table_as(prefix, if_not_exists, name)? {
            Utility::CreateTableAs(mut view) => {
                view.materialized = true;
                Ok(Utility::CreateTableAs(view))
            }
            other => Ok(other),
        }
    }

    /// A column's definition.
    fn column_def(&mut self) -> Result<ColumnDef> {
        let pos = self.pos();
        let name = self.name()?;
        let ty = self.type_name()?;
        let mut column = ColumnDef { name, ty, collation: None, constraints: Vec::new(), pos };
        for word in ["storage", "compression"] {
            if self.is_word(word) {
                return Err(self.unsupported(&word.to_uppercase()));
            }
        }
        loop {
            if self.take_word("collate") {
                column.collation = Some(self.object_name()?);
            } else if !self.column_constraint(&mut column)? {
                return Ok(column);
            }
        }
    }

    /// The next column constraint or attribute of one, if there is one.
    pub(super) fn column_constraint(&mut self, column: &mut ColumnDef) -> Result<bool> {
        let pos = self.pos();
        let name = if self.take_word("constraint") { Some(self.name()?) } else { None };
        let named = name.is_some();
        let kind = match self.word() {
            "not" if self.word_at(1) == "null" => {
                self.advance();
                self.advance();
                ConstraintBody::NotNull
            }
            "null" => {
                self.advance();
                ConstraintBody::Null
            }
            "unique" => {
                self.advance();
                let nulls_not_distinct = self.nulls_not_distinct()?;
                ConstraintBody::Unique { columns: Vec::new(), nulls_not_distinct, index: self.index_parameters(false)? }
            }
            "primary" => {
                self.advance();
                self.expect_word("key")?;
                ConstraintBody::PrimaryKey { columns: Vec::new(), index: self.index_parameters(false)? }
            }
            "check" => {
                self.advance();
                ConstraintBody::Check(self.check_expr()?)
            }
            "default" => {
                self.advance();
                let mark = self.mark();
                let expr = self.restricted_expr()?;
                ConstraintBody::Default(ExprText { expr, text: self.source_since(mark) })
            }
            "generated" => self.generated()?,
            "references" => ConstraintBody::ForeignKey(self.references(Vec::new())?),
            _ if named => return Err(self.syntax_error()),
            "not" if self.word_at(1) != "deferrable" => {
                self.advance();
                return Err(self.syntax_error());
            }
            "deferrable" | "not" | "initially" => {
                let Some(last) = column.constraints.last_mut() else { return self.misplaced_attribute() };
                return self.constraint_attribute(last);
            }
            _ => return Ok(false),
        };
        let mut constraint = constraint(name, kind, pos);
        if matches!(constraint.kind, ConstraintBody::Check(_)) && self.take_words(&["no", "inherit"]) {
            constraint.no_inherit = true;
        }
        column.constraints.push(constraint);
        Ok(true)
    }

    fn misplaced_attribute(&mut self) -> Result<bool> {
        let pos = self.pos();
        let what = match (self.word(), self.word_at(1)) {
            ("deferrable", _) => "DEFERRABLE",
            ("not", "deferrable") => "NOT DEFERRABLE",
            ("initially", "deferred") => "INITIALLY DEFERRED",
            ("initially", _) => "INITIALLY IMMEDIATE",
            _ => return Ok(false),
        };
        Err(self.error_at(format!("misplaced {what} clause"), pos))
    }

    /// \[NOT\] DEFERRABLE, INITIALLY …; `false` when something else comes next.
    fn constraint_attribute(&mut self, constraint: &mut ConstraintDef) -> Result<bool> {
        let pos = self.pos();
        let allowed = matches!(
            constraint.kind,
            ConstraintBody::PrimaryKey { .. }
                | ConstraintBody::Unique { .. }
                | ConstraintBody::UsingIndex { .. }
                | ConstraintBody::ForeignKey(_)
                | ConstraintBody::Exclude
        );
        if self.is_word("not") && self.word_at(1) != "deferrable" {
            return Ok(false);
        }
        if !allowed {
            return self.misplaced_attribute();
        }
        if self.take_words(&["not", "deferrable"]) {
            constraint.deferrable = Some(false);
            if constraint.initially_deferred == Some(true) {
                return Err(self.error_at("constraint declared INITIALLY DEFERRED must be DEFERRABLE", pos));
            }
        } else if self.take_word("deferrable") {
            constraint.deferrable = Some(true);
        } else {
            self.expect_word("initially")?;
            let deferred = match self.one_of(&["deferred", "immediate"]) {
                Some(word) => word == "deferred",
                None => return Err(self.syntax_error()),
            };
            constraint.initially_deferred = Some(deferred);
            if deferred {
                if constraint.deferrable == Some(false) {
                    return Err(self.error_at("constraint declared INITIALLY DEFERRED must be DEFERRABLE", pos));
                }
                constraint.deferrable = Some(true);
            }
        }
        Ok(true)
    }

    fn nulls_not_distinct(&mut self) -> Result<bool> {
        if !self.take_word("nulls") {
            return Ok(false);
        }
        let not = self.take_word("not");
        self.expect_word("distinct")?;
        Ok(not)
    }

    /// INCLUDE (tables only), WITH, USING INDEX TABLESPACE.
    fn index_parameters(&mut self, include: bool) -> Result<IndexParameters> {
        let mut parameters = IndexParameters::default();
        if include && self.take_word("include") {
            parameters.include = self.parenthesised(Self::ident)?;
        }
        if self.is_word("with") && self.is_sign_at(1, b'(') {
            self.advance();
            parameters.options = self.definition()?;
        }
        if self.take_words(&["using", "index", "tablespace"]) {
            parameters.tablespace = Some(self.ident()?);
        }
        Ok(parameters)
    }

    fn check_expr(&mut self) -> Result<ExprText> {
        self.expect_sign(b'(')?;
        let expr = self.expr_text()?;
        self.expect_sign(b')')?;
        Ok(expr)
    }

    fn generated(&mut self) -> Result<ConstraintBody> {
        self.expect_word("generated")?;
        let always = match self.one_of(&["always", "by"]) {
            Some("always") => true,
            Some(_) => {
                self.expect_word("default")?;
                false
            }
            None => return Err(self.syntax_error()),
        };
        let at = self.pos();
        self.expect_word("as")?;
        if self.take_word("identity") {
            return Ok(ConstraintBody::Identity { always, options: self.identity_options()? });
        }
        let expr = self.check_expr()?;
        self.expect_word("stored")?;
        if !always {
            return Err(self.error_at("for a generated column, GENERATED ALWAYS must be specified", at));
        }
        Ok(ConstraintBody::Generated(expr))
    }

    fn identity_options(&mut self) -> Result<Vec<SequenceOption>> {
        if !self.take_sign(b'(') {
            return Ok(Vec::new());
        }
        let options = self.sequence_options()?;
        self.expect_sign(b')')?;
        Ok(options)
    }

    fn references(&mut self, columns: Vec<Ident>) -> Result<ForeignKey> {
        self.expect_word("references")?;
        let references = self.object_name()?;
        let referenced_columns = if self.is_sign(b'(') { self.parenthesised(Self::ident)? } else { Vec::new() };
        let mut key = ForeignKey {
            columns,
            references,
            referenced_columns,
            match_full: false,
            on_update: ReferentialAction::NoAction,
            on_delete: ReferentialAction::NoAction,
            delete_columns: Vec::new(),
        };
        if self.take_word("match") {
            match self.word() {
                "full" => key.match_full = true,
                "simple" => {}
                "partial" => {
                    return Err(crate::error::Error::new(
                        crate::error::SqlState::FeatureNotSupported,
                        "MATCH PARTIAL not yet implemented",
                    )
                    .at(self.pos()));
                }
                _ => return Err(self.syntax_error()),
            }
            self.advance();
        }
        while self.is_word("on") && matches!(self.word_at(1), "update" | "delete") {
            self.advance();
            let update = self.is_word("update");
            self.advance();
            let (action, columns) = self.referential_action()?;
            if update {
                if !columns.is_empty() {
                    return Err(crate::error::Error::new(
                        crate::error::SqlState::FeatureNotSupported,
                        "a column list with SET NULL or SET DEFAULT is only supported for ON DELETE actions",
                    ));
                }
                key.on_update = action;
            } else {
                key.on_delete = action;
                key.delete_columns = columns;
            }
        }
        Ok(key)
    }

    fn referential_action(&mut self) -> Result<(ReferentialAction, Vec<Ident>)> {
        let action = match self.one_of(&["no", "restrict", "cascade", "set"]) {
            Some("no") => {
                self.expect_word("action")?;
                ReferentialAction::NoAction
            }
            Some("restrict") => ReferentialAction::Restrict,
            Some("cascade") => ReferentialAction::Cascade,
            Some(_) => {
                let action = match self.one_of(&["null", "default"]) {
                    Some("null") => ReferentialAction::SetNull,
                    Some(_) => ReferentialAction::SetDefault,
                    None => return Err(self.syntax_error()),
                };
                let columns = if self.is_sign(b'(') { self.parenthesised(Self::ident)? } else { Vec::new() };
                return Ok((action, columns));
            }
            None => return Err(self.syntax_error()),
        };
        Ok((action, Vec::new()))
    }

    /// A table constraint, CONSTRAINT name included.
    pub(super) fn table_constraint(&mut self) -> Result<ConstraintDef> {
        let pos = self.pos();
        let name = if self.take_word("constraint") { Some(self.name()?) } else { None };
        let kind = match self.word() {
            "check" => {
                self.advance();
                ConstraintBody::Check(self.check_expr()?)
            }
            word @ ("unique" | "primary") => {
                self.advance();
                let primary = word == "primary";
                if primary {
                    self.expect_word("key")?;
                }
                if self.take_words(&["using", "index"]) {
                    ConstraintBody::UsingIndex { primary, index: self.ident()? }
                } else {
                    let nulls_not_distinct = if primary { false } else { self.nulls_not_distinct()? };
                    let columns = self.parenthesised(Self::ident)?;
                    let index = self.index_parameters(true)?;
                    match primary {
                        true => ConstraintBody::PrimaryKey { columns, index },
                        false => ConstraintBody::Unique { columns, nulls_not_distinct, index },
                    }
                }
            }
            "foreign" => {
                self.advance();
                self.expect_word("key")?;
                let columns = self.parenthesised(Self::ident)?;
                ConstraintBody::ForeignKey(self.references(columns)?)
            }
            "exclude" => return Err(self.unsupported("EXCLUDE")),
            _ => return Err(self.syntax_error()),
        };
        let mut constraint = constraint(name, kind, pos);
        loop {
            let at = self.pos();
            let check = matches!(constraint.kind, ConstraintBody::Check(_));
            let foreign = matches!(constraint.kind, ConstraintBody::ForeignKey(_));
            if self.are_words(&["not", "valid"]) {
                if !check && !foreign {
                    let what = if matches!(constraint.kind, ConstraintBody::PrimaryKey { .. }) {
                        "PRIMARY KEY"
                    } else {
                        "UNIQUE"
                    };
                    return Err(crate::error::Error::new(
                        crate::error::SqlState::FeatureNotSupported,
                        format!("{what} constraints cannot be marked NOT VALID"),
                    )
                    .at(at));
                }
                self.advance();
                self.advance();
                constraint.not_valid = true;
            } else if self.are_words(&["no", "inherit"]) && check {
                self.advance();
                self.advance();
                constraint.no_inherit = true;
            } else if matches!(self.word(), "deferrable" | "initially") || self.are_words(&["not", "deferrable"]) {
                if check {
                    return Err(crate::error::Error::new(
                        crate::error::SqlState::FeatureNotSupported,
                        "CHECK constraints cannot be marked DEFERRABLE",
                    )
                    .at(at));
                }
                self.constraint_attribute(&mut constraint)?;
            } else {
                return Ok(constraint);
            }
        }
    }

    // --- indexes ---

    fn create_index(&mut self) -> Result<Utility> {
        let unique = self.take_word("unique");
        self.expect_word("index")?;
        let concurrently = self.take_word("concurrently");
        let if_not_exists = self.if_not_exists();
        let name = if self.is_word("on") { None } else { Some(self.ident()?) };
        self.expect_word("on")?;
        let (table, only) = self.relation_expr()?;
        let method = if self.take_word("using") { Some(self.ident()?) } else { None };
        let keys = self.parenthesised(Self::index_key)?;
        let include = if self.take_word("include") { self.parenthesised(Self::index_key)? } else { Vec::new() };
        let nulls_not_distinct = self.nulls_not_distinct()?;
        let options = self.with_options()?;
        let tablespace = self.tablespace()?;
        let predicate = if self.take_word("where") { Some(self.expr_text()?) } else { None };
        Ok(Utility::CreateIndex(CreateIndex {
            unique,
            concurrently,
            if_not_exists,
            name,
            only,
            table,
            method,
            keys,
            include,
            nulls_not_distinct,
            options,
            tablespace,
            predicate,
        }))
    }

    fn index_key(&mut self) -> Result<IndexKeyDef> {
        let mark = self.mark();
        let parenthesised = self.is_sign(b'(');
        let expr = self.index_expr()?;
        let mut text = self.source_since(mark);
        if parenthesised {
            text = text[1..text.len() - 1].trim().to_owned();
        }
        let mut key = IndexKeyDef {
            column: None,
            expr: None,
            collation: None,
            operator_class: None,
            descending: None,
            nulls_first: None,
        };
        match expr.kind {
            ExprKind::Column(parts) if parts.len() == 1 => {
                key.column = Some(Ident { name: parts.into_iter().next().unwrap_or_default(), pos: expr.pos });
            }
            _ => key.expr = Some(ExprText { expr, text }),
        }
        if self.take_word("collate") {
            key.collation = Some(self.object_name()?);
        }
        if self.is_name() && !self.is_word("nulls") {
            key.operator_class = Some(self.object_name()?);
            if self.is_sign(b'(') {
                return Err(self.unsupported("operator class parameters"));
            }
        }
        key.descending = self.one_of(&["asc", "desc"]).map(|word| word == "desc");
        if self.take_word("nulls") {
            key.nulls_first = match self.one_of(&["first", "last"]) {
                Some(word) => Some(word == "first"),
                None => return Err(self.syntax_error()),
            };
        }
        Ok(key)
    }

    // --- views, schemas, sequences ---

    fn create_view(&mut self, prefix: Prefix, recursive: bool) -> Result<Utility> {
        self.expect_word("view")?;
        let name = self.object_name()?;
        let columns = if self.is_sign(b'(') { self.parenthesised(Self::ident)? } else { Vec::new() };
        if recursive && columns.is_empty() {
            return Err(self.syntax_error());
        }
        let options = self.with_options()?;
        self.expect_word("as")?;
        let mark = self.mark();
        let query = Box::new(self.query()?);
        let query = QueryText { query, text: self.source_since(mark) };
        let mut check_option = None;
        if self.take_word("with") {
            check_option = Some(match self.one_of(&["local", "cascaded"]) {
                Some("local") => CheckOption::Local,
                _ => CheckOption::Cascaded,
            });
            self.expect_words(&["check", "option"])?;
        }
        Ok(Utility::CreateView(CreateView {
            or_replace: prefix.or_replace,
            temporary: prefix.temporary,
            recursive,
            name,
            columns,
            options,
            query,
            check_option,
        }))
    }

    fn create_schema(&mut self) -> Result<Utility> {
        self.expect_word("schema")?;
        let if_not_exists = self.if_not_exists();
        let mut name = None;
        let mut owner = None;
        if !self.is_word("authorization") {
            name = Some(self.ident()?);
        }
        if self.take_word("authorization") {
            owner = Some(self.role_spec()?);
        }
        let mut elements = Vec::new();
        let pos = self.pos();
        while matches!(self.word(), "create" | "grant") {
            elements.push(self.statement()?);
        }
        if if_not_exists && !elements.is_empty() {
            return Err(crate::error::Error::new(
                crate::error::SqlState::FeatureNotSupported,
                "CREATE SCHEMA IF NOT EXISTS cannot include schema elements",
            )
            .at(pos));
        }
        Ok(Utility::CreateSchema(CreateSchema { if_not_exists, name, owner, elements }))
    }

    fn create_sequence(&mut self, prefix: Prefix) -> Result<Utility> {
        self.expect_word("sequence")?;
        let if_not_exists = self.if_not_exists();
        let name = self.object_name()?;
        let options = self.sequence_options()?;
        let Prefix { temporary, unlogged, or_replace: _ } = prefix;
        Ok(Utility::CreateSequence(CreateSequence { if_not_exists, temporary, unlogged, name, options }))
    }

    /// Sequence options in any order.
    fn sequence_options(&mut self) -> Result<Vec<SequenceOption>> {
        let mut options: Vec<SequenceOption> = Vec::new();
        loop {
            let pos = self.pos();
            let option = match self.word() {
                "as" => {
                    self.advance();
                    SequenceOption::As(self.type_name()?)
                }
                "increment" => {
                    self.advance();
                    self.take_word("by");
                    SequenceOption::Increment(self.bigint()?)
                }
                "minvalue" => {
                    self.advance();
                    SequenceOption::MinValue(Some(self.bigint()?))
                }
                "maxvalue" => {
                    self.advance();
                    SequenceOption::MaxValue(Some(self.bigint()?))
                }
                "no" => {
                    self.advance();
                    match self.one_of(&["minvalue", "maxvalue", "cycle"]) {
                        Some("minvalue") => SequenceOption::MinValue(None),
                        Some("maxvalue") => SequenceOption::MaxValue(None),
                        Some(_) => SequenceOption::Cycle(false),
                        None => return Err(self.syntax_error()),
                    }
                }
                "start" => {
                    self.advance();
                    self.take_word("with");
                    SequenceOption::Start(self.bigint()?)
                }
                "restart" => {
                    self.advance();
                    let with = self.take_word("with");
                    let number = matches!(self.kind(), Kind::Integer | Kind::Number | Kind::Sign(b'-' | b'+'));
                    SequenceOption::Restart(if with || number { Some(self.bigint()?) } else { None })
                }
                "cache" => {
                    self.advance();
                    SequenceOption::Cache(self.bigint()?)
                }
                "cycle" => {
                    self.advance();
                    SequenceOption::Cycle(true)
                }
                "owned" => {
                    self.advance();
                    self.expect_word("by")?;
                    match self.word() {
                        "none" => {
                            self.advance();
                            SequenceOption::OwnedBy(None)
                        }
                        _ => SequenceOption::OwnedBy(Some(self.object_name()?)),
                    }
                }
                "sequence" => {
                    self.advance();
                    self.expect_word("name")?;
                    SequenceOption::Name(self.object_name()?)
                }
                _ => return Ok(options),
            };
            check_once(&options, &option, pos)?;
            options.push(option);
        }
    }

    // --- databases, roles ---

    fn create_database(&mut self) -> Result<Utility> {
        self.expect_word("database")?;
        let name = self.ident()?;
        self.take_word("with");
        Ok(Utility::CreateDatabase(CreateDatabase { name, options: self.database_options()? }))
    }

    fn database_options(&mut self) -> Result<Vec<DefElem>> {
        let mut options = Vec::new();
        while self.kind() != Kind::End && !self.is_sign(b';') {
            let pos = self.pos();
            let name = match self.word() {
                "connection" => {
                    self.advance();
                    self.expect_word("limit")?;
                    "connection_limit".to_owned()
                }
                "encoding" | "location" | "owner" | "tablespace" | "template" => self.any_label()?,
                _ if matches!(self.kind(), Kind::Word | Kind::QuotedName) => self.any_label()?,
                _ => return Err(self.syntax_error()),
            };
            self.take_sign(b'=');
            let value = match self.take_word("default") {
                true => None,
                false => Some(self.option_value()?),
            };
            options.push(DefElem { name, value, pos });
        }
        Ok(options)
    }

    /// RoleSpec.
    pub(super) fn role_spec(&mut self) -> Result<RoleSpec> {
        Ok(match self.word() {
            "current_user" | "current_role" => {
                self.advance();
                RoleSpec::CurrentUser
            }
            "session_user" => {
                self.advance();
                RoleSpec::SessionUser
            }
            _ => {
                let pos = self.pos();
                let quoted = self.kind() == Kind::QuotedName;
                let name = self.nonreserved()?;
                match name.as_str() {
                    "public" if !quoted => RoleSpec::Public,
                    "none" if !quoted => {
                        return Err(crate::error::Error::new(
                            crate::error::SqlState::ReservedName,
                            "role name \"none\" is reserved",
                        )
                        .at(pos));
                    }
                    _ => RoleSpec::Name(Ident { name, pos }),
                }
            }
        })
    }

    fn create_role(&mut self) -> Result<Utility> {
        let user = self.is_word("user");
        self.advance();
        let pos = self.pos();
        let name = match self.role_spec()? {
            RoleSpec::Name(name) => name,
            RoleSpec::Public => Ident { name: "public".to_owned(), pos },
            RoleSpec::CurrentUser | RoleSpec::SessionUser => {
                let what = "CURRENT_USER cannot be used as a role name here";
                return Err(crate::error::Error::new(crate::error::SqlState::ReservedName, what).at(pos));
            }
        };
        self.take_word("with");
        Ok(Utility::CreateRole(CreateRole { user, name, options: self.role_options(false)? }))
    }

    /// Options of CREATE ROLE, or of ALTER ROLE, which has none for membership.
    fn role_options(&mut self, alter: bool) -> Result<Vec<RoleOption>> {
        let mut options: Vec<RoleOption> = Vec::new();
        while self.kind() != Kind::End && !self.is_sign(b';') {
            if alter && matches!(self.word(), "in" | "role" | "admin" | "sysid") {
                self.take_word("in");
                return Err(self.syntax_error());
            }
            let pos = self.pos();
            let option = self.role_option()?;
            check_once(&options, &option, pos)?;
            options.push(option);
        }
        Ok(options)
    }

    fn role_option(&mut self) -> Result<RoleOption> {
        let token = self.token();
        match self.word() {
            "password" => {
                self.advance();
                let none = self.take_word("null");
                return Ok(RoleOption::Password(if none { None } else { Some(self.string()?) }));
            }
            "encrypted" => {
                self.advance();
                self.expect_word("password")?;
                return Ok(RoleOption::Password(Some(self.string()?)));
            }
            "unencrypted" => {
                let pos = self.pos();
                self.advance();
                self.expect_word("password")?;
                self.string()?;
                return Err(crate::error::Error::new(
                    crate::error::SqlState::FeatureNotSupported,
                    "UNENCRYPTED PASSWORD is no longer supported",
                )
                .hint("Remove UNENCRYPTED to store the password in encrypted form instead.")
                .at(pos));
            }
            "inherit" => {
                self.advance();
                return Ok(RoleOption::Inherit(true));
            }
            "connection" => {
                self.advance();
                self.expect_word("limit")?;
                return Ok(RoleOption::ConnectionLimit(self.signed_integer()?));
            }
            "valid" => {
                self.advance();
                self.expect_word("until")?;
                return Ok(RoleOption::ValidUntil(self.string()?));
            }
            "user" | "role" => {
                self.advance();
                return Ok(RoleOption::Members(self.list(Self::role_spec)?));
            }
            "admin" => {
                self.advance();
                return Ok(RoleOption::Admins(self.list(Self::role_spec)?));
            }
            "in" => {
                self.advance();
                if self.one_of(&["role", "group"]).is_none() {
                    return Err(self.syntax_error());
                }
                return Ok(RoleOption::InRole(self.list(Self::role_spec)?));
            }
            "sysid" => {
                self.advance();
                self.integer()?;
                return Ok(RoleOption::SysId);
            }
            _ => {}
        }
        if self.kind() != Kind::Word {
            return Err(self.syntax_error());
        }
        let pos = self.pos();
        let word = self.any_label()?;
        Ok(match word.as_str() {
            "superuser" => RoleOption::Superuser(true),
            "nosuperuser" => RoleOption::Superuser(false),
            "createdb" => RoleOption::CreateDb(true),
            "nocreatedb" => RoleOption::CreateDb(false),
            "createrole" => RoleOption::CreateRole(true),
            "nocreaterole" => RoleOption::CreateRole(false),
            "noinherit" => RoleOption::Inherit(false),
            "login" => RoleOption::Login(true),
            "nologin" => RoleOption::Login(false),
            "replication" => RoleOption::Replication(true),
            "noreplication" => RoleOption::Replication(false),
            "bypassrls" => RoleOption::BypassRls(true),
            "nobypassrls" => RoleOption::BypassRls(false),
            _ => {
                let message = format!("unrecognized role option \"{}\"", self.source(token));
                return Err(self.error_at(message, pos));
            }
        })
    }

    // --- ALTER ---

    pub(super) fn alter(&mut self) -> Result<Utility> {
        self.expect_word("alter")?;
        let word = self.word();
        match word {
            "table" | "index" | "view" | "sequence" | "materialized" => self.alter_relation(),
            "role" | "user" | "group" => self.alter_role(),
            "database" => self.alter_database(),
            "schema" => {
                self.advance();
                let name = self.object_name()?;
                self.rename_or_owner(ObjectKind::Schema, name)
            }
            "type" => self.alter_user_type(ObjectKind::Type),
            "domain" => self.alter_user_type(ObjectKind::Domain),
            "system" | "function" | "procedure" | "routine" | "aggregate" | "operator" | "collation" | "conversion"
            | "language" | "extension" | "trigger" | "rule" | "policy" | "statistics" | "publication"
            | "subscription" | "tablespace" | "server" | "foreign" | "text" | "event" | "default" | "large" => {
                let what = match word {
                    "default" => "ALTER DEFAULT PRIVILEGES".to_owned(),
                    "text" => "ALTER TEXT SEARCH".to_owned(),
                    "event" => "ALTER EVENT TRIGGER".to_owned(),
                    "large" => "ALTER LARGE OBJECT".to_owned(),
                    _ => format!("ALTER {}", word.to_uppercase()),
                };
                self.refuse_statement(&what)
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn rename_or_owner(&mut self, kind: ObjectKind, name: ObjectName) -> Result<Utility> {
        if self.take_words(&["rename", "to"]) {
            return Ok(Utility::Rename(Rename { kind, name, to: self.ident()? }));
        }
        self.expect_words(&["owner", "to"])?;
        Ok(Utility::Owner { kind, name, owner: self.role_spec()? })
    }

    fn alter_database(&mut self) -> Result<Utility> {
        self.expect_word("database")?;
        let name = self.ident()?;
        match self.word() {
            "rename" | "owner" => {
                let name = ObjectName { parts: vec![name.name], pos: name.pos };
                return self.rename_or_owner(ObjectKind::Database, name);
            }
            _ => {}
        }
        let mut alter = AlterDatabase { name, options: Vec::new(), setting: None };
        if self.is_word("set") && self.word_at(1) != "tablespace" {
            self.advance();
            alter.setting = Some(Ok(self.set_rest(false)?));
        } else if self.take_word("reset") {
            alter.setting = Some(Err(self.setting_name()?));
        } else if self.is_word("set") {
            let pos = self.pos();
            self.expect_words(&["set", "tablespace"])?;
            let value = Some(DefValue::Text(self.name()?));
            alter.options.push(DefElem { name: "tablespace".to_owned(), value, pos });
        } else {
            self.take_word("with");
            alter.options = self.database_options()?;
        }
        Ok(Utility::AlterDatabase(alter))
    }

    fn alter_role(&mut self) -> Result<Utility> {
        self.advance();
        let all = self.take_word("all");
        let (pos, written) = (self.pos(), self.word().to_uppercase());
        let role = if all { RoleSpec::Public } else { self.role_spec()? };
        if self.is_word("rename") && matches!(role, RoleSpec::CurrentUser | RoleSpec::SessionUser) {
            let message = format!("{written} cannot be used as a role name here");
            return Err(crate::error::Error::new(crate::error::SqlState::ReservedName, message).at(pos));
        }
        if self.is_word("rename")
            && let RoleSpec::Name(name) = &role
        {
            let name = ObjectName { parts: vec![name.name.clone()], pos: name.pos };
            self.advance();
            self.expect_word("to")?;
            return Ok(Utility::Rename(Rename { kind: ObjectKind::Role, name, to: self.ident()? }));
        }
        if matches!(self.word(), "add" | "drop") {
            return self.refuse_statement("ALTER GROUP");
        }
        let database = match self.take_words(&["in", "database"]) {
            true => Some(self.ident()?),
            false => None,
        };
        let mut alter = AlterRole { role, options: Vec::new(), setting: None, database };
        if self.take_word("set") {
            alter.setting = Some(Ok(self.set_rest(false)?));
        } else if self.take_word("reset") {
            alter.setting = Some(Err(self.setting_name()?));
        } else if alter.database.is_some() || all {
            return Err(self.syntax_error());
        } else {
            self.take_word("with");
            alter.options = self.role_options(true)?;
        }
        Ok(Utility::AlterRole(alter))
    }

    fn alter_relation(&mut self) -> Result<Utility> {
        let kind = match self.one_of(&["table", "index", "view", "sequence", "materialized"]) {
            Some("table") => ObjectKind::Table,
            Some("index") => ObjectKind::Index,
            Some("view") => ObjectKind::View,
            Some("sequence") => ObjectKind::Sequence,
            _ => {
                self.expect_word("view")?;
                ObjectKind::MaterializedView
            }
        };
        if self.is_word("all") && self.word_at(1) == "in" {
            return self.refuse_statement("ALTER … ALL IN TABLESPACE");
        }
        let if_exists = self.if_exists();
        let (name, only) = self.relation_expr()?;
        if kind == ObjectKind::Sequence && !matches!(self.word(), "rename" | "owner" | "set") {
            let at = self.token();
            let options = self.sequence_options()?;
            if options.is_empty() {
                return Err(self.syntax_error_at(at));
            }
            return Ok(Utility::AlterSequence(AlterSequence { if_exists, name, options }));
        }
        if kind == ObjectKind::Index && matches!(self.word(), "attach" | "depends" | "no") {
            return self.refuse_statement("ALTER INDEX … ATTACH PARTITION or DEPENDS ON");
        }
        let actions = match self.rename_action()? {
            Some(action) => vec![action],
            None => self.list(Self::alter_action)?,
        };
        Ok(Utility::AlterTable(AlterTable { kind, if_exists, only, name, actions }))
    }

    /// RENAME and SET SCHEMA: alone in their statement.
    fn rename_action(&mut self) -> Result<Option<AlterTableAction>> {
        if self.take_words(&["set", "schema"]) {
            return Ok(Some(AlterTableAction::SetSchema(self.ident()?)));
        }
        if !self.take_word("rename") {
            return Ok(None);
        }
        if self.take_word("to") {
            return Ok(Some(AlterTableAction::RenameTable { to: self.ident()? }));
        }
        let constraint = self.take_word("constraint");
        if !constraint {
            self.take_word("column");
        }
        let from = self.ident()?;
        self.expect_word("to")?;
        let to = self.ident()?;
        Ok(Some(match constraint {
            true => AlterTableAction::RenameConstraint { from, to },
            false => AlterTableAction::RenameColumn { from, to },
        }))
    }

    fn alter_action(&mut self) -> Result<AlterTableAction> {
        match self.word() {
            "add" => self.add_action(),
            "drop" => {
                self.advance();
                let constraint = self.take_word("constraint");
                if !constraint {
                    self.take_word("column");
                }
                let if_exists = self.if_exists();
                let name = self.ident()?;
                let cascade = self.behavior();
                Ok(match constraint {
                    true => AlterTableAction::DropConstraint { if_exists, name, cascade },
                    false => AlterTableAction::DropColumn { if_exists, name, cascade },
                })
            }
            "alter" => self.alter_column_action(),
            "validate" => {
                self.advance();
                self.expect_word("constraint")?;
                Ok(AlterTableAction::ValidateConstraint { name: self.ident()? })
            }
            "owner" => {
                self.advance();
                self.expect_word("to")?;
                Ok(AlterTableAction::OwnerTo(self.role_spec()?))
            }
            "set" => self.set_action(),
            "reset" => {
                self.advance();
                Ok(AlterTableAction::ResetOptions(self.definition()?))
            }
            "replica" => {
                self.advance();
                self.expect_word("identity")?;
                let what = match self.one_of(&["nothing", "full", "default", "using"]) {
                    Some("using") => {
                        self.expect_word("index")?;
                        self.name()?
                    }
                    Some(word) => word.to_owned(),
                    None => return Err(self.syntax_error()),
                };
                Ok(AlterTableAction::ReplicaIdentity(what))
            }
            word @ ("attach" | "detach" | "inherit" | "no" | "cluster" | "enable" | "disable" | "force" | "of"
            | "not" | "options") => {
                let what = format!("ALTER TABLE … {}", word.to_uppercase());
                self.skip_statement();
                Ok(AlterTableAction::Unsupported(what))
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn add_action(&mut self) -> Result<AlterTableAction> {
        self.expect_word("add")?;
        if self.begins_table_constraint() {
            return self.table_constraint().map(AlterTableAction::AddConstraint);
        }
        self.take_word("column");
        let if_not_exists = self.if_not_exists();
        let column = self.column_def()?;
        Ok(AlterTableAction::AddColumn { if_not_exists, column })
    }

    fn set_action(&mut self) -> Result<AlterTableAction> {
        self.expect_word("set")?;
        Ok(match self.word() {
            "(" => return Err(self.syntax_error()),
            "tablespace" => {
                self.advance();
                AlterTableAction::SetTablespace(self.ident()?)
            }
            "logged" | "unlogged" => {
                let logged = self.is_word("logged");
                self.advance();
                AlterTableAction::SetLogged(logged)
            }
            "without" => {
                self.advance();
                if self.one_of(&["oids", "cluster"]).is_none() {
                    return Err(self.syntax_error());
                }
                AlterTableAction::Unsupported("ALTER TABLE … SET WITHOUT".to_owned())
            }
            "access" => {
                self.skip_statement();
                AlterTableAction::Unsupported("ALTER TABLE … SET ACCESS METHOD".to_owned())
            }
            _ => AlterTableAction::SetOptions(self.definition()?),
        })
    }

    fn alter_column_action(&mut self) -> Result<AlterTableAction> {
        self.expect_word("alter")?;
        if self.take_word("constraint") {
            let name = self.ident()?;
            let key = ConstraintBody::Unique {
                columns: Vec::new(),
                nulls_not_distinct: false,
                index: IndexParameters::default(),
            };
            let mut constraint = constraint(None, key, 0);
            while matches!(self.word(), "deferrable" | "not" | "initially") {
                if !self.constraint_attribute(&mut constraint)? {
                    return Err(self.syntax_error());
                }
            }
            let ConstraintDef { deferrable, initially_deferred, .. } = constraint;
            return Ok(AlterTableAction::AlterConstraint { name, deferrable, initially_deferred });
        }
        self.take_word("column");
        if self.kind() == Kind::Integer {
            return Err(self.unsupported("ALTER COLUMN by number"));
        }
        let name = self.ident()?;
        let word = self.word();
        match word {
            "type" => self.alter_type(name),
            "set" => {
                self.advance();
                self.alter_column_set(name)
            }
            "drop" => {
                self.advance();
                match self.one_of(&["default", "not", "expression", "identity"]) {
                    Some("default") => Ok(AlterTableAction::DropDefault { name }),
                    Some("not") => {
                        self.expect_word("null")?;
                        Ok(AlterTableAction::DropNotNull { name })
                    }
                    Some("expression") => Ok(AlterTableAction::DropExpression { name, if_exists: self.if_exists() }),
                    Some(_) => Ok(AlterTableAction::DropIdentity { name, if_exists: self.if_exists() }),
                    None => Err(self.syntax_error()),
                }
            }
            "add" => {
                self.advance();
                match self.generated()? {
                    ConstraintBody::Identity { always, options } => {
                        Ok(AlterTableAction::AddIdentity { name, always, options })
                    }
                    _ => Err(self.syntax_error()),
                }
            }
            "restart" => {
                let options = self.sequence_options()?;
                Ok(AlterTableAction::SetIdentity { name, always: None, options })
            }
            "reset" | "options" => {
                self.skip_statement();
                Ok(AlterTableAction::Unsupported("ALTER COLUMN … RESET or OPTIONS".to_owned()))
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn alter_type(&mut self, name: Ident) -> Result<AlterTableAction> {
        self.expect_word("type")?;
        let ty: TypeName = self.type_name()?;
        let collation = if self.take_word("collate") { Some(self.object_name()?) } else { None };
        let using = if self.take_word("using") { Some(self.expr_text()?) } else { None };
        Ok(AlterTableAction::AlterType { name, ty, collation, using })
    }

    /// What follows ALTER COLUMN c SET.
    fn alter_column_set(&mut self, name: Ident) -> Result<AlterTableAction> {
        match self.word() {
            "data" => {
                self.advance();
                self.alter_type(name)
            }
            "default" => {
                self.advance();
                Ok(AlterTableAction::SetDefault { name, expr: self.expr_text()? })
            }
            "not" => {
                self.advance();
                self.expect_word("null")?;
                Ok(AlterTableAction::SetNotNull { name })
            }
            "statistics" => {
                self.advance();
                Ok(AlterTableAction::SetStatistics { name, target: self.signed_integer()? })
            }
            "storage" => {
                self.advance();
                Ok(AlterTableAction::SetStorage { name, storage: self.any_label()? })
            }
            "compression" => Err(self.unsupported("SET COMPRESSION")),
            _ => {
                let (mut always, mut options) = (None, Vec::new());
                loop {
                    if self.take_word("generated") {
                        always = match self.one_of(&["always", "by"]) {
                            Some("always") => Some(true),
                            Some(_) => {
                                self.expect_word("default")?;
                                Some(false)
                            }
                            None => return Err(self.syntax_error()),
                        };
                    } else {
                        let more = self.sequence_options()?;
                        if more.is_empty() {
                            return Err(self.syntax_error());
                        }
                        options.extend(more);
                    }
                    if !self.take_word("set") {
                        return Ok(AlterTableAction::SetIdentity { name, always, options });
                    }
                }
            }
        }
    }

    // --- DROP, COMMENT ---

    pub(super) fn drop_statement(&mut self) -> Result<Utility> {
        self.expect_word("drop")?;
        let word = self.word();
        let kind = match word {
            "table" => ObjectKind::Table,
            "view" => ObjectKind::View,
            "materialized" => ObjectKind::MaterializedView,
            "index" => ObjectKind::Index,
            "sequence" => ObjectKind::Sequence,
            "schema" => ObjectKind::Schema,
            "database" => ObjectKind::Database,
            "role" | "user" | "group" => ObjectKind::Role,
            "type" => ObjectKind::Type,
            "domain" => ObjectKind::Domain,
            "extension" => ObjectKind::Extension,
            "owned" => {
                self.advance();
                self.expect_word("by")?;
                let roles = self.list(Self::role_spec)?;
                return Ok(Utility::DropOwned { roles, cascade: self.behavior() });
            }
            "function" | "procedure" | "routine" | "aggregate" | "trigger" | "rule" | "policy" | "operator"
            | "cast" | "collation" | "conversion" | "language" | "statistics" | "publication" | "subscription"
            | "tablespace" | "server" | "foreign" | "text" | "event" | "access" | "transform" | "trusted"
            | "procedural" => {
                return self.refuse_statement(&format!("DROP {}", word.to_uppercase()));
            }
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        if kind == ObjectKind::MaterializedView {
            self.expect_word("view")?;
        }
        if kind == ObjectKind::Role && word == "user" && self.is_word("mapping") {
            return self.refuse_statement("DROP USER MAPPING");
        }
        let concurrently = kind == ObjectKind::Index && self.take_word("concurrently");
        let if_exists = self.if_exists();
        let mut drop = Drop { kind, if_exists, concurrently, names: Vec::new(), cascade: false, force: false };
        match kind {
            ObjectKind::Database => {
                drop.names.push(self.object_name()?);
                let with = self.take_word("with");
                if self.is_sign(b'(') {
                    self.parenthesised(|parser| parser.expect_word("force"))?;
                    drop.force = true;
                } else if with {
                    return Err(self.syntax_error());
                }
            }
            ObjectKind::Role => {
                drop.names = self.list(|parser| {
                    let pos = parser.pos();
                    match parser.role_spec()? {
                        RoleSpec::Name(name) => Ok(ObjectName { parts: vec![name.name], pos }),
                        _ => Err(crate::error::Error::new(
                            crate::error::SqlState::InvalidParameterValue,
                            "cannot use special role specifier in DROP ROLE",
                        )),
                    }
                })?;
            }
            _ => {
                drop.names = self.list(Self::object_name)?;
                drop.cascade = self.behavior();
            }
        }
        Ok(Utility::Drop(drop))
    }

    pub(super) fn comment(&mut self) -> Result<Utility> {
        self.expect_words(&["comment", "on"])?;
        let word = self.word();
        let kind = match word {
            "table" => ObjectKind::Table,
            "view" => ObjectKind::View,
            "materialized" => ObjectKind::MaterializedView,
            "index" => ObjectKind::Index,
            "sequence" => ObjectKind::Sequence,
            "schema" => ObjectKind::Schema,
            "database" => ObjectKind::Database,
            "role" => ObjectKind::Role,
            "column" => ObjectKind::Column,
            "constraint" => ObjectKind::Constraint,
            "type" => ObjectKind::Type,
            "domain" => ObjectKind::Domain,
            "function" | "procedure" | "extension" | "trigger" | "aggregate" | "cast" | "operator" | "language"
            | "collation" | "policy" | "rule" | "tablespace" | "access" | "text" | "event" | "large" | "routine"
            | "conversion" | "foreign" | "server" | "statistics" | "publication" | "subscription" | "transform"
            | "procedural" => {
                return self.refuse_statement(&format!("COMMENT ON {}", word.to_uppercase()));
            }
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        if kind == ObjectKind::MaterializedView {
            self.expect_word("view")?;
        }
        let name = self.object_name()?;
        let (mut on, mut on_domain) = (None, false);
        if kind == ObjectKind::Constraint {
            self.expect_word("on")?;
            on_domain = self.take_word("domain");
            on = Some(self.object_name()?);
        }
        self.expect_word("is")?;
        let text = if self.take_word("null") { None } else { Some(self.string()?) };
        Ok(Utility::Comment(Comment { kind, name, on, on_domain, text }))
    }
}

/// 42601 for an option of a kind that is among those given.
fn check_once<T>(given: &[T], option: &T, pos: u32) -> Result<()> {
    let kind = std::mem::discriminant(option);
    if !given.iter().any(|other| std::mem::discriminant(other) == kind) {
        return Ok(());
    }
    Err(crate::error::Error::new(crate::error::SqlState::SyntaxError, "conflicting or redundant options").at(pos))
}

fn constraint(name: Option<String>, kind: ConstraintBody, pos: u32) -> ConstraintDef {
    ConstraintDef { name, kind, deferrable: None, initially_deferred: None, not_valid: false, no_inherit: false, pos }
}
