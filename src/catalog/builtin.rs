//! Built-in types, functions, operators, casts, aggregates: PostgreSQL 15's own catalog rows, embedded as text.
//!
//! The files of `sql/system/` (written by `generate.sh` there) are parsed at first use, each once, into static tables that
//! live as long as the process. Nothing here can change; what users create is in the catalog image.
//!
//! | what | by |
//! |---|---|
//! | [`Function`] | oid, name |
//! | [`BuiltinType`] | oid, name |
//! | [`Operator`] | oid, name |
//! | [`Cast`] | (source, target) |
//! | [`Aggregate`] | function oid |
//! | any file's rows | [`rows`], for pg_catalog |

use crate::executor::functions::{Function, FunctionKind, Volatility, registry};
use crate::types::shape::{self, Shape};
use crate::types::{Oid, Type, oid};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A row of pg_type.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct BuiltinType {
    pub oid: Oid,
    pub name: &'static str,
    /// `pg_catalog` or `information_schema`
    pub schema: &'static str,
    /// typlen: bytes, -1 variable, -2 cstring
    pub length: i16,
    pub by_value: bool,
    /// typtype: b, c, d, e, m, p, r
    pub kind: u8,
    /// typcategory
    pub category: u8,
    pub preferred: bool,
    pub delimiter: u8,
    pub relation: Oid,
    /// typelem of a true array type (and of name, oidvector, …: see `subscript`)
    pub element: Oid,
    pub array: Oid,
    /// typsubscript; zero when the type takes no subscripts
    pub subscript: Oid,
    pub input: Oid,
    pub output: Oid,
    pub receive: Oid,
    pub send: Oid,
    pub typmod_in: Oid,
    pub typmod_out: Oid,
    pub analyze: Oid,
    pub align: u8,
    pub storage: u8,
    pub not_null: bool,
    pub base: Oid,
    pub base_typmod: i32,
    pub dimensions: i32,
    pub collation: Oid,
}

/// What pg_proc says beyond [`Function`].
#[derive(Debug)]
#[allow(missing_docs)]
pub struct FunctionDetail {
    pub schema: &'static str,
    /// internal, c, sql
    pub language: &'static str,
    pub cost: &'static str,
    pub rows: &'static str,
    pub support: Oid,
    pub security_definer: bool,
    pub leakproof: bool,
    pub parallel: u8,
    /// proallargtypes; empty when all arguments are IN
    pub all_args: Vec<Oid>,
    /// proargmodes: i, o, b, v, t
    pub modes: Vec<u8>,
    /// proargnames, "" for unnamed ones; empty when none is named
    pub names: Vec<&'static str>,
    /// Default expressions of the last input arguments, as text.
    pub defaults: Vec<&'static str>,
}

/// A row of pg_operator.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Operator {
    pub oid: Oid,
    pub name: &'static str,
    /// b infix, l prefix
    pub kind: u8,
    pub merges: bool,
    pub hashes: bool,
    /// Zero for prefix operators.
    pub left: Oid,
    pub right: Oid,
    pub result: Oid,
    pub commutator: Oid,
    pub negator: Oid,
    pub code: Oid,
    pub rest: Oid,
    pub join: Oid,
}

/// A row of pg_cast.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Cast {
    pub oid: Oid,
    pub source: Oid,
    pub target: Oid,
    /// Zero for binary-coercible and I/O casts.
    pub function: Oid,
    /// e explicit, a assignment, i implicit
    pub context: u8,
    /// f function, b binary-coercible, i through text
    pub method: u8,
}

/// What the binder needs of pg_aggregate.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Aggregate {
    pub function: Oid,
    /// n normal, o ordered-set, h hypothetical-set
    pub kind: u8,
    pub direct_args: i16,
    /// The `<` or `>` of min and max; zero else.
    pub sort_operator: Oid,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// The text of a catalog's file, header line included.
        fn file(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../sql/system/", $name, ".tsv"))),)*
                _ => None,
            }
        }
    };
}

files! {
    "pg_type", "pg_proc", "pg_operator", "pg_cast", "pg_aggregate", "pg_am", "pg_opfamily", "pg_opclass", "pg_amop",
    "pg_amproc", "pg_collation", "pg_language", "pg_range", "pg_class", "pg_attribute", "pg_index", "pg_constraint", "system_views",
    "pg_description", "pg_shdescription", "pg_settings", "pg_get_keywords",
}

/// The rows of a catalog's file as text fields (`\N` is NULL), and the names of its columns; empty for other names.
pub fn rows(name: &str) -> (Vec<&'static str>, impl Iterator<Item = Vec<&'static str>>) {
    let mut lines = file(name).unwrap_or("").lines();
    let header = lines.next().unwrap_or("").split('\t').collect();
    (header, lines.map(|line| line.split('\t').collect()))
}

/// Fields of one line, read in order.
struct Fields(std::str::Split<'static, char>);

impl Fields {
    fn text(&mut self) -> &'static str {
        self.0.next().expect("the embedded catalog files have all their columns")
    }
    fn oid(&mut self) -> Oid {
        Oid(self.text().parse().unwrap_or(0))
    }
    fn number<T: std::str::FromStr + Default>(&mut self) -> T {
        self.text().parse().unwrap_or_default()
    }
    fn bool(&mut self) -> bool {
        self.text() == "t"
    }
    fn byte(&mut self) -> u8 {
        self.text().as_bytes().first().copied().unwrap_or(0)
    }
}

fn each(name: &str, mut row: impl FnMut(&mut Fields)) {
    for line in file(name).unwrap_or("").lines().skip(1) {
        row(&mut Fields(line.split('\t')));
    }
}

/// Elements of an array's or vector's text whose elements need no quotes.
fn elements(text: &'static str, separator: char) -> impl Iterator<Item = &'static str> {
    let inner = if text == "\\N" { "" } else { text.trim_start_matches('{').trim_end_matches('}') };
    inner.split(separator).filter(|item| !item.is_empty())
}

struct Functions {
    all: Vec<Function>,
    details: Vec<FunctionDetail>,
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<&'static str, Vec<&'static Function>>,
}

static FUNCTIONS: LazyLock<&'static Functions> = LazyLock::new(|| {
    let mut functions =
        Functions { all: Vec::new(), details: Vec::new(), by_oid: HashMap::new(), by_name: HashMap::new() };
    each("pg_proc", |fields| {
        let (function, detail) = function(fields);
        functions.by_oid.insert(function.oid, functions.all.len());
        functions.all.push(function);
        functions.details.push(detail);
    });
    // The tables live as long as the process: there is one set of them.
    let functions: &'static mut Functions = Box::leak(Box::new(functions));
    let all: &'static [Function] = Box::leak(std::mem::take(&mut functions.all).into_boxed_slice());
    for function in all {
        functions.by_name.entry(function.name).or_default().push(function);
    }
    ALL.set(all).ok();
    functions
});

static ALL: std::sync::OnceLock<&'static [Function]> = std::sync::OnceLock::new();

fn function(fields: &mut Fields) -> (Function, FunctionDetail) {
    let oid = fields.oid();
    let name = fields.text();
    let schema = fields.text();
    let language = fields.text();
    let (cost, rows) = (fields.text(), fields.text());
    let variadic = fields.oid();
    let support = fields.oid();
    let kind = match fields.text() {
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        "p" => FunctionKind::Procedure,
        _ => FunctionKind::Function,
    };
    let (security_definer, leakproof, strict, set) = (fields.bool(), fields.bool(), fields.bool(), fields.bool());
    let volatility = match fields.text() {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let parallel = fields.byte();
    let (_count, _defaults) = (fields.text(), fields.text());
    let result = fields.oid();
    let args: Vec<Oid> = elements(fields.text(), ' ').map(|text| Oid(text.parse().unwrap_or(0))).collect();
    let all_args = elements(fields.text(), ',').map(|text| Oid(text.parse().unwrap_or(0))).collect();
    let modes = elements(fields.text(), ',').filter_map(|text| text.bytes().next()).collect();
    let names = elements(fields.text(), ',').map(|text| if text == "\"\"" { "" } else { text }).collect();
    let defaults = fields.text();
    let defaults = if defaults == "\\N" { Vec::new() } else { split_defaults(defaults) };
    let source = fields.text();
    // Functions written in SQL are implemented under their own name.
    let symbol = if language == "sql" || source.is_empty() { name } else { source };
    let function = Function {
        oid,
        name,
        symbol,
        args: Vec::leak(args),
        result,
        set,
        strict,
        volatility,
        variadic,
        kind,
        implementation: registry::implementation(symbol),
    };
    let detail = FunctionDetail {
        schema,
        language,
        cost,
        rows,
        support,
        security_definer,
        leakproof,
        parallel,
        all_args,
        modes,
        names,
        defaults,
    };
    (function, detail)
}

/// Splits `a, b` at commas outside of quotes and parentheses.
fn split_defaults(text: &'static str) -> Vec<&'static str> {
    let (mut depth, mut quoted, mut start) = (0, false, 0);
    let mut parts = Vec::new();
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            b',' if !quoted && depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// All functions, by oid.
pub fn functions() -> &'static [Function] {
    let _ = &*FUNCTIONS;
    ALL.get().copied().unwrap_or(&[])
}

/// All functions of a name, in any schema.
pub fn functions_named(name: &str) -> &'static [&'static Function] {
    FUNCTIONS.by_name.get(name).map_or(&[], Vec::as_slice)
}

/// The function of an oid.
pub fn function_by_oid(oid: Oid) -> Option<&'static Function> {
    FUNCTIONS.by_oid.get(&oid).map(|index| &functions()[*index])
}

/// What pg_proc says beyond [`Function`].
pub fn function_detail(oid: Oid) -> Option<&'static FunctionDetail> {
    FUNCTIONS.by_oid.get(&oid).map(|index| &FUNCTIONS.details[*index])
}

/// Names and declared types of a function's OUT and TABLE columns; `None` when it has none.
pub fn out_columns(function: Oid) -> Option<Vec<(&'static str, Oid)>> {
    let detail = function_detail(function)?;
    let out = |i: &usize| matches!(detail.modes[*i], b'o' | b'b' | b't');
    let columns: Vec<_> = (0..detail.modes.len())
        .filter(out)
        .enumerate()
        .map(|(n, i)| {
            let name = detail.names.get(i).copied().filter(|name| !name.is_empty());
            (name.unwrap_or(UNNAMED.get(n).copied().unwrap_or("column")), detail.all_args[i])
        })
        .collect();
    (!columns.is_empty()).then_some(columns)
}

/// PostgreSQL's names of unnamed OUT columns.
const UNNAMED: [&str; 4] = ["column1", "column2", "column3", "column4"];

struct Types {
    all: Vec<BuiltinType>,
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<(&'static str, &'static str), usize>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let mut types = Types { all: Vec::new(), by_oid: HashMap::new(), by_name: HashMap::new() };
    each("pg_type", |f| {
        let ty = BuiltinType {
            oid: f.oid(),
            name: f.text(),
            schema: f.text(),
            length: f.number(),
            by_value: f.bool(),
            kind: f.byte(),
            category: f.byte(),
            preferred: f.bool(),
            delimiter: f.byte(),
            relation: f.oid(),
            subscript: f.oid(),
            element: f.oid(),
            array: f.oid(),
            input: f.oid(),
            output: f.oid(),
            receive: f.oid(),
            send: f.oid(),
            typmod_in: f.oid(),
            typmod_out: f.oid(),
            analyze: f.oid(),
            align: f.byte(),
            storage: f.byte(),
            not_null: f.bool(),
            base: f.oid(),
            base_typmod: f.number(),
            dimensions: f.number(),
            collation: f.oid(),
        };
        types.by_oid.insert(ty.oid, types.all.len());
        types.by_name.insert((ty.schema, ty.name), types.all.len());
        types.all.push(ty);
    });
    // information_schema's domains.
    for ty in types.all.iter().filter(|ty| ty.kind == b'd') {
        shape::register(ty.array, Shape::Array { element: ty.oid });
        let base = Type::with_typmod(ty.base, ty.base_typmod);
        shape::register(ty.oid, Shape::Domain { base, array: ty.array, collation: ty.collation });
    }
    types
});

/// All types, by oid.
pub fn types() -> &'static [BuiltinType] {
    &TYPES.all
}

/// The type of an oid.
pub fn type_by_oid(oid: Oid) -> Option<&'static BuiltinType> {
    TYPES.by_oid.get(&oid).map(|index| &TYPES.all[*index])
}

/// The type of a schema (`pg_catalog`, `information_schema`) and name.
pub fn type_in_schema(schema: &str, name: &str) -> Option<&'static BuiltinType> {
    // The map's keys live for ever and a look-up key does not: the two are tied only by equality.
    fn shorten<'a>(map: &'a HashMap<(&'static str, &'static str), usize>) -> &'a HashMap<(&'a str, &'a str), usize> {
        map
    }
    shorten(&TYPES.by_name).get(&(schema, name)).map(|index| &TYPES.all[*index])
}

/// The type of pg_catalog of a name.
pub fn type_by_name(name: &str) -> Option<&'static BuiltinType> {
    type_in_schema("pg_catalog", name)
}

/// What a domain is over, with the domain's modifier; other types are themselves.
pub fn base_type(ty: Type) -> Type {
    let _ = &*TYPES;
    shape::base(ty)
}

/// The built-in type as which PostgreSQL lays out values of a type: int4 for an enum's, which are oids there, the base type for a
/// domain's. `None` for row types.
pub fn laid_out_as(ty: Oid) -> Option<&'static BuiltinType> {
    match shape::of(ty) {
        Some(Shape::Enum { .. }) => type_by_oid(oid::INT4),
        Some(Shape::Domain { .. }) => laid_out_as(shape::base(Type::new(ty)).oid),
        Some(Shape::Array { element }) => match laid_out_as(element)?.align {
            b'd' => type_by_oid(oid::INT8_ARRAY),
            _ => type_by_oid(oid::INT4_ARRAY),
        },
        None => type_by_oid(ty),
    }
}

/// typtype
pub fn kind(ty: Oid) -> u8 {
    match shape::of(ty) {
        Some(Shape::Enum { .. }) => b'e',
        Some(Shape::Domain { .. }) => b'd',
        Some(Shape::Array { .. }) => b'b',
        None => type_by_oid(ty).map_or(b'c', |row| row.kind),
    }
}

/// typcategory
pub fn category(ty: Oid) -> u8 {
    match shape::of(ty) {
        Some(Shape::Enum { .. }) => b'E',
        Some(Shape::Domain { .. }) => category(shape::base(Type::new(ty)).oid),
        Some(Shape::Array { .. }) => b'A',
        None => type_by_oid(ty).map_or(b'C', |row| row.category),
    }
}

/// typcollation
pub fn collation(ty: Oid) -> Oid {
    let of = shape::element_of(ty).unwrap_or(ty);
    if let Some(Shape::Domain { collation, .. }) = shape::of(of) {
        return collation;
    }
    laid_out_as(of).map_or(Oid::NONE, |row| row.collation)
}

/// The array type over a type; `None` when it has none.
pub fn array_of(element: Oid) -> Option<Oid> {
    shape::array_of(element).or_else(|| type_by_oid(element).map(|ty| ty.array).filter(|array| *array != Oid::NONE))
}

/// The element type of a true array type.
pub fn element_of(array: Oid) -> Option<Oid> {
    if let Some(element) = shape::element_of(array) {
        return Some(element);
    }
    let ty = type_by_oid(array)?;
    (ty.element != Oid::NONE && ty.length == -1 && ty.category == b'A').then_some(ty.element)
}

struct Operators {
    all: Vec<Operator>,
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<&'static str, Vec<usize>>,
}

static OPERATORS: LazyLock<Operators> = LazyLock::new(|| {
    let mut operators = Operators { all: Vec::new(), by_oid: HashMap::new(), by_name: HashMap::new() };
    each("pg_operator", |f| {
        let operator = Operator {
            oid: f.oid(),
            name: f.text(),
            kind: f.byte(),
            merges: f.bool(),
            hashes: f.bool(),
            left: f.oid(),
            right: f.oid(),
            result: f.oid(),
            commutator: f.oid(),
            negator: f.oid(),
            code: f.oid(),
            rest: f.oid(),
            join: f.oid(),
        };
        operators.by_oid.insert(operator.oid, operators.all.len());
        operators.by_name.entry(operator.name).or_default().push(operators.all.len());
        operators.all.push(operator);
    });
    operators
});

/// All operators, by oid.
pub fn operators() -> &'static [Operator] {
    &OPERATORS.all
}

/// All operators of a name.
pub fn operators_named(name: &str) -> impl Iterator<Item = &'static Operator> {
    OPERATORS.by_name.get(name).into_iter().flatten().map(|index| &OPERATORS.all[*index])
}

/// The operator of an oid.
pub fn operator_by_oid(oid: Oid) -> Option<&'static Operator> {
    OPERATORS.by_oid.get(&oid).map(|index| &OPERATORS.all[*index])
}

/// The operator of a name and exactly these operand types ([`Oid::NONE`] on the left for prefix operators).
pub fn operator(name: &str, left: Oid, right: Oid) -> Option<&'static Operator> {
    operators_named(name).find(|operator| operator.left == left && operator.right == right)
}

static CASTS: LazyLock<HashMap<(Oid, Oid), Cast>> = LazyLock::new(|| {
    let mut casts = HashMap::new();
    each("pg_cast", |f| {
        let cast = Cast {
            oid: f.oid(),
            source: f.oid(),
            target: f.oid(),
            function: f.oid(),
            context: f.byte(),
            method: f.byte(),
        };
        casts.insert((cast.source, cast.target), cast);
    });
    casts
});

/// The row of pg_cast for a pair of types.
pub fn cast(source: Oid, target: Oid) -> Option<&'static Cast> {
    CASTS.get(&(source, target))
}

static AGGREGATES: LazyLock<HashMap<Oid, Aggregate>> = LazyLock::new(|| {
    let (header, rows) = rows("pg_aggregate");
    let sort = header.iter().position(|name| *name == "aggsortop").unwrap_or(0);
    let number = |text: &str| Oid(text.parse().unwrap_or(0));
    rows.map(|row| {
        let aggregate = Aggregate {
            function: number(row[0]),
            kind: row[1].as_bytes().first().copied().unwrap_or(b'n'),
            direct_args: row[2].parse().unwrap_or(0),
            sort_operator: number(row[sort]),
        };
        (aggregate.function, aggregate)
    })
    .collect()
});

/// The row of pg_aggregate of a function.
pub fn aggregate(function: Oid) -> Option<&'static Aggregate> {
    AGGREGATES.get(&function)
}

/// The btree comparison operator's function of a type: `=` or `<` of its default operator class, the type itself or what
/// it is binary-coercible to (varchar and name's kin to text, reg types to oid, arrays and records to their own).
pub fn comparison(name: &str, ty: Oid) -> Option<&'static Function> {
    let operator = operator(name, ty, ty).or_else(|| {
        let base = comparison_base(ty)?;
        operator(name, base, base)
    })?;
    function_by_oid(operator.code)
}

/// The type by whose operators values of `ty` are compared, when it has none of its own.
pub fn comparison_base(ty: Oid) -> Option<Oid> {
    Some(match ty {
        oid::VARCHAR | oid::UNKNOWN => oid::TEXT,
        oid::REGPROC
        | oid::REGPROCEDURE
        | oid::REGOPER
        | oid::REGOPERATOR
        | oid::REGCLASS
        | oid::REGTYPE
        | oid::REGROLE
        | oid::REGNAMESPACE
        | oid::REGCOLLATION => oid::OID,
        oid::INT2VECTOR | oid::RECORD_ARRAY => oid::ANYARRAY,
        _ => match (kind(ty), category(ty)) {
            (b'e', _) => oid::ANYENUM,
            (b'c', _) => oid::RECORD,
            (b'd', _) => {
                let base = shape::base(Type::new(ty)).oid;
                comparison_base(base).unwrap_or(base)
            }
            (_, b'A') => oid::ANYARRAY,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read() {
        assert_eq!(functions().len(), 3_244);
        let plus = operator("+", oid::INT4, oid::INT4).expect("int4 + int4");
        assert_eq!(function_by_oid(plus.code).expect("int4pl").symbol, "int4pl");
        assert_eq!(type_by_name("int4").expect("int4").array, oid::INT4_ARRAY);
        assert_eq!(element_of(oid::TEXT_ARRAY), Some(oid::TEXT));
        assert_eq!(element_of(oid::NAME), None);
        assert_eq!(cast(oid::INT4, oid::INT8).expect("a cast").context, b'i');
        assert_eq!(comparison("=", oid::VARCHAR).expect("texteq").symbol, "texteq");
        let interval = functions_named("make_interval")[0];
        assert_eq!(function_detail(interval.oid).expect("details").defaults.len(), interval.args.len());
    }
}
