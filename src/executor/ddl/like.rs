//! CREATE TABLE (LIKE source INCLUDING …): columns always, the rest as asked.

use super::DdlContext;
use crate::catalog::image::{Body, Constraint, ConstraintKind, Identity, Index, Relation, RelationKind};
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{
    ColumnDef, ConstraintBody, ConstraintDef, CreateIndex, CreateTable, ExprText, IndexKeyDef, IndexParameters,
    LikeClause, SequenceOption,
};
use crate::sql::ast::{Ident, ObjectName, TypeName};
use crate::sql::parse;
use crate::types::{Oid, Type};
use std::sync::Arc;

/// A column of the table to be made: written, or taken from another table.
pub(super) struct Column {
    pub(super) def: ColumnDef,
    /// Its type when it is taken over.
    pub(super) ty: Option<Type>,
}

/// What LIKE clauses add to CREATE TABLE.
#[derive(Default)]
pub(super) struct Likes {
    /// All columns in order.
    pub(super) columns: Vec<Column>,
    /// Constraints taken over.
    pub(super) constraints: Vec<ConstraintDef>,
    /// Sources whose indexes are wanted, and whether comments are.
    indexes: Vec<(Arc<Relation>, bool)>,
    /// Sources whose comments are wanted.
    comments: Vec<Arc<Relation>>,
}

impl DdlContext<'_> {
    /// The columns of CREATE TABLE, those of its LIKE clauses in their places.
    pub(super) fn like_columns(&self, create: &CreateTable) -> Result<Likes> {
        let mut likes = Likes::default();
        let mut clauses = create.likes.iter().peekable();
        for at in 0..=create.columns.len() {
            while let Some(clause) = clauses.next_if(|clause| clause.after_columns == at) {
                self.take_over(clause, &mut likes)?;
            }
            likes.columns.extend(create.columns.get(at).map(|def| Column { def: def.clone(), ty: None }));
        }
        Ok(likes)
    }

    fn take_over(&self, clause: &LikeClause, likes: &mut Likes) -> Result<()> {
        let including = |what: &str| {
            let last = clause.options.iter().rev().find(|(_, word)| word == what || word == "all");
            last.is_some_and(|(including, _)| *including)
        };
        let source = self.find_required(&clause.source).map_err(|error| error.at(clause.source.pos))?;
        if !matches!(source.kind, RelationKind::Table | RelationKind::View) {
            let message = format!("relation \"{}\" is invalid in LIKE clause", source.name);
            let what = if source.kind == RelationKind::Index { "indexes" } else { "sequences" };
            let detail = format!("This operation is not supported for {what}.");
            return Err(Error::new(SqlState::WrongObjectType, message).detail(detail).at(clause.source.pos));
        }
        self.image().check_access(self.user, &source)?;
        for attribute in source.live_attributes() {
            let mut constraints = Vec::new();
            if attribute.not_null {
                constraints.push(plain(None, ConstraintBody::NotNull));
            }
            if let Some(text) = &attribute.default {
                let expr = ExprText { expr: parse::expression(text)?, text: text.clone() };
                match attribute.generated {
                    true if including("generated") => constraints.push(plain(None, ConstraintBody::Generated(expr))),
                    false if including("defaults") => constraints.push(plain(None, ConstraintBody::Default(expr))),
                    _ => {}
                }
            }
            if let Some(identity) = attribute.identity.filter(|_| including("identity")) {
                let options = self.identity_options(&source, attribute.number);
                let always = identity == Identity::Always;
                constraints.push(plain(None, ConstraintBody::Identity { always, options }));
            }
            let ty =
                TypeName { names: Vec::new(), typmods: Vec::new(), array_bounds: Vec::new(), setof: false, pos: 0 };
            let def =
                ColumnDef { name: attribute.name.clone(), ty, collation: None, constraints, pos: clause.source.pos };
            likes.columns.push(Column { def, ty: Some(attribute.ty) });
        }
        if including("constraints") {
            for constraint in &source.constraints {
                if let ConstraintKind::Check { expression, no_inherit, .. } = &constraint.kind {
                    let expr = ExprText { expr: parse::expression(expression)?, text: expression.clone() };
                    let mut check = plain(Some(constraint.name.clone()), ConstraintBody::Check(expr));
                    check.no_inherit = *no_inherit;
                    likes.constraints.push(check);
                }
            }
        }
        if including("indexes") {
            likes.constraints.extend(source.constraints.iter().filter_map(|constraint| key(&source, constraint)));
            likes.indexes.push((source.clone(), including("comments")));
        }
        if including("comments") {
            likes.comments.push(source);
        }
        Ok(())
    }

    /// What an identity column's sequence was made with.
    fn identity_options(&self, table: &Relation, number: i16) -> Vec<SequenceOption> {
        let found = self.image().relations.values().find_map(|relation| match &relation.body {
            Body::Sequence(sequence) if sequence.owned_by == Some((table.oid, number)) => Some(sequence),
            _ => None,
        });
        let Some(sequence) = found else { return Vec::new() };
        vec![
            SequenceOption::Increment(sequence.increment),
            SequenceOption::MinValue(Some(sequence.min)),
            SequenceOption::MaxValue(Some(sequence.max)),
            SequenceOption::Start(sequence.start),
            SequenceOption::Cache(sequence.cache),
            SequenceOption::Cycle(sequence.cycle),
        ]
    }

    /// INCLUDING INDEXES and COMMENTS, once the table is there.
    pub(super) fn finish_likes(&mut self, table: Oid, likes: &Likes) -> Result<()> {
        for (source, _) in &likes.indexes {
            for index in &source.indexes {
                let owned = self.constraint_of_index(&*self.table(index.oid)?).is_some();
                if !owned {
                    self.copy_index(table, source, index)?;
                }
            }
        }
        for source in &likes.comments {
            let made = self.table(table)?;
            for attribute in source.live_attributes() {
                let key = (source.oid, fixed::CLASS_RELATION, i32::from(attribute.number));
                let (Some(text), Some(to)) =
                    (self.image().comments.get(&key).cloned(), made.attribute(&attribute.name))
                else {
                    continue;
                };
                let sub = i32::from(to.number);
                self.change(|change, tx| change.comment(tx, table, fixed::CLASS_RELATION, sub, Some(&text)))?;
            }
        }
        Ok(())
    }

    /// An index of the source, as CREATE INDEX would make it on the new table.
    fn copy_index(&mut self, table: Oid, source: &Relation, index: &Index) -> Result<()> {
        let made = self.table(table)?;
        let column = |number: i16| {
            let name = source.attributes.get(number as usize - 1).map_or("", |attribute| &attribute.name);
            Some(Ident { name: name.to_owned(), pos: 0 })
        };
        let text =
            |text: &String| -> Result<ExprText> { Ok(ExprText { expr: parse::expression(text)?, text: text.clone() }) };
        let plain = |column| IndexKeyDef {
            column,
            expr: None,
            collation: None,
            operator_class: None,
            descending: None,
            nulls_first: None,
        };
        let mut keys = Vec::with_capacity(index.keys.len());
        for key in &index.keys {
            keys.push(IndexKeyDef {
                expr: key.expression.as_ref().map(text).transpose()?,
                descending: Some(key.descending),
                nulls_first: Some(key.nulls_first),
                ..plain(if key.expression.is_none() { column(key.attribute) } else { None })
            });
        }
        let create = CreateIndex {
            unique: index.unique,
            concurrently: false,
            if_not_exists: false,
            name: None,
            only: false,
            table: ObjectName { parts: vec![made.schema_name.clone(), made.name.clone()], pos: 0 },
            method: None,
            keys,
            include: index.include.iter().map(|number| plain(column(*number))).collect(),
            nulls_not_distinct: index.nulls_not_distinct,
            options: Vec::new(),
            tablespace: None,
            predicate: index.predicate.as_ref().map(|(predicate, _)| text(predicate)).transpose()?,
        };
        self.create_index(&create).map(|_| ())
    }
}

/// A PRIMARY KEY or UNIQUE constraint as one would write it.
fn key(table: &Relation, constraint: &Constraint) -> Option<ConstraintDef> {
    let names = |numbers: &[i16]| -> Vec<Ident> {
        let name = |number: &i16| Ident { name: table.attributes[*number as usize - 1].name.clone(), pos: 0 };
        numbers.iter().map(name).collect()
    };
    let parameters = IndexParameters::default;
    let body = match &constraint.kind {
        ConstraintKind::PrimaryKey { columns, .. } => {
            ConstraintBody::PrimaryKey { columns: names(columns), index: parameters() }
        }
        ConstraintKind::Unique { columns, index } => {
            let index = table.indexes.iter().find(|each| each.oid == *index);
            let nulls_not_distinct = index.is_some_and(|index| index.nulls_not_distinct);
            ConstraintBody::Unique { columns: names(columns), nulls_not_distinct, index: parameters() }
        }
        ConstraintKind::Check { .. } | ConstraintKind::ForeignKey { .. } => return None,
    };
    let mut def = plain(None, body);
    def.deferrable = Some(constraint.deferrable);
    def.initially_deferred = Some(constraint.deferred);
    Some(def)
}

fn plain(name: Option<String>, kind: ConstraintBody) -> ConstraintDef {
    ConstraintDef {
        name,
        kind,
        deferrable: None,
        initially_deferred: None,
        not_valid: false,
        no_inherit: false,
        pos: 0,
    }
}
