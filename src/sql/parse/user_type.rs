//! CREATE and ALTER of TYPE and DOMAIN.

use super::lexer::Kind;
use super::parser::Parser;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{AlterType, AlterTypeAction, ColumnDef, CreateDomain, ExprText, ObjectKind, Utility};

impl Parser<'_> {
    /// CREATE TYPE: enums; composite types, ranges, base types and shells are refused by name.
    pub(super) fn create_type(&mut self) -> Result<Utility> {
        self.expect_word("type")?;
        let name = self.object_name()?;
        if !self.take_word("as") {
            return match self.is_sign(b'(') {
                true => self.refuse_statement("CREATE TYPE of a base type"),
                false if self.kind() == Kind::End || self.is_sign(b';') => {
                    self.refuse_statement("CREATE TYPE of a shell type")
                }
                false => Err(self.syntax_error()),
            };
        }
        if self.is_sign(b'(') {
            return self.refuse_statement("CREATE TYPE AS (a composite type)");
        }
        if self.is_word("range") {
            return self.refuse_statement("CREATE TYPE AS RANGE");
        }
        self.expect_word("enum")?;
        let mut labels = Vec::new();
        self.expect_sign(b'(')?;
        if !self.is_sign(b')') {
            labels = self.list(Self::string)?;
        }
        self.expect_sign(b')')?;
        Ok(Utility::CreateEnum { name, labels })
    }

    pub(super) fn create_domain(&mut self) -> Result<Utility> {
        self.expect_word("domain")?;
        let name = self.object_name()?;
        self.take_word("as");
        let pos = self.pos();
        let ty = self.type_name()?;
        // What follows has a column's grammar.
        let mut column = ColumnDef { name: String::new(), ty, collation: None, constraints: Vec::new(), pos };
        loop {
            let deferring = matches!(self.word(), "deferrable" | "initially") || self.are_words(&["not", "deferrable"]);
            if deferring {
                let message = "specifying constraint deferrability not supported for domains";
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            } else if self.take_word("collate") {
                column.collation = Some(self.object_name()?);
            } else if !self.column_constraint(&mut column)? {
                break;
            }
        }
        let ColumnDef { name: _, ty, collation, constraints, pos: _ } = column;
        Ok(Utility::CreateDomain(CreateDomain { name, ty, collation, constraints }))
    }

    /// ALTER TYPE, ALTER DOMAIN.
    pub(super) fn alter_user_type(&mut self, kind: ObjectKind) -> Result<Utility> {
        self.advance();
        let name = self.object_name()?;
        let action = match self.word() {
            "rename" if self.word_at(1) == "to" => {
                self.expect_words(&["rename", "to"])?;
                AlterTypeAction::Rename(self.ident()?)
            }
            "owner" => {
                self.expect_words(&["owner", "to"])?;
                AlterTypeAction::Owner(self.role_spec()?)
            }
            "set" if self.word_at(1) == "schema" => {
                self.expect_words(&["set", "schema"])?;
                AlterTypeAction::SetSchema(self.ident()?)
            }
            _ if kind == ObjectKind::Domain => self.alter_domain()?,
            _ => self.alter_enum()?,
        };
        Ok(Utility::AlterType(AlterType { kind, name, action }))
    }

    fn alter_enum(&mut self) -> Result<AlterTypeAction> {
        match self.word() {
            "add" if self.word_at(1) == "value" => {
                self.expect_words(&["add", "value"])?;
                let if_not_exists = self.if_not_exists();
                let label = self.string()?;
                let place = match self.one_of(&["before", "after"]) {
                    Some(word) => Some((word == "before", self.string()?)),
                    None => None,
                };
                Ok(AlterTypeAction::AddValue { if_not_exists, label, place })
            }
            "rename" if self.word_at(1) == "value" => {
                self.expect_words(&["rename", "value"])?;
                let from = self.string()?;
                self.expect_word("to")?;
                Ok(AlterTypeAction::RenameValue { from, to: self.string()? })
            }
            "add" | "drop" | "alter" | "rename" if self.word_at(1) == "attribute" => {
                self.skip_statement();
                Ok(AlterTypeAction::Unsupported("ALTER TYPE of a composite type".to_owned()))
            }
            "set" if self.is_sign_at(1, b'(') => {
                self.skip_statement();
                Ok(AlterTypeAction::Unsupported("ALTER TYPE … SET".to_owned()))
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn alter_domain(&mut self) -> Result<AlterTypeAction> {
        let word = self.word();
        self.advance();
        match (word, self.word()) {
            ("set" | "drop", "not") => {
                self.expect_words(&["not", "null"])?;
                Ok(AlterTypeAction::NotNull(word == "set"))
            }
            ("set", "default") => {
                self.advance();
                let mark = self.mark();
                let expr = self.expr()?;
                Ok(AlterTypeAction::Default(Some(ExprText { expr, text: self.source_since(mark) })))
            }
            ("drop", "default") => {
                self.advance();
                Ok(AlterTypeAction::Default(None))
            }
            ("drop", "constraint") => {
                self.advance();
                let if_exists = self.if_exists();
                let name = self.ident()?;
                Ok(AlterTypeAction::DropConstraint { if_exists, name, cascade: self.behavior() })
            }
            ("add", _) => Ok(AlterTypeAction::AddConstraint(self.table_constraint()?)),
            ("validate", "constraint") => {
                self.advance();
                Ok(AlterTypeAction::ValidateConstraint(self.ident()?))
            }
            ("rename", "constraint") => {
                self.advance();
                let from = self.ident()?;
                self.expect_word("to")?;
                Ok(AlterTypeAction::RenameConstraint { from, to: self.ident()? })
            }
            _ => Err(self.syntax_error()),
        }
    }
}
