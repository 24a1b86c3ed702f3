//! Expressions of definitions, bound where they are defined: DEFAULT, GENERATED and CHECK are refused then, not at the first
//! row, with PostgreSQL's messages and places in the client's text.

use super::{CLIENT_TEXT, DdlContext};
use crate::catalog::image::Relation;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Volatility;
use crate::sql::ast::utility::ExprText;
use crate::sql::bind::coerce::Coercion;
use crate::sql::bind::scope::Clause;
use crate::sql::columns::{ColumnSet, for_parts, used_by};
use crate::sql::tree::{Expr, ExprKind};
use crate::types::{Type, oid, shape};

/// A column's DEFAULT or generation expression as written.
pub(super) struct ColumnExpr {
    /// Attribute number.
    pub number: i16,
    /// The expression.
    pub expr: ExprText,
    /// GENERATED ALWAYS AS (…) STORED.
    pub generated: bool,
}

impl DdlContext<'_> {
    /// Whether a column's DEFAULT or generation expression can be what it is.
    ///
    /// # Errors
    /// The binder's; 42804, 42P17.
    pub(super) fn check_column_expr(&self, relation: &Relation, column: &ColumnExpr) -> Result<()> {
        let attribute = &relation.attributes[column.number as usize - 1];
        self.binder_of(CLIENT_TEXT, |mut binder| {
            let (row, clause) = match column.generated {
                true => (binder.row_columns(relation), Clause::Generated),
                false => (Vec::new(), Clause::Default),
            };
            let source = &column.expr.expr;
            let (bound, named) = binder.definition(source, relation, &row, clause, None)?;
            for (named, pos) in named {
                let number = row.iter().find(|(_, column)| *column == named).map_or(1, |(number, _)| *number);
                let named = &relation.attributes[number as usize - 1];
                if named.generated {
                    let message =
                        format!("cannot use generated column \"{}\" in column generation expression", named.name);
                    return Err(Error::new(SqlState::InvalidObjectDefinition, message)
                        .detail("A generated column cannot reference another generated column.")
                        .at(pos));
                }
            }
            let given = bound.ty;
            let assigned = binder.coerce_to(bound, attribute.ty, Coercion::Assignment, source.location())?;
            let Some(assigned) = assigned else {
                let (wanted, given) = (binder.type_name(attribute.ty), binder.type_name(given));
                let message = format!(
                    "column \"{}\" is of type {wanted} but default expression is of type {given}",
                    attribute.name
                );
                return Err(Error::new(SqlState::DatatypeMismatch, message)
                    .hint("You will need to rewrite or cast the expression."));
            };
            binder.final_params()?;
            if column.generated && is_mutable(&assigned) {
                let message = "generation expression is not immutable";
                return Err(Error::new(SqlState::InvalidObjectDefinition, message));
            }
            Ok(())
        })
    }

    /// The attributes that a CHECK names; binding it shows that it is a bool over this table.
    ///
    /// # Errors
    /// The binder's.
    pub(super) fn check_columns(&self, relation: &Relation, expr: &ExprText) -> Result<Vec<i16>> {
        self.binder_of(CLIENT_TEXT, |mut binder| {
            let row = binder.row_columns(relation);
            let (bound, _) = binder.definition(&expr.expr, relation, &row, Clause::Check, Some("CHECK"))?;
            let mut used = ColumnSet::new();
            used_by(&bound, &mut used);
            Ok(row.iter().filter(|(_, column)| used.contains(*column)).map(|(number, _)| *number).collect())
        })
    }
}

/// Whether a value may differ from one time to another.
pub(super) fn is_mutable(expr: &Expr) -> bool {
    let mut mutable = match &expr.kind {
        ExprKind::Call(call) => call.function.volatility != Volatility::Immutable,
        ExprKind::SqlValue(_) | ExprKind::NextValue(_) => true,
        // Text forms of dates and times follow the settings; so do names.
        ExprKind::CoerceViaIo(inner) => is_written_by_settings(inner.ty) || is_read_by_settings(expr.ty),
        _ => false,
    };
    for_parts(expr, &mut |part| mutable = mutable || is_mutable(part));
    mutable
}

/// Types whose output function is not immutable.
fn is_written_by_settings(ty: Type) -> bool {
    // An enum's labels can be renamed.
    matches!(ty.oid, oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL | oid::REGCLASS)
        || shape::is_enum(shape::base(ty).oid)
}

/// Types whose input function is not immutable.
fn is_read_by_settings(ty: Type) -> bool {
    is_written_by_settings(ty) || matches!(ty.oid, oid::TIME | oid::TIMETZ)
}
