//! The proleptic Gregorian calendar, counted from 2000-01-01 as PostgreSQL's dates and timestamps are.

/// Microseconds in a second.
pub const USECS_PER_SEC: i64 = 1_000_000;
/// Microseconds in a minute.
pub const USECS_PER_MINUTE: i64 = 60 * USECS_PER_SEC;
/// Microseconds in an hour.
pub const USECS_PER_HOUR: i64 = 60 * USECS_PER_MINUTE;
/// Microseconds in a day of 24 hours.
pub const USECS_PER_DAY: i64 = 24 * USECS_PER_HOUR;
/// The Julian day number of 2000-01-01.
pub const EPOCH_JULIAN: i32 = 2_451_545;
/// 1970-01-01 as days since 2000-01-01.
pub const UNIX_EPOCH_DAYS: i32 = -10_957;
/// The first date: 4714-11-24 BC, Julian day 0.
pub const DATE_MIN: i32 = -EPOCH_JULIAN;
/// One past the last date, 5874897-12-31.
pub const DATE_END: i32 = 2_147_483_494 - EPOCH_JULIAN;
/// The first timestamp, 4714-11-24 00:00:00 BC.
pub const TIMESTAMP_MIN: i64 = -211_813_488_000_000_000;
/// One past the last timestamp, 294276-12-31 23:59:59.999999.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
/// `-infinity` of timestamp and timestamptz.
pub const TIMESTAMP_NOBEGIN: i64 = i64::MIN;
/// `infinity` of timestamp and timestamptz.
pub const TIMESTAMP_NOEND: i64 = i64::MAX;
/// `-infinity` of date.
pub const DATE_NOBEGIN: i32 = i32::MIN;
/// `infinity` of date.
pub const DATE_NOEND: i32 = i32::MAX;

/// Months' names; the first three letters are the short ones.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days' names from Sunday; the first three letters are the short ones.
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A point on the calendar and the clock. Years are astronomical: 0 is 1 BC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Civil {
    pub year: i32,
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub micros: i32,
}

impl Civil {
    /// The fields of a finite timestamp.
    pub fn of_timestamp(timestamp: i64) -> Civil {
        let days = timestamp.div_euclid(USECS_PER_DAY);
        Civil::of_time(timestamp.rem_euclid(USECS_PER_DAY)).on(days as i32)
    }

    /// The fields of a time of day; the date is zero. 24:00:00 stays hour 24.
    pub fn of_time(time: i64) -> Civil {
        Civil {
            hour: (time / USECS_PER_HOUR) as i32,
            minute: (time / USECS_PER_MINUTE % 60) as i32,
            second: (time / USECS_PER_SEC % 60) as i32,
            micros: (time % USECS_PER_SEC) as i32,
            ..Civil::default()
        }
    }

    /// The fields of a finite date, at midnight.
    pub fn of_date(days: i32) -> Civil {
        Civil::default().on(days)
    }

    fn on(mut self, days: i32) -> Civil {
        (self.year, self.month, self.day) = civil_from_days(days);
        self
    }

    /// Days since 2000-01-01; the month may be any number that stays in range.
    pub fn days(&self) -> i32 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Microseconds since midnight.
    pub fn time(&self) -> i64 {
        i64::from(self.hour) * USECS_PER_HOUR
            + i64::from(self.minute) * USECS_PER_MINUTE
            + i64::from(self.second) * USECS_PER_SEC
            + i64::from(self.micros)
    }

    /// The timestamp, or `None` outside PostgreSQL's range.
    pub fn timestamp(&self) -> Option<i64> {
        let local = self.unchecked_timestamp()?;
        is_valid_timestamp(local).then_some(local)
    }

    /// The timestamp less `east` seconds, that is in UTC, or `None` outside PostgreSQL's range.
    pub fn timestamp_utc(&self, east: i32) -> Option<i64> {
        let utc = self.unchecked_timestamp()?.checked_sub(i64::from(east) * USECS_PER_SEC)?;
        is_valid_timestamp(utc).then_some(utc)
    }

    /// The timestamp without a check against PostgreSQL's range; `None` when it does not fit an i64.
    pub fn unchecked_timestamp(&self) -> Option<i64> {
        if !is_valid_julian(self.year, self.month) {
            return None;
        }
        i64::from(self.days()).checked_mul(USECS_PER_DAY)?.checked_add(self.time())
    }

    /// 0 is Sunday.
    pub fn weekday(&self) -> i32 {
        weekday(self.days())
    }

    /// 1 is January 1st.
    pub fn day_of_year(&self) -> i32 {
        self.days() - days_from_civil(self.year, 1, 1) + 1
    }
}

/// Whether Julian day arithmetic can hold the month (days within it are checked by the result's range).
pub fn is_valid_julian(year: i32, month: i32) -> bool {
    (year > -4713 || (year == -4713 && month >= 11)) && (year < 5_874_898 || (year == 5_874_898 && month < 6))
}

/// Whether a finite date is in range.
pub fn is_valid_date(days: i32) -> bool {
    (DATE_MIN..DATE_END).contains(&days)
}

/// Whether a finite timestamp is in range.
pub fn is_valid_timestamp(timestamp: i64) -> bool {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&timestamp)
}

/// Whether a timestamp is `infinity` or `-infinity`.
pub fn is_infinite(timestamp: i64) -> bool {
    timestamp == TIMESTAMP_NOBEGIN || timestamp == TIMESTAMP_NOEND
}

/// Days since 2000-01-01 (Hinnant's algorithm: the year begins in March, so that the leap day is its last).
pub fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2).div_euclid(5) + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 730_425) as i32
}

/// Year, month and day of a count of days since 2000-01-01.
pub fn civil_from_days(days: i32) -> (i32, i32, i32) {
    let shifted = i64::from(days) + 730_425;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as i32, day as i32)
}

/// 0 is Sunday; 2000-01-01 was a Saturday.
pub fn weekday(days: i32) -> i32 {
    (i64::from(days) + 6).rem_euclid(7) as i32
}

/// 366 days?
pub fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Length of a month (1 to 12).
pub fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Monday of ISO week 1: the week that holds January 4th.
fn iso_year_start(year: i32) -> i32 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7
}

/// ISO 8601 year (astronomical) and week.
pub fn iso_year_week(days: i32) -> (i32, i32) {
    let year = civil_from_days(days).0;
    let mut iso_year = year + 1;
    while iso_year_start(iso_year) > days {
        iso_year -= 1;
    }
    (iso_year, (days - iso_year_start(iso_year)) / 7 + 1)
}

/// The date of Monday of ISO week `week` of `iso_year`.
pub fn iso_week_start(iso_year: i32, week: i32) -> i32 {
    iso_year_start(iso_year) + (week - 1) * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range() {
        assert_eq!(days_from_civil(2000, 1, 1), 0);
        assert_eq!(days_from_civil(1970, 1, 1), UNIX_EPOCH_DAYS);
        assert_eq!(days_from_civil(-4713, 11, 24), DATE_MIN);
        assert_eq!(days_from_civil(5_874_897, 12, 31), DATE_END - 1);
        assert_eq!(weekday(0), 6);
        for days in (DATE_MIN..DATE_END).step_by(9_973).chain(-800..800) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!(day <= days_in_month(year, month));
        }
    }

    #[test]
    fn iso_weeks() {
        assert_eq!(iso_year_week(days_from_civil(2021, 1, 3)), (2020, 53));
        assert_eq!(iso_year_week(days_from_civil(2018, 12, 31)), (2019, 1));
        assert_eq!(iso_year_week(days_from_civil(2020, 6, 15)), (2020, 25));
    }
}
