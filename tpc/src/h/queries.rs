//! The 22 queries: a file each, in which `:n` stands for the n-th substitution parameter.

const TEXTS: [&str; 22] = [
    include_str!("queries/01.sql"),
    include_str!("queries/02.sql"),
    include_str!("queries/03.sql"),
    include_str!("queries/04.sql"),
    include_str!("queries/05.sql"),
    include_str!("queries/06.sql"),
    include_str!("queries/07.sql"),
    include_str!("queries/08.sql"),
    include_str!("queries/09.sql"),
    include_str!("queries/10.sql"),
    include_str!("queries/11.sql"),
    include_str!("queries/12.sql"),
    include_str!("queries/13.sql"),
    include_str!("queries/14.sql"),
    include_str!("queries/15.sql"),
    include_str!("queries/16.sql"),
    include_str!("queries/17.sql"),
    include_str!("queries/18.sql"),
    include_str!("queries/19.sql"),
    include_str!("queries/20.sql"),
    include_str!("queries/21.sql"),
    include_str!("queries/22.sql"),
];

/// The parameters with which clause 2.4 validates each query. Q11's fraction depends on the scale factor.
const VALIDATION: [&[&str]; 22] = [
    &["90"],
    &["15", "BRASS", "EUROPE"],
    &["BUILDING", "1995-03-15"],
    &["1993-07-01"],
    &["ASIA", "1994-01-01"],
    &["1994-01-01", "0.06", "24"],
    &["FRANCE", "GERMANY"],
    &["BRAZIL", "AMERICA", "ECONOMY ANODIZED STEEL"],
    &["green"],
    &["1993-10-01"],
    &["GERMANY"],
    &["MAIL", "SHIP", "1994-01-01"],
    &["special", "requests"],
    &["1995-09-01"],
    &["1996-01-01"],
    &["Brand#45", "MEDIUM POLISHED", "49", "14", "23", "45", "19", "3", "36", "9"],
    &["Brand#23", "MED BOX"],
    &["300"],
    &["Brand#12", "Brand#23", "Brand#34", "1", "10", "20"],
    &["forest", "1994-01-01", "CANADA"],
    &["SAUDI ARABIA"],
    &["13", "31", "23", "29", "30", "18", "17"],
];

/// The text of a query (1 to 22) with its parameters put in.
pub(super) fn text(number: u8, scale: f64) -> String {
    let at = usize::from(number) - 1;
    let mut parameters: Vec<String> = VALIDATION[at].iter().map(|parameter| (*parameter).to_owned()).collect();
    if number == 11 {
        parameters.push(format!("{:.10}", 0.0001 / scale));
    }
    let mut text: String = TEXTS[at].lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    // :10 before :1.
    for (i, parameter) in parameters.iter().enumerate().rev() {
        text = text.replace(&format!(":{}", i + 1), parameter);
    }
    text
}

/// The query with the tables of every comma-separated FROM list named in the opposite order.
pub(super) fn reversed(text: &str) -> String {
    let mut out = Vec::new();
    for line in text.lines() {
        let from = line.find("from ").filter(|at| !line[..*at].contains('('));
        out.push(match from {
            Some(at) if !line.contains(" join ") && !line[at + 5..].starts_with('(') && line[at..].contains(", ") => {
                let (head, tail) = line.split_at(at + 5);
                // `)` and what follows close the subquery that the list ends.
                let (list, rest) = tail.split_at(tail.find(')').unwrap_or(tail.len()));
                let mut tables: Vec<&str> = list.split(", ").collect();
                tables.reverse();
                format!("{head}{}{rest}", tables.join(", "))
            }
            _ => line.to_owned(),
        });
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_put_in() {
        for number in 1..=22 {
            let text = text(number, 1.0);
            let rest = text.match_indices(':').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            assert!(!rest, "Q{number}: {text}");
            assert!(!text.contains("--"));
        }
        assert!(text(11, 10.0).contains("0.0000100000"));
        assert!(text(16, 1.0).contains("(49, 14, 23, 45, 19, 3, 36, 9)"));
    }

    #[test]
    fn lists_of_tables_are_turned_round() {
        assert!(reversed(&text(3, 1.0)).contains("from lineitem, orders, customer\n"));
        assert!(reversed(&text(2, 1.0)).contains("from region, nation, supplier, partsupp\n"));
        assert!(reversed(&text(7, 1.0)).contains("from nation n2, nation n1, customer, orders, lineitem, supplier\n"));
        assert!(reversed(&text(13, 1.0)).contains("from customer left outer join orders"));
        assert!(reversed(&text(22, 1.0)).contains("substring(c_phone from 1 for 2)"));
    }
}
