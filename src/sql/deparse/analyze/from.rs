//! FROM: range table and join tree (PostgreSQL's `parse_clause.c`, `parse_relation.c`).

use super::super::tree::{From, FunctionSource, Item, ItemColumn, Kind, Place, Source};
use super::super::visit;
use super::{Analyzer, Visible, coerce, output, unexpected};
use crate::catalog::builtin;
use crate::error::{Error, Result};
use crate::sql::ast::{self, JoinCondition, JoinKind, TableRef};
use crate::types::{Oid, Type, oid};

fn item(source: Source, columns: Vec<ItemColumn>, alias: Option<&ast::Alias>) -> Item {
    let mut item = Item {
        source,
        alias: alias.map(|alias| alias.name.clone()),
        alias_columns: alias.map_or_else(Vec::new, |alias| alias.columns.clone()),
        columns,
        lateral: false,
        row_type: Oid::NONE,
    };
    for (column, name) in item.columns.iter_mut().zip(&item.alias_columns) {
        column.name.clone_from(name);
    }
    item
}

fn column((name, ty): (String, Type)) -> ItemColumn {
    ItemColumn { name, ty, attribute: 0, of: Vec::new() }
}

impl Analyzer<'_> {
    pub(super) fn from(&mut self, list: &[TableRef]) -> Result<Vec<From>> {
        let mut tree = Vec::with_capacity(list.len());
        for item in list {
            let before = self.level().visible.len();
            tree.push(self.from_item(item)?);
            self.level().visible[before..].iter_mut().for_each(|visible| visible.lateral_only = true);
        }
        self.level().visible.iter_mut().for_each(|visible| visible.lateral_only = false);
        Ok(tree)
    }

    /// Adds an item, found by its name and its columns' names.
    fn add(&mut self, item: Item) -> From {
        let level = self.level();
        level.items.push(item);
        let number = level.items.len() - 1;
        level.visible.push(Visible { item: number, named: true, bare: true, lateral_only: false });
        From::Item(number)
    }

    fn from_item(&mut self, from: &TableRef) -> Result<From> {
        match from {
            TableRef::Relation { sample: Some(_), .. } => Err(Error::unsupported("TABLESAMPLE in a view")),
            TableRef::Relation { name, only, alias, .. } => self.relation_ref(name, *only, alias.as_ref()),
            TableRef::Subquery { lateral, query, alias, .. } => {
                let query = self.laterally(*lateral, |analyzer| analyzer.query(query, true))?;
                let columns = output(&query).into_iter().map(column).collect();
                let item =
                    Item { lateral: *lateral, ..item(Source::Subquery(Box::new(query)), columns, alias.as_ref()) };
                Ok(self.add(item))
            }
            TableRef::Function { lateral, calls, rows_from, ordinality, alias, definitions, .. } => {
                let mut function = self.functions(calls, *rows_from, *ordinality, alias.as_ref(), definitions)?;
                function.lateral |= *lateral;
                Ok(self.add(function))
            }
            TableRef::Join { kind, left, right, condition, alias, .. } => {
                self.join(*kind, left, right, condition, alias.as_ref())
            }
        }
    }

    fn laterally<T>(&mut self, lateral: bool, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.level().lateral_active, lateral);
        let result = run(self);
        self.level().lateral_active = before;
        result
    }

    fn relation_ref(&mut self, name: &ast::ObjectName, only: bool, alias: Option<&ast::Alias>) -> Result<From> {
        if let [bare] = &name.parts[..] {
            let cte = self.levels.iter().rev().find_map(|level| {
                level.ctes.iter().rev().find(|(name, _)| name == bare).map(|(_, columns)| columns.clone())
            });
            if let Some(columns) = cte {
                let columns = columns.into_iter().map(column).collect();
                return Ok(self.add(item(Source::Cte(bare.clone()), columns, alias)));
            }
        }
        let relation = self.binder.relation(name)?;
        let mut made = Self::relation_item(&relation);
        if let Some(alias) = alias {
            made = Item {
                row_type: made.row_type,
                ..item(Source::Relation { oid: relation.oid, only }, made.columns, Some(alias))
            };
        } else {
            made.source = Source::Relation { oid: relation.oid, only };
        }
        Ok(self.add(made))
    }

    fn functions(
        &mut self,
        calls: &[(ast::Expr, Vec<ast::ColumnType>)],
        rows_from: bool,
        ordinality: bool,
        alias: Option<&ast::Alias>,
        definitions: &[ast::ColumnType],
    ) -> Result<Item> {
        let spread = crate::sql::bind::from::spread_unnest(calls);
        let calls = spread.as_deref().unwrap_or(calls);
        let (mut sources, mut columns) = (Vec::new(), Vec::new());
        let mut row_type = Oid::NONE;
        for (call, own) in calls {
            let node = self.laterally(true, |analyzer| {
                let node = analyzer.expr(call)?;
                analyzer.text_if_unknown(node)
            })?;
            let name = match &call.kind {
                ast::ExprKind::Function(call) => call.name.name().to_owned(),
                _ => self.binder.output_name(call),
            };
            let mut defined = Vec::new();
            for definition in if own.is_empty() { definitions } else { own } {
                defined.push((definition.name.clone(), self.binder.bind_type(&definition.ty)?));
            }
            let out = match &node.kind {
                Kind::Function { function, .. } => builtin::out_columns(*function),
                _ => None,
            };
            let simple = calls.len() == 1 && !rows_from;
            if !defined.is_empty() {
                columns.extend(defined.iter().cloned().map(column));
            } else if let Some(out) = out.as_ref().filter(|out| out.len() > 1 || node.ty.oid == oid::RECORD) {
                for (name, ty) in out {
                    columns.push(column(((*name).to_owned(), Type::new(polymorphic(*ty, &node)))));
                }
            } else if let Some(relation) = self.binder.composite(node.ty.oid) {
                row_type = relation.row_type;
                columns.extend(relation.live_attributes().map(|a| column((a.name.clone(), a.ty))));
            } else {
                let only = out.as_ref().and_then(|out| out.first()).map(|(name, _)| (*name).to_owned());
                let by_alias = alias.filter(|_| simple).map(|alias| alias.name.clone());
                columns.push(column((only.or(by_alias).unwrap_or_else(|| name.clone()), node.ty)));
            }
            sources.push(FunctionSource { call: node, name, definitions: defined });
        }
        if ordinality {
            columns.push(column(("ordinality".to_owned(), Type::new(oid::INT8))));
        }
        let mut lateral = false;
        for source in &sources {
            visit::columns(&source.call, 0, &mut |_| lateral = true);
        }
        let source = Source::Functions { calls: sources, rows_from: rows_from || calls.len() > 1, ordinality };
        Ok(Item { lateral, row_type, ..item(source, columns, alias) })
    }

    fn join(
        &mut self,
        kind: JoinKind,
        left: &TableRef,
        right: &TableRef,
        condition: &JoinCondition,
        alias: Option<&ast::Alias>,
    ) -> Result<From> {
        let outside = self.level().visible.len();
        let left = self.from_item(left)?;
        let middle = self.level().visible.len();
        self.level().visible[outside..].iter_mut().for_each(|visible| visible.lateral_only = true);
        let right = self.from_item(right)?;
        let sides = self.level().visible.split_off(outside);
        let (left_side, right_side) = sides.split_at(middle - outside);
        let outer = std::mem::take(&mut self.level().visible);
        let (a, b) = (self.side_columns(left_side), self.side_columns(right_side));
        let names: Vec<String> = match condition {
            JoinCondition::Natural => {
                a.iter().filter(|(l, ..)| b.iter().any(|(r, ..)| l == r)).map(|(name, ..)| name.clone()).collect()
            }
            JoinCondition::Using(_, Some(_)) => {
                return Err(Error::unsupported("an alias for JOIN USING in a view"));
            }
            JoinCondition::Using(names, None) => names.iter().map(|name| name.name.clone()).collect(),
            JoinCondition::Cross | JoinCondition::On(_) => Vec::new(),
        };
        let (using, columns) = merge(kind, &names, a, b)?;
        let on = match condition {
            JoinCondition::On(expr) => {
                self.level().visible =
                    sides.iter().map(|visible| Visible { lateral_only: false, ..*visible }).collect();
                Some(self.boolean(expr)?)
            }
            _ => None,
        };
        self.level().visible = outer;
        let number = self.level().items.len();
        self.level().items.push(item(Source::Join, columns, alias));
        if alias.is_none() {
            // The sides stay in sight by name; their columns are found through the join.
            let named = sides.iter().map(|visible| Visible { bare: false, lateral_only: false, ..*visible });
            self.levels.last_mut().expect("a join is inside a level").visible.extend(named);
        }
        let visible = Visible { item: number, named: alias.is_some(), bare: true, lateral_only: false };
        self.level().visible.push(visible);
        Ok(From::Join { kind, left: Box::new(left), right: Box::new(right), using, on, item: number })
    }

    /// The columns that a side shows: name, type, place.
    fn side_columns(&self, side: &[Visible]) -> Vec<(String, Type, Place)> {
        let level = self.outer(0);
        let mut columns = Vec::new();
        for visible in side.iter().filter(|visible| visible.bare) {
            for (i, column) in level.items[visible.item].columns.iter().enumerate() {
                let place = Place { up: 0, item: visible.item, column: i };
                let own = match self.column(place).kind {
                    Kind::Column(own) => own,
                    _ => place,
                };
                columns.push((column.name.clone(), column.ty, own));
            }
        }
        columns
    }
}

type SideColumns = Vec<(String, Type, Place)>;

/// A join's columns: those of USING first, then the rest of both sides.
fn merge(
    kind: JoinKind,
    names: &[String],
    mut left: SideColumns,
    mut right: SideColumns,
) -> Result<(Vec<(String, Place, Place)>, Vec<ItemColumn>)> {
    let (mut using, mut columns) = (Vec::new(), Vec::new());
    for name in names {
        let take = |side: &mut SideColumns| {
            let at = side.iter().position(|(column, ..)| column == name)?;
            Some(side.remove(at))
        };
        let (Some((_, a, l)), Some((_, b, r))) = (take(&mut left), take(&mut right)) else {
            return Err(unexpected("a USING column that is not there"));
        };
        using.push((name.clone(), l, r));
        // Where the types differ PostgreSQL's column is a cast of one side's, and the join's own.
        let of = match kind {
            _ if a.oid != b.oid
                && coerce::common(a, b).oid != (if kind == JoinKind::Right { b.oid } else { a.oid }) =>
            {
                vec![l, r]
            }
            JoinKind::Full => vec![l, r],
            JoinKind::Right => vec![r],
            _ => vec![l],
        };
        columns.push(ItemColumn { name: name.clone(), ty: coerce::common(a, b), attribute: 0, of });
    }
    for (name, ty, place) in left.into_iter().chain(right) {
        columns.push(ItemColumn { name, ty, attribute: 0, of: vec![place] });
    }
    Ok((using, columns))
}

/// A polymorphic OUT column's type by the call's arguments.
fn polymorphic(declared: Oid, call: &super::Node) -> Oid {
    let Kind::Function { args, .. } = &call.kind else { return declared };
    let arrays = || args.iter().map(|arg| arg.ty.oid).find(|ty| builtin::element_of(*ty).is_some());
    match declared {
        oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYCOMPATIBLE => {
            arrays().and_then(builtin::element_of).unwrap_or(declared)
        }
        oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => arrays().unwrap_or(declared),
        other => other,
    }
}
