//! Answers: beside another server's on the same data, as text and with no tolerance; or beside the standard's, which are
//! rounded to cents.

use super::run::{bar, begin, loaded, rows};
use super::{CheckArgs, chosen, queries};
use crate::connection::{connect, reason};
use anyhow::{Result, anyhow, bail};
use serde::Serialize;
use std::fmt;
use tpchgen::q_and_a::QueryAndAnswer;

type Rows = Vec<Vec<Option<String>>>;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub scale: f64,
    /// What the answers were compared with.
    pub against: String,
    pub queries: Vec<Answer>,
}

/// One query's answer.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    pub number: u8,
    pub rows: usize,
    /// The first difference; `None`: right.
    pub wrong: Option<String>,
}

pub(super) async fn check(args: &CheckArgs) -> Result<CheckReport> {
    let client = connect(&args.target.url).await?;
    let scale = loaded(&client).await?;
    begin(&client, &args.begin).await?;
    let oracle = match &args.oracle {
        Some(url) => {
            let oracle = connect(url).await?;
            let other = loaded(&oracle).await?;
            if other != scale {
                bail!("the oracle has scale factor {other}, the server {scale}");
            }
            Some(oracle)
        }
        None if scale == 1.0 => None,
        None => {
            bail!("the standard's answers are for scale factor 1, here is {scale}: name another server with --oracle")
        }
    };
    let chosen = chosen(&args.queries);
    let bar = bar(chosen.len());
    let mut answers = Vec::new();
    for number in chosen {
        bar.set_message(format!("Q{number}"));
        let text = queries::text(number, scale);
        let own = if args.reversed { queries::reversed(&text) } else { text.clone() };
        let answer = match rows(&client, &own).await {
            Err(error) => Answer { number, rows: 0, wrong: Some(reason(&error)) },
            Ok(own) => {
                let wrong = match &oracle {
                    Some(oracle) => {
                        let theirs = rows(oracle, &text).await;
                        let theirs = theirs.map_err(|e| anyhow!("Q{number} on the oracle: {}", reason(&e)))?;
                        difference(&own, &theirs, |a, b| a == b)
                    }
                    None => {
                        let theirs = standard(number)?;
                        difference(&own, &theirs, |a, b| same_rounded(a.as_deref(), b.as_deref()))
                    }
                };
                Answer { number, rows: own.len(), wrong }
            }
        };
        answers.push(answer);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let against = args.oracle.clone().unwrap_or_else(|| "the standard's answers".to_owned());
    Ok(CheckReport { scale, against, queries: answers })
}

/// The first difference between two answers. Rows that an ORDER BY leaves tied may come in any order.
fn difference(own: &Rows, theirs: &Rows, same: impl Fn(&Option<String>, &Option<String>) -> bool) -> Option<String> {
    if own.len() != theirs.len() {
        return Some(format!("{} rows instead of {}", own.len(), theirs.len()));
    }
    let same_row =
        |a: &[Option<String>], b: &[Option<String>]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let at = own.iter().zip(theirs).position(|(a, b)| !same_row(a, b))?;
    let mut left: Vec<&Vec<Option<String>>> = theirs[at..].iter().collect();
    for row in &own[at..] {
        match left.iter().position(|other| same_row(row, other)) {
            Some(found) => drop(left.remove(found)),
            None => {
                return Some(format!("row {}: {} instead of {}", at + 1, show(&own[at]), show(&theirs[at])));
            }
        }
    }
    None
}

fn show(row: &[Option<String>]) -> String {
    row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
}

/// The standard's answer.
fn standard(number: u8) -> Result<Rows> {
    let answer = QueryAndAnswer::new(i32::from(number), 1.0).map_err(|e| anyhow!("{e}"))?;
    let lines = answer.answer().lines().filter(|line| !line.trim().is_empty()).skip(1);
    Ok(lines.map(|line| line.split('|').map(|value| Some(value.trim().to_owned())).collect()).collect())
}

/// Equal texts but for padding, or numbers that agree when rounded as the standard's are.
fn same_rounded(own: Option<&str>, theirs: Option<&str>) -> bool {
    let (own, theirs) = (own.unwrap_or("").trim(), theirs.unwrap_or("").trim());
    if own == theirs {
        return true;
    }
    let decimals = theirs.split_once('.').map_or(0, |(_, digits)| digits.len());
    match (own.parse::<f64>(), theirs.parse::<f64>()) {
        // One in the last place: the standard's own rounding is not said.
        (Ok(a), Ok(b)) => (a - b).abs() <= 1.0001 * 0.1f64.powi(decimals as i32) && decimals > 0,
        _ => false,
    }
}

impl CheckReport {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has no maps with strange keys") + "\n"
    }

    /// An error if any answer is wrong.
    pub fn outcome(&self) -> Result<()> {
        let wrong: Vec<String> =
            self.queries.iter().filter(|answer| answer.wrong.is_some()).map(|a| format!("Q{}", a.number)).collect();
        if wrong.is_empty() { Ok(()) } else { bail!("wrong answers: {}", wrong.join(", ")) }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<6} {:>8}  answer", "query", "rows")?;
        for answer in &self.queries {
            let outcome = answer.wrong.as_deref().unwrap_or("right");
            writeln!(f, "{:<6} {:>8}  {outcome}", format!("Q{}", answer.number), answer.rows)?;
        }
        writeln!(f, "scale factor {}, compared with {}", self.scale, self.against)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Rows {
        text.lines().map(|line| line.split('|').map(|value| Some(value.to_owned())).collect()).collect()
    }

    #[test]
    fn ties_may_change_places_and_nothing_else() {
        let exact = |a: &Option<String>, b: &Option<String>| a == b;
        assert_eq!(difference(&rows("1|a\n1|b"), &rows("1|b\n1|a"), exact), None);
        assert!(difference(&rows("1|a\n1|b"), &rows("1|a\n1|c"), exact).is_some());
        assert!(difference(&rows("1|a\n1|a"), &rows("1|a\n1|b"), exact).is_some());
        assert!(difference(&rows("1"), &rows("1\n2"), exact).is_some());
    }

    #[test]
    fn the_standards_answers_are_rounded() {
        assert!(same_rounded(Some("25.5220058532573370"), Some("25.52")));
        assert!(same_rounded(Some("FRANCE                   "), Some("FRANCE")));
        assert!(!same_rounded(Some("25.54"), Some("25.52")));
        assert!(!same_rounded(Some("5"), Some("6")));
    }

    #[test]
    fn all_the_standards_answers_are_there() {
        for number in 1..=22 {
            assert!(!standard(number).unwrap().is_empty(), "Q{number}");
        }
    }
}
