//! Which function or operator a name and argument types mean (PostgreSQL's `parse_func.c`, `parse_oper.c`), and what the
//! polymorphic ones become.

use super::Binder;
use super::coerce::{Coercion, base_type, can_coerce, category, is_polymorphic, preferred};
use crate::catalog::builtin::{self, Operator};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::sql::ast::OperatorName;
use crate::types::{Oid, Type, oid, shape};

/// A candidate with the argument types that the call would have.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Candidate<T> {
    /// Declared types, variadic ones spread out.
    pub args: Vec<Oid>,
    /// What it is.
    pub of: T,
}

/// How the arguments of a call meet a function's parameters.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Match {
    pub function: &'static Function,
    /// Given arguments that are gathered into the variadic array.
    pub spread: usize,
    /// For each parameter the given argument, or a default (`None`).
    pub order: Vec<Option<usize>>,
}

/// `func_select_candidate`: the one candidate that the given types prefer, if there is one.
pub(super) fn select<T: Clone>(given: &[Oid], candidates: Vec<Candidate<T>>) -> Option<Candidate<T>> {
    let bases: Vec<Oid> = given.iter().map(|ty| base_type(*ty)).collect();
    let unknowns = bases.iter().filter(|ty| **ty == oid::UNKNOWN).count();
    let best = |candidates: Vec<Candidate<T>>, score: &dyn Fn(&Candidate<T>) -> usize| {
        let top = candidates.iter().map(score).max().unwrap_or(0);
        candidates.into_iter().filter(|candidate| score(candidate) == top).collect::<Vec<_>>()
    };
    let known = |i: &usize| bases[*i] != oid::UNKNOWN;
    let exact =
        |candidate: &Candidate<T>| (0..bases.len()).filter(known).filter(|i| candidate.args[*i] == bases[*i]).count();
    let mut left = best(candidates, &exact);
    if left.len() == 1 {
        return left.pop();
    }
    let preferring = |candidate: &Candidate<T>| {
        let fits = |i: &usize| candidate.args[*i] == bases[*i] || preferred_in(category(bases[*i]), candidate.args[*i]);
        (0..bases.len()).filter(known).filter(fits).count()
    };
    left = best(left, &preferring);
    if left.len() == 1 {
        return left.pop();
    }
    if unknowns == 0 {
        return None;
    }
    left = by_unknown_category(&bases, left)?;
    if left.len() == 1 {
        return left.pop();
    }
    // All known arguments of one type: try it for the unknown ones.
    if unknowns < bases.len() {
        let mut types = bases.iter().filter(|ty| **ty != oid::UNKNOWN);
        let first = *types.next()?;
        if types.all(|ty| *ty == first) {
            let all = vec![first; bases.len()];
            let fits = |candidate: &Candidate<T>| {
                candidate.args.iter().all(|ty| can_coerce(first, *ty, Coercion::Implicit))
                    && consistent(&all, &candidate.args)
            };
            let mut fitting: Vec<_> = left.into_iter().filter(fits).collect();
            if fitting.len() == 1 {
                return fitting.pop();
            }
        }
    }
    None
}

/// Whether given types can all be what the polymorphic parameters among `declared` stand for
/// (`check_generic_type_consistency`).
fn consistent(given: &[Oid], declared: &[Oid]) -> bool {
    let (mut element, mut array) = (Oid::NONE, Oid::NONE);
    let mut compatible = Oid::NONE;
    let agree = |slot: &mut Oid, ty: Oid| {
        let fits = *slot == Oid::NONE || *slot == ty;
        *slot = ty;
        fits
    };
    for (want, given) in declared.iter().zip(given) {
        // A domain is an element as it is, an array as what it is over.
        let have = base_type(*given);
        if have == oid::UNKNOWN {
            continue;
        }
        let fits = match *want {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => agree(&mut element, *given),
            oid::ANYARRAY => agree(&mut array, have),
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => common(&mut compatible, have),
            oid::ANYCOMPATIBLEARRAY => match builtin::element_of(have) {
                Some(of) => common(&mut compatible, of),
                None => have == oid::ANYARRAY,
            },
            _ => true,
        };
        if !fits {
            return false;
        }
    }
    if declared.contains(&oid::ANYENUM) && !shape::is_enum(element) {
        return false;
    }
    element == Oid::NONE || array == Oid::NONE || array == oid::ANYARRAY || builtin::element_of(array) == Some(element)
}

/// Widens `slot` to a type that it and `ty` can both become.
fn common(slot: &mut Oid, ty: Oid) -> bool {
    if *slot == Oid::NONE || can_coerce(*slot, ty, Coercion::Implicit) {
        *slot = ty;
        return true;
    }
    can_coerce(ty, *slot, Coercion::Implicit)
}

/// IsPreferredType
fn preferred_in(wanted: u8, ty: Oid) -> bool {
    category(ty) == wanted && preferred(ty)
}

/// Unknown arguments take the category that the candidates agree on, strings if any takes one.
fn by_unknown_category<T: Clone>(bases: &[Oid], left: Vec<Candidate<T>>) -> Option<Vec<Candidate<T>>> {
    let mut slots: Vec<Option<(u8, bool)>> = vec![None; bases.len()];
    let mut resolved = true;
    for i in (0..bases.len()).filter(|i| bases[*i] == oid::UNKNOWN) {
        let mut slot: Option<(u8, bool)> = None;
        let mut conflict = false;
        for candidate in &left {
            let (cat, pref) = (category(candidate.args[i]), preferred(candidate.args[i]));
            match slot {
                None => slot = Some((cat, pref)),
                Some((have, is_preferred)) if have == cat => slot = Some((cat, is_preferred | pref)),
                Some(_) if cat == b'S' => {
                    slot = Some((b'S', pref));
                    conflict = false;
                    continue;
                }
                Some((b'S', _)) => {}
                Some(_) => conflict = true,
            }
        }
        if conflict && slot.is_none_or(|(cat, _)| cat != b'S') {
            resolved = false;
        }
        slots[i] = slot;
    }
    if !resolved {
        return Some(left);
    }
    let keep = |candidate: &Candidate<T>| {
        slots.iter().enumerate().all(|(i, slot)| match slot {
            None => true,
            Some((cat, any_preferred)) => {
                let ty = candidate.args[i];
                category(ty) == *cat && (!any_preferred || preferred(ty))
            }
        })
    };
    let kept: Vec<_> = left.iter().filter(|candidate| keep(candidate)).cloned().collect();
    Some(if kept.is_empty() { left } else { kept })
}

/// The candidates whose arguments the given types can become.
pub(super) fn matching<T: Clone>(given: &[Oid], candidates: &[Candidate<T>]) -> Vec<Candidate<T>> {
    let fits = |candidate: &&Candidate<T>| {
        candidate.args.len() == given.len()
            && given.iter().zip(&candidate.args).all(|(from, to)| can_coerce(*from, *to, Coercion::Implicit))
            && consistent(given, &candidate.args)
    };
    candidates.iter().filter(fits).cloned().collect()
}

impl Binder<'_> {
    /// Argument types as messages list them.
    pub(super) fn type_list(&self, types: &[Oid]) -> String {
        types.iter().map(|ty| self.type_name(Type::new(*ty))).collect::<Vec<_>>().join(", ")
    }

    /// The operator of a name over operand types ([`Oid::NONE`] on the left: prefix).
    pub(in crate::sql) fn find_operator(
        &self,
        op: &OperatorName,
        left: Oid,
        right: Oid,
        pos: u32,
    ) -> Result<&'static Operator> {
        if let Some(schema) = &op.schema
            && !self.ctx.image.schema_names.contains_key(schema.as_str())
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(Error::new(SqlState::InvalidSchemaName, message).at(self.position(pos)));
        }
        let prefix = left == Oid::NONE;
        let visible = op.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        let all: Vec<&'static Operator> = match visible {
            true => builtin::operators_named(&op.name).filter(|o| (o.left == Oid::NONE) == prefix).collect(),
            false => Vec::new(),
        };
        let exact = |a: Oid, b: Oid| all.iter().find(|o| o.left == a && o.right == b).copied();
        // One unknown operand is first taken for the other's type.
        let (a, b) = match (left, right) {
            (oid::UNKNOWN, right) if right != oid::UNKNOWN && !prefix => (right, right),
            (left, oid::UNKNOWN) if !prefix && left != oid::UNKNOWN => (left, left),
            both => both,
        };
        if let Some(found) = exact(a, b) {
            return Ok(found);
        }
        if (left == oid::UNKNOWN) != (right == oid::UNKNOWN) && !prefix {
            let base = base_type(a);
            if let Some(found) = exact(base, base) {
                return Ok(found);
            }
        }
        let given: Vec<Oid> = if prefix { vec![right] } else { vec![left, right] };
        let candidates: Vec<Candidate<&'static Operator>> = all
            .iter()
            .map(|o| Candidate { args: if prefix { vec![o.right] } else { vec![o.left, o.right] }, of: *o })
            .collect();
        let mut fitting = matching(&given, &candidates);
        let several = fitting.len() > 1;
        let found = match fitting.len() {
            0 => None,
            1 => fitting.pop(),
            _ => select(&given, fitting),
        };
        if let Some(found) = found {
            return Ok(found.of);
        }
        let shown = match prefix {
            true => format!("{} {}", op.display(), self.type_list(&given)),
            false => {
                format!("{} {} {}", self.type_name(Type::new(left)), op.display(), self.type_name(Type::new(right)))
            }
        };
        Err(match several {
            true => Error::new(SqlState::AmbiguousFunction, format!("operator is not unique: {shown}"))
                .hint("Could not choose a best candidate operator. You might need to add explicit type casts."),
            false => Error::new(SqlState::UndefinedFunction, format!("operator does not exist: {shown}")).hint(
                match prefix {
                    true => "No operator matches the given name and argument type. You might need to add an explicit type cast.",
                    false => "No operator matches the given name and argument types. You might need to add explicit type casts.",
                },
            ),
        }
        .at(self.position(pos)))
    }

    /// The equality function of a type; 42883 when it has none.
    pub(crate) fn equality(&self, ty: Oid) -> Result<&'static Function> {
        builtin::comparison("=", base_type(ty)).ok_or_else(|| {
            let name = self.type_name(Type::new(ty));
            Error::new(SqlState::UndefinedFunction, format!("could not identify an equality operator for type {name}"))
        })
    }

    /// The `<` function of a type; 42883 when it has none.
    pub(crate) fn ordering(&self, ty: Oid) -> Result<&'static Function> {
        builtin::comparison("<", base_type(ty)).ok_or_else(|| {
            let name = self.type_name(Type::new(ty));
            Error::new(SqlState::UndefinedFunction, format!("could not identify an ordering operator for type {name}"))
                .hint("Use an explicit ordering operator or modify the query.")
        })
    }

    /// All ways in which functions of a name can take so many arguments, named ones included.
    pub(in crate::sql) fn function_candidates(
        &self,
        schema: Option<&str>,
        name: &str,
        count: usize,
        names: &[String],
        variadic_call: bool,
    ) -> Vec<Candidate<Match>> {
        let mut found: Vec<Candidate<Match>> = Vec::new();
        for function in builtin::functions_named(name) {
            let Some(detail) = builtin::function_detail(function.oid) else { continue };
            if schema.unwrap_or("pg_catalog") != detail.schema {
                continue;
            }
            let Some(candidate) = candidate(function, detail, count, names, variadic_call) else { continue };
            // The same types twice: the one that needs no spreading or defaults wins.
            match found.iter_mut().find(|known| known.args == candidate.args) {
                Some(known) if known.of.spread > 0 && candidate.of.spread == 0 => *known = candidate,
                Some(known) if known.of.order.len() > candidate.of.order.len() => *known = candidate,
                Some(_) => {}
                None => found.push(candidate),
            }
        }
        found
    }

    /// Declared argument and result types with the polymorphic ones made actual (`enforce_generic_type_consistency`).
    pub(in crate::sql) fn resolve_polymorphic(
        &self,
        declared: &mut [Oid],
        given: &[Oid],
        result: Oid,
        what: &str,
    ) -> Result<Oid> {
        let (mut element, mut array) = (Oid::NONE, Oid::NONE);
        let mut compatible: Vec<Oid> = Vec::new();
        let mut any_compatible = false;
        let mismatch = |message: String| Error::new(SqlState::DatatypeMismatch, message);
        for (want, have) in declared.iter().zip(given) {
            let (have, base) = (*have, base_type(*have));
            match *want {
                oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM if have != oid::UNKNOWN => {
                    if element != Oid::NONE && element != have {
                        return Err(mismatch("arguments declared \"anyelement\" are not all alike".to_owned()).detail(
                            format!(
                                "{} versus {}",
                                self.type_name(Type::new(element)),
                                self.type_name(Type::new(have))
                            ),
                        ));
                    }
                    element = have;
                }
                oid::ANYARRAY if base != oid::UNKNOWN => {
                    if array != Oid::NONE && array != base {
                        return Err(mismatch("arguments declared \"anyarray\" are not all alike".to_owned()).detail(
                            format!("{} versus {}", self.type_name(Type::new(array)), self.type_name(Type::new(base))),
                        ));
                    }
                    array = base;
                }
                oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => {
                    any_compatible = true;
                    compatible.push(have);
                }
                oid::ANYCOMPATIBLEARRAY => {
                    any_compatible = true;
                    compatible.push(builtin::element_of(base).unwrap_or(oid::UNKNOWN));
                }
                _ => {}
            }
        }
        let generic = declared.iter().any(|ty| is_polymorphic(*ty));
        if !generic {
            return Ok(result);
        }
        if array == oid::ANYARRAY {
            // A catalog column of type anyarray: its elements are not known.
            array = oid::ANYARRAY;
        } else if array != Oid::NONE {
            let of = builtin::element_of(array).ok_or_else(|| {
                let name = self.type_name(Type::new(array));
                mismatch(format!("argument declared anyarray is not an array but type {name}"))
            })?;
            if element != Oid::NONE && element != of {
                return Err(mismatch(
                    "argument declared anyarray is not consistent with argument declared anyelement".to_owned(),
                )
                .detail(format!(
                    "{} versus {}",
                    self.type_name(Type::new(array)),
                    self.type_name(Type::new(element))
                )));
            }
            element = of;
        } else if element != Oid::NONE {
            array = builtin::array_of(element).unwrap_or(Oid::NONE);
        }
        let common = match any_compatible {
            true => self.select_common_type(&compatible.iter().map(|ty| (*ty, 0)).collect::<Vec<_>>(), what)?,
            false => Oid::NONE,
        };
        let actual = |ty: Oid| match ty {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYENUM => element,
            oid::ANYARRAY => array,
            oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY => common,
            oid::ANYCOMPATIBLEARRAY => builtin::array_of(common).unwrap_or(Oid::NONE),
            other => other,
        };
        let undetermined = |ty: Oid| is_polymorphic(ty) && actual(ty) == Oid::NONE;
        if declared.iter().any(|ty| undetermined(*ty)) || undetermined(result) {
            return Err(Error::new(
                SqlState::DatatypeMismatch,
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        declared.iter_mut().for_each(|ty| *ty = actual(*ty));
        Ok(actual(result))
    }
}

/// How one function takes so many arguments, if it can.
fn candidate(
    function: &'static Function,
    detail: &builtin::FunctionDetail,
    count: usize,
    names: &[String],
    variadic_call: bool,
) -> Option<Candidate<Match>> {
    let declared = function.args.len();
    if !names.is_empty() {
        // Input parameters only, in order.
        let inputs: Vec<&str> = match detail.modes.is_empty() {
            true => detail.names.clone(),
            false => detail
                .names
                .iter()
                .zip(&detail.modes)
                .filter(|(_, mode)| matches!(mode, b'i' | b'b' | b'v'))
                .map(|(name, _)| *name)
                .collect(),
        };
        let positional = count.checked_sub(names.len())?;
        let mut order: Vec<Option<usize>> = vec![None; declared];
        for (i, slot) in order.iter_mut().take(positional).enumerate() {
            *slot = Some(i);
        }
        for (i, name) in names.iter().enumerate() {
            let place = inputs.iter().position(|input| input == name)?;
            let slot = order.get_mut(place)?;
            if slot.is_some() {
                return None;
            }
            *slot = Some(positional + i);
        }
        let first_default = declared - detail.defaults.len();
        if order.iter().enumerate().any(|(i, slot)| slot.is_none() && i < first_default) {
            return None;
        }
        // Argument types in the order given.
        let mut args = vec![Oid::NONE; count];
        for (place, slot) in order.iter().enumerate() {
            if let Some(i) = slot {
                args[*i] = function.args[place];
            }
        }
        return Some(Candidate { args, of: Match { function, spread: 0, order } });
    }
    if count == declared && (function.variadic == Oid::NONE || variadic_call || function.variadic == oid::ANY) {
        let order = (0..count).map(Some).collect();
        return Some(Candidate { args: function.args.to_vec(), of: Match { function, spread: 0, order } });
    }
    if function.variadic != Oid::NONE && !variadic_call && count >= declared {
        let fixed = declared - 1;
        let mut args = function.args[..fixed].to_vec();
        args.resize(count, function.variadic);
        let spread = if function.variadic == oid::ANY { 0 } else { count - fixed };
        let order = (0..count).map(Some).collect();
        return Some(Candidate { args, of: Match { function, spread, order } });
    }
    if count < declared && count + detail.defaults.len() >= declared && function.variadic == Oid::NONE {
        let order = (0..declared).map(|i| (i < count).then_some(i)).collect();
        return Some(Candidate { args: function.args[..count].to_vec(), of: Match { function, spread: 0, order } });
    }
    None
}
