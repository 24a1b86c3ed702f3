//! Templates: keywords with their modifiers, separators, blanks and literal characters.

/// One element of a date/time template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateNode {
    /// A field.
    Field(DateField),
    /// A blank.
    Space(char),
    /// Punctuation, which in input may stand for other punctuation.
    Separator(char),
    /// Any other character, or one in double quotes.
    Literal(char),
}

/// A field with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateField {
    pub(super) key: DateKey,
    /// The keyword as written in PostgreSQL's table, for messages.
    pub(super) name: &'static str,
    pub(super) case: Case,
    /// FM: no padding.
    pub(super) fill: bool,
    /// TM: localised, which here only means no padding of names.
    pub(super) localized: bool,
    /// TH or th after the field; `true` is TH.
    pub(super) ordinal: Option<bool>,
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Capital,
    Lower,
}

/// The fields of date/time templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateKey {
    EraDots,
    Era,
    MeridiemDots,
    Meridiem,
    Century,
    DayName,
    DayShort,
    DayOfYear,
    DayOfMonth,
    DayOfWeek,
    /// FF1 to FF6.
    Fraction(u8),
    Fixed,
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    IsoYear(u8),
    JulianDay,
    Minute,
    MonthNumber,
    MonthName,
    MonthShort,
    Milliseconds,
    ZoneOffset,
    Quarter,
    Roman,
    SecondsOfDay,
    Second,
    ZoneHours,
    ZoneMinutes,
    ZoneName,
    Microseconds,
    WeekOfYear,
    WeekOfMonth,
    YearWithComma,
    Year(u8),
}

impl DateKey {
    /// Whether the field is digits, so that a number before it must have its full width in input.
    pub(super) fn is_digits(self) -> bool {
        use DateKey::*;
        !matches!(
            self,
            EraDots
                | Era
                | MeridiemDots
                | Meridiem
                | DayName
                | DayShort
                | Fixed
                | MonthName
                | MonthShort
                | ZoneOffset
                | Roman
                | ZoneHours
                | ZoneName
        )
    }
}

/// Keywords in upper case, longer ones before their prefixes, with what their lower-case form is called in messages.
const DATE_KEYS: &[(&str, &str, DateKey)] = &[
    ("A.D.", "a.d.", DateKey::EraDots),
    ("A.M.", "a.m.", DateKey::MeridiemDots),
    ("AD", "ad", DateKey::Era),
    ("AM", "am", DateKey::Meridiem),
    ("B.C.", "b.c.", DateKey::EraDots),
    ("BC", "bc", DateKey::Era),
    ("CC", "cc", DateKey::Century),
    ("DAY", "day", DateKey::DayName),
    ("DDD", "ddd", DateKey::DayOfYear),
    ("DD", "dd", DateKey::DayOfMonth),
    ("DY", "dy", DateKey::DayShort),
    ("D", "d", DateKey::DayOfWeek),
    ("FF1", "ff1", DateKey::Fraction(1)),
    ("FF2", "ff2", DateKey::Fraction(2)),
    ("FF3", "ff3", DateKey::Fraction(3)),
    ("FF4", "ff4", DateKey::Fraction(4)),
    ("FF5", "ff5", DateKey::Fraction(5)),
    ("FF6", "ff6", DateKey::Fraction(6)),
    ("FX", "fx", DateKey::Fixed),
    ("HH24", "hh24", DateKey::Hour24),
    ("HH12", "hh12", DateKey::Hour12),
    ("HH", "hh", DateKey::Hour12),
    ("IDDD", "iddd", DateKey::IsoDayOfYear),
    ("ID", "id", DateKey::IsoDayOfWeek),
    ("IW", "iw", DateKey::IsoWeek),
    ("IYYY", "iyyy", DateKey::IsoYear(4)),
    ("IYY", "iyy", DateKey::IsoYear(3)),
    ("IY", "iy", DateKey::IsoYear(2)),
    ("I", "i", DateKey::IsoYear(1)),
    ("J", "j", DateKey::JulianDay),
    ("MI", "mi", DateKey::Minute),
    ("MM", "mm", DateKey::MonthNumber),
    ("MONTH", "month", DateKey::MonthName),
    ("MON", "mon", DateKey::MonthShort),
    ("MS", "ms", DateKey::Milliseconds),
    ("OF", "of", DateKey::ZoneOffset),
    ("P.M.", "p.m.", DateKey::MeridiemDots),
    ("PM", "pm", DateKey::Meridiem),
    ("Q", "q", DateKey::Quarter),
    ("RM", "rm", DateKey::Roman),
    ("SSSSS", "sssss", DateKey::SecondsOfDay),
    ("SSSS", "ssss", DateKey::SecondsOfDay),
    ("SS", "ss", DateKey::Second),
    ("TZH", "tzh", DateKey::ZoneHours),
    ("TZM", "tzm", DateKey::ZoneMinutes),
    ("TZ", "tz", DateKey::ZoneName),
    ("US", "us", DateKey::Microseconds),
    ("WW", "ww", DateKey::WeekOfYear),
    ("W", "w", DateKey::WeekOfMonth),
    ("Y,YYY", "y,yyy", DateKey::YearWithComma),
    ("YYYY", "yyyy", DateKey::Year(4)),
    ("YYY", "yyy", DateKey::Year(3)),
    ("YY", "yy", DateKey::Year(2)),
    ("Y", "y", DateKey::Year(1)),
];

/// The names that may be written with a capital.
const CAPITALIZED: &[(&str, DateKey)] = &[
    ("Day", DateKey::DayName),
    ("Dy", DateKey::DayShort),
    ("Month", DateKey::MonthName),
    ("Mon", DateKey::MonthShort),
];

fn date_key(text: &str) -> Option<(&'static str, DateKey, Case)> {
    if let Some((name, key)) = CAPITALIZED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((name, *key, Case::Capital));
    }
    DATE_KEYS.iter().find_map(|(upper, lower, key)| {
        if text.starts_with(upper) {
            Some((*upper, *key, Case::Upper))
        } else if text.starts_with(lower) {
            Some((*lower, *key, Case::Lower))
        } else {
            None
        }
    })
}

/// Reads a date/time template.
pub(super) fn date_template(mut text: &str) -> Vec<DateNode> {
    let mut nodes = Vec::new();
    while !text.is_empty() {
        let (mut fill, mut localized) = (false, false);
        if let Some(rest) = text.strip_prefix("FM").or_else(|| text.strip_prefix("fm")) {
            (text, fill) = (rest, true);
        } else if let Some(rest) = text.strip_prefix("TM").or_else(|| text.strip_prefix("tm")) {
            (text, localized) = (rest, true);
        }
        if let Some((name, key, case)) = date_key(text) {
            text = &text[name.len()..];
            let mut ordinal = None;
            if let Some(rest) = text.strip_prefix("TH") {
                (text, ordinal) = (rest, Some(true));
            } else if let Some(rest) = text.strip_prefix("th") {
                (text, ordinal) = (rest, Some(false));
            } else if let Some(rest) = text.strip_prefix("SP") {
                // Spelled numbers were never implemented; the modifier is passed over.
                text = rest;
            }
            nodes.push(DateNode::Field(DateField { key, name, case, fill, localized, ordinal }));
        } else {
            let (literals, rest) = literals(text);
            nodes.extend(literals.into_iter().map(|(c, quoted)| match c {
                c if quoted => DateNode::Literal(c),
                c if is_separator(c) => DateNode::Separator(c),
                c if c.is_ascii_whitespace() || c == '\x0b' => DateNode::Space(c),
                c => DateNode::Literal(c),
            }));
            text = rest;
        }
    }
    nodes
}

/// ASCII punctuation.
pub(super) fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// A quoted string, or one character; the flag says quoted.
fn literals(text: &str) -> (Vec<(char, bool)>, &str) {
    let mut chars = text.chars();
    let mut taken = Vec::new();
    match chars.next() {
        Some('"') => {
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => taken.extend(chars.next().or(Some('\\')).map(|c| (c, true))),
                    c => taken.push((c, true)),
                }
            }
        }
        // A backslash means itself unless a double quote follows.
        Some('\\') if chars.as_str().starts_with('"') => taken.extend(chars.next().map(|c| (c, false))),
        Some(c) => taken.push((c, false)),
        None => {}
    }
    (taken, chars.as_str())
}

/// One element of a number template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberNode {
    Key(NumberKey),
    Literal(char),
}

/// The patterns of number templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKey {
    Comma,
    Point,
    Zero,
    Nine,
    Blank,
    LocalePoint,
    Exponent,
    FillMode,
    Group,
    Currency,
    Minus,
    Plus,
    Brackets,
    Roman {
        upper: bool,
    },
    AnySign,
    /// Spelled numbers and `C`, which never meant anything.
    Ignored,
    LocaleSign,
    Ordinal {
        upper: bool,
    },
    Shift,
}

const NUMBER_KEYS: &[(&str, NumberKey)] = &[
    (",", NumberKey::Comma),
    (".", NumberKey::Point),
    ("0", NumberKey::Zero),
    ("9", NumberKey::Nine),
    ("B", NumberKey::Blank),
    ("C", NumberKey::Ignored),
    ("D", NumberKey::LocalePoint),
    ("EEEE", NumberKey::Exponent),
    ("FM", NumberKey::FillMode),
    ("G", NumberKey::Group),
    ("L", NumberKey::Currency),
    ("MI", NumberKey::Minus),
    ("PL", NumberKey::Plus),
    ("PR", NumberKey::Brackets),
    ("RN", NumberKey::Roman { upper: true }),
    ("SG", NumberKey::AnySign),
    ("SP", NumberKey::Ignored),
    ("S", NumberKey::LocaleSign),
    ("TH", NumberKey::Ordinal { upper: true }),
    ("V", NumberKey::Shift),
    ("b", NumberKey::Blank),
    ("c", NumberKey::Ignored),
    ("d", NumberKey::LocalePoint),
    ("eeee", NumberKey::Exponent),
    ("fm", NumberKey::FillMode),
    ("g", NumberKey::Group),
    ("l", NumberKey::Currency),
    ("mi", NumberKey::Minus),
    ("pl", NumberKey::Plus),
    ("pr", NumberKey::Brackets),
    ("rn", NumberKey::Roman { upper: false }),
    ("sg", NumberKey::AnySign),
    ("sp", NumberKey::Ignored),
    ("s", NumberKey::LocaleSign),
    ("th", NumberKey::Ordinal { upper: false }),
    ("v", NumberKey::Shift),
];

/// Reads a number template.
pub(super) fn number_template(mut text: &str) -> Vec<NumberNode> {
    let mut nodes = Vec::new();
    while !text.is_empty() {
        if let Some((name, key)) = NUMBER_KEYS.iter().find(|(name, _)| text.starts_with(name)) {
            nodes.push(NumberNode::Key(*key));
            text = &text[name.len()..];
        } else {
            let (literals, rest) = literals(text);
            nodes.extend(literals.into_iter().map(|(c, _)| NumberNode::Literal(c)));
            text = rest;
        }
    }
    nodes
}
