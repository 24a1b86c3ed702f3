//! Type names: SQL's words for types are PostgreSQL's names in pg_catalog from here on.

use super::keywords::Category;
use super::lexer::Kind;
use super::parser::Parser;
use crate::error::Result;
use crate::sql::ast::{Expr, ExprKind, Literal, TypeName};
use crate::types::interval::fields;

/// A type of pg_catalog.
pub(super) fn system_type(name: &str, pos: u32) -> TypeName {
    let names = vec!["pg_catalog".to_owned(), name.to_owned()];
    TypeName { names, typmods: Vec::new(), array_bounds: Vec::new(), setof: false, pos }
}

/// An integer literal.
pub(super) fn integer(value: i32, pos: u32) -> Expr {
    Expr::new(ExprKind::Literal(Literal::Integer(value)), pos)
}

impl Parser<'_> {
    /// Typename: a type with SETOF and array bounds.
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        let pos = self.pos();
        let setof = self.take_word("setof");
        let mut ty = self.simple_type()?;
        ty.setof = setof;
        ty.pos = pos;
        if self.take_word("array") {
            let mut bound = None;
            if self.take_sign(b'[') {
                bound = Some(self.integer()?);
                self.expect_sign(b']')?;
            }
            ty.array_bounds.push(bound);
            return Ok(ty);
        }
        while self.is_sign(b'[') {
            self.advance();
            let bound = if self.kind() == Kind::Integer { Some(self.integer()?) } else { None };
            self.expect_sign(b']')?;
            ty.array_bounds.push(bound);
        }
        Ok(ty)
    }

    /// SimpleTypename.
    fn simple_type(&mut self) -> Result<TypeName> {
        if let Some(ty) = self.keyword_type()? {
            return Ok(ty);
        }
        if self.is_word("interval") {
            let pos = self.pos();
            self.advance();
            return self.interval_modifiers(pos);
        }
        self.generic_type()
    }

    /// GenericType: a name with modifiers; `%TYPE` is refused.
    fn generic_type(&mut self) -> Result<TypeName> {
        let pos = self.pos();
        match self.category() {
            Some(Category::Name | Category::Unreserved | Category::TypeFunction) => {}
            _ => return Err(self.syntax_error()),
        }
        let mut names = vec![self.any_label()?];
        while self.take_sign(b'.') {
            names.push(self.any_label()?);
        }
        if self.is_sign(b'%') {
            return Err(self.unsupported("%TYPE"));
        }
        let typmods = self.type_modifiers()?;
        Ok(TypeName { names, typmods, array_bounds: Vec::new(), setof: false, pos })
    }

    fn type_modifiers(&mut self) -> Result<Vec<Expr>> {
        if !self.is_sign(b'(') {
            return Ok(Vec::new());
        }
        self.parenthesised(Self::expr)
    }

    /// A type that the grammar names by keywords (Numeric, Bit, Character, ConstDatetime without INTERVAL), if one is next.
    pub(super) fn keyword_type(&mut self) -> Result<Option<TypeName>> {
        let pos = self.pos();
        let simple = |name: &str| Ok(Some(system_type(name, pos)));
        let word = self.word();
        match word {
            "int" | "integer" => {
                self.advance();
                simple("int4")
            }
            "smallint" => {
                self.advance();
                simple("int2")
            }
            "bigint" => {
                self.advance();
                simple("int8")
            }
            "real" => {
                self.advance();
                simple("float4")
            }
            "boolean" => {
                self.advance();
                simple("bool")
            }
            "double" if self.word_at(1) == "precision" => {
                self.advance();
                self.advance();
                simple("float8")
            }
            "float" => {
                self.advance();
                self.float_type(pos).map(Some)
            }
            "decimal" | "dec" | "numeric" => {
                self.advance();
                let mut ty = system_type("numeric", pos);
                ty.typmods = self.type_modifiers()?;
                Ok(Some(ty))
            }
            "bit" => {
                self.advance();
                let varying = self.take_word("varying");
                let mut ty = system_type(if varying { "varbit" } else { "bit" }, pos);
                ty.typmods = self.type_modifiers()?;
                if !varying && ty.typmods.is_empty() {
                    ty.typmods.push(integer(1, 0));
                }
                Ok(Some(ty))
            }
            "character" | "char" | "varchar" | "nchar" | "national" => self.character_type(pos).map(Some),
            "time" | "timestamp" => self.time_type(word, pos).map(Some),
            _ => Ok(None),
        }
    }

    fn float_type(&mut self, pos: u32) -> Result<TypeName> {
        if !self.take_sign(b'(') {
            return Ok(system_type("float8", pos));
        }
        let at = self.pos();
        let precision = self.integer()?;
        self.expect_sign(b')')?;
        let invalid =
            |message: &str| crate::error::Error::new(crate::error::SqlState::InvalidParameterValue, message).at(at);
        match precision {
            ..=0 => Err(invalid("precision for type float must be at least 1 bit")),
            1..=24 => Ok(system_type("float4", pos)),
            25..=53 => Ok(system_type("float8", pos)),
            _ => Err(invalid("precision for type float must be less than 54 bits")),
        }
    }

    fn character_type(&mut self, pos: u32) -> Result<TypeName> {
        let varying = match self.word() {
            "varchar" => {
                self.advance();
                true
            }
            "national" => {
                self.advance();
                if self.one_of(&["character", "char"]).is_none() {
                    return Err(self.syntax_error());
                }
                self.take_word("varying")
            }
            _ => {
                self.advance();
                self.take_word("varying")
            }
        };
        let mut ty = system_type(if varying { "varchar" } else { "bpchar" }, pos);
        if self.take_sign(b'(') {
            let at = self.pos();
            ty.typmods.push(integer(self.integer()?, at));
            self.expect_sign(b')')?;
        } else if !varying {
            ty.typmods.push(integer(1, 0));
        }
        Ok(ty)
    }

    fn time_type(&mut self, word: &str, pos: u32) -> Result<TypeName> {
        self.advance();
        let mut typmods = Vec::new();
        if self.take_sign(b'(') {
            let at = self.pos();
            typmods.push(integer(self.integer()?, at));
            self.expect_sign(b')')?;
        }
        let zone = self.are_words(&["with", "time"]);
        if matches!(self.word(), "with" | "without") && self.word_at(1) == "time" {
            self.advance();
            self.expect_words(&["time", "zone"])?;
        }
        let name = match (word, zone) {
            ("time", false) => "time",
            ("time", true) => "timetz",
            (_, false) => "timestamp",
            (_, true) => "timestamptz",
        };
        let mut ty = system_type(name, pos);
        ty.typmods = typmods;
        Ok(ty)
    }

    /// What may follow INTERVAL: `(p)`, or fields with a precision for seconds.
    pub(super) fn interval_modifiers(&mut self, pos: u32) -> Result<TypeName> {
        let mut ty = system_type("interval", pos);
        if self.take_sign(b'(') {
            let at = self.pos();
            let precision = self.integer()?;
            self.expect_sign(b')')?;
            ty.typmods = vec![integer(fields::ALL, 0), integer(precision, at)];
        } else {
            ty.typmods = self.interval_fields()?;
        }
        Ok(ty)
    }

    /// opt_interval: PostgreSQL's packed fields, and a precision.
    pub(super) fn interval_fields(&mut self) -> Result<Vec<Expr>> {
        const ORDER: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];
        const BITS: [i32; 6] = [fields::YEAR, fields::MONTH, fields::DAY, fields::HOUR, fields::MINUTE, fields::SECOND];
        let Some(first) = ORDER.iter().position(|word| self.is_word(word)) else { return Ok(Vec::new()) };
        self.advance();
        let mut last = first;
        if self.is_word("to") {
            self.advance();
            let allowed = match first {
                0 => 1..=1,
                2 => 3..=5,
                3 => 4..=5,
                4 => 5..=5,
                _ => return Err(self.syntax_error()),
            };
            last = match ORDER.iter().position(|word| self.is_word(word)) {
                Some(last) if allowed.contains(&last) => last,
                _ => return Err(self.syntax_error()),
            };
            self.advance();
        }
        let mask = BITS[first..=last].iter().fold(0, |mask, bit| mask | bit);
        let mut typmods = vec![integer(mask, 0)];
        if last == 5 && self.take_sign(b'(') {
            let at = self.pos();
            typmods.push(integer(self.integer()?, at));
            self.expect_sign(b')')?;
        }
        Ok(typmods)
    }
}
