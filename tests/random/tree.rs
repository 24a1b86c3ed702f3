//! A random statement as a tree of text that knows how it can be made simpler.

/// A piece of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Text(String),
    /// A constant of a type, which may also be sent as a parameter.
    Constant {
        text: String,
        kind: &'static str,
    },
    Row(Vec<Tree>),
    /// Items with a separator, of which at least some stay.
    List {
        items: Vec<Tree>,
        between: &'static str,
        min: usize,
    },
    /// A clause that can be dropped.
    Maybe(Box<Tree>),
    /// Something that any other of the same kind can stand for.
    Kind(String, Box<Tree>),
}

/// A sequence of pieces.
macro_rules! row {
    ($($part:expr),* $(,)?) => { Tree::Row(vec![$(Tree::from($part)),*]) };
}
pub(crate) use row;

impl From<&str> for Tree {
    fn from(text: &str) -> Tree {
        Tree::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Tree {
        Tree::Text(text)
    }
}

impl Tree {
    pub(crate) fn kind(kind: impl Into<String>, tree: Tree) -> Tree {
        Tree::Kind(kind.into(), Box::new(tree))
    }

    pub(crate) fn maybe(tree: Tree) -> Tree {
        Tree::Maybe(Box::new(tree))
    }

    pub(crate) fn list(items: Vec<Tree>, between: &'static str, min: usize) -> Tree {
        Tree::List { items, between, min }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &mut |out, text, kind| {
            out.push_str(&if text == "null" { format!("null::{kind}") } else { format!("'{text}'::{kind}") });
        });
        out
    }

    /// The text with constants as parameters, and each parameter's text and type.
    pub(crate) fn with_parameters(&self) -> (String, Vec<(String, &'static str)>) {
        let (mut out, mut parameters) = (String::new(), Vec::new());
        self.write(&mut out, &mut |out, text, kind| {
            parameters.push((text.to_owned(), kind));
            out.push_str(&format!("${}", parameters.len()));
        });
        (out, parameters)
    }

    fn write(&self, out: &mut String, constant: &mut impl FnMut(&mut String, &str, &'static str)) {
        match self {
            Tree::Text(text) => out.push_str(text),
            Tree::Constant { text, kind } => constant(out, text, kind),
            Tree::Row(parts) => parts.iter().for_each(|part| part.write(out, constant)),
            Tree::List { items, between, .. } => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(between);
                    }
                    item.write(out, constant);
                }
            }
            Tree::Maybe(tree) | Tree::Kind(_, tree) => tree.write(out, constant),
        }
    }

    /// The tree with its `n`th simplification (outermost first); `None` when there are fewer.
    pub(crate) fn simpler(&self, n: usize) -> Option<Tree> {
        self.step(&mut { n })
    }

    fn step(&self, n: &mut usize) -> Option<Tree> {
        let mut take = |tree: &dyn Fn() -> Tree| {
            if *n == 0 {
                return Some(tree());
            }
            *n -= 1;
            None
        };
        match self {
            Tree::Text(_) | Tree::Constant { .. } => None,
            Tree::Maybe(inner) => {
                take(&|| Tree::Text(String::new())).or_else(|| inner.step(n).map(|inner| Tree::Maybe(Box::new(inner))))
            }
            Tree::Kind(kind, inner) => {
                let mut below = Vec::new();
                inner.find(kind, &mut below);
                for other in below {
                    if let Some(tree) = take(&|| other.clone()) {
                        return Some(tree);
                    }
                }
                let constant = matches!(**inner, Tree::Constant { .. });
                if let Some(name) = kind.strip_prefix("value ")
                    && !constant
                {
                    let null = format!("null::{name}");
                    if self.text() != null
                        && let Some(tree) = take(&|| Tree::Text(null.clone()))
                    {
                        return Some(tree);
                    }
                }
                inner.step(n).map(|inner| Tree::Kind(kind.clone(), Box::new(inner)))
            }
            Tree::List { items, between, min } => {
                if items.len() > *min {
                    for i in 0..items.len() {
                        let without = || {
                            let mut items = items.clone();
                            items.remove(i);
                            Tree::List { items, between, min: *min }
                        };
                        if let Some(tree) = take(&without) {
                            return Some(tree);
                        }
                    }
                }
                let items = step_one(items, n)?;
                Some(Tree::List { items, between, min: *min })
            }
            Tree::Row(parts) => step_one(parts, n).map(Tree::Row),
        }
    }

    /// Trees of a kind below this one, the outermost only and those within them.
    fn find<'a>(&'a self, kind: &str, found: &mut Vec<&'a Tree>) {
        match self {
            Tree::Text(_) | Tree::Constant { .. } => {}
            Tree::Kind(other, inner) => {
                if other == kind {
                    found.push(self);
                }
                inner.find(kind, found);
            }
            Tree::Maybe(inner) => inner.find(kind, found),
            Tree::Row(parts) | Tree::List { items: parts, .. } => {
                parts.iter().for_each(|part| part.find(kind, found));
            }
        }
    }
}

fn step_one(parts: &[Tree], n: &mut usize) -> Option<Vec<Tree>> {
    for (i, part) in parts.iter().enumerate() {
        if let Some(simpler) = part.step(n) {
            let mut parts = parts.to_vec();
            parts[i] = simpler;
            return Some(parts);
        }
    }
    None
}
