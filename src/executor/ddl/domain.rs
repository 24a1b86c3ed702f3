//! CREATE DOMAIN and ALTER DOMAIN; what all users' types share is in `user_type`.

use super::{CLIENT_TEXT, DdlContext};
use crate::catalog::builtin;
use crate::catalog::image::{Domain, DomainCheck, Relation, RelationKind, TypeKind, UserType};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier as quote;
use crate::sql::ast::utility::{AlterTypeAction, ConstraintBody, ConstraintDef, CreateDomain, ExprText};
use crate::sql::ast::{Ident, TypeName};
use crate::sql::bind::coerce::Coercion;
use crate::sql::bind::scope::Clause;
use crate::sql::deparse;
use crate::sql::tree::ExprKind;
use crate::types::{Datum, Oid, Type, oid, shape};
use lightning_storage::LockMode;
use std::sync::Arc;

impl DdlContext<'_> {
    pub(super) fn create_domain(&mut self, create: &CreateDomain) -> Result<&'static str> {
        let (schema, name) = self.type_target(&create.name)?;
        let base = self.bind_type(&create.ty).map_err(super::without_position)?;
        check_base(base, &create.ty)?;
        if let Some(collation) = &create.collation {
            if builtin::collation(base.oid) == Oid::NONE {
                let message = format!("collations are not supported by type {}", self.type_name(base.oid));
                return Err(Error::new(SqlState::DatatypeMismatch, message));
            }
            // As for columns: all of these have the one order that there is.
            if !matches!(collation.name(), "C" | "POSIX" | "default" | "ucs_basic") {
                return Err(Error::unsupported(format!("collation \"{}\"", collation.display())));
            }
        }
        let inherited = self.image().types.get(&base.oid).and_then(|ty| ty.domain()?.default.clone());
        let named = create.collation.as_ref().map(|collation| collation.name()).filter(|name| *name != "default");
        let named = named.and_then(|name| crate::catalog::system::built_in_oid("pg_collation", name));
        let mut domain = Domain {
            collation: named.unwrap_or(builtin::collation(base.oid)),
            dimensions: create.ty.array_bounds.len() as i32,
            default: inherited,
            ..Domain::over(base)
        };
        let (mut default_given, mut null_given) = (false, None);
        let mut checks = Vec::new();
        for constraint in &create.constraints {
            match &constraint.kind {
                ConstraintBody::Default(expr) => {
                    if std::mem::replace(&mut default_given, true) {
                        return Err(Error::new(SqlState::SyntaxError, "multiple default expressions"));
                    }
                    domain.default = self.domain_default(&name, base, expr)?;
                }
                ConstraintBody::NotNull | ConstraintBody::Null => {
                    let not_null = matches!(constraint.kind, ConstraintBody::NotNull);
                    if null_given.is_some_and(|given| given != not_null) {
                        return Err(Error::new(SqlState::SyntaxError, "conflicting NULL/NOT NULL constraints"));
                    }
                    null_given = Some(not_null);
                    domain.not_null = not_null;
                }
                _ => {
                    check_kind(constraint)?;
                    checks.push(constraint);
                }
            }
        }
        let (array, oid) = (self.new_oid()?, self.new_oid()?);
        let array_name = self.array_name(schema, &name);
        let (owner, kind) = (self.user, TypeKind::Domain(domain));
        let mut made = UserType { oid, schema, name, owner, array, array_name, kind };
        // Checks may name the type itself only once it is there; none may be used before.
        made.register();
        for check in checks {
            self.add_check(&mut made, check)?;
        }
        self.put_type(made, None)?;
        Ok("CREATE DOMAIN")
    }

    /// The forms that only ALTER DOMAIN has.
    pub(super) fn alter_domain(&mut self, ty: &UserType, name: &str, action: &AlterTypeAction) -> Result<()> {
        let mut changed = ty.clone();
        let missing = |constraint: &Ident| {
            let message = format!("constraint \"{}\" of domain \"{name}\" does not exist", constraint.name);
            (SqlState::UndefinedObject, message)
        };
        match action {
            AlterTypeAction::Default(expr) => {
                let base = domain_of(&mut changed)?.base;
                let default = match expr {
                    Some(expr) => self.domain_default(&ty.name, base, expr)?,
                    None => None,
                };
                domain_of(&mut changed)?.default = default;
            }
            AlterTypeAction::NotNull(not_null) => {
                if std::mem::replace(&mut domain_of(&mut changed)?.not_null, *not_null) == *not_null {
                    return Ok(());
                }
                if *not_null {
                    self.each_column_of(ty.oid, &mut |ctx, relation, column| {
                        let column = &relation.attributes[column as usize - 1].name;
                        let text = format!("SELECT 1 FROM {} WHERE {} IS NULL", ctx.qualified(relation), quote(column));
                        let message =
                            format!("column \"{column}\" of table \"{}\" contains null values", relation.name);
                        ctx.refuse_rows(&text, relation, column, Error::new(SqlState::NotNullViolation, message))
                    })?;
                }
            }
            AlterTypeAction::AddConstraint(constraint) => {
                check_kind(constraint)?;
                let oid = self.add_check(&mut changed, constraint)?;
                let added = domain_of(&mut changed)?.checks.iter_mut().find(|check| check.oid == oid);
                if let Some(check) = added {
                    check.validated = !constraint.not_valid;
                    if !constraint.not_valid {
                        let expression = check.expression.clone();
                        self.validate_check(ty.oid, &expression)?;
                    }
                }
            }
            AlterTypeAction::DropConstraint { if_exists, name, cascade: _ } => {
                let checks = &mut domain_of(&mut changed)?.checks;
                let Some(at) = checks.iter().position(|check| check.name == name.name) else {
                    let (code, message) = missing(name);
                    if *if_exists {
                        self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                        return Ok(());
                    }
                    return Err(Error::new(code, message));
                };
                checks.remove(at);
            }
            AlterTypeAction::ValidateConstraint(name) => {
                let found = domain_of(&mut changed)?.checks.iter_mut().find(|check| check.name == name.name);
                let Some(check) = found else {
                    let (code, message) = missing(name);
                    return Err(Error::new(code, message));
                };
                if std::mem::replace(&mut check.validated, true) {
                    return Ok(());
                }
                let expression = check.expression.clone();
                self.validate_check(ty.oid, &expression)?;
            }
            AlterTypeAction::RenameConstraint { from, to } => {
                let shown = self.type_name(ty.oid);
                let checks = &mut domain_of(&mut changed)?.checks;
                let taken = checks.iter().any(|check| check.name == to.name);
                let Some(check) = checks.iter_mut().find(|check| check.name == from.name) else {
                    let message = format!("constraint \"{}\" for domain {shown} does not exist", from.name);
                    return Err(Error::new(SqlState::UndefinedObject, message));
                };
                if taken {
                    let message = format!("constraint \"{}\" for domain {shown} already exists", to.name);
                    return Err(Error::new(SqlState::DuplicateObject, message));
                }
                check.name.clone_from(&to.name);
                checks.sort_by(|a, b| a.name.cmp(&b.name));
            }
            _ => return Err(Error::internal("no change of a domain")),
        }
        self.put_type(changed, None)
    }

    /// A DEFAULT as its canonical text; `None` for NULL.
    fn domain_default(&self, name: &str, base: Type, source: &ExprText) -> Result<Option<String>> {
        let nothing = Domain::over(base).row();
        let is_null = self.binder_of(CLIENT_TEXT, |mut binder| {
            let (bound, _) = binder.definition(&source.expr, &nothing, &[], Clause::Default, None)?;
            let given = bound.ty;
            let assigned = binder.coerce_to(bound, base, Coercion::Assignment, source.expr.location())?;
            let Some(assigned) = assigned else {
                let (wanted, given) = (binder.type_name(base), binder.type_name(given));
                let message =
                    format!("column \"{name}\" is of type {wanted} but default expression is of type {given}");
                return Err(Error::new(SqlState::DatatypeMismatch, message)
                    .hint("You will need to rewrite or cast the expression."));
            };
            binder.final_params()?;
            Ok(matches!(assigned.kind, ExprKind::Const(Datum::Null)))
        });
        if is_null.map_err(super::without_position)? {
            return Ok(None);
        }
        let canonical = deparse::canonical_expression(&self.bind_context(), &source.text, None, Some(base));
        Ok(Some(canonical.unwrap_or_else(|_| source.text.clone())))
    }

    /// Adds a CHECK to a domain under its name, or one made for it.
    fn add_check(&mut self, ty: &mut UserType, constraint: &ConstraintDef) -> Result<Oid> {
        let ConstraintBody::Check(source) = &constraint.kind else {
            return Err(Error::internal("a domain's constraint is no CHECK"));
        };
        let schema = ty.schema;
        let type_name = ty.name.clone();
        let domain = domain_of(ty)?;
        let row = domain.row();
        let taken = |name: &str, domain: &Domain| domain.checks.iter().any(|check| check.name == name);
        let name = match &constraint.name {
            Some(name) if taken(name, domain) => {
                let message = format!("constraint \"{name}\" for domain \"{type_name}\" already exists");
                return Err(Error::new(SqlState::DuplicateObject, message));
            }
            Some(name) => name.clone(),
            None => self.change.choose_constraint_name(schema, &type_name, "check", &|name| taken(name, domain)),
        };
        let bound = self.binder_of(CLIENT_TEXT, |mut binder| {
            let columns = binder.row_columns(&row);
            binder.definition(&source.expr, &row, &columns, Clause::Check, Some("CHECK")).map(|_| ())
        });
        bound.map_err(super::without_position)?;
        let boolean = Some(Type::new(oid::BOOL));
        let canonical = deparse::canonical_expression(&self.bind_context(), &source.text, Some(&row), boolean);
        let expression = canonical.unwrap_or_else(|_| source.text.clone());
        let oid = self.new_oid()?;
        domain.checks.push(DomainCheck { oid, name, expression, validated: true });
        domain.checks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(oid)
    }

    /// 23514 when a stored value of the domain does not pass a check.
    fn validate_check(&mut self, domain: Oid, expression: &str) -> Result<()> {
        self.each_column_of(domain, &mut |ctx, relation, column| {
            let column = &relation.attributes[column as usize - 1].name;
            let (table, quoted) = (ctx.qualified(relation), quote(column));
            let text =
                format!("SELECT 1 FROM (SELECT {quoted} AS value FROM {table}) AS value WHERE NOT ({expression})");
            let message = format!(
                "column \"{column}\" of table \"{}\" contains values that violate the new constraint",
                relation.name
            );
            ctx.refuse_rows(&text, relation, column, Error::new(SqlState::CheckViolation, message))
        })
    }

    /// The error when a query finds a row.
    fn refuse_rows(&self, text: &str, relation: &Relation, column: &str, error: Error) -> Result<()> {
        match self.first_row(text)? {
            None => Ok(()),
            Some(_) => Err(error.table(relation.schema_name.clone(), relation.name.clone()).column(column)),
        }
    }

    /// Calls for each stored column of a domain, or of a domain over it; refuses columns of arrays of such.
    fn each_column_of(&mut self, domain: Oid, call: Visit<'_>) -> Result<()> {
        let mut tables: Vec<Arc<Relation>> =
            self.image().relations.values().filter(|r| r.kind == RelationKind::Table).cloned().collect();
        tables.retain(|relation| relation.oid >= Oid::FIRST_USER);
        tables.sort_by_key(|relation| relation.oid);
        for relation in tables {
            for attribute in relation.live_attributes() {
                let element = shape::element_of(shape::base(attribute.ty).oid).or(shape::element_of(attribute.ty.oid));
                if element.is_some_and(|element| self.is_over(element, domain)) {
                    let (shown, column) = (self.type_name(domain), &attribute.name);
                    let message =
                        format!("cannot alter type \"{shown}\" because column \"{}.{column}\" uses it", relation.name);
                    return Err(Error::new(SqlState::FeatureNotSupported, message));
                }
                if self.is_over(attribute.ty.oid, domain) {
                    self.lock(relation.oid, LockMode::Share)?;
                    call(self, &relation, attribute.number)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a type is a domain, or a domain over it.
    fn is_over(&self, ty: Oid, domain: Oid) -> bool {
        ty == domain
            || matches!(shape::of(ty), Some(shape::Shape::Domain { base, .. }) if self.is_over(base.oid, domain))
    }
}

/// A stored column: its table and number.
type Visit<'v> = &'v mut dyn FnMut(&DdlContext<'_>, &Relation, i16) -> Result<()>;

fn domain_of(ty: &mut UserType) -> Result<&mut Domain> {
    match &mut ty.kind {
        TypeKind::Domain(domain) => Ok(domain),
        TypeKind::Enum(_) => Err(Error::internal("an enum where a domain is meant")),
    }
}

/// 42804 for what no domain can be over.
fn check_base(base: Type, name: &TypeName) -> Result<()> {
    match builtin::kind(base.oid) {
        b'b' | b'e' | b'd' => Ok(()),
        b'c' if base.oid >= Oid::FIRST_USER => Err(Error::unsupported("a domain over a composite type")),
        b'r' | b'm' => Err(Error::unsupported("a domain over a range type")),
        _ => {
            let message = format!("\"{}\" is not a valid base type for a domain", name.names.join("."));
            Err(Error::new(SqlState::DatatypeMismatch, message))
        }
    }
}

/// Refuses what is no CHECK, or a CHECK as domains have none.
fn check_kind(constraint: &ConstraintDef) -> Result<()> {
    let syntax = |message: &str| Err(Error::new(SqlState::SyntaxError, message));
    if constraint.deferrable.is_some() || constraint.initially_deferred.is_some() {
        let message = "specifying constraint deferrability not supported for domains";
        return Err(Error::new(SqlState::FeatureNotSupported, message));
    }
    match &constraint.kind {
        ConstraintBody::Check(_) if constraint.no_inherit => {
            let message = "check constraints for domains cannot be marked NO INHERIT";
            Err(Error::new(SqlState::InvalidObjectDefinition, message))
        }
        ConstraintBody::Check(_) => Ok(()),
        ConstraintBody::Unique { .. } | ConstraintBody::UsingIndex { primary: false, .. } => {
            syntax("unique constraints not possible for domains")
        }
        ConstraintBody::PrimaryKey { .. } | ConstraintBody::UsingIndex { primary: true, .. } => {
            syntax("primary key constraints not possible for domains")
        }
        ConstraintBody::Exclude => syntax("exclusion constraints not possible for domains"),
        ConstraintBody::ForeignKey(_) => syntax("foreign key constraints not possible for domains"),
        ConstraintBody::Null
        | ConstraintBody::NotNull
        | ConstraintBody::Default(_)
        | ConstraintBody::Generated(_)
        | ConstraintBody::Identity { .. } => Err(Error::unsupported("this kind of constraint of a domain")),
    }
}
