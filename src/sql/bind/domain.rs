//! Casts to domains: the base type's value, tested wherever PostgreSQL has a CoerceToDomain.
//!
//! The tests are part of the tree, a CASE over the value whose conditions raise: so they run in PostgreSQL's order, on no row that
//! is not asked for, on either road, and a plan with them is made anew when the domain changes (`Image::types_stamp`).

use super::Binder;
use super::coerce::constant;
use super::scope::Clause;
use crate::catalog::image::UserType;
use crate::error::Result;
use crate::executor::functions::{self, Function, FunctionKind, Volatility};
use crate::sql::tree::{Call, Expr, ExprKind};
use crate::types::{Datum, Oid, Type, oid, shape};
use std::sync::{Arc, LazyLock};

/// Raises 23514 for a condition that is false, or 23502 without a constraint's name; else false. None of pg_proc's.
static TEST: LazyLock<Function> = LazyLock::new(|| Function {
    oid: Oid::NONE,
    name: "lightning_domain_test",
    symbol: "lightning_domain_test",
    args: &[oid::BOOL, oid::OID, oid::TEXT],
    result: oid::BOOL,
    set: false,
    strict: false,
    volatility: Volatility::Stable,
    variadic: Oid::NONE,
    kind: FunctionKind::Function,
    implementation: functions::implementation("lightning_domain_test"),
});

impl Binder<'_> {
    /// A value of a domain's base type as the domain's.
    pub(super) fn coerce_to_domain(&mut self, value: Expr, domain: Oid) -> Result<Expr> {
        let ty = Type::new(domain);
        let chain = self.domain_chain(domain);
        let not_null = chain.iter().any(|ty| ty.domain().is_some_and(|domain| domain.not_null));
        let checks = chain.iter().any(|ty| ty.domain().is_some_and(|domain| !domain.checks.is_empty()));
        if !not_null && !checks {
            return Ok(match value.kind {
                ExprKind::Const(value) => constant(value, domain),
                kind => Expr { kind: ExprKind::Relabel(Box::new(Expr { kind, ty: value.ty })), ty },
            });
        }
        let column = self.column(value.ty);
        let slot = Expr { kind: ExprKind::Column(column), ty: value.ty };
        let boolean = Type::new(oid::BOOL);
        let test = |passed: Expr, name: Datum| {
            let args = vec![passed, constant(Datum::Oid(domain), oid::OID), constant(name, oid::TEXT)];
            let when = Expr { kind: ExprKind::Call(Call { function: &TEST, args }), ty: boolean };
            (when, constant(Datum::Null, domain))
        };
        let mut arms = Vec::new();
        if not_null {
            let passed = Expr { kind: ExprKind::IsNotNull(Box::new(slot.clone())), ty: boolean };
            arms.push(test(passed, Datum::Null));
        }
        // What is below comes first; the checks of one domain in the order of their names.
        for below in chain.iter().rev() {
            let Some(definition) = below.domain() else { continue };
            let row = definition.row();
            for check in &definition.checks {
                let columns = [(1, column)];
                let passed = self.stored_expression(&check.expression, &row, &columns, Clause::Check, Some(boolean))?;
                arms.push(test(passed, Datum::Text(check.name.as_str().into())));
            }
        }
        let operand = Some((column, Box::new(value)));
        let otherwise = Some(Box::new(Expr { kind: slot.kind, ty }));
        Ok(Expr { kind: ExprKind::Case { operand, arms, otherwise }, ty })
    }

    /// A domain and the domains that it is over, outermost first.
    fn domain_chain(&self, domain: Oid) -> Vec<Arc<UserType>> {
        let types = &self.ctx.image.types;
        let below = |ty: &Arc<UserType>| types.get(&ty.domain()?.base.oid).cloned();
        std::iter::successors(types.get(&domain).cloned(), below).filter(|ty| shape::is_domain(ty.oid)).collect()
    }

    /// The DEFAULT of a column of this type that has none of its own, and a value for it where there is nothing to say.
    pub(super) fn domain_default(
        &mut self,
        ty: Type,
        relation: &crate::catalog::image::Relation,
    ) -> Result<Option<Expr>> {
        let Some(found) = self.ctx.image.types.get(&ty.oid).cloned() else { return Ok(None) };
        let Some(domain) = found.domain() else { return Ok(None) };
        if let Some(text) = &domain.default {
            return self.stored_expression(text, relation, &[], Clause::Default, Some(ty)).map(Some);
        }
        let base = shape::base(ty);
        let null = Expr { kind: ExprKind::Const(Datum::Null), ty: base };
        self.coerce_to_domain(null, ty.oid).map(Some)
    }
}
