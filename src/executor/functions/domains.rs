//! What a domain demands of a value: see `sql::bind::domain`, which computes the conditions.

use super::CallContext;
use super::inline::functions;
use crate::catalog::names::Namespace;
use crate::error::{Error, Result, SqlState};
use crate::types::Oid;

/// 23502 or 23514 for a condition that is false; NULL is not.
fn test(ctx: &CallContext, passed: Option<bool>, domain: Oid, check: Option<&str>) -> Result<bool> {
    if passed != Some(false) {
        return Ok(false);
    }
    let (image, path) = (ctx.host.catalog(), ctx.host.search_path(true));
    let shown = Namespace { image: &image, path: &path }.format_type(domain, None);
    let error = match check {
        None => Error::new(SqlState::NotNullViolation, format!("domain {shown} does not allow null values")),
        Some(check) => {
            let message = format!("value for domain {shown} violates check constraint \"{check}\"");
            Error::new(SqlState::CheckViolation, message).constraint(check)
        }
    };
    let found = image.types.get(&domain);
    let schema = found.and_then(|ty| image.schemas.get(&ty.schema)).map_or("", |schema| &schema.name);
    Err(error.data_type(schema, found.map_or("", |ty| ty.name.as_str())))
}

functions! {
    TABLE:
    raises(ctx) lightning_domain_test(passed: Option<bool>, domain: Oid, check: Option<&str>) -> bool = {
        test(ctx, passed, domain, check)
    };
}
