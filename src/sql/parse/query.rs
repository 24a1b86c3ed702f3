//! Queries and writes: SELECT, VALUES, TABLE, WITH, FROM, INSERT, UPDATE, DELETE.

use super::parser::Parser;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{
    Alias, Assignment, ColumnType, ConflictItem, ConflictTarget, Cte, Cycle, Delete, Distinct, Expr, ExprKind,
    GroupItem, Ident, Insert, IntoTable, JoinCondition, JoinKind, Literal, LockStrength, LockWait, Locking, ObjectName,
    OnConflict, Query, Sample, Search, Select, SetExpr, SetOpKind, Statement, TableRef, Target, TargetColumn, Update,
    With,
};

impl Parser<'_> {
    /// Whether a query begins here, or behind opening parentheses.
    pub(super) fn is_query(&self) -> bool {
        let ahead = self.opening_parentheses();
        matches!(self.word_at(ahead), "select" | "values" | "with") || (self.word_at(ahead) == "table" && ahead == 0)
    }

    /// Whether the parenthesis that comes next holds a query (and not an expression that begins with one).
    pub(super) fn is_query_in_parentheses(&self) -> bool {
        if !self.is_sign(b'(') {
            return false;
        }
        let ahead = self.opening_parentheses();
        if !matches!(self.word_at(ahead), "select" | "values" | "with" | "table") {
            return false;
        }
        // `((SELECT 1) + 1)`: from the innermost parentheses outwards, what follows them tells.
        (0..ahead - 1).rev().all(|outer| {
            let Some(at) = self.closing(outer + 1) else { return true };
            self.is_sign_at(at + 1, b')')
                || matches!(
                    self.word_at(at + 1),
                    "union" | "intersect" | "except" | "order" | "limit" | "offset" | "fetch" | "for"
                )
        })
    }

    /// The place, counted from here, of the parenthesis that closes the one `ahead`.
    fn closing(&self, ahead: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = ahead;
        loop {
            match self.kind_at(at) {
                super::lexer::Kind::Sign(b'(') => depth += 1,
                super::lexer::Kind::Sign(b')') => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                super::lexer::Kind::End => return None,
                _ => {}
            }
            at += 1;
        }
    }

    /// select_with_parens, its parentheses taken off.
    pub(super) fn query_in_parentheses(&mut self) -> Result<Query> {
        self.expect_sign(b'(')?;
        let query = self.query()?;
        self.expect_sign(b')')?;
        Ok(query)
    }

    /// SelectStmt, WITH included.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.in_query(|parser| {
            let with = parser.opt_with()?;
            parser.query_after_with(with)
        })
    }

    pub(super) fn query_after_with(&mut self, with: Option<With>) -> Result<Query> {
        let pos = self.pos();
        let body = self.set_expr(0)?;
        let mut query = Query {
            with,
            body,
            order_by: Vec::new(),
            limit: None,
            with_ties: false,
            offset: None,
            locking: Vec::new(),
            pos,
        };
        query.order_by = self.opt_order_by()?;
        self.limits_and_locks(&mut query)?;
        // A query in parentheses with nothing around it is that query.
        if let SetExpr::Query(_) = &query.body
            && query.with.is_none()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locking.is_empty()
            && let SetExpr::Query(inner) = query.body
        {
            return Ok(*inner);
        }
        Ok(query)
    }

    /// LIMIT, OFFSET, FETCH and locking clauses in the orders that PostgreSQL takes.
    fn limits_and_locks(&mut self, query: &mut Query) -> Result<()> {
        let (mut limited, mut skipped) = (false, false);
        loop {
            let pos = self.pos();
            match self.word() {
                "limit" => {
                    if limited {
                        return Err(self.syntax_error());
                    }
                    self.advance();
                    limited = true;
                    if !self.take_word("all") {
                        query.limit = Some(self.expr()?);
                    }
                    if self.is_sign(b',') {
                        return Err(self
                            .error_at("LIMIT #,# syntax is not supported", pos)
                            .hint("Use separate LIMIT and OFFSET clauses."));
                    }
                }
                "offset" => {
                    if skipped {
                        return Err(self.error_at("multiple OFFSET clauses not allowed", pos));
                    }
                    self.advance();
                    skipped = true;
                    query.offset = Some(self.expr()?);
                    self.one_of(&["row", "rows"]);
                }
                "fetch" => {
                    if limited {
                        return Err(self.syntax_error());
                    }
                    self.advance();
                    limited = true;
                    self.fetch_first(query)?;
                }
                "for" => {
                    self.advance();
                    if self.take_words(&["read", "only"]) {
                        continue;
                    }
                    let locking = self.locking(pos)?;
                    query.locking.push(locking);
                }
                _ => return Ok(()),
            }
        }
    }

    fn fetch_first(&mut self, query: &mut Query) -> Result<()> {
        if self.one_of(&["first", "next"]).is_none() {
            return Err(self.syntax_error());
        }
        let at = self.pos();
        query.limit = Some(match self.word() {
            "row" | "rows" => Expr::new(ExprKind::Literal(Literal::Integer(1)), at),
            _ => self.restricted_expr()?,
        });
        if self.one_of(&["row", "rows"]).is_none() {
            return Err(self.syntax_error());
        }
        if !self.take_word("only") {
            self.expect_words(&["with", "ties"])?;
            query.with_ties = true;
            if query.order_by.is_empty() {
                let message = "WITH TIES cannot be specified without ORDER BY clause";
                return Err(Error::new(SqlState::SyntaxError, message));
            }
        }
        Ok(())
    }

    fn locking(&mut self, pos: u32) -> Result<Locking> {
        let strength = match self.one_of(&["update", "no", "share", "key"]) {
            Some("update") => LockStrength::Update,
            Some("no") => {
                self.expect_words(&["key", "update"])?;
                LockStrength::NoKeyUpdate
            }
            Some("share") => LockStrength::Share,
            Some(_) => {
                self.expect_word("share")?;
                LockStrength::KeyShare
            }
            None => return Err(self.syntax_error()),
        };
        let of = match self.take_word("of") {
            true => self.list(Self::object_name)?,
            false => Vec::new(),
        };
        let wait = match self.one_of(&["nowait", "skip"]) {
            Some("nowait") => LockWait::NoWait,
            Some(_) => {
                self.expect_word("locked")?;
                LockWait::SkipLocked
            }
            None => LockWait::Wait,
        };
        Ok(Locking { strength, of, wait, pos })
    }

    /// UNION and EXCEPT at level 0, INTERSECT at level 1, all to the left.
    fn set_expr(&mut self, level: u8) -> Result<SetExpr> {
        let mut left = if level == 0 { self.set_expr(1)? } else { self.set_operand()? };
        let mut chain = 0;
        loop {
            let op = match (self.word(), level) {
                ("union", 0) => SetOpKind::Union,
                ("except", 0) => SetOpKind::Except,
                ("intersect", 1) => SetOpKind::Intersect,
                _ => return Ok(left),
            };
            chain += 1;
            if chain > super::DEPTH_MAX {
                return Err(super::parser::too_deep());
            }
            let pos = self.pos();
            self.advance();
            let all = match self.one_of(&["all", "distinct"]) {
                Some(word) => word == "all",
                None => false,
            };
            let right = if level == 0 { self.set_expr(1)? } else { self.set_operand()? };
            left = SetExpr::SetOp { op, all, left: Box::new(left), right: Box::new(right), pos };
        }
    }

    /// One operand: SELECT, VALUES, TABLE, or a query in parentheses.
    fn set_operand(&mut self) -> Result<SetExpr> {
        let pos = self.pos();
        match self.word() {
            "select" => self.select().map(|select| SetExpr::Select(Box::new(select))),
            "values" => {
                self.advance();
                let rows = self.list(|parser| parser.parenthesised(Self::expr))?;
                Ok(SetExpr::Values { rows, pos })
            }
            "table" => {
                self.advance();
                let at = self.pos();
                let (name, only) = self.relation_expr()?;
                let from = TableRef::Relation { name, only, alias: None, sample: None, pos: at };
                let star = Expr::new(ExprKind::Star(Vec::new()), pos);
                let mut select = empty_select(pos);
                select.targets.push(Target { expr: star, name: None, pos });
                select.from.push(from);
                Ok(SetExpr::Select(Box::new(select)))
            }
            _ if self.is_sign(b'(') => {
                let query = self.query_in_parentheses()?;
                let plain = query.with.is_none()
                    && query.order_by.is_empty()
                    && query.limit.is_none()
                    && query.offset.is_none()
                    && query.locking.is_empty();
                Ok(if plain { query.body } else { SetExpr::Query(Box::new(query)) })
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn select(&mut self) -> Result<Select> {
        let mut select = empty_select(self.pos());
        self.expect_word("select")?;
        let mut list_required = false;
        if self.take_word("distinct") {
            list_required = true;
            select.distinct = Distinct::Rows;
            if self.take_word("on") {
                select.distinct = Distinct::On(self.parenthesised(Self::expr)?);
            }
        } else {
            self.take_word("all");
        }
        if list_required || !self.ends_target_list() {
            select.targets = self.targets()?;
        }
        if self.take_word("into") {
            select.into = Some(Box::new(self.into_table()?));
        }
        if self.take_word("from") {
            select.from = self.list(Self::table_ref)?;
        }
        if self.take_word("where") {
            select.filter = Some(self.expr()?);
        }
        if self.is_word("group") {
            self.expect_words(&["group", "by"])?;
            match self.one_of(&["distinct", "all"]) {
                Some("distinct") => select.group_distinct = true,
                _ => select.group_distinct = false,
            }
            select.group_by = self.list(Self::group_item)?;
        }
        if self.take_word("having") {
            select.having = Some(self.expr()?);
        }
        if self.take_word("window") {
            select.windows = self.list(|parser| {
                let name = parser.ident()?;
                parser.expect_word("as")?;
                Ok((name, parser.window_spec()?))
            })?;
        }
        Ok(select)
    }

    fn ends_target_list(&self) -> bool {
        use super::lexer::Kind;
        match self.kind() {
            Kind::End | Kind::Sign(b')' | b';') => true,
            _ => matches!(
                self.word(),
                "from"
                    | "where"
                    | "group"
                    | "having"
                    | "window"
                    | "union"
                    | "intersect"
                    | "except"
                    | "order"
                    | "limit"
                    | "offset"
                    | "fetch"
                    | "for"
                    | "into"
            ),
        }
    }

    fn into_table(&mut self) -> Result<IntoTable> {
        self.one_of(&["local", "global"]);
        let temporary = self.one_of(&["temp", "temporary"]).is_some();
        if self.is_word("unlogged") {
            self.advance();
        }
        self.take_word("table");
        Ok(IntoTable { name: self.object_name()?, temporary })
    }

    /// target_list.
    pub(super) fn targets(&mut self) -> Result<Vec<Target>> {
        self.list(|parser| {
            let pos = parser.pos();
            if parser.take_sign(b'*') {
                return Ok(Target { expr: Expr::new(ExprKind::Star(Vec::new()), pos), name: None, pos });
            }
            let expr = parser.target_expr()?;
            let name = match parser.take_word("as") {
                true => Some(parser.any_label()?),
                false => parser.bare_label()?,
            };
            Ok(Target { expr, name, pos })
        })
    }

    /// An expression that a label may follow. A keyword that looks like an operator is a label when nothing of the operator
    /// follows: `SELECT 1 IN`.
    fn target_expr(&mut self) -> Result<Expr> {
        let mark = self.mark();
        let error = match self.expr() {
            Ok(expr) => return Ok(expr),
            Err(error) => error,
        };
        let failed_at = self.mark();
        if failed_at <= mark + 1 || !self.is_label_before(failed_at) {
            return Err(error);
        }
        self.reset(mark);
        let outer = self.label.replace(failed_at - 1);
        let again = self.expr();
        self.label = outer;
        match again {
            Ok(expr) if self.mark() == failed_at - 1 => Ok(expr),
            _ => {
                self.reset(failed_at);
                Err(error)
            }
        }
    }

    fn group_item(&mut self) -> Result<GroupItem> {
        let pos = self.pos();
        if self.is_sign(b'(') && self.is_sign_at(1, b')') {
            self.advance();
            self.advance();
            return Ok(GroupItem::Empty(pos));
        }
        match self.word() {
            "rollup" | "cube" if self.is_sign_at(1, b'(') => {
                let rollup = self.is_word("rollup");
                self.advance();
                let items = self.parenthesised(|parser| {
                    let expr = parser.expr()?;
                    Ok(match expr.kind {
                        ExprKind::Row { fields, explicit: false } => fields,
                        kind => vec![Expr::new(kind, expr.pos)],
                    })
                })?;
                Ok(if rollup { GroupItem::Rollup(items, pos) } else { GroupItem::Cube(items, pos) })
            }
            "grouping" if self.word_at(1) == "sets" => {
                self.advance();
                self.advance();
                let items = self.deeper(|parser| parser.parenthesised(Self::group_item))?;
                Ok(GroupItem::Sets(items, pos))
            }
            _ => self.expr().map(GroupItem::Expr),
        }
    }

    // --- WITH ---

    pub(super) fn opt_with(&mut self) -> Result<Option<With>> {
        let pos = self.pos();
        if !self.take_word("with") {
            return Ok(None);
        }
        let recursive = self.take_word("recursive");
        let ctes = self.list(Self::cte)?;
        Ok(Some(With { recursive, ctes, pos }))
    }

    fn cte(&mut self) -> Result<Cte> {
        let pos = self.pos();
        let name = self.name()?;
        let columns = if self.is_sign(b'(') { self.parenthesised(Self::name)? } else { Vec::new() };
        self.expect_word("as")?;
        let materialized = if self.take_word("materialized") {
            Some(true)
        } else if self.take_words(&["not", "materialized"]) {
            Some(false)
        } else {
            None
        };
        self.expect_sign(b'(')?;
        let statement = self.deeper(Self::preparable)?;
        self.expect_sign(b')')?;
        let search = self.search()?;
        let cycle = self.cycle()?;
        Ok(Cte { name, columns, materialized, statement: Box::new(statement), search, cycle, pos })
    }

    fn search(&mut self) -> Result<Option<Search>> {
        let pos = self.pos();
        if !self.take_word("search") {
            return Ok(None);
        }
        let breadth = match self.one_of(&["depth", "breadth"]) {
            Some(word) => word == "breadth",
            None => return Err(self.syntax_error()),
        };
        self.expect_words(&["first", "by"])?;
        let columns = self.list(Self::ident)?;
        self.expect_word("set")?;
        Ok(Some(Search { breadth, columns, sequence: self.name()?, pos }))
    }

    fn cycle(&mut self) -> Result<Option<Cycle>> {
        let pos = self.pos();
        if !self.take_word("cycle") {
            return Ok(None);
        }
        let columns = self.list(Self::ident)?;
        self.expect_word("set")?;
        let mark = self.name()?;
        let values = match self.take_word("to") {
            true => {
                let there = self.restricted_expr()?;
                self.expect_word("default")?;
                Some((there, self.restricted_expr()?))
            }
            false => None,
        };
        self.expect_word("using")?;
        Ok(Some(Cycle { columns, mark, values, path: self.name()?, pos }))
    }

    /// PreparableStmt: what WITH, PREPARE, COPY and EXPLAIN may hold.
    pub(super) fn preparable(&mut self) -> Result<Statement> {
        if self.is_query() && !self.is_word("with") {
            return self.query().map(|query| Statement::Query(Box::new(query)));
        }
        let with = self.opt_with()?;
        match self.word() {
            "insert" => self.insert(with).map(|insert| Statement::Insert(Box::new(insert))),
            "update" => self.update(with).map(|update| Statement::Update(Box::new(update))),
            "delete" => self.delete(with).map(|delete| Statement::Delete(Box::new(delete))),
            "merge" => Err(self.unsupported("MERGE")),
            "select" | "values" | "table" => self.query_after_with(with).map(|query| Statement::Query(Box::new(query))),
            _ if self.is_sign(b'(') && with.is_some() => {
                self.query_after_with(with).map(|query| Statement::Query(Box::new(query)))
            }
            _ => Err(self.syntax_error()),
        }
    }

    // --- FROM ---

    /// relation_expr: a name with ONLY or `*`.
    pub(super) fn relation_expr(&mut self) -> Result<(ObjectName, bool)> {
        if self.take_word("only") {
            if self.take_sign(b'(') {
                let name = self.object_name()?;
                self.expect_sign(b')')?;
                return Ok((name, true));
            }
            return Ok((self.object_name()?, true));
        }
        let name = self.object_name()?;
        self.take_sign(b'*');
        Ok((name, false))
    }

    pub(super) fn table_ref(&mut self) -> Result<TableRef> {
        self.deeper(|parser| {
            let mut left = parser.table_primary()?;
            let mut chain = 0;
            while let Some(next) = parser.join(&mut left)? {
                left = next;
                chain += 1;
                if chain > super::DEPTH_MAX {
                    return Err(super::parser::too_deep());
                }
            }
            Ok(left)
        })
    }

    /// The next join onto `left`, which is taken when there is one.
    fn join(&mut self, left: &mut TableRef) -> Result<Option<TableRef>> {
        let pos = self.pos();
        let natural = self.is_word("natural");
        let ahead = usize::from(natural);
        let (kind, cross) = match self.word_at(ahead) {
            "cross" if !natural => (JoinKind::Inner, true),
            "join" | "inner" => (JoinKind::Inner, false),
            "left" => (JoinKind::Left, false),
            "right" => (JoinKind::Right, false),
            "full" => (JoinKind::Full, false),
            _ if natural => {
                self.advance();
                return Err(self.syntax_error());
            }
            _ => return Ok(None),
        };
        for _ in 0..ahead {
            self.advance();
        }
        if !self.is_word("join") {
            self.advance();
            if matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) {
                self.take_word("outer");
            }
        }
        self.expect_word("join")?;
        // A join on the right side without parentheses: `a JOIN b JOIN c ON … ON …`.
        let mut right = self.table_primary()?;
        let condition = if cross {
            JoinCondition::Cross
        } else if natural {
            JoinCondition::Natural
        } else {
            while !matches!(self.word(), "on" | "using") {
                match self.join(&mut right)? {
                    Some(next) => right = next,
                    None => return Err(self.syntax_error()),
                }
            }
            self.join_condition()?
        };
        let empty = TableRef::Relation {
            name: ObjectName { parts: Vec::new(), pos: 0 },
            only: false,
            alias: None,
            sample: None,
            pos: 0,
        };
        let left = Box::new(std::mem::replace(left, empty));
        Ok(Some(TableRef::Join { kind, left, right: Box::new(right), condition, alias: None, pos }))
    }

    fn join_condition(&mut self) -> Result<JoinCondition> {
        if self.take_word("using") {
            let columns = self.parenthesised(Self::ident)?;
            let alias = match self.take_word("as") {
                true => {
                    let pos = self.pos();
                    Some(Alias { name: self.name()?, columns: Vec::new(), pos })
                }
                false => None,
            };
            return Ok(JoinCondition::Using(columns, alias));
        }
        self.expect_word("on")?;
        self.expr().map(JoinCondition::On)
    }

    fn table_primary(&mut self) -> Result<TableRef> {
        let pos = self.pos();
        let lateral = self.take_word("lateral");
        if self.is_sign(b'(') {
            if self.is_query_in_parentheses() {
                let query = Box::new(self.query_in_parentheses()?);
                let alias = self.opt_alias()?;
                return Ok(TableRef::Subquery { lateral, query, alias, pos });
            }
            if lateral {
                self.advance();
                return Err(self.syntax_error());
            }
            return self.parenthesised_join();
        }
        if self.is_word("rows") && self.word_at(1) == "from" && self.is_sign_at(2, b'(') {
            return self.rows_from(lateral, pos);
        }
        if self.is_word("xmltable") {
            return Err(self.unsupported("XMLTABLE"));
        }
        if self.begins_function() {
            let call = self.function_expr()?;
            return self.function_tail(lateral, vec![(call, Vec::new())], false, pos);
        }
        if lateral {
            return Err(self.syntax_error());
        }
        let at = if self.is_word("only") { pos } else { self.pos() };
        let (name, only) = self.relation_expr()?;
        let pos = if only { name.pos } else { at };
        let alias = self.opt_alias()?;
        let sample = self.sample()?;
        Ok(TableRef::Relation { name, only, alias, sample, pos })
    }

    fn parenthesised_join(&mut self) -> Result<TableRef> {
        self.expect_sign(b'(')?;
        let mut inner = self.table_ref()?;
        if !matches!(inner, TableRef::Join { .. }) {
            return Err(self.syntax_error());
        }
        self.expect_sign(b')')?;
        let given = self.opt_alias()?;
        if let TableRef::Join { alias, .. } = &mut inner
            && given.is_some()
        {
            *alias = given;
        }
        Ok(inner)
    }

    /// Whether a function call begins here: a name before a parenthesis, or a value function.
    fn begins_function(&self) -> bool {
        if matches!(
            self.word(),
            "current_date"
                | "current_time"
                | "current_timestamp"
                | "localtime"
                | "localtimestamp"
                | "current_user"
                | "current_role"
                | "session_user"
                | "user"
                | "current_catalog"
                | "cast"
        ) {
            return true;
        }
        if self.is_word("current_schema") {
            return true;
        }
        if self.category().is_none() {
            return false;
        }
        let mut ahead = 1;
        while self.is_sign_at(ahead, b'.') && self.category_at(ahead + 1).is_some() {
            ahead += 2;
        }
        self.is_sign_at(ahead, b'(')
    }

    fn function_expr(&mut self) -> Result<Expr> {
        let token = self.token();
        let expr = self.restricted_expr()?;
        match &expr.kind {
            ExprKind::Function(_)
            | ExprKind::SqlValue { .. }
            | ExprKind::Coalesce(_)
            | ExprKind::MinMax { .. }
            | ExprKind::NullIf(..)
            | ExprKind::Cast { .. }
            | ExprKind::Collate { .. } => Ok(expr),
            _ => Err(self.syntax_error_at(token)),
        }
    }

    fn rows_from(&mut self, lateral: bool, pos: u32) -> Result<TableRef> {
        self.expect_words(&["rows", "from"])?;
        let calls = self.parenthesised(|parser| {
            let call = parser.function_expr()?;
            let columns = match parser.take_word("as") {
                true => parser.parenthesised(Self::column_type)?,
                false => Vec::new(),
            };
            Ok((call, columns))
        })?;
        self.function_tail(lateral, calls, true, pos)
    }

    fn function_tail(
        &mut self,
        lateral: bool,
        calls: Vec<(Expr, Vec<ColumnType>)>,
        rows_from: bool,
        pos: u32,
    ) -> Result<TableRef> {
        let ordinality = self.take_words(&["with", "ordinality"]);
        let mut definitions = Vec::new();
        let mut alias = None;
        let at = self.pos();
        let said = self.take_word("as");
        if said && self.is_sign(b'(') {
            definitions = self.parenthesised(Self::column_type)?;
        } else if said || self.is_name() {
            let name = self.name()?;
            let mut columns = Vec::new();
            if self.is_sign(b'(') {
                // `(a, b)` names columns, `(a int, b text)` defines them.
                if self.is_sign_at(2, b',') || self.is_sign_at(2, b')') {
                    columns = self.parenthesised(Self::name)?;
                } else {
                    definitions = self.parenthesised(Self::column_type)?;
                }
            }
            alias = Some(Alias { name, columns, pos: at });
        }
        Ok(TableRef::Function { lateral, calls, rows_from, ordinality, alias, definitions, pos })
    }

    fn column_type(&mut self) -> Result<ColumnType> {
        let pos = self.pos();
        let name = self.name()?;
        let ty = self.type_name()?;
        let collation = if self.take_word("collate") { Some(self.object_name()?) } else { None };
        Ok(ColumnType { name, ty, collation, pos })
    }

    fn opt_alias(&mut self) -> Result<Option<Alias>> {
        let said = self.take_word("as");
        if !said && !self.is_name() {
            return Ok(None);
        }
        let pos = self.pos();
        let name = self.name()?;
        let columns = if self.is_sign(b'(') { self.parenthesised(Self::name)? } else { Vec::new() };
        Ok(Some(Alias { name, columns, pos }))
    }

    fn sample(&mut self) -> Result<Option<Box<Sample>>> {
        if !self.take_word("tablesample") {
            return Ok(None);
        }
        let pos = self.pos();
        let mut parts = vec![self.nonreserved()?];
        while self.take_sign(b'.') {
            parts.push(self.any_label()?);
        }
        let args = self.parenthesised(Self::expr)?;
        let mut seed = None;
        if self.take_word("repeatable") {
            self.expect_sign(b'(')?;
            seed = Some(self.expr()?);
            self.expect_sign(b')')?;
        }
        Ok(Some(Box::new(Sample { method: ObjectName { parts, pos }, args, seed, pos })))
    }

    // --- writes ---

    pub(super) fn insert(&mut self, with: Option<With>) -> Result<Insert> {
        let pos = self.pos();
        self.expect_words(&["insert", "into"])?;
        let table = self.object_name()?;
        let alias = if self.take_word("as") { Some(self.ident()?) } else { None };
        let mut insert = Insert {
            with,
            table,
            alias,
            columns: Vec::new(),
            overriding_user: None,
            source: None,
            on_conflict: None,
            returning: Vec::new(),
            pos,
        };
        if self.take_words(&["default", "values"]) {
            return self.insert_tail(insert);
        }
        if self.is_sign(b'(') && !self.is_query_in_parentheses() {
            insert.columns = self.parenthesised(Self::target_column)?;
        }
        if self.take_word("overriding") {
            insert.overriding_user = match self.one_of(&["user", "system"]) {
                Some(word) => Some(word == "user"),
                None => return Err(self.syntax_error()),
            };
            self.expect_word("value")?;
        }
        insert.source = Some(Box::new(self.query()?));
        self.insert_tail(insert)
    }

    fn insert_tail(&mut self, mut insert: Insert) -> Result<Insert> {
        if self.is_word("on") {
            insert.on_conflict = Some(self.on_conflict()?);
        }
        insert.returning = self.returning()?;
        Ok(insert)
    }

    fn returning(&mut self) -> Result<Vec<Target>> {
        if self.take_word("returning") { self.targets() } else { Ok(Vec::new()) }
    }

    fn target_column(&mut self) -> Result<TargetColumn> {
        let pos = self.pos();
        Ok(TargetColumn { name: self.name()?, path: self.indirection_path()?, pos })
    }

    fn on_conflict(&mut self) -> Result<OnConflict> {
        let pos = self.pos();
        self.expect_words(&["on", "conflict"])?;
        let at = self.pos();
        let target = if self.is_sign(b'(') {
            let items = self.parenthesised(Self::conflict_item)?;
            let filter = if self.take_word("where") { Some(self.expr()?) } else { None };
            Some(ConflictTarget::Index { items, filter, pos: at })
        } else if self.take_words(&["on", "constraint"]) {
            Some(ConflictTarget::Constraint(self.ident()?))
        } else {
            None
        };
        self.expect_word("do")?;
        if self.take_word("nothing") {
            return Ok(OnConflict { target, update: None, pos });
        }
        self.expect_words(&["update", "set"])?;
        let assignments = self.list(Self::assignment)?;
        let filter = if self.take_word("where") { Some(self.expr()?) } else { None };
        Ok(OnConflict { target, update: Some((assignments, filter)), pos })
    }

    fn conflict_item(&mut self) -> Result<ConflictItem> {
        let expr = self.index_expr()?;
        let collation = if self.take_word("collate") { Some(self.object_name()?) } else { None };
        let operator_class = if self.is_name() && !self.is_word("nulls") { Some(self.object_name()?) } else { None };
        let refused = |what: &str, pos: u32| {
            Error::new(SqlState::InvalidColumnReference, format!("{what} is not allowed in ON CONFLICT clause")).at(pos)
        };
        if matches!(self.word(), "asc" | "desc") {
            return Err(refused("ASC/DESC", expr.location()));
        }
        if self.is_word("nulls") {
            return Err(refused("NULLS FIRST/LAST", expr.location()));
        }
        Ok(ConflictItem { expr, collation, operator_class })
    }

    /// A key of an index: a column, a function call, or an expression in parentheses.
    pub(super) fn index_expr(&mut self) -> Result<Expr> {
        if self.is_sign(b'(') {
            self.advance();
            let expr = self.expr()?;
            self.expect_sign(b')')?;
            return Ok(expr);
        }
        if self.begins_function() {
            return self.function_expr();
        }
        let pos = self.pos();
        Ok(Expr::new(ExprKind::Column(vec![self.name()?]), pos))
    }

    fn assignment(&mut self) -> Result<Assignment> {
        if self.is_sign(b'(') {
            let columns = self.parenthesised(Self::target_column)?;
            self.expect_sign(b'=')?;
            let value = self.expr()?;
            return Ok(Assignment { columns, multiple: true, value });
        }
        let column = self.target_column()?;
        self.expect_sign(b'=')?;
        Ok(Assignment { columns: vec![column], multiple: false, value: self.expr()? })
    }

    pub(super) fn update(&mut self, with: Option<With>) -> Result<Update> {
        let pos = self.pos();
        self.expect_word("update")?;
        let (table, only) = self.relation_expr()?;
        let alias = self.write_alias()?;
        self.expect_word("set")?;
        let assignments = self.list(Self::assignment)?;
        let from = if self.take_word("from") { self.list(Self::table_ref)? } else { Vec::new() };
        let filter = self.write_filter()?;
        let returning = self.returning()?;
        Ok(Update { with, table, only, alias, assignments, from, filter, returning, pos })
    }

    pub(super) fn delete(&mut self, with: Option<With>) -> Result<Delete> {
        let pos = self.pos();
        self.expect_words(&["delete", "from"])?;
        let (table, only) = self.relation_expr()?;
        let alias = self.write_alias()?;
        let using = if self.take_word("using") { self.list(Self::table_ref)? } else { Vec::new() };
        let filter = self.write_filter()?;
        let returning = self.returning()?;
        Ok(Delete { with, table, only, alias, using, filter, returning, pos })
    }

    /// The alias of a written table: SET begins no alias.
    fn write_alias(&mut self) -> Result<Option<Ident>> {
        if self.take_word("as") || (self.is_name() && !self.is_word("set")) {
            return self.ident().map(Some);
        }
        Ok(None)
    }

    fn write_filter(&mut self) -> Result<Option<Expr>> {
        if !self.take_word("where") {
            return Ok(None);
        }
        let pos = self.pos();
        if self.take_words(&["current", "of"]) {
            let cursor = self.name()?;
            return Ok(Some(Expr::new(ExprKind::CurrentOf(cursor), pos)));
        }
        self.expr().map(Some)
    }
}

fn empty_select(pos: u32) -> Select {
    Select {
        distinct: Distinct::All,
        targets: Vec::new(),
        into: None,
        from: Vec::new(),
        filter: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        windows: Vec::new(),
        pos,
    }
}
