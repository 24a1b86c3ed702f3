//! WITH parts that are used once take their scan's place, so that conditions reach into them and they can stop early.
//!
//! As in PostgreSQL: a part stays apart when it is MATERIALIZED, recursive, a write, locks rows, or calls something
//! volatile. What is inlined leaves an empty part behind, because parts are known by their position.

use super::columns::{for_rels, rel_is_volatile};
use crate::sql::tree::{CteBody, CteId, Expr, ExprKind, Rel, Statement};
use crate::sql::visit;

/// Inlines the parts of a statement that may be.
pub(super) fn ctes(statement: &mut Statement) {
    for i in 0..statement.ctes.len() {
        let cte = &mut statement.ctes[i];
        let CteBody::Query(body) = &mut cte.body else { continue };
        if cte.uses != 1 || cte.materialized == Some(true) || stays_apart(body) {
            continue;
        }
        let body = std::mem::replace(body, Rel::Values { columns: Vec::new(), rows: Vec::new() });
        let outputs = std::mem::take(&mut cte.columns);
        cte.uses = 0;
        let (id, types) = (cte.id, statement.columns.clone());
        let mut body = Some(body);
        visit::top_rels(statement, &mut |rel| {
            visit::all_rels(rel, &mut |rel| {
                if let Rel::CteScan { cte, columns, .. } = rel
                    && *cte == id
                    && let Some(body) = body.take()
                {
                    let column = |column| Expr { kind: ExprKind::Column(column), ty: types[column.0 as usize] };
                    let exprs = columns.iter().zip(&outputs).map(|(own, output)| (*own, column(*output))).collect();
                    *rel = Rel::Project { input: Box::new(body), exprs };
                }
            });
        });
        restore(statement, i, id, body, outputs);
    }
}

/// Gives a part back its body if no scan of it was found: constant folding may have dropped what held it.
fn restore(
    statement: &mut Statement,
    i: usize,
    id: CteId,
    body: Option<Rel>,
    outputs: Vec<crate::sql::tree::ColumnId>,
) {
    if let Some(body) = body {
        debug_assert_eq!(statement.ctes[i].id, id);
        statement.ctes[i].body = CteBody::Query(body);
        statement.ctes[i].columns = outputs;
        statement.ctes[i].uses = 1;
    }
}

fn stays_apart(body: &Rel) -> bool {
    let mut locks = false;
    for_rels(body, &mut |rel| locks = locks || matches!(rel, Rel::LockRows { .. } | Rel::Working { .. }));
    locks || rel_is_volatile(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tree::{ColumnId, Cte, OutputColumn, Root};
    use crate::types::{Datum, Type, oid};

    fn statement(uses: u32, materialized: Option<bool>) -> Statement {
        let ty = Type::new(oid::INT4);
        let (inner, outer) = (ColumnId(0), ColumnId(1));
        let row = vec![Expr { kind: ExprKind::Const(Datum::Int4(7)), ty }];
        Statement {
            root: Root::Query(Rel::CteScan { cte: CteId(0), columns: vec![outer], correlated: false }),
            ctes: vec![Cte {
                id: CteId(0),
                name: "w".into(),
                body: CteBody::Query(Rel::Values { columns: vec![inner], rows: vec![row] }),
                columns: vec![inner],
                uses,
                materialized,
            }],
            output: vec![OutputColumn { name: "x".into(), column: outer, ty, origin: None }],
            params: Vec::new(),
            columns: vec![ty, ty],
            dependencies: Vec::new(),
            locks: Vec::new(),
            index_definitions: Default::default(),
            failures: Vec::new(),
        }
    }

    fn is_inlined(mut statement: Statement) -> bool {
        ctes(&mut statement);
        matches!(statement.root, Root::Query(Rel::Project { .. }))
    }

    #[test]
    fn a_part_used_once_is_inlined() {
        assert!(is_inlined(statement(1, None)));
        assert!(is_inlined(statement(1, Some(false))));
        assert!(!is_inlined(statement(1, Some(true))));
        assert!(!is_inlined(statement(2, None)));
    }
}
