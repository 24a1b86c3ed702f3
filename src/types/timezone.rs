//! Time zones: names, abbreviations, POSIX forms, conversion between UTC and local time.
//!
//! The data is jiff's copy of the IANA database. Times outside jiff's years (−9999 to 9999) are mapped into them by
//! whole cycles of 400 years, which leaves every rule where it is in the calendar.

mod abbreviations;

use super::datetime::calendar::{Civil, USECS_PER_SEC};
use abbreviations::{ABBREVIATIONS, Meaning};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_EPOCH_SECONDS: i64 = 946_684_800;
/// Seconds in 400 Gregorian years.
const CYCLE_SECONDS: i64 = 146_097 * 86_400;
/// Years that jiff's rules cover with room for any offset.
const LAST_YEAR: i32 = 9_990;

/// A time zone abbreviation's meaning in date/time input.
#[derive(Clone, Debug)]
pub enum Abbreviation {
    /// A fixed offset.
    Fixed {
        /// Seconds east of UTC.
        east: i32,
        /// Daylight saving time?
        summer: bool,
    },
    /// Whatever it means in this zone at the given time.
    Zone(TimeZone),
}

/// What `AT TIME ZONE` and date/time input accept as a zone's full name: a name of the IANA database in any case, or a
/// POSIX string (whose offsets count WEST of UTC). Gives the zone and its canonical name.
pub fn named(name: &str) -> Option<(TimeZone, String)> {
    if name.len() > 255 || name.is_empty() {
        return None;
    }
    if name.eq_ignore_ascii_case("utc") {
        return Some((TimeZone::UTC, "UTC".to_owned()));
    }
    // jiff's own name for "no zone" is none of PostgreSQL's.
    if !name.eq_ignore_ascii_case("etc/unknown")
        && let Ok(zone) = TimeZone::get(name)
    {
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        return Some((zone, canonical));
    }
    let upper = name.to_ascii_uppercase();
    posix(&upper).map(|zone| (zone, upper))
}

/// A POSIX zone: `EST5`, `EST5EDT` (with the rules of the United States unless told), `<+02>-02`, `+02` (an empty name).
fn posix(text: &str) -> Option<TimeZone> {
    let nameless = text.starts_with(['+', '-']) || text.starts_with(|c: char| c.is_ascii_digit());
    // jiff's names hold no colons, as those of offsets with minutes do.
    let quoted = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).filter(|(name, _)| name.contains(':'));
    let text = match quoted {
        Some((_, offset)) => format!("<AAA>{offset}"),
        None if nameless => format!("<AAA>{text}"),
        None => text.to_owned(),
    };
    TimeZone::posix(&text).or_else(|_| TimeZone::posix(&format!("{text},M3.2.0,M11.1.0"))).ok()
}

/// What `SET TimeZone` accepts: an offset in hours EAST of UTC (`5.5`, `-08`), or else as [`named`].
pub fn setting(value: &str) -> Option<(TimeZone, String)> {
    let trimmed = value.trim();
    let numeric = trimmed.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    match trimmed.parse::<f64>() {
        Ok(hours) if numeric && hours.is_finite() => fixed((hours * 3_600.0) as i64),
        _ => named(value),
    }
}

/// The zone `east` seconds east of UTC, under the name that PostgreSQL gives it: `<+02>-02`.
pub fn fixed(east: i64) -> Option<(TimeZone, String)> {
    // 168 hours is what PostgreSQL's zone code takes; jiff ends before 26.
    let offset = Offset::from_seconds(i32::try_from(east).ok()?).ok()?;
    let magnitude = east.abs();
    let mut digits = format!("{:02}", magnitude / 3_600);
    if magnitude % 3_600 != 0 {
        digits.push_str(&format!(":{:02}", magnitude / 60 % 60));
        if magnitude % 60 != 0 {
            digits.push_str(&format!(":{:02}", magnitude % 60));
        }
    }
    let (sign, opposite) = if east < 0 { ('-', '+') } else { ('+', '-') };
    let name = format!("<{sign}{digits}>{opposite}{digits}");
    Some((offset.to_time_zone(), name))
}

/// The meaning of an abbreviation, given in lower case.
pub fn abbreviation(lower: &str) -> Option<Abbreviation> {
    let place = ABBREVIATIONS.binary_search_by_key(&lower, |(name, _)| name).ok()?;
    match ABBREVIATIONS[place].1 {
        Meaning::Fixed(east) => Some(Abbreviation::Fixed { east, summer: false }),
        Meaning::Summer(east) => Some(Abbreviation::Fixed { east, summer: true }),
        Meaning::Zone(name) => TimeZone::get(name).ok().map(Abbreviation::Zone),
    }
}

/// Seconds east of UTC at a finite moment (microseconds since 2000-01-01 UTC).
pub fn offset_at(zone: &TimeZone, moment: i64) -> i32 {
    zone.to_offset(instant(moment)).seconds()
}

/// Offset as [`offset_at`], daylight saving time, and the abbreviation in use.
pub fn offset_info(zone: &TimeZone, moment: i64) -> (i32, bool, String) {
    let info = zone.to_offset_info(instant(moment));
    let offset = info.offset().seconds();
    // A zone made from a bare offset has no letters; PostgreSQL's are the ISO offset.
    let mut abbreviation = info.abbreviation().to_owned();
    if zone.iana_name().is_none() && zone.to_fixed_offset().is_ok() && !abbreviation.is_empty() {
        abbreviation = abbreviation.trim_start_matches("AAA").to_owned();
    }
    (offset, info.dst().is_dst(), abbreviation)
}

fn instant(moment: i64) -> jiff::Timestamp {
    let mut seconds = moment.div_euclid(USECS_PER_SEC) + UNIX_EPOCH_SECONDS;
    let last = jiff::Timestamp::MAX.as_second() - 366 * 86_400;
    if seconds > last {
        seconds -= (seconds - last + CYCLE_SECONDS - 1) / CYCLE_SECONDS * CYCLE_SECONDS;
    }
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MIN)
}

/// Seconds east of UTC for a local time: in a gap the offset before it, in a fold the one after it, as PostgreSQL.
pub fn offset_for_local(zone: &TimeZone, local: &Civil) -> i32 {
    let mut year = local.year;
    if year > LAST_YEAR {
        year -= (year - LAST_YEAR + 399) / 400 * 400;
    }
    let hour = local.hour.min(23);
    let Ok(civil) = jiff::civil::DateTime::new(
        year.clamp(-9_990, LAST_YEAR) as i16,
        local.month as i8,
        local.day as i8,
        hour as i8,
        local.minute as i8,
        local.second.min(59) as i8,
        0,
    ) else {
        return 0;
    };
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
        AmbiguousOffset::Gap { before, .. } => before.seconds(),
        AmbiguousOffset::Fold { after, .. } => after.seconds(),
    }
}

/// Seconds east of UTC that `abbreviation` meant in `zone` around a local time: its latest use at or before that time,
/// else its first use after it, else simply the zone's offset.
pub fn offset_for_abbreviation(zone: &TimeZone, abbreviation: &str, local: &Civil) -> i32 {
    let plain = offset_for_local(zone, local);
    let Some(moment) = local.unchecked_timestamp() else { return plain };
    offset_of_abbreviation_at(zone, abbreviation, moment - i64::from(plain) * USECS_PER_SEC).unwrap_or(plain)
}

/// Seconds east of UTC that `abbreviation` meant in `zone` at or before `moment`, else first after it.
pub fn offset_of_abbreviation_at(zone: &TimeZone, abbreviation: &str, moment: i64) -> Option<i32> {
    use_of_abbreviation(zone, abbreviation, moment).map(|(east, _)| east)
}

/// Offset and daylight saving of the use of `abbreviation` in `zone` at or before `moment`, else of the first after it.
pub fn use_of_abbreviation(zone: &TimeZone, abbreviation: &str, moment: i64) -> Option<(i32, bool)> {
    let at = instant(moment);
    let same = |name: &str| name.eq_ignore_ascii_case(abbreviation);
    let info = zone.to_offset_info(at);
    if same(info.abbreviation()) {
        return Some((info.offset().seconds(), info.dst().is_dst()));
    }
    // Rules go on for ever; no abbreviation slept through so many changes.
    const TRANSITIONS_MAX: usize = 400;
    let before = zone.preceding(at).take(TRANSITIONS_MAX).find(|change| same(change.abbreviation()));
    before
        .or_else(|| zone.following(at).take(TRANSITIONS_MAX).find(|change| same(change.abbreviation())))
        .map(|change| (change.offset().seconds(), change.dst().is_dst()))
}

/// All abbreviations, in lower case, with their meanings.
pub fn abbreviations() -> impl Iterator<Item = (&'static str, Abbreviation)> + Send {
    ABBREVIATIONS.iter().filter_map(|(name, _)| Some((*name, abbreviation(name)?)))
}

/// A finite moment as local time of `zone`: microseconds since 2000-01-01 on its clocks.
pub fn to_local(zone: &TimeZone, moment: i64) -> i64 {
    moment + i64::from(offset_at(zone, moment)) * USECS_PER_SEC
}

/// A zone as `AT TIME ZONE` names it: an abbreviation first, a full name or POSIX string else.
#[derive(Clone, Debug)]
pub enum Named {
    /// A fixed offset, seconds east of UTC.
    Fixed(i32),
    /// An abbreviation of a zone.
    Abbreviation(TimeZone, String),
    /// A full zone.
    Zone(TimeZone),
}

impl Named {
    /// Finds a zone by abbreviation or name.
    pub fn find(name: &str) -> Option<Named> {
        let lower = name.to_ascii_lowercase();
        match abbreviation(&lower) {
            Some(Abbreviation::Fixed { east, .. }) => Some(Named::Fixed(east)),
            Some(Abbreviation::Zone(zone)) => Some(Named::Abbreviation(zone, lower)),
            None => named(name).map(|(zone, _)| Named::Zone(zone)),
        }
    }

    /// Seconds east of UTC at a finite moment.
    pub fn offset_at(&self, moment: i64) -> i32 {
        match self {
            Named::Fixed(east) => *east,
            Named::Abbreviation(zone, name) => {
                offset_of_abbreviation_at(zone, name, moment).unwrap_or_else(|| offset_at(zone, moment))
            }
            Named::Zone(zone) => offset_at(zone, moment),
        }
    }

    /// Seconds east of UTC at a local time.
    pub fn offset_for_local(&self, local: &Civil) -> i32 {
        match self {
            Named::Fixed(east) => *east,
            Named::Abbreviation(zone, name) => offset_for_abbreviation(zone, name, local),
            Named::Zone(zone) => offset_for_local(zone, local),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_are_sorted() {
        assert!(ABBREVIATIONS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn names_and_offsets() {
        assert_eq!(named("europe/berlin").expect("a zone").1, "Europe/Berlin");
        assert_eq!(setting("5.5").expect("an offset").1, "<+05:30>-05:30");
        assert_eq!(setting("-08").expect("an offset").1, "<-08>+08");
        assert!(named("nowhere/atall").is_none());
        let (new_york, _) = named("America/New_York").expect("a zone");
        let local = |hour| Civil { year: 2024, month: 3, day: 10, hour, minute: 30, ..Civil::default() };
        assert_eq!([1, 2, 3].map(|hour| offset_for_local(&new_york, &local(hour))), [-18_000, -18_000, -14_400]);
        let fold = Civil { year: 2024, month: 11, day: 3, hour: 1, minute: 30, ..Civil::default() };
        assert_eq!(offset_for_local(&new_york, &fold), -18_000);
        // Far beyond jiff's years the rules of the calendar still hold.
        let far = Civil { year: 294_000, month: 7, day: 1, ..Civil::default() };
        assert_eq!(offset_for_local(&new_york, &far), -14_400);
    }
}
