//! DELETE.

use super::Binder;
use super::scope::Clause;
use super::updatable::Verb;
use crate::error::Result;
use crate::sql::ast;
use crate::sql::tree::{Delete, OutputColumn, Rel};

impl Binder<'_> {
    /// Binds a DELETE.
    pub(crate) fn delete(&mut self, delete: &ast::Delete) -> Result<(Delete, Vec<OutputColumn>)> {
        let names = self.cte_names.len();
        if let Some(with) = &delete.with {
            self.with(with)?;
        }
        self.push_scope();
        let bound = self.delete_inner(delete);
        self.pop_scope();
        self.cte_names.truncate(names);
        bound
    }

    fn delete_inner(&mut self, delete: &ast::Delete) -> Result<(Delete, Vec<OutputColumn>)> {
        let written = self.write_target(&delete.table, Verb::Delete)?;
        let target = written.relation.clone();
        let scan = self.write_scan(&written, delete.alias.as_ref())?;
        let mut source = self.write_source(scan.rel, scan.item, &delete.using)?;
        if let Some(filter) = &delete.filter {
            let predicate = self.bind_bool(filter, Clause::Where, "WHERE")?;
            source = Rel::Filter { input: Box::new(source), predicate };
        }
        let items = self.scope().items.clone();
        let (returning, output) = self.returning(&delete.returning, items)?;
        let bound = Delete { target, source, row_id: scan.row_id, old_columns: scan.columns, returning };
        Ok((bound, output))
    }
}
